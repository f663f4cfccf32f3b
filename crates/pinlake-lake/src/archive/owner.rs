//! The owner task of the archive: buffers, objects, manifest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use pinlake_core::pipeline::{Flush, Route};
use pinlake_core::{Error, ErrorKind, Followers, Log, Offset, ReadLimit, Result, TopicId, TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use xxhash_rust::xxh3::xxh3_128;

use super::buffer::Buffer;
use super::manifest::{DescribedObject, Manifest, ManifestEntry};
use super::{ArchiveSettings, ArchiveStatus, FOLLOWER, Message};
use crate::backoff::Backoff;
use crate::error;
use crate::follow::Ends;
use crate::raw::{lines, object_path};
use crate::readers::{self, Read, Readers, check_position, check_topic, range_now, topics_now};
use crate::records::Unpacked;
use crate::runs::Run;

/// The archive, as messages name it.
const NAME: &str = "the archive";
/// How often files of the manifest that nobody needs are removed.
const VACUUM_EVERY: Duration = Duration::from_secs(3600);
/// How often new topics and old buffers are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Bytes of all buffers together; over it the largest is written.
const BUFFERED_BYTES_MAX: usize = 128 << 20;
/// Objects that may wait to be entered into the manifest.
const WRITTEN_WAITING_MAX: usize = 64;

/// Who waits for a flush.
type Flushed = oneshot::Sender<Result<BTreeMap<TopicPartition, Offset>>>;

pub(super) struct Owner {
    log: Arc<dyn Log>,
    followers: Followers,
    settings: ArchiveSettings,
    pub(super) status: watch::Sender<ArchiveStatus>,
    manifest: Manifest,
    buffers: BTreeMap<TopicPartition, Buffer>,
    /// Objects that are written and not entered yet.
    written: Vec<DescribedObject>,
    readers: Readers,
    reads: mpsc::Receiver<Result<Read>>,
    waiting: Vec<(Ends, Flushed)>,
    backoff: Backoff,
    /// When a store that failed is asked again, if nobody asks for a flush before.
    retry_at: Instant,
}

impl Owner {
    pub(super) async fn open(log: Arc<dyn Log>, followers: Followers, settings: ArchiveSettings) -> Result<Owner> {
        let manifest = Manifest::open(settings.manifest.clone(), settings.clock.clone()).await?;
        for (of, position) in &manifest.positions {
            followers.report(FOLLOWER, of, *position);
        }
        let status = ArchiveStatus { positions: manifest.positions.clone(), deleted: manifest.deleted.clone(), failed: None };
        let (readers, reads) = Readers::new(log.clone());
        Ok(Owner {
            log,
            followers,
            settings,
            status: watch::Sender::new(status),
            manifest,
            buffers: BTreeMap::new(),
            written: Vec::new(),
            readers,
            reads,
            waiting: Vec::new(),
            backoff: Backoff::default(),
            retry_at: Instant::now(),
        })
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let ended = match self.serve(&mut messages).await {
            Ok(()) => Error::retry("the archive ended with the server"),
            Err(error) => {
                tracing::error!(%error, "the archive stopped: it tries again at the next start");
                error
            }
        };
        self.status.send_modify(|status| status.failed = Some(ended));
    }

    async fn serve(&mut self, messages: &mut mpsc::Receiver<Message>) -> Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut vacuum = interval_at(Instant::now() + VACUUM_EVERY, VACUUM_EVERY);
        loop {
            let done = tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Some(Message::Flush { ends, reply }) => {
                        self.waiting.push((ends, reply));
                        self.look_for_topics().await
                    }
                    Some(Message::Manifest { reply }) => {
                        let _ = reply.send(self.manifest.view());
                        Ok(())
                    }
                    Some(Message::Deleted { topic, reply }) => {
                        let noted = self.manifest.note_deleted(&topic).await;
                        self.status.send_modify(|status| status.deleted.clone_from(&self.manifest.deleted));
                        let _ = reply.send(noted);
                        Ok(())
                    }
                    Some(Message::Stop { reply }) => {
                        let done = self.write_all().await;
                        let _ = reply.send(done.clone());
                        return done;
                    }
                    None => return Ok(()),
                },
                read = self.reads.recv() => self.take(read.expect("the readers hold a sender")?).await,
                _ = ticks.tick() => self.tick().await,
                _ = vacuum.tick() => {
                    self.manifest.vacuum().await;
                    Ok(())
                }
            };
            let done = match done {
                Ok(()) => self.answer_waiting().await,
                failed => failed,
            };
            match done {
                // What is buffered stays so, and a later tick tries again.
                Err(error) if error.kind() == ErrorKind::Retry => {
                    let pause = self.backoff.failed();
                    self.retry_at = Instant::now() + pause;
                    tracing::warn!(%error, ?pause, "the archive's store failed, trying again");
                }
                done => done?,
            }
        }
    }

    async fn tick(&mut self) -> Result<()> {
        if Instant::now() < self.retry_at {
            return Ok(());
        }
        let age_max = self.flush_limits().age;
        let is_old = |buffer: &Buffer| buffer.since.is_some_and(|since| since.elapsed() >= age_max);
        let old: Vec<TopicPartition> =
            self.buffers.iter().filter(|(_, buffer)| is_old(buffer)).map(|(of, _)| of.clone()).collect();
        for of in old {
            self.write(&of).await?;
        }
        self.enter().await?;
        // Last: an object of one partition that can't be read keeps no other from its objects.
        self.look_for_topics().await
    }

    async fn take(&mut self, read: Read) -> Result<()> {
        if !self.readers.is_newest(&read) {
            return Ok(());
        }
        if self.buffers.get(&read.of).is_some_and(|buffer| buffer.is_tried) {
            // Its object may be there although the store did not say so, and must not be other than what is tried again.
            self.write_or_wait(&read.of).await?;
        }
        let limits = self.flush_limits();
        for batch in &read.batches {
            let unpacked = Unpacked::of(batch);
            for record in unpacked.records() {
                let Some(buffer) = self.buffers.get_mut(&read.of) else { continue };
                if record.offset < buffer.next {
                    continue;
                }
                buffer.push(&record);
                if buffer.records >= limits.records || buffer.bytes() as u64 >= limits.bytes {
                    self.write_or_wait(&read.of).await?;
                }
            }
            if let Some(buffer) = self.buffers.get_mut(&read.of) {
                buffer.pass_to(batch.offsets().end);
            }
            self.keep_memory_bounded().await?;
        }
        Ok(())
    }

    async fn keep_memory_bounded(&mut self) -> Result<()> {
        let held = |buffers: &BTreeMap<TopicPartition, Buffer>| buffers.values().map(Buffer::bytes).sum::<usize>();
        while held(&self.buffers) > BUFFERED_BYTES_MAX {
            let largest = self.buffers.iter().max_by_key(|(_, buffer)| buffer.bytes()).map(|(of, _)| of.clone());
            self.write_or_wait(&largest.expect("something is held")).await?;
        }
        if self.written.len() >= WRITTEN_WAITING_MAX {
            self.enter().await?;
        }
        Ok(())
    }

    /// Writes a full buffer; while the store does not answer nothing else is taken, so memory stays bounded.
    async fn write_or_wait(&mut self, of: &TopicPartition) -> Result<()> {
        loop {
            match self.write(of).await {
                Err(error) if error.kind() == ErrorKind::Retry => {
                    let pause = self.backoff.failed();
                    tracing::warn!(%of, %error, ?pause, "archiving failed, trying again");
                    tokio::time::sleep(pause).await;
                }
                done => return done,
            }
        }
    }

    /// Writes what is buffered of a partition, as an object if there is any record.
    async fn write(&mut self, of: &TopicPartition) -> Result<()> {
        let Some(buffer) = self.buffers.get_mut(of).filter(|buffer| !buffer.is_empty()) else { return Ok(()) };
        if buffer.records > 0 {
            buffer.is_tried = true;
            put(&*self.settings.objects.objects(), &object_path(of, buffer.start), &buffer.lines).await?;
            self.backoff.worked();
        }
        let written = std::mem::replace(buffer, Buffer::at(buffer.next, buffer.keys.is_some()));
        metrics::counter!("pinlake_archived_records_total").increment(written.records);
        self.written.extend(entries_of(of, written));
        Ok(())
    }

    async fn write_all(&mut self) -> Result<()> {
        let all: Vec<TopicPartition> = self.buffers.keys().cloned().collect();
        for of in all {
            self.write(&of).await?;
        }
        self.enter().await
    }

    /// Enters written objects into the manifest, in one commit.
    async fn enter(&mut self) -> Result<()> {
        if self.written.is_empty() {
            return Ok(());
        }
        self.manifest.enter(&self.written, &self.settings.clock).await?;
        self.written.clear();
        for (of, position) in &self.manifest.positions {
            self.followers.report(FOLLOWER, of, *position);
        }
        self.status.send_modify(|status| status.positions.clone_from(&self.manifest.positions));
        Ok(())
    }

    async fn answer_waiting(&mut self) -> Result<()> {
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        let reached = |buffers: &BTreeMap<TopicPartition, Buffer>, ends: &Ends| {
            // One that can't be followed yet, because the log does not answer, is not.
            let taken = |(of, end): (&TopicPartition, &Offset)| {
                buffers.get(of).map_or(*end == Offset::ZERO, |buffer| buffer.next >= *end)
            };
            ends.iter().all(taken)
        };
        if !self.waiting.iter().any(|(ends, _)| reached(&self.buffers, ends)) {
            return Ok(());
        }
        let done = self.write_all().await;
        let (ready, still) = std::mem::take(&mut self.waiting).into_iter().partition(|(ends, _)| reached(&self.buffers, ends));
        self.waiting = still;
        let ready: Vec<(Ends, Flushed)> = ready;
        for (_, reply) in ready {
            let _ = reply.send(done.clone().map(|()| self.manifest.positions.clone()));
        }
        done
    }

    async fn look_for_topics(&mut self) -> Result<()> {
        let pipeline = self.settings.pipeline.clone();
        for topic in topics_now(&*self.log, |topic| pipeline.follows(topic)).await {
            for partition in 0..topic.spec.partitions {
                let of = topic.name.partition(partition);
                if !self.readers.reads(&of) {
                    self.follow(of, topic.id).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads a partition that is new, or that was deleted and is there again.
    async fn follow(&mut self, of: TopicPartition, topic: TopicId) -> Result<()> {
        let Some(kept) = range_now(&*self.log, &of).await? else { return Ok(()) };
        let entered = self.manifest.positions.get(&of).copied().unwrap_or(kept.start);
        self.followers.report(FOLLOWER, &of, entered);
        let held = self.buffers.get(&of).map(|buffer| buffer.next).filter(|next| *next >= kept.start);
        let mut position = held.unwrap_or(entered);
        check_topic(NAME, &of, position, kept, (self.manifest.topics.get(&of).copied(), topic))?;
        check_position(NAME, &of, position, kept)?;
        self.manifest.topics.insert(of.clone(), topic);
        self.manifest.deleted.remove(&of.topic);
        if held.is_some() {
            self.readers.start(of, position, Some(topic));
            return Ok(());
        }
        while let Some(adopted) = self.adopt(&of, position).await? {
            position = adopted.next;
            self.written.extend(entries_of(&of, adopted));
        }
        self.enter().await?;
        let buffer = Buffer::at(position, self.is_keyed(&of.topic));
        self.buffers.insert(of.clone(), buffer);
        self.readers.start(of, position, Some(topic));
        Ok(())
    }

    /// The object that starts with the first record from `position` on, if one was written before a crash: read, and compared with the log.
    async fn adopt(&self, of: &TopicPartition, position: Offset) -> Result<Option<Buffer>> {
        let mut buffer = Buffer::at(position, self.is_keyed(&of.topic));
        self.fill(of, &mut buffer, 1).await?;
        if buffer.records == 0 {
            return Ok(None);
        }
        let path = object_path(of, buffer.start);
        let there = match fetch(&*self.settings.objects.objects(), &path).await {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let records = lines(&there).count() as u64;
        self.fill(of, &mut buffer, records).await?;
        if buffer.lines != there {
            return Err(Error::corrupt(format!("object '{path}' is past the manifest and holds other records than the log")));
        }
        tracing::info!(object = %path, records, "adopted an object that was not in the manifest");
        Ok(Some(buffer))
    }

    /// Has a buffer take so many records from the log in all, or as many as are decided.
    async fn fill(&self, of: &TopicPartition, buffer: &mut Buffer, records: u64) -> Result<()> {
        // One batch is enough, where the first record is looked for and no hole comes before it.
        let mut bytes = 1;
        while buffer.records < records {
            let batches = readers::decided(&*self.log, of, buffer.next, bytes).await?;
            bytes = ReadLimit::default().bytes;
            if batches.is_empty() {
                break;
            }
            for batch in &batches {
                let unpacked = Unpacked::of(batch);
                let rest = usize::try_from(records - buffer.records).unwrap_or(usize::MAX);
                let from = buffer.next;
                unpacked.records().filter(|record| record.offset >= from).take(rest).for_each(|record| buffer.push(&record));
                if buffer.records == records {
                    break;
                }
                buffer.pass_to(batch.offsets().end);
            }
        }
        Ok(())
    }

    /// Whether tables share the topic, so that a record's key tells whose it is.
    fn is_keyed(&self, topic: &TopicName) -> bool {
        let pipeline = &self.settings.pipeline;
        (0..pipeline.tables.len()).any(|index| matches!(pipeline.route(index, topic), Some(Route::ByKey { .. })))
    }

    fn flush_limits(&self) -> Flush {
        self.settings.pipeline.archive.flush
    }
}

/// What the manifest says of what was taken: where it begins without a record, that is an entry of its own.
fn entries_of(of: &TopicPartition, taken: Buffer) -> impl Iterator<Item = DescribedObject> {
    let Buffer { lines, begin, start, next, runs, records, keys, .. } = taken;
    let hole = (begin < start).then(|| {
        let entry =
            ManifestEntry { object: None, of: of.clone(), first: begin, next: start, records: 0, bytes: 0, digest: digest(&[]) };
        DescribedObject { entry, runs: vec![Run::Hole(start.since(begin))], keys: None }
    });
    let object = (records > 0).then(|| {
        let path = object_path(of, start).to_string();
        let (bytes, digest) = (lines.len() as u64, digest(&lines));
        let entry = ManifestEntry { object: Some(path), of: of.clone(), first: start, next, records, bytes, digest };
        DescribedObject { entry, runs, keys }
    });
    hole.into_iter().chain(object)
}

fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Creates an object, or finds that it is there: our own, from a try whose answer was lost. Nothing is overwritten.
async fn put(objects: &dyn ObjectStore, path: &Path, lines: &[u8]) -> Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let payload = PutPayload::from(bytes::Bytes::copy_from_slice(lines));
    match objects.put_opts(path, payload, options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => {
            if fetch(objects, path).await? == lines {
                return Ok(());
            }
            Err(Error::corrupt(format!("object '{path}' exists with other content than the log has")))
        }
        Err(error) => Err(Error::retry(format!("writing object '{path}'")).with_source(error)),
    }
}

async fn fetch(objects: &dyn ObjectStore, path: &Path) -> Result<bytes::Bytes> {
    let failed = |e| error::store(&format!("reading object '{path}'"), e);
    objects.get(path).await.map_err(failed)?.bytes().await.map_err(failed)
}
