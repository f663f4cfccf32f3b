//! Checks that an answer's body is what it claims to be before the codec decodes it: the codec sets room aside for as many elements as an
//! array says it has, and a broken one says 2^31 in ten bytes. Walks the fields by the shapes in `answers.txt` and keeps nothing.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

/// A version that no API has.
const UNLIMITED: i16 = i16::MAX;

static SHAPES: LazyLock<HashMap<i16, Shape>> = LazyLock::new(|| {
    let lines = include_str!("shape/answers.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| parse_line(line).expect("the shapes are well formed")).collect()
});

#[derive(Debug)]
struct Shape {
    flexible_from: i16,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    from: i16,
    to: i16,
    /// It is among the tagged fields then.
    tag: Option<u32>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Fixed(usize),
    Text,
    Bytes,
    Array(Vec<Field>),
    /// An array of values that are no structures.
    Values(Box<Kind>),
    Structure(Vec<Field>),
}

/// Whether `body` begins with a whole answer to API `key` in `version`, with no array longer than what is there. How many elements there are
/// is bounded by the bytes of the answer, as all of them must be there.
pub(super) fn holds(key: i16, version: i16, body: &[u8]) -> bool {
    let Some(shape) = SHAPES.get(&key) else { return false };
    let mut walk = Walk { rest: body, version, flexible: version >= shape.flexible_from };
    walk.structure(&shape.fields).is_some()
}

impl Field {
    fn is_in(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
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
        }
    }

    /// Every element takes a byte at least.
    fn count(&self, elements: usize) -> Option<()> {
        (elements <= self.rest.len()).then_some(())
    }

    /// The codec does not look at the size of a tagged field that it knows, so that is walked as it is decoded.
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

/// A line of `answers.txt`.
fn parse_line(line: &str) -> Option<(i16, Shape)> {
    let (head, fields) = line.split_once(':')?;
    let mut head = head.split(' ');
    let (key, _name, flexible) = (head.next()?, head.next()?, head.next()?);
    let flexible_from = if flexible == "-" { UNLIMITED } else { flexible.parse().ok()? };
    let mut rest = fields.trim();
    let fields = parse_fields(&mut rest)?;
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
    let end = rest.find([',', ']', ')']).unwrap_or(rest.len());
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
