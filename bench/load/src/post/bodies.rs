//! Whole requests of Kafka REST or Kinesis, head and body, made before the clock starts. A record's key is rewritten in place each time that it is sent, so a long
//! run needs no more memory than its first lap and still sends only records that a table has not seen.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::kinesis;

/// The first key: as many digits as all others, and past those that the lines have.
const KEY_FIRST: u64 = 1_000_000_000;
const KEY_DIGITS: usize = 10;
/// Hexadecimal digits at the front of `unique_id` that change with the key.
const ID_DIGITS: usize = 8;
/// What stands before a record's key, and between its key and its identifier.
const BEFORE_KEY: &[u8] = b"{\"index\":";
const BEFORE_ID: &[u8] = b",\"unique_id\":\"";

/// What the requests are to look like.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) to: &'a str,
    pub(crate) path: &'a str,
    pub(crate) records: usize,
    /// Over how many partitions a request's records go, if it says so.
    pub(crate) partitions: Option<usize>,
    /// Whether each record gets a new key whenever it is sent.
    pub(crate) new_keys: bool,
    /// The Kinesis stream that takes the records; without it they are Kafka REST's.
    pub(crate) stream: Option<&'a str>,
}

#[derive(Debug)]
struct Request {
    bytes: Vec<u8>,
    /// Where the records' keys begin.
    keys_at: Vec<usize>,
}

/// The requests of one connection, sent in turn.
#[derive(Debug)]
pub(crate) struct Bodies {
    requests: Vec<Request>,
    turn: usize,
    /// The next key; all connections share it.
    next_key: Arc<AtomicU64>,
}

impl Bodies {
    /// One share of requests for each connection; every line goes into one request.
    pub(crate) fn shares(lines: &[u8], shape: &Shape<'_>, connections: usize) -> Result<Vec<Self>> {
        let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let needed = shape.records * connections;
        ensure!(
            lines.len() >= needed,
            "{} lines are too few: give {needed} or more, so that each connection has a request",
            lines.len()
        );
        let next_key = Arc::new(AtomicU64::new(KEY_FIRST));
        let empty = || Self { requests: Vec::new(), turn: 0, next_key: Arc::clone(&next_key) };
        let mut shares: Vec<Self> = (0..connections).map(|_| empty()).collect();
        for (at, records) in lines.chunks_exact(shape.records).enumerate() {
            let request = match shape.stream {
                Some(stream) => kinesis_request(records, at * shape.records, stream, shape.to),
                None => request(records, shape)?,
            };
            shares[at % connections].requests.push(request);
        }
        Ok(shares)
    }

    /// The next request's bytes, with new keys where it has any.
    pub(crate) fn next(&mut self) -> &[u8] {
        let at = self.turn;
        self.turn = (at + 1) % self.requests.len();
        let request = &mut self.requests[at];
        for at in &request.keys_at {
            renew(&mut request.bytes, *at, self.next_key.fetch_add(1, Ordering::Relaxed));
        }
        &request.bytes
    }
}

fn request(records: &[&[u8]], shape: &Shape<'_>) -> Result<Request> {
    let (mut body, mut keys_at) = (b"{\"records\":[".to_vec(), Vec::new());
    for (at, record) in records.iter().enumerate() {
        body.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        if let Some(partitions) = shape.partitions {
            body.extend_from_slice(format!("\"partition\":{},", at % partitions).as_bytes());
        }
        body.extend_from_slice(b"\"value\":");
        if shape.new_keys {
            keys_at.push(push_keyed(&mut body, record)?);
        } else {
            body.extend_from_slice(record);
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    let mut bytes = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/vnd.kafka.json.v2+json\r\ncontent-length: {}\r\n\r\n",
        shape.path,
        shape.to,
        body.len()
    )
    .into_bytes();
    for at in &mut keys_at {
        *at += bytes.len();
    }
    bytes.append(&mut body);
    Ok(Request { bytes, keys_at })
}

/// PutRecord for one record, PutRecords for more; each record has a partition key of its own, counted from `first`.
fn kinesis_request(records: &[&[u8]], first: usize, stream: &str, to: &str) -> Request {
    let entries: Vec<String> = (first..)
        .zip(records)
        .map(|(key, record)| format!("\"Data\":\"{}\",\"PartitionKey\":\"k{key}\"", BASE64_STANDARD.encode(record)))
        .collect();
    let (operation, body) = match entries.as_slice() {
        [one] => ("PutRecord", format!("{{\"StreamName\":\"{stream}\",{one}}}")),
        many => ("PutRecords", format!("{{\"StreamName\":\"{stream}\",\"Records\":[{{{}}}]}}", many.join("},{"))),
    };
    Request { bytes: kinesis::request(to, operation, &body), keys_at: Vec::new() }
}

/// Adds `record` with room for a new key, and answers where that is.
fn push_keyed(body: &mut Vec<u8>, record: &[u8]) -> Result<usize> {
    let after_key =
        record.strip_prefix(BEFORE_KEY).map(|rest| &rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..]);
    let Some(rest) = after_key.filter(|rest| rest.starts_with(BEFORE_ID) && rest.len() > BEFORE_ID.len() + ID_DIGITS) else {
        bail!("a line does not begin with {{\"index\":N,\"unique_id\":\" so it can get no key: take pins of 'pinlake generate'");
    };
    body.extend_from_slice(BEFORE_KEY);
    let key_at = body.len();
    body.extend_from_slice(&[b'0'; KEY_DIGITS]);
    body.extend_from_slice(rest);
    Ok(key_at)
}

fn renew(bytes: &mut [u8], key_at: usize, key: u64) {
    let (key_bytes, rest) = bytes[key_at..].split_at_mut(KEY_DIGITS);
    let mut left = key;
    for digit in key_bytes.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    // The bits in the other order, so that neighbours' identifiers are no neighbours.
    let mut bits = key.reverse_bits() >> 32 ^ key;
    for digit in &mut rest[BEFORE_ID.len()..][..ID_DIGITS] {
        *digit = b"0123456789abcdef"[(bits & 15) as usize];
        bits >>= 4;
    }
}
