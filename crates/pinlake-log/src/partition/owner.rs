//! The one task that may change a partition. It gathers all waiting appends, gives them offsets, has them written and synced at once, and
//! only then moves the readable end and answers. It must not touch files itself: that blocks, and is the writer's.

mod ahead;
mod round;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use pinlake_core::log::{TimestampType, check_trim};
use pinlake_core::producers::{ProducerState, Verdict};
use pinlake_core::{Batch, Error, Offset, OffsetRange, Result, TopicPartition, TopicSpec};
use tokio::sync::{mpsc, oneshot};

use super::writer::{Fault, Writer};
use super::{Append, Context, Message, OpenProducer, Spec, View, settings_of};
use crate::remembered::Remembered;
use crate::retention;
use crate::segment::{Extent, Segment};
use crate::settings::Durability;
use crate::syncer::Flush;
use round::Round;

/// The owner of one partition.
#[derive(Debug)]
pub(super) struct Owner {
    context: Arc<Context>,
    id: TopicPartition,
    spec: Spec,
    view: Arc<View>,
    remembered: Remembered,
    messages: mpsc::UnboundedReceiver<Message>,
    waiting: VecDeque<Message>,
    /// The next round, as far as it was written while the last one was synced.
    ahead: Option<Round>,
    /// Away while it works in a lane; never back if that was cut short, and then the partition is stopped.
    writer: Option<Writer>,
}

impl Owner {
    pub(super) fn new(
        context: Arc<Context>,
        id: TopicPartition,
        spec: Spec,
        dir: PathBuf,
        view: Arc<View>,
        remembered: Remembered,
        messages: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        let begin = view.readable.borrow().range.end;
        let writer = Some(Writer::new(context.clone(), dir, view.segments.clone(), begin));
        Self { context, id, spec, view, remembered, messages, waiting: VecDeque::new(), ahead: None, writer }
    }

    /// Works until the log is closed, the topic deleted, or nobody is left to ask.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            if self.ahead.is_some() {
                self.append_round().await;
                continue;
            }
            match self.waiting.pop_front() {
                Some(Message::Append(append)) => {
                    self.waiting.push_front(Message::Append(append));
                    self.append_round().await;
                }
                Some(Message::Sync) => {
                    self.view.sync_asked.store(false, Ordering::Release);
                    self.sync().await;
                }
                Some(Message::Retain { floor, answer }) => {
                    let dropped = self.retain(floor).await;
                    let _ = answer.send(dropped);
                }
                Some(Message::Trim { before, answer }) => {
                    let start = self.trim(before).await;
                    let _ = answer.send(start);
                }
                Some(Message::Producers(answer)) => drop(answer.send(Ok(self.producers()))),
                Some(Message::Close(answer)) => {
                    let closed = self.close().await;
                    self.view.closed.store(true, Ordering::Release);
                    self.end(&super::closed());
                    // The lock and the files must be free before the answer.
                    drop(self);
                    let _ = answer.send(closed);
                    return;
                }
                Some(Message::Delete(answer)) => {
                    self.end(&Error::not_found(format!("topic '{}' was deleted", self.id.topic)));
                    drop(self);
                    let _ = answer.send(());
                    return;
                }
                None => {}
            }
        }
    }

    /// Takes everything that waits; waits itself if there is nothing to do. False when nobody is left to ask.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() && self.ahead.is_none() {
            let Some(message) = self.messages.recv().await else { return false };
            self.waiting.push_back(message);
        }
        self.gather_now();
        true
    }

    fn gather_now(&mut self) {
        while self.waiting.len() < self.context.settings.round_appends_max {
            let Ok(message) = self.messages.try_recv() else { break };
            self.waiting.push_back(message);
        }
    }

    async fn append_round(&mut self) {
        let mut round = match self.ahead.take() {
            Some(mut ahead) => match ahead.written().await {
                Ok(()) => ahead,
                Err(fault) => return self.give_up(ahead, fault),
            },
            None => match self.make_room().await {
                Ok(()) => Round::at(self.active_extent().bytes, self.range().end),
                Err(error) => return self.refuse_waiting(&error),
            },
        };
        self.gather_now();
        self.stage(&mut round);
        let written = if round.batches.is_empty() { Ok(()) } else { self.commit(&round).await };
        match written {
            Ok(()) => {
                self.acknowledge(round);
                self.checkpoint_if_due().await;
            }
            Err(error) => {
                if let Some(mut ahead) = self.ahead.take() {
                    // Whatever it did: it is not told well, and its file must be free.
                    let _ = ahead.written().await;
                    self.take_back(ahead, &error);
                }
                self.take_back(round, &error);
            }
        }
    }

    /// Seals the active segment if it is old, or would grow too large by the first waiting append.
    async fn make_room(&mut self) -> Result<()> {
        self.check_stopped()?;
        let Some(Message::Append(append)) = self.waiting.front() else { return Ok(()) };
        let Some(active) = self.active() else { return Ok(()) };
        let extent = active.extent();
        let full = extent.bytes > 0
            && (extent.bytes + append.batch.bytes().len() as u64 > self.context.settings.segment_bytes
                || !fits_offsets(active.base, extent.end, &append.batch));
        if full || self.is_done(&active) { self.roll().await } else { Ok(()) }
    }

    /// Whether a segment takes no more, however small.
    fn is_done(&self, active: &Segment) -> bool {
        let old = retention::is_old(&active.extent(), self.context.clock.now(), self.context.settings.segment_age);
        old || active.is_full_of_aborted()
    }

    /// Gives offsets to as many waiting appends as fit into the round and the active segment.
    fn stage(&mut self, round: &mut Round) {
        let spec = settings_of(&self.spec);
        while let Some(message) = self.waiting.pop_front() {
            match message {
                Message::Append(append) if self.fits(round, &append.batch) => {
                    self.place(append, &spec, round);
                    round.has_room = false;
                }
                other => {
                    self.waiting.push_front(other);
                    break;
                }
            }
        }
    }

    /// Whether the round and the active segment have room for one more batch.
    fn fits(&self, round: &Round, batch: &Batch) -> bool {
        let settings = &self.context.settings;
        let bytes = round.bytes + batch.bytes().len() as u64;
        let base = self.active().map_or(round.offsets.start, |active| active.base);
        let within = round.batches.len() < settings.round_appends_max
            && bytes <= settings.round_bytes_max as u64
            && round.position + bytes <= settings.segment_bytes
            && fits_offsets(base, round.offsets.end, batch);
        within || round.has_room
    }

    fn place(&mut self, append: Append, spec: &TopicSpec, round: &mut Round) {
        let Append { batch, caller } = append;
        self.view.waiting_bytes.fetch_sub(batch.bytes().len(), Ordering::AcqRel);
        if caller.answer.is_closed() {
            return;
        }
        let Remembered { producers, transactions, stamped } = &mut self.remembered;
        match producers.check(&batch, transactions) {
            Err(error) => caller.answer(Err(error)),
            Ok(Verdict::Duplicate(offsets)) => round.callers.push((caller, offsets)),
            Ok(Verdict::Append) => {
                let batch = match spec.timestamps {
                    TimestampType::Create => batch,
                    TimestampType::Append => {
                        *stamped = (*stamped).max(self.context.clock.now());
                        batch.appended_at(*stamped)
                    }
                };
                // One of many in a request's bytes is copied: what is kept in memory must not keep the rest of them too.
                let batch = batch.at(round.offsets.end);
                if let Some(producer) = batch.producer() {
                    round.before.push((producer.id, producers.state(producer.id)));
                }
                producers.record(&batch, round.offsets.end, transactions);
                round.push(batch, caller);
            }
        }
    }

    /// Takes the round to the disk together with those of other partitions.
    async fn commit(&mut self, round: &Round) -> Result<()> {
        let fsync = self.context.settings.durability == Durability::Fsync;
        let writer = self.take_writer()?;
        // Nothing is ahead at a checkpoint or a roll, so that both come in time.
        let may_write_ahead = fsync
            && !writer.checkpoint_due(self.context.settings.checkpoint_bytes, round.bytes)
            && self.active().is_none_or(|active| !self.is_done(&active));
        let batches: Arc<[Batch]> = round.batches.clone().into();
        let (context, ahead, position) = (self.context.clone(), round.ahead, round.position);
        let (wrote, written) = oneshot::channel();
        let to_write = batches.clone();
        let write = move |writer: &mut Writer| {
            let place = writer.write(&to_write[ahead.batches..], position, ahead.bytes)?;
            if !fsync {
                writer.note(&to_write);
            }
            // Nobody waits for it where nothing is written ahead.
            let _ = wrote.send(place);
            Ok(fsync)
        };
        let syncer = context.syncer.clone();
        let sync = move |writer: &mut Writer, flush: Flush| {
            match flush {
                Flush::Own => writer.sync()?,
                Flush::Whole(synced) => synced.map(|()| writer.synced()).map_err(Fault::Broken)?,
            }
            // A sync of the whole file system that failed for what was written ahead may have told others alone.
            if ahead.batches > 0 && ahead.failed_syncs != syncer.failed() {
                return Err(Fault::Broken(Error::internal("a sync of the log's file system failed")));
            }
            writer.note(&batches);
            Ok(())
        };
        let at_disk = context.syncer.together(writer, write, sync);
        let worked = if may_write_ahead { self.write_ahead_of(round, at_disk, written).await } else { at_disk.await };
        self.put_back(worked)?;
        self.view.unsynced.store(!fsync, Ordering::Release);
        Ok(())
    }

    fn acknowledge(&mut self, round: Round) {
        if let Some(last) = round.batches.last() {
            let end = last.offsets().end;
            let records = round.batches.iter().map(|batch| u64::from(batch.record_count())).sum();
            self.context.meters.observe_append(records, round.bytes);
            // Noted and kept first: readers that wake by the new ends find it.
            let aborted = round.batches.iter().filter_map(|batch| self.remembered.decide(batch)).collect::<Vec<_>>();
            if let Some(active) = self.active() {
                aborted.into_iter().for_each(|entry| active.note_aborted(entry));
            }
            self.context.tails.push(&self.view.tail, round.batches);
            self.show(OffsetRange { start: self.range().start, end });
        }
        for (caller, offsets) in round.callers {
            caller.answer(Ok(offsets));
        }
    }

    /// Nothing of the round is in the log: its producers are as before, and only repeats of earlier batches are answered well.
    fn take_back(&mut self, round: Round, error: &Error) {
        for (id, state) in round.before.into_iter().rev() {
            self.remembered.producers.restore(id, state);
        }
        let end = self.range().end;
        for (caller, offsets) in round.callers {
            caller.answer(if offsets.end <= end { Ok(offsets) } else { Err(error.clone()) });
        }
    }

    /// Answers the appends at the front of the queue, up to the first other message.
    fn refuse_waiting(&mut self, error: &Error) {
        while let Some(message) = self.waiting.pop_front() {
            match message {
                Message::Append(append) => {
                    self.view.waiting_bytes.fetch_sub(append.batch.bytes().len(), Ordering::AcqRel);
                    append.caller.answer(Err(error.clone()));
                }
                other => {
                    self.waiting.push_front(other);
                    break;
                }
            }
        }
    }

    async fn sync(&mut self) {
        if self.check_stopped().is_ok() && self.at_the_disk(Writer::sync).await.is_ok() {
            self.view.unsynced.store(false, Ordering::Release);
            self.checkpoint_if_due().await;
        }
    }

    async fn roll(&mut self) -> Result<()> {
        let state = self.remembered.state();
        self.at_the_disk(move |writer| writer.roll(state)).await
    }

    /// Notes how far the partition is good, now and then. A checkpoint that can't be written costs recovery time only.
    async fn checkpoint_if_due(&mut self) {
        if !self.writer.as_ref().is_some_and(|writer| writer.checkpoint_due(self.context.settings.checkpoint_bytes, 0)) {
            return;
        }
        debug_assert!(self.ahead.is_none(), "a checkpoint would know of producers' batches that are not durable");
        let state = self.remembered.state();
        let noted = self.at_the_disk(move |writer| writer.checkpoint(state, false)).await;
        if let Err(error) = noted {
            tracing::warn!(partition = %self.id, %error, "no checkpoint was written");
        }
    }

    async fn retain(&mut self, floor: Option<Offset>) -> Result<usize> {
        let dropped = self.drop_old(&settings_of(&self.spec), floor).await?;
        if let Some(writer) = &mut self.writer {
            writer.rest();
        }
        Ok(dropped)
    }

    /// Drops the segments that a topic so set need not keep, and those that were trimmed. Answers how many went.
    async fn drop_old(&mut self, spec: &TopicSpec, floor: Option<Offset>) -> Result<usize> {
        self.check_stopped()?;
        let now = self.context.clock.now();
        let active = self.active_extent();
        let age = self.context.settings.segment_age;
        let trimmed = active.end <= self.range().start;
        if active.bytes > 0 && (trimmed || retention::is_expired(&active, now, spec) || retention::is_old(&active, now, age)) {
            self.roll().await?;
        }
        let segments = self.segments();
        let extents: Vec<_> = segments.iter().map(|segment| segment.extent()).collect();
        let OffsetRange { start, end } = self.range();
        let count = retention::droppable(&extents, now, spec, floor, start);
        if count > 0 {
            // Readers are told first, so that nobody looks for a file that is gone.
            self.show(OffsetRange { start: segments[count].base.max(start), end });
            self.at_the_disk(move |writer| writer.drop_front(count)).await?;
            self.show(self.range());
        }
        Ok(segments.len() - self.segments().len())
    }

    async fn trim(&mut self, before: Offset) -> Result<Offset> {
        self.check_stopped()?;
        let OffsetRange { start, end } = self.range();
        check_trim(&self.id, before, end)?;
        if before <= start {
            return Ok(start);
        }
        self.at_the_disk(move |writer| writer.trim(before)).await?;
        self.show(OffsetRange { start: before, end });
        let keeps_all = TopicSpec { retention_ms: None, retention_bytes: None, ..TopicSpec::default() };
        if let Err(error) = self.drop_old(&keeps_all, None).await {
            tracing::warn!(partition = %self.id, %error, "what was trimmed still takes room, it is tried again");
        }
        Ok(self.range().start)
    }

    fn producers(&self) -> Vec<OpenProducer> {
        let open = self.remembered.transactions.open();
        let with_open = |state: ProducerState| {
            let first = open.get(&state.id).copied();
            (state, first)
        };
        self.remembered.producers.states().into_iter().map(with_open).collect()
    }

    async fn close(&mut self) -> Result<()> {
        self.check_stopped()?;
        let state = self.remembered.state();
        self.at_the_disk(move |writer| {
            writer.sync()?;
            writer.checkpoint(state, true)
        })
        .await
    }

    /// Answers everything that waits and takes nothing more.
    fn end(&mut self, error: &Error) {
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            self.waiting.push_back(message);
        }
        for message in self.waiting.drain(..) {
            match message {
                Message::Append(append) => append.caller.answer(Err(error.clone())),
                Message::Retain { answer, .. } => drop(answer.send(Err(error.clone()))),
                Message::Trim { answer, .. } => drop(answer.send(Err(error.clone()))),
                Message::Producers(answer) => drop(answer.send(Err(error.clone()))),
                Message::Close(answer) => drop(answer.send(Ok(()))),
                Message::Delete(answer) => drop(answer.send(())),
                Message::Sync => {}
            }
        }
    }

    /// Has the writer do `work`, apart from other partitions.
    async fn at_the_disk(&mut self, work: impl FnOnce(&mut Writer) -> Result<(), Fault> + Send + 'static) -> Result<()> {
        let mut writer = self.take_writer()?;
        let worked = self.context.syncer.run(move || {
            let done = work(&mut writer);
            (writer, done)
        });
        let worked = worked.await;
        self.put_back(worked)
    }

    fn take_writer(&mut self) -> Result<Writer> {
        self.writer.take().ok_or_else(|| Error::internal("the partition's writer is gone"))
    }

    /// Takes the writer back. A failure of unknown effect stops the partition for good.
    fn put_back(&mut self, worked: Result<(Writer, Result<(), Fault>)>) -> Result<()> {
        let (writer, done) = worked.map_err(|error| self.stop(error))?;
        self.writer = Some(writer);
        match done {
            Ok(()) => Ok(()),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Broken(error)) => Err(self.stop(error)),
        }
    }

    /// Stops the partition: no append is taken from now on, what was acknowledged stays readable.
    fn stop(&self, error: Error) -> Error {
        tracing::error!(partition = %self.id, %error, "a partition stopped: check the disk, then restart the server");
        let text =
            format!("partition {} has stopped after a failed write or sync: check the disk, then restart the server", self.id);
        let stopped = Error::internal(text).with_source(error);
        // The first reason is the one that is told.
        let _ = self.view.stopped.set(stopped.clone());
        stopped
    }

    fn check_stopped(&self) -> Result<()> {
        self.view.stopped.get().map_or(Ok(()), |stopped| Err(stopped.clone()))
    }

    fn range(&self) -> OffsetRange {
        self.view.readable.borrow().range
    }

    fn show(&self, range: OffsetRange) {
        self.view.show(range, self.remembered.transactions.stable_end(range));
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        self.view.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn active(&self) -> Option<Arc<Segment>> {
        self.view.segments.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    fn active_extent(&self) -> Extent {
        self.active().map_or_else(|| Extent::empty(self.range().end), |active| active.extent())
    }
}

/// Whether a batch at `next` lies within the offsets that the index of the segment at `base` can say.
fn fits_offsets(base: Offset, next: Offset, batch: &Batch) -> bool {
    next.since(base) + u64::from(batch.offset_span()) <= u64::from(u32::MAX)
}
