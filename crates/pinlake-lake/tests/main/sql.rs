//! What SQL lists, shows and refuses.

use std::sync::Arc;

use pinlake_core::pipeline::{Pipeline, parse};
use pinlake_core::{ErrorKind, Log};
use serde_json::{Value, json};

use crate::setup::{World, rows, things};

/// A pipeline with a table, a question and one that can't be answered.
fn asked() -> Arc<Pipeline> {
    let pipeline = r#"
pipeline: things
topics: { things: { match: ["*.things"] } }
archive: { format: json, flush: { records: 3, bytes: 64MiB, age: 60s } }
tables: { things: { clean: clean/things.sql, key: [k], schema: { k: bigint } } }
questions: questions/*.sql
"#;
    let question = "-- How many there are.\nSELECT count(*) AS n FROM things";
    let wrong = "-- What is not there.\nSELECT * FROM nowhere";
    let files = [
        ("pipeline.yml", pipeline),
        ("clean/things.sql", "SELECT k FROM raw"),
        ("questions/how_many.sql", question),
        ("questions/wrong.sql", wrong),
    ];
    Arc::new(parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap())
}

#[tokio::test]
async fn every_name_that_can_be_read_is_listed() {
    let lake = World::new(asked()).start().await;
    let listed = rows(&lake, "SHOW TABLES").await;
    let mut listed: Vec<String> = listed
        .iter()
        .map(|row| format!("{}.{}", row[1].as_str().unwrap(), row[2].as_str().unwrap()))
        .filter(|name| !name.starts_with("information_schema."))
        .collect();
    listed.sort();
    let all = [
        "public.things",
        "quarantine.things",
        "question.how_many",
        "question.wrong",
        "raw.things",
        "system.commits",
        "system.ledger",
        "system.topics",
    ];
    assert_eq!(listed, all);
    for name in listed.iter().filter(|name| *name != "question.wrong") {
        rows(&lake, &format!("SELECT * FROM {name}")).await;
    }
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'quarantine' ORDER BY 1 DESC LIMIT 1";
    let counted = "SELECT n FROM question.how_many, information_schema.tables WHERE table_name = 'how_many'";
    assert_eq!(rows(&lake, counted).await, [[json!(0)]], "a question that is asked is a view");
    assert_eq!(rows(&lake, columns).await, [[json!("reason")]]);
}

#[tokio::test]
async fn what_can_not_be_asked_is_said_with_what_can() {
    let lake = World::new(things()).start().await;
    let reads = "SQL here only reads: use SELECT, WITH, EXPLAIN, DESCRIBE or SHOW; ";
    let there = "does not exist: there are things; SHOW TABLES lists all";
    let unbounded = "its result can be as large as a number says";
    for (sql, says) in [
        ("INSERT INTO things VALUES (1)", reads.to_owned()),
        ("CREATE TABLE x (k INT)", reads.to_owned()),
        ("DROP TABLE things", reads.to_owned()),
        ("COPY things TO 'x.csv'", reads.to_owned()),
        ("EXPLAIN DELETE FROM things", reads.to_owned()),
        ("SET x = 1", reads.to_owned()),
        ("WITH x AS (SELECT 1 AS k) INSERT INTO things SELECT k FROM x", reads.to_owned()),
        ("SELECT 1 AS k INTO x", "running the query: ".to_owned()),
        ("SELECT * FROM thing", format!("table 'thing' {there}")),
        ("SELECT * FROM things JOIN other.things USING (k)", format!("table 'other.things' {there}")),
        ("SELECT repeat('x', 9)", format!("queries have no function repeat: {unbounded}")),
        ("SELECT LIST_REPEAT(1, 9)", format!("queries have no function list_repeat: {unbounded}")),
    ] {
        let error = lake.query(sql, 10).await.unwrap_err();
        assert!(error.to_string().starts_with(&says), "{sql}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
    }
    let series = "WITH t AS (SELECT 1 AS k) SELECT count(*) FROM generate_series(1, 3) JOIN t ON k = value";
    assert_eq!(rows(&lake, series).await, [[json!(1)]], "neither is a table of ours");
}

#[tokio::test]
async fn a_quarantined_record_is_shown_as_the_text_that_it_is() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &["{\"k\":\"é\"}"]).await;
    lake.flush().await.unwrap();
    let shown = rows(&lake, "SELECT raw, arrow_typeof(raw) FROM quarantine.things").await;
    assert_eq!(shown, [[json!("{\"k\":\"é\"}"), json!("Binary")]]);
}

#[tokio::test]
async fn the_ledger_keeps_what_came_from_a_deleted_topic_and_says_so() {
    let world = World::new(things());
    let (gone, kept) = (world.topic("a.things", 1).await.partition(0), world.topic("b.things", 1).await.partition(0));
    let lake = world.start().await;
    world.append_values(&gone, &[r#"{"k":1}"#]).await;
    world.append_values(&kept, &[r#"{"k":2}"#]).await;
    lake.flush().await.unwrap();
    world.log.delete_topic(&gone.topic).await.unwrap();
    for deep in [false, true] {
        let ledger = lake.ledger(deep).await.unwrap();
        let lines: Vec<Value> = ledger[0]
            .accounts
            .iter()
            .map(|account| json!([account.of.topic.as_str(), account.deleted, account.standing.counts.rows]))
            .collect();
        assert_eq!(lines, [json!(["a.things", true, 1]), json!(["b.things", false, 1])]);
    }
}
