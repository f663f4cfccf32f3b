//! Up to where new data has started runs, and which processes are alive.

use pinlake_core::{Clock, Result, Timestamp};
use sqlx::Row;

use super::{Change, Kind, Store, failed};

impl Store {
    /// Up to where, and when, a trigger has started a run.
    pub(crate) async fn seen(&self, name: &str) -> Result<Option<(i64, Timestamp)>> {
        let row =
            sqlx::query("SELECT value, at FROM seen WHERE name = $1").bind(name.to_owned()).fetch_optional(&self.readers).await;
        let Some(row) = row.map_err(|error| failed("reading a trigger", error))? else { return Ok(None) };
        let read = || Ok((row.try_get(0)?, Timestamp(row.try_get(1)?)));
        read().map(Some).map_err(|error| failed("reading a trigger", error))
    }
}

impl Change {
    /// Moves a trigger on; `false` if somebody else did before.
    pub(crate) async fn see(&mut self, name: &str, before: Option<i64>, value: i64, now: Timestamp) -> Result<bool> {
        let query = match before {
            None => sqlx::query("INSERT INTO seen (name, value, at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
                .bind(name.to_owned())
                .bind(value)
                .bind(now.0),
            Some(before) => sqlx::query("UPDATE seen SET value = $2, at = $3 WHERE name = $1 AND value = $4")
                .bind(name.to_owned())
                .bind(value)
                .bind(now.0)
                .bind(before),
        };
        Ok(self.execute("moving a trigger", query).await? == 1)
    }

    /// Says that a process is alive up to a time; `false` if it was not known.
    pub(crate) async fn renew(&mut self, owner: &str, until: Timestamp) -> Result<bool> {
        let sql = "UPDATE process SET lease_until = $2 WHERE owner = $1";
        if self.execute("renewing the lease", sqlx::query(sql).bind(owner.to_owned()).bind(until.0)).await? > 0 {
            return Ok(true);
        }
        let sql = "INSERT INTO process (owner, lease_until) VALUES ($1, $2)";
        self.execute("renewing the lease", sqlx::query(sql).bind(owner.to_owned()).bind(until.0)).await?;
        Ok(false)
    }

    /// The time that leases are reckoned with: that of the database, where the clocks of several machines may differ, unless a test owns the time.
    pub(crate) async fn time(&mut self, clock: &Clock) -> Result<Timestamp> {
        if self.kind == Kind::Sqlite || matches!(clock, Clock::Manual(_)) {
            return Ok(clock.now());
        }
        let sql = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)";
        let row = sqlx::query(sql).fetch_one(&mut *self.transaction).await;
        row.and_then(|row| row.try_get(0)).map(Timestamp).map_err(|error| failed("asking for the time", error))
    }

    /// Forgets the processes whose leases have run out, and answers how many there were.
    pub(crate) async fn forget_lost(&mut self, now: Timestamp) -> Result<u64> {
        let query = sqlx::query("DELETE FROM process WHERE lease_until < $1").bind(now.0);
        self.execute("forgetting lost processes", query).await
    }

    /// The processes that are known.
    pub(crate) async fn processes(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT owner FROM process").fetch_all(&mut *self.transaction).await;
        let rows = rows.map_err(|error| failed("reading processes", error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(|error| failed("reading processes", error))
    }
}
