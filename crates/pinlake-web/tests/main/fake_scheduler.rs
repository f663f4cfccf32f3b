//! A scheduler that answers fixed things, remembers what it was asked and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use pinlake_core::jobs::{
    Again, Alert, Attempt, Backfill, BackfillPlan, Cause, EndReason, Event, Interval, Job, JobKey, JobSpec, LogLine, LogPage,
    NewJob, NewRun, Origin, PlannedInterval, Run, RunFilter, RunId, RunKind, RunState, RunSummary, SchedulerState, Submission,
    TaskRun, TaskState,
};
use pinlake_core::{Error, Result, Timestamp};
use pinlake_web::Jobs;
use serde_json::json;

/// Midnight of 2026-03-02, UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_772_409_600_000);

#[derive(Default)]
pub(crate) struct FakeScheduler {
    /// What it was asked, as debug text.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What it fails with.
    pub(crate) fails: Option<Error>,
    /// Jobs that were defined here.
    defined: Mutex<Vec<NewJob>>,
}

impl FakeScheduler {
    pub(crate) fn failing(error: Error) -> Self {
        Self { fails: Some(error), ..Self::default() }
    }

    /// What it was last asked.
    pub(crate) fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn ask(&self, what: String) -> Result<()> {
        self.asked.lock().unwrap().push(what);
        self.fails.clone().map_or(Ok(()), Err)
    }
}

/// The definition of the one job that is there, with every kind of work.
pub(crate) fn spec() -> JobSpec {
    let task = |name: &str, work: serde_json::Value, after: &[&str]| json!({ "name": name, "work": work, "after": after });
    let sql = json!({ "name": "no_nulls", "sql": "SELECT 1" });
    let tasks = json!([
        { "name": "archive", "work": "archive", "retries": { "count": 2, "delay": "30s", "delay_max": "10m" }, "timeout": "1h", "pool": "io" },
        task("rebuild", json!({ "rebuild": { "tables": ["pin"] } }), &["archive"]),
        task("check", json!({ "check": { "queries": [sql] } }), &["rebuild"]),
        task("questions", json!({ "questions": { "names": [] } }), &["check"]),
        task("compact", json!({ "compact": { "tables": [] } }), &[]),
        task("vacuum", json!({ "vacuum": { "tables": [], "keep": "7d" } }), &[]),
        task("sql", json!({ "sql": { "query": sql, "into": null } }), &[]),
        { "name": "http", "work": { "http": { "method": "POST", "url": "http://127.0.0.1/", "headers": { "a": "b" }, "body": "{}", "expect": [204] } },
          "after": ["check"], "waits": "all_done" },
        task("prove", json!({ "prove": { "deep": true } }), &[]),
        task("other", json!({ "job": { "name": "hourly", "parameters": { "a": "b" } } }), &[]),
        task("refused", json!({ "refused": { "reason": "no notebook" } }), &[]),
    ]);
    let triggers = json!([
        { "rows": { "table": "pin", "rows": 10 } }, { "version": { "table": "pin" } },
        { "records": { "topic": "a.pin", "records": 5 } }, { "object": { "url": "s3://b/f/" } }
    ]);
    serde_json::from_value(json!({
        "name": "daily", "schedule": { "text": "@daily", "timezone": "UTC" }, "triggers": triggers, "parameters": { "category": "all" },
        "timeout": "2h", "concurrency": 1, "starts_within": "5m", "expected": "10m", "tasks": tasks
    }))
    .unwrap()
}

fn job() -> Job {
    Job {
        id: 7,
        spec: spec(),
        version: "0123456789ab".to_owned(),
        origin: Origin::Pipeline,
        paused: false,
        next_at: Some(Timestamp(NOW.0 + 86_400_000)),
        created_at: Timestamp(NOW.0 - 1),
        queued: 1,
        running: 2,
        last: Some(run().summary()),
        notes: BTreeMap::from([("databricks".to_owned(), "{}".to_owned())]),
    }
}

pub(crate) fn day() -> Interval {
    Interval { from: Timestamp(NOW.0 - 86_400_000), to: NOW }
}

/// A run that failed, whose first task took two attempts.
pub(crate) fn run() -> Run {
    let attempt = |number, reason, message: &str| Attempt {
        number,
        generation: 1,
        owner: "p1".to_owned(),
        started_at: NOW,
        ended_at: Some(Timestamp(NOW.0 + 1500)),
        reason,
        message: message.to_owned(),
        output: None,
    };
    let task = |(number, spec): (i64, _), state, reason, attempts| TaskRun {
        id: RunId(12 + number),
        spec,
        state,
        reason,
        not_before: None,
        child: None,
        attempts,
    };
    let mut specs = (0..).zip(spec().tasks);
    let lost = attempt(1, Some(EndReason::LostProcess), "the process is gone");
    let tasks = vec![
        task(specs.next().unwrap(), TaskState::Succeeded, None, vec![lost, attempt(2, None, "3 objects")]),
        task(
            specs.next().unwrap(),
            TaskState::Failed,
            Some(EndReason::Failed),
            vec![attempt(1, Some(EndReason::Failed), "disk")],
        ),
        task(specs.next().unwrap(), TaskState::Failed, Some(EndReason::Upstream), vec![]),
    ];
    Run {
        id: RunId(11),
        name: "daily".to_owned(),
        job_id: 7,
        sequence: 1,
        spec: spec(),
        version: "0123456789ab".to_owned(),
        kind: RunKind::Schedule,
        cause: Cause { text: "schedule".to_owned(), parent: Some((RunId(3), "t".to_owned())), backfill: Some(2), missed: 1 },
        interval: Some(day()),
        parameters: BTreeMap::from([("category".to_owned(), "art".to_owned())]),
        state: RunState::Failed,
        reason: Some(EndReason::Failed),
        message: "task 'rebuild' failed".to_owned(),
        generation: 1,
        created_at: NOW,
        started_at: Some(NOW),
        ended_at: Some(Timestamp(NOW.0 + 5000)),
        tasks,
        notes: BTreeMap::new(),
    }
}

fn known_run(id: RunId) -> Result<()> {
    // Numbers of its tasks name it too.
    if (11..15).contains(&id.0) { Ok(()) } else { Err(Error::not_found(format!("run {id} does not exist"))) }
}

#[async_trait]
impl Jobs for FakeScheduler {
    fn scheduler(&self) -> SchedulerState {
        SchedulerState { ticked_at: Some(NOW), problems: vec!["pipeline.yml:3: no such task".to_owned()], queued: 1, running: 2 }
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        self.ask("jobs".to_owned())?;
        Ok(vec![job()])
    }

    async fn job(&self, key: &JobKey) -> Result<Job> {
        self.ask(format!("job {key:?}"))?;
        if *key == JobKey::Name("daily".to_owned()) || *key == JobKey::Id(7) {
            return Ok(job());
        }
        let defined = self.defined.lock().unwrap();
        let found =
            (8..).zip(defined.iter()).find(|(id, job)| *key == JobKey::Id(*id) || *key == JobKey::Name(job.spec.name.clone()));
        let (id, new) = found.ok_or_else(|| Error::not_found(format!("{key:?} does not exist")))?;
        Ok(Job { id, spec: new.spec.clone(), paused: new.paused, origin: Origin::Api, last: None, next_at: None, ..job() })
    }

    async fn define(&self, job: NewJob) -> Result<i64> {
        self.ask(format!("define {:?} {} {} {:?}", job.id, job.spec.name, job.paused, job.notes))?;
        if job.id == Some(7) {
            return Err(Error::conflict("job 'daily' is the pipeline's: change its files"));
        }
        let mut defined = self.defined.lock().unwrap();
        let id = job.id.unwrap_or_else(|| 8 + i64::try_from(defined.len()).unwrap());
        defined.push(job);
        Ok(id)
    }

    async fn delete(&self, key: &JobKey) -> Result<()> {
        self.ask(format!("delete {key:?}"))
    }

    async fn pause(&self, key: &JobKey, paused: bool) -> Result<()> {
        self.ask(format!("pause {key:?} {paused}"))
    }

    async fn start(&self, run: NewRun) -> Result<RunId> {
        self.ask(format!("start {run:?}"))?;
        match &run.job {
            JobKey::Name(name) if name == "daily" => Ok(RunId(11)),
            other => Err(Error::not_found(format!("{other:?} does not exist"))),
        }
    }

    async fn submit(&self, submission: Submission) -> Result<RunId> {
        panic!("the API submits nothing: {submission:?}")
    }

    async fn backfill(&self, backfill: Backfill) -> Result<BackfillPlan> {
        self.ask(format!("{backfill:?}"))?;
        let run = (!backfill.preview).then_some(RunId(11));
        let intervals = vec![PlannedInterval { interval: day(), run, before: Some(RunState::Failed) }];
        Ok(BackfillPlan { id: run.map(|_| 5), intervals, left_out: 4 })
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        let limit = filter.limit;
        self.ask(format!("{filter:?}"))?;
        let numbered = |id| RunSummary { id: RunId(id), ..run().summary() };
        Ok((2..12).rev().map(numbered).take(limit).collect())
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.ask(format!("run {id}"))?;
        known_run(id).map(|()| run())
    }

    async fn cancel(&self, id: RunId) -> Result<()> {
        self.ask(format!("cancel {id}"))?;
        known_run(id)
    }

    async fn rerun(&self, id: RunId, again: Again) -> Result<()> {
        self.ask(format!("rerun {id} {again:?}"))?;
        known_run(id)
    }

    async fn forget(&self, id: RunId) -> Result<()> {
        self.ask(format!("forget {id}"))?;
        known_run(id)
    }

    async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage> {
        self.ask(format!("log {task} {attempt:?} {after} {wait:?}"))?;
        let line = |number| LogLine { number, at: NOW, level: "info".to_owned(), text: format!("line {number}\n<b>") };
        Ok(LogPage { attempt: attempt.unwrap_or(2), lines: (after + 1..4).map(line).collect(), ended: true })
    }

    fn events(&self) -> BoxStream<'static, Event> {
        stream::iter([run().event(NOW, None), run().event(NOW, Some("rebuild"))]).boxed()
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.ask("alerts".to_owned())?;
        let alert = |recovered_at| Alert {
            key: "job/daily/failed".to_owned(),
            message: "it failed".to_owned(),
            since: NOW,
            recovered_at,
        };
        Ok(vec![alert(None), alert(Some(NOW))])
    }
}
