//! Values of requests and answers as a tree, and how they are printed as JSON 1.1 and as CBOR.
//!
//! The codecs differ in two types: a blob is base64 in JSON and bytes in CBOR; a time is seconds since 1970 with three decimals in
//! JSON, and tag 1 before whole milliseconds in CBOR (as AWS does, not as the tag's own definition says).

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use minicbor::Encoder;
use minicbor::data::Tag;
use pinlake_core::Timestamp;

/// CBOR's tag of times.
pub(super) const TIME_TAG: Tag = Tag::new(1);

/// A value. Members of a map stand in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Blob(Bytes),
    Time(Timestamp),
    List(Vec<Value>),
    Map(Vec<(Cow<'static, str>, Value)>),
}

impl Value {
    /// A structure of these members; those that are null are left out, as AWS does with what is not there.
    pub(crate) fn map<const N: usize>(members: [(&'static str, Value); N]) -> Self {
        let there = members.into_iter().filter(|(_, value)| *value != Self::Null);
        Self::Map(there.map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// A list.
    pub(crate) fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The member of this name, unless it is not there, or this no map.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The member of this name, if it is text. So are the next, each for its type.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        if let Self::Text(text) = self.get(name)? { Some(text) } else { None }
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        if let Self::Int(number) = self.get(name)? { Some(*number) } else { None }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        if let Self::Bool(flag) = self.get(name)? { Some(*flag) } else { None }
    }

    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        if let Self::Time(time) = self.get(name)? { Some(*time) } else { None }
    }

    pub(crate) fn blob(&self, name: &str) -> Option<&Bytes> {
        if let Self::Blob(blob) = self.get(name)? { Some(blob) } else { None }
    }

    /// The items of a list; none if it is not there.
    pub(crate) fn items(&self, name: &str) -> &[Value] {
        if let Some(Self::List(items)) = self.get(name) { items } else { &[] }
    }

    /// The members of a map; none if it is not there.
    pub(crate) fn members(&self, name: &str) -> &[(Cow<'static, str>, Value)] {
        if let Some(Self::Map(members)) = self.get(name) { members } else { &[] }
    }

    /// What the text says, if this is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The JSON text.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.push_json(&mut out);
        out
    }

    /// The CBOR bytes.
    pub(crate) fn to_cbor(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let pushed = self.push_cbor(&mut Encoder::new(&mut out));
        pushed.expect("memory takes what is written");
        out
    }

    fn push_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Self::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Float(number) => serde_json::to_writer(out, number).expect("memory takes what is written"),
            Self::Text(text) => push_json_text(out, text),
            Self::Blob(blob) => push_base64(out, blob),
            Self::Time(time) => push_seconds(out, *time),
            Self::List(items) => {
                push_all(out, *b"[]", items, |out, item| item.push_json(out));
            }
            Self::Map(members) => push_all(out, *b"{}", members, |out, (name, value)| {
                push_json_text(out, name);
                out.push(b':');
                value.push_json(out);
            }),
        }
    }

    fn push_cbor(&self, out: &mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        match self {
            Self::Null => out.null()?,
            Self::Bool(flag) => out.bool(*flag)?,
            Self::Int(number) => out.i64(*number)?,
            Self::Float(number) => out.f64(*number)?,
            Self::Text(text) => out.str(text)?,
            Self::Blob(blob) => out.bytes(blob)?,
            Self::Time(time) => out.tag(TIME_TAG)?.i64(time.0)?,
            Self::List(items) => {
                out.array(items.len() as u64)?;
                return items.iter().try_for_each(|item| item.push_cbor(out));
            }
            Self::Map(members) => {
                out.map(members.len() as u64)?;
                return members.iter().try_for_each(|(name, value)| {
                    out.str(name)?;
                    value.push_cbor(out)
                });
            }
        };
        Ok(())
    }
}

fn push_all<T>(out: &mut Vec<u8>, [open, close]: [u8; 2], all: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    out.push(open);
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, one);
    }
    out.push(close);
}

fn push_json_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("memory takes what is written");
}

fn push_base64(out: &mut Vec<u8>, blob: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + blob.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(blob, &mut out[start..]).expect("four bytes for each three, the last padded");
    out.push(b'"');
}

fn push_seconds(out: &mut Vec<u8>, time: Timestamp) {
    let ms = time.0.unsigned_abs();
    let sign = if time.0 < 0 { "-" } else { "" };
    out.extend_from_slice(format!("{sign}{}.{:03}", ms / 1000, ms % 1000).as_bytes());
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Bytes> for Value {
    fn from(blob: Bytes) -> Self {
        Self::Blob(blob)
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
