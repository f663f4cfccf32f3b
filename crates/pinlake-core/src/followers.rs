//! Who follows which topic and how far each has come: what retention may not pass, and what lag is measured by.
//!
//! A follower's position here is a report, never the truth: the truth lies with its data.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::position::{Offset, TopicName, TopicPartition};

type Interest = Box<dyn Fn(&TopicName) -> bool + Send + Sync>;

/// A partition whose followers are further behind than this, records, takes new ones no faster than they come along.
pub const BEHIND_RECORDS_MAX: u64 = 1_000_000;
/// How long an append waits for them at most: a follower that stands still must not keep records out of the log.
pub const BEHIND_PAUSE_MAX: Duration = Duration::from_millis(200);

/// All followers of a log. Cheap to clone; clones share one state.
#[derive(Clone, Default)]
pub struct Followers {
    inner: Arc<Mutex<HashMap<String, Follower>>>,
    reported: Arc<Notify>,
}

struct Follower {
    follows: Interest,
    /// Whether producers wait for it, and topics are not deleted under it.
    is_awaited: bool,
    positions: HashMap<TopicPartition, Offset>,
}

impl Followers {
    /// Registers a follower before it has read anything: from now on nothing of the topics it `follows` is dropped until it
    /// has reported past it.
    pub fn register(&self, name: &str, follows: impl Fn(&TopicName) -> bool + Send + Sync + 'static) {
        let follower = Follower { follows: Box::new(follows), is_awaited: true, positions: HashMap::new() };
        self.lock().insert(name.to_owned(), follower);
    }

    /// The same for a follower that nobody waits for: no producer is slowed by it, and a topic may be deleted under it. Retention waits
    /// for it as for any other.
    pub fn register_unhurried(&self, name: &str, follows: impl Fn(&TopicName) -> bool + Send + Sync + 'static) {
        let follower = Follower { follows: Box::new(follows), is_awaited: false, positions: HashMap::new() };
        self.lock().insert(name.to_owned(), follower);
    }

    /// Forgets a follower: nothing is kept for it any longer.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
        self.reported.notify_waiters();
    }

    /// Reports that `name` has everything of `of` before `position`, durably.
    pub fn report(&self, name: &str, of: &TopicPartition, position: Offset) {
        if let Some(follower) = self.lock().get_mut(name) {
            follower.positions.insert(of.clone(), position);
        }
        self.reported.notify_waiters();
    }

    /// Waits while some follower of `of`, which ends at `end`, is too far behind; see [`BEHIND_RECORDS_MAX`] and [`BEHIND_PAUSE_MAX`]. Answers
    /// whether it had to wait.
    pub async fn come_along(&self, of: &TopicPartition, end: Offset) -> bool {
        let is_near = || self.floor_awaited(of).is_none_or(|floor| end.0.saturating_sub(floor.0) <= BEHIND_RECORDS_MAX as i64);
        if is_near() {
            return false;
        }
        let near = async {
            loop {
                // Registered before the look, so that no report is missed between the two.
                let mut reported = std::pin::pin!(self.reported.notified());
                reported.as_mut().enable();
                if is_near() {
                    return;
                }
                reported.await;
            }
        };
        let _ = tokio::time::timeout(BEHIND_PAUSE_MAX, near).await;
        true
    }

    /// Forgets a deleted topic.
    pub fn forget(&self, topic: &TopicName) {
        for follower in self.lock().values_mut() {
            follower.positions.retain(|of, _| of.topic != *topic);
        }
    }

    /// The first offset of `of` that some follower still needs, which retention must not pass; `None` if nobody follows it.
    pub fn floor(&self, of: &TopicPartition) -> Option<Offset> {
        self.floor_of(of, |_| true)
    }

    /// The same of those followers that somebody waits for, which nobody may pass who drops records because a client asks for it.
    pub fn floor_awaited(&self, of: &TopicPartition) -> Option<Offset> {
        self.floor_of(of, |follower| follower.is_awaited)
    }

    fn floor_of(&self, of: &TopicPartition, counts: impl Fn(&Follower) -> bool) -> Option<Offset> {
        let position = |follower: &Follower| follower.positions.get(of).copied().unwrap_or(Offset::ZERO);
        let inner = self.lock();
        let followers = inner.values().filter(|follower| counts(follower) && (follower.follows)(&of.topic));
        followers.map(position).min()
    }

    /// Every follower of `of` with its reported position, sorted by name.
    pub fn positions(&self, of: &TopicPartition) -> Vec<(String, Offset)> {
        let inner = self.lock();
        let mut positions: Vec<_> = inner
            .iter()
            .filter(|(_, follower)| (follower.follows)(&of.topic))
            .map(|(name, follower)| (name.clone(), follower.positions.get(of).copied().unwrap_or(Offset::ZERO)))
            .collect();
        positions.sort();
        positions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Follower>> {
        // Every change is one insert or removal, so the map is whole even if a thread died while it held the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Followers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}
