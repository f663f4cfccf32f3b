//! Buffers that reads use again and again: a fresh one costs more in page faults than the read itself when the file is in memory.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What a buffer holds; what is larger gets one of its own.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;
/// Smaller ones are cheap, and would keep a whole one from others.
const SHARED_BYTES_MIN: usize = 64 << 10;
/// How many are kept while nobody uses them.
const KEPT_MAX: usize = 8;

/// How much memory a part of so many filled bytes keeps.
pub(crate) fn kept_by(len: usize) -> usize {
    if is_shared(len) { BUFFER_BYTES } else { len }
}

fn is_shared(len: usize) -> bool {
    (SHARED_BYTES_MIN..=BUFFER_BYTES).contains(&len)
}

/// The buffers that nobody uses now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// `len` bytes as `fill` makes them; the buffer comes back when the last who holds a part of it lets go.
    pub(crate) fn filled<E>(&self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Bytes, E> {
        if !is_shared(len) {
            let mut bytes = vec![0; len];
            fill(&mut bytes)?;
            return Ok(bytes.into());
        }
        let bytes = self.lock().pop().unwrap_or_else(|| vec![0; BUFFER_BYTES]);
        let mut buffer = Buffer { bytes, len, home: self.clone() };
        fill(&mut buffer.bytes[..len])?;
        Ok(Bytes::from_owner(buffer))
    }

    /// How many are kept that nobody uses.
    #[cfg(test)]
    pub(crate) fn unused(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use.
struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = self.home.lock();
        if kept.len() < KEPT_MAX {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}
