//! Deaths at a chosen commit, for tests: the process that a store belongs to is as good as killed there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pinlake_core::{Error, Result};
use tokio::sync::Notify;

use super::{Change, Store};

/// When the process dies: never, unless it is told.
#[derive(Debug)]
pub(crate) struct Fate {
    commits_left: AtomicI64,
    /// Whether the last commit comes to be.
    after_commit: AtomicBool,
    dead: AtomicBool,
    died: Notify,
}

impl Default for Fate {
    fn default() -> Self {
        Self {
            commits_left: AtomicI64::new(i64::MAX),
            after_commit: AtomicBool::default(),
            dead: AtomicBool::default(),
            died: Notify::new(),
        }
    }
}

impl Fate {
    /// Dies at the commit with this number, from 1: just before it, or just after.
    pub(crate) fn die_at(&self, commit: i64, after_commit: bool) {
        self.commits_left.store(commit, Ordering::SeqCst);
        self.after_commit.store(after_commit, Ordering::SeqCst);
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
}

pub(super) async fn commit(change: Change) -> Result<()> {
    let fate = change.fate.clone();
    fate.check()?;
    if fate.commits_left.fetch_sub(1, Ordering::SeqCst) != 1 {
        return change.commit_now().await;
    }
    fate.dead.store(true, Ordering::SeqCst);
    if fate.after_commit.load(Ordering::SeqCst) {
        change.commit_now().await?;
    }
    fate.died.notify_one();
    fate.check()
}
