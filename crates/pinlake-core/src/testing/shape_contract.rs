//! What every table of shapes and the codec behind it must keep to: messages are made by the shapes, and the codec decodes them.

use crate::wire::shape::{Field, Kind, Shapes};

/// What a message's fields hold.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// In each array.
    pub elements: usize,
    /// Every text, shorter than 127 bytes.
    pub text: &'a [u8],
    /// All bytes.
    pub bytes: &'a [u8],
    /// Every number.
    pub number: u8,
}

const ANY: Filling<'_> = Filling { elements: 2, text: b"abc", bytes: &[1, 2, 3], number: 0 };

/// The messages to try, as API key and version.
pub type Messages<'a> = &'a [(i16, i16)];

/// What has the shape is what the codec decodes. `decode` takes API key, version and body, and answers how many bytes it left.
///
/// # Panics
/// When it is not so.
pub fn what_has_the_shape_decodes(
    shapes: &Shapes,
    messages: Messages<'_>,
    decode: impl Fn(i16, i16, &[u8]) -> Result<usize, String>,
) {
    for (key, version) in messages.iter().copied() {
        for elements in 0..3 {
            let body = made(shapes, key, version, Filling { elements, ..ANY });
            assert_eq!(decode(key, version, &body), Ok(0), "API {key} {version} with {elements} elements");
            assert!(shapes.holds(key, version, &body), "API {key} {version} with {elements} elements");
        }
    }
}

/// What is cut off anywhere has not the shape, and what goes on has.
///
/// # Panics
/// When it is not so.
pub fn what_is_cut_off_has_not_the_shape(shapes: &Shapes, messages: Messages<'_>) {
    for (key, version) in messages.iter().copied() {
        let body = made(shapes, key, version, ANY);
        for end in 0..body.len() {
            assert!(!shapes.holds(key, version, &body[..end]), "API {key} {version} cut at {end}");
        }
        assert!(shapes.holds(key, version, &[&body[..], &[0]].concat()), "API {key} {version} and one byte more");
    }
}

/// Every four bytes of every message as a length of 2 GiB, and every byte as a compact one: what still has the shape, the codec may look at.
///
/// # Panics
/// The process ends when the codec believes a claim.
pub fn no_claim_of_an_array_is_believed(
    shapes: &Shapes,
    messages: Messages<'_>,
    decode: impl Fn(i16, i16, &[u8]) -> Result<usize, String>,
) {
    for (key, version) in messages.iter().copied() {
        let body = made(shapes, key, version, ANY);
        for at in 0..body.len() {
            let long = [&body[..at], &[0xff, 0xff, 0xff, 0xff, 0x07], &body[at..]].concat();
            let wide = [&body[..at], &[0x7f, 0xff, 0xff, 0xff], &body[at..]].concat();
            for claim in [long, wide] {
                if shapes.holds(key, version, &claim) {
                    // It was a number or a text then: the codec must not find a long array in it.
                    let _ = decode(key, version, &claim);
                }
            }
        }
    }
}

/// The body of a message, with every optional and tagged field, and one tagged field that nobody knows.
///
/// # Panics
/// When there is no such API, or the filling is too long.
pub fn made(shapes: &Shapes, key: i16, version: i16, filling: Filling<'_>) -> Vec<u8> {
    let shape = &shapes.by_key[&key];
    let mut maker = Maker { out: Vec::new(), version, flexible: version >= shape.flexible_from, filling };
    maker.structure(&shape.fields);
    maker.out
}

struct Maker<'a> {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
    filling: Filling<'a>,
}

impl Maker<'_> {
    fn structure(&mut self, fields: &[Field]) {
        let here = fields.iter().filter(|field| field.is_in(self.version));
        let (tagged, plain): (Vec<&Field>, Vec<&Field>) = here.partition(|field| field.tag.is_some());
        plain.iter().for_each(|field| self.field(&field.kind));
        if !self.flexible {
            return;
        }
        self.varint(tagged.len() + 1);
        for field in tagged {
            self.varint(field.tag.unwrap() as usize);
            // Its size is not looked at by codecs.
            self.varint(0);
            self.field(&field.kind);
        }
        // The one that nobody knows, of two bytes.
        self.out.extend_from_slice(&[99, 2, 7, 7]);
    }

    fn field(&mut self, kind: &Kind) {
        let Filling { elements, text, bytes, number } = self.filling;
        match kind {
            Kind::Fixed(size) => {
                self.out.extend(std::iter::repeat_n(0, size - 1));
                self.out.push(number);
            }
            Kind::Text => {
                let length = u8::try_from(text.len()).unwrap();
                let length: &[u8] = if self.flexible { &[length + 1] } else { &[0, length] };
                self.out.extend_from_slice(length);
                self.out.extend_from_slice(text);
            }
            Kind::Bytes => {
                self.length(bytes.len());
                self.out.extend_from_slice(bytes);
            }
            Kind::Array(fields) => {
                self.length(elements);
                (0..elements).for_each(|_| self.structure(fields));
            }
            Kind::Values(kind) => {
                self.length(elements);
                (0..elements).for_each(|_| self.field(kind));
            }
            Kind::Structure(fields) => self.structure(fields),
            Kind::Optional(fields) => {
                self.out.push(1);
                self.structure(fields);
            }
        }
    }

    /// Of an array or of bytes; a compact one is one more.
    fn length(&mut self, length: usize) {
        if self.flexible {
            self.varint(length + 1);
        } else {
            self.out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
