//! The archive: raw records into objects with the S3 sink's names and content, each record once.
//!
//! An object's name says where it starts, and it is only ever created, never overwritten, so a repeat after a crash meets its
//! own object. A name does not say where an object ends: the manifest does, a small Delta table whose commits also carry the
//! position of every partition. An object found where the log goes on behind the manifest was written by a process that died before
//! it could enter it: it is read, compared with the log and adopted.
//!
//! Only committed records are archived. Where offsets hold none, the manifest says so: within an object, or in an entry of its own.

mod buffer;
mod manifest;
mod owner;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Error, Followers, Log, Offset, Result, TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};

pub use buffer::unescape;
pub use manifest::{DescribedObject, ManifestEntry};

use crate::follow::Ends;
use crate::live::TableView;
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
    /// Topics that were deleted on purpose, as the manifest has it.
    pub deleted: BTreeSet<TopicName>,
    /// Why it stopped, if it did.
    pub failed: Option<Error>,
}

/// The running archive. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<ArchiveStatus>,
    /// The manifest's place.
    manifest: Store,
}

enum Message {
    /// Write what is buffered, with at least these ends.
    Flush { ends: Ends, reply: oneshot::Sender<Result<BTreeMap<TopicPartition, Offset>>> },
    /// The manifest as it stands.
    Manifest { reply: oneshot::Sender<Result<TableView>> },
    /// Note that a topic was deleted on purpose.
    Deleted { topic: TopicName, reply: oneshot::Sender<Result<()>> },
    /// Write what is buffered and end.
    Stop { reply: oneshot::Sender<Result<()>> },
}

/// What the archive in `store` has as its manifest says, if it has one; the archive must not be running.
pub async fn described_objects(store: &Store, clock: &Clock) -> Result<Option<Vec<DescribedObject>>> {
    let folder = store.folder(MANIFEST_DIR);
    if !Table::exists(&folder).await? {
        return Ok(None);
    }
    let manifest = Manifest::open(folder.clone(), clock.clone()).await?.view()?;
    manifest::objects(&folder, manifest, |_| true).await.map(Some)
}

impl Archive {
    /// Opens the manifest and starts to follow.
    pub async fn start(log: Arc<dyn Log>, followers: Followers, settings: ArchiveSettings) -> Result<Archive> {
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
        let manifest = settings.manifest.clone();
        let owner = owner::Owner::open(log, followers, settings).await?;
        let status = owner.status.subscribe();
        tokio::spawn(owner.run(receiver));
        Ok(Archive { messages: sender, status, manifest })
    }

    /// Writes everything before `ends`; answers where the archive stands then.
    pub async fn flush(&self, ends: Ends) -> Result<BTreeMap<TopicPartition, Offset>> {
        self.ask(|reply| Message::Flush { ends, reply }).await
    }

    /// Every entry of the manifest, by partition and offset.
    pub async fn entries(&self) -> Result<Vec<ManifestEntry>> {
        manifest::entries(&self.manifest, self.ask(|reply| Message::Manifest { reply }).await?).await
    }

    /// The entries of the topics that are `wanted`, with what is known of each record, by partition and offset.
    pub async fn objects(&self, wanted: impl Fn(&TopicName) -> bool) -> Result<Vec<DescribedObject>> {
        manifest::objects(&self.manifest, self.ask(|reply| Message::Manifest { reply }).await?, wanted).await
    }

    /// Notes that a topic was deleted on purpose: it need not be there any more.
    pub async fn topic_deleted(&self, topic: TopicName) -> Result<()> {
        self.ask(|reply| Message::Deleted { topic, reply }).await
    }

    /// Writes what is buffered and ends.
    pub async fn stop(&self) -> Result<()> {
        self.ask(|reply| Message::Stop { reply }).await
    }

    /// How the archive is doing.
    pub fn status(&self) -> ArchiveStatus {
        let mut status = self.status.borrow().clone();
        if self.messages.is_closed() && status.failed.is_none() {
            status.failed = Some(Error::internal("the archive's task is gone: restart the server"));
        }
        status
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T>>) -> Message) -> Result<T> {
        let stopped = || self.status().failed.unwrap_or_else(|| Error::retry("the archive has stopped"));
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}
