//! Reads just enough of an HTTP/1.1 answer: where it ends, and whether every record was taken.

#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use memchr::memmem;

/// The most bytes of a body that an error message shows.
const SHOWN_BYTES: usize = 200;

/// The length of the answer at the front of `bytes`, head and body, as soon as its head is there.
pub(crate) fn len(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(head_end) = memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..head_end]).context("the answer's head is not text")?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    };
    let body =
        head.lines().find_map(field).context("the answer has no content-length")?.context("the content-length is no number")?;
    Ok(Some(head_end + body))
}

/// Whether a whole answer says that every record was taken: status 200, and no record with an error code, neither Kafka REST's nor Kinesis'.
pub(crate) fn check(answer: &[u8]) -> Result<()> {
    if !answer.starts_with(b"HTTP/1.1 200") || has_error_code(answer) {
        let body = memmem::find(answer, b"\r\n\r\n").map_or(0, |at| at + 4);
        let shown = &answer[body..answer.len().min(body + SHOWN_BYTES)];
        let status = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        bail!("{}: {}", String::from_utf8_lossy(status), String::from_utf8_lossy(shown));
    }
    Ok(())
}

fn has_error_code(answer: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"error_code\":";
    const KINESIS_FIELD: &[u8] = b"\"ErrorCode\":";
    memmem::find(answer, KINESIS_FIELD).is_some()
        || memmem::find_iter(answer, FIELD).any(|at| !answer[at + FIELD.len()..].starts_with(b"null"))
}
