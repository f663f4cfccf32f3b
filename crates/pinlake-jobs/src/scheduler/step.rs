//! One step: what is due is made, begun and handed to whoever carries it out. Everything that one step changes is committed at once, and only then acted on.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::jobs::{Cause, EndReason, Event, Missed, NewRun, Run, RunKind, RunState, TaskState, Work};
use pinlake_core::jobs::{Interval, JobKey};
use pinlake_core::{ErrorKind, Result, Timestamp};

use super::make::{self, Owner, Particulars};
use super::{Full, Places, Scheduler, jitter, shared};
use crate::progress::{self, Outcome};
use crate::schedule::Times;
use crate::store::{Change, Group, NewRow, Stored, StoredJob};

/// Jobs that one step lets fire.
const JOBS_A_STEP: i64 = 20;
/// Runs that one step looks at.
const RUNS_A_STEP: i64 = 50;
/// Runs that one job's missed times make in one step.
const MISSED_A_STEP: usize = 20;
/// Runs of one job that may wait: its schedule stands still beyond that.
pub(super) const QUEUED_MAX: i64 = 1_000;
/// A time that passed this long ago is one that was missed.
const ON_TIME: Duration = Duration::from_secs(60);
/// How long until a full pool, or a job with too many runs waiting, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Passed over times are counted up to here: a schedule of seconds may have passed over more than anybody waits for.
const MISSED_COUNT_MAX: usize = 1_000;

/// An attempt that a step has claimed, to be carried out once the step is committed.
pub(super) struct Claimed {
    pub(super) run: Arc<Run>,
    pub(super) place: usize,
    pub(super) attempt: u32,
    pub(super) places: Places,
}

/// What a step does once it is committed.
#[derive(Default)]
pub(super) struct After {
    pub(super) claimed: Vec<Claimed>,
    pub(super) events: Vec<Event>,
}

impl Scheduler {
    /// One step; `false` if there was nothing that it could do.
    pub(super) async fn step(&self, now: Timestamp) -> Result<bool> {
        if self.inner.stop.is_cancelled() {
            return Ok(false);
        }
        let mut change = self.inner.store.change().await?;
        let mut after = After::default();
        let mut moved = false;
        for job in change.due_jobs(now, JOBS_A_STEP).await? {
            moved = true;
            self.fire(&mut change, &job, now, &mut after).await?;
        }
        for stored in change.late(now, RUNS_A_STEP).await? {
            moved = true;
            self.too_late(&mut change, stored, now, &mut after).await?;
        }
        if self.inner.places.available_permits() > 0 {
            for stored in change.awake(now, RUNS_A_STEP).await? {
                match self.go_on(&mut change, stored, now, &mut after).await? {
                    Some(Full::All) => break,
                    Some(Full::Pool) | None => moved = true,
                }
            }
        }
        change.commit().await?;
        self.tell(after.events);
        for claimed in after.claimed {
            self.carry_out(claimed);
        }
        Ok(moved)
    }

    /// Makes the runs of a job's schedule that are due.
    async fn fire(&self, change: &mut Change, job: &StoredJob, now: Timestamp, after: &mut After) -> Result<()> {
        let times = match self.times_of(job) {
            Ok(Some(times)) => times,
            // Whoever defined it was told.
            Ok(None) | Err(_) => return change.advance_job(job.id, None, job.sequence).await,
        };
        if change.count_own_queued(job.id).await? >= QUEUED_MAX {
            tracing::warn!(job = job.spec.name, "{QUEUED_MAX} of its runs wait: its schedule stands still");
            let later = progress::after(now, LOOK_AGAIN.saturating_mul(60));
            return change.postpone_job(job.id, later).await;
        }
        let first = job.next_at.unwrap_or(now);
        let due = due(&times, job.spec.missed, first, now);
        let mut sequence = job.sequence;
        for (fire, missed) in due.runs {
            let cause = Cause { text: "schedule".to_owned(), missed, ..Cause::default() };
            let interval = Some(times.interval_ending_at(fire));
            let of = Particulars { kind: RunKind::Schedule, cause, interval, at: fire, ..Particulars::plain(now) };
            let owner = Owner { sequence: sequence + 1, ..Owner::next(job) };
            let run = make::run(change, owner, of).await?;
            let once = Some(format!("schedule/{}/{}", job.id, fire.0));
            if change.add_run(&run, NewRow { once, same: None }).await? {
                sequence += 1;
                after.events.push(run.event(now, None));
            }
        }
        change.advance_job(job.id, due.next, sequence).await
    }

    /// Lets a run begin, and its tasks.
    async fn go_on(&self, change: &mut Change, mut stored: Stored, now: Timestamp, after: &mut After) -> Result<Option<Full>> {
        if stored.run.state == RunState::Queued {
            if !self.may_begin(change, &stored.run).await? {
                change.put_run_waking(&stored, None).await?;
                return Ok(None);
            }
            progress::begin(&mut stored.run, now);
            stored.run.lane = Some(change.take_lane(stored.run.job_id, now).await?);
            after.events.push(stored.run.event(now, None));
        }
        let mut full = None;
        for place in progress::ready(&stored.run, now) {
            let spec = &stored.run.tasks[place].spec;
            if progress::needs_no_place(&spec.work) {
                self.do_at_once(change, &mut stored.run, place, now, after).await?;
                continue;
            }
            match self.place_for(spec.pool.as_deref()) {
                Ok(places) => {
                    let attempt = progress::claim(&mut stored.run, place, &self.inner.owner, now);
                    after.events.push(stored.run.event(now, Some(&stored.run.tasks[place].spec.name)));
                    self.note_lineage(change, &stored.run, place, now).await?;
                    after.claimed.push(Claimed { run: shared(&stored.run), place, attempt, places });
                }
                Err(Full::All) => {
                    full = Some(Full::All);
                    break;
                }
                Err(Full::Pool) => full = Some(Full::Pool),
            }
        }
        let wake_at = match full {
            Some(Full::Pool) => Some(progress::after(now, LOOK_AGAIN)),
            _ => progress::wake_at(&stored.run),
        };
        change.put_run_waking(&stored, wake_at).await?;
        self.follow_up(change, stored.run, now, after).await?;
        Ok(full)
    }

    /// Whether a queued run may begin now.
    async fn may_begin(&self, change: &mut Change, run: &Run) -> Result<bool> {
        if run.job_id == 0 {
            return Ok(true);
        }
        let job = match change.job(&JobKey::Id(run.job_id)).await {
            Ok(Some(job)) => job,
            Ok(None) => return Ok(true),
            // It waits until there is another definition.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(false),
            Err(error) => return Err(error),
        };
        // What somebody has run again, he started.
        let by_itself = matches!(run.kind, RunKind::Schedule | RunKind::Data | RunKind::Backfill);
        if job.paused && by_itself && run.generation == 1 {
            return Ok(false);
        }
        if change.count(Group::Job, "running", run.job_id).await? >= i64::from(job.spec.concurrency) {
            return Ok(false);
        }
        match run.cause.backfill {
            Some(backfill) => {
                Ok(change.count(Group::Backfill, "running", backfill).await? < change.backfill_parallel(backfill).await?)
            }
            None => Ok(true),
        }
    }

    /// Does a task that takes no time of its own: has another job run, or refuses.
    async fn do_at_once(
        &self,
        change: &mut Change,
        run: &mut Run,
        place: usize,
        now: Timestamp,
        after: &mut After,
    ) -> Result<()> {
        let attempt = progress::claim(run, place, "", now);
        self.note_lineage(change, run, place, now).await?;
        let task = &run.tasks[place];
        let fail = |message: String| Outcome::Ended { reason: EndReason::Failed, message, again: false };
        let outcome = match &task.spec.work {
            Work::Job { name, parameters } => {
                // What a run was given beyond its job's own goes on to the jobs that its tasks run.
                let given = run.parameters.iter().filter(|(name, _)| !run.spec.parameters.contains_key(*name));
                let mut parameters = parameters.clone();
                parameters.extend(given.map(|(name, value)| (name.clone(), value.clone())));
                let asked = NewRun {
                    job: JobKey::Name(name.clone()),
                    parameters,
                    any_parameters: true,
                    interval: run.interval,
                    cause: format!("task '{}' of run {}", task.spec.name, run.id),
                    token: None,
                    notes: std::collections::BTreeMap::new(),
                };
                match self.child(change, &asked, (run, place), now).await {
                    Ok(Ok(child)) => {
                        after.events.push(child.event(now, None));
                        run.tasks[place].child = Some(child.id);
                        after.events.push(run.event(now, Some(&run.tasks[place].spec.name)));
                        return Ok(());
                    }
                    Ok(Err(why)) => fail(why),
                    Err(error) if error.kind() == ErrorKind::Corrupt => fail(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            Work::Refused { reason } => fail(reason.clone()),
            other => fail(format!("'{}' needs a place", other.kind())),
        };
        progress::end(run, place, attempt, outcome, now, 0.0);
        self.note_lineage(change, run, place, now).await?;
        after.events.push(run.event(now, Some(&run.tasks[place].spec.name)));
        Ok(())
    }

    /// The run of a job that a task waits for.
    async fn child(
        &self,
        change: &mut Change,
        asked: &NewRun,
        (run, place): (&Run, usize),
        now: Timestamp,
    ) -> Result<std::result::Result<Run, String>> {
        let Some(job) = change.job(&asked.job).await?.filter(|job| !job.gone) else {
            return Ok(Err(super::no_job(&asked.job).to_string()));
        };
        if let Some(why) = super::chains::refuses(change, run, &job).await? {
            return Ok(Err(why));
        }
        let task = &run.tasks[place];
        let parent = Some((run.id, task.spec.name.clone()));
        let of = Particulars {
            kind: RunKind::Job,
            cause: Cause { text: asked.cause.clone(), parent, ..Cause::default() },
            interval: asked.interval,
            parameters: asked.parameters.clone(),
            notes: crate::lineage::handed_on(&run.notes),
            ..Particulars::plain(now)
        };
        let child = make::run(change, Owner::next(&job), of).await?;
        change.advance_job(job.id, job.next_at, child.sequence).await?;
        change.add_run(&child, NewRow::default()).await?;
        Ok(Ok(child))
    }

    /// Ends what has taken too long: the run, or its wait for another.
    async fn too_late(&self, change: &mut Change, mut stored: Stored, now: Timestamp, after: &mut After) -> Result<()> {
        let mut children = Vec::new();
        if progress::is_late(&stored.run, now) {
            let timeout = stored.run.spec.timeout.map(|timeout| timeout.to_string()).unwrap_or_default();
            progress::cancel(&mut stored.run, EndReason::TimedOut, &format!("the run took more than {timeout}"), now);
            children = self.waits_for(&stored.run);
        } else {
            for place in 0..stored.run.tasks.len() {
                let task = &stored.run.tasks[place];
                let (Some(child), Some(timeout), Some(last)) = (task.child, task.spec.timeout, task.last()) else { continue };
                if task.state != TaskState::Running || progress::after(last.started_at, timeout.0) > now {
                    continue;
                }
                children.push(child);
                let message = format!("run {child} took more than {timeout}");
                let outcome = Outcome::Ended { reason: EndReason::TimedOut, message, again: true };
                let (attempt, chance) = (last.number, jitter(self.inner.settings.seed, task.id, last.number));
                progress::end(&mut stored.run, place, attempt, outcome, now, chance);
                self.note_lineage(change, &stored.run, place, now).await?;
            }
        }
        after.events.push(stored.run.event(now, None));
        change.put_run(&stored).await?;
        let run = stored.run;
        for child in children {
            self.cancel_within(
                change,
                child,
                EndReason::Cancelled,
                &format!("run {} no longer waits for it", run.id),
                now,
                after,
            )
            .await?;
        }
        self.follow_up(change, run, now, after).await
    }

    /// The runs that a run's tasks wait for.
    pub(super) fn waits_for(&self, run: &Run) -> Vec<pinlake_core::jobs::RunId> {
        run.tasks.iter().filter(|task| task.state == TaskState::Running).filter_map(|task| task.child).collect()
    }

    /// Cancels a run and those that it waits for. Its parents are told by whoever ends it.
    pub(super) async fn cancel_within(
        &self,
        change: &mut Change,
        id: pinlake_core::jobs::RunId,
        reason: EndReason,
        message: &str,
        now: Timestamp,
        after: &mut After,
    ) -> Result<()> {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            let Some(mut stored) = change.run_if_readable(id).await? else { continue };
            if !progress::cancel(&mut stored.run, reason, message, now) {
                continue;
            }
            waiting.extend(self.waits_for(&stored.run));
            change.put_run(&stored).await?;
            after.events.push(stored.run.event(now, None));
            Box::pin(self.follow_up(change, stored.run, now, after)).await?;
        }
        Ok(())
    }

    /// What follows from a run's end: whoever waits for it goes on, and so do the runs that waited for its place.
    pub(super) async fn follow_up(&self, change: &mut Change, run: Run, now: Timestamp, after: &mut After) -> Result<()> {
        let mut ended = Some(run).filter(|run| run.state.has_ended());
        while let Some(run) = ended.take() {
            metrics::counter!("pinlake_jobs_runs_ended_total", "state" => if run.state == RunState::Succeeded { "succeeded" } else { "failed" })
                .increment(1);
            change.wake_next(run.job_id).await?;
            self.judge(change, &run, now).await?;
            let Some((parent, task)) = run.cause.parent.clone() else { continue };
            let Some(mut stored) = change.run_if_readable(parent).await? else { continue };
            let Some(place) = progress::place_of(&stored.run, &task) else { continue };
            let waits = &stored.run.tasks[place];
            let (Some(attempt), true) = (waits.last().map(|last| last.number), waits.child == Some(run.id)) else { continue };
            let chance = jitter(self.inner.settings.seed, waits.id, attempt);
            if progress::end(&mut stored.run, place, attempt, outcome_of(&run), now, chance) {
                self.note_lineage(change, &stored.run, place, now).await?;
                change.put_run(&stored).await?;
                after.events.push(stored.run.event(now, Some(&task)));
                ended = Some(stored.run).filter(|run| run.state.has_ended());
            }
        }
        Ok(())
    }
}

impl Particulars {
    /// Of a run that is made now, with nothing special.
    pub(super) fn plain(now: Timestamp) -> Self {
        Particulars {
            kind: RunKind::Manual,
            cause: Cause::default(),
            interval: None,
            parameters: std::collections::BTreeMap::new(),
            notes: std::collections::BTreeMap::new(),
            at: now,
        }
    }
}

/// What a run's end is to the task that waited for it.
fn outcome_of(run: &Run) -> Outcome {
    let last_output = || run.tasks.iter().rev().find_map(|task| task.last()?.output.clone());
    match run.reason {
        None => Outcome::Done { message: format!("run {} succeeded", run.id), output: last_output() },
        Some(reason) => {
            let reason = if reason == EndReason::Upstream { EndReason::Failed } else { reason };
            let message = format!("run {} of job '{}' ended {reason}: {}", run.id, run.name, run.message);
            Outcome::Ended { reason, message, again: reason != EndReason::Cancelled }
        }
    }
}

/// The runs that a schedule's due times make, each with how many times were passed over before it, and when it is due next.
struct Due {
    runs: Vec<(Timestamp, u64)>,
    next: Option<Timestamp>,
}

fn due(times: &Times, missed: Missed, first: Timestamp, now: Timestamp) -> Due {
    let past = Timestamp(now.0.saturating_add(1));
    if missed == Missed::All {
        let runs: Vec<_> = times.between(first, past).take(MISSED_A_STEP).map(|fire| (fire, 0)).collect();
        let last = runs.last().map_or(now, |(fire, _)| *fire);
        return Due { runs, next: times.next_after(last) };
    }
    let last = times.last_at_or_before(now).filter(|last| *last >= first);
    let taken = last.filter(|last| missed == Missed::Latest || last.until(now) <= ON_TIME);
    let passed = |last: Timestamp| times.between(first, last).take(MISSED_COUNT_MAX).count() as u64;
    Due { runs: taken.map(|last| (last, passed(last))).into_iter().collect(), next: times.next_after(now) }
}

/// The newest interval of a schedule that is over.
pub(super) fn last_interval(times: &Times, now: Timestamp) -> Option<Interval> {
    times.last_at_or_before(now).map(|fire| times.interval_ending_at(fire))
}
