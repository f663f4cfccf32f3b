//! Makes requests by their shapes, for tests.

use super::{Field, Kind, SHAPES};

/// What a request's fields hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::kafka) struct Filling<'a> {
    /// In each array.
    pub(in crate::kafka) elements: usize,
    /// Every text, shorter than 127 bytes.
    pub(in crate::kafka) text: &'a [u8],
    /// All bytes.
    pub(in crate::kafka) bytes: &'a [u8],
    /// Every number.
    pub(in crate::kafka) number: u8,
}

/// The body of a request.
pub(in crate::kafka) fn made(key: i16, version: i16, filling: Filling<'_>) -> Vec<u8> {
    let shape = &SHAPES[&key];
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
        let version = self.version;
        for field in fields.iter().filter(|field| field.from <= version && version <= field.to) {
            self.field(&field.kind);
        }
        if self.flexible {
            // One tagged field that nobody knows, of two bytes.
            self.out.extend_from_slice(&[1, 99, 2, 7, 7]);
        }
    }

    fn field(&mut self, kind: &Kind) {
        let Filling { elements, text, bytes, number } = self.filling;
        match kind {
            Kind::Fixed(size) => {
                self.out.extend(std::iter::repeat_n(0, size - 1));
                self.out.push(number);
            }
            Kind::Text => {
                let length = u8::try_from(text.len()).expect("a short text");
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
            Kind::Optional(fields) => {
                self.out.push(1);
                self.structure(fields);
            }
        }
    }

    fn length(&mut self, length: usize) {
        if self.flexible {
            // As a varint: the length is one less than what stands there.
            let mut rest = length + 1;
            while rest >= 0x80 {
                self.out.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            self.out.push(rest as u8);
        } else {
            self.out.extend_from_slice(&u32::try_from(length).expect("a short length").to_be_bytes());
        }
    }
}
