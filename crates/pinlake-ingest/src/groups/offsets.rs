//! Committed offsets: which commits are taken, and what a fetch answers. It must not keep an offset itself: that is the store's.

use std::collections::HashMap;
use std::sync::Arc;

use pinlake_core::{Log, TopicName, TopicPartition};

use super::calls::{CommitRequest, CommittedOffset, ForPartition, GroupId, GroupLag, NewOffset, TransactionProducer};
use super::desk::{AtDesk, Desks};
use super::error::GroupError;
use super::record::{Entry, StoredOffset};
use super::state::OFFSETS_A_RECORD;
use super::store::{Pending, Store};

/// Commits offsets, or stages them for a transaction; durable when it answers.
pub(crate) async fn commit(
    desks: &Arc<Desks>,
    request: CommitRequest,
    producer: Option<TransactionProducer>,
) -> Result<Vec<ForPartition<()>>, GroupError> {
    let desk = match request.generation {
        ..0 => desks.find_or_create(&request.group)?,
        _ => desks.find(&request.group).ok_or(GroupError::IllegalGeneration)?,
    };
    let partitions = partitions_of(&*desks.log, request.offsets.iter().map(|(of, _)| of)).await;
    let pending = desks.with(&desk, |at, now| {
        at.group.check_commit(&request, producer.is_some(), now)?;
        submit(desks, at, &request, producer, &partitions)
    });
    let (answers, pending) = pending?;
    if let Some(pending) = pending {
        pending.durable().await?;
    }
    Ok(answers)
}

/// What a group has committed, for some partitions or for all.
pub(crate) fn fetch(
    store: &Store,
    group: &GroupId,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> Vec<ForPartition<Option<CommittedOffset>>> {
    let state = store.state();
    let answer = |of: &TopicPartition, committed: Option<&CommittedOffset>| match require_stable && state.is_unstable(group, of) {
        true => (of.clone(), Err(GroupError::UnstableOffset)),
        false => (of.clone(), Ok(committed.cloned())),
    };
    match partitions {
        Some(named) => named.iter().map(|of| answer(of, state.committed(group, of))).collect(),
        None => state.all_committed(group).map(|(of, committed)| answer(of, Some(committed))).collect(),
    }
}

/// Deletes a group's offsets of partitions that no member reads; durable when it answers.
pub(crate) async fn delete(
    desks: &Arc<Desks>,
    group: &GroupId,
    partitions: &[TopicPartition],
) -> Result<Vec<ForPartition<()>>, GroupError> {
    let desk = desks.find(group).ok_or(GroupError::GroupIdNotFound)?;
    let (answers, pending) = desks.with(&desk, |at, _| {
        let answer = |of: &TopicPartition| match at.group.reads(of.topic.as_str()) {
            None => Err(GroupError::NonEmptyGroup),
            Some(true) => Ok((of.clone(), Err(GroupError::SubscribedToTopic))),
            Some(false) => Ok((of.clone(), Ok(()))),
        };
        let answers: Vec<ForPartition<()>> = partitions.iter().map(answer).collect::<Result<_, _>>()?;
        let partitions: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(of, _)| of.clone()).collect();
        let entry = Entry::OffsetsDeleted { group: group.clone(), partitions };
        Ok::<_, GroupError>((answers, desks.store.submit(vec![entry], at.inflight.clone())?))
    })?;
    pending.durable().await?;
    Ok(answers)
}

/// How far each group is behind in each partition that it has committed and that is there.
pub(crate) async fn lag(desks: &Desks) -> Vec<GroupLag> {
    let groups: Vec<GroupId> = desks.store.state().groups().cloned().collect();
    let mut ends = HashMap::new();
    let mut lags = Vec::new();
    for group in groups {
        let committed: Vec<_> = {
            let state = desks.store.state();
            state.all_committed(&group).map(|(of, committed)| (of.clone(), committed.offset)).collect()
        };
        for (of, committed) in committed {
            if !ends.contains_key(&of) {
                ends.insert(of.clone(), desks.log.range(&of).await.ok().map(|range| range.end));
            }
            let Some(end) = ends.get(&of).copied().flatten() else { continue };
            lags.push(GroupLag { group: group.clone(), of, committed, end });
        }
    }
    lags
}

/// How many partitions each topic has; those that can't be looked up are left out.
async fn partitions_of<'a>(log: &dyn Log, of: impl Iterator<Item = &'a TopicPartition>) -> HashMap<TopicName, u32> {
    let mut partitions = HashMap::new();
    for topic in of.map(|of| &of.topic) {
        if !partitions.contains_key(topic) {
            let found = log.topic(topic).await.map_or(0, |topic| topic.spec.partitions);
            partitions.insert(topic.clone(), found);
        }
    }
    partitions
}

/// Hands in those offsets of a request that can be committed. Answers which those are, once they are durable.
fn submit(
    desks: &Arc<Desks>,
    at: &AtDesk,
    request: &CommitRequest,
    producer: Option<TransactionProducer>,
    partitions: &HashMap<TopicName, u32>,
) -> Result<(Vec<ForPartition<()>>, Option<Pending>), GroupError> {
    let now = desks.clock.now();
    let (mut answers, mut taken) = (Vec::with_capacity(request.offsets.len()), Vec::new());
    {
        let state = desks.store.state();
        if producer.is_some_and(|producer| state.staged_epoch(producer.id).is_some_and(|epoch| epoch > producer.epoch)) {
            return Err(GroupError::InvalidProducerEpoch);
        }
        let is_full = |of: &TopicPartition| {
            let is_new = producer.is_some() || state.committed(&request.group, of).is_none();
            is_new && state.offsets() >= desks.settings.offsets_max
        };
        for (of, new) in &request.offsets {
            let answer = match partitions.get(&of.topic) {
                Some(count) if of.partition.0 < *count => check(new, desks.settings.offset_metadata_bytes_max),
                _ => Err(GroupError::UnknownPartition),
            };
            let answer = answer.and_then(|()| if is_full(of) { Err(GroupError::TooManyOffsets) } else { Ok(()) });
            if answer.is_ok() {
                taken.push(stored(of, new, now.0));
            }
            answers.push((of.clone(), answer));
        }
    }
    if taken.is_empty() {
        return Ok((answers, None));
    }
    let group = &request.group;
    let entry = |offsets: Vec<StoredOffset>| match producer {
        None => Entry::Offsets { group: group.clone(), offsets },
        Some(TransactionProducer { id, epoch }) => Entry::Staged { producer: id, epoch, group: group.clone(), offsets },
    };
    let entries = taken.chunks(OFFSETS_A_RECORD).map(|chunk| entry(chunk.to_vec())).collect();
    Ok((answers, Some(desks.store.submit(entries, at.inflight.clone())?)))
}

fn check(new: &NewOffset, metadata_bytes_max: usize) -> Result<(), GroupError> {
    if new.offset < 0 {
        return Err(GroupError::InvalidRequest("an offset is never negative: commit 0 or more"));
    }
    if new.metadata.len() > metadata_bytes_max { Err(GroupError::OffsetMetadataTooLarge) } else { Ok(()) }
}

fn stored(of: &TopicPartition, new: &NewOffset, at_ms: i64) -> StoredOffset {
    let NewOffset { offset, leader_epoch, metadata } = new.clone();
    StoredOffset { of: of.clone(), offset, leader_epoch, metadata, at_ms, from: None }
}
