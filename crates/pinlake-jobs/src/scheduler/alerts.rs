//! What somebody should know: jobs that failed, take too long or did not start, and what is wrong beside them. Each is one alert from when it begins until it is over, and
//! each of the two is told once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use pinlake_core::jobs::{Alert, EndReason, Run, RunId, RunKind, RunState};
use pinlake_core::{Error, Result, Timestamp};

use super::{Scheduler, lock};
use crate::outbox::{Notice, NoticeState, WAITING_MAX};
use crate::progress;
use crate::store::{Change, StoredJob};

/// How long the look at what is beside jobs may take.
const LOOK_FOR: Duration = Duration::from_secs(10);
/// What all alerts that are no job's begin with, beside their own keys.
const BESIDE: &str = "pipeline/";
/// A run that should have started, of a job that does not say within which time.
const STARTS_WITHIN: Duration = Duration::from_secs(3_600);
/// A run is long if it takes so many times as the middle one of the last ...
const LONG_TIMES: u32 = 3;
/// ... of which there must be so many, ...
const LONG_RUNS_MIN: usize = 5;
const LONG_RUNS: usize = 21;
/// ... and longer than this.
const LONG_MIN: Duration = Duration::from_secs(60);

/// How long is too long for each of the runs under way, as far as that was looked up.
#[derive(Default)]
pub(super) struct Usual(HashMap<RunId, Option<Duration>>);

impl Scheduler {
    /// Alerts, open ones first, the newest first.
    ///
    /// # Errors
    /// `Retry` while the database does not answer.
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        self.inner.store.alerts().await
    }

    /// A run that ended is a job that failed, or one that is well again.
    pub(super) async fn judge(&self, change: &mut Change, run: &Run, now: Timestamp) -> Result<()> {
        if matches!(run.kind, RunKind::Job | RunKind::Submit) {
            return Ok(());
        }
        self.recover(change, &long(run), now).await?;
        let key = failed(&run.name);
        match (run.state, run.reason) {
            // Somebody wanted it so.
            (_, Some(EndReason::Cancelled)) => Ok(()),
            (RunState::Failed, reason) => {
                let reason = reason.unwrap_or(EndReason::Failed);
                self.raise(change, &key, &format!("run {} of job '{}' ended {reason}: {}", run.id, run.name, run.message), now)
                    .await
            }
            _ => self.recover(change, &key, now).await,
        }
    }

    /// Looks for what is late, long or wrong.
    pub(super) async fn look_for_alerts(&self, now: Timestamp) -> Result<()> {
        let open = self.inner.store.open_alerts().await?;
        metrics::gauge!("pinlake_open_alerts").set(super::measure(open.len() as u64));
        if !self.looks_for_all().await? {
            return Ok(());
        }
        let jobs = self.inner.store.jobs().await?;
        let mut found = self.not_started(&jobs, now).await?;
        found.extend(self.long_runs(now).await?);
        // A failed look at the rest leaves what is known of it.
        let beside = tokio::time::timeout(LOOK_FOR, self.inner.runner.conditions()).await;
        let beside = beside.unwrap_or_else(|_| Err(Error::retry(format!("it takes longer than {} s", LOOK_FOR.as_secs()))));
        let known_beside = beside.is_ok();
        match beside {
            Ok(conditions) => found.extend(conditions.into_iter().map(|one| (format!("{BESIDE}{}", one.key), one.message))),
            Err(error) => tracing::warn!(%error, "can't see what is wrong beside jobs"),
        }
        let names: HashSet<&str> = jobs.iter().filter(|job| !job.gone).map(|job| job.spec.name.as_str()).collect();
        let is_over = |alert: &&Alert| {
            let key = alert.key.as_str();
            let is_found = || found.iter().any(|(found, _)| found == key);
            match about(key) {
                Some((name, _)) if !names.contains(name) => true,
                // Its runs say when it is well again.
                Some((_, About::Failed)) => false,
                // Also of a run that ended between the looking and the raising.
                Some((_, About::NotStarted | About::Long)) => !is_found(),
                None => known_beside && key.starts_with(BESIDE) && !is_found(),
            }
        };
        let over: Vec<&Alert> = open.iter().filter(is_over).collect();
        found.retain(|(key, _)| !open.iter().any(|alert| alert.key == *key));
        if over.is_empty() && found.is_empty() {
            return Ok(());
        }
        let mut change = self.inner.store.change().await?;
        for alert in over {
            self.recover(&mut change, &alert.key, now).await?;
        }
        for (key, message) in &found {
            self.raise(&mut change, key, message, now).await?;
        }
        change.commit().await
    }

    /// Whether it is for this process to look: what is beside jobs may differ from one machine to the next, and two that say so would open and end it in turn.
    async fn looks_for_all(&self) -> Result<bool> {
        Ok(self.inner.store.first_process().await?.is_none_or(|first| first >= self.inner.owner))
    }

    /// Opens an alert, unless it is open, and has it told.
    async fn raise(&self, change: &mut Change, key: &str, message: &str, now: Timestamp) -> Result<()> {
        if !change.open_alert(key, message, now).await? {
            return Ok(());
        }
        tracing::warn!(key, message, "an alert");
        let message = message.to_owned();
        self.have_told(change, &Notice { key: key.to_owned(), state: NoticeState::Open, message, since_ms: now, at_ms: now }, now)
            .await
    }

    /// Ends an alert, if it is open, and has that told.
    async fn recover(&self, change: &mut Change, key: &str, now: Timestamp) -> Result<()> {
        let Some(alert) = change.close_alert(key, now).await? else { return Ok(()) };
        let Alert { key, message, since, .. } = alert;
        tracing::info!(key, message, "an alert is over");
        self.have_told(change, &Notice { key, state: NoticeState::Recovered, message, since_ms: since, at_ms: now }, now).await
    }

    async fn have_told(&self, change: &mut Change, notice: &Notice, now: Timestamp) -> Result<()> {
        let body = crate::store::to_json(notice);
        for receiver in &self.inner.settings.receivers {
            if !change.post(&receiver.name, &body, now, WAITING_MAX).await? {
                tracing::error!(
                    receiver = receiver.name,
                    key = notice.key,
                    "{WAITING_MAX} notices wait for this receiver: this one is lost"
                );
            }
        }
        Ok(())
    }

    /// Jobs whose runs are due for longer than they should be.
    async fn not_started(&self, jobs: &[StoredJob], now: Timestamp) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let oldest = self.inner.store.oldest_queued().await?;
        for job in jobs.iter().filter(|job| !job.gone && !job.paused) {
            let within = job.spec.starts_within.map_or(STARTS_WITHIN, |within| within.0);
            let queued = oldest.iter().find(|(id, _)| *id == job.id).map(|(_, since)| *since);
            let Some(since) = queued.into_iter().chain(job.next_at).min() else { continue };
            if since <= now && since.until(now) > within {
                let message = format!(
                    "a run of job '{}' is due since {} and has not started",
                    job.spec.name,
                    crate::schedule::shown(since)
                );
                found.push((not_started(&job.spec.name), message));
            }
        }
        Ok(found)
    }

    /// Runs under way that take longer than they should.
    async fn long_runs(&self, now: Timestamp) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let long_ago = Timestamp(now.0.saturating_sub(i64::try_from(LONG_MIN.as_millis()).unwrap_or(0)));
        let begun = self.inner.store.begun_before(long_ago).await?;
        let ids: HashSet<RunId> = begun.iter().map(|run| run.id).collect();
        lock(&self.inner.usual).0.retain(|id, _| ids.contains(id));
        for run in begun {
            let (Some(started), false) = (run.started_at, matches!(run.kind, RunKind::Job | RunKind::Submit)) else { continue };
            let expected = match run.spec.expected {
                Some(expected) => Some(expected.0),
                None => self.usual_for(&run).await?,
            };
            if let Some(expected) = expected.filter(|expected| progress::after(started, *expected) < now) {
                let usual = pinlake_core::pipeline::units::Span(expected);
                found.push((long(&run), format!("run {} of job '{}' takes longer than {usual}", run.id, run.name)));
            }
        }
        Ok(found)
    }

    /// How long is too long for a run: looked up once for each, as it takes the documents of many others.
    async fn usual_for(&self, run: &Run) -> Result<Option<Duration>> {
        if let Some(known) = lock(&self.inner.usual).0.get(&run.id) {
            return Ok(*known);
        }
        let usual = usual(self.inner.store.durations(run.job_id, LONG_RUNS).await?);
        lock(&self.inner.usual).0.insert(run.id, usual);
        Ok(usual)
    }
}

/// What an alert says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Failed,
    NotStarted,
    Long,
}

/// The job that an alert is about, and what it says of it; `None` where it is about no job. A name may hold anything, so that a key is read from its end.
fn about(key: &str) -> Option<(&str, About)> {
    let rest = key.strip_prefix("job/")?;
    let (before, last) = rest.rsplit_once('/')?;
    match last {
        "failed" => Some((before, About::Failed)),
        "not_started" => Some((before, About::NotStarted)),
        number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((before.strip_suffix("/long")?, About::Long))
        }
        _ => None,
    }
}

fn failed(job: &str) -> String {
    format!("job/{job}/failed")
}

fn not_started(job: &str) -> String {
    format!("job/{job}/not_started")
}

fn long(run: &Run) -> String {
    format!("job/{}/long/{}", run.name, run.id)
}

/// How long is too long, by how long the last runs took.
fn usual(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort_unstable();
    let middle = durations.get(durations.len() / 2)?;
    (durations.len() >= LONG_RUNS_MIN).then(|| (*middle * LONG_TIMES).max(LONG_MIN))
}
