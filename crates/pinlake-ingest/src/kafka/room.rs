//! Room for the bytes of answers: however many clients fetch at the same moment, what is read for them has a bound.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a fetch gets at least, however many others there are; it waits for that.
const LEAST_BYTES: usize = 1 << 20;

/// The room that all answers share.
#[derive(Debug)]
pub(super) struct Answers {
    bytes: Arc<Semaphore>,
}

impl Answers {
    /// So many bytes for all.
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes.max(LEAST_BYTES))) }
    }

    /// Room for `wanted` bytes, or for as many as one of several may take now.
    pub(super) async fn take(&self, wanted: usize) -> OwnedSemaphorePermit {
        let fair = (self.bytes.available_permits() / 4).max(LEAST_BYTES);
        let bytes = u32::try_from(wanted.min(fair)).unwrap_or(u32::MAX);
        match self.bytes.clone().try_acquire_many_owned(bytes) {
            Ok(room) => room,
            Err(_) => {
                let least = u32::try_from(wanted.min(LEAST_BYTES)).expect("it is 1 MiB at most");
                self.bytes.clone().acquire_many_owned(least).await.expect("the room is never closed")
            }
        }
    }
}

/// The room of one answer, until it is sent.
#[derive(Debug, Default)]
pub(super) struct Held {
    room: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Held {
    pub(super) fn hold(&self, room: OwnedSemaphorePermit) {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
    }

    pub(super) fn release(&self) {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
