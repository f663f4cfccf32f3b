//! Databricks' Jobs API from outside, over a scheduler that advances when it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use pinlake_core::Error;
use pinlake_core::jobs::{CronForm, JobKey, JobSpec, NewRun, PARENT_NOTE, RunKind, Schedule, Work};
use pinlake_core::secret::Secret;
use pinlake_web::Jobs;
use pinlake_web::databricks::{DatabricksSettings, NotebookRule, router};
use serde_json::{Value, json};

use super::fake::FakeConsole;
use super::fake_jobs::{FakeJobs, START_MS, spec};
use super::{Answer, send};

const VERSIONS: [&str; 3] = ["2.0", "2.1", "2.2"];

fn settings() -> DatabricksSettings {
    let rule = NotebookRule { pattern: "/**/Pinterest Batch*".to_owned(), job: "daily".to_owned() };
    DatabricksSettings {
        notebooks: vec![rule],
        address: "https://pinlake.example:8082/".to_owned(),
        ..DatabricksSettings::default()
    }
}

fn door(jobs: &Arc<FakeJobs>) -> Router {
    router(jobs.clone(), Arc::<FakeConsole>::default(), settings())
}

fn jobs() -> Arc<FakeJobs> {
    Arc::new(FakeJobs::with(&["daily", "weekly"]))
}

/// A call of version 2.1.
async fn call(jobs: &Arc<FakeJobs>, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    send(door(jobs), method, &format!("/api/2.1/{path}"), &[], body).await
}

async fn post(jobs: &Arc<FakeJobs>, path: &str, body: Value) -> Answer {
    call(jobs, "POST", path, body.to_string()).await
}

async fn ok(jobs: &Arc<FakeJobs>, path: &str, body: Value) -> Value {
    let answer = post(jobs, path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

async fn got(jobs: &Arc<FakeJobs>, path: &str) -> Value {
    let answer = call(jobs, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["error_code"], code, "{}", answer.body);
    let found = body["message"].as_str().unwrap();
    assert!(found.contains(message), "{found:?} does not hold {message:?}");
}

fn notebook(path: &str) -> Value {
    json!({ "notebook_task": { "notebook_path": path }, "existing_cluster_id": "1234-1", "run_name": "submit_run" })
}

/// Submits one notebook and answers the run's number.
async fn submitted(jobs: &Arc<FakeJobs>, path: &str) -> i64 {
    ok(jobs, "jobs/runs/submit", notebook(path)).await["run_id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_dag_of_one_task_runs_in_every_version() {
    for version in VERSIONS {
        let jobs = jobs();
        let submit = format!("/api/{version}/jobs/runs/submit");
        let answer = send(door(&jobs), "POST", &submit, &[], notebook("/Users/me@x.com/Pinterest Batch").to_string()).await;
        let id = answer.json()["run_id"].as_i64().unwrap();
        let life = async || {
            let path = format!("/api/{version}/jobs/runs/get?run_id={id}");
            let answer = send(door(&jobs), "GET", &path, &[], "").await.json();
            let task = answer["tasks"][0]["state"]["life_cycle_state"].clone();
            (answer["state"]["life_cycle_state"].clone(), task, answer)
        };
        assert_eq!((life().await.0, &life().await.2["status"]["state"]), (json!("PENDING"), &json!("QUEUED")));
        jobs.step();
        assert_eq!((life().await.0, life().await.1), (json!("RUNNING"), json!("PENDING")));
        jobs.step();
        assert_eq!(life().await.1, "RUNNING");
        assert_eq!(jobs.busy()[0].1, Work::Job { name: "daily".to_owned(), parameters: [].into() });
        jobs.end(id, Ok("42 rows"));
        let (_, _, run) = life().await;
        assert_eq!(run["state"]["result_state"], "SUCCESS");
        assert_eq!(run["run_page_url"], format!("https://127.0.0.1:8082/api/v1/runs/{id}"));
        assert_eq!(
            (&run["run_name"], &run["run_type"], &run["format"]),
            (&json!("submit_run"), &json!("SUBMIT_RUN"), &json!("SINGLE_TASK"))
        );
        let task = &run["tasks"][0];
        assert_eq!((&task["task_key"], &task["existing_cluster_id"]), (&json!("submit_run"), &json!("1234-1")));
        assert_eq!(task["notebook_task"]["notebook_path"], "/Users/me@x.com/Pinterest Batch");
        assert_eq!((&task["attempt_number"], &task["execution_duration"]), (&json!(0), &json!(1000)));
        assert_eq!(run["status"]["termination_details"]["code"], "SUCCESS");
        assert!(run["start_time"].as_i64().unwrap() > START_MS && run["end_time"].as_i64().unwrap() > START_MS);
        let output = format!("/api/{version}/jobs/runs/get-output?run_id={}", task["run_id"]);
        let output = send(door(&jobs), "GET", &output, &[], "").await.json();
        assert_eq!(output["notebook_output"], json!({ "result": "42 rows", "truncated": false }));
        assert_eq!((output.get("error"), &output["metadata"]["run_id"]), (None, &task["run_id"]));
    }
}

#[tokio::test]
async fn parameters_of_a_get_may_come_in_its_body() {
    let jobs = jobs();
    let id = submitted(&jobs, "/x/daily").await;
    let answer = call(&jobs, "GET", "jobs/runs/get", json!({ "run_id": id }).to_string()).await;
    assert_eq!(answer.json()["run_id"], id, "{}", answer.body);
    let answer = call(&jobs, "GET", "jobs/runs/get", json!({ "run_id": id.to_string() }).to_string()).await;
    assert_eq!(answer.json()["run_id"], id, "{}", answer.body);
}

#[tokio::test]
async fn a_fan_out_waits_fails_and_tells_why() {
    let jobs = jobs();
    let task = |key: &str, after: &[&str]| {
        let after: Vec<Value> = after.iter().map(|key| json!({ "task_key": key })).collect();
        json!({ "task_key": key, "depends_on": after, "notebook_task": { "notebook_path": "/x/daily", "base_parameters": { "day": 1 } } })
    };
    let mut second = task("clean", &["load"]);
    second["max_retries"] = 1.into();
    let tasks = json!([task("query", &["clean", "other"]), second, task("other", &["load"]), task("load", &[])]);
    let id = ok(&jobs, "jobs/runs/submit", json!({ "run_name": "fan", "tasks": tasks })).await["run_id"].as_i64().unwrap();
    let lives = async || {
        let run = got(&jobs, &format!("jobs/runs/get?run_id={id}")).await;
        let tasks = run["tasks"].as_array().unwrap().clone();
        let life = |task: &Value| format!("{} {}", task["task_key"], task["state"]["life_cycle_state"]).replace('"', "");
        (tasks.iter().map(life).collect::<Vec<_>>(), tasks)
    };
    jobs.step();
    assert_eq!(lives().await.0, ["load PENDING", "clean BLOCKED", "other BLOCKED", "query BLOCKED"]);
    jobs.step();
    jobs.end(id, Ok(""));
    jobs.step();
    jobs.end(id, Err("first"));
    assert_eq!(lives().await.0, ["load TERMINATED", "clean WAITING_FOR_RETRY", "other TERMINATED", "query BLOCKED"]);
    jobs.step();
    jobs.end(id, Err("division by zero in clean/pin.sql"));
    let (_, tasks) = lives().await;
    let result = |number: usize| tasks[number]["state"]["result_state"].as_str().unwrap().to_owned();
    assert_eq!([result(0), result(1), result(2), result(3)], ["SUCCESS", "FAILED", "FAILED", "UPSTREAM_FAILED"]);
    assert_eq!((&tasks[1]["attempt_number"], &tasks[1]["depends_on"]), (&json!(1), &json!([{ "task_key": "load" }])));
    assert_eq!(tasks[1]["notebook_task"]["base_parameters"], json!({ "day": 1 }));
    let task = tasks[1]["run_id"].as_i64().unwrap();
    jobs.write(task, &["one", "two", "three"]);
    let output = got(&jobs, &format!("jobs/runs/get-output?run_id={task}")).await;
    assert_eq!(output["error"], "division by zero in clean/pin.sql");
    assert_eq!(output["error_trace"], "attempt 1: FAILED: first\nattempt 2: FAILED: division by zero in clean/pin.sql\n");
    assert_eq!((&output["logs"], &output["logs_truncated"]), (&json!("one\ntwo\nthree\n"), &json!(false)));
    let answer = call(&jobs, "GET", &format!("jobs/runs/get-output?run_id={id}"), "").await;
    refused(&answer, 400, "INVALID_PARAMETER_VALUE", "multiple tasks is not supported");
    let one = got(&jobs, &format!("jobs/runs/get?run_id={task}")).await;
    assert_eq!((&one["run_id"], &one["job_run_id"], &one["run_name"]), (&json!(task), &json!(id), &json!("clean")));
    assert_eq!((one["tasks"].as_array().unwrap().len(), &one["state"]["result_state"]), (1, &json!("FAILED")));
}

#[tokio::test]
async fn a_notebook_without_a_job_ends_with_the_line_to_add() {
    let jobs = jobs();
    let id = submitted(&jobs, "/Users/me/Other").await;
    jobs.step();
    jobs.step();
    let run = got(&jobs, &format!("jobs/runs/get?run_id={id}")).await;
    assert_eq!(run["state"]["life_cycle_state"], "INTERNAL_ERROR");
    assert_eq!(run["state"]["result_state"], "FAILED");
    let output = got(&jobs, &format!("jobs/runs/get-output?run_id={id}")).await;
    for text in [&run["state"]["state_message"], &output["error"]] {
        assert!(text.as_str().unwrap().contains("- { match: \"/Users/me/Other\", job: \"daily\" }"), "{text}");
    }
}

#[tokio::test]
async fn a_silent_task_tells_what_its_job_said() {
    let jobs = jobs();
    let child = submitted(&jobs, "/x/daily").await;
    let id = submitted(&jobs, "/x/daily").await;
    jobs.step();
    jobs.step();
    jobs.end(child, Err("the archive is away"));
    jobs.end(id, Err(""));
    jobs.change(id, |run| run.tasks[0].child = Some(pinlake_core::jobs::RunId(child)));
    let output = got(&jobs, &format!("jobs/runs/get-output?run_id={id}")).await;
    assert_eq!((&output["error"], &output["run_job_output"]["run_id"]), (&json!("the archive is away"), &json!(child)));
}

#[tokio::test]
async fn tokens_and_equal_runs() {
    let jobs = jobs();
    let mut request = notebook("/x/daily");
    request["idempotency_token"] = "t".into();
    let first = ok(&jobs, "jobs/runs/submit", request.clone()).await;
    assert_eq!(ok(&jobs, "jobs/runs/submit", request.clone()).await, first);
    request["idempotency_token"] = "x".repeat(65).into();
    refused(
        &post(&jobs, "jobs/runs/submit", request).await,
        400,
        "INVALID_PARAMETER_VALUE",
        "'idempotency_token' takes up to 64",
    );
    assert_ne!(submitted(&jobs, "/x/weekly").await, submitted(&jobs, "/x/weekly").await);
    let joining = DatabricksSettings { join_equal: true, ..settings() };
    let mut found = Vec::new();
    for _ in 0..2 {
        let door = router(jobs.clone(), Arc::<FakeConsole>::default(), joining.clone());
        found.push(send(door, "POST", "/api/2.0/jobs/runs/submit", &[], notebook("/x/weekly").to_string()).await.body);
    }
    assert_eq!(found[0], found[1]);
    // Holders of different tokens don't get each other's.
    let tokens = vec![Secret::new("one"), Secret::new("two")];
    for (token, cause) in [("one", "databricks token 1"), ("two", "databricks token 2")] {
        let door =
            router(jobs.clone(), Arc::<FakeConsole>::default(), DatabricksSettings { tokens: tokens.clone(), ..joining.clone() });
        let header = format!("Bearer {token}");
        let answer =
            send(door, "POST", "/api/2.0/jobs/runs/submit", &[("authorization", &header)], notebook("/x/weekly").to_string())
                .await;
        assert_eq!(jobs.at(answer.json()["run_id"].as_i64().unwrap()).cause.text, cause);
        found.push(answer.body);
    }
    assert!(found[1] != found[2] && found[2] != found[3], "{found:?}");
}

#[tokio::test]
async fn a_run_s_page_is_at_the_listener_that_was_asked() {
    let jobs = jobs();
    let id = submitted(&jobs, "/x/daily").await;
    // The calls of these tests are for port 8082.
    let page = async |tls_port| {
        let settings = DatabricksSettings { address: "http://127.0.0.1:80".to_owned(), tls_port, ..settings() };
        let door = router(jobs.clone(), Arc::<FakeConsole>::default(), settings);
        send(door, "GET", &format!("/api/2.1/jobs/runs/get?run_id={id}"), &[], "").await.json()["run_page_url"].clone()
    };
    assert_eq!(page(Some(8082)).await, format!("https://127.0.0.1:8082/api/v1/runs/{id}"));
    assert_eq!(page(Some(8443)).await, format!("http://127.0.0.1:8082/api/v1/runs/{id}"));
    assert_eq!(page(None).await, format!("http://127.0.0.1:8082/api/v1/runs/{id}"));
}

#[tokio::test]
async fn runs_are_cancelled_repaired_and_deleted() {
    let jobs = jobs();
    let id = submitted(&jobs, "/x/daily").await;
    jobs.step();
    jobs.step();
    refused(&post(&jobs, "jobs/runs/delete", json!({ "run_id": id })).await, 400, "INVALID_STATE", "has not ended");
    // The task's number is as good.
    ok(&jobs, "jobs/runs/cancel", json!({ "run_id": (id + 1).to_string() })).await;
    let state = async || got(&jobs, &format!("jobs/runs/get?run_id={id}&include_history=true")).await;
    assert_eq!(state().await["state"]["life_cycle_state"], "TERMINATING");
    jobs.step();
    assert_eq!(
        (&state().await["state"]["result_state"], &state().await["state"]["user_cancelled_or_timedout"]),
        (&json!("CANCELED"), &json!(true))
    );
    assert_eq!(state().await["repair_history"].as_array().unwrap().len(), 1);
    refused(
        &post(&jobs, "jobs/runs/repair", json!({ "run_id": id })).await,
        400,
        "INVALID_PARAMETER_VALUE",
        "rerun_all_failed_tasks",
    );
    let repair = json!({ "run_id": id, "rerun_all_failed_tasks": true, "job_parameters": { "x": "1" } });
    refused(&post(&jobs, "jobs/runs/repair", repair).await, 400, "INVALID_PARAMETER_VALUE", "keeps its parameters");
    let repaired = ok(&jobs, "jobs/runs/repair", json!({ "run_id": id, "rerun_all_failed_tasks": true })).await;
    assert_eq!(repaired["repair_id"], 2);
    assert_eq!(
        (&state().await["repair_history"][1]["id"], &state().await["state"]["life_cycle_state"]),
        (&json!(2), &json!("RUNNING"))
    );
    jobs.step();
    jobs.end(id, Ok(""));
    assert_eq!(state().await["state"]["result_state"], "SUCCESS");
    ok(&jobs, "jobs/runs/delete", json!({ "run_id": id })).await;
    for path in ["get", "get-output"] {
        let answer = call(&jobs, "GET", &format!("jobs/runs/{path}?run_id={id}"), "").await;
        refused(&answer, 400, "INVALID_PARAMETER_VALUE", &format!("Run {id} does not exist."));
    }
    for path in ["cancel", "delete", "repair"] {
        let answer = post(&jobs, &format!("jobs/runs/{path}"), json!({ "run_id": 999, "rerun_all_failed_tasks": true })).await;
        refused(&answer, 400, "INVALID_PARAMETER_VALUE", "Run 999 does not exist.");
    }
}

#[tokio::test]
async fn jobs_are_made_changed_and_deleted_in_every_version() {
    for version in VERSIONS {
        let jobs = jobs();
        let call = async |method: &str, path: &str, body: Value| {
            send(door(&jobs), method, &format!("/api/{version}/jobs/{path}"), &[], body.to_string()).await
        };
        let made = json!({
            "name": "nightly", "max_concurrent_runs": 1, "tags": { "team": "x" },
            "schedule": { "quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "Europe/London", "pause_status": "UNPAUSED" },
            "tasks": [
                { "task_key": "b", "depends_on": [{ "task_key": "a" }], "run_job_task": { "job_id": jobs.named("weekly").id } },
                { "task_key": "a", "notebook_task": { "notebook_path": "/x/Pinterest Batch" }, "job_cluster_key": "c" },
            ],
            "job_clusters": [{ "job_cluster_key": "c", "new_cluster": { "num_workers": 2 } }],
        });
        let id = call("POST", "create", made.clone()).await.json()["job_id"].as_i64().unwrap();
        let get = async || call("GET", "get", json!({ "job_id": id })).await.json();
        assert_eq!(get().await["settings"], made);
        let spec = jobs.named("nightly").spec;
        assert_eq!(spec.schedule.as_ref().unwrap().form, CronForm::Quartz);
        let works: Vec<&Work> = spec.tasks.iter().map(|task| &task.work).collect();
        let work = |name: &str| Work::Job { name: name.to_owned(), parameters: [].into() };
        assert_eq!(works, [&work("daily"), &work("weekly")]);
        refused(&call("POST", "create", made).await, 409, "RESOURCE_ALREADY_EXISTS", "nightly");
        let new = json!({
            "name": "new", "max_concurrent_runs": null,
            "tasks": [{ "task_key": "b", "notebook_task": { "notebook_path": "/x/weekly" } }, { "task_key": "d", "notebook_task": { "notebook_path": "/x/weekly" } }],
        });
        let update = json!({ "job_id": id, "new_settings": new, "fields_to_remove": ["schedule", "tasks/a", "job_clusters"] });
        assert_eq!(call("POST", "update", update).await.body, "{}");
        let settings = get().await["settings"].clone();
        assert_eq!(
            (&settings["name"], settings.get("schedule"), &settings["max_concurrent_runs"]),
            (&json!("new"), None, &json!(1))
        );
        let keys: Vec<&Value> = settings["tasks"].as_array().unwrap().iter().map(|task| &task["task_key"]).collect();
        assert_eq!(keys, ["b", "d"]);
        let reset = json!({ "job_id": id.to_string(), "new_settings": { "name": "again", "notebook_task": { "notebook_path": "/x/daily" } } });
        assert_eq!(call("POST", "reset", reset).await.body, "{}");
        assert_eq!(get().await["settings"], json!({ "name": "again", "notebook_task": { "notebook_path": "/x/daily" } }));
        assert_eq!(jobs.named("again").id, id);
        assert_eq!(call("POST", "delete", json!({ "job_id": id })).await.body, "{}");
        for (method, path) in
            [("GET", "get"), ("POST", "delete"), ("POST", "update"), ("POST", "run-now"), ("POST", "runs/cancel-all")]
        {
            let answer = call(method, path, json!({ "job_id": id })).await;
            refused(&answer, 400, "INVALID_PARAMETER_VALUE", &format!("Job {id} does not exist."));
        }
        let answer = call("POST", "reset", json!({ "job_id": id, "new_settings": {} })).await;
        refused(&answer, 400, "INVALID_PARAMETER_VALUE", "does not exist.");
    }
}

#[tokio::test]
async fn the_pipelines_jobs_are_listed_and_may_only_be_paused() {
    let scheduled = JobSpec {
        schedule: Some(Schedule { text: "@daily".to_owned(), timezone: "UTC".to_owned(), form: CronForm::Unix }),
        parameters: [("day".to_owned(), "today".to_owned())].into(),
        ..spec("nightly", Work::Prove { deep: true })
    };
    let jobs = Arc::new(FakeJobs::default().and(scheduled));
    let job = got(&jobs, "jobs/get?job_id=1").await;
    let settings = &job["settings"];
    assert_eq!(
        settings["schedule"],
        json!({ "quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED" })
    );
    assert_eq!(settings["parameters"], json!([{ "name": "day", "default": "today" }]));
    assert_eq!((&settings["tasks"][0]["task_key"], &settings["tasks"][0]["description"]), (&json!("all"), &json!("prove")));
    let mut schedule = settings["schedule"].clone();
    schedule["pause_status"] = "PAUSED".into();
    ok(&jobs, "jobs/update", json!({ "job_id": 1, "new_settings": { "schedule": schedule } })).await;
    assert!(jobs.named("nightly").paused);
    assert_eq!(got(&jobs, "jobs/get?job_id=1").await["settings"]["schedule"]["pause_status"], "PAUSED");
    let answer = post(&jobs, "jobs/update", json!({ "job_id": 1, "new_settings": { "name": "mine" } })).await;
    refused(&answer, 403, "PERMISSION_DENIED", "the pipeline's files define the job 'nightly'");
    refused(&post(&jobs, "jobs/delete", json!({ "job_id": 1 })).await, 403, "PERMISSION_DENIED", "the pipeline's files");
}

#[tokio::test]
async fn jobs_are_listed_page_by_page() {
    let names: Vec<String> = (0..7).map(|number| format!("j{number}")).collect();
    let jobs = Arc::new(FakeJobs::with(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let names = |answer: &Value| {
        let all = answer["jobs"].as_array().unwrap().iter();
        all.map(|job| job["settings"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = got(&jobs, &format!("jobs/list?limit=3&expand_tasks=False&page_token={token}")).await;
        found.extend(names(&page));
        assert!(page["jobs"][0]["settings"].get("tasks").is_none());
        assert_eq!(page["has_more"], page.get("next_page_token").is_some());
        match page.get("next_page_token") {
            Some(next) => next.as_str().unwrap().clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(found, ["j6", "j5", "j4", "j3", "j2", "j1", "j0"]);
    assert_eq!(names(&got(&jobs, "jobs/list?offset=5").await), ["j1", "j0"]);
    assert_eq!(names(&got(&jobs, "jobs/list?name=J3&expand_tasks=true").await), ["j3"]);
    assert_eq!(got(&jobs, "jobs/list?name=nobody").await, json!({ "jobs": [], "has_more": false }));
    let answer = call(&jobs, "GET", "jobs/list?limit=101", "").await;
    refused(&answer, 400, "INVALID_PARAMETER_VALUE", "'limit' takes 0 to 100, not 101");
}

/// As OpenLineage's provider of Airflow has Spark told.
#[tokio::test]
async fn what_a_submission_is_a_part_of_is_kept_for_lineage() {
    let jobs = jobs();
    let conf = json!({
        "spark.openlineage.parentJobNamespace": "airflow", "spark.openlineage.parentJobName": "dag.task",
        "spark.openlineage.parentRunId": "0190e8a1-0000-7000-8000-000000000001", "spark.speculation": "true",
    });
    let task =
        json!({ "task_key": "a", "notebook_task": { "notebook_path": "/x/daily" }, "new_cluster": { "spark_conf": conf } });
    let run = ok(&jobs, "jobs/runs/submit", json!({ "run_name": "r", "tasks": [task] })).await["run_id"].as_i64().unwrap();
    let parent: Value = serde_json::from_str(&jobs.at(run).notes[PARENT_NOTE]).unwrap();
    let expected = json!({ "namespace": "airflow", "name": "dag.task", "run_id": "0190e8a1-0000-7000-8000-000000000001" });
    assert_eq!(parent, expected);
    let run = submitted(&jobs, "/x/daily").await;
    assert!(!jobs.at(run).notes.contains_key(PARENT_NOTE));
}

/// The scheduler answers a thousand at a time.
#[tokio::test]
async fn lists_and_cancels_go_on_behind_a_thousand_runs() {
    let jobs = jobs();
    let start = || NewRun {
        job: JobKey::Name("daily".to_owned()),
        parameters: BTreeMap::new(),
        any_parameters: true,
        interval: None,
        cause: "a test".to_owned(),
        token: None,
        notes: BTreeMap::new(),
    };
    let mut made = Vec::new();
    for _ in 0..2_200 {
        made.insert(0, jobs.start(start()).await.unwrap().0);
    }
    let list = async |query: &str| {
        let answer = got(&jobs, &format!("jobs/runs/list?{query}")).await;
        let runs = answer["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_i64().unwrap()).collect::<Vec<_>>();
        (runs, answer["has_more"].as_bool().unwrap())
    };
    assert_eq!(list("offset=2100&limit=2").await, (made[2_100..2_102].to_vec(), true));
    assert_eq!(list("offset=2198&limit=20").await, (made[2_198..].to_vec(), false));
    assert_eq!(list("offset=2200").await, (Vec::new(), false));
    assert_eq!(list("offset=9000").await, (Vec::new(), false));
    ok(&jobs, "jobs/runs/cancel-all", json!({ "job_id": jobs.named("daily").id })).await;
    assert_eq!(list("active_only=true").await, (Vec::new(), false));
}

#[tokio::test]
async fn runs_begin_by_job_and_are_listed() {
    let jobs = jobs();
    let daily = jobs.named("daily").id;
    let request = json!({
        "job_id": daily, "notebook_params": { "a": 1, "b": "x" }, "job_parameters": { "b": "y" }, "python_params": ["p", 2], "queue": { "enabled": true },
        "idempotency_token": "once",
    });
    let first = ok(&jobs, "jobs/run-now", request.clone()).await["run_id"].as_i64().unwrap();
    assert_eq!(ok(&jobs, "jobs/run-now", request).await["run_id"], first);
    let run = got(&jobs, &format!("jobs/runs/get?run_id={first}")).await;
    let all =
        json!([{ "name": "a", "value": "1" }, { "name": "arguments", "value": "[\"p\",\"2\"]" }, { "name": "b", "value": "y" }]);
    assert_eq!((&run["job_parameters"], &run["job_id"], &run["run_type"]), (&all, &json!(daily), &json!("JOB_RUN")));
    assert_eq!(run["overriding_parameters"]["notebook_params"], json!({ "a": 1, "b": "x" }));
    let second = ok(&jobs, "jobs/run-now", json!({ "job_name": "weekly" })).await["run_id"].as_i64().unwrap();
    let third = submitted(&jobs, "/x/daily").await;
    let ids = async |query: &str| {
        let answer = got(&jobs, &format!("jobs/runs/list?{query}")).await;
        answer["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [third, second, first]);
    assert_eq!(ids(&format!("job_id={daily}&limit=0")).await, [first]);
    assert_eq!(ids("run_type=SUBMIT_RUN").await, [third]);
    assert_eq!(ids("run_type=JOB_RUN&offset=1").await, [first]);
    assert!(ids("run_type=WORKFLOW_RUN").await.is_empty());
    let since = jobs.at(second).created_at.0;
    assert_eq!(ids(&format!("start_time_from={since}")).await, [third, second]);
    assert_eq!(ids(&format!("start_time_to={since}")).await, [second, first]);
    jobs.step();
    jobs.step();
    jobs.end(first, Ok(""));
    assert_eq!((ids("completed_only=true").await, ids("active_only=true").await), (vec![first], vec![third, second]));
    let page = got(&jobs, "jobs/runs/list?limit=2&expand_tasks=true").await;
    assert_eq!((&page["has_more"], page["runs"][0]["tasks"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(ids(&format!("page_token={}", page["next_page_token"].as_str().unwrap())).await, [first]);
    for (query, problem) in [
        ("active_only=true&completed_only=true", "can't both be true"),
        ("run_type=X", "takes JOB_RUN"),
        ("limit=1000", "'limit' takes 0 to 100"),
        ("start_time_from=x", "'start_time_from' takes a whole number"),
        ("offset=20000", "'offset' takes 0 to 10000"),
        ("page_token=x", "'page_token' takes a whole number"),
    ] {
        let answer = call(&jobs, "GET", &format!("jobs/runs/list?{query}"), "").await;
        refused(&answer, 400, "INVALID_PARAMETER_VALUE", problem);
    }
    ok(&jobs, "jobs/runs/cancel-all", json!({ "job_id": jobs.named("weekly").id })).await;
    jobs.step();
    assert_eq!(ids("active_only=true").await, [third]);
    let waits = submitted(&jobs, "/x/daily").await;
    ok(&jobs, "jobs/runs/cancel-all", json!({ "all_queued_runs": true })).await;
    assert!(jobs.at(waits).state.has_ended() && !jobs.at(third).state.has_ended());
    refused(
        &post(&jobs, "jobs/run-now", json!({ "job_id": daily, "only": ["a"] })).await,
        400,
        "INVALID_PARAMETER_VALUE",
        "'only' is not here",
    );
    refused(
        &post(&jobs, "jobs/run-now", json!({ "job_name": "nobody" })).await,
        400,
        "INVALID_PARAMETER_VALUE",
        "Job nobody does not exist.",
    );
}

#[tokio::test]
async fn many_tasks_come_page_by_page() {
    let jobs = jobs();
    let tasks: Vec<Value> =
        (0..250).map(|n| json!({ "task_key": format!("t{n}"), "notebook_task": { "notebook_path": "/x/daily" } })).collect();
    let id = ok(&jobs, "jobs/create", json!({ "name": "many", "tasks": tasks })).await["job_id"].as_i64().unwrap();
    let run = ok(&jobs, "jobs/run-now", json!({ "job_id": id })).await["run_id"].as_i64().unwrap();
    for (path, at) in [(format!("jobs/runs/get?run_id={run}"), ""), (format!("jobs/get?job_id={id}"), "settings")] {
        let (mut keys, mut token) = (Vec::new(), String::new());
        loop {
            let page = got(&jobs, &format!("{path}&page_token={token}")).await;
            let of = if at.is_empty() { &page } else { &page[at] };
            keys.extend(of["tasks"].as_array().unwrap().iter().map(|task| task["task_key"].as_str().unwrap().to_owned()));
            match page.get("next_page_token") {
                Some(next) => next.as_str().unwrap().clone_into(&mut token),
                None => break,
            }
        }
        assert_eq!((keys.len(), keys[249].as_str()), (250, "t249"));
    }
    let listed = got(&jobs, "jobs/list?name=many&expand_tasks=true").await;
    assert_eq!(
        (listed["jobs"][0]["settings"]["tasks"].as_array().unwrap().len(), &listed["jobs"][0]["has_more"]),
        (100, &json!(true))
    );
    let listed = got(&jobs, &format!("jobs/runs/list?job_id={id}&expand_tasks=true")).await;
    assert_eq!(listed["runs"][0]["has_more"], true);
}

#[tokio::test]
async fn runs_of_a_schedule_and_of_a_task_say_so() {
    let jobs = jobs();
    let id = ok(&jobs, "jobs/run-now", json!({ "job_name": "daily" })).await["run_id"].as_i64().unwrap();
    for (kind, trigger) in [(RunKind::Schedule, "PERIODIC"), (RunKind::Job, "RUN_JOB_TASK"), (RunKind::Backfill, "ONE_TIME")] {
        jobs.change(id, |run| run.kind = kind);
        let run = got(&jobs, &format!("jobs/runs/get?run_id={id}")).await;
        assert_eq!((&run["trigger"], &run["run_type"]), (&json!(trigger), &json!("JOB_RUN")));
    }
}

#[tokio::test]
async fn what_clients_look_for_first_is_there() {
    let jobs = jobs();
    assert!(!got(&jobs, "clusters/spark-versions").await["versions"].as_array().unwrap().is_empty());
    assert_eq!(got(&jobs, "clusters/list").await["clusters"][0]["state"], "RUNNING");
    let cluster = got(&jobs, "clusters/get?cluster_id=1234-1").await;
    assert_eq!(
        (&cluster["cluster_id"], &cluster["state"], &cluster["state_message"]),
        (&json!("1234-1"), &json!("RUNNING"), &json!(""))
    );
    assert_eq!(ok(&jobs, "clusters/events", json!({ "cluster_id": "x" })).await["events"], json!([]));
    assert_eq!(got(&jobs, "preview/scim/v2/Me").await["userName"], "pinlake");
    assert_eq!(got(&jobs, "sql/warehouses").await["warehouses"][0]["id"], "w1");
    assert_eq!(got(&jobs, "sql/warehouses/w1").await["state"], "RUNNING");
    ok(&jobs, "sql/warehouses/w1/start", json!({})).await;
    refused(&call(&jobs, "GET", "sql/warehouses/w2", "").await, 404, "RESOURCE_DOES_NOT_EXIST", "there is 'w1'");
    assert_eq!(got(&jobs, "workspace/get-status?path=/Users/me/Pinterest%20Batch").await["object_type"], "NOTEBOOK");
    assert_eq!(got(&jobs, "workspace/get-status?path=/").await["object_type"], "DIRECTORY");
    refused(
        &call(&jobs, "GET", "workspace/get-status?path=/none", "").await,
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "Path (/none) doesn't exist.",
    );
    assert_eq!(got(&jobs, "workspace/list?path=/").await["objects"][0]["path"], "/Pinlake");
    let listed = got(&jobs, "workspace/list?path=/Pinlake/").await;
    assert_eq!(listed["objects"][0]["path"], "/Pinlake/daily");
    refused(&call(&jobs, "GET", "workspace/list?path=/none", "").await, 404, "RESOURCE_DOES_NOT_EXIST", "doesn't exist");
    assert_eq!(send(door(&jobs), "GET", "/.well-known/databricks-config", &[], "").await.body, "{}");
}

#[tokio::test]
async fn other_paths_and_methods_are_nobodys() {
    let jobs = jobs();
    for (method, path) in [
        ("GET", "/api/2.0"),
        ("GET", "/api/2.1/"),
        ("POST", "/api/2.2/jobs"),
        ("GET", "/api/2.0/jobs/nope"),
        ("POST", "/api/2.0/jobs/list"),
        ("DELETE", "/api/2.1/jobs/runs/get"),
        ("GET", "/api/2.0/pipelines"),
    ] {
        let answer = send(door(&jobs), method, path, &[], "").await;
        refused(&answer, 404, "ENDPOINT_NOT_FOUND", &format!("No API found for '{method} {path}'"));
    }
    assert_eq!(send(door(&jobs), "GET", "/api/2.3/jobs/list", &[], "").await.body, "");
}

#[tokio::test]
async fn it_stands_beside_pinlakes_own_api() {
    let tokens = vec![Secret::new("dapi-one")];
    let door = router(jobs(), Arc::<FakeConsole>::default(), DatabricksSettings { tokens, ..settings() });
    let both = super::router(&Arc::default()).merge(door);
    assert_eq!(send(both.clone(), "GET", "/api/v1/topics", &[], "").await.status, 200);
    send(both.clone(), "GET", "/api/v1/nope", &[], "").await.is_error(404, "not_found", "no such path");
    assert_eq!(send(both, "GET", "/api/2.1/jobs/list", &[], "").await.status, 401);
}

#[tokio::test]
async fn with_tokens_every_path_needs_one() {
    let tokens = vec![Secret::new("dapi-one"), Secret::new("p:w \u{e9}")];
    let door = || router(jobs(), Arc::<FakeConsole>::default(), DatabricksSettings { tokens: tokens.clone(), ..settings() });
    let paths =
        ["/api/2.0/jobs/list", "/api/2.1/clusters/spark-versions", "/api/2.2/sql/warehouses", "/api/2.0/nope", "/api/2.0"];
    let basic = |text: &str| format!("Basic {}", base64(text));
    for path in paths {
        let status = async |header: Option<String>| {
            let headers: Vec<(&str, &str)> = header.iter().map(|value| ("authorization", value.as_str())).collect();
            send(door(), "GET", path, &headers, "").await
        };
        for header in [
            None,
            Some("Bearer".to_owned()),
            Some("Bearer ".to_owned()),
            Some("Bearer dapi-on".to_owned()),
            Some("Bearer dapi-one2".to_owned()),
            Some("dapi-one".to_owned()),
            Some("Digest dapi-one".to_owned()),
            Some("Basic dapi-one".to_owned()),
            Some("Basic !!!".to_owned()),
            Some(basic("dapi-one")),
            Some(basic("dapi-one:")),
            Some(basic("token:nope")),
        ] {
            let answer = status(header).await;
            refused(&answer, 401, "UNAUTHENTICATED", "token");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        for header in
            ["Bearer dapi-one".to_owned(), "bearer  dapi-one".to_owned(), basic("token:dapi-one"), basic("me:p:w \u{e9}")]
        {
            assert_ne!(status(Some(header)).await.status, 401, "{path}");
        }
    }
    assert_eq!(send(door(), "GET", "/.well-known/databricks-config", &[], "").await.status, 200);
}

fn base64(text: &str) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named_everywhere() {
    let jobs = jobs();
    for (method, path, field) in [
        ("POST", "jobs/create", "tasks"),
        ("GET", "jobs/get", "job_id"),
        ("POST", "jobs/reset", "job_id"),
        ("POST", "jobs/update", "job_id"),
        ("POST", "jobs/delete", "job_id"),
        ("POST", "jobs/run-now", "job_id"),
        ("POST", "jobs/runs/submit", "tasks"),
        ("GET", "jobs/runs/get", "run_id"),
        ("GET", "jobs/runs/get-output", "run_id"),
        ("POST", "jobs/runs/cancel", "run_id"),
        ("POST", "jobs/runs/cancel-all", "job_id"),
        ("POST", "jobs/runs/delete", "run_id"),
        ("POST", "jobs/runs/repair", "run_id"),
        ("GET", "clusters/get", "cluster_id"),
        ("GET", "workspace/list", "path"),
        ("GET", "workspace/get-status", "path"),
        ("POST", "sql/statements", "statement"),
    ] {
        for version in VERSIONS {
            let path = format!("/api/{version}/{path}");
            let missing = send(door(&jobs), method, &path, &[], "{}").await;
            refused(&missing, 400, "INVALID_PARAMETER_VALUE", &format!("Missing required field: {field}"));
            let wrong = send(door(&jobs), method, &path, &[], json!({ field: {} }).to_string()).await;
            refused(&wrong, 400, "INVALID_PARAMETER_VALUE", &format!("'{field}' takes"));
            for body in ["[]", "{\"a\"", "\"x\"", "{} {}"] {
                refused(&send(door(&jobs), method, &path, &[], body).await, 400, "MALFORMED_REQUEST", "the body");
            }
            let large = format!("{{\"x\":\"{}\"}}", "x".repeat(2 << 20));
            refused(&send(door(&jobs), method, &path, &[], large).await, 413, "MAX_REQUEST_SIZE_EXCEEDED", "larger than");
        }
    }
    refused(&post(&jobs, "jobs/reset", json!({ "job_id": 1 })).await, 400, "INVALID_PARAMETER_VALUE", "new_settings");
}

#[tokio::test]
async fn a_scheduler_in_trouble_is_a_server_in_trouble() {
    for (error, status, code) in [
        (Error::retry("too many runs wait"), 503, "TEMPORARILY_UNAVAILABLE"),
        (Error::internal("broken"), 500, "INTERNAL_ERROR"),
        (Error::invalid("no such zone"), 400, "INVALID_PARAMETER_VALUE"),
    ] {
        let jobs = Arc::new(FakeJobs::failing(error));
        for (method, path, body) in [
            ("POST", "jobs/runs/submit", notebook("/x/daily")),
            ("POST", "jobs/run-now", json!({ "job_id": 1 })),
            ("GET", "jobs/list", json!({})),
            ("GET", "jobs/runs/list", json!({})),
            ("GET", "jobs/runs/get", json!({ "run_id": 1 })),
            ("GET", "jobs/runs/get-output", json!({ "run_id": 1 })),
        ] {
            let answer = call(&jobs, method, path, body.to_string()).await;
            refused(&answer, status, code, "");
            assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" });
        }
    }
}
