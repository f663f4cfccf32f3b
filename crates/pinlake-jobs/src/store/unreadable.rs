//! Rows that can't be read, because they are torn or a newer version wrote them: each is told once and left out, so that everything else goes on.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use pinlake_core::jobs::{RunId, RunState};
use pinlake_core::{Error, ErrorKind, Result, Timestamp};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Change, failed, word};

/// Rows that are told; the rest is left out silently.
const TOLD_MAX: usize = 1_000;

/// The rows that were told.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    told: Mutex<BTreeSet<String>>,
}

impl Unreadable {
    /// What the rows say that can be read, and the numbers of those that can't. `id` is the first column.
    pub(super) fn split<T>(&self, what: &str, rows: &[AnyRow], read: impl Fn(&AnyRow) -> Result<T>) -> (Vec<T>, Vec<i64>) {
        let (mut all, mut others) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match read(row) {
                Ok(one) => all.push(one),
                Err(error) => {
                    let id = row.try_get(0).unwrap_or(-1);
                    self.tell(what, id, &error);
                    others.push(id);
                }
            }
        }
        (all, others)
    }

    /// What the rows say that can be read.
    pub(super) fn rest<T>(&self, what: &str, rows: &[AnyRow], read: impl Fn(&AnyRow) -> Result<T>) -> Vec<T> {
        self.split(what, rows, read).0
    }

    /// Tells of a row, unless that was done.
    pub(super) fn tell(&self, what: &str, id: i64, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert(format!("{what} {id}")) {
            tracing::error!(%error, "{what} {id} of the jobs' database can't be read and is left out: a newer version wrote it, or it is damaged");
        }
    }
}

impl Change {
    /// The job and the state of a run with this very number that can't be read; `None` where there is none, or it can be read.
    pub(crate) async fn unreadable_run(&mut self, id: RunId) -> Result<Option<(i64, RunState)>> {
        match self.run(id).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            read => return read.map(|_| None),
        }
        let row = sqlx::query("SELECT job_id, state FROM run WHERE id = $1").bind(id.0).fetch_one(&mut *self.transaction).await;
        let read = |row: AnyRow| Ok((row.try_get(0)?, row.try_get::<String, _>(1)?));
        let (job_id, state): (i64, String) = row.and_then(read).map_err(|error| failed("reading a run", error))?;
        // A word that is none of these is of a newer version, as the run is: it counts for nothing here.
        let all = [RunState::Queued, RunState::Running, RunState::Succeeded, RunState::Failed];
        Ok(Some((job_id, all.into_iter().find(|known| word(known) == state).unwrap_or(RunState::Failed))))
    }

    /// Has a run count as failed that can't be read, and leaves its document as it is. Whoever read it before can't write over that.
    pub(crate) async fn end_unreadable_run(&mut self, id: RunId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE run SET state = $1, ending = 0, wake_at = NULL, deadline_at = NULL, held = NULL, lane = NULL, ended_at = $2, \
                   changes = changes + 1 WHERE id = $3";
        let query = sqlx::query(sql).bind(word(&RunState::Failed)).bind(now.0).bind(id.0);
        self.execute("ending a run", query).await?;
        Ok(())
    }
}
