//! The streams: what is kept of them, and who may change one while others put to it.
//!
//! ```text
//! operations -> changes -> state (what must last) -> topic_store -> Log::append
//!                      \-> the stream's topic: partitions, retention, its end
//! ```
//!
//! A stream is a topic. What the log does not know of it is kept in a topic of the server's
//! own, which nobody else may append to; a topic that nobody made through Kinesis is a stream
//! of which nothing is kept until somebody changes it here. Nothing here knows a wire format.

pub(crate) mod changes;
pub(crate) mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Clock, Error, Log, Result, TopicDescription, TopicId, TopicName};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, RwLock, watch};

use super::iterator::{self, Seal};
use super::subscriptions::Subscriptions;
use super::throughput::Meters;
use crate::topic_store::{Inflight, StoreLimits, TopicStore};
use state::{Entry, State, Stream};

/// A snapshot is written when so many records lie behind the last one.
const SNAPSHOT_RECORDS: u64 = 2_000;
/// The same in bytes.
const SNAPSHOT_BYTES: u64 = 16 << 20;
/// Bytes of changes that wait for the log; over it they are refused as if the disk were full. One stream takes 2 MiB at the most.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// All streams. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    store: Arc<TopicStore<State>>,
    seal: OnceCell<Seal>,
    desks: Mutex<HashMap<TopicName, Arc<Desk>>>,
    /// Held while a stream is created, so that the limit on all shards holds.
    creating: AsyncMutex<()>,
    /// Told of each change.
    changed: watch::Sender<()>,
    subscriptions: Subscriptions,
}

/// One stream's: who changes it and who appends to it.
#[derive(Default)]
pub(crate) struct Desk {
    /// Held from the look at a stream until its change is seen.
    pub(crate) changing: Arc<AsyncMutex<()>>,
    /// Read while records are routed and appended; written while shards are closed, so that nothing comes behind their last record.
    pub(crate) appending: Arc<RwLock<()>>,
    /// What its shards have taken and given lately.
    pub(crate) meters: Meters,
    /// The stream of a topic of which nothing is kept, as it was when somebody looked.
    derived: Mutex<Option<Arc<Stream>>>,
}

impl Streams {
    /// Reads the streams from their topic, which is created by the first change if it is not there. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// The log's own.
    pub async fn open(log: Arc<dyn Log>, clock: Clock, topic: &TopicName) -> Result<Self> {
        let limits = StoreLimits {
            snapshot_records: SNAPSHOT_RECORDS,
            snapshot_bytes: SNAPSHOT_BYTES,
            queued_bytes_max: QUEUED_BYTES_MAX,
        };
        let store = TopicStore::<State>::open_unmade(log, clock.clone(), topic, limits).await?;
        let inner = Inner {
            clock,
            store,
            seal: OnceCell::new(),
            desks: Mutex::default(),
            creating: AsyncMutex::default(),
            changed: watch::Sender::default(),
            subscriptions: Subscriptions::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What seals iterators and page tokens. Its key is made when it is needed first, and kept.
    ///
    /// # Errors
    /// The log's own.
    pub(crate) async fn seal(&self) -> Result<&Seal> {
        let inner = &self.inner;
        let make = async || {
            if inner.store.state().key().is_none() {
                self.write(Entry::Key { key: STANDARD.encode(iterator::new_key()?) }).await?;
            }
            let key = inner.store.state().key().copied();
            let key = key.ok_or_else(|| Error::internal("the streams' topic keeps no key: look for a defect"))?;
            Ok(Seal::new(&key))
        };
        inner.seal.get_or_try_init(make).await
    }

    /// The time that streams go by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Who is subscribed to shards.
    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.inner.subscriptions
    }

    /// Is told of each change from now on, of any stream.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.inner.changed.subscribe()
    }

    /// The stream that a topic is.
    pub(crate) fn of(&self, topic: &TopicDescription) -> Arc<Stream> {
        if let Some(kept) = self.inner.store.state().of(topic) {
            return kept.clone();
        }
        let Some(desk) = self.known_desk(topic.name.as_str()) else { return Arc::new(Stream::of_topic(topic)) };
        let mut derived = lock(&desk.derived);
        let same = |stream: &&Arc<Stream>| stream.topic == topic.id && stream.shards.len() == topic.spec.partitions;
        match derived.as_ref().filter(same) {
            Some(stream) => stream.clone(),
            None => derived.insert(Arc::new(Stream::of_topic(topic))).clone(),
        }
    }

    /// The streams of which something is kept.
    pub(crate) fn kept(&self) -> Vec<Arc<Stream>> {
        self.inner.store.state().all().cloned().collect()
    }

    /// Keeps a stream as it is now; durable and seen when it returns.
    pub(crate) async fn keep(&self, stream: Stream) -> Result<()> {
        self.write(Entry::Stream { is: Arc::new(stream) }).await
    }

    /// Keeps nothing more of a stream.
    pub(crate) async fn forget(&self, stream: &TopicName, topic: TopicId) -> Result<()> {
        self.write(Entry::Gone { stream: stream.clone(), topic }).await?;
        let mut desks = lock(&self.inner.desks);
        if desks.get(stream).is_some_and(|desk| desk.is_idle()) {
            desks.remove(stream);
        }
        Ok(())
    }

    async fn write(&self, entry: Entry) -> Result<()> {
        self.inner.store.submit(vec![entry], Inflight::default())?.durable().await?;
        self.inner.changed.send_replace(());
        Ok(())
    }

    /// The desk of a stream; only for names of topics that are there, or are about to be.
    pub(crate) fn desk(&self, stream: &TopicName) -> Arc<Desk> {
        lock(&self.inner.desks).entry(stream.clone()).or_default().clone()
    }

    /// The same, if somebody was there before.
    pub(crate) fn known_desk(&self, stream: &str) -> Option<Arc<Desk>> {
        lock(&self.inner.desks).get(stream).cloned()
    }

    /// Lets go of the desks that nobody is at, but for those of names that `are_there`.
    fn clear_desks(&self, are_there: impl Fn(&TopicName) -> bool) {
        lock(&self.inner.desks).retain(|name, desk| are_there(name) || !desk.is_idle());
    }
}

impl Desk {
    /// Whether nobody holds or waits for any of it. Desks are handed out under their map's lock only.
    fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && Arc::strong_count(&self.changing) == 1 && Arc::strong_count(&self.appending) == 1
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
