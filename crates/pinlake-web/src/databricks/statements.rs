//! SQL statements: they run as tasks while their clients wait, poll or go away, and their answers are kept for a while. Must not know how a query is
//! answered.

mod answer;
mod bound;
pub(super) mod calls;
mod metadata;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pinlake_core::{Error, ErrorKind};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

use self::answer::Answered;
use crate::console::{Console, Format, Query, QueryRequest};

/// Statements that run at once.
const RUNNING_MAX: usize = 64;
/// Statements that are known at once; the oldest that has ended goes.
const KEPT_MAX: usize = 1000;
/// Bytes of all answers that are kept; the oldest go.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// Answers of more bytes are read on a thread of their own.
const READ_APART: usize = 1 << 20;
/// How long a statement is known after it began, unless it still runs.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// What a statement is run with.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) sql: String,
    pub(super) rows_max: u64,
    pub(super) bytes_max: Option<usize>,
    /// Whether the answer may come in several chunks.
    pub(super) in_chunks: bool,
}

/// How far a statement is.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    Running,
    Succeeded(Arc<Answered>),
    Failed {
        code: &'static str,
        message: String,
    },
    Cancelled,
    /// Its answer is no longer kept.
    Closed,
}

/// The statements that are known.
pub(super) struct Statements {
    console: Arc<dyn Console>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    by_id: BTreeMap<Uuid, Statement>,
    /// Counts the statements, so that the oldest is known.
    next: u64,
}

struct Statement {
    number: u64,
    began: Instant,
    progress: watch::Sender<Progress>,
    work: Option<AbortHandle>,
}

impl Statements {
    pub(super) fn new(console: Arc<dyn Console>) -> Self {
        Self { console, kept: Arc::default() }
    }

    /// Begins a statement and answers its id: `Retry` when too many run.
    pub(super) fn begin(&self, order: Order) -> Result<Uuid, Error> {
        let id = Uuid::new_v4();
        let (progress, _) = watch::channel(Progress::Running);
        let mut kept = lock(&self.kept);
        kept.tidy();
        if kept.by_id.values().filter(|statement| statement.is_running()).count() >= RUNNING_MAX {
            return Err(Error::retry(format!("{RUNNING_MAX} statements run already: try again when one has ended")));
        }
        let number = kept.next;
        kept.next += 1;
        let (console, all) = (self.console.clone(), self.kept.clone());
        // The lock is held until the statement is known, so that its end finds it.
        let work = tokio::spawn(async move {
            let ended = run(&*console, order).await;
            let mut kept = lock(&all);
            if let Some(statement) = kept.by_id.get(&id) {
                statement.end(ended);
            }
            kept.tidy();
        });
        let statement = Statement { number, began: Instant::now(), progress, work: Some(work.abort_handle()) };
        kept.by_id.insert(id, statement);
        Ok(id)
    }

    /// Keeps a statement that could not begin, and answers its id: who polls for it is to learn why.
    pub(super) fn refuse(&self, message: String) -> Uuid {
        let id = Uuid::new_v4();
        let mut kept = lock(&self.kept);
        let (progress, _) = watch::channel(Progress::Failed { code: "BAD_REQUEST", message });
        let statement = Statement { number: kept.next, began: Instant::now(), progress, work: None };
        kept.next += 1;
        kept.by_id.insert(id, statement);
        kept.tidy();
        id
    }

    /// How far a statement is, if it is known.
    pub(super) fn progress(&self, id: Uuid) -> Option<Progress> {
        let mut kept = lock(&self.kept);
        kept.tidy();
        kept.by_id.get(&id).map(|statement| statement.progress.borrow().clone())
    }

    /// How far a statement is when it has ended or the wait is over.
    pub(super) async fn wait(&self, id: Uuid, wait: Duration) -> Option<Progress> {
        let mut changes = lock(&self.kept).by_id.get(&id)?.progress.subscribe();
        // An error means that it is no longer known, which is found out below.
        let ended = changes.wait_for(|progress| !matches!(progress, Progress::Running));
        drop(tokio::time::timeout(wait, ended).await);
        self.progress(id)
    }

    /// Stops a statement that runs, and answers whether it is known.
    pub(super) fn cancel(&self, id: Uuid) -> bool {
        let kept = lock(&self.kept);
        kept.by_id.get(&id).map(|statement| statement.end(Progress::Cancelled)).is_some()
    }

    /// Stops a statement and lets go of its answer.
    pub(super) fn close(&self, id: Uuid) {
        if let Some(statement) = lock(&self.kept).by_id.get(&id) {
            statement.end(Progress::Closed);
            statement.progress.send_replace(Progress::Closed);
        }
    }
}

impl Drop for Statements {
    /// Nobody can ask for them any more.
    fn drop(&mut self) {
        for statement in lock(&self.kept).by_id.values() {
            statement.stop();
        }
    }
}

impl Kept {
    /// Lets go of what is too old or too much.
    fn tidy(&mut self) {
        self.by_id.retain(|_, statement| statement.is_running() || statement.began.elapsed() < KEPT_FOR);
        let mut ended: Vec<(u64, Uuid)> = Vec::new();
        ended.extend(self.by_id.iter().filter(|(_, of)| !of.is_running()).map(|(id, of)| (of.number, *id)));
        ended.sort_unstable();
        let over = self.by_id.len().saturating_sub(KEPT_MAX).min(ended.len());
        for (_, id) in ended.drain(..over) {
            self.by_id.remove(&id);
        }
        let mut bytes: usize = self.by_id.values().map(Statement::bytes).sum();
        for (_, id) in ended {
            if bytes <= KEPT_BYTES_MAX {
                return;
            }
            if let Some(statement) = self.by_id.get(&id) {
                bytes -= statement.bytes();
                statement.progress.send_replace(Progress::Closed);
            }
        }
    }
}

impl Statement {
    fn is_running(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Running)
    }

    fn bytes(&self) -> usize {
        match &*self.progress.borrow() {
            Progress::Succeeded(answered) => answered.bytes(),
            _ => 0,
        }
    }

    /// Ends it, if it has not.
    fn end(&self, how: Progress) {
        if self.is_running() {
            if !matches!(how, Progress::Succeeded(_) | Progress::Failed { .. }) {
                self.stop();
            }
            self.progress.send_replace(how);
        }
    }

    fn stop(&self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}

async fn run(console: &dyn Console, order: Order) -> Progress {
    let query = Query::Sql(order.sql);
    let request = QueryRequest { query, format: Format::Json, rows_max: order.rows_max, choices: Vec::new() };
    let answered = match console.query(request).await {
        // Reading a large answer takes long enough for others to notice.
        Ok(answer) if answer.body.len() > READ_APART => {
            let read = tokio::task::spawn_blocking(move || Answered::read(&answer, order.bytes_max, order.in_chunks)).await;
            read.unwrap_or_else(|e| Err(Error::internal("reading an answer").with_source(e)))
        }
        Ok(answer) => Answered::read(&answer, order.bytes_max, order.in_chunks),
        Err(error) => Err(error),
    };
    match answered {
        Ok(answered) => Progress::Succeeded(Arc::new(answered)),
        Err(error) => Progress::Failed { code: code(&error), message: error.to_string() },
    }
}

/// The statement API's own codes.
fn code(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Conflict => "BAD_REQUEST",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Retry => "TEMPORARILY_UNAVAILABLE",
        ErrorKind::Corrupt | ErrorKind::Internal => {
            tracing::error!(kind = error.kind().as_str(), %error, "a statement of Databricks' API failed");
            "INTERNAL_ERROR"
        }
    }
}

/// What is kept holds after a panic too: each change of it is one step.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
