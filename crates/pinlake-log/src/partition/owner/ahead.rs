//! Writing ahead: while a round is synced, what comes for the next one is written behind it once it is much, so that the disk does not wait
//! for the copying. Little waits until the sync has ended: it comes no later to the disk, and fewer writes are cheaper.
//!
//! What is written ahead is told to nobody before its own sync, and is cut off again where the disk has no room for all of its round.

use std::pin::pin;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::Owner;
use super::round::Round;
use crate::partition::writer::{Fault, Place};

impl Owner {
    /// Waits for a round that is at the disk, and writes the next one behind it meanwhile. `written` is told once the round is in the file.
    pub(super) async fn write_ahead_of<T>(
        &mut self,
        round: &Round,
        at_disk: impl Future<Output = T>,
        written: oneshot::Receiver<Place>,
    ) -> T {
        let mut at_disk = pin!(at_disk);
        let place = tokio::select! {
            biased;
            done = &mut at_disk => return done,
            place = written => place,
        };
        // Nobody tells where the write failed.
        let Ok(place) = place else { return at_disk.await };
        let place = place.behind(round.bytes);
        let mut next = round.next();
        let view = self.view.clone();
        let mut goes_on = true;
        let done = loop {
            if goes_on && next.writing.is_none() && self.much_waits() {
                self.gather_now();
                let waited = self.waiting.len();
                self.stage(&mut next);
                // What is no append, or finds no room in the segment, keeps back what is behind it.
                goes_on = waited == 0 || self.waiting.len() < waited;
                self.write(&place, &mut next);
            }
            tokio::select! {
                biased;
                done = &mut at_disk => break done,
                wrote = next.written(), if next.writing.is_some() => if let Err(fault) = wrote {
                    self.give_up(std::mem::replace(&mut next, round.next()), fault);
                    goes_on = false;
                },
                () = view.much.notified(), if goes_on => {}
            }
        };
        self.ahead = (!next.callers.is_empty()).then_some(next);
        done
    }

    fn much_waits(&self) -> bool {
        self.view.waiting_bytes.load(Ordering::Acquire) >= self.context.settings.ahead_bytes
    }

    /// Has the batches written that are not yet. Each write is large, so the room that appends have bounds how many threads are at it.
    fn write(&self, place: &Place, next: &mut Round) {
        let ahead = next.ahead;
        if ahead.batches == next.batches.len() {
            return;
        }
        if ahead.batches == 0 {
            next.ahead.failed_syncs = self.context.syncer.failed();
        }
        let (place, batches) = (place.clone(), next.batches[ahead.batches..].to_vec());
        (next.ahead.batches, next.ahead.bytes) = (next.batches.len(), next.bytes);
        next.writing = Some(tokio::task::spawn_blocking(move || place.write(&batches, ahead.bytes)));
    }

    /// Nothing of a round is in the file any more, or the partition stops.
    pub(super) fn give_up(&mut self, round: Round, fault: Fault) {
        let error = match fault {
            Fault::Refused(error) => error,
            Fault::Broken(error) => self.stop(error),
        };
        self.take_back(round, &error);
    }
}
