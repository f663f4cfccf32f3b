//! Checks that a message's body is what it claims to be before a codec decodes it: a codec sets room aside for as many elements as an array
//! says it has, and a hostile one says 2^31 in ten bytes. Walks the fields by a table of shapes and keeps nothing. It must not know which
//! messages there are.
//!
//! A table has one line a message; lines that begin with `#` are passed over:
//!
//! ```text
//! KEY NAME FLEXIBLE: FIELD, FIELD
//! ```
//!
//! `FLEXIBLE` is the first version with compact lengths and tagged fields, `-` for none. A field is its versions (`3+`, `0-12`; all, if none
//! are named), its name, its tag (`@0`) if it is among the tagged fields, and its type: `i8`, `bool`, `i16`, `i32`, `i64`, `uuid`, `str`,
//! `bytes`, `[..]` an array of fields or of one type, `(..)` a structure, `{..}` a structure that may be missing.
//!
//! Source: the Kafka protocol guide, "Protocol Primitive Types".

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::error::{Error, Result};

/// A version that no message has.
const UNLIMITED: i16 = i16::MAX;

/// The shapes of messages, by the key of their API.
#[derive(Debug)]
pub struct Shapes {
    pub(crate) by_key: HashMap<i16, Shape>,
    elements_max: usize,
}

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) flexible_from: i16,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    from: i16,
    to: i16,
    /// It is among the tagged fields then.
    pub(crate) tag: Option<u32>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Fixed(usize),
    Text,
    Bytes,
    Array(Vec<Field>),
    /// An array of values that are no structures.
    Values(Box<Kind>),
    Structure(Vec<Field>),
    /// A structure behind a byte that says whether it is there.
    Optional(Vec<Field>),
}

impl Shapes {
    /// Reads a table. All arrays of one message may have `elements_max` elements together.
    ///
    /// # Errors
    /// Of kind `Invalid`, when a line is not as above.
    pub fn parse(table: &str, elements_max: usize) -> Result<Self> {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let parsed = lines.map(|line| parse_line(line).ok_or_else(|| Error::invalid(format!("no shape of a message: '{line}'"))));
        Ok(Self { by_key: parsed.collect::<Result<_>>()?, elements_max })
    }

    /// Whether `body` begins with a whole message of API `key` in `version`, with no array longer than what is there. Bytes behind it are
    /// passed over, as Kafka's own brokers do: librdkafka sends three of them when it asks for all topics.
    pub fn holds(&self, key: i16, version: i16, body: &[u8]) -> bool {
        let Some(shape) = self.by_key.get(&key) else { return false };
        let mut walk = Walk { rest: body, version, flexible: version >= shape.flexible_from, elements: self.elements_max };
        walk.structure(&shape.fields).is_some()
    }
}

impl Field {
    pub(crate) fn is_in(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    /// How many may still come.
    elements: usize,
}

/// `None` everywhere: the bytes are not what they should be.
impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            self.field(&field.kind)?;
        }
        if self.flexible { self.tagged(fields) } else { Some(()) }
    }

    fn field(&mut self, kind: &Kind) -> Option<()> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes),
            Kind::Text => {
                let length = if self.flexible { self.compact_length()? } else { self.length_16()? };
                self.skip(length.unwrap_or(0))
            }
            Kind::Bytes => {
                let length = self.length()?;
                self.skip(length.unwrap_or(0))
            }
            Kind::Array(fields) => {
                let count = self.length()?.unwrap_or(0);
                self.count(count)?;
                (0..count).try_for_each(|_| self.structure(fields))
            }
            Kind::Values(kind) => {
                let count = self.length()?.unwrap_or(0);
                self.count(count)?;
                (0..count).try_for_each(|_| self.field(kind))
            }
            Kind::Structure(fields) => self.structure(fields),
            Kind::Optional(fields) => match self.take(1)? {
                [1] => self.structure(fields),
                _ => Some(()),
            },
        }
    }

    /// Every element takes a byte at least, and all arrays share one bound.
    fn count(&mut self, elements: usize) -> Option<()> {
        self.elements = self.elements.checked_sub(elements)?;
        (elements <= self.rest.len()).then_some(())
    }

    /// Codecs do not look at the size of a tagged field that they know, so that is walked as it is decoded.
    fn tagged(&mut self, known: &[Field]) -> Option<()> {
        let fields = self.varint()?;
        for _ in 0..fields {
            let tag = self.varint()?;
            let size = self.varint()?;
            match known.iter().find(|field| field.tag == Some(tag) && field.is_in(self.version)) {
                Some(field) => self.field(&field.kind)?,
                None => self.skip(usize::try_from(size).ok()?)?,
            }
        }
        Some(())
    }

    /// A length of four bytes, or a compact one; the outer `None` is an error, the inner one is null.
    #[expect(clippy::option_option, reason = "outer: decodes at all; inner: the field's own null")]
    fn length(&mut self) -> Option<Option<usize>> {
        if self.flexible {
            return self.compact_length();
        }
        match i32::from_be_bytes(self.take(4)?.try_into().ok()?) {
            -1 => Some(None),
            length => Some(Some(usize::try_from(length).ok()?)),
        }
    }

    #[expect(clippy::option_option, reason = "as for `length`")]
    fn length_16(&mut self) -> Option<Option<usize>> {
        match i16::from_be_bytes(self.take(2)?.try_into().ok()?) {
            -1 => Some(None),
            length => Some(Some(usize::try_from(length).ok()?)),
        }
    }

    #[expect(clippy::option_option, reason = "as for `length`")]
    fn compact_length(&mut self) -> Option<Option<usize>> {
        Some((self.varint()? as usize).checked_sub(1))
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u64;
        for at in 0..5 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.take(bytes).map(drop)
    }

    fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

/// A line of a table.
fn parse_line(line: &str) -> Option<(i16, Shape)> {
    let (head, fields) = line.split_once(':')?;
    let mut head = head.split(' ');
    let (key, _name, flexible) = (head.next()?, head.next()?, head.next()?);
    let flexible_from = if flexible == "-" { UNLIMITED } else { flexible.parse().ok()? };
    let mut rest = fields.trim();
    let fields = if rest.is_empty() { Vec::new() } else { parse_fields(&mut rest)? };
    rest.is_empty().then_some((key.parse().ok()?, Shape { flexible_from, fields }))
}

/// Fields up to the end or a closing bracket.
fn parse_fields(rest: &mut &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    loop {
        let (from, to) = parse_versions(rest)?;
        let (_name, behind) = rest.split_once(' ')?;
        *rest = behind;
        let tag = match rest.strip_prefix('@') {
            Some(behind) => {
                let (tag, behind) = behind.split_once(' ')?;
                *rest = behind;
                Some(tag.parse().ok()?)
            }
            None => None,
        };
        fields.push(Field { from, to, tag, kind: parse_kind(rest)? });
        match rest.strip_prefix(", ") {
            Some(behind) => *rest = behind,
            None => return Some(fields),
        }
    }
}

fn parse_versions(rest: &mut &str) -> Option<(i16, i16)> {
    if !rest.starts_with(|first: char| first.is_ascii_digit()) {
        return Some((0, UNLIMITED));
    }
    let (versions, behind) = rest.split_once(' ')?;
    *rest = behind;
    if let Some(from) = versions.strip_suffix('+') {
        return Some((from.parse().ok()?, UNLIMITED));
    }
    let (from, to) = versions.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn parse_kind(rest: &mut &str) -> Option<Kind> {
    if let Some(inside) = rest.strip_prefix('(') {
        *rest = inside;
        let fields = parse_fields(rest)?;
        *rest = rest.strip_prefix(')')?;
        return Some(Kind::Structure(fields));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        *rest = inside;
        let fields = parse_fields(rest)?;
        *rest = rest.strip_prefix('}')?;
        return Some(Kind::Optional(fields));
    }
    if let Some(inside) = rest.strip_prefix('[') {
        *rest = inside;
        let end = rest.find([' ', ']'])?;
        let kind = if rest[end..].starts_with(']') {
            Kind::Values(Box::new(parse_kind(rest)?))
        } else {
            Kind::Array(parse_fields(rest)?)
        };
        *rest = rest.strip_prefix(']')?;
        return Some(kind);
    }
    let end = rest.find([',', ']', ')', '}']).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    *rest = behind;
    Some(match name {
        "i8" | "bool" => Kind::Fixed(1),
        "i16" => Kind::Fixed(2),
        "i32" => Kind::Fixed(4),
        "i64" => Kind::Fixed(8),
        "uuid" => Kind::Fixed(16),
        "str" => Kind::Text,
        "bytes" => Kind::Bytes,
        _ => return None,
    })
}
