//! The state in a database: SQLite in the data folder, or Postgres where several processes share it. Whoever changes something does so in one [`Change`], which is
//! on disk when it is committed and leaves nothing when it is not. Must not know what follows from what is kept.

mod alerts;
mod jobs;
mod lanes;
mod log;
mod runs;
mod schema;
mod seen;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tidy;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Error, Result};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row, Transaction};

pub(crate) use alerts::Letter;
pub(crate) use jobs::StoredJob;
pub(crate) use runs::{Group, NewRow, Stored, Wanted};
use unreadable::Unreadable;

/// Connections that read, and those to Postgres that change.
const CONNECTIONS_MAX: u32 = 4;
/// The lock of Postgres that whoever changes something holds.
const WRITERS_LOCK: i64 = 0x7069_6e6c_616b_6531;
/// How long a call waits for a connection, or for another's change.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a statement may take in Postgres, and a change do nothing.
const WORK_MAX: Duration = Duration::from_secs(30);
/// How long a begin or a commit may take: a server that is silent answers neither.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of this machine, that one process changes.
    Sqlite,
    /// A server, that several may.
    Postgres,
}

/// The database. A clone is the same.
#[derive(Debug, Clone)]
pub struct Store {
    kind: Kind,
    readers: AnyPool,
    writers: AnyPool,
    unreadable: Arc<Unreadable>,
    #[cfg(test)]
    fate: Arc<testing::Fate>,
}

/// Changes that come to be together, or not at all.
pub(crate) struct Change {
    kind: Kind,
    transaction: Transaction<'static, Any>,
    unreadable: Arc<Unreadable>,
    #[cfg(test)]
    fate: Arc<testing::Fate>,
}

impl Store {
    /// Opens the database of a URL and brings its tables up to date: `sqlite:///FOLDER/FILE`, which is made if it is not there, or `postgres://USER:PASSWORD@HOST/NAME`.
    ///
    /// # Errors
    /// `Invalid` for a URL of anything else, `Retry` if the database does not answer, `Corrupt` if it was made by a newer version or is damaged.
    pub async fn open(url: &str) -> Result<Store> {
        Self::open_by(url, schema::migrator()).await
    }

    async fn open_by(url: &str, migrator: Migrator) -> Result<Store> {
        sqlx::any::install_default_drivers();
        let kind = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Kind::Sqlite,
            Some("postgres" | "postgresql") => Kind::Postgres,
            _ => return Err(Error::invalid("the jobs' database takes sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME")),
        };
        let wrong = |error| Error::invalid("the URL of the jobs' database is not right").with_source(error);
        let options: AnyConnectOptions = url.parse().map_err(wrong)?;
        let opening = |error| failed("opening the jobs' database", error);
        let pool = |connections: u32, bounds: Bounds| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(WAIT_MAX)
                .after_connect(move |connection, _| Box::pin(async move { prepare(connection, kind, bounds).await }))
        };
        // A pool would only say that nothing came in time, not why.
        let first = tokio::time::timeout(WAIT_MAX, AnyConnection::connect_with(&options)).await;
        first.map_err(|_| silent("opening it"))?.map_err(opening)?.close().await.map_err(opening)?;
        // Without the bounds of the others: a step may take long where there are many runs, or wait for another process that makes it.
        let steps = pool(1, Bounds::None).connect_with(options.clone()).await.map_err(opening)?;
        migrator.run(&steps).await.map_err(not_brought)?;
        steps.close().await;
        // SQLite has one writer at a time: the others wait here, in turn, and not in its lock.
        let writing = if kind == Kind::Sqlite { 1 } else { CONNECTIONS_MAX };
        let writers = pool(writing, Bounds::Short).connect_with(options.clone()).await.map_err(opening)?;
        // Apart, so that no crowd of readers keeps the scheduler from its lease.
        let readers = pool(CONNECTIONS_MAX, Bounds::Short).connect_with(options).await.map_err(opening)?;
        Ok(Store {
            kind,
            readers,
            writers,
            unreadable: Arc::default(),
            #[cfg(test)]
            fate: Arc::default(),
        })
    }

    /// What tells this database from any other.
    pub(crate) async fn installation(&self) -> Result<String> {
        let mut change = self.change().await?;
        let name = uuid::Uuid::new_v4().simple().to_string();
        let sql = "INSERT INTO installation (one, name) VALUES (1, $1) ON CONFLICT (one) DO NOTHING";
        change.execute("naming the database", sqlx::query(sql).bind(name)).await?;
        let row = sqlx::query("SELECT name FROM installation").fetch_one(&mut *change.transaction).await;
        let name = row.and_then(|row| row.try_get(0)).map_err(|error| failed("naming the database", error))?;
        change.commit().await?;
        Ok(name)
    }

    /// Which database it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Begins changes.
    pub(crate) async fn change(&self) -> Result<Change> {
        #[cfg(test)]
        self.fate.check()?;
        tokio::time::timeout(ANSWER_MAX, self.begin()).await.unwrap_or_else(|_| Err(silent("beginning a change")))
    }

    async fn begin(&self) -> Result<Change> {
        let begin = if self.kind == Kind::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let mut transaction = self.writers.begin_with(begin).await.map_err(|error| failed("beginning a change", error))?;
        if self.kind == Kind::Postgres {
            // One writer at a time here too: whoever decides sees all that was decided, and nobody waits in a circle.
            let turn = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(WRITERS_LOCK).execute(&mut *transaction).await;
            turn.map_err(|error| failed("waiting for another's change", error))?;
        }
        Ok(Change {
            kind: self.kind,
            transaction,
            unreadable: self.unreadable.clone(),
            #[cfg(test)]
            fate: self.fate.clone(),
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

impl Change {
    /// Makes the changes last.
    pub(crate) async fn commit(self) -> Result<()> {
        #[cfg(test)]
        return testing::commit(self).await;
        #[cfg(not(test))]
        self.commit_now().await
    }

    async fn commit_now(self) -> Result<()> {
        let what = "committing a change";
        let committed = tokio::time::timeout(ANSWER_MAX, self.transaction.commit()).await;
        committed.map_err(|_| silent(what))?.map_err(|error| failed(what, error))
    }

    /// Takes `count` numbers of a counter, and answers the first.
    pub(crate) async fn numbers(&mut self, counter: &str, count: i64) -> Result<i64> {
        let sql = "UPDATE counter SET value = value + $1 WHERE name = $2 RETURNING value";
        let row = sqlx::query(sql).bind(count).bind(counter).fetch_one(&mut *self.transaction).await;
        let next: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| failed("taking numbers", error))?;
        Ok(next - count)
    }

    /// Runs a statement with numbers and texts, and answers how many rows it changed.
    async fn execute(&mut self, what: &str, query: sqlx::query::Query<'_, Any, sqlx::any::AnyArguments>) -> Result<u64> {
        let done = query.execute(&mut *self.transaction).await.map_err(|error| failed(what, error))?;
        Ok(done.rows_affected())
    }

    /// What a SELECT ends with that takes rows to change them.
    fn for_update(&self) -> &'static str {
        if self.kind == Kind::Postgres { " FOR UPDATE" } else { "" }
    }
}

/// How long Postgres lets a connection wait or work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    None,
    /// So that whoever vanished within a change, or hangs, does not keep the others from theirs.
    Short,
}

async fn prepare(connection: &mut AnyConnection, kind: Kind, bounds: Bounds) -> sqlx::Result<()> {
    let wait_ms = WAIT_MAX.as_millis();
    let settings = match kind {
        Kind::Sqlite => {
            // Deaths of processes are tested, those of machines are not.
            let synchronous = if cfg!(test) { "OFF" } else { "FULL" };
            format!(
                "PRAGMA busy_timeout = {wait_ms}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
            )
        }
        Kind::Postgres if bounds == Bounds::None => return Ok(()),
        Kind::Postgres => {
            let work_ms = WORK_MAX.as_millis();
            format!(
                "SET lock_timeout = {wait_ms}; SET statement_timeout = {work_ms}; SET idle_in_transaction_session_timeout = {work_ms};"
            )
        }
    };
    connection.execute(AssertSqlSafe(settings)).await?;
    Ok(())
}

/// Whether a code of Postgres says that the same may go well later.
fn passes(code: &str) -> bool {
    // Two in each other's way, waits and statements that took too long, a server that ends, starts, follows another or is full, a connection that broke.
    const CODES: [&str; 9] = ["25006", "25P03", "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03"];
    code.len() == 5 && (CODES.contains(&code) || ["08", "53"].iter().any(|class| code.starts_with(class)))
}

/// Why a database could not be brought up to date.
fn not_brought(error: MigrateError) -> Error {
    let message = match &error {
        MigrateError::VersionMissing(_) => "the jobs' database was made by a newer version: start that, or put back the backup",
        _ => "bringing the jobs' database up to date",
    };
    Error::corrupt(message).with_source(error)
}

/// The error for a database that does not answer.
fn silent(what: &str) -> Error {
    Error::retry(format!("{what}: the jobs' database does not answer"))
}

/// What a failed statement is to the caller. Nothing that a database says of itself holds a password.
pub(crate) fn failed(what: &str, error: sqlx::Error) -> Error {
    let message = format!("{what}: the jobs' database");
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => {
            Error::conflict(format!("{message} has it already")).with_source(error)
        }
        sqlx::Error::Database(cause) if cause.message().contains("locked") => Error::retry(format!("{message} is busy")),
        sqlx::Error::Database(cause) if cause.code().is_some_and(|code| passes(&code)) => {
            Error::retry(format!("{message} is busy")).with_source(error)
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
            Error::retry(format!("{message} does not answer")).with_source(error)
        }
        sqlx::Error::Configuration(_) => Error::invalid(format!("{message} can't be reached")).with_source(error),
        _ => Error::internal(format!("{message} refuses")).with_source(error),
    }
}

/// A JSON text of what was stored as such.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(what, error))
}

/// The error for what is there and can't be read.
fn unreadable(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::corrupt(format!("{what} in the jobs' database can't be read")).with_source(error)
}

/// The JSON text of something to store.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("names are texts, and no value can fail")
}

/// The text of a value that is stored as one word.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
