//! Answers that are kept: a query's rows, on their way into a gold table.

use tokio::sync::mpsc;

use pinlake_core::{Error, Result};

use super::Lake;
use super::asking::Asked;
use crate::gold::{self, Gold, Materialised, ROWS_MAX, Stamp};
use crate::sql::parameters;
use crate::sql::query;

/// Parts of an answer between the query and the files.
const PARTS_WAITING_MAX: usize = 2;

impl Lake {
    /// Answers a query as [`Lake::query_with`] does, with everything that is acknowledged, and appends the answer to the table `gold/NAME` of the
    /// store in one commit: all of its rows, each with the run and its data, or nothing. The answer may have [`ROWS_MAX`] rows. An effect that the table
    /// has already is not repeated: nothing is asked then. An answer without rows is committed too.
    ///
    /// # Errors
    /// As [`Lake::query_with`]; `Invalid` for a name that no table can have, columns that none can hold or that this one has with another type, too many
    /// rows, and an effect that is below the last of its app; `Retry` when the store does not answer: what then became of it, the next try finds out.
    pub async fn materialise(&self, gold: Gold) -> Result<Materialised> {
        gold.check()?;
        if let Some(version) = self.gold.has(&gold.name, &gold.effect).await? {
            return Ok(Materialised { version, rows: 0, already: true });
        }
        let stamp = Stamp { interval: gold.interval, run: gold.run, at: self.clock.now() };
        let written = self.unless_ending(self.write(&gold, stamp)).await?;
        let done = self.gold.append(&gold.name, &written, stamp, &gold.effect).await?;
        if !done.already {
            self.gold.tidy(&gold.name).await;
        }
        Ok(done)
    }

    /// The names of the gold tables, sorted; those also whose first run has only begun to write.
    ///
    /// # Errors
    /// `Retry` when the store does not answer.
    pub async fn gold_tables(&self) -> Result<Vec<String>> {
        Ok(self.gold.names().await?.into_iter().collect())
    }

    /// Asks, and writes the answer into files.
    async fn write(&self, gold: &Gold, stamp: Stamp) -> Result<gold::Written> {
        let mut parameters = gold.parameters.clone();
        parameters.extend(parameters::of_run(gold.interval, gold.run));
        let check = self.gold.check(&gold.name).await?;
        let Asked { query, running, accepted: _accepted } = self.asked(&gold.sql, parameters, ROWS_MAX).await?;
        let (sender, parts) = mpsc::channel(PARTS_WAITING_MAX);
        let folder = self.gold.folder(&gold.name);
        let asked = query::stream(query, self.limits, sender, running);
        let written = gold::write(&folder, parts, stamp, check, &self.clock);
        let (asked, written) = futures::join!(asked, written);
        // Files that can't be written end the query: they are the reason, and come first.
        let written = written?;
        asked?;
        written.ok_or_else(|| Error::internal("an answer ended before it was whole"))
    }
}
