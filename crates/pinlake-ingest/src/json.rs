//! JSON texts as bytes: what is insignificant white space is cut out, everything else stays as it was sent.

mod scanner;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr2;

pub(crate) use scanner::{JsonError, Scanner, Value};

use crate::records::{Records, Span};

impl Value<'_> {
    /// The value's compact text as a part of a record: in the body if it is compact there.
    pub(crate) fn span(&self, records: &mut Records) -> Span {
        if self.has_blanks() {
            records.write(|scratch| compact(self.text(), scratch))
        } else {
            records.borrow(self.text().as_bytes())
        }
    }

    /// What a string says; `None` if it is no string or holds half a surrogate pair.
    pub(crate) fn string(&self) -> Option<Cow<'_, str>> {
        let content = self.text().strip_prefix('"')?.strip_suffix('"')?;
        if content.as_bytes().contains(&b'\\') {
            return serde_json::from_str(self.text()).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(content))
    }
}

/// Appends `text` as a JSON string literal.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("text is always a JSON string"));
}

/// Appends a number.
pub(crate) fn push_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// The compact form of a valid JSON text.
pub(crate) fn compacted(raw: &str) -> Bytes {
    let mut out = Vec::with_capacity(raw.len());
    compact(raw, &mut out);
    out.into()
}

/// Appends the compact form of the valid JSON text `raw` to `out`.
fn compact(raw: &str, out: &mut Vec<u8>) {
    let text = raw.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.extend_from_slice(&text[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&text[copied..]);
}

/// Where the string that opens at `open` is over.
fn end_of_string(text: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(found) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}
