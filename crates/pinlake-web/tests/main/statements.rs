//! Databricks' SQL Statement API from outside, over a console that answers when it is let.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pinlake_core::Error;
use pinlake_web::databricks::{DatabricksSettings, router};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fake::FakeConsole;
use super::fake_jobs::FakeJobs;
use super::{Answer, send};

const STATEMENTS: &str = "/api/2.0/sql/statements";

fn door(console: &Arc<FakeConsole>) -> Router {
    router(Arc::<FakeJobs>::default(), console.clone(), DatabricksSettings::default())
}

fn held() -> (Arc<FakeConsole>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    (Arc::new(FakeConsole { gate: Some(gate.clone()), ..FakeConsole::default() }), gate)
}

async fn execute(door: &Router, body: Value) -> Answer {
    send(door.clone(), "POST", STATEMENTS, &[], body.to_string()).await
}

async fn get(door: &Router, id: &Value) -> Value {
    send(door.clone(), "GET", &format!("{STATEMENTS}/{}", id.as_str().unwrap()), &[], "").await.json()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["error_code"], code, "{}", answer.body);
    let found = body["message"].as_str().unwrap();
    assert!(found.contains(message), "{found:?} does not hold {message:?}");
}

#[tokio::test]
async fn an_answer_comes_at_once_and_again() {
    let body = r#"{"columns":[{"name":"category","type":"Utf8"},{"name":"n","type":"Int64"}],"rows":[["art",12],[null,0]],"row_count":2}"#;
    let console = Arc::new(FakeConsole { body: Some(body.to_owned()), ..FakeConsole::default() });
    let door = door(&console);
    let request = json!({
        "statement": "SELECT category, n FROM q WHERE n > :least", "warehouse_id": "w1", "catalog": null, "schema": "default", "row_limit": "10",
        "parameters": [{ "name": "least", "value": "3", "type": "INT" }], "query_tags": [{ "key": "a", "value": null }],
    });
    let answer = execute(&door, request).await.json();
    assert_eq!(answer["status"], json!({ "state": "SUCCEEDED" }));
    assert!(console.last().contains("n > 3") && console.last().contains("rows_max: 10"), "{}", console.last());
    let columns = json!([
        { "name": "category", "type_text": "STRING", "type_name": "STRING", "position": 0 },
        { "name": "n", "type_text": "BIGINT", "type_name": "LONG", "position": 1 },
    ]);
    let manifest = &answer["manifest"];
    assert_eq!((&manifest["format"], &manifest["schema"]["columns"]), (&json!("JSON_ARRAY"), &columns));
    assert_eq!((&manifest["total_row_count"], &manifest["truncated"]), (&json!(2), &json!(false)));
    assert_eq!(answer["result"]["data_array"], json!([["art", "12"], [null, "0"]]));
    let id = &answer["statement_id"];
    assert_eq!(get(&door, id).await, answer);
    let chunk = format!("{STATEMENTS}/{}/result/chunks/0", id.as_str().unwrap());
    assert_eq!(send(door.clone(), "GET", &chunk, &[], "").await.json(), answer["result"]);
    let chunk = send(door.clone(), "GET", &chunk.replace("chunks/0", "chunks/1"), &[], "").await;
    refused(&chunk, 400, "INVALID_PARAMETER_VALUE", "has no chunk '1'");
    let path = format!("{STATEMENTS}/{}", id.as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(send(door.clone(), "DELETE", &path, &[], r#"{"statement_id":"x"}"#).await.body, "{}");
        assert_eq!(get(&door, id).await["status"]["state"], "CLOSED");
    }
    let chunk = send(door, "GET", &format!("{path}/result/chunks/0"), &[], "").await;
    refused(&chunk, 400, "INVALID_STATE", "its state is CLOSED");
}

#[tokio::test(start_paused = true)]
async fn a_slow_statement_is_polled_for() {
    let (console, gate) = held();
    let door = door(&console);
    let started = execute(&door, json!({ "statement": "SELECT 1", "wait_timeout": "0s", "parameters": null })).await.json();
    assert_eq!((&started["status"]["state"], started.get("manifest")), (&json!("RUNNING"), None));
    assert_eq!(get(&door, &started["statement_id"]).await["status"]["state"], "RUNNING");
    // Nobody's clock but the paused one goes on, to the end of the wait.
    let before = tokio::time::Instant::now();
    let waited = execute(&door, json!({ "statement": "SELECT 2", "wait_timeout": "5s" })).await.json();
    assert_eq!((&waited["status"]["state"], before.elapsed().as_secs()), (&json!("RUNNING"), 5));
    gate.add_permits(2);
    for id in [&started["statement_id"], &waited["statement_id"]] {
        let path = format!("{STATEMENTS}/{}", id.as_str().unwrap());
        let ended = async {
            while get(&door, id).await["status"]["state"] == "RUNNING" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
        assert_eq!(send(door.clone(), "GET", &path, &[], "").await.json()["result"]["data_array"], json!([["1"]]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_cancelled_by_call_or_by_time() {
    let (console, _gate) = held();
    let door = door(&console);
    let started = execute(&door, json!({ "statement": "SELECT 1", "wait_timeout": "0s" })).await.json();
    let path = format!("{STATEMENTS}/{}/cancel", started["statement_id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(send(door.clone(), "POST", &path, &[], "").await.body, "{}");
        assert_eq!(get(&door, &started["statement_id"]).await["status"], json!({ "state": "CANCELED" }));
    }
    let late = execute(&door, json!({ "statement": "SELECT 1", "wait_timeout": "5s", "on_wait_timeout": "CANCEL" })).await.json();
    assert_eq!(late["status"]["state"], "CANCELED");
    let answer = execute(&door, json!({ "statement": "SELECT 1", "wait_timeout": "0s", "on_wait_timeout": "CANCEL" })).await;
    refused(&answer, 400, "INVALID_PARAMETER_VALUE", "must be CONTINUE");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_run_and_old_ones_are_forgotten() {
    let (console, gate) = held();
    let door = door(&console);
    let request = json!({ "statement": "SELECT 1", "wait_timeout": "0s" });
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(execute(&door, request.clone()).await.json()["statement_id"].clone());
    }
    refused(&execute(&door, request.clone()).await, 503, "TEMPORARILY_UNAVAILABLE", "64 statements run already");
    gate.add_permits(1000);
    let last = ids[63].clone();
    while get(&door, &last).await["status"]["state"] == "RUNNING" {
        tokio::task::yield_now().await;
    }
    assert_eq!(execute(&door, request).await.status, 200);
    assert_eq!(get(&door, &last).await["status"]["state"], "SUCCEEDED");
    tokio::time::advance(Duration::from_secs(3601)).await;
    let answer = send(door.clone(), "GET", &format!("{STATEMENTS}/{}", last.as_str().unwrap()), &[], "").await;
    refused(&answer, 404, "NOT_FOUND", "was not found");
}

#[tokio::test]
async fn a_failure_is_the_statements_end() {
    for (error, code) in [
        (Error::invalid("no table 'x'"), "BAD_REQUEST"),
        (Error::not_found("no question"), "NOT_FOUND"),
        (Error::retry("too many queries run"), "TEMPORARILY_UNAVAILABLE"),
        (Error::internal("broken"), "INTERNAL_ERROR"),
    ] {
        let message = error.message().to_owned();
        let door = door(&Arc::new(FakeConsole::failing(error)));
        let answer = execute(&door, json!({ "statement": "SELECT x" })).await.json();
        assert_eq!(answer["status"], json!({ "state": "FAILED", "error": { "error_code": code, "message": message } }));
        assert_eq!(get(&door, &answer["statement_id"]).await, answer);
    }
    let door = door(&Arc::default());
    let answer = execute(&door, json!({ "statement": "SELECT :x", "wait_timeout": "0s" })).await.json();
    assert_eq!((&answer["status"]["state"], &answer["status"]["error"]["error_code"]), (&json!("FAILED"), &json!("BAD_REQUEST")));
    // Who only polls learns it too.
    assert_eq!(get(&door, &answer["statement_id"]).await, answer);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_named() {
    let door = door(&Arc::default());
    for (field, value, problem) in [
        ("statement", json!("  "), "Missing required field: statement"),
        ("wait_timeout", json!("3s"), "'wait_timeout' takes 0s, or 5s to 50s, not 3s"),
        ("wait_timeout", json!("10"), "'wait_timeout' takes 0s"),
        ("wait_timeout", json!("51s"), "'wait_timeout' takes 0s"),
        ("on_wait_timeout", json!("STOP"), "'on_wait_timeout' takes CONTINUE or CANCEL, not STOP"),
        ("disposition", json!("MAIL"), "'disposition' takes INLINE or"),
        ("format", json!("CSV"), "'format' takes JSON_ARRAY or ARROW_STREAM, not CSV"),
        ("row_limit", json!(0), "'row_limit' takes 1 to"),
        ("byte_limit", json!(-1), "'byte_limit' takes 1 to"),
        ("catalog", json!("mine"), "'catalog' takes no 'mine': the catalogs pinlake, main, hive_metastore"),
        ("schema", json!("gold"), "'schema' takes no 'gold'"),
        ("parameters", json!([{ "value": "x" }]), "Missing required field: parameters[0].name"),
        ("parameters", json!([{ "name": "x" }, { "name": "x" }]), "'parameters' has 'x' twice"),
        ("parameters", json!({}), "'parameters' takes a list"),
    ] {
        let mut request = json!({ "statement": "SELECT 1" });
        request[field] = value;
        refused(&execute(&door, request).await, 400, "INVALID_PARAMETER_VALUE", problem);
    }
    let answer = execute(&door, json!({ "statement": "SELECT 1", "warehouse_id": "w2" })).await;
    refused(&answer, 404, "RESOURCE_DOES_NOT_EXIST", "there is 'w1'");
    for (method, path) in
        [("GET", "x"), ("GET", "00000000-0000-0000-0000-000000000000"), ("POST", "x/cancel"), ("GET", "x/result/chunks/0")]
    {
        let answer = send(door.clone(), method, &format!("{STATEMENTS}/{path}"), &[], "").await;
        refused(&answer, 404, "NOT_FOUND", "was not found");
    }
}

#[tokio::test]
async fn who_asks_for_arrow_gets_json_in_one_piece() {
    let console: Arc<FakeConsole> = Arc::default();
    let request = json!({
        "statement": "SHOW CATALOGS", "disposition": "EXTERNAL_LINKS", "format": "ARROW_STREAM", "result_compression": "LZ4_FRAME", "session_id": "s",
    });
    let answer = execute(&door(&console), request).await.json();
    assert_eq!((&answer["manifest"]["format"], &answer["manifest"]["total_chunk_count"]), (&json!("JSON_ARRAY"), &json!(1)));
    assert!(answer["manifest"].get("result_compression").is_none());
    assert!(console.last().contains("'pinlake' AS catalog"), "{}", console.last());
}

#[tokio::test]
async fn a_large_answer_is_read_chunk_by_chunk() {
    let row = format!(r#"["{}"]"#, "x".repeat(1 << 20));
    let body = format!(r#"{{"columns":[{{"name":"a","type":"Utf8"}}],"rows":[{}]}}"#, vec![row; 9].join(","));
    let door = door(&Arc::new(FakeConsole { body: Some(body), ..FakeConsole::default() }));
    let answer = execute(&door, json!({ "statement": "SELECT a", "wait_timeout": "50s" })).await.json();
    let (mut rows, mut next) = (0, Some(answer["result"].clone()));
    while let Some(chunk) = next {
        rows += chunk["data_array"].as_array().unwrap().len();
        next = match chunk["next_chunk_internal_link"].as_str() {
            Some(link) => Some(send(door.clone(), "GET", link, &[], "").await.json()),
            None => None,
        };
    }
    assert_eq!((rows, &answer["manifest"]["total_row_count"]), (9, &json!(9)));
}

#[tokio::test]
async fn sessions_open_and_close() {
    let door = door(&Arc::default());
    let sessions = "/api/2.0/sql/sessions";
    let answer =
        send(door.clone(), "POST", sessions, &[], r#"{"warehouse_id":"w1","catalog":"main","session_confs":{"timezone":"UTC"}}"#)
            .await;
    let id = answer.json()["session_id"].as_str().unwrap().to_owned();
    let answer = send(door.clone(), "DELETE", &format!("{sessions}/{id}"), &[], r#"{"warehouse_id":"w1"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "{}"));
    refused(&send(door.clone(), "POST", sessions, &[], r#"{"warehouse_id":"w9"}"#).await, 404, "RESOURCE_DOES_NOT_EXIST", "w9");
    refused(
        &send(door, "POST", sessions, &[], r#"{"schema":"x"}"#).await,
        400,
        "INVALID_PARAMETER_VALUE",
        "'schema' takes no 'x'",
    );
}
