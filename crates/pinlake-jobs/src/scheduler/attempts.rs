//! Attempts: carried out by this process, written down when they end. An attempt whose process is lost is begun again.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use pinlake_core::jobs::{EndReason, LogLine, Run, RunId};
use pinlake_core::{Error, Result, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faults::said;
use super::step::{After, Claimed};
use super::{Scheduler, Underway, jitter, lock};
use crate::lineage::Lineage;
use crate::outbox::WAITING_MAX;
use crate::progress::{self, Outcome};
use crate::store::Change;
use crate::task::{AttemptLog, Done, TaskCall};

/// How often an attempt's log is written.
const LOG_EVERY: Duration = Duration::from_millis(250);
/// How long until a change that the database did not take is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// How long that change may take.
const WRITE_MAX: Duration = Duration::from_secs(60);

/// What a defect in an attempt at a job's task is known by.
pub(super) const PART: &str = "carrying out tasks";
/// And in one at a task that was handed in to be run once.
const PART_OF_ONCE: &str = "carrying out tasks of no job";

/// Why an attempt was cut short.
enum Cut {
    Cancelled,
    TimedOut(Duration),
    Stopped,
    /// Others took this process for dead.
    Lost,
}

impl Scheduler {
    /// Carries out a claimed attempt, in a task of its own.
    pub(super) fn carry_out(&self, claimed: Claimed) {
        let cancel = CancellationToken::new();
        let task = claimed.run.tasks[claimed.place].id;
        let lost = CancellationToken::new();
        let underway = Underway { run: claimed.run.id, cancel: cancel.clone(), lost: lost.clone() };
        let key = (task, claimed.attempt);
        lock(&self.inner.underway).insert(key, underway);
        let scheduler = self.clone();
        self.inner.tasks.spawn(async move {
            scheduler.attempt_or_fail(&claimed, cancel, lost).await;
            lock(&scheduler.inner.underway).remove(&key);
            // The places are free before the loop looks.
            drop(claimed.places);
            scheduler.wake();
        });
    }

    /// An attempt that comes upon a defect of the scheduler's own has failed. Where that can't be written either, it is begun again.
    async fn attempt_or_fail(&self, claimed: &Claimed, cancel: CancellationToken, lost: CancellationToken) {
        let (run, task) = (&claimed.run, &claimed.run.tasks[claimed.place].spec.name);
        let is_of_job = run.job_id != 0;
        let (part, about, of) = match is_of_job {
            true => (PART, about(run.job_id, task), format!("job '{}'", run.name)),
            false => (PART_OF_ONCE, about(run.id.0, task), format!("run {}", run.id)),
        };
        let place = format!("carrying out task '{task}' of {of}");
        let tell = |panic: &(dyn Any + Send)| match is_of_job {
            true => self.tell_defect(part, &about, &place, panic),
            false => self.tell_passing_defect(part, &about, &place, panic),
        };
        let log = AttemptLog::new(self.inner.clock.clone());
        let begun = Instant::now();
        let attempt = AssertUnwindSafe(self.attempt(claimed, &log, begun, cancel, lost)).catch_unwind();
        let Err(panic) = attempt.await else { return self.went_well(part, &about) };
        tell(panic.as_ref());
        let why = format!("the scheduler came upon a defect: {}", said(panic.as_ref()));
        let end = self.ended(claimed, &log, ended(EndReason::Failed, why, true), begun);
        if let Err(panic) = AssertUnwindSafe(end).catch_unwind().await {
            tell(panic.as_ref());
        }
    }

    async fn attempt(
        &self,
        claimed: &Claimed,
        log: &AttemptLog,
        begun: Instant,
        cancel: CancellationToken,
        lost: CancellationToken,
    ) {
        let inner = &self.inner;
        let (run, task) = (&claimed.run, &claimed.run.tasks[claimed.place]);
        let call = TaskCall {
            run: run.clone(),
            place: claimed.place,
            attempt: claimed.attempt,
            installation: inner.installation.clone(),
            log: log.clone(),
            cancel: cancel.child_token(),
        };
        let token = call.cancel.clone();
        let work = AssertUnwindSafe(inner.runner.run(call)).catch_unwind();
        let mut work = std::pin::pin!(work);
        let deadline = task.spec.timeout.and_then(|timeout| begun.checked_add(timeout.0));
        // Beside the work: a slow database keeps neither it nor its end from going on.
        let writing = self.write_logs(task.id, claimed.attempt, log);
        let cut = tokio::select! {
            ended = &mut work => {
                let done = ended.unwrap_or_else(|_| Err(Error::internal("the task stopped by a defect")));
                // It may fail because it was told to end, before that is seen here.
                let outcome = match (done, cancel.is_cancelled(), inner.stop.is_cancelled()) {
                    (Err(_), true, _) => cancelled(),
                    (Err(_), false, true) => stopped(),
                    (done, ..) => outcome_of(done),
                };
                return self.ended(claimed, log, outcome, begun).await;
            }
            () = cancel.cancelled() => Cut::Cancelled,
            () = sleep_until(deadline) => Cut::TimedOut(task.spec.timeout.map(|timeout| timeout.0).unwrap_or_default()),
            () = inner.stop.cancelled() => Cut::Stopped,
            () = lost.cancelled() => Cut::Lost,
            never = writing => match never {},
        };
        token.cancel();
        let by_itself = tokio::time::timeout(inner.settings.grace, &mut work).await;
        let outcome = match (cut, by_itself) {
            // It was done when it was told to end.
            (Cut::Cancelled | Cut::Stopped, Ok(Ok(Ok(done)))) => outcome_of(Ok(done)),
            (Cut::Cancelled, _) => cancelled(),
            (Cut::TimedOut(after), _) => ended(
                EndReason::TimedOut,
                format!("the attempt took more than {}", pinlake_core::pipeline::units::Span(after)),
                true,
            ),
            (Cut::Stopped, _) => stopped(),
            (Cut::Lost, _) => process_gone(),
        };
        self.ended(claimed, log, outcome, begun).await;
    }

    /// Writes an attempt's end, as long as it takes.
    async fn ended(&self, claimed: &Claimed, log: &AttemptLog, outcome: Outcome, begun: Instant) {
        let task = &claimed.run.tasks[claimed.place];
        if let Outcome::Ended { reason, message, .. } = &outcome {
            log.error(format!("{reason}: {message}"));
        }
        let kind = task.spec.work.kind();
        metrics::histogram!("pinlake_jobs_task_seconds", "work" => kind).record(begun.elapsed().as_secs_f64());
        let lines = log.waiting();
        loop {
            let write = tokio::time::timeout(WRITE_MAX, self.write_end(claimed, &lines, outcome.clone()));
            match write.await.unwrap_or_else(|_| Err(Error::retry("the jobs' database does not answer"))) {
                Ok(()) => break,
                Err(error) if self.inner.stop.is_cancelled() => {
                    tracing::warn!(%error, run = %claimed.run.id, task = task.spec.name, "the end of an attempt could not be written: it is begun again");
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, run = %claimed.run.id, task = task.spec.name, "the end of an attempt could not be written yet");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
        self.inner.logged.notify_waiters();
    }

    async fn write_end(&self, claimed: &Claimed, lines: &[LogLine], outcome: Outcome) -> Result<()> {
        let inner = &self.inner;
        let mut change = inner.store.change().await?;
        let task = &claimed.run.tasks[claimed.place];
        change.add_lines(task.id, claimed.attempt, lines).await?;
        let mut after = After::default();
        // It may have been deleted, or taken from this process.
        if let Some(mut stored) = change.run_if_readable(claimed.run.id).await? {
            let now = inner.clock.now();
            let chance = jitter(inner.settings.seed, task.id, claimed.attempt);
            if progress::end(&mut stored.run, claimed.place, claimed.attempt, outcome, now, chance) {
                self.note_lineage(&mut change, &stored.run, claimed.place, now).await?;
                change.put_run(&stored).await?;
                after.events.push(stored.run.event(now, Some(&task.spec.name)));
                self.follow_up(&mut change, stored.run, now, &mut after).await?;
            } else {
                // It may be written already, by a commit whose answer was lost: whoever watches was not told.
                after.events.push(stored.run.event(now, Some(&task.spec.name)));
            }
        }
        change.commit().await?;
        self.tell(after.events);
        Ok(())
    }

    /// Has an attempt's begin or end told to whoever follows lineage, with the change that it is part of.
    pub(super) async fn note_lineage(&self, change: &mut Change, run: &Run, place: usize, now: Timestamp) -> Result<()> {
        let Some(event) =
            self.inner.settings.lineage.as_ref().and_then(|lineage| lineage.event(&self.inner.installation, run, place, now))
        else {
            return Ok(());
        };
        if !change.post(Lineage::name(), &event.to_string(), now, WAITING_MAX).await? {
            tracing::error!("{WAITING_MAX} events of lineage wait: this one is lost");
        }
        Ok(())
    }

    /// Writes an attempt's log from time to time, until it is dropped. What it had not written then is written with the end.
    async fn write_logs(&self, task: RunId, attempt: u32, log: &AttemptLog) -> Infallible {
        let mut writing = tokio::time::interval(LOG_EVERY);
        writing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            writing.tick().await;
            let lines = log.waiting();
            let Some(last) = lines.last() else { continue };
            let write = async {
                let mut change = self.inner.store.change().await?;
                change.add_lines(task, attempt, &lines).await?;
                change.commit().await
            };
            match write.await {
                Ok(()) => {
                    log.written(last.number);
                    self.inner.logged.notify_waiters();
                }
                Err(error) => tracing::debug!(%error, "a log could not be written yet"),
            }
        }
    }

    /// Tells the attempts of this process whose runs were asked to end.
    pub(super) async fn end_cancelled(&self) -> Result<()> {
        if lock(&self.inner.underway).is_empty() {
            return Ok(());
        }
        let ending = self.inner.store.ending_runs().await?;
        let underway = lock(&self.inner.underway);
        underway.values().filter(|work| ending.contains(&work.run)).for_each(|work| work.cancel.cancel());
        Ok(())
    }
}

/// What a defect in an attempt at a task is about: of a job, or of a run of none.
pub(super) fn about(id: i64, task: &str) -> String {
    format!("{id}/{task}")
}

/// What the end of an attempt is whose process is gone.
pub(super) fn process_gone() -> Outcome {
    ended(EndReason::LostProcess, "the process that ran it is gone".to_owned(), true)
}

fn outcome_of(done: Result<Done>) -> Outcome {
    match done {
        Ok(Done { message, output }) => Outcome::Done { message, output },
        Err(error) => ended(EndReason::Failed, error.to_string(), true),
    }
}

fn cancelled() -> Outcome {
    ended(EndReason::Cancelled, "cancelled".to_owned(), false)
}

fn stopped() -> Outcome {
    ended(EndReason::LostProcess, "the server stopped".to_owned(), true)
}

fn ended(reason: EndReason, message: String, again: bool) -> Outcome {
    Outcome::Ended { reason, message, again }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
