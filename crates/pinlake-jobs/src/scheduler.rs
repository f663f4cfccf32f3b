//! The scheduler itself: it looks for what is due, has it carried out, and keeps what came of it. A process may die at any time: what it has not committed did not
//! happen, and what it was doing is begun again by the next.

mod alerts;
mod attempts;
mod calls;
mod chains;
mod definitions;
mod faults;
mod forget;
mod make;
mod serve;
mod step;
mod texts;
mod triggers;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinlake_core::jobs::{Event, ProblemKind, Run, RunId, SchedulerProblem, SchedulerState};
use pinlake_core::{Clock, Error, Result, Timestamp};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lineage::Lineage;
use crate::outbox::{Receiver, SENDING_MAX};
use crate::schedule::Times;
use crate::store::Store;
use crate::task::Runner;

/// Events that a slow watcher may be behind.
const EVENTS_MAX: usize = 4_096;
/// How long one tick makes steps, so that a long queue does not keep the loop from its other work.
const STEPS_FOR: Duration = Duration::from_millis(10);
/// How long an end may take, beyond the time that attempts have to end by themselves: a message that is being sent, and the writing down of what came.
const STOP_MAX: Duration = SENDING_MAX.saturating_add(Duration::from_secs(15));
/// How long the closing of connections may take.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How a scheduler works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tasks that this process carries out at once.
    pub tasks_max: usize,
    /// The pools by name: tasks of a pool that this process carries out at once. A pool that is not here has one place.
    pub pools: BTreeMap<String, usize>,
    /// How long runs that have ended are kept.
    pub keep: Duration,
    /// Who is told of alerts.
    pub receivers: Vec<Receiver>,
    /// Who is told of lineage.
    pub lineage: Option<Lineage>,
    /// How long a cancelled attempt has to end by itself.
    pub grace: Duration,
    /// What chance is drawn from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tasks_max: 8,
            pools: BTreeMap::new(),
            keep: Duration::from_secs(90 * 24 * 3_600),
            receivers: Vec::new(),
            lineage: None,
            grace: Duration::from_secs(5),
            seed: 0,
        }
    }
}

/// The scheduler. A clone is the same.
#[derive(Clone)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    settings: Settings,
    runner: Arc<dyn Runner>,
    /// This process, among all that ever had this database open.
    owner: String,
    installation: Arc<str>,
    client: reqwest::Client,
    places: Arc<Semaphore>,
    pools: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// What this process carries out, by the numbers of the task and of the attempt.
    underway: Mutex<HashMap<(RunId, u32), Underway>>,
    /// Compiled schedules by job and version.
    times: Mutex<HashMap<i64, (String, Arc<Times>)>>,
    watched: Mutex<triggers::Watched>,
    /// Who looks up what is watched: one at a time.
    reading: tokio::sync::Mutex<()>,
    usual: Mutex<alerts::Usual>,
    /// What is wrong with the newest definitions.
    problems: Mutex<Vec<String>>,
    faults: Mutex<faults::Faults>,
    ticked_at: AtomicI64,
    open: Mutex<(u64, u64)>,
    changed: Notify,
    logged: Notify,
    events: broadcast::Sender<Event>,
    stop: CancellationToken,
    /// The attempts under way.
    tasks: TaskTracker,
    /// The loops.
    serving: TaskTracker,
    /// One step at a time.
    stepping: tokio::sync::Mutex<upkeep::Upkeep>,
}

struct Underway {
    run: RunId,
    cancel: CancellationToken,
    /// Says that others took this process for dead.
    lost: CancellationToken,
}

/// The places that a task takes while it runs.
struct Places {
    _all: OwnedSemaphorePermit,
    _pool: Option<OwnedSemaphorePermit>,
}

impl Scheduler {
    /// Opens the scheduler over a database. Nothing runs before [`Scheduler::serve`] or [`Scheduler::tick`].
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn open(store: Store, runner: Arc<dyn Runner>, clock: Clock, settings: Settings) -> Result<Scheduler> {
        describe();
        let installation = store.installation().await?.into();
        let inner = Inner {
            installation,
            owner: uuid::Uuid::new_v4().simple().to_string(),
            // A redirect could carry an alert, or a secret, elsewhere.
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap_or_default(),
            places: Arc::new(Semaphore::new(settings.tasks_max.max(1))),
            pools: Mutex::default(),
            underway: Mutex::default(),
            times: Mutex::default(),
            watched: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            usual: Mutex::default(),
            problems: Mutex::default(),
            faults: Mutex::default(),
            ticked_at: AtomicI64::new(i64::MIN),
            open: Mutex::default(),
            changed: Notify::new(),
            logged: Notify::new(),
            events: broadcast::channel(EVENTS_MAX).0,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            serving: TaskTracker::new(),
            stepping: tokio::sync::Mutex::default(),
            store,
            clock,
            settings,
            runner,
        };
        let scheduler = Scheduler { inner: Arc::new(inner) };
        scheduler.take_over().await?;
        Ok(scheduler)
    }

    /// Looks once for what is due, and has it begun.
    ///
    /// # Errors
    /// `Retry` while the database does not answer; nothing is lost then.
    pub async fn tick(&self) -> Result<()> {
        let inner = &self.inner;
        let mut upkeep = inner.stepping.lock().await;
        if inner.stop.is_cancelled() {
            return Ok(());
        }
        let begun = tokio::time::Instant::now();
        let now = inner.clock.now();
        self.keep_alive(&mut upkeep, now).await?;
        while inner.store.has_due(now).await? && self.step(now).await? {
            if begun.elapsed() >= STEPS_FOR {
                self.wake();
                break;
            }
        }
        self.end_cancelled().await?;
        self.tidy(&mut upkeep, now).await?;
        let open = inner.store.count_open().await?;
        *lock(&inner.open) = open;
        inner.ticked_at.store(now.0, Ordering::Release);
        metrics::gauge!("pinlake_jobs_runs", "state" => "queued").set(measure(open.0));
        metrics::gauge!("pinlake_jobs_runs", "state" => "running").set(measure(open.1));
        metrics::histogram!("pinlake_jobs_tick_seconds").record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Ends: attempts under way are cut short, and begun again by the next process.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.stop.cancel();
        let ended = async {
            // What the last step claimed is waited for too.
            drop(inner.stepping.lock().await);
            inner.tasks.close();
            inner.tasks.wait().await;
            // What was told is written down, or it would be told again.
            inner.serving.close();
            inner.serving.wait().await;
            let mut change = inner.store.change().await?;
            change.renew(&inner.owner, Timestamp(0)).await?;
            change.commit().await
        };
        match tokio::time::timeout(inner.settings.grace + STOP_MAX, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the scheduler's lease stays until it runs out"),
            Err(_) => tracing::warn!("the scheduler's work did not end in time: the next process begins it again"),
        }
        // A database that does not answer has nothing to close.
        let _ = tokio::time::timeout(CLOSE_MAX, inner.store.close()).await;
    }

    /// How it is.
    pub fn state(&self) -> SchedulerState {
        let inner = &self.inner;
        let ticked = inner.ticked_at.load(Ordering::Acquire);
        let (queued, running) = *lock(&inner.open);
        let ticked_at = (ticked != i64::MIN).then_some(Timestamp(ticked));
        let of_definition = |message: &String| SchedulerProblem { kind: ProblemKind::Definition, message: message.clone() };
        let mut problems: Vec<_> = lock(&inner.problems).iter().map(of_definition).collect();
        problems.extend(lock(&inner.faults).now(inner.clock.now()));
        SchedulerState { ticked_at, problems, queued, running }
    }

    /// Waits until it is stopped.
    pub async fn stopped(&self) {
        self.inner.stop.cancelled().await;
    }

    /// Every change from now on.
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// Tells those who watch, after a commit.
    fn tell(&self, events: Vec<Event>) {
        for event in events {
            // Nobody may watch.
            let _ = self.inner.events.send(event);
        }
    }

    /// Has the loop look at once.
    fn wake(&self) {
        self.inner.changed.notify_one();
    }

    /// The compiled schedule of a job, if it has one.
    fn times_of(&self, job: &crate::store::StoredJob) -> Result<Option<Arc<Times>>> {
        let Some(schedule) = &job.spec.schedule else { return Ok(None) };
        let mut known = lock(&self.inner.times);
        if let Some((_, times)) = known.get(&job.id).filter(|(version, _)| *version == job.version) {
            return Ok(Some(times.clone()));
        }
        let times = Arc::new(Times::parse(schedule)?);
        known.insert(job.id, (job.version.clone(), times.clone()));
        Ok(Some(times))
    }

    /// A place for a task, if there is one: the answer says which is full otherwise.
    fn place_for(&self, pool: Option<&str>) -> std::result::Result<Places, Full> {
        let inner = &self.inner;
        let all = inner.places.clone().try_acquire_owned().map_err(|_| Full::All)?;
        let pool = pool.map(|name| {
            let places = || Arc::new(Semaphore::new(inner.settings.pools.get(name).copied().unwrap_or(1).max(1)));
            lock(&inner.pools).entry(name.to_owned()).or_insert_with(places).clone()
        });
        let pool = pool.map(|pool| pool.try_acquire_owned().map_err(|_| Full::Pool)).transpose()?;
        Ok(Places { _all: all, _pool: pool })
    }
}

/// Says what is measured.
fn describe() {
    metrics::describe_gauge!("pinlake_jobs_runs", "runs of jobs that wait to begin and that are under way");
    metrics::describe_gauge!("pinlake_open_alerts", "alerts that are open");
    metrics::describe_histogram!("pinlake_jobs_tick_seconds", "how long the scheduler's look at what is due took");
    metrics::describe_histogram!("pinlake_jobs_task_seconds", "how long attempts at tasks took, by kind of task");
    metrics::describe_counter!("pinlake_jobs_runs_ended_total", "runs of jobs that ended, by how");
    metrics::describe_counter!(
        "pinlake_notices_total",
        "alerts and events of lineage that were to be told, by what became of it"
    );
}

/// What has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    All,
    Pool,
}

/// A number from -1 to 1 that looks like chance, the same for the same attempt.
fn jitter(seed: u64, task: RunId, attempt: u32) -> f64 {
    // The finaliser of splitmix64.
    let mut mixed = seed ^ task.0.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(attempt).rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    let unit = f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    unit * 2.0 - 1.0
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn measure(count: u64) -> f64 {
    count as f64
}

/// The error for a run that there is not.
fn no_run(id: RunId) -> Error {
    Error::not_found(format!("run {id} does not exist"))
}

/// The error for a job that there is not.
fn no_job(key: &pinlake_core::jobs::JobKey) -> Error {
    match key {
        pinlake_core::jobs::JobKey::Name(name) => Error::not_found(format!("job '{name}' does not exist")),
        pinlake_core::jobs::JobKey::Id(id) => Error::not_found(format!("job {id} does not exist")),
    }
}

/// The run's document with a shared owner, for attempts.
fn shared(run: &Run) -> Arc<Run> {
    Arc::new(run.clone())
}
