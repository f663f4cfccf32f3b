//! Alerts, and what is to be told of them.

use pinlake_core::jobs::Alert;
use pinlake_core::{Result, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Change, Store, failed};

/// Alerts that one answer holds.
const ALERTS_MAX: i64 = 1_000;

/// Something that is to be told to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    pub(crate) body: String,
    pub(crate) made_at: Timestamp,
    /// What it is sent with, once that was tried.
    pub(crate) parcel: Option<String>,
    pub(crate) tries: i64,
    pub(crate) next_at: Timestamp,
}

impl Store {
    /// Alerts, open ones first, the newest first.
    pub(crate) async fn alerts(&self) -> Result<Vec<Alert>> {
        let sql = "SELECT key, message, since, recovered_at FROM alert ORDER BY CASE WHEN recovered_at IS NULL THEN 0 ELSE 1 END, since DESC LIMIT $1";
        let rows =
            sqlx::query(sql).bind(ALERTS_MAX).fetch_all(&self.readers).await.map_err(|error| failed("reading alerts", error))?;
        rows.iter().map(alert_of).collect()
    }

    /// The open alerts.
    pub(crate) async fn open_alerts(&self) -> Result<Vec<Alert>> {
        let sql = "SELECT key, message, since, recovered_at FROM alert WHERE recovered_at IS NULL ORDER BY key";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("reading alerts", error))?;
        rows.iter().map(alert_of).collect()
    }

    /// The first of the processes that are known, by name.
    pub(crate) async fn first_process(&self) -> Result<Option<String>> {
        let row = sqlx::query("SELECT min(owner) FROM process").fetch_one(&self.readers).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("reading processes", error))
    }

    /// What a receiver is to be told, the oldest first, without what is sent by itself and not due.
    pub(crate) async fn letters(&self, receiver: &str, now: Timestamp, limit: i64) -> Result<Vec<Letter>> {
        let sql = "SELECT id, body, made_at, parcel, tries, next_at FROM outbox WHERE receiver = $1 \
                   AND (next_at <= $3 OR parcel IS NULL OR parcel NOT LIKE 'pinlake-alone-%') ORDER BY id LIMIT $2";
        let rows = sqlx::query(sql).bind(receiver.to_owned()).bind(limit).bind(now.0).fetch_all(&self.readers).await;
        let letter = |row: &AnyRow| {
            Ok(Letter {
                id: row.try_get("id")?,
                body: row.try_get("body")?,
                made_at: Timestamp(row.try_get("made_at")?),
                parcel: row.try_get("parcel")?,
                tries: row.try_get("tries")?,
                next_at: Timestamp(row.try_get("next_at")?),
            })
        };
        let rows = rows.map_err(|error| failed("reading what is to be told", error))?;
        rows.iter().map(letter).collect::<sqlx::Result<_>>().map_err(|error| failed("reading what is to be told", error))
    }
}

impl Change {
    /// Opens an alert; `false` if it was open.
    pub(crate) async fn open_alert(&mut self, key: &str, message: &str, now: Timestamp) -> Result<bool> {
        let sql = "INSERT INTO alert (key, message, since, recovered_at) VALUES ($1, $2, $3, NULL) ON CONFLICT (key) DO UPDATE \
                   SET message = $2, since = $3, recovered_at = NULL WHERE alert.recovered_at IS NOT NULL";
        let query = sqlx::query(sql).bind(key.to_owned()).bind(message.to_owned()).bind(now.0);
        Ok(self.execute("opening an alert", query).await? == 1)
    }

    /// Closes an alert, and answers it if it was open.
    pub(crate) async fn close_alert(&mut self, key: &str, now: Timestamp) -> Result<Option<Alert>> {
        let sql = "UPDATE alert SET recovered_at = $2 WHERE key = $1 AND recovered_at IS NULL RETURNING key, message, since, recovered_at";
        let row = sqlx::query(sql).bind(key.to_owned()).bind(now.0).fetch_optional(&mut *self.transaction).await;
        row.map_err(|error| failed("closing an alert", error))?.as_ref().map(alert_of).transpose()
    }

    /// Puts a letter to a receiver into the outbox, unless it holds too many for that one: then the answer is `false`.
    pub(crate) async fn post(&mut self, receiver: &str, body: &str, now: Timestamp, waiting_max: i64) -> Result<bool> {
        let row = sqlx::query("SELECT count(*) FROM outbox WHERE receiver = $1")
            .bind(receiver.to_owned())
            .fetch_one(&mut *self.transaction)
            .await;
        let waiting: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| failed("counting what is to be told", error))?;
        if waiting >= waiting_max {
            return Ok(false);
        }
        let id = self.numbers("outbox", 1).await?;
        let sql = "INSERT INTO outbox (id, receiver, body, made_at, parcel, tries, next_at) VALUES ($1, $2, $3, $4, NULL, 0, $4)";
        let query = sqlx::query(sql).bind(id).bind(receiver.to_owned()).bind(body.to_owned()).bind(now.0);
        self.execute("writing what is to be told", query).await?;
        Ok(true)
    }

    /// Takes letters to send them together, for nobody else up to a time; `false` if somebody else has one of them.
    pub(crate) async fn take(&mut self, letters: &[Letter], parcel: &str, until: Timestamp) -> Result<bool> {
        let seen: Vec<String> = letters.iter().map(|letter| format!("({}, {})", letter.id, letter.next_at.0)).collect();
        let sql = format!(
            "UPDATE outbox SET parcel = $1, next_at = $2 WHERE (id, next_at) IN (VALUES {}) AND (parcel IS NULL OR parcel = $1)",
            seen.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(parcel.to_owned()).bind(until.0);
        Ok(self.execute("taking what is to be told", query).await? == letters.len() as u64)
    }

    /// Forgets letters that came, or that nobody wants.
    pub(crate) async fn delivered(&mut self, letters: &[Letter]) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = letters.iter().map(|letter| letter.id.to_string()).collect();
        let sql = AssertSqlSafe(format!("DELETE FROM outbox WHERE id IN ({})", ids.join(", ")));
        self.execute("forgetting what was told", sqlx::query(sql)).await?;
        Ok(())
    }

    /// Has a letter tried again, with what it says of its parcel, tries and time.
    pub(crate) async fn put_back(&mut self, letter: &Letter) -> Result<()> {
        let query = sqlx::query("UPDATE outbox SET parcel = $1, tries = $2, next_at = $3 WHERE id = $4");
        let query = query.bind(letter.parcel.clone()).bind(letter.tries).bind(letter.next_at.0).bind(letter.id);
        self.execute("putting off what is to be told", query).await?;
        Ok(())
    }
}

fn alert_of(row: &AnyRow) -> Result<Alert> {
    let read = || {
        Ok(Alert {
            key: row.try_get("key")?,
            message: row.try_get("message")?,
            since: Timestamp(row.try_get("since")?),
            recovered_at: row.try_get::<Option<i64>, _>("recovered_at")?.map(Timestamp),
        })
    };
    read().map_err(|error| failed("reading an alert", error))
}
