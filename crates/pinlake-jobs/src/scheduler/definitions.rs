//! What is defined: by the pipeline's files, which are read again while the scheduler runs, and by calls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use pinlake_core::jobs::{EndReason, JobKey, JobSpec, NewJob, Origin, Trigger, Work};
use pinlake_core::{Error, Result, Timestamp};

use super::step::After;
use super::{Scheduler, lock, make, no_job, texts};
use crate::order::Order;
use crate::schedule::Times;
use crate::store::{Change, StoredJob};

/// Jobs that there may be.
const JOBS_MAX: i64 = 10_000;
/// Tasks of one job.
const TASKS_MAX: usize = 1_000;
/// Waits of one job's tasks for each other.
const WAITS_MAX: usize = 10_000;
/// Bounds of a definition's numbers.
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
const KEEP_MIN: Duration = Duration::from_secs(3_600);
const RETRIES_MAX: u32 = 1_000;
const TRIGGERS_MAX: usize = 20;
const PARAMETERS_MAX: usize = 100;

impl Scheduler {
    /// Takes what the pipeline's files define in place of what they defined before: a job that is no longer there keeps its runs. What is wrong with a job leaves its
    /// last good definition running and is told by [`Scheduler::state`], with `problems`, those of the files themselves.
    ///
    /// # Errors
    /// `Retry` while the database does not answer.
    pub async fn install(&self, specs: &[JobSpec], problems: Vec<String>) -> Result<()> {
        let now = self.inner.clock.now();
        let mut problems = problems;
        // Nobody waits while definitions are looked at.
        let checked: Vec<Result<Checked>> = specs.iter().map(|spec| self.checked(spec, now)).collect();
        let mut change = self.inner.store.change().await?;
        let known = change.jobs().await?;
        let by_name: HashMap<&str, &StoredJob> = known.iter().map(|job| (job.spec.name.as_str(), job)).collect();
        for (spec, checked) in specs.iter().zip(checked) {
            let before = by_name.get(spec.name.as_str()).copied();
            if before.is_some_and(|job| job.origin == Origin::Api && !job.gone) {
                problems.push(format!(
                    "job '{}' was defined by a call already: delete that one, or name this one otherwise",
                    spec.name
                ));
                continue;
            }
            match checked {
                Ok(checked) => {
                    put(&mut change, before.cloned(), (spec, checked), Origin::Pipeline, now).await?;
                }
                Err(error) => problems.push(format!("job '{}': {error}", spec.name)),
            }
        }
        let names: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        for job in &known {
            let is_known = job.origin == Origin::Pipeline && !job.gone && !job.version.is_empty();
            if is_known && !names.contains(job.spec.name.as_str()) {
                tracing::warn!(job = job.spec.name, "no file defines the job any more: nothing but its runs are left of it");
                change.put_job(&StoredJob { gone: true, next_at: None, ..job.clone() }).await?;
            }
        }
        change.commit().await?;
        self.report(problems);
        self.defined().await
    }

    /// Says what is wrong with the pipeline's files, whose last good definitions run on.
    pub fn report(&self, problems: Vec<String>) {
        *lock(&self.inner.problems) = problems;
    }

    /// Defines a job by a call; see the API's `define`.
    ///
    /// # Errors
    /// `Invalid`, `Conflict` for a name that is taken or a job of the pipeline's files, `NotFound` for a number that is none.
    pub async fn define(&self, new: NewJob) -> Result<i64> {
        check_of_calls(&new.spec)?;
        let now = self.inner.clock.now();
        let checked = self.checked(&new.spec, now)?;
        let mut change = self.inner.store.change().await?;
        let named = change.job(&JobKey::Name(new.spec.name.clone())).await?;
        let before = match new.id {
            Some(id) => Some(change.job(&JobKey::Id(id)).await?.filter(|job| !job.gone).ok_or_else(|| no_job(&JobKey::Id(id)))?),
            None => None,
        };
        if let Some(job) = before.as_ref().filter(|job| job.origin == Origin::Pipeline) {
            return Err(Error::conflict(format!("job '{}' is defined by the pipeline's files: change it there", job.spec.name)));
        }
        if named.is_some_and(|named| before.as_ref().is_none_or(|before| before.id != named.id)) {
            return Err(Error::conflict(format!("there is a job '{}' already", new.spec.name)));
        }
        if before.is_none() && change.count_jobs().await? >= JOBS_MAX {
            return Err(Error::invalid(format!("there are {JOBS_MAX} jobs already: delete some")));
        }
        let mut job = put(&mut change, before, (&new.spec, checked), Origin::Api, now).await?;
        if job.paused && !new.paused {
            job.next_at = self.next_of(&job.spec, now)?;
        }
        job.paused = new.paused;
        job.notes = new.notes;
        change.put_job(&job).await?;
        change.commit().await?;
        self.defined().await?;
        Ok(job.id)
    }

    /// Deletes a job that a call defined. Its runs stay, but those that wait are cancelled.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` for a job of the pipeline's files.
    pub async fn delete(&self, key: &JobKey) -> Result<()> {
        let mut change = self.inner.store.change().await?;
        let job = change.job(key).await?.filter(|job| !job.gone).ok_or_else(|| no_job(key))?;
        if job.origin == Origin::Pipeline {
            return Err(Error::conflict(format!(
                "job '{}' is defined by the pipeline's files: take it out there",
                job.spec.name
            )));
        }
        let (now, mut after) = (self.inner.clock.now(), After::default());
        for run in change.queued(job.id).await? {
            self.cancel_within(&mut change, run, EndReason::Cancelled, "its job was deleted", now, &mut after).await?;
        }
        change.delete_job(job.id).await?;
        change.commit().await?;
        self.tell(after.events);
        self.defined().await
    }

    /// Pauses a job, or lets it go on with its next time: those that passed meanwhile were not missed.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn pause(&self, key: &JobKey, paused: bool) -> Result<()> {
        let now = self.inner.clock.now();
        let mut change = self.inner.store.change().await?;
        let mut job = change.job(key).await?.filter(|job| !job.gone).ok_or_else(|| no_job(key))?;
        if job.paused != paused {
            job.paused = paused;
            job.next_at = if paused { job.next_at } else { self.next_of(&job.spec, now)? };
            change.put_job(&job).await?;
            change.wake_all(job.id).await?;
        }
        change.commit().await?;
        self.defined().await
    }

    /// Looks whether something is wrong with a definition.
    fn checked(&self, spec: &JobSpec, now: Timestamp) -> Result<Checked> {
        check(spec)?;
        check_own_name(spec)?;
        Ok(Checked { next_at: self.next_of(spec, now)?, version: make::version_of(spec) })
    }

    fn next_of(&self, spec: &JobSpec, now: Timestamp) -> Result<Option<Timestamp>> {
        let times = spec.schedule.as_ref().map(Times::parse).transpose()?;
        Ok(times.and_then(|times| times.next_after(now)))
    }

    /// What follows from other definitions.
    async fn defined(&self) -> Result<()> {
        self.read_triggers().await?;
        self.wake();
        Ok(())
    }
}

/// What is known of a definition with which nothing is wrong.
struct Checked {
    next_at: Option<Timestamp>,
    version: String,
}

/// Writes a definition.
async fn put(
    change: &mut Change,
    before: Option<StoredJob>,
    (spec, Checked { next_at, version }): (&JobSpec, Checked),
    origin: Origin,
    now: Timestamp,
) -> Result<StoredJob> {
    let job = match before {
        // A clock that was far ahead once left a time that never comes.
        Some(before) if before.version == version && !before.gone => {
            StoredJob { next_at: not_beyond(before.next_at, next_at), ..before }
        }
        Some(before) => {
            let same_times = before.spec.schedule == spec.schedule && !before.gone;
            let next_at = if same_times { not_beyond(before.next_at, next_at) } else { next_at };
            StoredJob { spec: spec.clone(), version, origin, gone: false, next_at, ..before }
        }
        None => StoredJob {
            id: change.numbers("job", 1).await?,
            spec: spec.clone(),
            origin,
            version,
            notes: BTreeMap::new(),
            paused: false,
            gone: false,
            sequence: 0,
            next_at,
            created_at: now,
        },
    };
    change.put_job(&job).await?;
    change.keep_version(&job, now).await?;
    // It may let more runs begin than before.
    change.wake_all(job.id).await?;
    Ok(job)
}

/// When a schedule is due next that was due at one time, and has another as its next from now on.
fn not_beyond(known: Option<Timestamp>, next: Option<Timestamp>) -> Option<Timestamp> {
    match (known, next) {
        (Some(known), Some(next)) => Some(known.min(next)),
        (known, _) => known,
    }
}

/// What holds for every definition, wherever it comes from.
pub(super) fn check(spec: &JobSpec) -> Result<()> {
    let invalid = |message: String| Err(Error::invalid(message));
    if spec.name.is_empty() || spec.name.chars().count() > 255 {
        return invalid("a job's name takes 1 to 255 characters".to_owned());
    }
    texts::check_definition(spec)?;
    if spec.tasks.is_empty() || spec.tasks.len() > TASKS_MAX {
        return invalid(format!("a job takes 1 to {TASKS_MAX} tasks"));
    }
    if spec.concurrency == 0 {
        return invalid("'concurrency' is 1 at least".to_owned());
    }
    if spec.tasks.iter().map(|task| task.after.len()).sum::<usize>() > WAITS_MAX {
        return invalid(format!(
            "the tasks of a job wait for each other {WAITS_MAX} times at most: leave out what follows from others"
        ));
    }
    let mut names = HashSet::new();
    if let Some(twice) = spec.tasks.iter().find(|task| !names.insert(task.name.as_str())) {
        return invalid(format!("two tasks are named '{}'", twice.name));
    }
    for task in &spec.tasks {
        if let Some(unknown) = task.after.iter().find(|name| !names.contains(name.as_str())) {
            return invalid(format!("task '{}' waits for '{unknown}', which is none of the tasks", task.name));
        }
    }
    match Order::of(spec.tasks.iter()).circle {
        Some(place) => invalid(format!("task '{}' waits for itself", spec.tasks[place].name)),
        None => check_bounds(spec),
    }
}

/// That no number of a definition is beyond what can be reckoned with.
fn check_bounds(spec: &JobSpec) -> Result<()> {
    let of_job = [("timeout", spec.timeout), ("starts_within", spec.starts_within), ("expected", spec.expected)];
    let of_tasks = spec.tasks.iter().flat_map(|task| {
        [("timeout", task.timeout), ("delay", Some(task.retries.delay)), ("delay_max", Some(task.retries.delay_max))]
    });
    if let Some((name, _)) = of_job.into_iter().chain(of_tasks).find(|(_, span)| span.is_some_and(|span| span.0 > SPAN_MAX)) {
        return Err(Error::invalid(format!("'{name}' is 366d at most")));
    }
    for task in &spec.tasks {
        if task.retries.count > RETRIES_MAX {
            return Err(Error::invalid(format!("task '{}' is tried again {RETRIES_MAX} times at most", task.name)));
        }
        if matches!(&task.work, Work::Vacuum { keep, .. } if keep.0 < KEEP_MIN || keep.0 > SPAN_MAX) {
            return Err(Error::invalid(format!("task '{}' keeps files for 1h at least and 366d at most", task.name)));
        }
    }
    if spec.triggers.len() > TRIGGERS_MAX || spec.parameters.len() > PARAMETERS_MAX {
        return Err(Error::invalid(format!("a job takes {TRIGGERS_MAX} triggers and {PARAMETERS_MAX} parameters at most")));
    }
    Ok(())
}

/// What only files may define: their author has the machine anyway, and whoever calls may not.
pub(super) fn check_of_calls(spec: &JobSpec) -> Result<()> {
    for task in &spec.tasks {
        let Work::Http(http) = &task.work else { continue };
        if http.headers.values().any(|value| value.contains("${env:") || value.contains("${file:")) {
            return Err(Error::invalid(format!(
                "task '{}': secrets of the server are for the jobs of its pipeline's files",
                task.name
            )));
        }
    }
    let is_local = |url: &str| !["s3://", "gs://", "az://"].iter().any(|scheme| url.starts_with(scheme));
    match spec.triggers.iter().find(|trigger| matches!(trigger, Trigger::Object { url } if is_local(url))) {
        Some(_) => Err(Error::invalid(
            "a trigger by objects takes s3://, gs:// or az://; other places are for the jobs of the pipeline's files",
        )),
        None => Ok(()),
    }
}

/// That a job does not run itself. What is only submitted is no job, and often has the name of the one that it runs.
fn check_own_name(spec: &JobSpec) -> Result<()> {
    let runs_itself = |work: &Work| matches!(work, Work::Job { name, .. } if *name == spec.name);
    match spec.tasks.iter().find(|task| runs_itself(&task.work)) {
        Some(task) => Err(Error::invalid(format!("task '{}' runs the job that it belongs to", task.name))),
        None => Ok(()),
    }
}
