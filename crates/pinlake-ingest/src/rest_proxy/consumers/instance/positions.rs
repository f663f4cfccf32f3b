//! How far an instance has read: where it begins, what it is told to go back or forth to, and what of it is committed.

use pinlake_core::{ErrorKind, Log, Offset, TopicPartition};
use tokio::time::Instant;

use super::{Instance, Position, illegal};
use crate::groups::calls::{CommitRequest, CommittedOffset, NewOffset};
use crate::rest_proxy::consumers::messages::SeekTo;
use crate::rest_proxy::consumers::settings::Reset;
use crate::rest_proxy::error::{KAFKA_BAD_REQUEST, RestError};

impl Instance {
    /// Finds where to begin in partitions of which that is not known: what the group has committed, or as the instance's settings say.
    pub(super) async fn resolve(&mut self) -> Result<(), RestError> {
        let unknown: Vec<TopicPartition> =
            self.partitions.iter().filter(|(_, position)| position.next.is_none()).map(|(of, _)| of.clone()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        for (of, committed) in self.groups.fetch(&self.group, Some(&unknown), true) {
            let committed = match committed {
                Ok(committed) => committed.map(|committed| committed.offset),
                Err(error) => {
                    outcome = Err(RestError::of_group(&error));
                    continue;
                }
            };
            let next = match committed {
                Some(offset) => Ok(Some(offset)),
                None => reset(&*self.log, self.settings.reset, &of).await,
            };
            match next {
                Ok(next) => self.partitions.extend([(of, Position { next, committed })]),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    pub(super) async fn seek(&mut self, targets: Vec<(TopicPartition, SeekTo)>) -> Result<(), RestError> {
        if let Some((of, _)) = targets.iter().find(|(of, _)| !self.partitions.contains_key(of)) {
            let text =
                format!("{of} is not assigned to the instance: it is after its first GET .../records, or POST .../assignments");
            return Err(illegal(&text));
        }
        self.end_reading();
        for (of, to) in targets {
            let next = match to {
                SeekTo::Offset(offset) => Ok(offset),
                SeekTo::Time(time) => self.log.offset_at(&of, time).await,
                SeekTo::Beginning => self.log.range(&of).await.map(|range| range.start),
                SeekTo::End => self.log.stable_end(&of).await,
            };
            let next = next.map_err(|error| RestError::of(&error))?;
            self.partitions.entry(of).or_default().next = Some(next);
        }
        Ok(())
    }

    /// Commits offsets, or the positions of all partitions that it reads.
    pub(super) async fn commit(&mut self, offsets: Option<Vec<(TopicPartition, NewOffset)>>) -> Result<(), RestError> {
        let read = |(of, position): (&TopicPartition, &Position)| Some((of.clone(), plain(position.next?)));
        let offsets = offsets.unwrap_or_else(|| self.partitions.iter().filter_map(read).collect());
        if offsets.is_empty() {
            return Ok(());
        }
        let (generation, member_id) = self.identity.clone();
        let request =
            CommitRequest { group: self.group.clone(), generation, member_id, group_instance_id: None, offsets: offsets.clone() };
        let answers = self.groups.commit(request).await.map_err(|error| RestError::of_group(&error))?;
        for ((of, answer), (_, new)) in answers.into_iter().zip(offsets) {
            answer.map_err(|error| RestError::of_group(&error))?;
            if let Some(position) = self.partitions.get_mut(&of) {
                position.committed = Some(Offset(new.offset));
            }
        }
        Ok(())
    }

    /// Commits what was read since the last commit, if the instance is to do so by itself.
    pub(super) async fn auto_commit(&mut self) {
        self.auto_commit_at = Instant::now();
        if !self.settings.auto_commit {
            return;
        }
        let changed =
            |(_, position): &(&TopicPartition, &Position)| position.next.is_some() && position.next != position.committed;
        let new = |(of, position): (&TopicPartition, &Position)| Some((of.clone(), plain(position.next?)));
        let offsets: Vec<_> = self.partitions.iter().filter(changed).filter_map(new).collect();
        if let Err(error) = self.commit(Some(offsets)).await {
            tracing::debug!(group = %self.group, instance = self.settings.name, "positions are not committed: {error:?}");
        }
    }

    pub(super) fn committed(&self, partitions: Option<Vec<TopicPartition>>) -> Vec<(TopicPartition, CommittedOffset)> {
        let partitions = partitions.unwrap_or_else(|| self.partitions.keys().cloned().collect());
        let all = self.groups.fetch(&self.group, Some(&partitions), false);
        all.into_iter().filter_map(|(of, committed)| Some((of, committed.ok()??))).collect()
    }
}

/// Where to begin without a committed offset; `None` in a partition that is not there.
pub(super) async fn reset(log: &dyn Log, rule: Reset, of: &TopicPartition) -> Result<Option<Offset>, RestError> {
    let found = match rule {
        Reset::Earliest => log.range(of).await.map(|range| range.start),
        Reset::Latest => log.stable_end(of).await,
        Reset::None => {
            let text = format!("there is no offset for {of} and auto.offset.reset is none: seek with POST .../positions");
            return Err(RestError::new(KAFKA_BAD_REQUEST, text));
        }
    };
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some).map_err(|error| RestError::of(&error)),
    }
}

/// An offset as it is committed without a text.
fn plain(offset: Offset) -> NewOffset {
    NewOffset { offset: offset.0, leader_epoch: -1, metadata: String::new() }
}
