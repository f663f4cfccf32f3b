//! A table's upkeep: small files put together and old ones deleted, by itself and when somebody asks for it. The files are read and
//! written beside the owner; only the owner commits.

use std::time::Duration;

use pinlake_core::{Error, Result};
use tokio::task::JoinHandle;

use super::owner::Owner;
use super::{Follower, Message};
use crate::maintain::{self, Compacted, Compaction, Part, files_of};
use crate::table::{REMOVED_KEPT, Table, Vacuumed};

/// Compactions that a caller's one comes to at most: a table with more small files keeps some for the next time.
const COMPACTIONS_MAX: usize = 1000;

impl Follower {
    /// Puts all small files of the table and of its quarantine together. A caller who goes away leaves what is done done.
    ///
    /// # Errors
    /// `Retry` when the store does not answer or a commit is in doubt; `Conflict` when another process commits to the table.
    pub async fn compact(&self) -> Result<Compaction> {
        let mut done = Compaction { files_before: self.files().await?, ..Compaction::default() };
        for part in [Part::Rows, Part::Quarantine] {
            for _ in 0..COMPACTIONS_MAX {
                let (rows, quarantine) = self.parts().await?;
                let table = if matches!(part, Part::Rows) { rows } else { quarantine };
                let Some(work) = maintain::compaction_now(part, &table) else { break };
                let compacted = Box::new(work.await?);
                let bytes = compacted.bytes();
                // None, if the table's own upkeep has put these files together meanwhile.
                if self.ask(|reply| Message::Compacted { compacted, reply }).await? > 0 {
                    done.bytes += bytes;
                }
            }
        }
        Ok(Compaction { files_after: self.files().await?, ..done })
    }

    /// Deletes files that no snapshot of the time `keep` needs, from the table and its quarantine: who reads older snapshots fails then. Files
    /// that no commit ever named stay for a day at least.
    ///
    /// # Errors
    /// `Retry` when the store does not answer or a commit is in doubt.
    pub async fn vacuum(&self, keep: Duration) -> Result<Vacuumed> {
        self.ask(|reply| Message::Vacuum { keep, reply }).await
    }

    async fn files(&self) -> Result<u64> {
        let (rows, quarantine) = self.parts().await?;
        Ok(files_of(&rows)? + files_of(&quarantine)?)
    }

    async fn parts(&self) -> Result<(Table, Table)> {
        self.ask(|reply| Message::Parts { reply }).await
    }
}

impl Owner {
    /// Puts small files together in the background, when there are many.
    pub(super) fn start_upkeep(&mut self) {
        if self.upkeep.is_some() {
            return;
        }
        let work = maintain::compaction(Part::Rows, &self.table);
        let work = work.or_else(|| maintain::compaction(Part::Quarantine, &self.quarantine));
        self.upkeep = work.map(tokio::spawn);
    }

    /// Upkeep that fails is tried again later: the table is whole without it.
    pub(super) async fn commit_compacted(&mut self, done: Result<Compacted>) {
        let table = self.recipe.name.clone();
        match done {
            Ok(compacted) if !self.unknown => match self.replace_small(compacted).await {
                Ok(files) => tracing::debug!(%table, files, "compacted"),
                Err(error) => tracing::warn!(%table, %error, "compaction was not committed"),
            },
            Ok(_) => {}
            Err(error) => tracing::warn!(%table, %error, "compaction failed"),
        }
    }

    pub(super) async fn vacuum(&mut self) {
        let table = self.recipe.name.clone();
        match self.remove_old(REMOVED_KEPT).await {
            Ok(Vacuumed { files, .. }) => tracing::debug!(%table, files, "removed old files"),
            Err(error) => tracing::warn!(%table, %error, "old files were not removed"),
        }
    }

    /// Commits what a caller has put together.
    pub(super) async fn take_compacted(&mut self, compacted: Compacted) -> Result<usize> {
        self.check_known()?;
        self.replace_small(compacted).await
    }

    /// Deletes old files for a caller.
    pub(super) async fn vacuum_for_caller(&mut self, keep: Duration) -> Result<Vacuumed> {
        self.check_known()?;
        self.remove_old(keep).await
    }

    /// Upkeep reads the newest snapshot, which may have what counts as pending while a commit is in doubt.
    fn check_known(&self) -> Result<()> {
        if !self.unknown {
            return Ok(());
        }
        let table = &self.recipe.name;
        Err(Error::retry(format!("the store did not say whether the last commit of table {table} happened: try again later")))
    }

    async fn remove_old(&mut self, keep: Duration) -> Result<Vacuumed> {
        let mut done = Vacuumed::default();
        for part in [&mut self.table, &mut self.quarantine] {
            let info = part.last_info().await?;
            done.add(part.vacuum(keep, info).await?);
        }
        Ok(done)
    }
}

/// The end of the upkeep that runs; never, if none does.
pub(super) async fn finished(upkeep: &mut Option<JoinHandle<Result<Compacted>>>) -> Result<Compacted> {
    let Some(task) = upkeep.as_mut() else { return std::future::pending().await };
    let done = task.await.map_err(|e| Error::internal("compaction stopped").with_source(e));
    *upkeep = None;
    done?
}
