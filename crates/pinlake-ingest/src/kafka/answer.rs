//! What goes back to a client: one frame, in pieces, so that batches go from the log to the socket without being copied.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Pieces smaller than this are copied into one: writing many small ones costs more.
const COPIED_BYTES_MAX: usize = 4096;

/// A frame, or what of it is still to be sent.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl From<Bytes> for Answer {
    fn from(whole: Bytes) -> Self {
        Self { bytes: whole.len(), pieces: VecDeque::from([whole]) }
    }
}

impl Buf for Answer {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.bytes, "an answer is not longer than its pieces");
        self.bytes -= count;
        let mut left = count;
        while let Some(first) = self.pieces.front_mut() {
            if left < first.len() {
                first.advance(left);
                return;
            }
            left -= first.len();
            self.pieces.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let filled = out.iter_mut().zip(&self.pieces).map(|(slice, piece)| *slice = IoSlice::new(piece));
        filled.count()
    }
}

/// Gathers an answer.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    done: VecDeque<Bytes>,
    /// Bytes of `done`.
    bytes: usize,
    /// What was copied since the last piece.
    open: BytesMut,
}

impl Pieces {
    /// What was copied last, to be written to.
    pub(super) fn open(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    /// Adds `piece`, which is shared if it is large.
    pub(super) fn push(&mut self, piece: &Bytes) {
        if piece.len() < COPIED_BYTES_MAX {
            self.open.extend_from_slice(piece);
            return;
        }
        self.close();
        self.bytes += piece.len();
        self.done.push_back(piece.clone());
    }

    /// How many bytes they are.
    pub(super) fn len(&self) -> usize {
        self.bytes + self.open.len()
    }

    /// All of it, behind `head`.
    pub(super) fn behind(mut self, head: Bytes) -> Answer {
        self.close();
        self.bytes += head.len();
        self.done.push_front(head);
        Answer { pieces: self.done, bytes: self.bytes }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.bytes += self.open.len();
            self.done.push_back(self.open.split().freeze());
        }
    }
}
