//! One table following the log: the owner task of the table, its quarantine and its key index.
//!
//! It reads from the table's own position, takes chunks through the recipe and the key rule, answers queries with what is
//! committed and what is pending, and commits rows, positions and counts together. A commit whose outcome is unknown is looked
//! up in the table before anything is tried again.

mod commit;
mod owner;
mod start;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Offset, Result, Timestamp, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};

use crate::batch::Built;
use crate::live::TableView;
use crate::maintain::Compacted;
use crate::rows::Recipe;
use crate::store::Store;
use crate::stream::Standing;
use crate::table::{Table, Vacuumed};

/// Messages that may wait for a table's owner.
const MESSAGES_WAITING_MAX: usize = 64;

/// Ends of the log that a caller wants to see in the table.
pub type Ends = BTreeMap<TopicPartition, Offset>;

/// What a table follows and where it is kept.
#[derive(Clone)]
pub struct FollowSettings {
    /// The pipeline, and which of its tables this is.
    pub pipeline: Arc<Pipeline>,
    /// The table's index in the pipeline.
    pub index: usize,
    /// Folder of the table's files.
    pub table: Store,
    /// Folder of its quarantine's files.
    pub quarantine: Store,
    /// The time of day.
    pub clock: Clock,
}

/// How a table is doing.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Version of its last commit.
    pub version: u64,
    /// When that was.
    pub committed_at: Option<Timestamp>,
    /// Where it stands with its last commit.
    pub committed: BTreeMap<TopicPartition, Standing>,
    /// Rows that wait for the next commit.
    pub pending_rows: u64,
    /// Files in its snapshot.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Why it stopped, if it did.
    pub failed: Option<Error>,
}

/// A table as of one commit: what it says of itself, its rows and its quarantine.
#[derive(Debug)]
pub struct Committed {
    /// What the commit stated.
    pub status: Status,
    /// The rows of that commit.
    pub rows: TableView,
    /// The quarantine that goes with it.
    pub quarantine: TableView,
}

/// One commit of a table's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committal {
    /// The version it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What it did: `create`, `append`, `rebuild`, `compact` or another tool's own word.
    pub operation: String,
    /// Rows of the table with it; `None` for another tool's commit.
    pub rows: Option<u64>,
}

/// A running table. Cheap to clone.
#[derive(Clone)]
pub struct Follower {
    /// The table's compiled definition.
    pub recipe: Arc<Recipe>,
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<Status>,
}

/// What a table's owner is asked.
enum Message {
    /// The table with at least these ends.
    View { ends: Ends, reply: oneshot::Sender<Result<TableView>> },
    /// Commit what is pending, with at least these ends.
    Flush { ends: Ends, reply: oneshot::Sender<Result<Status>> },
    /// Commit as for a flush, and show what is committed then.
    Account { ends: Ends, reply: oneshot::Sender<Result<Committed>> },
    /// The table's quarantine.
    Quarantine { reply: oneshot::Sender<Result<TableView>> },
    /// Whether the table holds the key of this raw record, and if so with the same content.
    Find { record: Vec<u8>, reply: oneshot::Sender<Result<Option<bool>>> },
    /// The newest commits.
    Commits { count: usize, reply: oneshot::Sender<Result<Vec<Committal>>> },
    /// The table and its quarantine, as committed.
    Parts { reply: oneshot::Sender<Result<(Table, Table)>> },
    /// Commit a compaction, unless its files were replaced meanwhile.
    Compacted { compacted: Box<Compacted>, reply: oneshot::Sender<Result<usize>> },
    /// Delete files that no snapshot of the time `keep` needs.
    Vacuum { keep: Duration, reply: oneshot::Sender<Result<Vacuumed>> },
    /// Replace the table by what was rebuilt, which stands for these positions.
    Replace { built: Box<Built>, standings: BTreeMap<TopicPartition, Standing>, reply: oneshot::Sender<Result<u64>> },
    /// Commit what is pending and end.
    Stop { reply: oneshot::Sender<Result<()>> },
}

impl Follower {
    /// Opens the table, reads its keys and starts to follow.
    ///
    /// # Errors
    /// What is wrong with the cleaning, the table or the store.
    pub async fn start(log: Arc<dyn Log>, followers: Followers, settings: FollowSettings) -> Result<Follower> {
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
        let owner = start::open(log, followers, settings).await?;
        let recipe = owner.recipe.clone();
        let status = owner.status.subscribe();
        tokio::spawn(owner.run(receiver));
        Ok(Follower { recipe, messages: sender, status })
    }

    /// The table with everything before `ends` in it.
    pub async fn view(&self, ends: Ends) -> Result<TableView> {
        self.ask(|reply| Message::View { ends, reply }).await
    }

    /// The table's quarantine, as committed.
    pub async fn quarantine(&self) -> Result<TableView> {
        self.ask(|reply| Message::Quarantine { reply }).await
    }

    /// Whether the table holds the key of this raw record, and if so with the same content; `None` also for a record that does
    /// not make a row.
    pub async fn find(&self, record: Vec<u8>) -> Result<Option<bool>> {
        self.ask(|reply| Message::Find { record, reply }).await
    }

    /// The newest commits, the newest first.
    pub async fn commits(&self, count: usize) -> Result<Vec<Committal>> {
        self.ask(|reply| Message::Commits { count, reply }).await
    }

    /// Commits what is pending once everything before `ends` is in it.
    pub async fn flush(&self, ends: Ends) -> Result<Status> {
        self.ask(|reply| Message::Flush { ends, reply }).await
    }

    /// Commits as [`Follower::flush`] does, and shows exactly what is committed then.
    pub async fn account(&self, ends: Ends) -> Result<Committed> {
        self.ask(|reply| Message::Account { ends, reply }).await
    }

    /// Replaces the table's rows by rebuilt ones. Returns the new version.
    pub async fn replace(&self, built: Built, standings: BTreeMap<TopicPartition, Standing>) -> Result<u64> {
        self.ask(|reply| Message::Replace { built: Box::new(built), standings, reply }).await
    }

    /// Commits what is pending and ends.
    pub async fn stop(&self) -> Result<()> {
        self.ask(|reply| Message::Stop { reply }).await
    }

    /// How the table is doing.
    pub fn status(&self) -> Status {
        let mut status = self.status.borrow().clone();
        if self.messages.is_closed() && status.failed.is_none() {
            status.failed = Some(Error::internal(format!("the task of table {} is gone: restart the server", self.recipe.name)));
        }
        status
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T>>) -> Message) -> Result<T> {
        let stopped = || {
            let failed = self.status().failed;
            failed.map_or_else(|| Error::retry(format!("table {} has stopped", self.recipe.name)), server_fault)
        };
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// Why a table stopped, for a caller who asks it: whatever it was, it is not the caller's fault.
fn server_fault(failed: Error) -> Error {
    match failed.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound => Error::internal("the table has stopped").with_source(failed),
        _ => failed,
    }
}
