//! New data that starts runs: what there is is compared with what the last run was started for.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use pinlake_core::jobs::{Cause, Interval, JobKey, RunKind, Trigger};
use pinlake_core::secret::mask_url;
use pinlake_core::{Error, ErrorKind, Result, Timestamp};

use super::make::{self, Owner, Particulars};
use super::serve::TICK;
use super::upkeep::Moment;
use super::{Scheduler, attempts, lock};
use crate::store::{NewRow, StoredJob};

/// How long one look at data may take: a listing of many objects.
const LOOK_FOR: Duration = Duration::from_secs(30);
/// Looks at once.
const LOOKS_MAX: usize = 16;
/// How long until data is looked at again that could not be seen, at first and at most.
const FAILED_WAIT: Duration = Duration::from_secs(10);
const FAILED_WAIT_MAX: Duration = Duration::from_secs(300);
/// How often it is looked up which triggers there are: other processes may have defined some or taken some away.
const READ_EVERY: Duration = Duration::from_secs(10);
/// What a defect in a look is called.
pub(super) const PART: &str = "looking at data";

/// The triggers of all jobs, and what is known of each.
#[derive(Default)]
pub(super) struct Watched {
    triggers: Vec<WatchedTrigger>,
    /// When they were last looked up.
    read: Option<Moment>,
}

#[derive(Clone)]
struct WatchedTrigger {
    job_id: i64,
    /// The job's name.
    job: String,
    trigger: Trigger,
    /// Up to where, and when, a run was started; `None` before that was looked up.
    seen: Option<(i64, Timestamp)>,
    /// When it was last looked at, and how often in a row that failed.
    looked: Option<Moment>,
    failures: u32,
}

impl Watched {
    /// Takes the triggers of these jobs in place of those before. What is known of one that stays is kept: a store that did not answer is not asked at once because a
    /// definition has changed.
    fn replace(&mut self, jobs: &[StoredJob]) {
        let before = std::mem::take(&mut self.triggers);
        let mut before: HashMap<String, WatchedTrigger> = before.into_iter().map(|one| (one.name(), one)).collect();
        let active = jobs.iter().filter(|job| !job.paused && !job.gone);
        let all = active.flat_map(|job| job.spec.triggers.iter().map(move |trigger| (job, trigger)));
        let kept_or_new = |(of, trigger): (&StoredJob, &Trigger)| {
            let (job_id, job, trigger) = (of.id, of.spec.name.clone(), trigger.clone());
            match before.remove(&name_of(job_id, &trigger)) {
                Some(known) => WatchedTrigger { job, ..known },
                None => WatchedTrigger { job_id, job, trigger, seen: None, looked: None, failures: 0 },
            }
        };
        self.triggers = all.map(kept_or_new).collect();
    }

    /// Whether it is time to look up which triggers there are; it is taken for done then.
    fn is_to_be_read(&mut self, now: Timestamp) -> bool {
        let is_old = self.read.is_none_or(|at| at.is_past(now, READ_EVERY));
        if is_old {
            self.read = Some(Moment::at(now));
        }
        is_old
    }

    /// Takes triggers that are to be looked at now, those first that were looked at longest ago.
    fn due(&mut self, now: Timestamp, busy: &HashSet<String>, limit: usize) -> Vec<WatchedTrigger> {
        let mut due: Vec<&mut WatchedTrigger> = self.triggers.iter_mut().filter(|one| one.is_due(now)).collect();
        due.sort_by_key(|one| one.looked.map(Moment::age).map(std::cmp::Reverse));
        due.retain(|one| busy.is_empty() || !busy.contains(&one.name()));
        due.truncate(limit);
        let take = |one: &mut WatchedTrigger| {
            one.looked = Some(Moment::at(now));
            one.clone()
        };
        due.into_iter().map(take).collect()
    }
}

impl WatchedTrigger {
    fn name(&self) -> String {
        name_of(self.job_id, &self.trigger)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let wait = match self.failures.checked_sub(1) {
            None => TICK,
            Some(doubled) => FAILED_WAIT.saturating_mul(1 << doubled.min(10)).min(FAILED_WAIT_MAX),
        };
        self.looked.is_none_or(|at| at.is_past(now, wait))
    }

    /// How much more there must be.
    fn threshold(&self) -> i64 {
        let count = match &self.trigger {
            Trigger::Rows { rows, .. } => *rows,
            Trigger::Records { records, .. } => *records,
            Trigger::Version { .. } | Trigger::Object { .. } => 1,
        };
        i64::try_from(count).unwrap_or(i64::MAX).max(1)
    }

    /// What is looked at, in words.
    fn looks_at(&self) -> String {
        match &self.trigger {
            Trigger::Rows { table, .. } => format!("rows of {table}"),
            Trigger::Version { table } => format!("versions of {table}"),
            Trigger::Records { topic, .. } => format!("records of {topic}"),
            Trigger::Object { url } => format!("objects below {}", mask_url(url)),
        }
    }

    /// What started a run, in words.
    fn cause(&self, more: i64) -> String {
        match &self.trigger {
            Trigger::Rows { table, .. } => format!("{more} new rows of {table}"),
            Trigger::Version { table } => format!("a new version of {table}"),
            Trigger::Records { topic, .. } => format!("{more} new records of {topic}"),
            Trigger::Object { url } => format!("new objects below {url}"),
        }
    }
}

impl Scheduler {
    /// Starts the runs that new data asks for, until it is stopped.
    pub(super) async fn watch_data(&self) {
        // Beside the looks, which a slow database does not keep from their ends.
        let follow = async {
            while !self.inner.stop.is_cancelled() {
                self.follow_triggers().await;
                self.pause_for(TICK).await;
            }
        };
        tokio::join!(self.look_on_data(), follow);
    }

    async fn look_on_data(&self) {
        let mut looks = FuturesUnordered::new();
        let mut busy = HashSet::new();
        while !self.inner.stop.is_cancelled() {
            let now = self.inner.clock.now();
            let due = lock(&self.inner.watched).due(now, &busy, LOOKS_MAX - busy.len());
            for one in due {
                let name = one.name();
                busy.insert(name.clone());
                looks.push(async move {
                    self.look_at(one).await;
                    name
                });
            }
            tokio::select! {
                Some(name) = looks.next() => {
                    busy.remove(&name);
                }
                () = self.pause_for(TICK) => {}
            }
            self.went_well(PART, "");
        }
    }

    /// Looks once at all data that is to be looked at now, one after the other.
    #[cfg(test)]
    pub(super) async fn look_at_data(&self) {
        self.follow_triggers().await;
        let due = lock(&self.inner.watched).due(self.inner.clock.now(), &HashSet::new(), usize::MAX);
        for one in due {
            self.look_at(one).await;
        }
    }

    /// Looks up which triggers there are, if it is time for that.
    async fn follow_triggers(&self) {
        let now = self.inner.clock.now();
        if !lock(&self.inner.watched).is_to_be_read(now) {
            return;
        }
        let read = tokio::time::timeout(LOOK_FOR, self.read_triggers());
        let read = match self.inner.stop.run_until_cancelled(read).await {
            None => return,
            Some(read) => read.unwrap_or_else(|_| Err(Error::retry("the jobs' database does not answer"))),
        };
        if let Err(error) = read {
            tracing::warn!(%error, "can't look up which triggers there are: those that were known are looked at");
        }
    }

    /// Looks up which triggers there are.
    pub(super) async fn read_triggers(&self) -> Result<()> {
        let inner = &self.inner;
        // Whoever reads later knows more: he is not overtaken.
        let _turn = inner.reading.lock().await;
        let jobs = inner.store.jobs().await?;
        let ids: HashSet<i64> = jobs.iter().map(|job| job.id).collect();
        lock(&inner.times).retain(|id, _| ids.contains(id));
        let mut watched = lock(&inner.watched);
        watched.replace(&jobs);
        let names: HashSet<String> = watched.triggers.iter().map(WatchedTrigger::name).collect();
        drop(watched);
        // Nobody would find out that it goes well again.
        self.forget_faults(PART, |about| names.contains(about));
        self.forget_faults(attempts::PART, |about| {
            let has_it = |job: &StoredJob| job.spec.tasks.iter().any(|task| attempts::about(job.id, &task.name) == about);
            jobs.iter().any(|job| !job.gone && has_it(job))
        });
        Ok(())
    }

    /// Looks whether there is new data, and starts a run if so.
    async fn look_at(&self, one: WatchedTrigger) {
        let mut one = one;
        let name = one.name();
        let look = AssertUnwindSafe(tokio::time::timeout(LOOK_FOR, self.look_within(&mut one))).catch_unwind();
        let looked = match self.inner.stop.run_until_cancelled(look).await {
            None => return,
            Some(Err(panic)) => {
                self.tell_defect(PART, &name, PART, panic.as_ref());
                Err(Error::internal("a defect"))
            }
            Some(Ok(looked)) => {
                let looked = looked.unwrap_or_else(|_| Err(Error::retry(format!("it takes more than {} s", LOOK_FOR.as_secs()))));
                match &looked {
                    Ok(()) => self.went_well(PART, &name),
                    Err(error) => {
                        let message = format!("job '{}' can't look for new {}: {error}", one.job, one.looks_at());
                        self.tell_unseen(PART, &name, message);
                    }
                }
                looked
            }
        };
        one.failures = if looked.is_ok() { 0 } else { one.failures.saturating_add(1) };
        if let Err(error) = looked {
            tracing::warn!(%error, job = one.job_id, "can't see whether there is new data for a job: it is looked at again later");
        }
        let mut held = lock(&self.inner.watched);
        if let Some(same) = held.triggers.iter_mut().find(|held| held.job_id == one.job_id && held.trigger == one.trigger) {
            (same.seen, same.failures) = (one.seen, one.failures);
        }
    }

    async fn look_within(&self, one: &mut WatchedTrigger) -> Result<()> {
        match self.inner.runner.standing(&one.trigger).await {
            // What it did while nobody looked is compared once it can be seen.
            Ok(standing) => self.compare(one, standing, self.inner.clock.now()).await,
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn compare(&self, one: &mut WatchedTrigger, standing: i64, now: Timestamp) -> Result<()> {
        let name = one.name();
        if one.seen.is_none() {
            one.seen = self.inner.store.seen(&name).await?;
        }
        let more = one.seen.map(|(seen, _)| standing.saturating_sub(seen));
        // Nothing new, but what was made anew begins anew.
        if more.is_some_and(|more| (0..one.threshold()).contains(&more)) {
            return Ok(());
        }
        let mut change = self.inner.store.change().await?;
        let mut events = Vec::new();
        let before = one.seen.map(|(seen, _)| seen);
        if let (Some((_, since)), Some(more @ 1..)) = (one.seen, more) {
            // Another process may have taken the trigger away, or all of the job.
            let has_it = |job: &StoredJob| !job.gone && !job.paused && job.spec.triggers.contains(&one.trigger);
            let Some(job) = change.job(&JobKey::Id(one.job_id)).await?.filter(has_it) else {
                return Ok(());
            };
            // A run that has not begun will find this data too.
            if change.count_data_queued(job.id).await? > 0 {
                return Ok(());
            }
            let of = Particulars {
                kind: RunKind::Data,
                cause: Cause { text: one.cause(more), ..Cause::default() },
                interval: Some(Interval { from: since, to: now }),
                ..Particulars::plain(now)
            };
            let run = make::run(&mut change, Owner::next(&job), of).await?;
            change.advance_job(job.id, job.next_at, run.sequence).await?;
            change.add_run(&run, NewRow::default()).await?;
            events.push(run.event(now, None));
        }
        if !change.see(&name, before, standing, now).await? {
            // Another process was quicker.
            one.seen = None;
            return Ok(());
        }
        // The answer may be lost: what is seen is looked up then.
        one.seen = None;
        change.commit().await?;
        one.seen = Some((standing, now));
        if !events.is_empty() {
            self.tell(events);
            self.wake();
        }
        Ok(())
    }
}

/// Under which name it is kept up to where a trigger has started runs.
pub(super) fn name_of(job_id: i64, trigger: &Trigger) -> String {
    format!("{job_id}/{}", crate::store::to_json(trigger))
}
