//! Runs: each a document, with what is searched beside it.

use std::time::Duration;

use pinlake_core::jobs::{Interval, Run, RunId, RunKind, RunState, TaskRun, TaskState};
use pinlake_core::{Error, ErrorKind, Result, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Change, Store, failed, read_json, to_json, unreadable, word};
use crate::progress;

/// What a row is called that can't be read.
const RUN: &str = "run";
/// Runs that are read at once, at least, in place of those that can't be read.
const REST_PAGE: usize = 100;

/// Has the first run looked at again of those of a job that wait by themselves and run by themselves, of those that somebody asked for, and of each backfill likewise. A backfill's
/// are not read one by one: of each only the first, from the index. For a `min` both databases would go through all runs by number, to the end for a backfill of which none waits;
/// the index's own order, and `+ 0`, keep them from that.
pub(super) const WAKE_NEXT: &str = "UPDATE run SET wake_at = 0 WHERE id IN (\
    SELECT min(id) FROM run WHERE job_id = $1 AND state = 'queued' AND wake_at IS NULL AND backfill IS NULL \
    GROUP BY CASE WHEN kind IN ('schedule', 'data') AND again_at IS NULL THEN 1 ELSE 0 END \
    UNION ALL SELECT (SELECT run.id FROM run WHERE run.job_id = $1 AND run.backfill = backfill.id AND state = 'queued' \
    AND wake_at IS NULL AND again_at IS NULL ORDER BY run.job_id, run.backfill, again_at, run.id LIMIT 1) FROM backfill WHERE backfill.job_id = $1 \
    UNION ALL SELECT (SELECT min(run.id + 0) FROM run WHERE run.job_id = $1 AND run.backfill = backfill.id AND state = 'queued' \
    AND wake_at IS NULL AND again_at > 0) FROM backfill WHERE backfill.job_id = $1)";

/// A run and the count of its changes, so that nobody writes over what he has not seen.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) run: Run,
    changes: i64,
}

/// What is kept beside a new run.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRow {
    /// What there may be but one run of.
    pub(crate) once: Option<String>,
    /// What equal runs have in common.
    pub(crate) same: Option<String>,
}

/// Which runs are wanted, the newest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) job_id: Option<i64>,
    pub(crate) states: Vec<RunState>,
    pub(crate) kinds: Vec<RunKind>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) before: Option<RunId>,
    pub(crate) limit: usize,
}

impl Store {
    /// A run by its number, or by that of one of its tasks.
    pub(crate) async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let sql = "SELECT id, changes, document FROM run WHERE id <= $1 ORDER BY id DESC LIMIT 1";
        let row =
            sqlx::query(sql).bind(id.0).fetch_optional(&self.readers).await.map_err(|error| failed("reading a run", error))?;
        let run = row.as_ref().map(stored_of).transpose()?.map(|stored| stored.run);
        Ok(run.filter(|run| run.id == id || run.tasks.iter().any(|task| task.id == id)))
    }

    /// The runs that are wanted, the newest first: fewer than the limit only where there are no more. Those that can't be read are passed over.
    pub(crate) async fn runs(&self, wanted: &Wanted) -> Result<Vec<Run>> {
        let mut next = wanted.clone();
        let mut runs = Vec::new();
        loop {
            let rows = self.page(&next).await?;
            runs.extend(self.unreadable.rest(RUN, &rows, run_of));
            if rows.len() < next.limit || runs.len() >= wanted.limit {
                runs.truncate(wanted.limit);
                return Ok(runs);
            }
            next.before = rows.last().and_then(|row| row.try_get(0).ok()).map(RunId);
            // One after the other would take long where many can't be read.
            next.limit = wanted.limit.max(REST_PAGE);
        }
    }

    async fn page(&self, wanted: &Wanted) -> Result<Vec<AnyRow>> {
        let numbers = [
            ("job_id =", wanted.job_id),
            ("created_at >=", wanted.since.map(|at| at.0)),
            ("created_at <=", wanted.until.map(|at| at.0)),
            ("id <", wanted.before.map(|id| id.0)),
        ];
        let numbers: Vec<(&str, i64)> = numbers.into_iter().filter_map(|(condition, value)| Some((condition, value?))).collect();
        let mut conditions: Vec<String> =
            numbers.iter().zip(2..).map(|((condition, _), place)| format!("{condition} ${place}")).collect();
        conditions.extend(one_of("state", wanted.states.iter().map(word)));
        conditions.extend(one_of("kind", wanted.kinds.iter().map(word)));
        let wheres = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let sql = format!("SELECT id, changes, document FROM run{wheres} ORDER BY id DESC LIMIT $1");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(i64::try_from(wanted.limit).unwrap_or(i64::MAX));
        for (_, value) in numbers {
            query = query.bind(value);
        }
        query.fetch_all(&self.readers).await.map_err(|error| failed("reading runs", error))
    }

    /// The newest run of each job.
    pub(crate) async fn newest_runs(&self) -> Result<Vec<Run>> {
        let sql = "SELECT id, changes, document FROM run WHERE id IN (SELECT max(id) FROM run WHERE job_id > 0 GROUP BY job_id)";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("reading runs", error))?;
        Ok(self.unreadable.rest(RUN, &rows, run_of))
    }

    /// Since when each job has a run that waits for its first time; those of backfills wait for each other.
    pub(crate) async fn oldest_queued(&self) -> Result<Vec<(i64, Timestamp)>> {
        let sql = "SELECT job_id, min(created_at) FROM run WHERE state = 'queued' AND job_id > 0 \
                   AND kind <> 'backfill' AND again_at IS NULL GROUP BY job_id";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("reading queued runs", error))?;
        let since = |row: &AnyRow| Ok((row.try_get(0)?, Timestamp(row.try_get(1)?)));
        rows.iter().map(since).collect::<sqlx::Result<_>>().map_err(|error| failed("reading queued runs", error))
    }

    /// The runs under way that were made before a time.
    pub(crate) async fn begun_before(&self, at: Timestamp) -> Result<Vec<Run>> {
        let sql = "SELECT id, changes, document FROM run WHERE state = 'running' AND created_at < $1";
        let rows = sqlx::query(sql).bind(at.0).fetch_all(&self.readers).await.map_err(|error| failed("reading runs", error))?;
        Ok(self.unreadable.rest(RUN, &rows, run_of))
    }

    /// How long the last runs of a job took that succeeded.
    pub(crate) async fn durations(&self, job_id: i64, limit: usize) -> Result<Vec<Duration>> {
        let wanted = Wanted { job_id: Some(job_id), states: vec![RunState::Succeeded], limit, ..Wanted::default() };
        let runs = self.runs(&wanted).await?;
        Ok(runs.iter().filter_map(|run| Some(run.started_at?.until(run.ended_at?))).collect())
    }

    /// How many runs are queued, and how many running.
    pub(crate) async fn count_open(&self) -> Result<(u64, u64)> {
        let sum = |state: &str, all: &[(i64, String, i64)]| {
            all.iter().filter(|(_, found, _)| found == state).map(|(_, _, count)| u64::try_from(*count).unwrap_or(0)).sum()
        };
        let all = self.open_runs().await?;
        Ok((sum("queued", &all), sum("running", &all)))
    }

    /// Whether something may go on at this time, without locking anything.
    pub(crate) async fn has_due(&self, now: Timestamp) -> Result<bool> {
        let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM job WHERE next_at <= $1 AND look_at <= $1 AND paused = 0 AND gone = 0) \
                   OR EXISTS (SELECT 1 FROM run WHERE wake_at <= $1) OR EXISTS (SELECT 1 FROM run WHERE deadline_at <= $1)";
        let row = sqlx::query(sql).bind(now.0).fetch_optional(&self.readers).await;
        Ok(row.map_err(|error| failed("looking for what is due", error))?.is_some())
    }

    /// The runs under way that were asked to end.
    pub(crate) async fn ending_runs(&self) -> Result<Vec<RunId>> {
        let sql = "SELECT id FROM run WHERE state = 'running' AND ending = 1";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await.map_err(|error| failed("reading ending runs", error))?;
        ids(&rows)
    }
}

impl Change {
    /// Takes a run to change it.
    pub(crate) async fn run(&mut self, id: RunId) -> Result<Option<Stored>> {
        let sql = AssertSqlSafe(format!("SELECT id, changes, document FROM run WHERE id = $1{}", self.for_update()));
        let row = sqlx::query(sql).bind(id.0).fetch_optional(&mut *self.transaction).await;
        row.map_err(|error| failed("reading a run", error))?.as_ref().map(stored_of).transpose()
    }

    /// Takes a run to change it, for whoever goes on without it where it can't be read.
    pub(crate) async fn run_if_readable(&mut self, id: RunId) -> Result<Option<Stored>> {
        match self.run(id).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.unreadable.tell(RUN, id.0, &error);
                self.park_run(id.0).await?;
                Ok(None)
            }
            read => read,
        }
    }

    /// The runs of rows that can be read; the others are not looked at again.
    async fn readable(&mut self, rows: &[AnyRow]) -> Result<Vec<Stored>> {
        let (readable, others) = self.unreadable.split(RUN, rows, stored_of);
        for id in others {
            self.park_run(id).await?;
        }
        Ok(readable)
    }

    async fn park_run(&mut self, id: i64) -> Result<()> {
        let sql = "UPDATE run SET wake_at = NULL, deadline_at = NULL WHERE id = $1";
        self.execute("leaving a run out", sqlx::query(sql).bind(id)).await?;
        Ok(())
    }

    /// Writes a new run; `false` if there is one of the same `once` already.
    pub(crate) async fn add_run(&mut self, run: &Run, beside: NewRow) -> Result<bool> {
        let sql = "INSERT INTO run (id, job_id, kind, state, ending, once, same, interval_from, interval_to, created_at, wake_at, deadline_at, \
                   backfill, changes, document) VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, NULL, $11, 0, $12) ON CONFLICT (once) DO NOTHING";
        let query = sqlx::query(sql).bind(run.id.0).bind(run.job_id).bind(word(&run.kind)).bind(word(&run.state));
        let query = query.bind(beside.once).bind(beside.same).bind(run.interval.map(|data| data.from.0));
        let query = query.bind(run.interval.map(|data| data.to.0)).bind(run.created_at.0).bind(Some(0_i64));
        let query = query.bind(run.cause.backfill).bind(to_json(run));
        Ok(self.execute("writing a run", query).await? == 1)
    }

    /// Writes a run that was changed.
    ///
    /// # Errors
    /// `Retry` if somebody else changed it meanwhile.
    pub(crate) async fn put_run(&mut self, stored: &Stored) -> Result<()> {
        self.put_run_waking(stored, progress::wake_at(&stored.run)).await
    }

    /// The same, with the time at which it is looked at again.
    pub(crate) async fn put_run_waking(&mut self, stored: &Stored, wake_at: Option<Timestamp>) -> Result<()> {
        let run = &stored.run;
        let sql = "UPDATE run SET state = $1, ending = $2, wake_at = $3, deadline_at = $4, changes = changes + 1, document = $5, \
                   ended_at = $8, held = $9, lane = $10 WHERE id = $6 AND changes = $7";
        let ending = i64::from(run.reason.is_some() && !run.state.has_ended());
        let query = sqlx::query(sql).bind(word(&run.state)).bind(ending).bind(wake_at.map(|at| at.0));
        let query = query.bind(progress::deadline_at(run).map(|at| at.0)).bind(to_json(run)).bind(run.id.0).bind(stored.changes);
        let query = query.bind(run.ended_at.map(|at| at.0)).bind(held_of(run));
        let query = query.bind(run.lane.filter(|_| run.state == RunState::Running).map(|lane| lane.number));
        if self.execute("writing a run", query).await? != 1 {
            return Err(Error::retry(format!("run {} was changed by another process meanwhile", run.id)));
        }
        Ok(())
    }

    /// Deletes a run and the logs of its tasks, whose numbers are those between it and the next run.
    pub(crate) async fn delete_run(&mut self, id: RunId) -> Result<()> {
        let row = sqlx::query("SELECT min(id) FROM run WHERE id > $1").bind(id.0).fetch_one(&mut *self.transaction).await;
        let next: sqlx::Result<Option<i64>> = row.and_then(|row| row.try_get(0));
        let next = next.map_err(|error| failed("deleting a run", error))?.unwrap_or(i64::MAX);
        let query = sqlx::query("DELETE FROM log_line WHERE task_id > $1 AND task_id < $2").bind(id.0).bind(next);
        self.execute("deleting a log", query).await?;
        self.execute("deleting a run", sqlx::query("DELETE FROM token WHERE run_id = $1").bind(id.0)).await?;
        self.execute("deleting a run", sqlx::query("DELETE FROM run WHERE id = $1").bind(id.0)).await?;
        Ok(())
    }

    /// The runs that may go on, in the order in which they came to be able to; those of backfills behind all others.
    pub(crate) async fn awake(&mut self, now: Timestamp, limit: i64) -> Result<Vec<Stored>> {
        let skip = if self.for_update().is_empty() { "" } else { " FOR UPDATE SKIP LOCKED" };
        let order = "CASE WHEN backfill IS NULL THEN 0 ELSE 1 END, wake_at, id";
        let sql = format!("SELECT id, changes, document FROM run WHERE wake_at <= $1 ORDER BY {order} LIMIT $2{skip}");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(limit).fetch_all(&mut *self.transaction).await;
        self.readable(&rows.map_err(|error| failed("reading runs", error))?).await
    }

    /// The runs that have taken too long.
    pub(crate) async fn late(&mut self, now: Timestamp, limit: i64) -> Result<Vec<Stored>> {
        let skip = if self.for_update().is_empty() { "" } else { " FOR UPDATE SKIP LOCKED" };
        let sql = format!("SELECT id, changes, document FROM run WHERE deadline_at <= $1 ORDER BY deadline_at LIMIT $2{skip}");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(limit).fetch_all(&mut *self.transaction).await;
        self.readable(&rows.map_err(|error| failed("reading runs", error))?).await
    }

    /// All runs under way.
    pub(crate) async fn running(&mut self) -> Result<Vec<Stored>> {
        let sql = AssertSqlSafe(format!("SELECT id, changes, document FROM run WHERE state = 'running'{}", self.for_update()));
        let rows = sqlx::query(sql).fetch_all(&mut *self.transaction).await;
        Ok(self.unreadable.rest(RUN, &rows.map_err(|error| failed("reading runs", error))?, stored_of))
    }

    /// The attempts that processes carry out, or did when they were lost.
    pub(crate) async fn held(&mut self) -> Result<Vec<Held>> {
        let rows = sqlx::query("SELECT held FROM run WHERE held IS NOT NULL").fetch_all(&mut *self.transaction).await;
        let rows = rows.map_err(|error| failed("reading attempts", error))?;
        let texts = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<String>>>();
        let texts = texts.map_err(|error| failed("reading attempts", error))?;
        Ok(texts.iter().flat_map(|text| text.split(' ')).filter_map(Held::read).collect())
    }

    /// How many runs of a job, or of a backfill, are in a state.
    pub(crate) async fn count(&mut self, group: Group, state: &str, id: i64) -> Result<i64> {
        let column = group.column();
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM run WHERE {column} = $1 AND state = $2"));
        let row = sqlx::query(sql).bind(id).bind(state.to_owned()).fetch_one(&mut *self.transaction).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("counting runs", error))
    }

    /// How many runs of a job wait, without those of backfills, which are bounded by themselves.
    pub(crate) async fn count_own_queued(&mut self, job_id: i64) -> Result<i64> {
        let sql = "SELECT count(*) FROM run WHERE job_id = $1 AND state = 'queued' AND backfill IS NULL";
        let row = sqlx::query(sql).bind(job_id).fetch_one(&mut *self.transaction).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("counting runs", error))
    }

    /// How many runs of a job that new data started have not begun.
    pub(crate) async fn count_data_queued(&mut self, job_id: i64) -> Result<i64> {
        let sql = "SELECT count(*) FROM run WHERE job_id = $1 AND state = 'queued' AND kind = 'data'";
        let row = sqlx::query(sql).bind(job_id).fetch_one(&mut *self.transaction).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("counting runs", error))
    }

    /// Has the oldest queued runs of a job looked at again.
    pub(crate) async fn wake_next(&mut self, job_id: i64) -> Result<()> {
        // The first of those that run by themselves, of those that somebody asked for, and of each backfill: any of them may be held back.
        self.execute("waking a run", sqlx::query(WAKE_NEXT).bind(job_id)).await?;
        Ok(())
    }

    /// The queued runs of a job.
    pub(crate) async fn queued(&mut self, job_id: i64) -> Result<Vec<RunId>> {
        let sql = "SELECT id FROM run WHERE job_id = $1 AND state = 'queued' ORDER BY id";
        let rows = sqlx::query(sql).bind(job_id).fetch_all(&mut *self.transaction).await;
        ids(&rows.map_err(|error| failed("reading queued runs", error))?)
    }

    /// Has all queued runs of a job looked at again.
    pub(crate) async fn wake_all(&mut self, job_id: i64) -> Result<()> {
        let sql = "UPDATE run SET wake_at = 0 WHERE job_id = $1 AND state = 'queued'";
        self.execute("waking runs", sqlx::query(sql).bind(job_id)).await?;
        Ok(())
    }

    /// The newest run of the same kind of things that has not ended.
    pub(crate) async fn open_same(&mut self, same: &str) -> Result<Option<RunId>> {
        let sql = "SELECT max(id) FROM run WHERE same = $1 AND state IN ('queued', 'running')";
        let row = sqlx::query(sql).bind(same.to_owned()).fetch_one(&mut *self.transaction).await;
        let id: Option<i64> = row.and_then(|row| row.try_get(0)).map_err(|error| failed("looking for a run", error))?;
        Ok(id.map(RunId))
    }

    /// The run of a caller's token; or takes the token for `new`, and answers `None`.
    pub(crate) async fn claim_token(&mut self, token: &str, new: RunId, now: Timestamp) -> Result<Option<RunId>> {
        let sql = "INSERT INTO token (token, run_id, made_at) VALUES ($1, $2, $3) ON CONFLICT (token) DO NOTHING";
        if self.execute("keeping a token", sqlx::query(sql).bind(token.to_owned()).bind(new.0).bind(now.0)).await? == 1 {
            return Ok(None);
        }
        let row = sqlx::query("SELECT run_id FROM token WHERE token = $1")
            .bind(token.to_owned())
            .fetch_one(&mut *self.transaction)
            .await;
        let id: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| failed("reading a token", error))?;
        Ok(Some(RunId(id)))
    }

    /// The newest run of each of a job's intervals that begin within a span.
    pub(crate) async fn runs_of_intervals(&mut self, job_id: i64, within: Interval) -> Result<Vec<Run>> {
        let sql = "SELECT id, changes, document FROM run WHERE id IN (SELECT max(id) FROM run WHERE job_id = $1 AND interval_from >= $2 \
                   AND interval_from < $3 GROUP BY interval_from, interval_to)";
        let rows = sqlx::query(sql).bind(job_id).bind(within.from.0).bind(within.to.0).fetch_all(&mut *self.transaction).await;
        Ok(self.unreadable.rest(RUN, &rows.map_err(|error| failed("reading runs", error))?, run_of))
    }

    /// Writes a backfill.
    pub(crate) async fn add_backfill(&mut self, job_id: i64, parallel: u32, request: &str, now: Timestamp) -> Result<i64> {
        let id = self.numbers("backfill", 1).await?;
        let sql = "INSERT INTO backfill (id, job_id, parallel, made_at, request) VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(sql).bind(id).bind(job_id).bind(i64::from(parallel)).bind(now.0).bind(request.to_owned());
        self.execute("writing a backfill", query).await?;
        Ok(id)
    }

    /// How many runs of a backfill may be under way at once.
    pub(crate) async fn backfill_parallel(&mut self, id: i64) -> Result<i64> {
        let row =
            sqlx::query("SELECT parallel FROM backfill WHERE id = $1").bind(id).fetch_optional(&mut *self.transaction).await;
        let row = row.map_err(|error| failed("reading a backfill", error))?;
        row.map_or(Ok(1), |row| row.try_get(0).map_err(|error| failed("reading a backfill", error)))
    }

    /// Runs that ended before a time, those that ended first first.
    pub(crate) async fn old_runs(&mut self, ended_before: Timestamp, limit: i64) -> Result<Vec<RunId>> {
        let sql = "SELECT id FROM run WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2";
        let rows = sqlx::query(sql).bind(ended_before.0).bind(limit).fetch_all(&mut *self.transaction).await;
        ids(&rows.map_err(|error| failed("reading runs", error))?)
    }
}

/// An attempt that a process carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) owner: String,
    pub(crate) task: RunId,
    pub(crate) attempt: u32,
}

impl Held {
    fn read(text: &str) -> Option<Held> {
        let mut parts = text.splitn(3, '/');
        let (owner, task, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Held { owner: owner.to_owned(), task: RunId(task.parse().ok()?), attempt: attempt.parse().ok()? })
    }
}

/// The attempts of a run that processes carry out.
fn held_of(run: &Run) -> Option<String> {
    let running = run.tasks.iter().filter(|task| task.state == TaskState::Running && task.child.is_none());
    let one = |task: &TaskRun| task.last().map(|last| format!("{}/{}/{}", last.owner, task.id, last.number));
    let held: Vec<String> = running.filter_map(one).collect();
    (!held.is_empty()).then(|| held.join(" "))
}

/// Runs that are counted together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Group {
    Job,
    Backfill,
}

impl Group {
    fn column(self) -> &'static str {
        match self {
            Self::Job => "job_id",
            Self::Backfill => "backfill",
        }
    }
}

/// A condition that a column is one of some words, which are our own; none if there are no words.
fn one_of(column: &str, words: impl Iterator<Item = String>) -> Option<String> {
    let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    (!words.is_empty()).then(|| format!("{column} IN ({})", words.join(", ")))
}

fn stored_of(row: &AnyRow) -> Result<Stored> {
    let id: i64 = row.try_get(0).map_err(|error| failed("reading a run", error))?;
    let what = format!("run {id}");
    let wrong = |error| unreadable(&what, error);
    let document: String = row.try_get("document").map_err(wrong)?;
    Ok(Stored { run: read_json(&what, &document)?, changes: row.try_get("changes").map_err(wrong)? })
}

fn run_of(row: &AnyRow) -> Result<Run> {
    Ok(stored_of(row)?.run)
}

fn ids(rows: &[AnyRow]) -> Result<Vec<RunId>> {
    let ids: sqlx::Result<Vec<RunId>> = rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect();
    ids.map_err(|error| failed("reading runs", error))
}

impl Change {
    /// The run of a caller's token.
    pub(crate) async fn run_of_token(&mut self, token: &str) -> Result<Option<RunId>> {
        let sql = "SELECT run_id FROM token WHERE token = $1";
        let row = sqlx::query(sql).bind(token.to_owned()).fetch_optional(&mut *self.transaction).await;
        let row = row.map_err(|error| failed("reading a token", error))?;
        row.map(|row| row.try_get(0).map(RunId).map_err(|error| failed("reading a token", error))).transpose()
    }

    /// Says that somebody has a run run again.
    pub(crate) async fn note_again(&mut self, id: RunId, now: Timestamp) -> Result<()> {
        let query = sqlx::query("UPDATE run SET again_at = $1 WHERE id = $2").bind(now.0).bind(id.0);
        self.execute("writing a run", query).await?;
        Ok(())
    }
}
