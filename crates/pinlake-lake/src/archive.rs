//! The archive: raw records into objects with the S3 sink's names and content, each record once.
//!
//! An object's name says where it starts, and it is only ever created, never overwritten, so a repeat after a crash meets its
//! own object. A name does not say where an object ends: the manifest does, a small Delta table whose commits also carry the
//! position of every partition. An object found at the manifest's position was written by a process that died before it could
//! enter it: it is read, compared with the log and adopted.

mod buffer;
mod manifest;
mod owner;

use std::collections::BTreeMap;
use std::sync::Arc;

use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Error, Followers, Log, Offset, Result, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};

pub use buffer::unescape;
pub use manifest::ManifestEntry;

use crate::follow::Ends;
use crate::store::Store;
use crate::table::Table;
use manifest::Manifest;

/// The archive's name among the log's followers.
pub const FOLLOWER: &str = "archive";
/// Folder of the manifest, beside the objects.
pub const MANIFEST_DIR: &str = "archive_manifest";
/// Messages that may wait for the archive.
const MESSAGES_WAITING_MAX: usize = 64;

/// What is archived and where.
#[derive(Clone)]
pub struct ArchiveSettings {
    /// The pipeline: its topics are archived.
    pub pipeline: Arc<Pipeline>,
    /// The place of the objects.
    pub objects: Store,
    /// The folder of the manifest.
    pub manifest: Store,
    /// The time of day.
    pub clock: Clock,
}

/// How the archive is doing.
#[derive(Debug, Clone, Default)]
pub struct ArchiveStatus {
    /// The next offset of each partition, as the manifest has it.
    pub positions: BTreeMap<TopicPartition, Offset>,
    /// Why it stopped, if it did.
    pub failed: Option<Error>,
}

/// The running archive. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<ArchiveStatus>,
}

enum Message {
    /// Write what is buffered, with at least these ends.
    Flush { ends: Ends, reply: oneshot::Sender<Result<BTreeMap<TopicPartition, Offset>>> },
    /// All entries of the manifest.
    Entries { reply: oneshot::Sender<Result<Vec<ManifestEntry>>> },
    /// Write what is buffered and end.
    Stop { reply: oneshot::Sender<Result<()>> },
}

/// The entries of the manifest of the archive in `store`, if it has one; the archive must not be running.
pub async fn manifest_entries(store: &Store, clock: &Clock) -> Result<Option<Vec<ManifestEntry>>> {
    let folder = store.folder(MANIFEST_DIR);
    if !Table::exists(&folder).await? {
        return Ok(None);
    }
    Manifest::open(folder, clock.clone()).await?.entries().await.map(Some)
}

impl Archive {
    /// Opens the manifest and starts to follow.
    pub async fn start(log: Arc<dyn Log>, followers: Followers, settings: ArchiveSettings) -> Result<Archive> {
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
        let owner = owner::Owner::open(log, followers, settings).await?;
        let status = owner.status.subscribe();
        tokio::spawn(owner.run(receiver));
        Ok(Archive { messages: sender, status })
    }

    /// Writes everything before `ends`; answers where the archive stands then.
    pub async fn flush(&self, ends: Ends) -> Result<BTreeMap<TopicPartition, Offset>> {
        self.ask(|reply| Message::Flush { ends, reply }).await
    }

    /// The manifest: every object, by partition and offset.
    pub async fn entries(&self) -> Result<Vec<ManifestEntry>> {
        self.ask(|reply| Message::Entries { reply }).await
    }

    /// Writes what is buffered and ends.
    pub async fn stop(&self) -> Result<()> {
        self.ask(|reply| Message::Stop { reply }).await
    }

    /// How the archive is doing.
    pub fn status(&self) -> ArchiveStatus {
        self.status.borrow().clone()
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T>>) -> Message) -> Result<T> {
        let stopped = || self.status.borrow().failed.clone().unwrap_or_else(|| Error::retry("the archive has stopped"));
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}
