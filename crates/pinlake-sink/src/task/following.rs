//! The partitions of a task: which they are, and how far each is written.

use std::collections::VecDeque;
use std::sync::Arc;

use pinlake_core::{Error, ErrorKind, Offset, Result, TopicDescription, TopicId, TopicPartition};

use super::Task;
use crate::notes::{Change, Standing};
use crate::plan::Start;
use crate::reader::{Part, Reader};
use crate::units::Units;

/// A partition that is followed.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) units: Units,
    pub(super) reader_number: u64,
    pub(super) topic: TopicId,
    /// What is noted as written.
    pub(super) noted: Offset,
    /// The dead letters of everything before are written.
    pub(super) letters: Offset,
    reader: Reader,
    /// Units that are being written, in order: their ends, and whether each is written.
    writing: VecDeque<(Offset, bool)>,
    /// Everything before is written.
    written: Offset,
}

impl Following {
    /// A unit that ends at `end` is being written.
    pub(super) fn begin(&mut self, end: Offset) {
        self.writing.push_back((end, false));
    }

    /// The unit that ends at `end` is written.
    pub(super) fn end(&mut self, end: Offset) {
        if let Some(unit) = self.writing.iter_mut().find(|(of, _)| *of == end) {
            unit.1 = true;
        }
        while let Some((end, _)) = self.writing.pop_front_if(|(_, is_written)| *is_written) {
            self.written = end;
        }
    }

    /// Whether its records are gone.
    pub(super) fn has_ended(&self) -> bool {
        self.reader.has_ended()
    }

    /// Everything before is written, or is nothing to write.
    pub(super) fn position(&self) -> Offset {
        if self.writing.is_empty() && !self.units.is_open() { self.units.next().max(self.written) } else { self.written }
    }
}

impl Task {
    /// Takes up partitions that are new, or were deleted and are there again.
    pub(super) async fn look_for_topics(&mut self) -> Result<()> {
        self.leave_what_ended().await?;
        let topics = match self.context.log.topics().await {
            Ok(topics) => topics,
            Err(error) if error.kind() == ErrorKind::Retry => {
                tracing::warn!(sink = %self.context.sink, %error, "can't look for topics, trying again");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (mut found, mut knows_all) = (Vec::new(), true);
        for topic in topics.iter().filter(|topic| self.context.plan.reads(&topic.name)) {
            for of in (0..topic.spec.partitions).map(|partition| topic.name.partition(partition)) {
                if is_dealt_to(&of, self.context.task, self.context.plan.tasks) && !self.following.contains_key(&of) {
                    match self.look_at(of, topic).await? {
                        Some(one) => found.push(one),
                        None => knows_all = false,
                    }
                }
            }
        }
        let changes = found.iter().filter_map(|found| found.change(&self.context.sink)).collect();
        self.note(changes).await?;
        for found in found {
            self.follow(found);
        }
        self.knows_its_partitions = knows_all;
        Ok(())
    }

    /// Where to begin in a partition; nowhere while it can't be told.
    async fn look_at(&self, of: TopicPartition, topic: &TopicDescription) -> Result<Option<Found>> {
        let known = self.context.notes.standing(&self.context.sink, &of);
        let looked = async {
            let (kept, stable_end) = (self.context.log.range(&of).await?, self.context.log.stable_end(&of).await?);
            let start = match self.context.plan.start {
                Start::At(time) if known.is_none() => self.context.log.offset_at(&of, time).await?.max(kept.start),
                _ => kept.start,
            };
            Ok((kept, stable_end, start))
        };
        let (kept, stable_end, start) = match looked.await {
            Ok(ends) => ends,
            Err(error) if matches!(Error::kind(&error), ErrorKind::NotFound | ErrorKind::Retry) => return Ok(None),
            Err(error) => return Err(Error::new(error.kind(), format!("beginning to read {of}")).with_source(error)),
        };
        let Some(standing) = known else {
            let standing = Standing { position: start, topic: Some(topic.id), ..Standing::default() };
            return Ok(Some(Found { of, topic: topic.id, again_before: start, standing, is_new: true }));
        };
        let position = standing.position;
        let is_other = standing.topic.is_some_and(|noted| noted.tells_apart() && topic.id.tells_apart() && noted != topic.id);
        if position > kept.end || (is_other && position > kept.start) {
            return Err(Error::corrupt(format!(
                "the sink stands at {position} of {of}, and the log holds {kept} of it, which are other records: the topic was deleted and made \
                 again, or the log lost records; stop the sink and change or reset its offsets"
            )));
        }
        if position < kept.start {
            let missed = kept.start.since(position);
            tracing::warn!(sink = %self.context.sink, %of, missed, "records are no longer kept, and the sink goes on behind them");
            self.measures.missed(missed);
            let standing = Standing { position: kept.start, topic: Some(topic.id), ..standing };
            return Ok(Some(Found { of, topic: topic.id, again_before: stable_end, standing, is_new: true }));
        }
        Ok(Some(Found { of, topic: topic.id, again_before: stable_end, standing, is_new: is_other }))
    }

    fn follow(&mut self, found: Found) {
        let Found { of, topic, again_before, standing, .. } = found;
        let Standing { position, letters, intents, .. } = standing;
        self.started += 1;
        let reader_number = self.started;
        let part = Part { of: of.clone(), reader: reader_number, position, again_before, topic };
        let following = Following {
            units: Units::new(self.context.plan.clone(), of.clone(), topic, position, intents, again_before),
            reader_number,
            topic,
            noted: position,
            letters,
            reader: self.readers.start(part),
            writing: VecDeque::new(),
            written: position,
        };
        self.context.followers.report(&self.context.follower, &of, position);
        self.following.insert(of, following);
    }

    /// Writes what is left of partitions whose reader has ended, and leaves them.
    async fn leave_what_ended(&mut self) -> Result<()> {
        if !self.reads.is_empty() {
            return Ok(());
        }
        let mut closed = Vec::new();
        for (of, following) in self.following.iter_mut().filter(|(_, following)| following.has_ended()) {
            let mut units = Vec::new();
            following.units.close_early(&mut units);
            closed.push((of.clone(), units));
        }
        if closed.is_empty() {
            return Ok(());
        }
        self.write(closed).await?;
        self.finish_writes().await?;
        self.note_positions().await;
        // One that must wait for records that are gone is left as it stands.
        self.following.retain(|_, following| !following.has_ended() || (following.position() != following.noted));
        Ok(())
    }
}

/// A partition that can be followed.
#[derive(Debug)]
struct Found {
    of: TopicPartition,
    topic: TopicId,
    again_before: Offset,
    standing: Standing,
    /// Whether its position is not noted yet.
    is_new: bool,
}

impl Found {
    fn change(&self, sink: &Arc<str>) -> Option<Change> {
        let (of, at) = (self.of.clone(), self.standing.position);
        self.is_new.then(|| Change::Position { sink: sink.to_string(), of, at, topic: Some(self.topic) })
    }
}

/// Whether a partition is this task's: those of a topic go round, and where a topic begins depends on its name alone.
pub(super) fn is_dealt_to(of: &TopicPartition, task: u32, tasks: u32) -> bool {
    let first = of.topic.as_str().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    first.wrapping_add(of.partition.0) % tasks.max(1) == task
}
