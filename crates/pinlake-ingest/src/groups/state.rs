//! What the records of the groups' topic add up to: members as they were stored, committed offsets, and offsets that transactions
//! staged. It is the same after each restart because it is made in one way only, by [`State::apply`]. It must not write anything.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinlake_core::{Offset, Timestamp, TopicName, TopicPartition};

use super::calls::{CommittedOffset, GroupId};
use super::record::{Entry, StoredGroup, StoredOffset};

/// The most offsets in one record: with the longest texts it stays well under the topic's largest batch.
pub(crate) const OFFSETS_A_RECORD: usize = 100;

type Offsets = BTreeMap<TopicPartition, Kept>;

/// All groups' durable state.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct State {
    groups: BTreeMap<GroupId, KeptGroup>,
    transactions: BTreeMap<i64, Transaction>,
    /// How many offsets are in it, staged ones included.
    offsets: usize,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct KeptGroup {
    /// Its members and when they changed; `None` for a group that only ever committed offsets.
    members: Option<(Timestamp, StoredGroup)>,
    offsets: Offsets,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    committed: CommittedOffset,
    /// Where the record stands that brought it: of two, the later one counts.
    from: i64,
}

/// The offsets that one producer's open transaction staged.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Transaction {
    epoch: i16,
    groups: BTreeMap<GroupId, Offsets>,
}

impl State {
    /// Takes the record that stands `at` in the log. A record that makes no sense here changes nothing.
    pub(crate) fn apply(&mut self, entry: Entry, at: i64) {
        match entry {
            Entry::Group { group, at_ms, members } => {
                self.groups.entry(group).or_default().members = Some((Timestamp(at_ms), members));
            }
            Entry::Offsets { group, offsets } => {
                let kept = &mut self.groups.entry(group).or_default().offsets;
                self.offsets += offsets.into_iter().map(|offset| put(kept, offset, at)).sum::<usize>();
            }
            Entry::Staged { producer, epoch, group, offsets } => self.stage(producer, epoch, group, offsets, at),
            Entry::Finished { producer, commit } => self.finish(producer, commit),
            Entry::GroupDeleted { group } => self.delete_group(&group),
            Entry::OffsetsDeleted { group, partitions } => self.delete_offsets(&group, &partitions),
            Entry::TopicDeleted { topic } => self.delete_topic(&topic),
        }
    }

    /// How many offsets there are, staged ones included.
    pub(crate) fn offsets(&self) -> usize {
        self.offsets
    }

    /// The groups, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.groups.keys()
    }

    /// A group's members as they were stored.
    pub(crate) fn members(&self, group: &GroupId) -> Option<&StoredGroup> {
        self.groups.get(group)?.members.as_ref().map(|(_, members)| members)
    }

    /// What a group has committed for a partition.
    pub(crate) fn committed(&self, group: &GroupId, of: &TopicPartition) -> Option<&CommittedOffset> {
        self.groups.get(group)?.offsets.get(of).map(|kept| &kept.committed)
    }

    /// All that a group has committed.
    pub(crate) fn all_committed(&self, group: &GroupId) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        let offsets = self.groups.get(group).into_iter().flat_map(|group| &group.offsets);
        offsets.map(|(of, kept)| (of, &kept.committed))
    }

    /// Whether an open transaction may change what a group has committed for a partition.
    pub(crate) fn is_unstable(&self, group: &GroupId, of: &TopicPartition) -> bool {
        let staged = |transaction: &Transaction| transaction.groups.get(group).is_some_and(|offsets| offsets.contains_key(of));
        self.transactions.values().any(staged)
    }

    /// Whether an open transaction staged anything for a group.
    pub(crate) fn has_staged(&self, group: &GroupId) -> bool {
        self.transactions.values().any(|transaction| transaction.groups.contains_key(group))
    }

    /// The epoch of a producer's open transaction.
    pub(crate) fn staged_epoch(&self, producer: i64) -> Option<i16> {
        self.transactions.get(&producer).map(|transaction| transaction.epoch)
    }

    /// The producers whose open transactions staged offsets, and their epochs.
    pub(crate) fn staged(&self) -> impl Iterator<Item = (i64, i16)> {
        self.transactions.iter().map(|(producer, transaction)| (*producer, transaction.epoch))
    }

    /// The topics of all offsets.
    pub(crate) fn topics(&self) -> BTreeSet<TopicName> {
        let committed = self.groups.values().map(|group| &group.offsets);
        let staged = self.transactions.values().flat_map(|transaction| transaction.groups.values());
        committed.chain(staged).flat_map(Offsets::keys).map(|of| of.topic.clone()).collect()
    }

    /// The offsets of a group that may go because nobody has been in it for `retention`; empty ones of transactions stay.
    pub(crate) fn expired(&self, group: &GroupId, now: Timestamp, retention: Duration) -> Vec<TopicPartition> {
        let Some(kept) = self.groups.get(group) else { return Vec::new() };
        let emptied_at = kept.members.as_ref().map_or(Timestamp(i64::MIN), |(at, _)| *at);
        let is_old = |kept: &Kept| kept.committed.committed_at.max(emptied_at).until(now) >= retention;
        let may_go = |(of, kept): &(&TopicPartition, &Kept)| is_old(kept) && !self.is_unstable(group, of);
        kept.offsets.iter().filter(may_go).map(|(of, _)| of.clone()).collect()
    }

    /// The records that make a group what it is.
    pub(crate) fn records_of(&self, group: &GroupId) -> Vec<Entry> {
        let Some(kept) = self.groups.get(group) else { return Vec::new() };
        let members =
            kept.members.iter().map(|(at, members)| Entry::Group { group: group.clone(), at_ms: at.0, members: members.clone() });
        let offsets = chunks(&kept.offsets).map(|offsets| Entry::Offsets { group: group.clone(), offsets });
        members.chain(offsets).collect()
    }

    /// The records that stage what transactions have staged.
    pub(crate) fn records_of_transactions(&self) -> Vec<Entry> {
        let mut records = Vec::new();
        for (&producer, transaction) in &self.transactions {
            for (group, offsets) in &transaction.groups {
                let staged = |offsets| Entry::Staged { producer, epoch: transaction.epoch, group: group.clone(), offsets };
                records.extend(chunks(offsets).map(staged));
            }
        }
        records
    }

    fn stage(&mut self, producer: i64, epoch: i16, group: GroupId, offsets: Vec<StoredOffset>, at: i64) {
        if self.staged_epoch(producer).is_some_and(|known| known > epoch) {
            return;
        }
        // An earlier incarnation will never commit.
        if self.staged_epoch(producer).is_some_and(|known| known < epoch) {
            self.finish(producer, false);
        }
        let transaction = self.transactions.entry(producer).or_default();
        transaction.epoch = epoch;
        let staged = transaction.groups.entry(group).or_default();
        self.offsets += offsets.into_iter().map(|offset| put(staged, offset, at)).sum::<usize>();
    }

    fn finish(&mut self, producer: i64, commit: bool) {
        let Some(transaction) = self.transactions.remove(&producer) else { return };
        for (group, offsets) in transaction.groups {
            self.offsets -= offsets.len();
            if !commit {
                continue;
            }
            let kept = &mut self.groups.entry(group).or_default().offsets;
            for (of, staged) in offsets {
                self.offsets += put_kept(kept, of, staged);
            }
        }
    }

    fn delete_group(&mut self, group: &GroupId) {
        let mut gone = self.groups.remove(group).map_or(0, |kept| kept.offsets.len());
        for transaction in self.transactions.values_mut() {
            gone += transaction.groups.remove(group).map_or(0, |staged| staged.len());
        }
        self.offsets -= gone;
        self.forget_the_empty();
    }

    fn delete_offsets(&mut self, group: &GroupId, partitions: &[TopicPartition]) {
        let Some(kept) = self.groups.get_mut(group) else { return };
        self.offsets -= partitions.iter().filter_map(|of| kept.offsets.remove(of)).count();
        self.forget_the_empty();
    }

    fn delete_topic(&mut self, topic: &TopicName) {
        let committed = self.groups.values_mut().map(|group| &mut group.offsets);
        let staged = self.transactions.values_mut().flat_map(|transaction| transaction.groups.values_mut());
        for offsets in committed.chain(staged) {
            let before = offsets.len();
            offsets.retain(|of, _| of.topic != *topic);
            self.offsets -= before - offsets.len();
        }
        self.forget_the_empty();
    }

    fn forget_the_empty(&mut self) {
        self.groups.retain(|_, kept| kept.members.is_some() || !kept.offsets.is_empty());
        for transaction in self.transactions.values_mut() {
            transaction.groups.retain(|_, offsets| !offsets.is_empty());
        }
        self.transactions.retain(|_, transaction| !transaction.groups.is_empty());
    }
}

/// Takes an offset; how many more there are now.
fn put(offsets: &mut Offsets, stored: StoredOffset, at: i64) -> usize {
    let from = stored.from.unwrap_or(at);
    let committed = CommittedOffset {
        offset: Offset(stored.offset),
        leader_epoch: stored.leader_epoch,
        metadata: stored.metadata,
        committed_at: Timestamp(stored.at_ms),
    };
    put_kept(offsets, stored.of, Kept { committed, from })
}

fn put_kept(offsets: &mut Offsets, of: TopicPartition, new: Kept) -> usize {
    if let Some(old) = offsets.get_mut(&of) {
        if old.from <= new.from {
            *old = new;
        }
        return 0;
    }
    offsets.insert(of, new);
    1
}

fn chunks(offsets: &Offsets) -> impl Iterator<Item = Vec<StoredOffset>> {
    let mut rest = offsets.iter();
    std::iter::from_fn(move || {
        let chunk: Vec<StoredOffset> = rest.by_ref().take(OFFSETS_A_RECORD).map(|(of, kept)| stored(of, kept)).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn stored(of: &TopicPartition, kept: &Kept) -> StoredOffset {
    StoredOffset {
        of: of.clone(),
        offset: kept.committed.offset.0,
        leader_epoch: kept.committed.leader_epoch,
        metadata: kept.committed.metadata.clone(),
        at_ms: kept.committed.committed_at.0,
        from: Some(kept.from),
    }
}
