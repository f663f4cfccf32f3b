//! Small JSON files that say by a CRC whether they are as they were written. It must not know what is in them.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The CRC in eight hex digits, and a line feed.
const PREFIX_LEN: usize = 9;

/// The file's bytes. `body` must be one that always encodes: numbers, text, and lists of them.
pub(crate) fn encode(body: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(body).expect("numbers, text and lists always encode");
    let mut bytes = format!("{:08x}\n", crc32c::crc32c(&body)).into_bytes();
    bytes.extend(body);
    bytes
}

/// What [`encode`] was given; `None` if the bytes are damaged, or hold something else.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (crc, body) = bytes.split_at_checked(PREFIX_LEN)?;
    let stated = u32::from_str_radix(std::str::from_utf8(crc).ok()?.trim_end(), 16).ok()?;
    if stated != crc32c::crc32c(body) {
        return None;
    }
    serde_json::from_slice(body).ok()
}
