//! Records that the Kinesis Producer Library put together: four bytes that say so, a protobuf message, and the message's MD5. Hand-made, because it
//! is three fields of one message; it must not take what it reads for true.
//!
//! The format: "KPL Aggregated Record Format" in awslabs/amazon-kinesis-producer.

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const MD5_LEN: usize = 16;
/// The field of the message that holds a record, and that of a record that holds its data.
const RECORDS: u64 = 3;
const DATA: u64 = 3;

/// The data of the records in an aggregated one, at most `most`; `None` if it is none, as far as its first bytes and its checksum say.
///
/// # Errors
/// What is wrong with one that says that it is aggregated and has the right checksum.
pub(super) fn data_of(bytes: &[u8], most: usize) -> Option<Result<Vec<&[u8]>, String>> {
    let (message, sum) = bytes.strip_prefix(&MAGIC)?.split_last_chunk::<MD5_LEN>()?;
    (Md5::digest(message)[..] == sum[..]).then(|| records(message, most))
}

fn records(message: &[u8], most: usize) -> Result<Vec<&[u8]>, String> {
    let mut all = Vec::new();
    for record in chunks(message, RECORDS) {
        if all.len() >= most {
            return Err(format!("the aggregated record holds more than {most} records"));
        }
        let data =
            chunks(record?, DATA).last().unwrap_or_else(|| Err("the aggregated record holds one without data".to_owned()))?;
        all.push(data);
    }
    Ok(all)
}

/// The values of a field that is a run of bytes, in order; the other fields are passed over.
fn chunks(mut message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], String>> {
    std::iter::from_fn(move || {
        while !message.is_empty() {
            match field(&mut message) {
                Some((number, Some(chunk))) if number == wanted => return Some(Ok(chunk)),
                Some(_) => {}
                None => {
                    message = &[];
                    return Some(Err("the aggregated record can't be taken apart".to_owned()));
                }
            }
        }
        None
    })
}

/// The next field's number, and its bytes if it is a run of such.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(message)?;
    let chunk = match tag & 7 {
        0 => varint(message).map(|_| None)?,
        1 => take(message, 8).map(|_| None)?,
        2 => {
            let len = usize::try_from(varint(message)?).ok()?;
            Some(take(message, len)?)
        }
        5 => take(message, 4).map(|_| None)?,
        _ => return None,
    };
    Some((tag >> 3, chunk))
}

fn take<'a>(message: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(len)?;
    *message = rest;
    Some(taken)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(message, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
