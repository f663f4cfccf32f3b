//! Deaths at a chosen commit, for tests: the process that a store belongs to is as good as killed there, or sees something go wrong and lives.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use pinlake_core::{Error, Result};
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::Notify;

use super::{Change, Store};

/// What happens at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process dies just before.
    DiesBefore,
    /// The process dies just after.
    DiesAfter,
    /// It comes to be, and the answer is lost. The process lives.
    AnswerLost,
    /// What commits comes upon a defect. The process lives.
    Panics,
}

/// When something happens to the process: never, unless it is told.
#[derive(Debug)]
pub(crate) struct Fate {
    commits_left: AtomicI64,
    blow: Mutex<Blow>,
    dead: AtomicBool,
    died: Notify,
}

impl Default for Fate {
    fn default() -> Self {
        Self {
            commits_left: AtomicI64::new(i64::MAX),
            blow: Mutex::new(Blow::DiesBefore),
            dead: AtomicBool::default(),
            died: Notify::new(),
        }
    }
}

impl Fate {
    /// Dies at the commit with this number, from 1: just before it, or just after.
    pub(crate) fn die_at(&self, commit: i64, after_commit: bool) {
        self.strike_at(commit, if after_commit { Blow::DiesAfter } else { Blow::DiesBefore });
    }

    /// Something happens at the commit with this number, from 1.
    pub(crate) fn strike_at(&self, commit: i64, blow: Blow) {
        *self.blow.lock().unwrap() = blow;
        self.commits_left.store(commit, Ordering::SeqCst);
    }

    /// Whether the commit came.
    pub(crate) fn has_struck(&self) -> bool {
        self.commits_left.load(Ordering::SeqCst) <= 0
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Waits until the process has died.
    pub(crate) async fn died(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.is_dead() { Err(Error::retry("the process is dead")) } else { Ok(()) }
    }
}

impl Store {
    /// When the process of this store dies.
    pub(crate) fn fate(&self) -> Arc<Fate> {
        self.fate.clone()
    }

    /// Makes a copy of SQLite's database as a file.
    pub(crate) async fn copy_to(&self, path: &str) {
        sqlx::query("VACUUM INTO $1").bind(path).execute(&self.readers).await.unwrap();
    }
}

impl Change {
    /// How Postgres goes about waking the next runs of the first job.
    pub(crate) async fn plan_of_waking(&mut self) -> Vec<String> {
        let sql = format!("EXPLAIN {}", super::runs::WAKE_NEXT.replace("$1", "1"));
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *self.transaction).await.unwrap();
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }

    /// The runs that are looked at next.
    pub(crate) async fn woken(&mut self) -> Vec<i64> {
        let rows =
            sqlx::query("SELECT id FROM run WHERE wake_at = 0 ORDER BY id").fetch_all(&mut *self.transaction).await.unwrap();
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }

    /// Damages something.
    pub(crate) async fn damage(&mut self, sql: &'static str) {
        self.execute("damaging", sqlx::query(sql)).await.unwrap();
    }
}

pub(super) async fn commit(change: Change) -> Result<()> {
    let fate = change.fate.clone();
    fate.check()?;
    if fate.commits_left.fetch_sub(1, Ordering::SeqCst) != 1 {
        return change.commit_now().await;
    }
    let blow = *fate.blow.lock().unwrap();
    match blow {
        Blow::Panics => panic!("struck at a commit"),
        Blow::AnswerLost => {
            change.commit_now().await?;
            return Err(Error::retry("the answer to the commit is lost"));
        }
        Blow::DiesBefore => fate.dead.store(true, Ordering::SeqCst),
        Blow::DiesAfter => {
            fate.dead.store(true, Ordering::SeqCst);
            change.commit_now().await?;
        }
    }
    fate.died.notify_one();
    fate.check()
}
