//! Upkeep that somebody asks for: small files put together, old ones deleted.

use std::time::Duration;

use pinlake_core::Result;

use super::Lake;
use crate::gold::GOLD_DIR;
use crate::maintain::Compaction;
use crate::table::Vacuumed;

impl Lake {
    /// Puts all small files of a table of the pipeline and of its quarantine together, or those of a gold table, `gold.NAME`.
    ///
    /// # Errors
    /// `NotFound` or `Invalid` for a table that there is not; `Retry` when the store does not answer.
    pub async fn compact(&self, name: &str) -> Result<Compaction> {
        match gold_name(name) {
            Some(gold) => self.gold.compact(gold).await,
            None => self.table(name)?.compact().await,
        }
    }

    /// Deletes files of a table that no snapshot of the time `keep` needs: whoever still reads an older one fails. Files that no commit ever named
    /// stay for a day at least, because one may be about to. Names and errors are those of [`Lake::compact`].
    pub async fn vacuum(&self, name: &str, keep: Duration) -> Result<Vacuumed> {
        match gold_name(name) {
            Some(gold) => self.gold.vacuum(gold, keep).await,
            None => self.table(name)?.vacuum(keep).await,
        }
    }
}

fn gold_name(name: &str) -> Option<&str> {
    name.strip_prefix(GOLD_DIR)?.strip_prefix('.')
}
