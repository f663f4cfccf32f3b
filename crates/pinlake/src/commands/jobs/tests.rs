//! What is printed of jobs and runs, and what is asked for.

use pinlake_core::Timestamp;
use pinlake_web::jobs::answers::{BackfillInterval, LogAnswer, LogLineAnswer, RunSummary, TaskAnswer};
use serde_json::{Value, json};

use super::follow::{Line, Place};
use super::*;

fn summary(id: i64, state: &str, reason: Option<&str>) -> Value {
    json!({
        "id": id, "name": "daily", "job_id": 7, "kind": "schedule", "state": state, "reason": reason, "message": "",
        "data": { "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z" },
        "created_at_ms": 1_772_409_600_000_i64, "started_at_ms": 1_772_409_600_000_i64, "ended_at_ms": 1_772_409_665_000_i64,
    })
}

fn attempt(number: u32, reason: Option<&str>, message: &str) -> Value {
    json!({
        "number": number, "generation": 1, "owner": "p", "started_at_ms": 1_772_409_600_000_i64, "ended_at_ms": 1_772_409_601_500_i64,
        "reason": reason, "message": message, "output": null,
    })
}

fn task(name: &str, state: &str, reason: Option<&str>, attempts: &[Value]) -> TaskAnswer {
    serde_json::from_value(json!({
        "id": 12, "name": name, "kind": "archive", "after": [], "state": state, "reason": reason, "not_before_ms": null,
        "child_run_id": null, "attempts": attempts,
    }))
    .unwrap()
}

fn run_of(state: &str, tasks: &[TaskAnswer]) -> RunAnswer {
    let mut run = summary(11, state, None);
    let more = json!({
        "cause": { "text": "schedule", "parent": null, "backfill_id": null, "missed": 2 }, "parameters": { "category": "art" },
        "generation": 1, "version": "0123456789ab", "definition": { "name": "daily", "concurrency": 1, "tasks": [] }, "tasks": tasks,
    });
    run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(run).unwrap()
}

/// The words of a table, a line each.
fn words(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn paths_hold_any_name() {
    assert_eq!(path(&["jobs", "daily"], &[]), "/api/v1/jobs/daily");
    assert_eq!(path(&["jobs", "a b/c?d%#ä", "run"], &[]), "/api/v1/jobs/a%20b%2Fc%3Fd%25%23%C3%A4/run");
    assert_eq!(path(&["runs"], &[("job", "a&b=c d"), ("limit", "3")]), "/api/v1/runs?job=a%26b%3Dc+d&limit=3");
}

#[test]
fn jobs_are_listed_with_next_and_last_run() {
    let job = |name: &str, paused: bool, last: Value| {
        json!({
            "id": 7, "name": name, "version": "0123456789ab", "origin": "pipeline", "paused": paused,
            "schedule": { "text": "0 6 * * *", "timezone": "Europe/London" }, "next_at_ms": 1_772_496_000_000_i64,
            "created_at_ms": 0, "queued": 1, "running": 2, "last": last,
        })
    };
    let scheduler = json!({ "ticked_at_ms": 1_772_409_605_000_i64, "problems": [], "queued": 1, "running": 2 });
    let jobs = [job("daily", false, summary(11, "failed", Some("TIMED_OUT"))), job("off", true, Value::Null)];
    let list: JobList = serde_json::from_value(json!({ "jobs": jobs, "scheduler": scheduler })).unwrap();
    let expected = [
        "job schedule next run, UTC last run queued running",
        "daily 0 6 * * * Europe/London 2026-03-03 00:00 11 failed (TIMED_OUT) 1 2",
        "off 0 6 * * * Europe/London paused 1 2",
    ];
    assert_eq!(words(&shown::jobs(&list.jobs)), expected);
    assert_eq!(shown::scheduler(&list.scheduler), "scheduler: 1 queued, 2 running; it last looked at 2026-03-02 00:00:05");
}

#[test]
fn what_is_wrong_is_shown_by_its_kind() {
    let shown = |kind: &str| {
        let problem = json!({ "kind": kind, "message": "a defect in words\n" });
        shown::problem(&serde_json::from_value(problem).unwrap())
    };
    assert_eq!(shown("definition"), "the last good definition runs on: a defect in words\\n");
    assert_eq!(shown("data"), "a defect in words\\n");
    assert_eq!(shown("defect"), "a defect in words\\n");
}

#[test]
fn runs_are_listed_with_the_data_that_they_stand_for() {
    let runs: Vec<RunSummary> = serde_json::from_value(json!([summary(11, "failed", Some("UPSTREAM"))])).unwrap();
    let expected = "11 daily schedule 2026-03-01 00:00 to 2026-03-02 00:00 failed (UPSTREAM) 2026-03-02 00:00:00 1m 5s";
    assert_eq!(words(&shown::runs(&runs))[1], expected);
    let end = "run 11 of daily failed (UPSTREAM) after 1m 5s, data from 2026-03-01 00:00 to 2026-03-02 00:00 UTC";
    assert_eq!(shown::end(&runs[0]), end);
}

#[test]
fn a_run_is_shown_with_each_attempt() {
    let attempts = vec![attempt(1, Some("LOST_PROCESS"), "gone"), attempt(2, None, "3 objects\nmore")];
    let tasks = vec![task("archive", "succeeded", None, &attempts), task("rebuild", "failed", Some("UPSTREAM"), &[])];
    let expected = [
        "run 11 of daily running",
        "data from 2026-03-01 00:00 to 2026-03-02 00:00 UTC",
        "made 2026-03-02 00:00:00 UTC by schedule, 2 times of the schedule passed over, took 1m 5s",
        "parameters: category=art",
        "",
        "task does state attempt began took ended by message",
        "archive archive 1 2026-03-02 00:00:00 1.5s LOST_PROCESS gone",
        "archive archive succeeded 2 2026-03-02 00:00:00 1.5s 3 objects",
        "rebuild archive failed (UPSTREAM)",
    ];
    assert_eq!(words(&shown::run(&run_of("running", &tasks))), expected);
}

#[test]
fn a_backfill_is_shown_up_to_a_bound() {
    let data: Value = summary(1, "queued", None)["data"].clone();
    let one: BackfillInterval = serde_json::from_value(json!({ "data": data, "run_id": 4, "before": "failed" })).unwrap();
    let plan = |number| BackfillAnswer { backfill_id: Some(1), intervals: vec![one; number], left_out: 0 };
    assert_eq!(words(&shown::intervals(&plan(1))), ["data, UTC run before", "2026-03-01 00:00 to 2026-03-02 00:00 4 failed"]);
    let many = words(&shown::intervals(&plan(502)));
    assert_eq!((many.len(), many.last().unwrap().as_str()), (502, "and 2 more"));
}

#[test]
fn nothing_that_a_task_says_moves_the_terminal() {
    assert_eq!(shown::plain("a\u{1b}[2J\tb\u{9b}\r"), "a\\u{1b}[2J\tb\\u{9b}\\r");
    let line = LogLineAnswer { number: 1, at_ms: Timestamp(0), level: "warn".to_owned(), text: "one\n\u{7}two".to_owned() };
    assert_eq!(shown::log_line(Some("t"), &line), "1970-01-01 00:00:00 t: warn: one\n    \\u{7}two");
    assert_eq!(shown::brief(&"ä".repeat(130)).chars().count(), 121);
}

fn page(lines: std::ops::Range<i64>, ended: bool) -> LogAnswer {
    let line = |number| LogLineAnswer { number, at_ms: Timestamp(0), level: "info".to_owned(), text: format!("line {number}") };
    LogAnswer { task: "archive".to_owned(), attempt: 1, lines: lines.map(line).collect(), ended }
}

/// What a follower tells of a task, without the time.
fn told(follower: &mut Follower, task: &TaskAnswer) -> Option<String> {
    follower.change(task).map(|line| line.text)
}

fn texts(lines: Vec<Line>) -> Vec<String> {
    lines.into_iter().map(|line| line.text).collect()
}

#[test]
fn a_follower_tells_each_change_once() {
    let mut follower = Follower::of_all();
    let queued = task("archive", "queued", None, &[]);
    let head = "run 11 of daily, data from 2026-03-01 00:00 to 2026-03-02 00:00 UTC";
    assert_eq!(follower.head(&run_of("queued", &[])).as_deref(), Some(head));
    assert_eq!((follower.head(&run_of("queued", &[])), told(&mut follower, &queued)), (None, None));
    let running = task("archive", "running", None, &[attempt(1, None, "")]);
    assert_eq!(told(&mut follower, &running).as_deref(), Some("archive runs"));
    assert_eq!(told(&mut follower, &running), None, "nothing new");
    let again = task("archive", "retrying", None, &[attempt(1, Some("FAILED"), "no room")]);
    assert_eq!(told(&mut follower, &again).as_deref(), Some("archive is tried again: no room"));
    let both = vec![attempt(1, Some("FAILED"), "no room"), attempt(2, Some("TIMED_OUT"), "too long")];
    assert_eq!(told(&mut follower, &task("archive", "running", None, &both)).as_deref(), Some("archive runs, attempt 2"));
    let failed = task("archive", "failed", Some("TIMED_OUT"), &both);
    assert_eq!(told(&mut follower, &failed).as_deref(), Some("archive failed (TIMED_OUT): too long"));
    let mut logs = Follower::of_logs(None);
    assert_eq!((logs.head(&run_of("failed", &[])), told(&mut logs, &failed)), (None, None), "logs alone tell nothing else");
}

#[test]
fn a_follower_tells_a_finding_once() {
    let place = Place { attempt: 1, after: 0, ended: false };
    let errors = |texts: &[&str]| {
        let line = |(number, text): (i64, &&str)| LogLineAnswer {
            number,
            at_ms: Timestamp(0),
            level: "error".to_owned(),
            text: (*text).to_owned(),
        };
        LogAnswer { task: "look".to_owned(), attempt: 1, lines: (1..).zip(texts).map(line).collect(), ended: true }
    };
    let failed = |message: &str| task("look", "failed", Some("FAILED"), &[attempt(1, Some("FAILED"), message)]);
    let mut follower = Follower::of_all();
    let lines = follower.took("look", place, &errors(&["a found [1]", "b found [2]", "FAILED: a found [1]; b found [2]"]));
    let error = |text: &str| format!("1970-01-01 00:00:00 look: error: {text}");
    assert_eq!(texts(lines), [error("a found [1]"), error("b found [2]")]);
    assert_eq!(told(&mut follower, &failed("a found [1]; b found [2]")).as_deref(), Some("look failed (FAILED)"));
    let mut follower = Follower::of_all();
    assert_eq!(follower.took("look", place, &errors(&["FAILED: no answer"])), [], "the end says it");
    assert_eq!(told(&mut follower, &failed("no answer")).as_deref(), Some("look failed (FAILED): no answer"));
    assert_eq!(Follower::of_logs(None).took("look", place, &errors(&["FAILED: no answer"])).len(), 1, "a log is shown whole");
    let mut run = run_of("failed", &[failed("no answer")]);
    run.summary.message = "task 'look': no answer".to_owned();
    assert!(!shown::end_told(&run).contains("no answer"), "{}", shown::end_told(&run));
    run.summary.message = "its job was deleted".to_owned();
    assert!(shown::end_told(&run).contains("its job was deleted"));
}

#[test]
fn lines_of_several_tasks_stand_in_the_order_of_their_times() {
    let line = |at, text: &str| Line { at: Timestamp(at), text: text.to_owned() };
    let first = vec![line(5, "a logs"), line(7, "a succeeded")];
    // Its clock's lines never stand behind its end.
    let second = vec![line(7, "b runs"), line(9, "b logs"), line(8, "b failed")];
    let never_ran = vec![line(i64::MAX, "c failed")];
    let wanted = ["a logs", "a succeeded", "b runs", "b logs", "b failed", "c failed"];
    assert_eq!(follow::in_order(vec![first, second, never_ran]), wanted);
}

#[test]
fn a_job_is_shown_with_what_starts_and_bounds_it() {
    let definition = json!({
        "name": "daily", "schedule": { "text": "@daily", "timezone": "UTC" }, "missed": "all", "concurrency": 2, "timeout": "2h",
        "triggers": [
            { "rows": { "table": "pin", "rows": 50 } }, { "version": { "table": "geo" } },
            { "records": { "topic": "a.pin", "records": 5 } }, { "object": { "url": "s3://b/f/" } },
        ],
        "parameters": { "category": "art" }, "starts_within": "10m", "expected": "30m",
        "tasks": [
            { "name": "load", "work": "archive", "retries": { "count": 2, "delay": "30s", "delay_max": "10m" }, "timeout": "1h" },
            { "name": "ask", "work": { "refused": { "reason": "no notebook" } }, "after": ["load"], "waits": "all_done", "pool": "heavy" },
        ],
    });
    let detail = json!({
        "id": 7, "name": "daily", "version": "0123456789ab", "origin": "pipeline", "paused": false,
        "schedule": { "text": "@daily", "timezone": "UTC" }, "next_at_ms": 1_772_496_000_000_i64, "created_at_ms": 0, "queued": 0,
        "running": 0, "last": null, "definition": definition, "runs": [],
    });
    let job = serde_json::from_value(detail).unwrap();
    let expected = [
        "daily, version 0123456789ab, of the pipeline",
        "runs @daily UTC",
        "next run: 2026-03-03 00:00",
        "runs on: 50 new rows of table pin",
        "runs on: a new version of table geo",
        "runs on: 5 new records of topic a.pin",
        "runs on: a new object below s3://b/f/",
        "missed times: each of them runs",
        "runs at once: 2",
        "timeout: 2h",
        "expected within: 30m",
        "alert if not begun within: 10m",
        "parameters: category=art",
        "",
        "task does after retries timeout pool",
        "load archive 2 after 30s to 10m 1h",
        "ask nothing: it can't be run here load (all done) heavy",
    ];
    assert_eq!(words(&shown::job(&job)), expected);
}

#[test]
fn a_follower_reads_each_line_once() {
    let two = task("archive", "running", None, &[attempt(1, Some("FAILED"), ""), attempt(2, None, "")]);
    let mut follower = Follower::of_all();
    let place = follower.place(&two).unwrap();
    assert_eq!(place, Place { attempt: 1, after: 0, ended: false });
    assert_eq!(follower.took("archive", place, &page(1..3, false)).len(), 2);
    let place = follower.place(&two).unwrap();
    assert_eq!(place, Place { attempt: 1, after: 2, ended: false });
    assert_eq!(texts(follower.took("archive", place, &page(3..4, true))), ["1970-01-01 00:00:00 archive: line 3"]);
    let place = follower.place(&two).unwrap();
    assert_eq!(place, Place { attempt: 2, after: 0, ended: false });
    follower.took("archive", place, &page(0..0, true));
    assert_eq!(follower.place(&two), None);
    let mut last = Follower::of_logs(Some("archive".to_owned()));
    assert_eq!(last.place(&two).unwrap().attempt, 2, "logs begin with the last attempt");
    let place = last.place(&two).unwrap();
    assert_eq!(texts(last.took("archive", place, &page(1..2, false))), ["1970-01-01 00:00:00 line 1"]);
    assert_eq!(last.place(&task("archive", "waiting", None, &[])).unwrap().after, 1);
    assert_eq!(Follower::of_all().place(&task("rebuild", "waiting", None, &[])), None);
}

#[test]
fn a_task_is_named_by_name_or_number() {
    let run = run_of("running", &[task("archive", "running", None, &[])]);
    assert_eq!((named(&run, "archive").unwrap(), named(&run, "12").unwrap()), ("archive".to_owned(), "archive".to_owned()));
    assert_eq!(named(&run, "x").unwrap_err().to_string(), "run 11 has no task 'x', it has archive");
}
