//! What is forgotten in time beside runs, so that no table grows for ever. Must not forget what is still so: an open alert, what a trigger goes on from.

use std::collections::HashSet;

use pinlake_core::{Result, Timestamp};
use sqlx::{AssertSqlSafe, Row};

use super::{Change, failed};

/// Triggers that are forgotten in one change.
const SEEN_MAX: usize = 1_000;

impl Change {
    /// Forgets alerts that were over before a time, definitions of before that no job has now, and backfills without runs that were made before it.
    pub(crate) async fn forget_old(&mut self, before: Timestamp) -> Result<()> {
        let alerts = "DELETE FROM alert WHERE recovered_at < $1";
        let backfills =
            "DELETE FROM backfill WHERE made_at < $1 AND NOT EXISTS (SELECT 1 FROM run WHERE run.backfill = backfill.id)";
        let versions = "DELETE FROM job_version WHERE since < $1 AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = job_version.job_id \
                        AND job.version = job_version.version)";
        for sql in [alerts, backfills, versions] {
            self.execute("forgetting what is old", sqlx::query(sql).bind(before.0)).await?;
        }
        Ok(())
    }

    /// Forgets how far triggers were that have not moved since a time and that nothing defines any more.
    pub(crate) async fn forget_seen(&mut self, before: Timestamp, defined: &HashSet<String>) -> Result<()> {
        let rows = sqlx::query("SELECT name FROM seen WHERE at < $1").bind(before.0).fetch_all(&mut *self.transaction).await;
        let rows = rows.map_err(|error| failed("reading triggers", error))?;
        let names: sqlx::Result<Vec<String>> = rows.iter().map(|row| row.try_get(0)).collect();
        let names = names.map_err(|error| failed("reading triggers", error))?;
        for name in names.into_iter().filter(|name| !defined.contains(name)).take(SEEN_MAX) {
            self.execute("forgetting a trigger", sqlx::query("DELETE FROM seen WHERE name = $1").bind(name)).await?;
        }
        Ok(())
    }

    /// Forgets what was to be told before a time to anybody but these, and answers how much that was.
    pub(crate) async fn forget_letters(&mut self, before: Timestamp, receivers: &[String]) -> Result<u64> {
        let places: Vec<String> = (2..).take(receivers.len()).map(|place| format!("${place}")).collect();
        let others = if places.is_empty() { String::new() } else { format!(" AND receiver NOT IN ({})", places.join(", ")) };
        let sql = AssertSqlSafe(format!("DELETE FROM outbox WHERE made_at < $1{others}"));
        let mut query = sqlx::query(sql).bind(before.0);
        for receiver in receivers {
            query = query.bind(receiver.clone());
        }
        self.execute("forgetting what is told to nobody", query).await
    }

    /// The rows of a table.
    #[cfg(test)]
    pub(crate) async fn rows(&mut self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query(sql).fetch_one(&mut *self.transaction).await.unwrap().try_get(0).unwrap()
    }
}
