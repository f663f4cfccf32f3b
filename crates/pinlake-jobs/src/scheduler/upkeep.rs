//! What keeps the scheduler well beside its steps: the lease of this process, attempts that nobody carries out any more, and old runs. Must not decide what is due.

use std::time::Duration;

use pinlake_core::jobs::{Event, Run, RunId, TaskState};
use pinlake_core::{Result, Timestamp};
use tokio::time::Instant;

use super::step::After;
use super::{Scheduler, jitter, lock};
use crate::progress;
use crate::store::{Change, Kind};

/// How often a process says that it is alive.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long it is taken for alive after that.
const LEASE: Duration = Duration::from_secs(20);
/// How often old runs are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// Old runs that are deleted in one change, and in one tick.
const TIDY_RUNS_MAX: i64 = 100;

/// A moment by the clock of the day and by one that nobody sets: either may stand still, one while it is set back and the other while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    day: Timestamp,
    steady: Instant,
}

impl Moment {
    pub(super) fn at(day: Timestamp) -> Self {
        Self { day, steady: Instant::now() }
    }

    /// How long ago it is by the clock that nobody sets.
    pub(super) fn age(self) -> Duration {
        self.steady.elapsed()
    }

    /// Whether it is so long ago, by either. A clock that was set back says so too: better once too often.
    pub(super) fn is_past(self, now: Timestamp, span: Duration) -> bool {
        self.steady.elapsed() >= span || u128::from(self.day.0.abs_diff(now.0)) >= span.as_millis()
    }
}

/// When what is done from time to time was done.
#[derive(Default)]
pub(super) struct Upkeep {
    renewed: Option<Moment>,
    tidied: Option<Moment>,
}

impl Scheduler {
    /// What no living process does any more is begun again.
    pub(super) async fn take_over(&self) -> Result<()> {
        let now = self.inner.clock.now();
        let mut change = self.inner.store.change().await?;
        let lease = change.time(&self.inner.clock).await?;
        // SQLite's file is in a data folder that is locked: whoever had it open before is gone.
        let alone = self.inner.store.kind() == Kind::Sqlite;
        change.forget_lost(if alone { Timestamp(i64::MAX) } else { lease }).await?;
        change.renew(&self.inner.owner, progress::after(lease, LEASE)).await?;
        let events = self.requeue_lost(&mut change, now).await?;
        change.commit().await?;
        self.tell(events);
        Ok(())
    }

    /// Says that this process is alive, if it is time for that.
    pub(super) async fn keep_alive(&self, upkeep: &mut Upkeep, now: Timestamp) -> Result<()> {
        if upkeep.renewed.is_none_or(|at| at.is_past(now, RENEW_EVERY)) {
            let moment = Moment::at(now);
            self.renew(now).await?;
            upkeep.renewed = Some(moment);
        }
        Ok(())
    }

    /// Says that this process is alive, and begins again what others did that are not, and what this one does not know of.
    async fn renew(&self, now: Timestamp) -> Result<()> {
        let inner = &self.inner;
        let mut change = inner.store.change().await?;
        let lease = change.time(&inner.clock).await?;
        let was_known = change.renew(&inner.owner, progress::after(lease, LEASE)).await?;
        let lost = change.forget_lost(lease).await?;
        let events =
            if lost > 0 || self.any_lost(&mut change).await? { self.requeue_lost(&mut change, now).await? } else { Vec::new() };
        change.commit().await?;
        self.tell(events);
        if !was_known {
            self.let_others_go_on();
        }
        Ok(())
    }

    /// Ends what this process carries out: it was taken for dead, and another has begun the same.
    fn let_others_go_on(&self) {
        let underway = lock(&self.inner.underway);
        tracing::error!(
            attempts = underway.len(),
            "this process did not renew its lease in {} s and was taken for dead: its attempts end, and are begun again",
            LEASE.as_secs()
        );
        underway.values().for_each(|work| work.lost.cancel());
    }

    /// Whether an attempt is held by nobody who carries it out. What is read first can't be begun meanwhile: one step at a time.
    async fn any_lost(&self, change: &mut Change) -> Result<bool> {
        let held = change.held().await?;
        let alive = change.processes().await?;
        Ok(held.iter().any(|one| self.is_lost(&alive, &one.owner, one.task, one.attempt)))
    }

    /// Whether nobody carries out an attempt that is written down as running.
    fn is_lost(&self, alive: &[String], owner: &str, task: RunId, attempt: u32) -> bool {
        // A commit whose answer was lost leaves attempts that this process never began.
        let is_own = owner == self.inner.owner;
        let is_unknown = is_own && !lock(&self.inner.underway).contains_key(&(task, attempt));
        is_unknown || !alive.iter().any(|known| known == owner)
    }

    /// Ends the attempts that nobody carries out.
    async fn requeue_lost(&self, change: &mut Change, now: Timestamp) -> Result<Vec<Event>> {
        let mut after = After::default();
        let alive = change.processes().await?;
        for mut stored in change.running().await? {
            let lost = self.lost_attempts(&stored.run, &alive);
            for (place, attempt) in &lost {
                let chance = jitter(self.inner.settings.seed, stored.run.tasks[*place].id, *attempt);
                progress::end(&mut stored.run, *place, *attempt, super::attempts::process_gone(), now, chance);
                self.note_lineage(change, &stored.run, *place, now).await?;
                after.events.push(stored.run.event(now, Some(&stored.run.tasks[*place].spec.name)));
            }
            if !lost.is_empty() {
                change.put_run(&stored).await?;
                self.follow_up(change, stored.run, now, &mut after).await?;
            }
        }
        Ok(after.events)
    }

    fn lost_attempts(&self, run: &Run, alive: &[String]) -> Vec<(usize, u32)> {
        let running = run.tasks.iter().enumerate().filter(|(_, task)| task.state == TaskState::Running && task.child.is_none());
        let lost = running.filter_map(|(place, task)| {
            let last = task.last()?;
            self.is_lost(alive, &last.owner, task.id, last.number).then_some((place, last.number))
        });
        lost.collect()
    }

    /// Deletes runs that ended longer ago than they are kept, some at a time.
    pub(super) async fn tidy(&self, upkeep: &mut Upkeep, now: Timestamp) -> Result<()> {
        if upkeep.tidied.is_some_and(|at| !at.is_past(now, TIDY_EVERY)) {
            return Ok(());
        }
        let before = Timestamp(now.0.saturating_sub(i64::try_from(self.inner.settings.keep.as_millis()).unwrap_or(i64::MAX)));
        let mut change = self.inner.store.change().await?;
        let old = change.old_runs(before, TIDY_RUNS_MAX).await?;
        for run in &old {
            change.delete_run(*run).await?;
        }
        change.commit().await?;
        // The next tick goes on with what is left.
        if i64::try_from(old.len()).unwrap_or(i64::MAX) < TIDY_RUNS_MAX {
            self.forget_old(before, now).await?;
            upkeep.tidied = Some(Moment::at(now));
        }
        Ok(())
    }
}
