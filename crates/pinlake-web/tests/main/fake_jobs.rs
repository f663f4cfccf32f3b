//! A scheduler in memory, whose runs advance when they are told to. It remembers what it was asked and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use pinlake_core::jobs::{
    Again, Alert, Attempt, Backfill, BackfillPlan, Cause, EndReason, Event, Job, JobKey, JobSpec, LogLine, LogPage, NewJob,
    NewRun, Origin, PlannedInterval, ProblemKind, Run, RunFilter, RunId, RunKind, RunState, RunSummary, SchedulerProblem,
    SchedulerState, Submission, TaskRun, TaskState, Waits, Work,
};
use pinlake_core::testing::jobs;
use pinlake_core::{Error, Result, Timestamp};
use pinlake_web::Jobs;

use super::daily;

/// When the first thing happens.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

#[derive(Default)]
pub(crate) struct FakeJobs {
    held: Mutex<Held>,
    /// What it was asked, as debug text.
    asked: Mutex<Vec<String>>,
    /// What every call fails with.
    fails: Option<Error>,
    ticked_at: Option<Timestamp>,
    problems: Vec<SchedulerProblem>,
}

#[derive(Default)]
struct Held {
    jobs: Vec<Job>,
    runs: Vec<Run>,
    ids: i64,
    ticks: i64,
    tokens: BTreeMap<String, RunId>,
    logs: BTreeMap<RunId, Vec<String>>,
    events: Vec<Event>,
    alerts: Vec<Alert>,
}

/// A job of one task, as the pipeline's files define it.
pub(crate) fn spec(name: &str, work: Work) -> JobSpec {
    jobs::job(name, vec![jobs::task("all", work)])
}

impl FakeJobs {
    /// Fails at every call.
    pub(crate) fn failing(error: Error) -> Self {
        Self { fails: Some(error), ..Self::default() }
    }

    /// With the job `daily`, ten runs of it, their logs, events and alerts, and the job `report` that a call defined.
    pub(crate) fn daily() -> Self {
        let last = daily::run();
        let older = (2..daily::RUN).map(|id| Run { id: RunId(id), tasks: Vec::new(), ..last.clone() });
        let lines = || (1..4).map(|number| format!("line {number}\n<b>")).collect();
        let held = Held {
            jobs: vec![daily::job(), daily::report()],
            runs: older.chain([last.clone()]).collect(),
            ids: last.tasks.last().map_or(0, |task| task.id.0),
            logs: last.tasks.iter().map(|task| (task.id, lines())).collect(),
            events: vec![last.event(daily::NOW, None), last.event(daily::NOW, Some("rebuild"))],
            alerts: daily::alerts(),
            ..Held::default()
        };
        let message = "pipeline.yml:3: no such task".to_owned();
        let problems = vec![SchedulerProblem { kind: ProblemKind::Definition, message }];
        Self { held: Mutex::new(held), problems, ..Self::default() }.looked_at(daily::NOW)
    }

    /// Has last looked for what is due at that time.
    pub(crate) fn looked_at(self, at: Timestamp) -> Self {
        Self { ticked_at: Some(at), ..self }
    }

    /// All that it was asked.
    pub(crate) fn all_asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// What it was last asked.
    pub(crate) fn last(&self) -> String {
        self.all_asked().pop().unwrap_or_default()
    }

    /// With the pipeline's jobs of these names.
    pub(crate) fn with(names: &[&str]) -> Self {
        let jobs = Self::default();
        for name in names {
            jobs.held().define(None, spec(name, Work::Archive), Origin::Pipeline, false, BTreeMap::new());
        }
        jobs
    }

    /// With a job that the pipeline's files define.
    pub(crate) fn and(self, spec: JobSpec) -> Self {
        self.held().define(None, spec, Origin::Pipeline, false, BTreeMap::new());
        self
    }

    /// Every run goes one step on: from waiting to running, or to the end that was asked for.
    pub(crate) fn step(&self) {
        let mut held = self.held();
        let now = held.tick();
        let mut runs = std::mem::take(&mut held.runs);
        runs.iter_mut().for_each(|run| step(run, now));
        held.runs = runs;
    }

    /// Ends the running tasks of a run: with an output, or with an error.
    pub(crate) fn end(&self, run: i64, came_to: Result<&str, &str>) {
        let mut held = self.held();
        let now = held.tick();
        let Some(run) = held.runs.iter_mut().find(|of| of.id.0 == run) else { panic!("no run {run}") };
        for task in run.tasks.iter_mut().filter(|task| task.state == TaskState::Running) {
            end(task, now, came_to);
        }
        settle(run, now);
    }

    /// The numbers of the runs that have tasks running.
    pub(crate) fn busy(&self) -> Vec<(i64, Work)> {
        let held = self.held();
        let running = |run: &Run| {
            run.tasks.iter().find(|task| task.state == TaskState::Running).map(|task| (run.id.0, task.spec.work.clone()))
        };
        held.runs.iter().filter_map(running).collect()
    }

    /// Changes a run at will.
    pub(crate) fn change(&self, id: i64, change: impl FnOnce(&mut Run)) {
        change(self.held().runs.iter_mut().find(|run| run.id.0 == id).unwrap());
    }

    /// A run as it is.
    pub(crate) fn at(&self, id: i64) -> Run {
        self.held().run(RunId(id)).unwrap()
    }

    /// Writes a task's log.
    pub(crate) fn write(&self, task: i64, lines: &[&str]) {
        self.held().logs.insert(RunId(task), lines.iter().map(|line| (*line).to_owned()).collect());
    }

    /// A job as it is.
    pub(crate) fn named(&self, name: &str) -> Job {
        self.held().find(&JobKey::Name(name.to_owned())).unwrap()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    fn ask(&self, what: String) -> Result<MutexGuard<'_, Held>> {
        self.asked.lock().unwrap().push(what);
        self.fails.clone().map_or(Ok(()), Err)?;
        Ok(self.held())
    }
}

impl Held {
    fn tick(&mut self) -> Timestamp {
        self.ticks += 1;
        Timestamp(START_MS + self.ticks * 1000)
    }

    fn id(&mut self) -> i64 {
        self.ids += 1;
        self.ids
    }

    fn find(&self, key: &JobKey) -> Result<Job> {
        let is = |job: &&Job| match key {
            JobKey::Id(id) => job.id == *id,
            JobKey::Name(name) => job.spec.name == *name,
        };
        self.jobs.iter().find(is).cloned().ok_or_else(|| Error::not_found(format!("{key:?} does not exist")))
    }

    fn run(&self, id: RunId) -> Result<Run> {
        let is = |run: &&Run| run.id == id || run.tasks.iter().any(|task| task.id == id);
        self.runs.iter().find(is).cloned().ok_or_else(|| Error::not_found(format!("run {id} does not exist")))
    }

    fn define(&mut self, id: Option<i64>, spec: JobSpec, origin: Origin, paused: bool, notes: BTreeMap<String, String>) -> i64 {
        let id = id.unwrap_or_else(|| self.id());
        let created_at = self.tick();
        self.jobs.retain(|job| job.id != id);
        let version = "0123456789ab".to_owned();
        self.jobs.push(Job {
            id,
            spec,
            version,
            origin,
            paused,
            next_at: None,
            created_at,
            queued: 0,
            running: 0,
            last: None,
            notes,
        });
        id
    }

    fn add(&mut self, run: Run, token: Option<String>) -> RunId {
        if let Some(known) = token.as_ref().and_then(|token| self.tokens.get(token)) {
            return *known;
        }
        let id = run.id;
        self.tokens.extend(token.map(|token| (token, id)));
        self.runs.push(run);
        id
    }

    fn make(&mut self, spec: JobSpec, job_id: i64, kind: RunKind, cause: String) -> Run {
        let id = self.id();
        self.ids += i64::try_from(spec.tasks.len()).unwrap();
        let cause = Cause { text: cause, ..Cause::default() };
        Run { job_id, kind, cause, created_at: self.tick(), ..jobs::run(id, spec) }
    }
}

fn step(run: &mut Run, now: Timestamp) {
    match run.state {
        RunState::Queued => {
            (run.state, run.started_at) = (RunState::Running, Some(now));
            settle(run, now);
        }
        RunState::Running if run.reason.is_some() => {
            for task in run.tasks.iter_mut().filter(|task| !task.state.has_ended()) {
                (task.state, task.reason) = (TaskState::Failed, Some(EndReason::Cancelled));
            }
            settle(run, now);
        }
        RunState::Running => {
            for task in run.tasks.iter_mut().filter(|task| matches!(task.state, TaskState::Queued | TaskState::Retrying)) {
                let number = u32::try_from(task.attempts.len()).unwrap() + 1;
                task.attempts.push(Attempt { generation: run.generation, ..jobs::attempt(number, now) });
                task.state = TaskState::Running;
                if let Work::Refused { reason } = task.spec.work.clone() {
                    end(task, now, Err(&reason));
                }
            }
            settle(run, now);
        }
        RunState::Succeeded | RunState::Failed => {}
    }
}

fn end(task: &mut TaskRun, now: Timestamp, came_to: Result<&str, &str>) {
    let retries = task.spec.retries.count;
    let tried = u32::try_from(task.attempts.len()).unwrap();
    let last = task.attempts.last_mut().unwrap();
    last.ended_at = Some(now);
    match came_to {
        Ok(output) => (task.state, last.output) = (TaskState::Succeeded, Some(output.to_owned())),
        Err(message) => {
            (last.message, last.reason) = (message.to_owned(), Some(EndReason::Failed));
            (task.state, task.reason) =
                if tried <= retries { (TaskState::Retrying, None) } else { (TaskState::Failed, Some(EndReason::Failed)) };
        }
    }
}

/// Lets tasks go on whose tasks have ended, and ends the run with its last one.
fn settle(run: &mut Run, now: Timestamp) {
    for number in 0..run.tasks.len() {
        let task = &run.tasks[number];
        let before: Vec<_> = task.spec.after.iter().map(|name| run.task(name).unwrap().state).collect();
        if task.state != TaskState::Waiting || !before.iter().all(|state| state.has_ended()) {
            continue;
        }
        let goes_on = task.spec.waits == Waits::AllDone || before.iter().all(|state| *state == TaskState::Succeeded);
        let task = &mut run.tasks[number];
        (task.state, task.reason) =
            if goes_on { (TaskState::Queued, None) } else { (TaskState::Failed, Some(EndReason::Upstream)) };
    }
    if run.tasks.iter().all(|task| task.state.has_ended()) {
        let failed = run.tasks.iter().find(|task| task.state == TaskState::Failed);
        run.state = if failed.is_some() { RunState::Failed } else { RunState::Succeeded };
        run.reason = run.reason.or(failed.and_then(|task| task.reason));
        run.ended_at = Some(now);
    }
}

#[async_trait]
impl Jobs for FakeJobs {
    fn scheduler(&self) -> SchedulerState {
        SchedulerState { ticked_at: self.ticked_at, problems: self.problems.clone(), queued: 1, running: 2 }
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = self.ask("jobs".to_owned())?.jobs.clone();
        jobs.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
        Ok(jobs)
    }

    async fn job(&self, key: &JobKey) -> Result<Job> {
        self.ask(format!("job {key:?}"))?.find(key)
    }

    async fn define(&self, job: NewJob) -> Result<i64> {
        let mut held = self.ask(format!("define {:?} {} {} {:?}", job.id, job.spec.name, job.paused, job.notes))?;
        if held.jobs.iter().any(|known| known.spec.name == job.spec.name && Some(known.id) != job.id) {
            return Err(Error::conflict(format!("the job '{}' exists", job.spec.name)));
        }
        if held.jobs.iter().any(|known| Some(known.id) == job.id && known.origin == Origin::Pipeline) {
            return Err(Error::conflict(format!("job '{}' is the pipeline's: change its files", job.spec.name)));
        }
        Ok(held.define(job.id, job.spec, Origin::Api, job.paused, job.notes))
    }

    async fn delete(&self, key: &JobKey) -> Result<()> {
        let mut held = self.ask(format!("delete {key:?}"))?;
        let job = held.find(key)?;
        if job.origin == Origin::Pipeline {
            return Err(Error::conflict("the pipeline's files define the job"));
        }
        held.jobs.retain(|known| known.id != job.id);
        Ok(())
    }

    async fn pause(&self, key: &JobKey, paused: bool) -> Result<()> {
        let mut held = self.ask(format!("pause {key:?} {paused}"))?;
        let id = held.find(key)?.id;
        held.jobs.iter_mut().find(|job| job.id == id).unwrap().paused = paused;
        Ok(())
    }

    async fn start(&self, run: NewRun) -> Result<RunId> {
        let mut held = self.ask(format!("start {run:?}"))?;
        let job = held.find(&run.job)?;
        let mut made = held.make(job.spec, job.id, RunKind::Manual, run.cause);
        made.parameters.extend(run.parameters);
        made.notes = run.notes;
        Ok(held.add(made, run.token))
    }

    async fn submit(&self, submission: Submission) -> Result<RunId> {
        let mut held = self.ask(format!("{submission:?}"))?;
        let same = |run: &&Run| !run.state.has_ended() && run.spec == submission.spec && run.cause.text == submission.cause;
        if let Some(run) = held.runs.iter().find(same).filter(|_| submission.join) {
            return Ok(run.id);
        }
        let mut made = held.make(submission.spec, 0, RunKind::Submit, submission.cause);
        made.notes = submission.notes;
        Ok(held.add(made, submission.token))
    }

    /// Always of the one interval that there is.
    async fn backfill(&self, backfill: Backfill) -> Result<BackfillPlan> {
        self.ask(format!("{backfill:?}"))?.find(&backfill.job)?;
        let run = (!backfill.preview).then_some(RunId(daily::RUN));
        let intervals = vec![PlannedInterval { interval: daily::day(), run, before: Some(RunState::Failed) }];
        Ok(BackfillPlan { id: run.map(|_| 5), intervals, left_out: 4 })
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        let held = self.ask(format!("{filter:?}"))?;
        let job = filter.job.map(|key| held.find(&key).map(|job| job.id)).transpose()?;
        let fits = |run: &&Run| {
            job.is_none_or(|job| run.job_id == job)
                && (filter.states.is_empty() || filter.states.contains(&run.state))
                && (filter.kinds.is_empty() || filter.kinds.contains(&run.kind))
                && filter.since.is_none_or(|since| run.created_at >= since)
                && filter.until.is_none_or(|until| run.created_at <= until)
                && filter.before.is_none_or(|before| run.id < before)
        };
        Ok(held.runs.iter().rev().filter(fits).take(filter.limit.min(RunFilter::LIMIT_MAX)).map(Run::summary).collect())
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.ask(format!("run {id}"))?.run(id)
    }

    async fn cancel(&self, id: RunId) -> Result<()> {
        let mut held = self.ask(format!("cancel {id}"))?;
        let now = held.tick();
        let id = held.run(id)?.id;
        let run = held.runs.iter_mut().find(|run| run.id == id).unwrap();
        match run.state {
            RunState::Queued => {
                (run.state, run.reason, run.ended_at) = (RunState::Failed, Some(EndReason::Cancelled), Some(now));
                run.tasks.iter_mut().for_each(|task| (task.state, task.reason) = (TaskState::Failed, Some(EndReason::Cancelled)));
            }
            RunState::Running => run.reason = Some(EndReason::Cancelled),
            RunState::Succeeded | RunState::Failed => {}
        }
        Ok(())
    }

    async fn rerun(&self, id: RunId, again: Again) -> Result<()> {
        let mut held = self.ask(format!("rerun {id} {again:?}"))?;
        let id = held.run(id)?.id;
        let run = held.runs.iter_mut().find(|run| run.id == id).unwrap();
        if !run.state.has_ended() {
            return Err(Error::conflict("the run has not ended"));
        }
        (run.state, run.reason, run.ended_at) = (RunState::Running, None, None);
        run.generation += 1;
        for task in run.tasks.iter_mut().filter(|task| task.state == TaskState::Failed) {
            (task.state, task.reason) = (TaskState::Waiting, None);
        }
        let now = held.tick();
        settle(held.runs.iter_mut().find(|run| run.id == id).unwrap(), now);
        Ok(())
    }

    async fn forget(&self, id: RunId) -> Result<()> {
        let mut held = self.ask(format!("forget {id}"))?;
        if !held.run(id)?.state.has_ended() {
            return Err(Error::conflict("the run has not ended"));
        }
        held.runs.retain(|run| run.id != id);
        Ok(())
    }

    async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage> {
        let held = self.ask(format!("log {task} {attempt:?} {after} {wait:?}"))?;
        let lines = held.logs.get(&task).ok_or_else(|| Error::not_found("no attempt"))?;
        let line = |(number, text): (i64, &String)| LogLine {
            number,
            at: Timestamp(START_MS),
            level: "info".to_owned(),
            text: text.clone(),
        };
        // Two a page, so that whoever reads must go on.
        let lines = (1..).zip(lines).filter(|(number, _)| *number > after).take(2).map(line).collect();
        Ok(LogPage { attempt: attempt.unwrap_or(1), lines, ended: true })
    }

    fn events(&self) -> BoxStream<'static, Event> {
        futures::stream::iter(self.held().events.clone()).boxed()
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        Ok(self.ask("alerts".to_owned())?.alerts.clone())
    }
}
