//! Small files that a person writes, secrets and pipelines. Must not wait for a pipe nor read a device, which may never end.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Result, bail};
use rustix::fs::OFlags;

/// The text of a regular file of so many bytes at most.
#[expect(clippy::disallowed_methods, reason = "the one place that reads what a person wrote")]
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<String> {
    const NO_FILE: &str = "it is no regular file";
    // To open a device may do something already.
    if !std::fs::metadata(path)?.is_file() {
        bail!(NO_FILE);
    }
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("the flags of opening are numbers of C's int");
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    // Something else may stand there by now.
    if !file.metadata()?.is_file() {
        bail!(NO_FILE);
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        bail!("it has more than {} KiB, the most that is read", bytes_max >> 10);
    }
    Ok(String::from_utf8(bytes)?)
}
