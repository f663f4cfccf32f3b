//! Answers that are kept: what comes into gold tables, what is refused, and what SQL sees of them.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinlake_core::jobs::Interval;
use pinlake_core::pipeline::{Pipeline, parse};
use pinlake_core::{Error, ErrorKind, Timestamp};
use pinlake_lake::gold::{Effect, Gold, Materialised};
use pinlake_lake::lake::Lake;
use pinlake_lake::sql::parameters::{Parameter, Parameters};
use serde_json::{Value, json};

use crate::setup::{World, rows, things};

/// A run's answer to `sql` for the table `daily`, as the effect of the run's number.
pub(crate) fn daily(sql: &str, run: i64) -> Gold {
    Gold {
        name: "daily".to_owned(),
        sql: sql.to_owned(),
        parameters: Parameters::new(),
        interval: None,
        effect: Effect { app: "job/daily".to_owned(), version: run },
        run,
    }
}

/// What every run has kept, the oldest first.
pub(crate) async fn kept(lake: &Lake, columns: &str) -> Value {
    Value::from(rows(lake, &format!("SELECT {columns} FROM gold.daily ORDER BY _run, 1")).await)
}

async fn keep(lake: &Lake, sql: &str, run: i64) -> Materialised {
    lake.materialise(daily(sql, run)).await.unwrap()
}

async fn refused(lake: &Lake, gold: Gold) -> String {
    let error = lake.materialise(gold).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

#[tokio::test]
async fn each_run_adds_its_rows_with_its_data_and_its_number() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &[r#"{"k":1,"v":"a"}"#, r#"{"k":2,"v":"a"}"#]).await;
    let first = Interval { from: Timestamp(1_700_000_000_000), to: world.clock.now() };
    let sql = "SELECT v, count(*) AS n, $run AS run FROM things WHERE _ingested_at >= $from AND _ingested_at <= $to GROUP BY v";
    let done = lake.materialise(Gold { interval: Some(first), ..daily(sql, 1) }).await.unwrap();
    assert_eq!(done, Materialised { version: 0, rows: 1, already: false }, "in one commit");
    let empty = Interval { from: first.to, to: first.to };
    let later = Interval { from: Timestamp(first.to.0 + 1), to: Timestamp(first.to.0 + 10_000) };
    world.append_values(&of, &[r#"{"k":3,"v":"b"}"#]).await;
    let done = lake.materialise(Gold { interval: Some(later), ..daily(sql, 2) }).await.unwrap();
    assert_eq!((done.version, done.rows), (1, 1), "what is acknowledged and not committed is in it");
    let nothing = "SELECT v, count(*) AS n, $run AS run FROM things WHERE k > 100 GROUP BY v";
    let done = lake.materialise(Gold { interval: Some(empty), ..daily(nothing, 3) }).await.unwrap();
    assert_eq!(done, Materialised { version: 2, rows: 0, already: false }, "no rows are an answer");
    let wanted = json!([
        ["a", 2, 1, "2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z", 1, "2023-11-14T22:13:21Z"],
        ["b", 1, 2, "2023-11-14T22:13:21.001Z", "2023-11-14T22:13:31.001Z", 2, "2023-11-14T22:13:22Z"],
    ]);
    let all = kept(&lake, "*").await;
    let second = wanted[1].as_array().unwrap();
    assert_eq!(all[0], wanted[0]);
    assert_eq!(all[1].as_array().unwrap()[..4], second[..4]);
    assert_eq!(all[1].as_array().unwrap()[5..], second[5..]);
    drop(lake);
    let fresh = world.start().await;
    assert_eq!(kept(&fresh, "*").await, all, "another process reads the same");
    let info = world.object("gold/daily/_delta_log/00000000000000000002.json").await;
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains(r#""txn":{"appId":"job/daily","version":3"#) && !info.contains(r#""add":"#), "{info}");
    let said = r#""pinlake":{"app":"job/daily","effect":3,"run":3,"from_ms":1700000001000,"to_ms":1700000001000,"rows":0}"#;
    assert!(info.contains(said), "{info}");
}

#[tokio::test]
async fn an_effect_happens_once_and_is_not_asked_again() {
    let lake = World::new(things()).start().await;
    assert_eq!(keep(&lake, "SELECT 1 AS n", 5).await.version, 0);
    let again = keep(&lake, "SELECT this is not even SQL", 5).await;
    assert_eq!(again, Materialised { version: 0, rows: 0, already: true });
    let other = Effect { app: "job/other".to_owned(), version: 1 };
    let other = lake.materialise(Gold { effect: other, ..daily("SELECT 2 AS n", 1) }).await.unwrap();
    assert_eq!((other.version, other.already), (1, false));
    assert_eq!(keep(&lake, "SELECT 3 AS n", 6).await.version, 2);
    assert_eq!(kept(&lake, "n, _run").await, json!([[2, 1], [1, 5], [3, 6]]));
}

#[tokio::test]
async fn an_effect_below_the_last_is_refused_and_not_taken_for_done() {
    let lake = World::new(things()).start().await;
    keep(&lake, "SELECT 1 AS n", 5).await;
    let says = refused(&lake, daily("SELECT this is not even SQL", 4)).await;
    let begin = "gold.daily has an effect of 'job/daily' that is later (5) than this one (4), so nobody can tell whether it has this one: ";
    assert!(says.starts_with(begin), "{says}");
    assert_eq!(kept(&lake, "n, _run").await, json!([[1, 5]]));
    assert!(keep(&lake, "not asked", 5).await.already);
}

#[tokio::test]
async fn new_columns_are_added_missing_ones_are_null_and_none_changes_its_type() {
    let world = World::new(things());
    let lake = world.start().await;
    keep(&lake, "SELECT 1 AS a, 'x' AS b", 1).await;
    keep(&lake, "SELECT [1.5, NULL] AS c, {'inner': 'text'} AS d, 2 AS a", 2).await;
    keep(&lake, "SELECT 'y' AS b, CAST(NULL AS timestamp) AS at", 3).await;
    let all = json!([
        [1, "x", null, null, null, null, null, 1],
        [2, null, [1.5, null], {"inner": "text"}, null, null, null, 2],
        [null, "y", null, null, null, null, null, 3],
    ]);
    for lake in [&lake, &world.start().await] {
        assert_eq!(kept(lake, "a, b, c, d, at, _from, _to, _run").await, all);
        let columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'gold' ORDER BY ordinal_position";
        let columns = Value::from(rows(lake, columns).await);
        assert_eq!(columns, json!([["a"], ["b"], ["c"], ["d"], ["at"], ["_from"], ["_to"], ["_run"], ["_at"]]));
    }
    let before = world.names("gold").await;
    let says = refused(&lake, daily("SELECT 'one' AS a", 4)).await;
    assert!(says.starts_with("column 'a' of gold.daily is long, but string in the answer: cast it to long, "), "{says}");
    assert!(says.ends_with("or delete gold/daily with its history"), "{says}");
    for (sql, says) in [
        ("SELECT count(*) FROM things", "column 'count(*)' has no name that a table can have"),
        ("SELECT _run FROM gold.daily", "column '_run' has the name of one of pinlake's own"),
        ("SELECT NULL AS x", "column 'x' is of type Null, which a table can't hold: cast it"),
        ("SELECT arrow_cast(18446744073709551615, 'UInt64') AS x", "column 'x' has a UInt64 that does not fit a table's Int64"),
        ("SELECT CAST(v AS bigint) AS x FROM (VALUES ('1'), ('no')) t (v)", "running the query"),
        ("SELECT 1 AS a, $who AS b", "$who has no value: there are $from, $run, $to"),
        ("DELETE FROM gold.daily", "SQL here only reads"),
    ] {
        let found = refused(&lake, daily(sql, 4)).await;
        assert!(found.starts_with(says), "{sql}: {found}");
    }
    assert_eq!(world.names("gold").await, before, "nothing of what was refused is left");
    assert_eq!(kept(&lake, "a, b, c, d, at, _from, _to, _run").await, all);
}

#[tokio::test]
async fn names_and_effects_are_checked_before_anything_is_asked() {
    let lake = World::new(things()).start().await;
    for name in ["", "Daily", "a-b", "../x", "a/b", "1a", "_a", "é", "x".repeat(101).as_str()] {
        let says = refused(&lake, Gold { name: name.to_owned(), ..daily("no SQL", 1) }).await;
        assert!(says.contains("is no name of a gold table: up to 100 lower-case letters"), "{says}");
    }
    let effect = |app: &str| Effect { app: app.to_owned(), version: 1 };
    let says = refused(&lake, Gold { effect: effect(""), ..daily("no SQL", 1) }).await;
    assert_eq!(says, "the effect has no app: name the task that it is of");
    let says = refused(&lake, Gold { effect: effect(&"x".repeat(1001)), ..daily("no SQL", 1) }).await;
    assert_eq!(says, "the effect's app has 1001 bytes, 1000 are the most");
}

#[tokio::test]
async fn gold_tables_are_listed_and_a_name_that_is_none_is_answered_with_those_there_are() {
    let world = World::new(things());
    let lake = world.start().await;
    let error = async |lake: &Lake, sql: &str| lake.query(sql, 1).await.unwrap_err();
    let none = error(&lake, "SELECT * FROM gold.daily").await;
    let says = "table 'gold.daily' does not exist: there is none yet, until a job keeps an answer; SHOW TABLES lists all";
    assert_eq!((none.kind(), none.to_string().as_str()), (ErrorKind::Invalid, says));
    keep(&lake, "SELECT 1 AS n", 1).await;
    lake.materialise(Gold { name: "other".to_owned(), ..daily("SELECT 1 AS n", 1) }).await.unwrap();
    // A table whose log does not read, and a folder in which a first run has only begun to write.
    let put = async |path: &str| world.objects.put(&Path::from(path), "not json".into()).await.unwrap();
    put("gold/broken/_delta_log/00000000000000000000.json").await;
    put("gold/begun/part-1.snappy.parquet").await;
    put("gold/Not a name/x").await;
    for lake in [&lake, &world.start().await] {
        let listed = rows(lake, "SHOW TABLES").await;
        let mut listed: Vec<&str> = listed.iter().filter(|row| row[1] == "gold").map(|row| row[2].as_str().unwrap()).collect();
        listed.sort_unstable();
        assert_eq!(listed, ["broken", "daily", "other"]);
        assert_eq!(lake.gold_tables().await.unwrap(), ["begun", "broken", "daily", "other"]);
        assert_eq!(rows(lake, "SELECT n FROM gold.other, information_schema.tables LIMIT 1").await, [[json!(1)]]);
        let unknown = error(lake, "SELECT * FROM gold.nothing").await.to_string();
        assert!(
            unknown.starts_with("table 'gold.nothing' does not exist: there are gold.begun, gold.broken, gold.daily, "),
            "{unknown}"
        );
        let unnamed = error(lake, "SELECT * FROM gold.\"../tables/things\"").await.to_string();
        assert!(unnamed.starts_with("table 'gold.../tables/things' does not exist: there are "), "{unnamed}");
        error(lake, "SELECT * FROM gold.broken").await;
        error(lake, "SELECT * FROM gold.begun").await;
    }
}

#[tokio::test]
async fn a_table_that_is_deleted_begins_again() {
    let world = World::new(things());
    let lake = world.start().await;
    keep(&lake, "SELECT 1 AS n", 1).await;
    for name in world.names("gold/daily").await {
        world.objects.delete(&Path::from(name)).await.unwrap();
    }
    lake.query("SELECT * FROM gold.daily", 1).await.unwrap_err();
    assert_eq!(keep(&lake, "SELECT 'text' AS n", 1).await.version, 0, "its effects went with it");
    assert_eq!(kept(&lake, "n").await, json!([["text"]]));
}

#[tokio::test]
async fn writers_at_once_each_happen_once() {
    let world = World::new(things());
    let lakes = [world.start().await, world.start().await, world.start().await];
    // Rounds with a table that is not there yet, with new columns, and with the same ones.
    for (round, sql) in [(1, "SELECT 1 AS a"), (2, "SELECT 2 AS a, 'x' AS b"), (3, "SELECT 3 AS a")] {
        let same = lakes.iter().map(|lake| lake.materialise(daily(sql, round)));
        let own = lakes.iter().enumerate().map(|(at, lake)| {
            let effect = Effect { app: format!("job/{at}"), version: round };
            lake.materialise(Gold { effect, ..daily(sql, round) })
        });
        let (same, own) = futures::join!(futures::future::join_all(same), futures::future::join_all(own));
        let same: Vec<Materialised> = same.into_iter().map(Result::unwrap).collect();
        assert_eq!(same.iter().filter(|done| !done.already).count(), 1, "{same:?}");
        assert_eq!(same.iter().map(|done| done.rows).sum::<u64>(), 1, "{same:?}");
        assert!(own.into_iter().map(Result::unwrap).all(|done| !done.already && done.rows == 1));
        let found = rows(&lakes[0], "SELECT _run, count(*) FROM gold.daily GROUP BY 1 ORDER BY 1").await;
        let wanted: Vec<Vec<Value>> = (1..=round).map(|run| vec![json!(run), json!(4)]).collect();
        assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn many_runs_make_few_files_and_checkpoints_keep_their_effects() {
    let world = World::new(things());
    let lake = world.start().await;
    for run in 1..=25 {
        world.clock.advance(Duration::from_secs(1));
        keep(&lake, if run < 20 { "SELECT $run AS n" } else { "SELECT $run AS n, 'new' AS v" }, run).await;
    }
    let checkpoints = world.names("gold/daily/_delta_log").await;
    assert!(checkpoints.iter().any(|name| name.contains(".checkpoint.")), "{checkpoints:?}");
    let lake = world.start().await;
    assert!(keep(&lake, "not asked", 25).await.already);
    for run in [1, 10, 24] {
        refused(&lake, daily("not asked", run)).await;
    }
    let found = "SELECT count(*), count(DISTINCT n), sum(n), count(v) FROM gold.daily";
    assert_eq!(rows(&lake, found).await, [[json!(25), json!(25), json!(325), json!(6)]]);
    let done = lake.compact("gold.daily").await.unwrap();
    assert!((2..10).contains(&done.files_before) && done.files_after == 1 && done.bytes > 0, "{done:?}");
    assert_eq!(rows(&lake, found).await, [[json!(25), json!(25), json!(325), json!(6)]]);
    let again = lake.compact("gold.daily").await.unwrap();
    assert_eq!((again.files_before, again.files_after, again.bytes), (1, 1, 0));
    assert_eq!(keep(&lake, "SELECT 26 AS n", 26).await.rows, 1);
}

/// A pipeline whose question leaves a choice and asks for its run's data.
fn asked() -> Arc<Pipeline> {
    let pipeline = r#"
pipeline: things
topics: { things: { match: ["*.things"] } }
archive: { format: json, flush: { records: 3, bytes: 64MiB, age: 60s } }
tables: { things: { clean: clean/things.sql, key: [k], schema: { k: bigint } } }
questions: questions/*.sql
choices: { ties: [all, first] }
"#;
    let question = "-- What it is asked.\nSELECT $ties AS ties, $from AS asked_from, $run AS asked_run";
    let files = [("pipeline.yml", pipeline), ("clean/things.sql", "SELECT k FROM raw"), ("questions/asked.sql", question)];
    Arc::new(parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap())
}

#[tokio::test]
async fn questions_see_choices_and_runs_and_nulls_outside_of_a_run() {
    let lake = World::new(asked()).start().await;
    let sql = "SELECT * FROM question.asked";
    assert_eq!(rows(&lake, sql).await, [[json!("all"), Value::Null, Value::Null]]);
    let ties = |value: &str| Parameters::from([("ties".to_owned(), Parameter::Text(value.to_owned()))]);
    let error: Error = lake.query_with(sql, ties("none"), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "'ties=none' is no choice of this pipeline: there are ties=all|first");
    let interval = Some(Interval { from: Timestamp(0), to: Timestamp(1) });
    lake.materialise(Gold { interval, parameters: ties("first"), ..daily(sql, 9) }).await.unwrap();
    assert_eq!(kept(&lake, "*").await[0].as_array().unwrap()[..3], [json!("first"), json!("1970-01-01T00:00:00Z"), json!(9)]);
}
