//! The lines of attempts' logs.

use pinlake_core::jobs::{LogLine, RunId};
use pinlake_core::{Result, Timestamp};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Change, Store, failed};

/// Lines that are read at once.
const LINES_MAX: i64 = 1_000;

impl Store {
    /// The lines of an attempt's log behind `after`.
    pub(crate) async fn lines(&self, task: RunId, attempt: u32, after: i64) -> Result<Vec<LogLine>> {
        let sql = "SELECT number, at, level, text FROM log_line WHERE task_id = $1 AND attempt = $2 AND number > $3 ORDER BY number LIMIT $4";
        let query = sqlx::query(sql).bind(task.0).bind(i64::from(attempt)).bind(after).bind(LINES_MAX);
        let rows = query.fetch_all(&self.readers).await.map_err(|error| failed("reading a log", error))?;
        let line = |row: &AnyRow| {
            Ok(LogLine { number: row.try_get(0)?, at: Timestamp(row.try_get(1)?), level: row.try_get(2)?, text: row.try_get(3)? })
        };
        rows.iter().map(line).collect::<sqlx::Result<_>>().map_err(|error| failed("reading a log", error))
    }
}

impl Change {
    /// Writes lines of an attempt's log.
    pub(crate) async fn add_lines(&mut self, task: RunId, attempt: u32, lines: &[LogLine]) -> Result<()> {
        for line in lines {
            let sql = "INSERT INTO log_line (task_id, attempt, number, at, level, text) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let query = sqlx::query(sql).bind(task.0).bind(i64::from(attempt)).bind(line.number).bind(line.at.0);
            self.execute("writing a log", query.bind(line.level.clone()).bind(line.text.clone())).await?;
        }
        Ok(())
    }
}
