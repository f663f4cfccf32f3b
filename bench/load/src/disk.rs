//! The one place that touches files and the clock on the wall.

use std::path::Path;

/// The whole of a file.
#[expect(clippy::disallowed_methods, reason = "this crate's disk module: everything else asks it")]
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Milliseconds since 1970, for records: the log drops what is too old.
#[expect(clippy::disallowed_methods, reason = "records are stamped with the time of the day")]
pub(crate) fn now_ms() -> anyhow::Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}
