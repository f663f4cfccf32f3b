//! What each endpoint asks of the console, what it answers, and what it refuses.

use std::sync::Arc;

use axum::Router;
use axum::routing::post as on_post;
use metrics_exporter_prometheus::PrometheusBuilder;
use pinlake_core::{Batch, Clock, Error, ErrorKind, Record, Timestamp};
use pinlake_web::Parts;
use pinlake_web::answers::{Ledger, LogRecord, Payload, RebuildComparison, Records, TableDetail, TableLedger, Trace};
use serde_json::json;

use super::fake::{FakeConsole, account, comparison};
use super::fake_jobs::FakeJobs;
use super::{get, parts, post, router, send};

/// The answer's status, and what the console was asked last.
async fn asked(method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> (u16, String) {
    let console = Arc::new(FakeConsole::default());
    let answer = send(router(&console), method, path, headers, body).await;
    (answer.status.as_u16(), console.last())
}

#[tokio::test]
async fn sql_is_passed_on_with_its_limits() {
    let (status, asked) = asked("POST", "/api/v1/sql", &[], r#"{"sql":"SELECT 1"}"#).await;
    assert_eq!(
        (status, &*asked),
        (200, r#"QueryRequest { query: Sql("SELECT 1"), format: Json, rows_max: 10000, choices: [] }"#)
    );
    let answer = post("/api/v1/sql", r#"{"sql":"SELECT 1","limit":1}"#).await;
    assert_eq!(answer.json()["rows"], json!([[1]]));
    assert_eq!((answer.header("content-type"), answer.header("x-pinlake-truncated")), ("application/json", "true"));
}

#[tokio::test]
async fn the_format_comes_from_the_body_or_else_from_accept() {
    let of = async |accept: &'static str, body: &'static str| {
        let answer = send(router(&Arc::default()), "POST", "/api/v1/sql", &[("accept", accept)], body).await;
        answer.header("content-type").to_owned()
    };
    let (plain, csv) = (r#"{"sql":"SELECT 1"}"#, r#"{"sql":"SELECT 1","format":"csv"}"#);
    let arrow = "application/vnd.apache.arrow.stream";
    for (accept, body, expected) in [
        ("*/*", plain, "application/json"),
        ("text/csv", plain, "text/csv"),
        (arrow, plain, arrow),
        (arrow, csv, "text/csv"),
        ("text/html, Text/CSV;q=0.5, application/json; q=0.9", plain, "application/json"),
        ("text/csv, application/json", plain, "text/csv"),
        ("text/csv;q=0, image/png", plain, "application/json"),
        ("text/csv;q=nonsense", plain, "application/json"),
    ] {
        assert_eq!(of(accept, body).await, expected, "{accept} {body}");
    }
}

#[tokio::test]
async fn wrong_sql_calls_are_refused() {
    post("/api/v1/sql", r#"{"sql":" "}"#).await.is_error(400, "invalid", "'sql' is empty");
    post("/api/v1/sql", "").await.is_error(400, "invalid", "missing field `sql`");
    post("/api/v1/sql", "SELECT 1").await.is_error(400, "invalid", "the request body is not right");
    post("/api/v1/sql", r#"{"sql":"SELECT 1","fromat":"csv"}"#).await.is_error(400, "invalid", "unknown field `fromat`");
    post("/api/v1/sql", r#"{"sql":"SELECT 1","format":"xml"}"#).await.is_error(400, "invalid", "unknown variant `xml`");
    post("/api/v1/sql", r#"{"sql":"SELECT 1","limit":0}"#).await.is_error(400, "invalid", "'limit' takes 1 to 1000000, not 0");
    post("/api/v1/sql", r#"{"sql":"SELECT 1","limit":1000001}"#).await.is_error(400, "invalid", "not 1000001");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let sql = |len: usize| format!("{{\"sql\":\"{}\"}}", "x".repeat(len - 10));
    let fits = send(router(&Arc::default()), "POST", "/api/v1/sql", &[], sql(1 << 20)).await;
    assert_eq!(fits.status, 200);
    let large = send(router(&Arc::default()), "POST", "/api/v1/sql", &[], sql((1 << 20) + 1)).await;
    large.is_error(413, "invalid", "larger than 1048576 bytes");
}

#[tokio::test]
async fn questions_answer_as_sql_does() {
    let (status, question) =
        asked("GET", "/api/v1/questions/top_user?format=csv&limit=5&set=ties=first,users=rows", &[], "").await;
    let expected =
        r#"QueryRequest { query: Question("top_user"), format: Csv, rows_max: 5, choices: ["ties=first", "users=rows"] }"#;
    assert_eq!((status, &*question), (200, expected));
    let (_, accepted) = asked("GET", "/api/v1/questions/a%20b", &[("accept", "text/csv")], "").await;
    assert_eq!(accepted, r#"QueryRequest { query: Question("a b"), format: Csv, rows_max: 10000, choices: [] }"#);
    get("/api/v1/questions/x?form=csv").await.is_error(400, "invalid", "unknown field `form`");
}

#[tokio::test]
async fn topics_are_created_and_deleted() {
    let (status, _) = asked("POST", "/api/v1/topics/emulator.pin", &[], r#"{"partitions":3}"#).await;
    assert_eq!(status, 201);
    let console = Arc::new(FakeConsole::default());
    send(router(&console), "POST", "/api/v1/topics/emulator.pin", &[], "").await;
    let created = console.asked.lock().unwrap()[0].clone();
    assert!(created.starts_with("create emulator.pin TopicSpec { partitions: 1, retention_ms: Some(1000)"), "{created}");
    assert_eq!(asked("DELETE", "/api/v1/topics/emulator.pin", &[], "").await, (204, "delete emulator.pin".to_owned()));
    post("/api/v1/topics/t", r#"{"partitions":0}"#).await.is_error(400, "invalid", "1 to 10000 partitions");
    post("/api/v1/topics/t", r#"{"batch_bytes_max":0}"#).await.is_error(400, "invalid", "takes 512 to 104792064 bytes, not 0");
    post("/api/v1/topics/t", r#"{"partitons":1}"#).await.is_error(400, "invalid", "unknown field");
    get("/api/v1/topics/no%20name").await.is_error(400, "invalid", "topic name 'no name' is not legal");
    get("/api/v1/topics/none").await.is_error(404, "not_found", "topic 'none' does not exist");
}

#[tokio::test]
async fn records_begin_where_they_are_asked_for() {
    for (params, offset, count, next) in [
        ("", 200, 100, 300),
        ("?limit=7", 293, 7, 300),
        ("?limit=1000", 100, 200, 300),
        ("?offset=start&limit=2", 100, 2, 102),
        ("?offset=end", 300, 0, 300),
        ("?offset=250&limit=10", 250, 10, 260),
    ] {
        let records: Records =
            serde_json::from_str(&get(&format!("/api/v1/topics/emulator.pin/records{params}")).await.body).unwrap();
        let first = records.records.first().map_or(records.next_offset, |record| record.offset);
        assert_eq!((first, records.records.len(), records.next_offset), (offset, count, next), "{params}");
    }
    let (_, waits) = asked("GET", "/api/v1/topics/emulator.pin/records?partition=0&offset=300&wait_ms=1500", &[], "").await;
    assert!(waits.contains("offset: Offset(300), records_max: 100, bytes_max: 8388608, wait: 1.5s"), "{waits}");
}

#[tokio::test]
async fn records_that_can_not_be_are_refused() {
    let of = async |params: &str| get(&format!("/api/v1/topics/emulator.pin/records?{params}")).await;
    of("offset=-1").await.is_error(400, "invalid", "'start' or 'end', not '-1'");
    of("offset=first").await.is_error(400, "invalid", "not 'first'");
    of("limit=10001").await.is_error(400, "invalid", "'limit' takes 1 to 10000");
    of("wait_ms=30001").await.is_error(400, "invalid", "'wait_ms' takes 0 to 30000");
    of("partition=1").await.is_error(404, "not_found", "no partition 1");
    of("partition=x").await.is_error(400, "invalid", "invalid digit");
    of("from=1").await.is_error(400, "invalid", "unknown field `from`");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_base64() {
    let answer = get("/api/v1/topics/emulator.pin/records?limit=1").await.json();
    assert_eq!(answer["records"][0]["value"], "{\"index\":1}");
    assert_eq!(answer["records"][0]["key"], json!({ "base64": "/wA=" }));
    assert_eq!(serde_json::from_str::<Payload>("{\"base64\":\"/wA=\"}").unwrap(), Payload::of(&[0xFF, 0]));
}

#[tokio::test]
async fn tables_are_rebuilt_and_flushed() {
    assert_eq!(asked("POST", "/api/v1/tables/pin/rebuild", &[], "").await, (200, "rebuild Table(\"pin\")".to_owned()));
    assert_eq!(asked("POST", "/api/v1/tables/all/rebuild", &[], "").await, (200, "rebuild All".to_owned()));
    assert_eq!(asked("POST", "/api/v1/flush", &[], "").await, (200, "flush".to_owned()));
    get("/api/v1/tables/none").await.is_error(404, "not_found", "table 'none' does not exist");
}

#[tokio::test]
async fn proofs_say_what_they_are_asked_for() {
    assert_eq!(asked("GET", "/api/v1/ledger", &[], "").await, (200, "ledger false".to_owned()));
    assert_eq!(asked("GET", "/api/v1/ledger?deep=true", &[], "").await, (200, "ledger true".to_owned()));
    assert_eq!(asked("GET", "/api/v1/quarantine/pin", &[], "").await, (200, "quarantine pin 100".to_owned()));
    assert_eq!(asked("GET", "/api/v1/quarantine/pin?limit=3", &[], "").await, (200, "quarantine pin 3".to_owned()));
    assert_eq!(asked("GET", "/api/v1/trace/a.pin/2/17", &[], "").await, (200, "trace a.pin/2 17".to_owned()));
    get("/api/v1/quarantine/pin?limit=1001").await.is_error(400, "invalid", "'limit' takes 1 to 1000");
    get("/api/v1/trace/a.pin/2/-1").await.is_error(400, "invalid", "offsets count from 0");
    get("/api/v1/trace/a.pin/two/1").await.is_error(400, "invalid", "the path is not right");
}

/// The command line reads what the server writes.
#[tokio::test]
async fn answers_are_read_back_as_they_were() {
    let table: TableDetail = serde_json::from_str(&get("/api/v1/tables/pin").await.body).unwrap();
    assert_eq!((table.summary.rows, &*table.key[0]), (280, "ind"));
    let trace: Trace = serde_json::from_str(&get("/api/v1/trace/a.pin/0/3").await.body).unwrap();
    assert_eq!(trace.tables.len(), 8);
    let ledger: Ledger = serde_json::from_str(&get("/api/v1/ledger").await.body).unwrap();
    assert_eq!(ledger.tables[0].partitions, [account()]);
}

#[test]
fn an_account_closes_when_every_record_became_one_thing() {
    assert!(account().closes());
    assert_eq!((account().accounted(), account().pending()), (282, 8));
    let mut short = account();
    short.rows -= 4;
    let short = short.balanced();
    assert_eq!((short.lost, short.doubled, short.closes()), (4, 0, false));
    let mut twice = account();
    twice.rows += 1;
    let twice = twice.balanced();
    assert_eq!((twice.lost, twice.doubled, twice.closes()), (0, 1, false));
    let mut ahead = account();
    ahead.log.end = 291;
    assert!(!ahead.closes(), "a table can't have taken what the log does not hold");
    let ledger = Ledger::of(
        vec![TableLedger::of("pin", vec![account()], None), TableLedger::of("geo", vec![account(), short], None)],
        false,
    );
    assert_eq!((ledger.closed, ledger.tables[0].closed, ledger.tables[1].closed), (false, true, false));
    let with = |change: fn(&mut RebuildComparison)| {
        let mut comparison = comparison();
        change(&mut comparison);
        TableLedger::of("pin", vec![account()], Some(comparison)).closed
    };
    assert!(with(|_| {}), "two conflicts allow two rows to differ");
    assert!(!with(|comparison| comparison.differing = 3));
    assert!(!with(|comparison| comparison.missing = 1));
    assert!(!with(|comparison| comparison.extra = 1));
    assert!(!with(|comparison| comparison.doubled = 1));
}

#[tokio::test]
async fn each_kind_of_error_has_its_status() {
    for (kind, status) in [
        (ErrorKind::Retry, 503),
        (ErrorKind::Invalid, 400),
        (ErrorKind::NotFound, 404),
        (ErrorKind::Conflict, 409),
        (ErrorKind::Corrupt, 500),
        (ErrorKind::Internal, 500),
    ] {
        let console = Arc::new(FakeConsole::failing(Error::new(kind, "it failed").with_source("the disk is full")));
        let answer = send(router(&console), "POST", "/api/v1/flush", &[], "").await;
        answer.is_error(status, kind.as_str(), "it failed: the disk is full");
        assert_eq!(answer.header("retry-after"), if kind == ErrorKind::Retry { "1" } else { "" });
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_the_same_form() {
    for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/tables/pin/rows", "/api/v1/sql/"] {
        get(path).await.is_error(404, "not_found", "no such path");
    }
    get("/api/v1/sql").await.is_error(405, "invalid", "GET is not for '/api/v1/sql'");
    post("/api/v1/ledger", "").await.is_error(405, "invalid", "POST is not for");
}

#[tokio::test]
async fn other_paths_are_left_to_the_router_it_is_merged_with() {
    let doors = Router::new().fallback(async || "doors");
    let merged = || router(&Arc::default()).merge(doors.clone());
    for path in ["/topics/emulator.pin", "/prod/topics/x", "/api/2.1/jobs/list", "/nothing"] {
        assert_eq!(send(merged(), "POST", path, &[], "").await.body, "doors", "{path}");
    }
    assert_eq!(send(merged(), "GET", "/", &[], "").await.body, "{}");
    send(merged(), "GET", "/api/v1/nothing", &[], "").await.is_error(404, "not_found", "no such path");
    // The native AWS forms post to the root.
    let native = router(&Arc::default()).merge(Router::new().route("/", on_post(async || "native")));
    assert_eq!(send(native, "POST", "/", &[], "").await.body, "native");
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    assert_eq!(get("/healthz").await.json(), json!({ "status": "alive" }));
    let looked = |at| Arc::new(FakeJobs::daily().looked_at(at));
    let with = |jobs| pinlake_web::router(Parts { jobs: Some(jobs), ..parts(&Arc::default()) });
    let ready = send(with(looked(Clock::System.now())), "GET", "/readyz", &[], "").await;
    assert_eq!((ready.status.as_u16(), ready.json()["ready"].clone()), (200, json!(true)));
    let scheduler = ready.json()["parts"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&scheduler["name"], &scheduler["warnings"][0]), (&json!("scheduler"), &json!("pipeline.yml:3: no such task")));
    let stands = send(with(looked(Timestamp(0))), "GET", "/readyz", &[], "").await;
    assert_eq!((stands.status.as_u16(), stands.json()["ready"].clone()), (503, json!(false)), "{}", stands.body);
    assert!(stands.body.contains("it has not looked at what is due"), "{}", stands.body);
    let waiting = Arc::new(FakeConsole { waits: Some("table pin"), ..FakeConsole::default() });
    let answer = send(router(&waiting), "GET", "/readyz", &[], "").await;
    let part = json!({ "name": "table pin", "ready": false, "waits_for": "the object store" });
    assert_eq!((answer.status.as_u16(), answer.json()["parts"][1].clone()), (503, part));
    assert_eq!(send(router(&waiting), "GET", "/healthz", &[], "").await.status, 200, "it is alive all the same");
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || metrics::counter!("pinlake_records_total").increment(3));
    let router = pinlake_web::router(Parts { metrics: recorder.handle(), ..parts(&waiting) });
    let metrics = send(router, "GET", "/metrics", &[], "").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("pinlake_records_total 3"), "{}", metrics.body);
}

#[tokio::test]
async fn a_browser_gets_a_page_and_a_kafka_client_an_empty_object() {
    let rest = send(router(&Arc::default()), "GET", "/", &[("accept", "application/vnd.kafka.v2+json")], "").await;
    assert_eq!((rest.header("content-type"), &*rest.body), ("application/json", "{}"));
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let waiting = Arc::new(FakeConsole { waits: Some("table pin"), ..FakeConsole::default() });
    let page = send(router(&waiting), "GET", "/", &browser, "").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for part in [
        "table pin waits for the object store",
        "<a href=\"/api/v1/topics/emulator.pin/records\">200</a>",
        "<a href=\"/api/v1/quarantine/pin\">12</a>",
        "Which &lt;b&gt;?",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    let broken = Arc::new(FakeConsole::failing(Error::retry("the store is <away>")));
    let page = send(router(&broken), "GET", "/", &browser, "").await;
    assert!(page.status == 200 && page.body.contains("the store is &lt;away&gt;"), "a page that says what is wrong");
}

#[test]
fn a_record_of_the_log_is_shown_with_its_headers() {
    let headers =
        vec![("from".to_owned(), Some("emulator".into())), ("from".to_owned(), None), (String::new(), Some(vec![255].into()))];
    let batch = Batch::of(&[Record { headers, ..Record::of_key_value("k", "{}") }], Timestamp(5)).unwrap();
    let record = batch.records().next().unwrap().unwrap();
    let shown = serde_json::to_value(LogRecord::of(&record).unwrap()).unwrap();
    let headers = json!([{"name": "from", "value": "emulator"}, {"name": "from", "value": null}, {"name": "", "value": {"base64": "/w=="}}]);
    assert_eq!(shown, json!({"offset": 0, "timestamp_ms": 5, "key": "k", "value": "{}", "headers": headers}));
}

#[tokio::test]
async fn a_body_is_an_object() {
    for body in [r#"["SELECT 1", null, null]"#, "\"SELECT 1\"", "SELECT 1", "null", "\u{1f}\u{8b}"] {
        post("/api/v1/sql", body).await.is_error(400, "invalid", "it takes a JSON object, uncompressed");
    }
    post("/api/v1/topics/x", "[3]").await.is_error(400, "invalid", "it takes a JSON object, uncompressed");
}
