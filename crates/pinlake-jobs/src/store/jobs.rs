//! Jobs and their definitions.

use std::collections::BTreeMap;
use std::time::Duration;

use pinlake_core::jobs::{JobKey, JobSpec, Origin};
use pinlake_core::{Error, Result, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Change, Store, failed, read_json, to_json, unreadable, word};
use crate::progress;

/// What a row is called that can't be read.
const JOB: &str = "job";
/// How long until a job is looked at again whose definition can't be read.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
const COLUMNS: &str = "id, name, origin, version, definition, notes, paused, gone, sequence, next_at, created_at";

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredJob {
    pub(crate) id: i64,
    pub(crate) spec: JobSpec,
    pub(crate) origin: Origin,
    pub(crate) version: String,
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) paused: bool,
    /// Whether nothing defines it any more.
    pub(crate) gone: bool,
    /// How many runs it has had.
    pub(crate) sequence: i64,
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

impl Store {
    /// All jobs, also those that are gone, by name.
    pub(crate) async fn jobs(&self) -> Result<Vec<StoredJob>> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM job ORDER BY name"));
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("reading jobs", error))?;
        Ok(self.unreadable.rest(JOB, &rows, job_of))
    }

    /// How many runs of each job are in which state: queued or running.
    pub(crate) async fn open_runs(&self) -> Result<Vec<(i64, String, i64)>> {
        let sql = "SELECT job_id, state, count(*) FROM run WHERE state IN ('queued', 'running') GROUP BY job_id, state";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("counting runs", error))?;
        let counted = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        rows.iter().map(counted).collect::<sqlx::Result<_>>().map_err(|error| failed("counting runs", error))
    }
}

impl Change {
    /// The job of that name or number, gone or not.
    pub(crate) async fn job(&mut self, key: &JobKey) -> Result<Option<StoredJob>> {
        if is_of_none(key) {
            return Ok(None);
        }
        let column = if matches!(key, JobKey::Id(_)) { "id" } else { "name" };
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM job WHERE {column} = $1{}", self.for_update()));
        let query = sqlx::query(sql);
        let query = match key {
            JobKey::Id(id) => query.bind(*id),
            JobKey::Name(name) => query.bind(name.as_str()),
        };
        let row = query.fetch_optional(&mut *self.transaction).await.map_err(|error| failed("reading a job", error))?;
        row.as_ref().map(job_of).transpose()
    }

    /// The jobs whose schedules are due, those that are due for longest first.
    pub(crate) async fn due_jobs(&mut self, now: Timestamp, limit: i64) -> Result<Vec<StoredJob>> {
        let lock = self.for_update();
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE next_at <= $1 AND look_at <= $1 AND paused = 0 AND gone = 0 ORDER BY next_at LIMIT $2{lock}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(limit).fetch_all(&mut *self.transaction).await;
        let rows = rows.map_err(|error| failed("reading due jobs", error))?;
        let (due, others) = self.unreadable.split(JOB, &rows, job_of);
        for id in others {
            self.postpone_job(id, progress::after(now, LOOK_AGAIN)).await?;
        }
        Ok(due)
    }

    /// Writes a job, new or changed.
    pub(crate) async fn put_job(&mut self, job: &StoredJob) -> Result<()> {
        let sql = "INSERT INTO job (id, name, origin, version, definition, notes, paused, gone, sequence, next_at, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                   ON CONFLICT (id) DO UPDATE SET name = $2, origin = $3, version = $4, definition = $5, notes = $6, paused = $7, \
                   gone = $8, sequence = $9, next_at = $10, look_at = 0";
        let query = sqlx::query(sql).bind(job.id).bind(job.spec.name.clone()).bind(word(&job.origin)).bind(job.version.clone());
        let query =
            query.bind(to_json(&job.spec)).bind(to_json(&job.notes)).bind(i64::from(job.paused)).bind(i64::from(job.gone));
        let query = query.bind(job.sequence).bind(job.next_at.map(|at| at.0)).bind(job.created_at.0);
        self.execute("writing a job", query).await?;
        Ok(())
    }

    /// Keeps a definition among those that a job has had.
    pub(crate) async fn keep_version(&mut self, job: &StoredJob, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO job_version (job_id, version, definition, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(job.id).bind(job.version.clone()).bind(to_json(&job.spec)).bind(now.0);
        self.execute("writing a definition", query).await?;
        Ok(())
    }

    /// Has a job's schedule looked at again later, without passing over what is due.
    pub(crate) async fn postpone_job(&mut self, id: i64, until: Timestamp) -> Result<()> {
        let sql = "UPDATE job SET look_at = $1 WHERE id = $2";
        self.execute("postponing a job", sqlx::query(sql).bind(until.0).bind(id)).await?;
        Ok(())
    }

    /// Deletes a job that a call defined; its runs stay.
    pub(crate) async fn delete_job(&mut self, id: i64) -> Result<()> {
        self.execute("deleting a job", sqlx::query("DELETE FROM job_version WHERE job_id = $1").bind(id)).await?;
        self.execute("deleting a job", sqlx::query("DELETE FROM job WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    /// All jobs, also those that are gone, and those whose definitions can't be read: they have no version.
    pub(crate) async fn jobs(&mut self) -> Result<Vec<StoredJob>> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM job ORDER BY name{}", self.for_update()));
        let rows = sqlx::query(sql).fetch_all(&mut *self.transaction).await.map_err(|error| failed("reading jobs", error))?;
        let (mut jobs, others) = self.unreadable.split(JOB, &rows, job_of);
        let is_other = |row: &&AnyRow| row.try_get::<i64, _>(0).is_ok_and(|id| others.contains(&id));
        jobs.extend(rows.iter().filter(is_other).filter_map(blank_of));
        Ok(jobs)
    }

    /// Sets when a job's schedule is due next, and how many runs it has had.
    pub(crate) async fn advance_job(&mut self, id: i64, next_at: Option<Timestamp>, sequence: i64) -> Result<()> {
        let sql = "UPDATE job SET next_at = $1, sequence = $2 WHERE id = $3";
        let query = sqlx::query(sql).bind(next_at.map(|at| at.0)).bind(sequence).bind(id);
        self.execute("advancing a job", query).await?;
        Ok(())
    }
}

/// Whether no job can have this name: Postgres refuses to be asked for it.
fn is_of_none(key: &JobKey) -> bool {
    matches!(key, JobKey::Name(name) if name.contains('\0'))
}

fn job_of(row: &AnyRow) -> Result<StoredJob> {
    let id: i64 = row.try_get(0).map_err(|error| failed("reading a job", error))?;
    let wrong = |error| unreadable(&format!("job {id}"), error);
    let text = |name: &str| row.try_get::<String, _>(name).map_err(wrong);
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(wrong);
    let name = text("name")?;
    let origin = match text("origin")?.as_str() {
        "pipeline" => Origin::Pipeline,
        "api" => Origin::Api,
        other => return Err(Error::corrupt(format!("job '{name}' in the jobs' database is of '{other}'"))),
    };
    Ok(StoredJob {
        id,
        spec: read_json(&format!("job '{name}'"), &text("definition")?)?,
        origin,
        version: text("version")?,
        notes: read_json(&format!("job '{name}'"), &text("notes")?)?,
        paused: number("paused")? != 0,
        gone: number("gone")? != 0,
        sequence: number("sequence")?,
        next_at: row.try_get::<Option<i64>, _>("next_at").map_err(wrong)?.map(Timestamp),
        created_at: Timestamp(number("created_at")?),
    })
}

impl Store {
    /// The job of that name or number, gone or not, without taking it.
    pub(crate) async fn job(&self, key: &JobKey) -> Result<Option<StoredJob>> {
        if is_of_none(key) {
            return Ok(None);
        }
        let query = match key {
            JobKey::Id(id) => sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM job WHERE id = $1"))).bind(*id),
            JobKey::Name(name) => {
                sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM job WHERE name = $1"))).bind(name.as_str())
            }
        };
        let row = query.fetch_optional(&self.readers).await.map_err(|error| failed("reading a job", error))?;
        row.as_ref().map(job_of).transpose()
    }

    /// How many runs of one job are in which state: queued or running.
    pub(crate) async fn open_runs_of(&self, job_id: i64) -> Result<Vec<(i64, String, i64)>> {
        let sql =
            "SELECT job_id, state, count(*) FROM run WHERE state IN ('queued', 'running') AND job_id = $1 GROUP BY job_id, state";
        let rows =
            sqlx::query(sql).bind(job_id).fetch_all(&self.readers).await.map_err(|error| failed("counting runs", error))?;
        let counted = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        rows.iter().map(counted).collect::<sqlx::Result<_>>().map_err(|error| failed("counting runs", error))
    }
}

impl Change {
    /// How many jobs there are that something defines.
    pub(crate) async fn count_jobs(&mut self) -> Result<i64> {
        let row = sqlx::query("SELECT count(*) FROM job WHERE gone = 0").fetch_one(&mut *self.transaction).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("counting jobs", error))
    }
}

/// A job whose definition can't be read, without it: another may take its place.
fn blank_of(row: &AnyRow) -> Option<StoredJob> {
    let number = |name: &str| row.try_get::<i64, _>(name).ok();
    Some(StoredJob {
        id: number("id")?,
        spec: JobSpec::new(row.try_get::<String, _>("name").ok()?, Vec::new()),
        origin: if row.try_get::<String, _>("origin").ok()? == "api" { Origin::Api } else { Origin::Pipeline },
        version: String::new(),
        notes: BTreeMap::new(),
        paused: number("paused")? != 0,
        gone: number("gone")? != 0,
        sequence: number("sequence")?,
        next_at: None,
        created_at: Timestamp(number("created_at")?),
    })
}
