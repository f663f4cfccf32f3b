//! Messages of an event stream (`application/vnd.amazon.eventstream`): how the events of one answer are told apart. What they say is their
//! operation's business.
//!
//! A message is its length, the length of its headers and the CRC-32 of these two; the headers; what it carries; the CRC-32 of all that.

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use super::error::AwsError;

/// What an answer of such messages says that it is.
pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// Bytes of the two lengths and their checksum.
const PRELUDE_LEN: usize = 12;
const CHECKSUM_LEN: usize = 4;
/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// An event by its name.
pub(super) fn event(name: &str, content_type: &str, payload: &[u8]) -> Bytes {
    message([(":event-type", name), (":content-type", content_type), (":message-type", "event")], payload)
}

/// The error that ends a stream.
pub(super) fn exception(error: &AwsError, content_type: &str, payload: &[u8]) -> Bytes {
    // What event streams call it.
    let kind = if error.status.is_server_error() { "InternalFailureException" } else { &error.kind };
    message([(":exception-type", kind), (":content-type", content_type), (":message-type", "exception")], payload)
}

/// A message of these headers, whose names and values are the server's own and short.
fn message(headers: [(&str, &str); 3], payload: &[u8]) -> Bytes {
    let headers_len: usize = headers.iter().map(|(name, value)| 1 + name.len() + 1 + 2 + value.len()).sum();
    let len = PRELUDE_LEN + headers_len + payload.len() + CHECKSUM_LEN;
    let mut out = BytesMut::with_capacity(len);
    out.put_u32(length(len));
    out.put_u32(length(headers_len));
    out.put_u32(crc32fast::hash(&out));
    for (name, value) in headers {
        out.put_u8(u8::try_from(name.len()).expect("a header's name is short"));
        out.put_slice(name.as_bytes());
        out.put_u8(TEXT);
        out.put_u16(u16::try_from(value.len()).expect("a header's value is short"));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("an answer's part is bounded far below 4 GiB")
}
