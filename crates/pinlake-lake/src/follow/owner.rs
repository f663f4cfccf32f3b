//! The owner task: one loop over what comes in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::pipeline::{Flush, Route};
use pinlake_core::{Batch, Error, ErrorKind, Followers, Log, Offset, OffsetRange, Result, TopicId, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use super::start::{self, Stand};
use super::upkeep::finished;
use super::{Committed, Ends, FollowSettings, Message, Status};
use crate::backoff::Backoff;
use crate::keys::KeyIndex;
use crate::live::TableView;
use crate::maintain::Compacted;
use crate::readers::{Read, Readers, check_position, check_topic, range_now, topics_now};
use crate::rows::{Counts, Recipe};
use crate::stream::{self, PreparedRead, Standing, Stream, Work};
use crate::table::Table;

/// How often new topics are looked for.
const LOOK_FOR_TOPICS: Duration = Duration::from_millis(500);
/// How often files that nobody needs are removed.
const VACUUM_EVERY: Duration = Duration::from_secs(3600);

/// The owner of one table.
pub(super) struct Owner {
    pub(super) log: Arc<dyn Log>,
    pub(super) followers: Followers,
    pub(super) settings: FollowSettings,
    pub(super) recipe: Arc<Recipe>,
    pub(super) table: Table,
    pub(super) quarantine: Table,
    pub(super) index: KeyIndex,
    pub(super) stream: Stream,
    /// Where the quarantine stands with its last commit.
    pub(super) quarantined: Stand,
    /// How often the table was rebuilt.
    pub(super) rebuilds: u64,
    pub(super) status: watch::Sender<Status>,
    routes: BTreeMap<TopicPartition, Route>,
    readers: Readers,
    reads: mpsc::Receiver<Result<Read>>,
    waiting: Vec<Waiting>,
    commit_at: Option<Instant>,
    pub(super) upkeep: Option<JoinHandle<Result<Compacted>>>,
    /// The store did not say whether a commit happened: nothing more is taken until it is known, so that what is tried again
    /// is the same commit.
    pub(super) unknown: bool,
    backoff: Backoff,
}

/// A caller who waits until the table has come so far.
struct Waiting {
    ends: Ends,
    wants: Wants,
}

enum Wants {
    View(oneshot::Sender<Result<TableView>>),
    Flush(oneshot::Sender<Result<Status>>),
    Account(oneshot::Sender<Result<Committed>>),
}

impl Wants {
    /// Whether the caller went away.
    fn is_given_up(&self) -> bool {
        match self {
            Wants::View(reply) => reply.is_closed(),
            Wants::Flush(reply) => reply.is_closed(),
            Wants::Account(reply) => reply.is_closed(),
        }
    }
}

impl Owner {
    #[expect(clippy::too_many_arguments, reason = "it is put together in one place")]
    pub(super) fn new(
        log: Arc<dyn Log>,
        followers: Followers,
        settings: FollowSettings,
        recipe: Arc<Recipe>,
        table: Table,
        quarantine: Table,
        index: KeyIndex,
        stream: Stream,
        status: watch::Sender<Status>,
    ) -> Owner {
        let (readers, reads) = Readers::new(log.clone());
        Owner {
            log,
            followers,
            settings,
            recipe,
            table,
            quarantine,
            index,
            stream,
            quarantined: Stand::default(),
            rebuilds: 0,
            status,
            routes: BTreeMap::new(),
            readers,
            reads,
            waiting: Vec::new(),
            commit_at: None,
            upkeep: None,
            unknown: false,
            backoff: Backoff::default(),
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        match self.serve(&mut messages).await {
            Ok(()) => {
                tracing::debug!(table = %self.recipe.name, "table closed");
                self.status.send_modify(|status| status.failed = Some(Error::retry("the table ended with the server")));
            }
            Err(error) => {
                tracing::error!(table = %self.recipe.name, %error, "table stopped: it keeps what is committed, and tries again at the next start");
                self.status.send_modify(|status| status.failed = Some(error));
            }
        }
    }

    async fn serve(&mut self, messages: &mut mpsc::Receiver<Message>) -> Result<()> {
        let mut look = interval(LOOK_FOR_TOPICS);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut vacuum = interval_at(Instant::now() + VACUUM_EVERY, VACUUM_EVERY);
        loop {
            let due = self.commit_at;
            tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Some(Message::Stop { reply }) => {
                        let done = self.commit_for_caller().await;
                        let _ = reply.send(done.clone());
                        return done;
                    }
                    Some(message) => self.message(message).await?,
                    None => return Ok(()),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.commit_or_wait().await?,
                read = self.reads.recv(), if !self.unknown => self.take(read.expect("the readers hold a sender")?).await?,
                _ = look.tick() => self.look_for_topics().await?,
                // It reads the newest snapshot, which may have what counts as pending.
                _ = vacuum.tick(), if !self.unknown => self.vacuum().await,
                done = finished(&mut self.upkeep) => self.commit_compacted(done).await,
            }
            self.answer_waiting().await?;
        }
    }

    async fn message(&mut self, message: Message) -> Result<()> {
        match message {
            Message::View { ends, reply } => self.wait(ends, Wants::View(reply)).await?,
            Message::Flush { ends, reply } => self.wait(ends, Wants::Flush(reply)).await?,
            Message::Account { ends, reply } => self.wait(ends, Wants::Account(reply)).await?,
            Message::Quarantine { reply } => {
                let _ = reply.send(TableView::new(&self.quarantine, Vec::new()));
            }
            Message::Find { record, reply } => {
                let _ = reply.send(self.find(&record));
            }
            Message::Commits { count, reply } => {
                let _ = reply.send(start::commits(&self.table, count).await);
            }
            Message::Parts { reply } => drop(reply.send(Ok((self.table.clone(), self.quarantine.clone())))),
            Message::Compacted { compacted, reply } => drop(reply.send(self.take_compacted(*compacted).await)),
            Message::Vacuum { keep, reply } => drop(reply.send(self.vacuum_for_caller(keep).await)),
            Message::Replace { built, standings, reply } => {
                let done = self.replace(*built, standings).await;
                let fatal = done.as_ref().err().filter(|error| error.kind() != ErrorKind::Retry).cloned();
                let _ = reply.send(done);
                fatal.map_or(Ok(()), Err)?;
            }
            Message::Stop { .. } => unreachable!("the loop ends on it"),
        }
        Ok(())
    }

    fn find(&self, record: &[u8]) -> Result<Option<bool>> {
        let prepared = self.recipe.prepare(&[record])?;
        let mut there = None;
        prepared.find(&self.index, |_, found| there = found)?;
        Ok(there)
    }

    async fn wait(&mut self, ends: Ends, wants: Wants) -> Result<()> {
        // Partitions that are new since the last look, or there again.
        if ends.keys().any(|of| !self.readers.reads(of)) {
            self.look_for_topics().await?;
        }
        self.waiting.push(Waiting { ends, wants });
        Ok(())
    }

    async fn answer_waiting(&mut self) -> Result<()> {
        let mut still = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.wants.is_given_up() {
                continue;
            }
            if !self.has_reached(&waiting.ends) {
                still.push(waiting);
                continue;
            }
            match waiting.wants {
                Wants::View(reply) => drop(reply.send(TableView::new(&self.table, self.stream.pending.rows.clone()))),
                Wants::Flush(reply) => {
                    let done = self.commit_for_caller().await;
                    let fatal = fatal(&done);
                    let _ = reply.send(done.map(|()| self.status.borrow().clone()));
                    fatal.map_or(Ok(()), Err)?;
                }
                Wants::Account(reply) => {
                    let done = self.commit_for_caller().await;
                    let fatal = fatal(&done);
                    let _ = reply.send(done.and_then(|()| self.committed_now()));
                    fatal.map_or(Ok(()), Err)?;
                }
            }
        }
        self.waiting = still;
        Ok(())
    }

    fn committed_now(&self) -> Result<Committed> {
        Ok(Committed {
            status: self.status.borrow().clone(),
            rows: TableView::new(&self.table, Vec::new())?,
            quarantine: TableView::new(&self.quarantine, Vec::new())?,
        })
    }

    /// Whether everything before `ends` was taken; partitions of other tables do not count.
    fn has_reached(&self, ends: &Ends) -> bool {
        let reached = |(of, end): &(&TopicPartition, &Offset)| {
            self.stream.standings.get(of).is_some_and(|standing| standing.position >= **end)
        };
        // Also one that can't be followed yet, because the log does not answer.
        ends.iter().filter(|(of, end)| end.0 > 0 && self.feeds(of)).all(|end| reached(&end))
    }

    async fn look_for_topics(&mut self) -> Result<()> {
        let (pipeline, index) = (self.settings.pipeline.clone(), self.settings.index);
        for topic in topics_now(&*self.log, |topic| pipeline.route(index, topic).is_some()).await {
            let Some(route) = pipeline.route(index, &topic.name) else { continue };
            for partition in 0..topic.spec.partitions {
                let of = topic.name.partition(partition);
                if !self.readers.reads(&of) {
                    self.follow(of, route.clone(), topic.id).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads a partition that is new, or that was deleted and is there again.
    async fn follow(&mut self, of: TopicPartition, route: Route, topic: TopicId) -> Result<()> {
        let Some(kept) = range_now(&*self.log, &of).await? else { return Ok(()) };
        let standing = self.stream.standings.entry(of.clone()).or_insert(stream::Standing {
            start: kept.start,
            position: kept.start,
            ..stream::Standing::default()
        });
        let position = standing.position;
        let follower = format!("table {}", self.recipe.name);
        check_topic(&follower, &of, position, kept, (standing.topic, topic))?;
        check_position(&follower, &of, position, kept)?;
        standing.topic = Some(topic);
        let committed = self.status.borrow().committed.get(&of).map_or(kept.start, |standing| standing.position);
        self.followers.report(&self.recipe.name, &of, committed);
        self.readers.start(of.clone(), position, Some(topic));
        self.routes.insert(of, route);
        Ok(())
    }

    async fn take(&mut self, read: Read) -> Result<()> {
        if !self.readers.is_newest(&read) {
            // Read before the table was replaced or the partition began anew.
            return Ok(());
        }
        let position = self.stream.standings.get(&read.of).copied().unwrap_or_default().position;
        if read.from != position {
            let (table, of, from) = (&self.recipe.name, &read.of, read.from);
            return Err(Error::internal(format!(
                "table {table} stands at {position} of {of}, but was handed what comes from {from} on"
            )));
        }
        let (of, offsets) = (read.of.clone(), read.offsets());
        let mut parts = self.prepare(&of, offsets, read.batches);
        while let Some(part) = parts.next().await? {
            let next = part.next;
            let counts = self.take_part(part)?;
            self.measure(&counts);
            if self.is_commit_full() {
                self.commit_or_wait().await?;
            }
            if self.unknown && next < offsets.end {
                // The rest is read again once it is known whether the commit happened.
                let topic = self.stream.standings.get(&of).and_then(|standing| standing.topic);
                self.readers.start(of, next, topic);
                break;
            }
        }
        self.status.send_modify(|status| status.pending_rows = self.stream.pending.row_count);
        Ok(())
    }

    /// Decodes and cleans on another thread what `batches` hold at `offsets`.
    pub(super) fn prepare(&self, of: &TopicPartition, offsets: OffsetRange, batches: Vec<Batch>) -> Parts {
        let route = self.routes.get(of).cloned().unwrap_or(Route::All);
        let work = Work { recipe: self.recipe.clone(), of: of.clone(), route, offsets, batches };
        let (sender, parts) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = work.prepare(|part| sender.blocking_send(Ok(part)).is_ok()) {
                // Whoever does not want it has ended.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Parts { parts, taken_to: offsets.start, end: offsets.end }
    }

    /// Takes what was prepared in, behind what is pending.
    pub(super) fn take_part(&mut self, part: PreparedRead) -> Result<Counts> {
        let index = &mut self.index;
        let counts = self.stream.take(part, |prepared| prepared.admit(index))?;
        let age = self.spec_commit().age;
        self.commit_at = self.commit_at.or_else(|| (self.stream.pending.offsets > 0).then(|| Instant::now() + age));
        Ok(counts)
    }

    fn measure(&self, counts: &Counts) {
        let table = self.recipe.name.to_string();
        metrics::counter!("pinlake_cleaned_records_total", "table" => table.clone()).increment(counts.rows);
        metrics::counter!("pinlake_quarantined_records_total", "table" => table.clone()).increment(counts.quarantined);
        metrics::counter!("pinlake_duplicate_records_total", "table" => table).increment(counts.duplicates + counts.conflicts);
    }

    fn is_commit_full(&self) -> bool {
        let Flush { records, bytes, .. } = self.spec_commit();
        let pending = &self.stream.pending;
        let quarantined = (pending.quarantined.len() as u64, pending.quarantined.bytes() as u64);
        pending.row_count >= records || pending.bytes + quarantined.1 >= bytes || quarantined.0 >= records
    }

    fn spec_commit(&self) -> Flush {
        self.settings.pipeline.tables[self.settings.index].commit
    }

    /// Commits; if the store does not answer, tries again a little later.
    async fn commit_or_wait(&mut self) -> Result<()> {
        match self.commit_for_caller().await {
            Err(error) if error.kind() == ErrorKind::Retry => {
                tracing::warn!(table = %self.recipe.name, %error, "commit failed, trying again");
                Ok(())
            }
            done => done,
        }
    }

    /// Commits for a caller who waits for it.
    pub(super) async fn commit_for_caller(&mut self) -> Result<()> {
        let done = self.commit().await;
        self.unknown = done.is_err();
        if self.unknown {
            self.commit_at = Some(Instant::now() + self.backoff.failed());
        } else {
            self.commit_at = None;
            self.backoff.worked();
            self.start_upkeep();
        }
        done
    }

    /// Starts the readers again from where the table stands.
    pub(super) fn restart_readers(&mut self) {
        for of in self.routes.keys() {
            let Standing { position, topic, .. } = self.stream.standings.get(of).copied().unwrap_or_default();
            self.readers.start(of.clone(), position, topic);
        }
    }
}

/// What a thread prepares, part by part.
pub(super) struct Parts {
    parts: mpsc::Receiver<Result<PreparedRead>>,
    taken_to: Offset,
    end: Offset,
}

impl Parts {
    /// The next part; `None` when all offsets are accounted for.
    pub(super) async fn next(&mut self) -> Result<Option<PreparedRead>> {
        if self.taken_to >= self.end {
            return Ok(None);
        }
        // It hands on all there is unless it panics.
        let part = self.parts.recv().await.ok_or_else(|| Error::internal("cleaning stopped"))??;
        self.taken_to = part.next;
        Ok(Some(part))
    }
}

/// The error that ends the table; one that only asks for another try does not.
fn fatal(done: &Result<()>) -> Option<Error> {
    done.as_ref().err().filter(|error| error.kind() != ErrorKind::Retry).cloned()
}
