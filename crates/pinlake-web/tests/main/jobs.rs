//! What the pages of jobs and runs ask of the scheduler, what they answer, and what they refuse.

use std::sync::Arc;

use axum::Router;
use pinlake_core::Error;
use pinlake_core::jobs::{RunState, TaskState};
use pinlake_web::Parts;
use pinlake_web::jobs::answers::{BackfillAnswer, Data, EventAnswer, JobDetail, JobList, LogAnswer, RunAnswer, RunList};
use serde_json::{Value, json};

use super::daily::{NOW, day, spec};
use super::fake_jobs::FakeJobs;
use super::{Answer, get, parts, post, send};

const DAILY: &str = r#"Name("daily")"#;
/// The first number that is free: the run `daily::RUN` and its three tasks have those before.
const NEXT: i64 = 15;

fn over(scheduler: &Arc<FakeJobs>) -> Router {
    pinlake_web::router(Parts { jobs: Some(scheduler.clone()), ..parts(&Arc::default()) })
}

/// The answer, and what the scheduler was asked last.
async fn asked(method: &str, path: &str, body: impl Into<axum::body::Body>) -> (Answer, String) {
    let scheduler = Arc::new(FakeJobs::daily());
    let answer = send(over(&scheduler), method, path, &[], body).await;
    (answer, scheduler.last())
}

#[tokio::test]
async fn jobs_are_listed_and_described() {
    let answer = get("/api/v1/jobs").await;
    let list: JobList = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((list.jobs.len(), &*list.jobs[0].name, list.scheduler.ticked_at_ms), (2, "daily", Some(NOW)));
    let wanted = json!([{ "kind": "definition", "message": "pipeline.yml:3: no such task" }]);
    assert_eq!(serde_json::to_value(list.scheduler.problems).unwrap(), wanted);
    let last = &answer.json()["jobs"][0]["last"];
    assert_eq!(last["data"], json!({ "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z" }));
    assert_eq!((&last["state"], &last["reason"], &last["kind"]), (&json!("failed"), &json!("FAILED"), &json!("schedule")));
    let (answer, runs) = asked("GET", "/api/v1/jobs/daily", "").await;
    let job: JobDetail = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((job.definition, job.runs.len(), job.summary.queued), (spec(), 10, 1));
    assert!(runs.contains("job: Some(Id(7))") && runs.contains("limit: 20"), "{runs}");
    get("/api/v1/jobs/none").await.is_error(404, "not_found", "does not exist");
    let (_, named) = asked("GET", "/api/v1/jobs/a%20b%2Fc", "").await;
    assert_eq!(named, r#"job Name("a b/c")"#);
}

#[tokio::test]
async fn a_run_starts_with_parameters_data_and_token() {
    let (answer, started) = asked("POST", "/api/v1/jobs/daily/run", "").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (202, json!({ "run_id": NEXT })));
    assert!(
        started.contains("parameters: {}, any_parameters: false, interval: None") && started.contains("token: None"),
        "{started}"
    );
    let body = r#"{"parameters":{"category":"art"},"from":"2026-03-01","to":1772409600000,"token":"t1"}"#;
    let (_, started) = asked("POST", "/api/v1/jobs/daily/run", body).await;
    let expected = r#"parameters: {"category": "art"}, any_parameters: false, interval: Some(Interval { from: Timestamp(1772323200000), to: Timestamp(1772409600000) })"#;
    assert!(started.contains(expected) && started.contains(r#"token: Some("api/t1")"#), "{started}");
    post("/api/v1/jobs/none/run", "").await.is_error(404, "not_found", "does not exist");
}

#[tokio::test]
async fn runs_that_can_not_be_are_refused() {
    let of = async |body: &'static str| post("/api/v1/jobs/daily/run", body).await;
    of(r#"{"from":"2026-03-01"}"#).await.is_error(400, "invalid", "give 'from' and 'to' together");
    of(r#"{"from":"2026-03-02","to":"2026-03-02T00:00:00Z"}"#).await.is_error(400, "invalid", "'to' must lie behind 'from'");
    of(r#"{"from":"soon","to":1}"#).await.is_error(400, "invalid", "'soon' is no time: give a date such as");
    of(r#"{"from":9223372036854775807,"to":1}"#).await.is_error(400, "invalid", "outside the calendar");
    of(r#"{"from":[],"to":1}"#).await.is_error(400, "invalid", "a time is text such as 2026-03-01");
    of(r#"{"parameters":{"a":1}}"#).await.is_error(400, "invalid", "expected a string");
    of(r#"{"params":{}}"#).await.is_error(400, "invalid", "unknown field `params`");
    of(r#"{"token":""}"#).await.is_error(400, "invalid", "'token' takes 1 to 128 bytes");
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(129));
    asked("POST", "/api/v1/jobs/daily/run", long).await.0.is_error(400, "invalid", "1 to 128 bytes");
}

#[tokio::test]
async fn a_backfill_runs_or_says_what_it_would_run() {
    let body =
        r#"{"from":"2026-01-01","to":"2026-02-01","order":"newest","parallel":4,"only_failed":true,"parameters":{"a":"b"}}"#;
    let (answer, asked_for) = asked("POST", "/api/v1/jobs/daily/backfill", body).await;
    let plan: BackfillAnswer = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), plan.backfill_id, plan.left_out, plan.intervals[0].data), (202, Some(5), 4, Data(day())));
    for part in [DAILY, "order: Newest, parallel: 4, only_failed: true, preview: false", r#"parameters: {"a": "b"}"#] {
        assert!(asked_for.contains(part), "{part} is not in {asked_for}");
    }
    let (answer, asked_for) = asked("POST", "/api/v1/jobs/daily/backfill", r#"{"from":0,"to":1,"preview":true}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["intervals"][0]["run_id"]), (200, &Value::Null));
    assert!(asked_for.contains("order: Oldest, parallel: 1, only_failed: false, preview: true"), "{asked_for}");
    let of = async |body: &'static str| post("/api/v1/jobs/daily/backfill", body).await;
    of("").await.is_error(400, "invalid", "missing field `from`");
    of(r#"{"from":1,"to":0}"#).await.is_error(400, "invalid", "'to' must lie behind 'from'");
    of(r#"{"from":0,"to":1,"parallel":0}"#).await.is_error(400, "invalid", "'parallel' takes 1 to 100, not 0");
    of(r#"{"from":0,"to":1,"order":"any"}"#).await.is_error(400, "invalid", "unknown variant `any`");
    of(r#"{"from":0,"to":1,"dry_run":true}"#).await.is_error(400, "invalid", "unknown field `dry_run`");
}

#[tokio::test]
async fn jobs_are_paused_resumed_and_deleted() {
    for (method, path, expected) in [
        ("POST", "/api/v1/jobs/daily/pause", format!("pause {DAILY} true")),
        ("POST", "/api/v1/jobs/daily/resume", format!("pause {DAILY} false")),
    ] {
        let (answer, asked) = asked(method, path, "").await;
        assert_eq!((answer.status.as_u16(), &*answer.body, asked), (204, "", expected));
    }
    let (refused, asked) = asked("DELETE", "/api/v1/jobs/daily", "").await;
    refused.is_error(409, "conflict", "the pipeline's files define the job");
    assert_eq!(asked, format!("delete {DAILY}"));
    let scheduler = Arc::new(FakeJobs::daily());
    let on_mine = async |method: &str, body: &'static str| send(over(&scheduler), method, "/api/v1/jobs/mine", &[], body).await;
    assert_eq!(on_mine("PUT", r#"{"concurrency":1,"tasks":[]}"#).await.status, 201);
    let deleted = on_mine("DELETE", "").await;
    assert_eq!((deleted.status.as_u16(), &*deleted.body), (204, ""));
    on_mine("GET", "").await.is_error(404, "not_found", "does not exist");
}

#[tokio::test]
async fn a_job_is_defined_and_defined_anew() {
    let scheduler = Arc::new(FakeJobs::daily());
    let mut definition = serde_json::to_value(spec()).unwrap();
    definition.as_object_mut().unwrap().remove("name");
    let put = async |definition: &Value| send(over(&scheduler), "PUT", "/api/v1/jobs/mine", &[], definition.to_string()).await;
    let made = put(&definition).await;
    assert_eq!((made.status.as_u16(), &made.json()["name"], &made.json()["origin"]), (201, &json!("mine"), &json!("api")));
    assert_eq!(made.json()["definition"]["tasks"], definition["tasks"]);
    // One run at once is what it takes where nothing is said.
    definition.as_object_mut().unwrap().remove("concurrency");
    definition["name"] = json!("mine");
    assert_eq!(put(&definition).await.status, 200);
    let asked = scheduler.all_asked();
    let defined: Vec<&String> = asked.iter().filter(|asked| asked.starts_with("define")).collect();
    assert_eq!(
        defined,
        ["define None mine false {}".to_owned(), format!("define Some({NEXT}) mine false {{}}")].iter().collect::<Vec<_>>()
    );
    let (refused, _) = self::asked("PUT", "/api/v1/jobs/daily", r#"{"concurrency":1,"tasks":[]}"#).await;
    refused.is_error(409, "conflict", "change its files");
}

#[tokio::test]
async fn definitions_that_are_wrong_are_refused() {
    let of = async |body: &'static str| asked("PUT", "/api/v1/jobs/mine", body).await.0;
    of("").await.is_error(400, "invalid", "the definition is not right: missing field `tasks`");
    of("[]").await.is_error(400, "invalid", "it takes a JSON object");
    of(r#"{"name":"other","concurrency":1,"tasks":[]}"#).await.is_error(400, "invalid", "the path's 'mine'");
    of(r#"{"name":7,"concurrency":1,"tasks":[]}"#).await.is_error(400, "invalid", "the path's 'mine'");
    of(r#"{"scedule":"@daily","concurrency":1,"tasks":[]}"#).await.is_error(400, "invalid", "unknown field 'scedule'");
    let task =
        r#"{"concurrency":1,"tasks":[{"name":"a","work":"archive"},{"name":"b","work":{"prove":{"deep":true,"fast":1}}}]}"#;
    of(task).await.is_error(400, "invalid", "unknown field 'tasks.1.work.prove.fast'");
    of(r#"{"concurrency":1,"tasks":[{"name":"a","work":"shell"}]}"#).await.is_error(400, "invalid", "unknown variant `shell`");
    of(r#"{"concurrency":1,"timeout":60,"tasks":[]}"#).await.is_error(400, "invalid", "'60' has no unit");
    of(r#"{"concurrency":-1,"tasks":[]}"#).await.is_error(400, "invalid", "the definition is not right");
}

#[tokio::test]
async fn runs_are_filtered_and_paged() {
    let (answer, filter) = asked("GET", "/api/v1/runs", "").await;
    let list: RunList = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((list.runs.len(), list.next_before), (10, None));
    assert_eq!(filter, "RunFilter { job: None, states: [], kinds: [], since: None, until: None, before: None, limit: 51 }");
    let params = "job=daily&state=failed,running&kind=schedule&since=2026-03-01&until=2026-03-02T12:00:00Z&before=40&limit=3";
    let (answer, filter) = asked("GET", &format!("/api/v1/runs?{params}"), "").await;
    let list: RunList = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((list.runs.len(), list.next_before), (3, Some(list.runs[2].id)));
    let expected = r#"RunFilter { job: Some(Name("daily")), states: [Failed, Running], kinds: [Schedule], since: Some(Timestamp(1772323200000)), until: Some(Timestamp(1772452800000)), before: Some(RunId(40)), limit: 4 }"#;
    assert_eq!(filter, expected);
    let of = async |params: &str| get(&format!("/api/v1/runs?{params}")).await;
    of("state=done").await.is_error(400, "invalid", "'state' is not right: unknown variant `done`");
    of("kind=queued").await.is_error(400, "invalid", "'kind' is not right: unknown variant `queued`");
    of("since=yesterday").await.is_error(400, "invalid", "'since': 'yesterday' is no time");
    of("limit=1001").await.is_error(400, "invalid", "'limit' takes 1 to 1000");
    of("before=x").await.is_error(400, "invalid", "the parameters are not right");
    of("jobs=daily").await.is_error(400, "invalid", "unknown field `jobs`");
}

#[tokio::test]
async fn a_run_is_shown_with_its_tasks_and_attempts() {
    let answer = get("/api/v1/runs/11").await;
    let run: RunAnswer = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((run.summary.state, run.tasks.len(), run.tasks[0].attempts.len()), (RunState::Failed, 3, 2));
    assert_eq!(run.cause.parent.unwrap().run_id.0, 3);
    let body = answer.json();
    assert_eq!(body["data"]["from"], "2026-03-01T00:00:00Z");
    assert_eq!((&body["tasks"][1]["kind"], &body["tasks"][2]["reason"]), (&json!("rebuild"), &json!("UPSTREAM")));
    assert_eq!(body["tasks"][0]["attempts"][0]["reason"], "LOST_PROCESS");
    assert!(body.get("notes").is_none() && !answer.body.contains("execution"), "{}", answer.body);
    get("/api/v1/runs/99").await.is_error(404, "not_found", "run 99 does not exist");
    get("/api/v1/runs/eleven").await.is_error(400, "invalid", "the path is not right");
}

#[tokio::test]
async fn runs_are_cancelled_run_again_and_forgotten() {
    for (method, path, body, status, expected) in [
        ("POST", "/api/v1/runs/11/cancel", "", 202, "cancel 11"),
        ("POST", "/api/v1/runs/11/rerun", "", 202, "rerun 11 Failed"),
        ("POST", "/api/v1/runs/11/rerun", r#"{"tasks":"all"}"#, 202, "rerun 11 All"),
        ("DELETE", "/api/v1/runs/11", "", 204, "forget 11"),
    ] {
        let (answer, asked) = asked(method, path, body).await;
        assert_eq!((answer.status.as_u16(), &*asked), (status, expected));
    }
    for path in ["/api/v1/runs/99/cancel", "/api/v1/runs/99/rerun"] {
        post(path, "").await.is_error(404, "not_found", "run 99 does not exist");
    }
    asked("DELETE", "/api/v1/runs/99", "").await.0.is_error(404, "not_found", "run 99 does not exist");
    post("/api/v1/runs/11/rerun", r#"{"tasks":"some"}"#).await.is_error(400, "invalid", "unknown variant `some`");
    post("/api/v1/runs/x/cancel", "").await.is_error(400, "invalid", "the path is not right");
}

#[tokio::test]
async fn a_log_is_read_by_the_tasks_name_or_number() {
    let (answer, log) = asked("GET", "/api/v1/runs/11/tasks/rebuild/log", "").await;
    let page: LogAnswer = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&*page.task, page.attempt, page.lines.len(), page.ended), ("rebuild", 1, 2, true));
    assert_eq!(log, "log 13 None 0 0ns");
    let (answer, log) = asked("GET", "/api/v1/runs/11/tasks/12/log?attempt=1&after=2&wait_ms=1500", "").await;
    assert_eq!((&answer.json()["task"], &*log), (&json!("archive"), "log 12 Some(1) 2 1.5s"));
    let of = async |path: &str| get(&format!("/api/v1/runs/{path}")).await;
    of("11/tasks/none/log").await.is_error(404, "not_found", "has no task 'none', it has archive, rebuild, check");
    of("99/tasks/rebuild/log").await.is_error(404, "not_found", "run 99 does not exist");
    of("11/tasks/rebuild/log?attempt=0").await.is_error(400, "invalid", "attempts count from 1");
    of("11/tasks/rebuild/log?wait_ms=30001").await.is_error(400, "invalid", "'wait_ms' takes 0 to 30000");
    of("11/tasks/rebuild/log?after=-1").await.is_error(400, "invalid", "the parameters are not right");
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let answer = get("/api/v1/events").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    let blocks: Vec<&str> = answer.body.trim_end().split("\n\n").collect();
    assert_eq!((blocks.len(), blocks[0]), (3, "retry: 1000"));
    let event = |block: &str| -> EventAnswer {
        let data = block.strip_prefix("event: run\ndata: ").unwrap_or_else(|| panic!("{block}"));
        serde_json::from_str(data).unwrap()
    };
    let (of_run, of_task) = (event(blocks[1]), event(blocks[2]));
    assert_eq!((of_run.at_ms, of_run.run.id.0, of_run.task), (NOW, 11, None));
    let task = of_task.task.unwrap();
    assert_eq!((&*task.name, task.state, task.attempt), ("rebuild", TaskState::Failed, 1));
}

#[tokio::test]
async fn alerts_are_listed() {
    let alerts = get("/api/v1/alerts").await.json();
    let open = json!({ "key": "job/daily/failed", "message": "it failed", "since_ms": NOW.0, "recovered_at_ms": null });
    assert_eq!((&alerts["alerts"][0], &alerts["alerts"][1]["recovered_at_ms"]), (&open, &json!(NOW.0)));
}

#[tokio::test]
async fn what_the_scheduler_fails_with_is_answered() {
    let scheduler = Arc::new(FakeJobs::failing(Error::retry("too many runs wait")));
    for (method, path) in
        [("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs/daily/run"), ("GET", "/api/v1/runs/11"), ("GET", "/api/v1/alerts")]
    {
        let answer = send(over(&scheduler), method, path, &[], "").await;
        answer.is_error(503, "retry", "too many runs wait");
    }
    let put = send(over(&scheduler), "PUT", "/api/v1/jobs/mine", &[], r#"{"concurrency":1,"tasks":[]}"#).await;
    put.is_error(503, "retry", "too many runs wait");
}

#[tokio::test]
async fn a_server_without_jobs_says_so() {
    for (method, path) in
        [("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs/daily/run"), ("GET", "/api/v1/runs"), ("GET", "/api/v1/events")]
    {
        let answer = send(pinlake_web::router(parts(&Arc::default())), method, path, &[], "").await;
        answer.is_error(404, "not_found", "this server runs no jobs");
    }
    let browser = [("accept", "text/html")];
    let page = send(pinlake_web::router(parts(&Arc::default())), "GET", "/", &browser, "").await;
    assert!(!page.body.contains("Jobs"), "{}", page.body);
}

#[tokio::test]
async fn the_page_lists_jobs_with_next_and_last_run() {
    let page = send(over(&Arc::new(FakeJobs::daily())), "GET", "/", &[("accept", "text/html")], "").await;
    let row = "<td><a href=\"/api/v1/jobs/daily\">daily</a></td><td>2026-03-03 00:00</td><td><a href=\"/api/v1/runs/11\">failed (FAILED)</a></td>";
    assert!(page.body.contains(row), "{}", page.body);
}
