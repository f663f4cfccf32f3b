//! One task of a sink: the partitions that are dealt to it, read, cut into units, written, noted.
//!
//! A unit's end is noted first where no record says it, then its files are written, then the position moves, and at most a second later that is
//! noted too. The task may end at any `await`: the next one begins at the noted position and makes the same files.

mod following;
mod measures;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Batch, Clock, Error, ErrorKind, Followers, Log, Offset, Result, TopicPartition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::layout::File;
use crate::notes::{Change, Notes};
use crate::plan::Plan;
use crate::reader::{Read, Readers};
use crate::units::Unit;
use crate::unpacked::{self, Unpacked};
use crate::write::{Writer, Wrote};
use following::Following;
use measures::Measures;

/// How often the wall clock and the topics are looked at, and positions are noted.
const TICK: Duration = Duration::from_secs(1);
/// Units after which positions are noted at once.
const UNITS_UNNOTED_MAX: usize = 1_000;
/// Bytes of units that are being written; over it nothing is read.
const WRITING_BYTES_MAX: u64 = 64 << 20;
/// Units that are being written; over it nothing is read.
const WRITING_UNITS_MAX: usize = 1_000;
/// How long a log that refuses a note, or a dead letter, is left alone.
const NOTE_RETRY: Duration = Duration::from_millis(500);

/// What a task works with.
#[derive(Clone)]
pub(crate) struct TaskContext {
    pub(crate) sink: Arc<str>,
    /// The name under which it follows its topics.
    pub(crate) follower: Arc<str>,
    pub(crate) task: u32,
    pub(crate) plan: Arc<Plan>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) notes: Notes,
    pub(crate) followers: Followers,
    pub(crate) clock: Clock,
    pub(crate) writer: Writer,
    pub(crate) letters: Arc<dyn DeadLetters>,
}

/// Whether a task is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It goes on.
    Not,
    /// It finishes what it writes.
    Now,
    /// It finishes what it writes, and what an earlier run may have begun to write.
    Settled,
}

/// Runs until it is told to stop, or fails. Answers whether everything that was ever begun to be written is written and noted, so that what
/// comes then may go by other rules.
pub(crate) async fn run(context: TaskContext, mut stop: watch::Receiver<Stop>) -> Result<bool> {
    let (readers, reads) = Readers::new(context.log.clone());
    let mut task = Task {
        measures: Measures::of(&context.follower),
        context,
        following: BTreeMap::new(),
        readers,
        reads,
        started: 0,
        writes: JoinSet::new(),
        writing_bytes: 0,
        units_unnoted: 0,
        knows_its_partitions: false,
        gives_up: watch::channel(false).0,
    };
    let ended = task.serve(&mut stop).await;
    task.writes.shutdown().await;
    // What is written is noted also by a task that fails.
    let is_noted = task.note_positions().await;
    ended.map(|()| is_noted && task.is_settled() && task.following.values().all(Following::is_whole))
}

struct Task {
    context: TaskContext,
    following: BTreeMap<TopicPartition, Following>,
    readers: Readers,
    reads: mpsc::Receiver<Read>,
    /// Readers so far.
    started: u64,
    writes: JoinSet<Result<Written>>,
    writing_bytes: u64,
    /// Units that were written since positions were noted.
    units_unnoted: usize,
    measures: Measures,
    /// Whether all partitions of it are followed that were there when it last looked.
    knows_its_partitions: bool,
    /// Tells what is being written to give up what the store refuses.
    gives_up: watch::Sender<bool>,
}

/// A unit that was written.
#[derive(Debug)]
struct Written {
    of: TopicPartition,
    end: Offset,
    wrote: Wrote,
    records: u64,
    unit_bytes: u64,
    files: usize,
    file_bytes: usize,
}

/// What one read, or a look at the clock, has closed.
type Closed = Vec<(TopicPartition, Vec<Unit>)>;

impl Task {
    async fn serve(&mut self, stop: &mut watch::Receiver<Stop>) -> Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What an earlier task noted last is seen once this is.
        self.note(vec![Change::Started { sink: self.context.sink.to_string() }]).await?;
        let mut settles = false;
        while !(settles && self.is_settled()) {
            let has_room = self.writing_bytes < WRITING_BYTES_MAX && self.writes.len() < WRITING_UNITS_MAX;
            tokio::select! {
                biased;
                told = told_to(stop), if !settles => match told {
                    Stop::Settled => {
                        settles = true;
                        self.gives_up.send_replace(true);
                    }
                    _ => break,
                },
                Some(done) = self.writes.join_next() => self.written(done.map_err(defect).flatten()?).await,
                _ = ticks.tick() => self.tick().await?,
                Some(read) = self.reads.recv(), if has_room => self.take(read).await?,
            }
        }
        self.finish_writes().await
    }

    /// Whether nothing is left that an earlier run may have begun to write.
    fn is_settled(&self) -> bool {
        self.knows_its_partitions
            && self.following.values().all(|following| following.has_ended() || following.units.is_past_again())
    }

    /// Waits for what is being written.
    async fn finish_writes(&mut self) -> Result<()> {
        while let Some(done) = self.writes.join_next().await {
            self.written(done.map_err(defect).flatten()?).await;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<()> {
        let now = self.context.clock.now();
        let mut closed = Closed::new();
        for (of, following) in &mut self.following {
            let mut units = Vec::new();
            following.units.tick(now, &mut units);
            closed.push((of.clone(), units));
        }
        self.write(closed).await?;
        self.note_positions().await;
        self.look_for_topics().await
    }

    async fn take(&mut self, read: Read) -> Result<()> {
        let Read { of, reader, batches } = read;
        let batches = batches?;
        // What an earlier reader read is not for this one's units.
        if self.following.get(&of).is_none_or(|following| following.reader_number != reader) {
            return Ok(());
        }
        let (mut units, mut letters) = (Vec::new(), Vec::new());
        let mut outcome = Ok(());
        for batch in &batches {
            outcome = self.take_batch(&of, batch, &mut units, &mut letters);
            if outcome.is_err() {
                break;
            }
        }
        self.send_letters(&of, letters).await?;
        self.write(vec![(of, units)]).await?;
        if outcome.is_err() {
            // What stands before the record that ends the task is written all the same.
            self.finish_writes().await?;
        }
        outcome?;
        self.keep_memory_bounded().await
    }

    fn take_batch(
        &mut self,
        of: &TopicPartition,
        batch: &Batch,
        units: &mut Vec<Unit>,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<()> {
        let Some(following) = self.following.get_mut(of) else { return Ok(()) };
        let now = self.context.clock.now();
        let letter = |record: &_, problem| DeadLetter::of(self.context.sink.clone(), self.context.task, of, record, problem);
        let mut failed = Vec::new();
        match Unpacked::of(batch) {
            Ok(unpacked) => {
                let next = following.units.next();
                for record in unpacked.records().filter(|record| record.offset >= next) {
                    if let Err(problem) = following.units.take(&record, now, units) {
                        failed.push(letter(&record, problem));
                        if !self.context.plan.on_error.tolerate {
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                let record = unpacked::as_record(batch);
                if let Err(problem) = following.units.take_unreadable(&record, &error, now, units) {
                    failed.push(letter(&record, problem));
                }
            }
        }
        for letter in failed {
            self.measures.error();
            if !self.context.plan.on_error.tolerate {
                return Err(letter.to_error());
            }
            if self.context.plan.on_error.log {
                let (offset, problem) = (letter.offset, &letter.problem);
                tracing::warn!(sink = %self.context.sink, %of, %offset, %problem, "a record can't be written and is passed over");
            }
            letters.push(letter);
        }
        following.units.pass_to(batch.offsets().end, now, units);
        Ok(())
    }

    /// Writes dead letters that are not written yet, before anything of their units is.
    async fn send_letters(&mut self, of: &TopicPartition, mut letters: Vec<DeadLetter>) -> Result<()> {
        let plan = self.context.plan.clone();
        let (Some(topic), Some(following)) = (&plan.on_error.dead_letters, self.following.get_mut(of)) else { return Ok(()) };
        letters.retain(|letter| letter.offset >= following.letters);
        let Some(last) = letters.last() else { return Ok(()) };
        let before = last.offset.plus(1);
        following.letters = before;
        while let Err(error) = self.context.letters.put(topic, letters.clone()).await {
            if error.kind() != ErrorKind::Retry {
                return Err(
                    Error::new(error.kind(), format!("writing to the dead letter topic '{}'", topic.topic)).with_source(error)
                );
            }
            tracing::warn!(sink = %self.context.sink, %error, "dead letters can't be written, trying again");
            sleep(NOTE_RETRY).await;
        }
        let change = Change::Letters { sink: self.context.sink.to_string(), of: of.clone(), before };
        self.note(vec![change]).await
    }

    /// Notes what must be noted of units, in order, and begins to write them.
    async fn write(&mut self, closed: Closed) -> Result<()> {
        let mut changes = Vec::new();
        for (of, units) in &closed {
            let intents: Vec<_> = units.iter().filter_map(|unit| unit.intent).collect();
            if !intents.is_empty() {
                changes.push(Change::Intents { sink: self.context.sink.to_string(), of: of.clone(), intents });
            }
        }
        self.note(changes).await?;
        for (of, units) in closed {
            for unit in units {
                let Some(following) = self.following.get_mut(&of) else { continue };
                following.begin(unit.end);
                self.writing_bytes += unit.bytes;
                let (plan, writer, of) = (self.context.plan.clone(), self.context.writer.clone(), of.clone());
                self.writes.spawn(write_unit(plan, writer, of, unit, self.gives_up.subscribe()));
            }
        }
        Ok(())
    }

    async fn written(&mut self, written: Written) {
        self.writing_bytes -= written.unit_bytes;
        if written.wrote == Wrote::Nothing {
            return;
        }
        self.measures.wrote(written.records, written.files, written.file_bytes);
        if let Some(following) = self.following.get_mut(&written.of) {
            following.end(written.end);
        }
        self.units_unnoted += 1;
        if self.units_unnoted >= UNITS_UNNOTED_MAX {
            self.note_positions().await;
        }
    }

    /// Notes how far everything is written. What can't be noted now is noted later: it answers whether it was.
    async fn note_positions(&mut self) -> bool {
        let (mut changes, mut positions) = (Vec::new(), Vec::new());
        for (of, following) in &self.following {
            let at = following.position();
            if at > following.noted {
                let (sink, of, topic) = (self.context.sink.to_string(), of.clone(), Some(following.topic));
                positions.push((of.clone(), at));
                changes.push(Change::Position { sink, of, at, topic });
            }
        }
        self.units_unnoted = 0;
        if let Err(error) = self.context.notes.change(changes).await {
            tracing::warn!(sink = %self.context.sink, %error, "positions can't be noted, trying again");
            return false;
        }
        for (of, at) in positions {
            self.context.followers.report(&self.context.follower, &of, at);
            if let Some(following) = self.following.get_mut(&of) {
                following.noted = at;
            }
        }
        true
    }

    /// Closes what is largest, if too much waits.
    async fn keep_memory_bounded(&mut self) -> Result<()> {
        loop {
            let held: u64 = self.following.values().map(|following| following.units.open_bytes()).sum();
            let may = self.following.iter_mut().filter(|(_, following)| following.units.may_close_early());
            let largest = may.max_by_key(|(_, following)| following.units.open_bytes());
            let Some((of, following)) = largest.filter(|_| held > self.context.plan.rotation.open_bytes) else { return Ok(()) };
            let mut units = Vec::new();
            following.units.close_early(&mut units);
            let closed = vec![(of.clone(), units)];
            self.write(closed).await?;
        }
    }

    /// Makes changes to the notes; asks again while the log is not there.
    async fn note(&self, changes: Vec<Change>) -> Result<()> {
        loop {
            match self.context.notes.change(changes.clone()).await {
                Err(error) if error.kind() == ErrorKind::Retry => {
                    tracing::warn!(sink = %self.context.sink, %error, "what a sink is about to do can't be noted, trying again");
                    sleep(NOTE_RETRY).await;
                }
                done => return done,
            }
        }
    }
}

/// Also when nobody is there to tell.
async fn told_to(stop: &mut watch::Receiver<Stop>) -> Stop {
    stop.wait_for(|stop| *stop != Stop::Not).await.map_or(Stop::Now, |stop| *stop)
}

async fn write_unit(
    plan: Arc<Plan>,
    writer: Writer,
    of: TopicPartition,
    unit: Unit,
    gives_up: watch::Receiver<bool>,
) -> Result<Written> {
    let Unit { end, is_first, records, bytes: unit_bytes, .. } = unit;
    let make = {
        let of = of.clone();
        move || unit.files(&of, &*plan.layout)
    };
    let files: Vec<File> = tokio::task::spawn_blocking(make).await.map_err(defect).flatten()?;
    let (count, file_bytes) = (files.len(), files.iter().map(|file| file.content.len()).sum());
    let wrote = writer.write(files, is_first, gives_up).await?;
    Ok(Written { of, end, wrote, records, unit_bytes, files: count, file_bytes })
}

fn defect(error: tokio::task::JoinError) -> Error {
    Error::internal("a part of the sink's task ended by a defect: look for a panic in the server's log").with_source(error)
}
