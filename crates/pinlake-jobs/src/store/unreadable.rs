//! Rows that can't be read, because they are torn or a newer version wrote them: each is told once and left out, so that everything else goes on.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use pinlake_core::{Error, Result};
use sqlx::Row;
use sqlx::any::AnyRow;

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
