//! One commit of an answer: its files and the effect that it is, together. Anybody else may commit meanwhile, and the store may not say
//! whether a commit happened: whatever fails, the table is read again, and its effects tell.

use datafusion::arrow::datatypes::Schema;
use pinlake_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::columns::with_new;
use super::files::{Stamp, Written};
use super::{Effect, GOLD_DIR, Golds, Materialised, TABLES_MAX};
use crate::schema::delta_columns;
use crate::table::{Change, Table};

/// Times a commit is tried.
const TRIES_MAX: usize = 5;

/// Whether the table `name` has the effect.
///
/// # Errors
/// `Invalid` when it has a later one of the same app: it may have this one too or not, and nobody can tell.
pub(super) async fn has(name: &str, table: &Table, effect: &Effect) -> Result<bool> {
    let Effect { app, version } = effect;
    match table.transaction(app).await? {
        Some(last) if last > *version => Err(Error::invalid(format!(
            "{GOLD_DIR}.{name} has an effect of '{app}' that is later ({last}) than this one ({version}), so nobody can tell whether it has this one: \
             look for its rows by _run and _at, and have the run run again if they are not there"
        ))),
        last => Ok(last == Some(*version)),
    }
}

impl Golds {
    /// What refuses, before the first row is written, an answer whose columns do not fit those that the table has now.
    pub(crate) async fn check(&self, name: &str) -> Result<impl FnOnce(&Schema) -> Result<()> + Send + 'static> {
        let there = self.open(name).await?.map(|table| table.columns()).transpose()?;
        let name = name.to_owned();
        Ok(move |schema: &Schema| there.map_or(Ok(()), |there| with_new(&name, &there, schema).map(drop)))
    }

    /// Appends what was written to the table, which is created if need be, unless it has the effect already.
    ///
    /// # Errors
    /// `Invalid` when its columns do not fit those of the table, or it has a later effect of the same app; `Retry` when the store does not answer, which leaves the outcome unknown: the next
    /// try finds out.
    pub(crate) async fn append(&self, name: &str, written: &Written, stamp: Stamp, effect: &Effect) -> Result<Materialised> {
        let mut failed = None;
        for _ in 0..TRIES_MAX {
            let tried = failed.is_some();
            match self.try_append(name, written, stamp, effect, tried).await {
                Ok(done) => return Ok(done),
                Err(error) if error.kind() == ErrorKind::Invalid => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        let error = failed.expect("the loop ran");
        match error.kind() {
            ErrorKind::Conflict | ErrorKind::Retry => {
                Err(Error::retry(format!("the commit to {GOLD_DIR}.{name} failed {TRIES_MAX} times: try again"))
                    .with_source(error))
            }
            _ => Err(error),
        }
    }

    async fn try_append(
        &self,
        name: &str,
        written: &Written,
        stamp: Stamp,
        effect: &Effect,
        tried: bool,
    ) -> Result<Materialised> {
        let Some(mut table) = self.open(name).await? else {
            self.check_room(name).await?;
            let change = change_of(written, stamp, effect);
            let (shown, columns) = (format!("{GOLD_DIR}.{name}"), delta_columns(&written.schema)?);
            let table = Table::create(self.folder(name), &shown, columns, change, self.clock.clone()).await?;
            self.remember(name, &table);
            return Ok(Materialised { version: table.version(), rows: written.rows, already: false });
        };
        if has(name, &table, effect).await? {
            // Either another process was first, or a try of ours happened whose answer was lost.
            let ours = tried && (written.files.is_empty() || holds(&table, written)?);
            return Ok(Materialised { version: table.version(), rows: if ours { written.rows } else { 0 }, already: !ours });
        }
        let columns = with_new(name, &table.columns()?, &written.schema)?;
        let version = table.commit(Change { columns, ..change_of(written, stamp, effect) }).await?;
        self.remember(name, &table);
        Ok(Materialised { version, rows: written.rows, already: false })
    }

    async fn check_room(&self, name: &str) -> Result<()> {
        let names = self.names().await?;
        if names.len() < TABLES_MAX || names.contains(name) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the store has {TABLES_MAX} gold tables, which are the most: keep the answer into one of them, or delete some below {GOLD_DIR}/"
        )))
    }
}

fn change_of(written: &Written, stamp: Stamp, effect: &Effect) -> Change {
    let interval = stamp.interval;
    let said = json!({
        "app": effect.app,
        "effect": effect.version,
        "run": stamp.run,
        "from_ms": interval.map(|interval| interval.from.0),
        "to_ms": interval.map(|interval| interval.to.0),
        "rows": written.rows,
    });
    Change {
        add: written.files.clone(),
        data_change: true,
        transactions: vec![(effect.app.clone(), effect.version)],
        info: Some(said),
        ..Change::default()
    }
}

/// Whether the table has the files that were written.
fn holds(table: &Table, written: &Written) -> Result<bool> {
    let files = table.files()?;
    Ok(written.files.iter().any(|ours| files.iter().any(|file| file.path == ours.path)))
}
