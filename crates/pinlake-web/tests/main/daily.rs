//! One job of the pipeline's files with every kind of work, a run of it that failed, and a job of a call.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{
    Alert, Attempt, Cause, EndReason, Interval, Job, JobSpec, Origin, Run, RunId, RunKind, RunState, TaskRun, TaskState, Work,
};
use pinlake_core::testing::jobs;
use serde_json::json;

/// Midnight of 2026-03-02, UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_772_409_600_000);
/// The number of the run.
pub(crate) const RUN: i64 = 11;

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

/// The job.
pub(crate) fn job() -> Job {
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

/// A job that a call defined.
pub(crate) fn report() -> Job {
    let spec = jobs::job("report", vec![jobs::task("archive", Work::Archive)]);
    Job { id: 8, spec, origin: Origin::Api, next_at: None, queued: 0, running: 0, last: None, notes: BTreeMap::new(), ..job() }
}

/// The data of the run.
pub(crate) fn day() -> Interval {
    Interval { from: Timestamp(NOW.0 - 86_400_000), to: NOW }
}

/// A run that failed, whose first task took two attempts.
pub(crate) fn run() -> Run {
    let attempt = |number, reason, message: &str| Attempt {
        ended_at: Some(Timestamp(NOW.0 + 1500)),
        reason,
        message: message.to_owned(),
        ..jobs::attempt(number, NOW)
    };
    let failed = Some(EndReason::Failed);
    let ends = [
        (
            TaskState::Succeeded,
            None,
            vec![attempt(1, Some(EndReason::LostProcess), "the process is gone"), attempt(2, None, "3 objects")],
        ),
        (TaskState::Failed, failed, vec![attempt(1, failed, "disk")]),
        (TaskState::Failed, Some(EndReason::Upstream), vec![]),
    ];
    let run = jobs::run(RUN, spec());
    let tasks = run.tasks.into_iter().zip(ends);
    Run {
        job_id: 7,
        kind: RunKind::Schedule,
        cause: Cause { text: "schedule".to_owned(), parent: Some((RunId(3), "t".to_owned())), backfill: Some(2), missed: 1 },
        interval: Some(day()),
        parameters: BTreeMap::from([("category".to_owned(), "art".to_owned())]),
        state: RunState::Failed,
        reason: failed,
        message: "task 'rebuild' failed".to_owned(),
        created_at: NOW,
        started_at: Some(NOW),
        ended_at: Some(Timestamp(NOW.0 + 5000)),
        tasks: tasks.map(|(task, (state, reason, attempts))| TaskRun { state, reason, attempts, ..task }).collect(),
        ..run
    }
}

/// An alert about it, and one that is over.
pub(crate) fn alerts() -> Vec<Alert> {
    let alert =
        |recovered_at| Alert { key: "job/daily/failed".to_owned(), message: "it failed".to_owned(), since: NOW, recovered_at };
    vec![alert(None), alert(Some(NOW))]
}
