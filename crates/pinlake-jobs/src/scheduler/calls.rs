//! What is asked of the scheduler by whoever calls it: each call is one change, or a reading.

use std::collections::HashMap;
use std::time::Duration;

use pinlake_core::jobs::{
    Again, Backfill, BackfillPlan, Cause, EndReason, Interval, Job, JobKey, LogPage, NewRun, Order, PlannedInterval, Run,
    RunFilter, RunId, RunKind, RunState, RunSummary, Submission,
};
use pinlake_core::{Error, ErrorKind, Result, Timestamp};
use tokio::time::Instant;

use super::make::{self, Owner, Particulars};
use super::step::{After, QUEUED_MAX, last_interval};
use super::{Scheduler, definitions, lock, no_job, no_run, texts};
use crate::progress;
use crate::store::{Change, NewRow, StoredJob, Wanted};

/// Intervals of one backfill.
const INTERVALS_MAX: usize = 10_000;
/// How often one run may run in all: its document holds every attempt.
const GENERATIONS_MAX: u32 = 100;
/// How often a log of another process is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Scheduler {
    /// All jobs, by name.
    ///
    /// # Errors
    /// `Retry` while the database does not answer, as of all calls.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let store = &self.inner.store;
        let (jobs, open, newest) = (store.jobs().await?, store.open_runs().await?, store.newest_runs().await?);
        let newest: HashMap<i64, &Run> = newest.iter().map(|run| (run.job_id, run)).collect();
        let open = counted(&open);
        let shown = |job: StoredJob| {
            let (open, newest) = (open.get(&job.id).copied().unwrap_or_default(), newest.get(&job.id).copied());
            shown(job, open, newest)
        };
        Ok(jobs.into_iter().filter(|job| !job.gone).map(shown).collect())
    }

    /// One job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, key: &JobKey) -> Result<Job> {
        let store = &self.inner.store;
        let job = store.job(key).await?.filter(|job| !job.gone).ok_or_else(|| no_job(key))?;
        let open = counted(&store.open_runs_of(job.id).await?).get(&job.id).copied().unwrap_or_default();
        let newest = store.runs(&Wanted { job_id: Some(job.id), limit: 1, ..Wanted::default() }).await?;
        Ok(shown(job, open, newest.first()))
    }

    /// Starts a run.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a parameter that the job does not have; `Retry` when too many of its runs wait.
    pub async fn start(&self, asked: NewRun) -> Result<RunId> {
        let now = self.inner.clock.now();
        texts::check_token(asked.token.as_deref())?;
        texts::check_parameters(&asked.parameters)?;
        let mut change = self.inner.store.change().await?;
        let job = change.job(&asked.job).await?;
        // Before anything is refused: what was begun once is answered, also when the job is gone or too many runs wait.
        let job_id = match (&job, &asked.job) {
            (Some(job), _) => Some(job.id),
            (None, JobKey::Id(id)) => Some(*id),
            (None, JobKey::Name(_)) => None,
        };
        let token = asked.token.as_ref().zip(job_id).map(|(token, id)| format!("job/{id}/{token}"));
        if let Some(known) = known_run(&mut change, token.as_deref()).await? {
            return Ok(known);
        }
        let job = job.filter(|job| !job.gone).ok_or_else(|| no_job(&asked.job))?;
        if !asked.any_parameters {
            known_parameters(&job, asked.parameters.keys())?;
        }
        refuse_too_many(&mut change, job.id).await?;
        let interval = match (asked.interval, self.times_of(&job)?) {
            (None, Some(times)) => last_interval(&times, now),
            (interval, _) => interval,
        };
        let of = Particulars {
            kind: RunKind::Manual,
            cause: Cause { text: asked.cause, ..Cause::default() },
            interval,
            parameters: asked.parameters,
            notes: asked.notes,
            at: now,
        };
        let run = make::run(&mut change, Owner::next(&job), of).await?;
        change.advance_job(job.id, job.next_at, run.sequence).await?;
        self.add(change, run, token, None).await
    }

    /// Runs tasks of no job.
    ///
    /// # Errors
    /// `Invalid` for a definition that is wrong; `Retry` when too many wait.
    pub async fn submit(&self, asked: Submission) -> Result<RunId> {
        let now = self.inner.clock.now();
        texts::check_token(asked.token.as_deref())?;
        texts::check_parameters(&asked.parameters)?;
        let checked = definitions::check(&asked.spec).and_then(|()| definitions::check_of_calls(&asked.spec));
        let version = make::version_of(&asked.spec);
        // As JSON, in which no character is one that a database refuses.
        let same = format!("{version}/{}", crate::store::to_json(&(&asked.parameters, &asked.cause)));
        let mut change = self.inner.store.change().await?;
        let token = asked.token.map(|token| format!("submit/{token}"));
        if let Some(known) = known_run(&mut change, token.as_deref()).await? {
            return Ok(known);
        }
        checked?;
        if let Some(same) = if asked.join { change.open_same(&same).await? } else { None } {
            if let Some(token) = token {
                change.claim_token(&token, same, now).await?;
                change.commit().await?;
            }
            return Ok(same);
        }
        refuse_too_many(&mut change, 0).await?;
        let of = Particulars {
            kind: RunKind::Submit,
            cause: Cause { text: asked.cause, ..Cause::default() },
            parameters: asked.parameters,
            notes: asked.notes,
            ..Particulars::plain(now)
        };
        let owner = Owner { job_id: 0, sequence: 0, spec: &asked.spec, version: &version };
        let mut run = make::run(&mut change, owner, of).await?;
        // It has no job whose runs are counted.
        run.sequence = run.id.0;
        self.add(change, run, token, Some(same)).await
    }

    /// Runs a job for intervals that are over, or says what it would run.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a job without a schedule, no interval or too many.
    pub async fn backfill(&self, asked: Backfill) -> Result<BackfillPlan> {
        let now = self.inner.clock.now();
        texts::check_parameters(&asked.parameters)?;
        let mut change = self.inner.store.change().await?;
        let job = change.job(&asked.job).await?.filter(|job| !job.gone).ok_or_else(|| no_job(&asked.job))?;
        known_parameters(&job, asked.parameters.keys())?;
        let Some(times) = self.times_of(&job)? else {
            return Err(Error::invalid(format!("job '{}' has no schedule, and so no intervals", job.spec.name)));
        };
        let to = asked.to.min(now);
        let mut intervals: Vec<Interval> = times.intervals_within(asked.from, to).take(INTERVALS_MAX + 1).collect();
        if intervals.len() > INTERVALS_MAX {
            return Err(Error::invalid(format!("these are more than {INTERVALS_MAX} intervals: do it in parts")));
        }
        let (Some(first), Some(last)) = (intervals.first(), intervals.last()) else {
            return Err(Error::invalid("no interval of the schedule lies within these times and is over"));
        };
        let within = Interval { from: first.from, to: last.to };
        let before: HashMap<Option<Interval>, RunState> =
            change.runs_of_intervals(job.id, within).await?.into_iter().map(|run| (run.interval, run.state)).collect();
        let all = intervals.len();
        intervals.retain(|interval| match before.get(&Some(*interval)) {
            Some(RunState::Queued | RunState::Running) => false,
            Some(RunState::Succeeded) => !asked.only_failed,
            Some(RunState::Failed) | None => true,
        });
        let left_out = (all - intervals.len()) as u64;
        if asked.order == Order::Newest {
            intervals.reverse();
        }
        let planned = |interval: Interval| PlannedInterval { interval, run: None, before: before.get(&Some(interval)).copied() };
        let mut plan = BackfillPlan { id: None, intervals: intervals.into_iter().map(planned).collect(), left_out };
        if asked.preview || plan.intervals.is_empty() {
            return Ok(plan);
        }
        self.plan_runs(&mut change, &job, &asked, &mut plan, now).await?;
        change.commit().await?;
        self.wake();
        Ok(plan)
    }

    async fn plan_runs(
        &self,
        change: &mut Change,
        job: &StoredJob,
        asked: &Backfill,
        plan: &mut BackfillPlan,
        now: Timestamp,
    ) -> Result<()> {
        let request = format!("{} to {}", asked.from, asked.to);
        let id = change.add_backfill(job.id, asked.parallel.max(1), &request, now).await?;
        let mut sequence = job.sequence;
        for planned in &mut plan.intervals {
            let of = Particulars {
                kind: RunKind::Backfill,
                cause: Cause { text: asked.cause.clone(), backfill: Some(id), ..Cause::default() },
                interval: Some(planned.interval),
                parameters: asked.parameters.clone(),
                ..Particulars::plain(now)
            };
            let owner = Owner { sequence: sequence + 1, ..Owner::next(job) };
            let run = make::run(change, owner, of).await?;
            change.add_run(&run, NewRow::default()).await?;
            sequence += 1;
            planned.run = Some(run.id);
        }
        change.advance_job(job.id, job.next_at, sequence).await?;
        plan.id = Some(id);
        Ok(())
    }

    /// Runs, the newest first.
    ///
    /// # Errors
    /// `NotFound` for a job that there is not.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        let job_id = match &filter.job {
            Some(JobKey::Id(id)) => Some(*id),
            Some(key) => Some(self.inner.store.job(key).await?.filter(|job| !job.gone).ok_or_else(|| no_job(key))?.id),
            None => None,
        };
        let wanted = Wanted {
            job_id,
            states: filter.states,
            kinds: filter.kinds,
            since: filter.since,
            until: filter.until,
            before: filter.before,
            limit: filter.limit.clamp(1, RunFilter::LIMIT_MAX),
        };
        Ok(self.inner.store.runs(&wanted).await?.iter().map(Run::summary).collect())
    }

    /// A run, by its number or by that of one of its tasks.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn run(&self, id: RunId) -> Result<Run> {
        self.inner.store.run(id).await?.ok_or_else(|| no_run(id))
    }

    /// Has a run end.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` for a run that can't be read: it has ended then, as far as its job is concerned, and the error says so.
    pub async fn cancel(&self, id: RunId) -> Result<()> {
        let id = match self.run(id).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => return Err(self.end_unreadable(id, error).await?),
            run => run?.id,
        };
        let now = self.inner.clock.now();
        let mut change = self.inner.store.change().await?;
        let mut after = After::default();
        self.cancel_within(&mut change, id, EndReason::Cancelled, "cancelled", now, &mut after).await?;
        change.commit().await?;
        self.tell(after.events);
        self.end_cancelled().await?;
        self.wake();
        Ok(())
    }

    /// Ends a run that can't be read, so that those behind it go on, and answers what is to be said of it. `error` is why it can't be read.
    async fn end_unreadable(&self, id: RunId, error: Error) -> Result<Error> {
        let mut change = self.inner.store.change().await?;
        // The number may be that of a task, or of none: the error names the run.
        let Some((job_id, state)) = change.unreadable_run(id).await? else { return Ok(error) };
        if state.has_ended() {
            return Ok(error);
        }
        change.end_unreadable_run(id, self.inner.clock.now()).await?;
        change.wake_next(job_id).await?;
        change.commit().await?;
        lock(&self.inner.underway).values().filter(|work| work.run == id).for_each(|work| work.cancel.cancel());
        self.wake();
        tracing::warn!(run = %id, "a run that can't be read was cancelled: it has ended as failed");
        let said =
            format!("run {id} can't be read: it has ended as failed, and what is kept of it stays as it is until it is deleted");
        Ok(Error::corrupt(said).with_source(error))
    }

    /// Runs a run again that has ended.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` while it has not ended, when it has run too often, or where all tasks of it succeeded and only those that failed are wanted.
    pub async fn rerun(&self, id: RunId, again: Again) -> Result<()> {
        let id = self.run(id).await?.id;
        let now = self.inner.clock.now();
        let mut change = self.inner.store.change().await?;
        let mut stored = change.run(id).await?.ok_or_else(|| no_run(id))?;
        if !stored.run.state.has_ended() {
            return Err(Error::conflict(format!("run {id} has not ended: cancel it first")));
        }
        if again == Again::Failed && stored.run.state == RunState::Succeeded {
            return Err(Error::conflict(format!("every task of run {id} succeeded: say that all are to run again")));
        }
        if stored.run.generation >= GENERATIONS_MAX {
            return Err(Error::conflict(format!("run {id} was run {GENERATIONS_MAX} times: start a new one")));
        }
        progress::again(&mut stored.run, again);
        change.note_again(id, now).await?;
        change.put_run_waking(&stored, Some(Timestamp(0))).await?;
        change.commit().await?;
        self.tell(vec![stored.run.event(now, None)]);
        self.wake();
        Ok(())
    }

    /// Deletes a run that has ended.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while it has not ended.
    pub async fn forget(&self, id: RunId) -> Result<()> {
        let read = self.run(id).await;
        let mut change = self.inner.store.change().await?;
        let (id, state) = match read {
            Err(error) if error.kind() == ErrorKind::Corrupt => match change.unreadable_run(id).await? {
                Some((_, state)) => (id, state),
                None => return Err(error),
            },
            read => {
                let id = read?.id;
                (id, change.run(id).await?.ok_or_else(|| no_run(id))?.run.state)
            }
        };
        if !state.has_ended() {
            return Err(Error::conflict(format!("run {id} has not ended: cancel it first")));
        }
        change.delete_run(id).await?;
        change.commit().await
    }

    /// Lines of an attempt's log behind `after`; waits for one if there is none yet and the attempt runs.
    ///
    /// # Errors
    /// `NotFound` for a task that there is not, or an attempt that it has not made.
    pub async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage> {
        let until = Instant::now() + wait;
        loop {
            let logged = self.inner.logged.notified();
            let run = self.run(task).await?;
            let found =
                run.tasks.iter().find(|found| found.id == task).or(if run.tasks.len() == 1 { run.tasks.first() } else { None });
            let found =
                found.ok_or_else(|| Error::not_found(format!("run {task} has several tasks: name one of them by its number")))?;
            let number = attempt.or(found.last().map(|last| last.number));
            let made = found.attempts.iter().find(|made| Some(made.number) == number);
            if let (Some(asked), None) = (attempt, made) {
                return Err(Error::not_found(format!("task '{}' has made no attempt {asked}", found.spec.name)));
            }
            // The end first, so that no line is written between it and the reading.
            let over = made.map_or(found.state.has_ended(), |made| made.ended_at.is_some());
            let lines = match number {
                Some(number) => self.inner.store.lines(found.id, number, after).await?,
                None => Vec::new(),
            };
            if !lines.is_empty() || over || Instant::now() >= until || self.inner.stop.is_cancelled() {
                return Ok(LogPage { attempt: number.unwrap_or(0), ended: over && lines.is_empty(), lines });
            }
            let soon = until.min(Instant::now() + LOOK_EVERY);
            // However that ends, it is looked at again.
            tokio::select! {
                () = self.inner.stop.cancelled() => {}
                _ = tokio::time::timeout_at(soon, logged) => {}
            }
        }
    }

    /// Writes a new run, unless its token has one already.
    async fn add(&self, mut change: Change, run: Run, token: Option<String>, same: Option<String>) -> Result<RunId> {
        if let Some(token) = token
            && let Some(known) = change.claim_token(&token, run.id, run.created_at).await?
        {
            return Ok(known);
        }
        change.add_run(&run, NewRow { once: None, same }).await?;
        change.commit().await?;
        self.tell(vec![run.event(run.created_at, None)]);
        self.wake();
        Ok(run.id)
    }
}

/// The runs of each job that wait, and those under way.
fn counted(open: &[(i64, String, i64)]) -> HashMap<i64, (u64, u64)> {
    let mut counted: HashMap<i64, (u64, u64)> = HashMap::new();
    for (job, state, count) in open {
        let (queued, running) = counted.entry(*job).or_default();
        *(if state == "queued" { queued } else { running }) = u64::try_from(*count).unwrap_or(0);
    }
    counted
}

fn shown(job: StoredJob, (queued, running): (u64, u64), newest: Option<&Run>) -> Job {
    Job {
        id: job.id,
        version: job.version,
        origin: job.origin,
        paused: job.paused,
        next_at: job.next_at.filter(|_| !job.paused),
        created_at: job.created_at,
        queued,
        running,
        last: newest.map(Run::summary),
        notes: job.notes,
        spec: job.spec,
    }
}

/// The run that a token stands for.
async fn known_run(change: &mut Change, token: Option<&str>) -> Result<Option<RunId>> {
    match token {
        Some(token) => change.run_of_token(token).await,
        None => Ok(None),
    }
}

async fn refuse_too_many(change: &mut Change, job_id: i64) -> Result<()> {
    if change.count_own_queued(job_id).await? >= QUEUED_MAX {
        return Err(Error::retry(format!("{QUEUED_MAX} runs wait already: try again when some have ended")));
    }
    Ok(())
}

fn known_parameters<'a>(job: &StoredJob, given: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut given = given;
    let Some(name) = given.find(|name| !job.spec.parameters.contains_key(*name)) else { return Ok(()) };
    let known: Vec<&str> = job.spec.parameters.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Error::invalid(format!("job '{}' has no parameter '{name}': there are {known}", job.spec.name)))
}
