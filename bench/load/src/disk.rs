//! The one place that touches files.

use std::path::Path;

/// The whole of a file.
#[expect(clippy::disallowed_methods, reason = "this crate's disk module: everything else asks it")]
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}
