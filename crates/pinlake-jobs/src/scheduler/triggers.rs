//! New data that starts runs: what there is is compared with what the last run was started for.

use std::time::Duration;

use pinlake_core::jobs::{Cause, Interval, JobKey, RunKind, Trigger};
use pinlake_core::{ErrorKind, Result, Timestamp};

use super::make::{self, Owner, Particulars};
use super::{Scheduler, lock};
use crate::store::{NewRow, StoredJob};

/// How long one look at data may take.
const LOOK_FOR: Duration = Duration::from_secs(2);

/// The triggers of all jobs, and what is known of each.
#[derive(Default)]
pub(super) struct Watched {
    triggers: Vec<WatchedTrigger>,
}

#[derive(Clone)]
struct WatchedTrigger {
    job_id: i64,
    trigger: Trigger,
    /// Up to where, and when, a run was started; `None` before that was looked up.
    seen: Option<(i64, Timestamp)>,
}

impl Watched {
    /// Takes the triggers of these jobs in place of those before.
    pub(super) fn replace(&mut self, jobs: &[StoredJob]) {
        let active = jobs.iter().filter(|job| !job.paused && !job.gone);
        let all = active.flat_map(|job| job.spec.triggers.iter().map(|trigger| (job.id, trigger.clone())));
        self.triggers = all.map(|(job_id, trigger)| WatchedTrigger { job_id, trigger, seen: None }).collect();
    }
}

impl WatchedTrigger {
    fn name(&self) -> String {
        name_of(self.job_id, &self.trigger)
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
    /// Starts the runs that new data asks for.
    pub(super) async fn look_at_data(&self, now: Timestamp) -> Result<()> {
        let watched = lock(&self.inner.watched).triggers.clone();
        for mut one in watched {
            let standing = match tokio::time::timeout(LOOK_FOR, self.inner.runner.standing(&one.trigger)).await {
                Ok(Ok(standing)) => standing,
                // Schedules do not wait for a store that does not answer.
                Err(_) => continue,
                Ok(Err(error)) if error.kind() == ErrorKind::NotFound => continue,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "can't see whether there is new data for a job");
                    continue;
                }
            };
            self.compare(&mut one, standing, now).await?;
            let mut held = lock(&self.inner.watched);
            if let Some(same) = held.triggers.iter_mut().find(|held| held.job_id == one.job_id && held.trigger == one.trigger) {
                same.seen = one.seen;
            }
        }
        Ok(())
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
            let Some(job) = change.job(&JobKey::Id(one.job_id)).await?.filter(|job| !job.gone && !job.paused) else {
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
        change.commit().await?;
        one.seen = Some((standing, now));
        self.tell(events);
        Ok(())
    }
}

/// Under which name it is kept up to where a trigger has started runs.
pub(super) fn name_of(job_id: i64, trigger: &Trigger) -> String {
    format!("{job_id}/{}", crate::store::to_json(trigger))
}
