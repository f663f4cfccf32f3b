//! One process's way to a log and to objects that outlive it: it fails, or dies, at the step it is told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult,
};
use pinlake_core::{
    Batch, Committed, Error, Log, MemoryLog, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription, TopicName,
    TopicPartition, TopicSpec,
};
use tokio::sync::Notify;

/// What goes wrong at one step: a put, a get or an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and nothing happened.
    Before,
    /// It happens, and its answer is lost.
    After,
    /// The process dies before it.
    DeathBefore,
    /// The process dies after it.
    DeathAfter,
}

pub(crate) const FAULTS: [Fault; 4] = [Fault::Before, Fault::After, Fault::DeathBefore, Fault::DeathAfter];

/// When what goes wrong, once.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    fault: Option<(Fault, u64)>,
    steps: AtomicU64,
    struck: AtomicBool,
    dead: AtomicBool,
    died: Notify,
    /// Everything fails while it is set.
    pub(crate) closed: AtomicBool,
    /// The next put answers so many seconds later.
    pub(crate) slow: AtomicU64,
    /// Every put fails while it is set.
    pub(crate) store_closed: AtomicBool,
    /// Every put of an object whose name holds `refused` is refused while it is set.
    pub(crate) refuses: AtomicBool,
    /// Every put and every look at an object is denied while it is set.
    pub(crate) denies: AtomicBool,
    /// No store can be opened while it is set.
    pub(crate) is_shut: AtomicBool,
}

impl Fuse {
    /// Nothing goes wrong.
    pub(crate) fn sound() -> Arc<Self> {
        Arc::default()
    }

    /// It goes wrong at the `step`th step, from 1.
    pub(crate) fn at(fault: Fault, step: u64) -> Arc<Self> {
        Arc::new(Self { fault: Some((fault, step)), ..Self::default() })
    }

    pub(crate) fn has_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// Waits for the process's death.
    pub(crate) async fn death(&self) {
        let died = self.died.notified();
        if !self.dead.load(Ordering::SeqCst) {
            died.await;
        }
    }

    /// The process is gone: whatever of it still runs reaches nothing.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_waiters();
    }

    fn may(&self, location: &Path) -> object_store::Result<()> {
        if self.denies.load(Ordering::SeqCst) {
            return Err(object_store::Error::PermissionDenied { path: location.to_string(), source: "not for you".into() });
        }
        Ok(())
    }

    /// Does a step, or what goes wrong with it.
    async fn step<T, E>(&self, error: impl Fn() -> E, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if self.dead.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(error());
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        let Some((fault, _)) = self.fault.filter(|(_, at)| *at == step) else { return work.await };
        self.struck.store(true, Ordering::SeqCst);
        if matches!(fault, Fault::After | Fault::DeathAfter) {
            drop(work.await);
        }
        if matches!(fault, Fault::DeathBefore | Fault::DeathAfter) {
            self.kill();
            return std::future::pending().await;
        }
        Err(error())
    }
}

/// Objects, by way of a fuse.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) objects: Arc<InMemory>,
    pub(crate) fuse: Arc<Fuse>,
}

/// A log, by way of a fuse.
pub(crate) struct FaultyLog {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) fuse: Arc<Fuse>,
}

fn silent() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "the store does not answer".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> object_store::Result<PutResult> {
        // A store answers some time later.
        let slow = Duration::from_secs(self.fuse.slow.swap(0, Ordering::SeqCst));
        tokio::time::sleep(slow + Duration::from_millis(20)).await;
        if self.fuse.store_closed.load(Ordering::SeqCst) {
            return Err(silent());
        }
        self.fuse.may(location)?;
        if self.fuse.refuses.load(Ordering::SeqCst) && location.as_ref().contains("refused") {
            return Err(object_store::Error::NotFound { path: location.to_string(), source: "there is no such bucket".into() });
        }
        self.fuse.step(silent, self.objects.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.fuse.may(location)?;
        self.fuse.step(silent, self.objects.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.log.create_topic(topic, spec).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.log.topics().await
    }
    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.log.topic(topic).await
    }
    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        self.log.delete_topic(topic).await
    }
    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        self.fuse.step(|| Error::retry("the disk is full"), self.log.append(to, batch)).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.log.read(from, at, max, wait).await
    }
    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        self.log.read_committed(from, at, max, wait).await
    }
    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.log.stable_end(of).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.log.range(of).await
    }
    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        self.log.trim(of, before).await
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.log.offset_at(of, time).await
    }
}
