//! The groups' topic: how the state of all groups lasts. It must not decide what may change.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pinlake_core::{Clock, Log, Result};

use super::calls::GroupId;
use super::record::Entry;
use super::settings::GroupSettings;
use super::state::State;
pub(crate) use crate::topic_store::{Inflight, Pending};
use crate::topic_store::{Kept, StoreLimits, TopicStore};

/// The state of all groups, and the way to change it.
pub(crate) type Store = TopicStore<State>;

/// Creates the topic if it is not there, and reads all of it.
pub(crate) async fn open(log: Arc<dyn Log>, clock: Clock, settings: &GroupSettings) -> Result<Arc<Store>> {
    let limits = StoreLimits {
        snapshot_records: settings.snapshot_records,
        snapshot_bytes: settings.snapshot_bytes,
        queued_bytes_max: settings.queued_bytes_max,
    };
    Store::open(log, clock, &settings.topic, limits).await
}

impl Kept for State {
    type Change = Entry;
    /// A group; none is the open transactions.
    type Part = Option<GroupId>;
    const WHAT: &'static str = "consumer groups";

    fn apply(&mut self, entry: Entry, at: i64) {
        State::apply(self, entry, at);
    }

    fn parts(&self) -> Vec<Self::Part> {
        self.groups().cloned().map(Some).chain([None]).collect()
    }

    fn changes_of(&self, part: &Self::Part) -> Vec<Entry> {
        match part {
            Some(group) => self.records_of(group),
            None => self.records_of_transactions(),
        }
    }
}
