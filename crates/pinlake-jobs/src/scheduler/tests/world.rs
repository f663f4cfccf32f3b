//! A scheduler with its database, a clock that stands still, and tasks that do what a test says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::jobs::{JobKey, JobSpec, NewRun, Run, RunFilter, RunId, RunState, Schedule, SqlText, TaskSpec, Trigger, Work};
use pinlake_core::pipeline::units::Span;
use pinlake_core::{Clock, Error, Result, Timestamp, testing};
use sqlx::{Connection, Executor};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::scheduler::{Scheduler, Settings, lock};
use crate::store::Store;
use crate::store::testing::Blow;
use crate::task::{Condition, Done, Effect, Runner, TaskCall};

/// 2026-03-01T00:00:00Z, a Sunday.
pub(super) const START: Timestamp = Timestamp(1_772_323_200_000);

/// The variable that names a server of Postgres whose databases take SQLite's place.
pub(super) const DATABASES: &str = "PINLAKE_TEST_JOBS_POSTGRES";

/// What a task does, by its name; `Ok` for one that is not named.
#[derive(Clone)]
pub(super) enum Deed {
    Fails(&'static str),
    /// Fails so often, and then succeeds.
    FailsTimes(usize),
    /// Goes on until it is cancelled or let go.
    Hangs,
    /// Goes on even though it is cancelled.
    IgnoresCancel,
    Panics,
}

/// What a look at data comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Well,
    Fails,
    Panics,
    /// It never answers.
    Silent,
}

/// Carries out the tasks of all schedulers of a test.
#[derive(Default)]
pub(super) struct Deeds {
    deeds: Mutex<HashMap<String, Deed>>,
    /// Every call, in their order: task, run, attempt.
    pub(super) calls: Mutex<Vec<(String, RunId, u32)>>,
    /// The effects that took place, each once: as Delta's transactions keep them.
    pub(super) effects: Mutex<BTreeMap<String, i64>>,
    /// How often an effect took place, by its app and version.
    pub(super) rows: Mutex<HashMap<(String, i64), usize>>,
    standings: Mutex<HashMap<String, i64>>,
    looks: Mutex<HashMap<String, Look>>,
    /// What was looked at, in its order.
    looked: Mutex<Vec<String>>,
    pub(super) conditions: Mutex<Vec<Condition>>,
    /// The attempts that hang, by task and number.
    hanging: Mutex<HashSet<(RunId, u32)>>,
    pub(super) changed: Notify,
    let_go: Notify,
}

impl Deeds {
    pub(super) fn set(&self, task: &str, deed: Deed) {
        lock(&self.deeds).insert(task.to_owned(), deed);
    }

    pub(super) fn mend(&self, task: &str) {
        lock(&self.deeds).remove(task);
    }

    pub(super) fn stand(&self, table: &str, at: i64) {
        lock(&self.standings).insert(table.to_owned(), at);
    }

    pub(super) fn see(&self, name: &str, look: Look) {
        lock(&self.looks).insert(name.to_owned(), look);
    }

    /// How often data was looked at.
    pub(super) fn looks(&self) -> usize {
        lock(&self.looked).len()
    }

    /// Waits until this data was looked at.
    pub(super) async fn looked_at(&self, name: &str) {
        while !lock(&self.looked).iter().any(|looked| looked == name) {
            self.changed.notified().await;
        }
    }

    /// Waits until nothing hangs any more.
    pub(super) async fn none_hangs(&self) {
        while !lock(&self.hanging).is_empty() {
            self.changed.notified().await;
        }
    }

    /// Lets what hangs end well.
    pub(super) fn let_go(&self) {
        // Nobody waits for what hangs; from now on these are waited for.
        lock(&self.hanging).clear();
        self.let_go.notify_waiters();
    }

    pub(super) fn attempts(&self, task: &str) -> usize {
        lock(&self.calls).iter().filter(|(name, ..)| name == task).count()
    }

    /// As a gold table does.
    fn take_effect(&self, Effect { app, version }: Effect) -> Result<()> {
        let mut effects = lock(&self.effects);
        let known = effects.get(&app).copied();
        if known.is_some_and(|known| known > version) {
            return Err(Error::invalid(format!("there is a later effect of '{app}'")));
        }
        if known != Some(version) {
            effects.insert(app.clone(), version);
            *lock(&self.rows).entry((app, version)).or_default() += 1;
        }
        Ok(())
    }

    /// How many effects took place.
    pub(super) fn taken(&self) -> usize {
        let rows = lock(&self.rows);
        assert!(rows.values().all(|times| *times == 1), "{rows:?}");
        rows.len()
    }

    async fn hang(&self, call: &TaskCall, ignores: bool) -> Result<Done> {
        let let_go = self.let_go.notified();
        let own = (call.task().id, call.attempt);
        lock(&self.hanging).insert(own);
        self.changed.notify_one();
        let ended = tokio::select! {
            () = let_go => Ok(Done::default()),
            () = call.cancel.cancelled(), if !ignores => Err(Error::retry("told to end")),
        };
        lock(&self.hanging).remove(&own);
        self.changed.notify_one();
        ended
    }
}

#[async_trait]
impl Runner for Deeds {
    async fn run(&self, call: TaskCall) -> Result<Done> {
        let name = call.task().spec.name.clone();
        lock(&self.calls).push((name.clone(), call.run.id, call.attempt));
        call.log.info(format!("attempt {} of {name}", call.attempt));
        let deed = lock(&self.deeds).get(&name).cloned();
        match deed {
            None => {}
            Some(Deed::Fails(why)) => return Err(Error::invalid(why)),
            Some(Deed::FailsTimes(times)) if self.attempts(&name) <= times => return Err(Error::retry("not yet")),
            Some(Deed::FailsTimes(_)) => {}
            Some(Deed::Hangs) => return self.hang(&call, false).await,
            Some(Deed::IgnoresCancel) => return self.hang(&call, true).await,
            Some(Deed::Panics) => panic!("as the test says"),
        }
        self.take_effect(call.effect())?;
        Ok(Done { message: format!("{name} is done"), output: Some(name) })
    }

    async fn standing(&self, of: &Trigger) -> Result<i64> {
        let (Trigger::Rows { table: name, .. }
        | Trigger::Version { table: name }
        | Trigger::Records { topic: name, .. }
        | Trigger::Object { url: name }) = of;
        lock(&self.looked).push(name.clone());
        self.changed.notify_one();
        let look = lock(&self.looks).get(name).copied();
        match look {
            Some(Look::Fails) => return Err(Error::retry("no answer")),
            Some(Look::Panics) => panic!("as the test says"),
            Some(Look::Silent) => std::future::pending().await,
            Some(Look::Well) | None => {}
        }
        lock(&self.standings).get(name).copied().ok_or_else(|| Error::not_found("not there yet"))
    }

    async fn conditions(&self) -> Result<Vec<Condition>> {
        Ok(lock(&self.conditions).clone())
    }
}

/// A scheduler and what is around it.
pub(super) struct World {
    folder: Arc<TempDir>,
    pub(super) url: String,
    pub(super) clock: Clock,
    pub(super) deeds: Arc<Deeds>,
    pub(super) scheduler: Scheduler,
    pub(super) settings: Settings,
}

impl World {
    /// A new database of SQLite.
    pub(super) async fn new() -> World {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> World {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let url = match std::env::var(DATABASES) {
            Ok(server) => new_database(&server).await,
            Err(_) => format!("sqlite://{}/jobs.sqlite?mode=rwc", folder.path().display()),
        };
        Self::at(folder, url, settings).await
    }

    /// A database that is there.
    pub(super) async fn at(folder: Arc<TempDir>, url: String, settings: Settings) -> World {
        let (clock, deeds) = (Clock::manual(START), Arc::new(Deeds::default()));
        let store = Store::open(&url).await.unwrap();
        let scheduler = Scheduler::open(store, deeds.clone(), clock.clone(), settings.clone()).await.unwrap();
        World { folder, url, clock, deeds, scheduler, settings }
    }

    /// Another process over the same database, with the same clock and tasks. The one before goes on, if it can.
    pub(super) async fn another(&self) -> World {
        self.another_at(self.url.clone()).await
    }

    /// A copy of the database as it is now, by its URL. SQLite's only.
    pub(super) async fn copy(&self) -> String {
        let path = self.folder.path().join(format!("{}.sqlite", uuid::Uuid::new_v4().simple()));
        self.scheduler.inner.store.copy_to(path.to_str().unwrap()).await;
        format!("sqlite://{}", path.display())
    }

    /// Another process over the database of a URL, with the same clock and tasks.
    pub(super) async fn another_at(&self, url: String) -> World {
        let store = Store::open(&url).await.unwrap();
        let (clock, deeds) = (self.clock.clone(), self.deeds.clone());
        let scheduler = Scheduler::open(store, deeds.clone(), clock.clone(), self.settings.clone()).await.unwrap();
        let (folder, settings) = (self.folder.clone(), self.settings.clone());
        World { folder, url, clock, deeds, scheduler, settings }
    }

    pub(super) async fn install(&self, jobs: &[JobSpec]) {
        self.scheduler.install(jobs, Vec::new()).await.unwrap();
        assert_eq!(self.problems(), Vec::<String>::new());
    }

    /// What is wrong, in words.
    pub(super) fn problems(&self) -> Vec<String> {
        self.scheduler.state().problems.into_iter().map(|problem| problem.message).collect()
    }

    /// Ticks until nothing more happens but what hangs.
    pub(super) async fn settle(&self) {
        let mut watched = None;
        loop {
            // What serves in loops beside it.
            self.scheduler.look_at_data().await;
            self.scheduler.tick().await.unwrap();
            self.scheduler.watch_once(&mut watched).await;
            let inner = &self.scheduler.inner;
            let before = lock(&self.deeds.calls).len();
            while lock(&inner.underway).len() > lock(&self.deeds.hanging).len() {
                tokio::select! {
                    () = inner.changed.notified() => {}
                    () = self.deeds.changed.notified() => {}
                }
            }
            let due = inner.store.has_due(self.clock.now()).await.unwrap();
            if !due && lock(&self.deeds.calls).len() == before {
                return;
            }
            if due && lock(&self.deeds.calls).len() == before && !inner.store.has_due(self.clock.now()).await.unwrap() {
                return;
            }
            // Full places: what waits for them waits for what hangs.
            if due && inner.places.available_permits() == 0 {
                return;
            }
        }
    }

    /// Has what is due begin, and something happen at the commit of its attempt's end. No tick: that may renew the lease, by the machine's clock, and
    /// then commits once more.
    pub(super) async fn end_with(&self, blow: Blow) {
        let inner = &self.scheduler.inner;
        assert!(self.scheduler.step(self.clock.now()).await.unwrap());
        // The step has handed the attempt out, and given nobody a turn since.
        inner.store.fate().strike_at(1, blow);
        while !lock(&inner.underway).is_empty() {
            inner.changed.notified().await;
        }
    }

    /// Moves the clock and ticks.
    pub(super) async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.settle().await;
    }

    /// Starts a run of a job.
    pub(super) async fn start(&self, job: &str) -> RunId {
        self.scheduler.start(run_of(job)).await.unwrap()
    }

    /// Starts a run of a job, and answers how it went.
    pub(super) async fn run(&self, job: &str) -> Run {
        let id = self.start(job).await;
        self.settle().await;
        self.read(id).await
    }

    pub(super) async fn read(&self, id: RunId) -> Run {
        self.scheduler.run(id).await.unwrap()
    }

    /// A run once it has ended.
    pub(super) async fn ended(&self, id: RunId) -> Run {
        let mut events = self.scheduler.watch();
        loop {
            let run = self.read(id).await;
            if run.state.has_ended() {
                return run;
            }
            self.scheduler.tick().await.unwrap();
            events.recv().await.unwrap();
        }
    }

    /// All runs of a job, the oldest first.
    pub(super) async fn runs(&self, job: &str) -> Vec<Run> {
        let filter = RunFilter { job: Some(JobKey::Name(job.to_owned())), limit: 1_000, ..RunFilter::default() };
        let mut runs = Vec::new();
        for summary in self.scheduler.runs(filter).await.unwrap() {
            runs.insert(0, self.read(summary.id).await);
        }
        runs
    }
}

impl World {
    /// A process of another machine over the same database, with the same clock, but tasks and conditions of its own.
    pub(super) async fn another_machine(&self) -> World {
        let store = Store::open(&self.url).await.unwrap();
        let (clock, deeds) = (self.clock.clone(), Arc::new(Deeds::default()));
        let scheduler = Scheduler::open(store, deeds.clone(), clock.clone(), self.settings.clone()).await.unwrap();
        let (folder, url, settings) = (self.folder.clone(), self.url.clone(), self.settings.clone());
        World { folder, url, clock, deeds, scheduler, settings }
    }
}

/// A new database beside the one of a URL.
async fn new_database(server: &str) -> String {
    sqlx::any::install_default_drivers();
    let name = format!("jobs_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::AnyConnection::connect(server).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    connection.close().await.unwrap();
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

/// What asks for a run of a job.
pub(super) fn run_of(job: &str) -> NewRun {
    NewRun {
        job: JobKey::Name(job.to_owned()),
        parameters: BTreeMap::new(),
        any_parameters: false,
        interval: None,
        cause: "a test".to_owned(),
        token: None,
        notes: BTreeMap::new(),
    }
}

/// A job of tasks that follow each other.
pub(super) fn job(name: &str, tasks: &[&str]) -> JobSpec {
    let mut specs: Vec<TaskSpec> = Vec::new();
    for name in tasks {
        let after = specs.last().map(|last| last.name.clone()).into_iter().collect();
        specs.push(task(name, after));
    }
    testing::jobs::job(name, specs)
}

pub(super) fn task(name: &str, after: Vec<String>) -> TaskSpec {
    let query = SqlText { name: name.to_owned(), sql: "SELECT 1".to_owned() };
    TaskSpec { after, ..testing::jobs::task(name, Work::Sql { query, into: None }) }
}

pub(super) fn schedule(text: &str) -> Option<Schedule> {
    Some(Schedule { text: text.to_owned(), timezone: "UTC".to_owned(), form: pinlake_core::jobs::CronForm::Unix })
}

pub(super) fn span(text: &str) -> Option<Span> {
    Some(text.parse().unwrap())
}

/// The states of a run's tasks, in words.
pub(super) fn states(run: &Run) -> String {
    let word = |task: &pinlake_core::jobs::TaskRun| {
        let reason = task.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{}: {:?}{reason}", task.spec.name, task.state)
    };
    run.tasks.iter().map(word).collect::<Vec<_>>().join(", ")
}

pub(super) fn has_succeeded(run: &Run) -> bool {
    run.state == RunState::Succeeded && run.reason.is_none() && run.ended_at.is_some()
}
