//! Puts in the form in which clients send them: JSON without escapes, each member once and no others. Such a body becomes records in one pass.
//! What has another form, and all that is wrong, is left to the service's model, which has the words for it: nothing is refused here.

#[cfg(test)]
mod tests;

use base64_simd::STANDARD;
use bytes::Bytes;

use super::put::Incoming;
use crate::records::Span;

/// Records of one PutRecords.
const RECORDS_MAX: usize = 500;
/// Bytes of a partition key; one that is longer may yet have few enough characters.
const KEY_LEN_MAX: usize = 256;
const STREAM_LEN_MAX: usize = 128;
/// Bytes of a record's data.
const DATA_LEN_MAX: usize = 10 << 20;
/// The least that a record takes in a body: `{"Data":"","PartitionKey":"k"},`.
const RECORD_LEN_MIN: usize = 31;

/// A put whose types and constraints hold.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) stream: String,
    pub(crate) incoming: Incoming,
    /// Whether it is a PutRecord.
    pub(crate) is_single: bool,
}

/// Reads the JSON body of a call; `None` if it has not this form.
pub(crate) fn read(operation: &str, body: &Bytes) -> Option<Plain> {
    let is_single = match operation {
        "PutRecord" => true,
        "PutRecords" => false,
        _ => return None,
    };
    let mut reader = Reader { text: body, at: 0, incoming: Incoming::over(body.clone()) };
    let records = if is_single { 1 } else { (body.len() / RECORD_LEN_MIN).min(RECORDS_MAX) };
    reader.incoming.records.reserve(records, body.len() / 4 * 3);
    let stream = if is_single { reader.put_record() } else { reader.put_records() }?;
    reader.is_at_end().then_some(Plain { stream, incoming: reader.incoming, is_single })
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    incoming: Incoming,
}

/// The members of a record that were there.
#[derive(Default)]
struct Entry {
    data: Option<Span>,
    key: Option<Span>,
    hash: Option<u128>,
}

impl<'a> Reader<'a> {
    fn put_records(&mut self) -> Option<String> {
        let mut stream = None;
        self.object(|reader, name| match name {
            b"StreamName" if stream.is_none() => {
                stream = Some(reader.stream()?);
                Some(())
            }
            b"Records" if reader.incoming.records.is_empty() => reader.records(),
            _ => None,
        })?;
        stream.filter(|_| !self.incoming.records.is_empty())
    }

    fn put_record(&mut self) -> Option<String> {
        let (mut stream, mut entry) = (None, Entry::default());
        self.object(|reader, name| match name {
            b"StreamName" if stream.is_none() => {
                stream = Some(reader.stream()?);
                Some(())
            }
            name => reader.member(name, &mut entry),
        })?;
        self.push(&entry)?;
        stream
    }

    fn records(&mut self) -> Option<()> {
        self.take(b'[')?;
        for _ in 0..RECORDS_MAX {
            let mut entry = Entry::default();
            self.object(|reader, name| reader.member(name, &mut entry))?;
            self.push(&entry)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    /// A member of a record, which must not have been there.
    fn member(&mut self, name: &[u8], entry: &mut Entry) -> Option<()> {
        let string = self.string()?;
        match name {
            b"Data" if entry.data.is_none() => {
                let mut is_base64 = false;
                let data = self.incoming.records.write(|out| is_base64 = STANDARD.decode_append(string, out).is_ok());
                entry.data = Some(data).filter(|data| is_base64 && data.len() <= DATA_LEN_MAX);
                entry.data.map(drop)
            }
            b"PartitionKey" if entry.key.is_none() => {
                let key = text(string).filter(|key| (1..=KEY_LEN_MAX).contains(&key.len()))?;
                entry.key = Some(self.incoming.records.borrow(key.as_bytes()));
                Some(())
            }
            b"ExplicitHashKey" if entry.hash.is_none() => {
                let has_one_spelling = string == b"0" || string.first().is_some_and(|first| matches!(first, b'1'..=b'9'));
                entry.hash = Some(text(string).filter(|_| has_one_spelling)?.parse().ok()?);
                Some(())
            }
            _ => None,
        }
    }

    fn push(&mut self, entry: &Entry) -> Option<()> {
        let (key, data) = (entry.key?, entry.data?);
        let index = self.incoming.records.len();
        self.incoming.hashes.extend(entry.hash.map(|hash| (index, hash)));
        self.incoming.records.push(Some(key), Some(data), None);
        Some(())
    }

    fn stream(&mut self) -> Option<String> {
        let name = self.string()?;
        let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let name = text(name).filter(|name| (1..=STREAM_LEN_MAX).contains(&name.len()) && name.as_bytes().iter().all(is_legal));
        name.map(str::to_owned)
    }

    /// An object of one member at least.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What stands between the next quotes. Whoever takes it must refuse a backslash, which may stand before the second.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let rest = &self.text[self.at..];
        let len = memchr::memchr(b'"', rest)?;
        self.at += len + 1;
        Some(&rest[..len])
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.skip();
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip();
        self.at == self.text.len()
    }
}

/// A string's text, if it has no escapes and nothing that JSON wants escaped.
fn text(string: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'\\';
    std::str::from_utf8(string).ok().filter(|_| string.iter().all(is_plain))
}
