//! Jobs in a server of their own: killed again and again, with definitions that change while it runs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Server;
use crate::shell::run;

/// How often the server is killed.
const KILLS: usize = 12;
/// How long something may take that is waited for.
const WAIT: Duration = Duration::from_secs(300);

/// The built-in pipeline with other jobs, and a configuration that names it.
async fn pipeline(place: &Path, jobs: &str) -> String {
    let folder = place.join("pipeline");
    run(&["init", folder.to_str().unwrap()]).await.done();
    write_jobs(place, jobs);
    let config = place.join("config.yml");
    std::fs::write(&config, format!("pipeline: {}\n", folder.display())).unwrap();
    config.to_str().unwrap().to_owned()
}

/// Puts other jobs in the place of the pipeline's.
fn write_jobs(place: &Path, jobs: &str) {
    let file = place.join("pipeline/pipeline.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    let before = text.split("\njobs:").next().unwrap();
    // At once, for a server may be reading it; no file of a pipeline has such a name.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{before}\njobs:\n{jobs}")).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Waits until what a path answers is as it should be.
async fn until(server: &Server, path: &str, good: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = server.get(path).await;
            if good(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WAIT, asked).await.unwrap_or_else(|_| panic!("{path} does not come to what it should"))
}

/// A job that is due as `schedule` says, lines of its definition.
fn each(schedule: &str) -> String {
    format!(
        r#"  each:
{schedule}    retries: 3
    tasks:
      - archive
      - {{ name: keep, sql: "SELECT count(*) AS posts FROM pin", into: each_second }}
"#
    )
}

#[tokio::test]
async fn kills_lose_no_run_of_a_job_and_double_no_row_of_its_table() {
    let place = tempfile::tempdir().unwrap();
    let config = pipeline(place.path(), &each("    schedule: \"every 1s\"\n    missed: all\n")).await;
    let data = place.path().join("data");
    for kill in 0..KILLS {
        let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
        // At another moment of a run each time.
        until(&server, "/api/v1/runs?state=succeeded&limit=1", |runs| !runs["runs"].as_array().unwrap().is_empty()).await;
        tokio::time::sleep(Duration::from_millis(97 * kill as u64)).await;
        assert!(server.kill().await);
    }
    // No second is due any more: what waits comes to an end, however long a run takes.
    write_jobs(place.path(), &each(""));
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    let none = |runs: &Value| runs["runs"].as_array().unwrap().is_empty();
    until(&server, "/api/v1/runs?state=queued,running&limit=1", none).await;
    let rows = server
        .rows("SELECT CAST(_from AS BIGINT), CAST(_to AS BIGINT), count(*) FROM gold.each_second GROUP BY 1, 2 ORDER BY 1")
        .await;
    assert!(rows.len() * 2 >= KILLS, "{} rows", rows.len());
    assert!(rows.windows(2).all(|pair| pair[0][1] == pair[1][0]), "one interval begins where another ended: {rows:?}");
    assert!(rows.iter().all(|row| row[2] == 1), "no interval is there twice: {rows:?}");
    let runs = server.get("/api/v1/runs?limit=1000").await;
    let runs: Vec<&Value> = runs["runs"].as_array().unwrap().iter().filter(|run| run["kind"] == "schedule").collect();
    assert!(runs.iter().all(|run| run["state"] == "succeeded"), "{runs:?}");
    assert_eq!(runs.len(), rows.len(), "each run has its row");
}

#[tokio::test]
async fn an_edited_definition_is_taken_over_and_a_broken_one_is_told_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let config = pipeline(place.path(), "  first: { tasks: [archive] }\n").await;
    let server = Server::start_with(&place.path().join("data"), "127.0.0.1:0", &["--config", &config]).await;
    let names = |jobs: &Value| {
        jobs["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&server.get("/api/v1/jobs").await), ["first"]);
    write_jobs(place.path(), "  first: { tasks: [archive] }\n  second: { tasks: [archive, check] }\n");
    until(&server, "/api/v1/jobs", |jobs| names(jobs) == ["first", "second"]).await;
    write_jobs(place.path(), "  first: { tasks: [archive, { name: x, sleep: 5 }] }\n");
    let told = until(&server, "/api/v1/jobs", |jobs| !jobs["scheduler"]["problems"].as_array().unwrap().is_empty()).await;
    let problem = told["scheduler"]["problems"][0]["message"].as_str().unwrap();
    assert!(problem.starts_with("pipeline.yml:") && problem.contains("sleep"), "{problem}");
    assert_eq!(names(&told), ["first", "second"], "the last good definitions run on");
    let run = server.post("/api/v1/jobs/second/run", json!({})).await["run_id"].clone();
    until(&server, &format!("/api/v1/runs/{run}"), |run| run["state"] == "succeeded").await;
}

#[tokio::test]
async fn a_question_that_finds_rows_fails_its_run_with_what_it_found() {
    let place = tempfile::tempdir().unwrap();
    let jobs = "  daily:\n    tasks:\n      - { name: good, sql: \"SELECT 1 AS one\" }\n      - { name: bad, check: checks/bad.sql }\n      - { name: after, prove: deep }\n";
    let config = pipeline(place.path(), jobs).await;
    std::fs::write(place.path().join("pipeline/checks/bad.sql"), "-- There is no such number\nSELECT 42 AS number").unwrap();
    let server = Server::start_with(&place.path().join("data"), "127.0.0.1:0", &["--config", &config]).await;
    let told = run(&["jobs", "run", "daily", "--wait", "--server", &server.url]).await;
    let (out, reason) = (told.out.clone(), told.failed());
    assert!(out.contains("bad found") && out.contains("42"), "{out}\n{reason}");
    assert_eq!(format!("{out}{reason}").matches("bad found").count(), 1, "it is told once: {out}{reason}");
    let runs = server.get("/api/v1/runs?limit=1").await;
    let whole = server.get(&format!("/api/v1/runs/{}", runs["runs"][0]["id"])).await;
    let states: Vec<String> = whole["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| format!("{} {}", task["state"].as_str().unwrap(), task["reason"]))
        .collect();
    assert_eq!(states, ["succeeded null", "failed \"FAILED\"", "failed \"UPSTREAM\""]);
    let alerts = server.get("/api/v1/alerts").await;
    assert_eq!(alerts["alerts"][0]["key"], "job/daily/failed");
}

#[tokio::test]
async fn a_call_is_held_to_the_rules_of_the_files() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(&place.path().join("data"), "127.0.0.1:0").await;
    let client = reqwest::Client::new();
    let task = |work: Value| json!({ "concurrency": 1, "tasks": [{ "name": "one", "work": work }] });
    let put = async |name: &str, definition: &Value| {
        let answer = client.put(format!("{}/api/v1/jobs/{name}", server.url)).json(definition).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let mut reserved = task(json!("archive"));
    reserved["parameters"] = json!({ "from": "x" });
    for (definition, told) in [
        (task(json!({ "rebuild": { "tables": ["pins"] } })), "table 'pins' is not there: did you mean 'pin'?"),
        (task(json!({ "questions": { "names": ["nothing"] } })), "question 'nothing' is not there"),
        (task(json!({ "job": { "name": "dayly", "parameters": {} } })), "which is not there: did you mean 'daily'?"),
        (reserved, "a parameter can't be named 'from'"),
    ] {
        let (status, text) = put("called", &definition).await;
        assert!(status == 400 && text.contains(told), "{status} {text}");
    }
    let (status, text) = put("called", &task(json!({ "job": { "name": "daily", "parameters": {} } }))).await;
    assert_eq!(status, 201, "{text}");
    // Databricks' door comes to the same.
    let settings = json!({
        "name": "by_databricks", "parameters": [{ "name": "run", "default": "x" }],
        "tasks": [{ "task_key": "one", "notebook_task": { "notebook_path": "/x/daily" } }],
    });
    let create = client.post(format!("{}/api/2.1/jobs/create", server.url)).bearer_auth("any").json(&settings);
    let answer = create.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(
        status == 400 && text.contains("INVALID_PARAMETER_VALUE") && text.contains("can't be named 'run'"),
        "{status} {text}"
    );
}
