//! Settings as definitions: what is kept, what is refused.

use std::time::Duration;

use pinlake_core::jobs::{JobSpec, Waits, Work};
use serde_json::{Value, json};

use super::{ARGUMENTS, Fields, Known, job, submission};
use crate::databricks::NotebookRule;

fn with<T>(settings: &Value, read: impl FnOnce(&Fields<'_>, Known<'_>) -> T) -> T {
    let rules = [NotebookRule { pattern: "/**/loop".to_owned(), job: "loop".to_owned() }];
    read(&Fields::of(settings.as_object().unwrap()), Known { jobs: &[], rules: &rules, own: None })
}

fn submitted(request: &Value) -> Result<JobSpec, String> {
    with(request, submission).map_err(|failure| format!("{failure:?}"))
}

fn notebook(key: &str, after: &[&str]) -> Value {
    let after: Vec<Value> = after.iter().map(|key| json!({ "task_key": key })).collect();
    json!({ "task_key": key, "notebook_task": { "notebook_path": format!("/x/{key}") }, "depends_on": after })
}

#[test]
fn tasks_come_behind_those_that_they_wait_for() {
    let spec = submitted(
        &json!({ "tasks": [notebook("c", &["a", "b"]), notebook("b", &["a"]), notebook("a", &[]), notebook("d", &[])] }),
    );
    let spec = spec.unwrap();
    let names: Vec<&str> = spec.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["a", "d", "b", "c"]);
    assert_eq!(spec.name, "Untitled");
}

#[test]
fn tasks_that_can_never_run_are_refused() {
    for (tasks, problem) in [
        (json!([notebook("a", &["b"]), notebook("b", &["a"])]), "wait for each other: a, b"),
        (json!([notebook("a", &["a"])]), "wait for each other: a"),
        (json!([notebook("a", &["x"])]), "has no task 'x', on which 'a' depends"),
        (json!([notebook("a", &[]), notebook("a", &[])]), "'a' twice"),
        (json!([{"task_key": "a"}]), "exactly one of notebook_task"),
        (
            json!([{"task_key": "a", "notebook_task": {"notebook_path": "/x"}, "run_job_task": {"job_id": 1}}]),
            "not notebook_task, run_job_task",
        ),
        (json!([{"notebook_task": {"notebook_path": "/x"}}]), "Missing required field: tasks[0].task_key"),
        (json!([{"task_key": "a b", "notebook_task": {"notebook_path": "/x"}}]), "'tasks[0].task_key' takes up to 100 letters"),
        (json!([{"task_key": "a", "notebook_task": {}}]), "Missing required field: tasks[0].notebook_task.notebook_path"),
        (json!([{"task_key": "a", "notebook_task": 3}]), "'tasks[0].notebook_task' takes an object"),
        (
            json!([{"task_key": "a", "notebook_task": {"notebook_path": "/x"}, "run_if": "ALL_FAILED"}]),
            "takes ALL_SUCCESS or ALL_DONE here, not ALL_FAILED",
        ),
        (
            json!([{"task_key": "a", "notebook_task": {"notebook_path": "/x"}, "timeout_seconds": -1}]),
            "'tasks[0].timeout_seconds' takes 0 to",
        ),
        (
            json!([{"task_key": "a", "notebook_task": {"notebook_path": "/x"}, "max_retries": -2}]),
            "'tasks[0].max_retries' takes -1 to",
        ),
        (json!([]), "Missing required field: tasks"),
        (Value::from(vec![notebook("a", &[]); 1001]), "takes up to 1000 tasks"),
    ] {
        let error = submitted(&json!({ "tasks": tasks })).unwrap_err();
        assert!(error.contains(problem), "{error} does not hold {problem}");
    }
}

#[test]
fn limits_and_conditions_are_kept() {
    let task = json!({
        "task_key": "a", "run_if": "ALL_DONE", "timeout_seconds": "60", "max_retries": 3, "min_retry_interval_millis": 2000,
        "run_job_task": { "job_id": 1 }, "existing_cluster_id": "c", "unheard_of": {},
    });
    let spec = submitted(&json!({ "run_name": "r", "timeout_seconds": 90, "tasks": [task] })).unwrap();
    let task = &spec.tasks[0];
    assert_eq!((task.waits, task.timeout.unwrap().0), (Waits::AllDone, Duration::from_secs(60)));
    assert_eq!(spec.timeout.unwrap().0, Duration::from_secs(90));
    // It is refused, and would be the next time too.
    assert_eq!((task.retries.count, task.retries.delay.0), (0, Duration::from_secs(2)));
    assert!(matches!(&task.work, Work::Refused { reason } if reason.contains("the job 1")));
}

#[test]
fn a_submit_without_tasks_is_one_named_after_it() {
    let spec =
        submitted(&json!({ "run_name": "submit run/1", "notebook_task": { "notebook_path": "/x" }, "timeout_seconds": 5 }))
            .unwrap();
    assert_eq!((spec.name.as_str(), spec.tasks.len(), spec.tasks[0].name.as_str()), ("submit run/1", 1, "submit_run_1"));
    assert_eq!((spec.tasks[0].timeout, spec.timeout.unwrap().0), (None, Duration::from_secs(5)));
}

#[test]
fn every_other_kind_says_why_not() {
    for kind in ["condition_task", "for_each_task", "dbt_task", "pipeline_task", "spark_submit_task", "dashboard_task"] {
        let spec = submitted(&json!({ "tasks": [{ "task_key": "a", kind: {} }] })).unwrap();
        assert!(matches!(&spec.tasks[0].work, Work::Refused { reason } if reason.contains(kind)), "{kind}");
    }
    let spec = submitted(&json!({ "sql_task": { "query": { "query_id": "1" } } })).unwrap();
    assert!(matches!(&spec.tasks[0].work, Work::Refused { reason } if reason.contains("stored queries")));
}

#[test]
fn a_job_can_not_run_itself() {
    let settings = json!({ "name": "loop", "notebook_task": { "notebook_path": "/x/loop" } });
    let (spec, _) = with(&settings, job).unwrap();
    assert!(matches!(&spec.tasks[0].work, Work::Refused { reason } if reason.contains("can't run itself")));
}

#[test]
fn arguments_without_names_are_one_parameter() {
    let settings = json!({ "parameters": ["a", 1] });
    let found = super::arguments(&Fields::of(settings.as_object().unwrap())).unwrap();
    assert_eq!(found[ARGUMENTS], r#"["a","1"]"#);
}

#[test]
fn a_jobs_own_fields() {
    let settings = json!({
        "name": "n", "max_concurrent_runs": "4", "parameters": [{ "name": "p", "default": "1" }], "notebook_task": { "notebook_path": "/x" },
        "schedule": { "quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED" },
    });
    let (spec, paused) = with(&settings, job).unwrap();
    assert_eq!((spec.concurrency, spec.parameters["p"].as_str(), paused), (4, "1", true));
    for (field, value) in [
        ("max_concurrent_runs", json!(0)),
        ("parameters", json!([{}])),
        ("continuous", json!({})),
        ("name", json!("x".repeat(5000))),
    ] {
        let mut settings = settings.clone();
        settings[field] = value;
        let error = with(&settings, job).unwrap_err();
        assert!(format!("{error:?}").contains(field), "{error:?}");
    }
}
