//! Cuts a stream of JSON objects, one behind the other, into the objects, as its parts come in. It looks at braces and strings alone:
//! whether an object is one is for its parser to say.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

/// A stream that is being cut.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    buffer: BytesMut,
    /// How far the buffer was looked through.
    at: usize,
    /// How many objects and lists are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// Between two objects stands something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoObject;

impl Splitter {
    /// Takes the next part.
    pub(super) fn push(&mut self, part: &[u8]) {
        self.buffer.extend_from_slice(part);
    }

    /// Bytes that are kept for an object that is not whole yet, and for those behind it.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the stream may end here.
    pub(super) fn is_between(&self) -> bool {
        self.depth == 0 && self.buffer.trim_ascii().is_empty()
    }

    /// The next object, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, NoObject> {
        if self.depth == 0 {
            let blanks = self.buffer.len() - self.buffer.trim_ascii_start().len();
            let _ = self.buffer.split_to(blanks);
            self.at = 0;
            if self.buffer.first().is_some_and(|first| *first != b'{') {
                return Err(NoObject);
            }
        }
        while let Some(byte) = self.buffer.get(self.at) {
            self.at += 1;
            if self.step(*byte) {
                let object = self.buffer.split_to(self.at).freeze();
                self.at = 0;
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// Looks at a byte; whether an object ends with it.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            let was_escaped = std::mem::take(&mut self.escaped);
            match byte {
                b'\\' if !was_escaped => self.escaped = true,
                b'"' if !was_escaped => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
