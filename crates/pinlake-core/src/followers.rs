//! Who follows which topic and how far each has come: what retention may not pass, and what lag is measured by.
//!
//! A follower's position here is a report, never the truth: the truth lies with its data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::position::{Offset, TopicName, TopicPartition};

type Interest = Box<dyn Fn(&TopicName) -> bool + Send + Sync>;

/// All followers of a log. Cheap to clone; clones share one state.
#[derive(Clone, Default)]
pub struct Followers {
    inner: Arc<Mutex<HashMap<String, Follower>>>,
}

struct Follower {
    follows: Interest,
    positions: HashMap<TopicPartition, Offset>,
}

impl Followers {
    /// Registers a follower before it has read anything: from now on nothing of the topics it `follows` is dropped until it
    /// has reported past it.
    pub fn register(&self, name: &str, follows: impl Fn(&TopicName) -> bool + Send + Sync + 'static) {
        let follower = Follower { follows: Box::new(follows), positions: HashMap::new() };
        self.lock().insert(name.to_owned(), follower);
    }

    /// Reports that `name` has everything of `of` before `position`, durably.
    pub fn report(&self, name: &str, of: &TopicPartition, position: Offset) {
        if let Some(follower) = self.lock().get_mut(name) {
            follower.positions.insert(of.clone(), position);
        }
    }

    /// Forgets a deleted topic.
    pub fn forget(&self, topic: &TopicName) {
        for follower in self.lock().values_mut() {
            follower.positions.retain(|of, _| of.topic != *topic);
        }
    }

    /// The first offset of `of` that some follower still needs; `None` if nobody follows it.
    pub fn floor(&self, of: &TopicPartition) -> Option<Offset> {
        let position = |follower: &Follower| follower.positions.get(of).copied().unwrap_or(Offset::ZERO);
        self.lock().values().filter(|follower| (follower.follows)(&of.topic)).map(position).min()
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
        // Every change is one insert, so the map is whole even if a thread died while it held the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Followers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}
