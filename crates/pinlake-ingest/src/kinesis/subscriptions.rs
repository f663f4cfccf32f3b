//! Who is subscribed to which shard: one subscription for each consumer and shard at a time. Pure but for its lock: the time is its caller's.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pinlake_core::TopicId;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a subscription is nobody else's to take over.
const SETTLED: Duration = Duration::from_secs(5);

/// All subscriptions. As many as there are requests under way, and those of the last seconds of consumers that are registered.
#[derive(Default)]
pub(crate) struct Subscriptions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: HashMap<Key, Taken>,
    is_closed: bool,
}

/// What may be subscribed to once: a shard, for a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) topic: TopicId,
    pub(crate) consumer: String,
    /// Another registration of the same name is another consumer.
    pub(crate) registered_ms: i64,
    pub(crate) shard: u32,
}

struct Taken {
    since: Instant,
    end: watch::Sender<Option<End>>,
}

/// A subscription, for as long as it is held.
#[derive(Clone)]
pub(crate) struct Turn(watch::Receiver<Option<End>>);

/// Why a subscription ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The same consumer has subscribed to the same shard again.
    TakenOver,
    /// The server stops.
    Closed,
}

/// Somebody has subscribed to just that a moment ago.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InUse;

impl Subscriptions {
    /// Subscribes; whoever was subscribed to the same is told that it is over.
    ///
    /// # Errors
    /// If that was within the last five seconds, whether it is over since or not.
    pub(crate) fn take(&self, key: Key, now: Instant) -> Result<Turn, InUse> {
        let mut state = self.lock();
        state.taken.retain(|_, taken| taken.is_settling(now) || !taken.end.is_closed());
        if state.taken.get(&key).is_some_and(|taken| taken.is_settling(now)) {
            return Err(InUse);
        }
        let (end, ended) = watch::channel(state.is_closed.then_some(End::Closed));
        if let Some(before) = state.taken.insert(key, Taken { since: now, end }) {
            before.end.send_replace(Some(End::TakenOver));
        }
        Ok(Turn(ended))
    }

    /// Ends all subscriptions, and those that come yet.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for taken in state.taken.values() {
            taken.end.send_replace(Some(End::Closed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until it is over.
    pub(crate) async fn ended(&mut self) -> End {
        let end = self.0.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        // Whoever has subscribed since is forgotten already.
        end.unwrap_or(End::TakenOver)
    }
}

impl Taken {
    fn is_settling(&self, now: Instant) -> bool {
        now.duration_since(self.since) < SETTLED
    }
}
