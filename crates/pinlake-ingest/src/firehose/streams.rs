//! The delivery streams as the operations see them: a definition by name, kept by whoever delivers. It must not know how definitions are kept or
//! what is delivered where.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pinlake_core::Result;
use tokio::sync::{Mutex, MutexGuard};

/// What keeps delivery streams and delivers them. A definition is one JSON object in AWS's own spelling: [`super`]'s operations make it, and
/// fill in all defaults.
#[async_trait]
pub trait DeliveryStreams: Send + Sync + 'static {
    /// All names, sorted.
    fn names(&self) -> Vec<String>;

    /// The text that was given last; `None` if there is no such stream.
    fn definition(&self, name: &str) -> Option<String>;

    /// Keeps a new stream, and begins to deliver it. It is kept for good when this returns.
    ///
    /// # Errors
    /// `Conflict` if there is one of this name; `Invalid` if its destination can't be used; `Retry` if it can't be kept now.
    async fn create(&self, name: &str, definition: String) -> Result<()>;

    /// Takes another definition of a stream.
    ///
    /// # Errors
    /// The same, and `NotFound` if there is no such stream.
    async fn alter(&self, name: &str, definition: String) -> Result<()>;

    /// Forgets a stream and how far it came. Its topic is not touched.
    ///
    /// # Errors
    /// `NotFound` if there is no such stream; `Retry` if it can't be forgotten now.
    async fn delete(&self, name: &str) -> Result<()>;

    /// Why a stream does not deliver now; `None` if it does, or is not there.
    fn failure(&self, name: &str) -> Option<String>;
}

/// How many changes of different delivery streams may go on at once, at the most: one may take as long as its bucket does not answer.
const STRIPES: usize = 64;

/// The delivery streams of a server, if anybody delivers there, and who changes them.
pub(crate) struct Deliveries {
    streams: OnceLock<Arc<dyn DeliveryStreams>>,
    /// Held while one is made, so that the limit on all holds; before the turn at its name.
    pub(crate) creating: Mutex<()>,
    /// By the hash of a name.
    changing: [Mutex<()>; STRIPES],
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { streams: OnceLock::new(), creating: Mutex::default(), changing: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Deliveries {
    /// Says who delivers; what was said first counts.
    pub(crate) fn set(&self, streams: Arc<dyn DeliveryStreams>) {
        self.streams.get_or_init(|| streams);
    }

    pub(crate) fn get(&self) -> Option<&Arc<dyn DeliveryStreams>> {
        self.streams.get()
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.get().map(|streams| streams.names()).unwrap_or_default()
    }

    /// What is kept of a delivery stream.
    pub(crate) fn definition(&self, name: &str) -> Option<String> {
        self.get()?.definition(name)
    }

    /// To be held from the look at a definition until its change is kept, so that versions are given once.
    pub(crate) async fn turn(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.changing[hasher.finish() as usize % STRIPES].lock().await
    }
}
