//! Reads bodies into nodes: JSON 1.1 and CBOR, before a model says what their values are. Clients are not trusted: depth and number of
//! nodes are bounded, nothing is allocated because a body announces it, and texts and bytes are left where they were sent if they can be.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error as CborError};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::value::TIME_TAG;

/// How deep lists and maps may lie in each other; what the services take has five levels.
const DEPTH_MAX: usize = 32;
/// The most values in one body, keys not counted; a call of 500 records has some 2,000.
const NODES_MAX: usize = 100_000;

/// A value as it was sent. A node's memory is some ten times that of the shortest text it is sent as, hence the bound on their number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// Only in CBOR.
    Blob(Bytes),
    /// Milliseconds since 1970. Only in CBOR.
    Time(f64),
    List(Vec<Node<'a>>),
    /// In the order sent; a name may be there twice.
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Reads a JSON text; `None` if it is none, or over the bounds.
pub(crate) fn json(body: &Bytes) -> Option<Node<'_>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let node = Json { left: &mut NODES_MAX.clone(), depth: 0 }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(node)
}

/// Reads one CBOR item; `None` if it is none, or over the bounds. Tags other than that of times are passed over.
pub(crate) fn cbor(body: &Bytes) -> Option<Node<'_>> {
    let mut reader = Cbor { body, decoder: Decoder::new(body), left: NODES_MAX };
    let node = reader.item(0).ok()?;
    (reader.decoder.position() == body.len()).then_some(node)
}

struct Json<'b> {
    /// How many nodes there may be yet.
    left: &'b mut usize,
    depth: usize,
}

impl Json<'_> {
    fn below(&mut self) -> Json<'_> {
        Json { left: self.left, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Node<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        if self.depth > DEPTH_MAX {
            return Err(D::Error::custom("too deep"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.below())? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(self.below())?));
        }
        Ok(Node::Map(members))
    }
}

/// A member's name, left in the body if it can be.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

struct Cbor<'a> {
    body: &'a Bytes,
    decoder: Decoder<'a>,
    left: usize,
}

impl<'a> Cbor<'a> {
    fn item(&mut self, depth: usize) -> Result<Node<'a>, CborError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| CborError::message("too many values"))?;
        if depth > DEPTH_MAX {
            return Err(CborError::message("too deep"));
        }
        let decoder = &mut self.decoder;
        Ok(match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| Node::Null)?,
            Type::Undefined => decoder.undefined().map(|()| Node::Null)?,
            Type::Bool => Node::Bool(decoder.bool()?),
            Type::F16 | Type::F32 | Type::F64 => Node::Float(decoder.f64()?),
            Type::Bytes => Node::Blob(self.body.slice_ref(decoder.bytes()?)),
            Type::BytesIndef => Node::Blob(decoder.bytes_iter()?.collect::<Result<Vec<_>, _>>()?.concat().into()),
            Type::String => Node::Text(Cow::Borrowed(decoder.str()?)),
            Type::StringIndef => Node::Text(Cow::Owned(decoder.str_iter()?.collect::<Result<String, _>>()?)),
            Type::Array | Type::ArrayIndef => self.list(depth)?,
            Type::Map | Type::MapIndef => self.map(depth)?,
            Type::Tag => self.tagged(depth)?,
            Type::Break | Type::Simple | Type::Unknown(_) => return Err(CborError::message("no value")),
            _ => whole(decoder.int()?.into()),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, CborError> {
        let mut announced = self.decoder.array()?;
        let mut items = Vec::new();
        while self.another(&mut announced)? {
            items.push(self.item(depth + 1)?);
        }
        Ok(Node::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Node<'a>, CborError> {
        let mut announced = self.decoder.map()?;
        let mut members = Vec::new();
        while self.another(&mut announced)? {
            let Node::Text(name) = self.item(depth + 1)? else { return Err(CborError::message("a name is text")) };
            members.push((name, self.item(depth + 1)?));
        }
        Ok(Node::Map(members))
    }

    /// Whether there is one more, of as many as were announced or up to the end mark.
    fn another(&mut self, announced: &mut Option<u64>) -> Result<bool, CborError> {
        if let Some(left) = announced {
            let more = left.checked_sub(1);
            *left = more.unwrap_or(0);
            return Ok(more.is_some());
        }
        let ended = self.decoder.datatype()? == Type::Break;
        if ended {
            self.decoder.set_position(self.decoder.position() + 1);
        }
        Ok(!ended)
    }

    fn tagged(&mut self, depth: usize) -> Result<Node<'a>, CborError> {
        let tag = self.decoder.tag()?;
        Ok(match (self.item(depth + 1)?, tag == TIME_TAG) {
            (Node::Int(ms), true) => Node::Time(ms as f64),
            (Node::Float(ms), true) => Node::Time(ms),
            (other, _) => other,
        })
    }
}

/// A whole number, as near as it can be had.
fn whole<'a>(number: i128) -> Node<'a> {
    i64::try_from(number).map_or(Node::Float(number as f64), Node::Int)
}
