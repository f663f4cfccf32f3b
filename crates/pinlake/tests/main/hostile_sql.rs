//! SQL that no honest client sends: it is refused or ends in time, and nothing else waits for it.

use serde_json::{Value, json};

use crate::hostile::{JSON, KAFKA_JSON, check, post, refused, serves_on};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_writes_reads_files_or_is_broken_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(&place.path().join("data"), "127.0.0.1:0").await;
    serves_on(&server).await;
    let secret = place.path().join("secret.csv");
    std::fs::write(&secret, "open sesame\n1\n").unwrap();
    let out = place.path().join("out.csv");
    let (secret, out) = (secret.display(), out.display());
    let writes = [
        "DROP TABLE pin".to_owned(),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE VIEW pin AS SELECT 1".to_owned(),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{secret}'"),
        "EXPLAIN ANALYZE DROP TABLE pin".to_owned(),
        format!("COPY pin TO '{out}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}' STORED AS CSV"),
        "INSERT INTO pin SELECT * FROM pin".to_owned(),
        "DELETE FROM pin".to_owned(),
        "UPDATE pin SET ind = 2".to_owned(),
        "TRUNCATE TABLE pin".to_owned(),
        "ALTER TABLE pin ADD COLUMN x INT".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "PREPARE x AS SELECT 1".to_owned(),
    ];
    let writes = writes.map(|sql| (sql, "SQL here only reads: use SELECT"));
    let reads = [
        (format!("SELECT * FROM '{secret}'"), "does not exist: there are pin, geo, user; SHOW TABLES lists all"),
        (format!("SELECT * FROM 'file://{secret}'"), "does not exist"),
        (format!("SELECT * FROM read_csv('{secret}')"), "table 'read_csv' does not exist"),
        ("SELECT * FROM nobodys".to_owned(), "table 'nobodys' does not exist"),
        ("SELECT repeat('a', 1000000000)".to_owned(), "queries have no function repeat"),
        ("SELECT nothing FROM pin".to_owned(), "No field named nothing"),
        ("SELEC 1".to_owned(), "Expected: an SQL statement, found: SELEC at Line: 1, Column: 1"),
        ("SELECT 1; DROP TABLE pin".to_owned(), "single SQL statement"),
        ("SELECT * FROM pin LIMIT -1".to_owned(), "LIMIT must be >= 0"),
        ("SELECT 1/0".to_owned(), "Divide by zero"),
        ("SELECT $1".to_owned(), "$1 has no value"),
        ("SELECT to_timestamp_micros(9223372036854775807)".to_owned(), "is no time or date people write"),
        ("SELECT now() AT TIME ZONE 'No/Where'".to_owned(), "the answer has a "),
        ("SELECT map(['a'], [now() AT TIME ZONE 'No/Where'])".to_owned(), "the query engine gave up on this query"),
        (" \n".to_owned(), "'sql' is empty"),
        ("\0".to_owned(), "Expected: an SQL statement"),
    ];
    let links = ["+1", "- ", "::int", " IS NULL", "||'a'", " AND true", " UNION ALL SELECT 1", ", pin"];
    let deep = links.map(|link| (format!("SELECT 1 FROM pin{link}{}", link.repeat(60_000 / link.len())), "are the most"));
    let nested = ["(", "abs("].map(|open| (format!("SELECT {}1", open.repeat(100_000)), "RecursionLimitExceeded"));
    for (sql, says) in writes.into_iter().chain(reads).chain(deep).chain(nested) {
        check(&server, "POST /api/v1/sql", Some(JSON), &refused(json!({"sql": sql}).to_string(), 400, says)).await;
    }
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() == 2, "no file was written beside data and secret: {left:?}");
    assert_eq!(server.rows("SELECT * FROM pin LIMIT 0").await, Vec::<Value>::new());
    assert_eq!(server.rows("SELECT count(*) FROM pin").await, [json!([1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_take_too_long_end_and_others_go_on() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("pinlake.yml");
    // Their time is over before they meet any other bound, also where it is told late.
    std::fs::write(&config, "query: { time_max: 5s, memory_max: 8GiB }\n").unwrap();
    let config = ["--config", config.to_str().unwrap()];
    let server = Server::start_with(&place.path().join("data"), "127.0.0.1:0", &config).await;
    for sql in endless() {
        let body = refused(json!({"sql": sql}).to_string(), 400, "the query took longer than 5 s");
        check(&server, "POST /api/v1/sql", Some(JSON), &body).await;
    }
    serves_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_and_the_end_do_not_wait_for_endless_queries() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("patient.yml");
    std::fs::write(&config, "query: { time_max: 1h }\n").unwrap();
    let server = Server::start_with(data.path(), "127.0.0.1:0", &["--config", config.to_str().unwrap()]).await;
    let mut asked = tokio::task::JoinSet::new();
    for sql in endless() {
        let asking = reqwest::Client::new().post(format!("{}/api/v1/sql", server.url)).json(&json!({"sql": sql}));
        asked.spawn(asking.send());
    }
    for index in 0..50 {
        let body = json!({"records": [{"value": {"index": index}}]}).to_string();
        post(&server, "/topics/busy.pin", KAFKA_JSON, &body).await;
        assert_eq!(server.get("/healthz").await["status"], "alive");
    }
    server.terminate().await;
    assert!(server.ended().await.success());
    let answers = asked.join_all().await.into_iter().map(|answer| answer.unwrap().status().as_u16());
    // One may have met its bound of memory before.
    let (cut_short, others): (Vec<u16>, Vec<u16>) = answers.partition(|status| *status == 503);
    assert!(!cut_short.is_empty(), "a query that is cut short is told so");
    assert!(others.iter().all(|status| *status == 400), "{others:?}");
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    assert_eq!(server.rows("SELECT count(*) FROM pin").await, [json!([50])]);
}

/// Queries that would run for hours.
fn endless() -> [String; 4] {
    let numbers = "generate_series(1, 1000000)";
    let text = |of: &str| format!("CAST({of}.value AS varchar)");
    [
        format!("SELECT count(*) FROM {numbers} a, {numbers} b, {numbers} c WHERE a.value + b.value = c.value + 7"),
        format!("SELECT count(*) FROM {numbers} a, {numbers} b WHERE replace({}, {}, 'x') LIKE '%zz%'", text("a"), text("b")),
        "SELECT count(*) FROM generate_series(1, 1000000000000)".to_owned(),
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n > 0) SELECT count(*) FROM t".to_owned(),
    ]
}
