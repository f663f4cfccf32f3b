//! The built-in cleanings on the values of the classic pipeline, and what a cleaning may not do.

use expect_test::{Expect, expect};
use include_dir::{Dir, DirEntry, include_dir};
use pinlake_core::pipeline::{Files, Flush, Pipeline, RawColumn, RawType, TopicRule, parse};
use serde_json::{Map, Value, json};

use super::*;
use crate::decode::Decoder;
use crate::rows::{Counts, Recipe};
use crate::sql::encode::{rows_of, type_name};

static PINTEREST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../pipelines/pinterest");

fn pinterest() -> Pipeline {
    fn read(dir: &Dir<'_>, files: &mut Files) {
        for entry in dir.entries() {
            match entry {
                DirEntry::Dir(dir) => read(dir, files),
                DirEntry::File(file) => {
                    files.insert(file.path().to_str().unwrap().to_owned(), file.contents_utf8().unwrap().to_owned());
                }
            }
        }
    }
    let mut files = Files::new();
    read(&PINTEREST, &mut files);
    parse(&files).unwrap()
}

/// The clean rows of `table` as objects, and the rejected ones.
async fn clean(table: &str, records: &[Value]) -> (Vec<Map<String, Value>>, Vec<(u32, String)>) {
    let pipeline = pinterest();
    let spec = pipeline.table(table).unwrap();
    let decoder = Decoder::new(&spec.schema);
    let cleaning = Cleaning::compile(spec, decoder.schema()).await.unwrap();
    let texts: Vec<Vec<u8>> = records.iter().map(|record| record.to_string().into_bytes()).collect();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let decoded = decoder.decode(&texts).unwrap();
    assert_eq!(decoded.rejected, []);
    let cleaned = cleaning.apply(&decoded.rows).unwrap();
    let names: Vec<String> = cleaned.rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let rows = rows_of(&cleaned.rows).unwrap().into_iter().map(|row| names.iter().cloned().zip(row).collect()).collect();
    (rows, cleaned.rejected)
}

/// The one clean row of a record that is good.
async fn one(table: &str, record: Value) -> Map<String, Value> {
    let (mut rows, rejected) = clean(table, &[record]).await;
    assert_eq!(rejected, []);
    rows.remove(0)
}

/// The reason why a record is set aside.
async fn reason(table: &str, record: Value) -> String {
    let (_, rejected) = clean(table, std::slice::from_ref(&record)).await;
    assert_eq!(rejected.len(), 1, "{record} is set aside");
    rejected[0].1.clone()
}

fn pin() -> Value {
    json!({
        "index": 7528, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "title": "10 Easy Paint Ideas",
        "description": "This artist …\u{a0}", "poster_name": "Style & Home ", "follower_count": "942k",
        "tag_list": "Wall Art, Oil Paint,,Décor", "is_image_or_video": "image",
        "image_src": "https://i.pinimg.com/originals/a/b/x.jpg", "downloaded": 1,
        "save_location": "Local save in /data/art", "category": "art",
    })
}

fn pin_with(field: &str, value: impl Into<Value>) -> Value {
    let mut pin = pin();
    pin[field] = value.into();
    pin
}

fn geo() -> Value {
    json!({"ind": 1, "timestamp": "2020-08-28T03:52:47", "latitude": -88.5478, "longitude": -167.123_456_789,
           "country": "Cote d'Ivoire"})
}

fn user() -> Value {
    json!({"ind": 1, "first_name": "Ann Lee", "last_name": "O'Neil", "age": 20, "date_joined": "2015-10-23 04:13:23"})
}

fn with(mut record: Value, field: &str, value: impl Into<Value>) -> Value {
    record[field] = value.into();
    record
}

#[tokio::test]
async fn columns_have_their_order_and_types() {
    let mut shown = String::new();
    for spec in &pinterest().tables {
        let recipe = Recipe::compile(spec).await.unwrap();
        let column =
            |field: &Arc<datafusion::arrow::datatypes::Field>| format!("{} {}", field.name(), type_name(field.data_type()));
        let columns: Vec<String> = recipe.schema().fields().iter().map(column).collect();
        shown += &format!("{}: {}\n", spec.name, columns.join(", "));
    }
    expect![[r#"
        pin: ind Int64, unique_id Utf8, title Utf8, description Utf8, follower_count Int64, poster_name Utf8, tag_list Utf8, is_image_or_video Utf8, image_src Utf8, save_location Utf8, category Utf8
        geo: ind Int64, country Utf8, coordinates List(Float64, field: 'element'), timestamp Timestamp(µs, "UTC")
        user: ind Int64, user_name Utf8, age Int64, date_joined Timestamp(µs, "UTC")
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn a_good_pin_keeps_everything() {
    let row = one("pin", pin()).await;
    let wanted = json!({
        "ind": 7528, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "title": "10 Easy Paint Ideas",
        "description": "This artist …\u{a0}", "follower_count": 942_000, "poster_name": "Style & Home ",
        "tag_list": "Wall Art, Oil Paint,,Décor", "is_image_or_video": "image",
        "image_src": "https://i.pinimg.com/originals/a/b/x.jpg", "save_location": "/data/art", "category": "art",
    });
    assert_eq!(Value::from(row), wanted);
}

#[tokio::test]
async fn a_pin_broken_in_six_fields_has_six_nulls_and_all_else_kept() {
    let broken = json!({
        "index": 7528, "unique_id": "fbe53c66", "title": "No Title Data Available",
        "description": "No description available Story format", "poster_name": "User Info Error",
        "follower_count": "User Info Error", "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e",
        "is_image_or_video": "multi-video(story page format)", "image_src": "Image src error.", "downloaded": 0,
        "save_location": "Local save in /data/mens-fashion", "category": "mens-fashion",
    });
    let wanted = json!({
        "ind": 7528, "unique_id": "fbe53c66", "title": null, "description": null, "follower_count": null,
        "poster_name": null, "tag_list": null, "is_image_or_video": "multi-video(story page format)", "image_src": null,
        "save_location": "/data/mens-fashion", "category": "mens-fashion",
    });
    assert_eq!(Value::from(one("pin", broken).await), wanted);
}

/// Every sentinel, and an empty text in every column but `unique_id`, is null, and only in its own column.
#[tokio::test]
async fn sentinels_become_null() {
    for (field, sentinel) in [
        ("title", "No Title Data Available"),
        ("title", "Untitled"),
        ("title", ""),
        ("description", "No description available"),
        ("description", "No description available Story format"),
        ("description", "Untitled"),
        ("description", ""),
        ("poster_name", "User Info Error"),
        ("poster_name", ""),
        ("follower_count", "User Info Error"),
        ("follower_count", ""),
        ("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
        ("tag_list", ""),
        ("image_src", "Image src error."),
        ("image_src", ""),
        ("is_image_or_video", ""),
        ("save_location", ""),
        ("category", ""),
    ] {
        let mut wanted = one("pin", pin()).await;
        wanted[field] = Value::Null;
        assert_eq!(one("pin", pin_with(field, sentinel)).await, wanted, "{field} '{sentinel}'");
    }
    assert_eq!(one("pin", pin_with("unique_id", "")).await["unique_id"], "");
}

/// What only looks like a sentinel is data; text is neither trimmed nor normalised.
#[tokio::test]
async fn other_text_is_kept_to_the_byte() {
    for (field, text) in [
        ("title", "No Title Data"),
        ("title", "  two  blanks\u{a0}"),
        ("title", "Cafe\u{301} 🎨 «日本»"),
        ("description", "There is No description available"),
        ("tag_list", "N,o, ,T,a,g,s"),
        ("image_src", "Image src error"),
        ("poster_name", "User Info Error Ltd, London"),
        ("is_image_or_video", "multi-video(story page format)"),
        ("category", "User Info Error"),
    ] {
        assert_eq!(one("pin", pin_with(field, text)).await[field], text, "{field}");
    }
}

#[tokio::test]
async fn follower_counts_are_multiplied_out() {
    for (text, number) in
        [("0", 0), ("31", 31), ("306k", 306_000), ("306K", 306_000), ("6M", 6_000_000), ("2B", 2_000_000_000), ("1.2k", 1200)]
    {
        assert_eq!(one("pin", pin_with("follower_count", text)).await["follower_count"], number, "{text}");
    }
    assert_eq!(one("pin", pin_with("follower_count", 942)).await["follower_count"], 942, "a number instead of text");
}

#[tokio::test]
async fn follower_text_that_is_no_number_is_set_aside() {
    for text in ["many", "12 k", "1,200", "-3k", "1.2345k", "User info error", "User Info Error ", "k"] {
        let reason = reason("pin", pin_with("follower_count", text)).await;
        assert_eq!(reason, "follower_count is not a number with an optional k, M or B", "{text}");
    }
}

#[tokio::test]
async fn only_the_prefix_of_a_save_location_is_cut_off() {
    for (text, wanted) in [
        ("Local save in /data/diy-and-crafts", "/data/diy-and-crafts"),
        ("/data/art", "/data/art"),
        ("Local save in /data/Local save in /x", "/data/Local save in /x"),
    ] {
        assert_eq!(one("pin", pin_with("save_location", text)).await["save_location"], wanted);
    }
}

#[tokio::test]
async fn missing_columns_are_null() {
    let row = one("pin", json!({"index": 1, "follower_count": "5k"})).await;
    let nulls = row.iter().filter(|(_, value)| value.is_null()).count();
    assert_eq!((row.len(), nulls, &row["ind"], &row["follower_count"]), (11, 9, &json!(1), &json!(5000)));
    assert_eq!(one("pin", json!({"index": 1})).await["follower_count"], Value::Null);
    let row = one("geo", json!({"ind": 1})).await;
    assert_eq!(Value::from(row), json!({"ind": 1, "country": null, "coordinates": null, "timestamp": null}));
    let row = one("user", json!({"ind": 1, "age": 3})).await;
    assert_eq!(Value::from(row), json!({"ind": 1, "user_name": null, "age": 3, "date_joined": null}));
}

#[tokio::test]
async fn the_key_has_two_names_in_every_table() {
    for table in ["pin", "geo", "user"] {
        for name in ["ind", "index"] {
            assert_eq!(one(table, json!({name: 5})).await["ind"], 5, "{table} {name}");
        }
        assert_eq!(reason(table, json!({"country": "X"})).await, "key column ind is missing", "{table}");
        assert_eq!(reason(table, json!({"ind": null})).await, "key column ind is missing", "{table}");
    }
}

#[tokio::test]
async fn coordinates_are_latitude_then_longitude_with_all_digits() {
    let row = one("geo", geo()).await;
    let wanted = json!({"ind": 1, "country": "Cote d'Ivoire", "coordinates": [-88.5478, -167.123_456_789], "timestamp": "2020-08-28T03:52:47Z"});
    assert_eq!(Value::from(row), wanted);
    let text = with(with(geo(), "latitude", "12.5"), "longitude", Value::Null);
    assert_eq!(one("geo", text).await["coordinates"], json!([12.5, null]));
}

#[tokio::test]
async fn names_are_joined_by_one_blank_and_ages_are_numbers() {
    let wanted = json!({"ind": 1, "user_name": "Ann Lee O'Neil", "age": 20, "date_joined": "2015-10-23T04:13:23Z"});
    assert_eq!(Value::from(one("user", user()).await), wanted);
    assert_eq!(one("user", with(user(), "age", "36")).await["age"], 36);
}

#[tokio::test]
async fn times_that_are_none_are_set_aside() {
    for text in ["yesterday", "2020-13-28 03:52:47", "", "1598586767"] {
        assert_eq!(reason("geo", with(geo(), "timestamp", text)).await, "timestamp is not a date and time", "'{text}'");
        assert_eq!(reason("user", with(user(), "date_joined", text)).await, "date_joined is not a date and time", "'{text}'");
    }
    assert_eq!(one("geo", with(geo(), "timestamp", "2020-08-28 03:52:47.5")).await["timestamp"], "2020-08-28T03:52:47.500Z");
}

/// Runs records through the whole recipe of a table and its key rule.
async fn counts(table: &str, records: &[Value]) -> Counts {
    let pipeline = pinterest();
    let recipe = Recipe::compile(pipeline.table(table).unwrap()).await.unwrap();
    let texts: Vec<Vec<u8>> = records.iter().map(|record| record.to_string().into_bytes()).collect();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    recipe.prepare(&texts).unwrap().admit(&mut recipe.new_index()).unwrap().counts
}

#[tokio::test]
async fn both_forms_of_a_time_are_the_same_row() {
    let other = with(geo(), "timestamp", "2020-08-28 03:52:47");
    assert_eq!(counts("geo", &[geo(), other]).await, Counts { rows: 1, duplicates: 1, ..Counts::default() });
    let other = with(user(), "date_joined", "2015-10-23T04:13:23");
    assert_eq!(counts("user", &[user(), other]).await, Counts { rows: 1, duplicates: 1, ..Counts::default() });
}

#[tokio::test]
async fn rows_are_told_apart_after_cleaning() {
    let mut reordered = Map::new();
    pin().as_object().unwrap().iter().rev().for_each(|(name, value)| drop(reordered.insert(name.clone(), value.clone())));
    let records = [
        pin(),
        reordered.into(),
        pin_with("follower_count", "942000"),
        pin_with("downloaded", 0),
        pin_with("title", "Another"),
        pin_with("title", ""),
        pin_with("follower_count", "many"),
        with(pin(), "index", 1),
    ];
    let wanted = Counts { rows: 2, duplicates: 3, conflicts: 2, quarantined: 1, ..Counts::default() };
    assert_eq!(counts("pin", &records).await, wanted);
}

fn spec(sql: &str) -> TableSpec {
    let column = |name: &str, kind| RawColumn { name: name.to_owned(), kind };
    TableSpec {
        name: "t".to_owned(),
        topics: TopicRule::default(),
        schema: vec![column("ind", RawType::Bigint), column("name", RawType::String)],
        clean_path: "clean/t.sql".to_owned(),
        clean_sql: sql.to_owned(),
        key: vec!["ind".to_owned()],
        commit: Flush { records: 1, bytes: 1, age: std::time::Duration::from_secs(1) },
    }
}

async fn compile(sql: &str) -> Result<Cleaning, Problem> {
    let spec = spec(sql);
    Cleaning::compile(&spec, Decoder::new(&spec.schema).schema()).await
}

async fn refused(statements: &[&str], expect: Expect) {
    let mut shown = String::new();
    for sql in statements {
        let problem = compile(sql).await.map(|_| "ACCEPTED").map_err(|problem| problem.to_string());
        shown += &format!("{sql}\n  {}\n", problem.map_or_else(|problem| problem, str::to_owned));
    }
    expect.assert_eq(&shown);
}

#[tokio::test]
async fn what_looks_at_more_than_one_row_is_refused() {
    refused(
        &[
            "SELECT a.ind FROM raw AS a JOIN raw AS b ON a.ind = b.ind",
            "SELECT a.ind FROM raw AS a, raw AS b",
            "SELECT ind, count(*) AS n FROM raw GROUP BY ind",
            "SELECT max(ind) AS ind FROM raw",
            "SELECT ind, row_number() OVER (ORDER BY ind) AS n FROM raw",
            "SELECT ind, lag(name) OVER () AS before FROM raw",
            "SELECT DISTINCT ind FROM raw",
            "SELECT ind FROM raw UNION ALL SELECT ind FROM raw",
            "SELECT ind FROM raw INTERSECT SELECT ind FROM raw",
            "SELECT ind, (SELECT max(ind) FROM raw) AS last FROM raw",
            "SELECT ind, ind IN (SELECT ind FROM raw) AS known FROM raw",
            "SELECT ind, EXISTS (SELECT 1 FROM raw) AS some FROM raw",
            "SELECT unnest(make_array(ind, 1)) AS ind FROM raw",
        ],
        expect![[r#"
            SELECT a.ind FROM raw AS a JOIN raw AS b ON a.ind = b.ind
              clean/t.sql: the cleaning is not row-local: it has a join
            SELECT a.ind FROM raw AS a, raw AS b
              clean/t.sql: the cleaning is not row-local: it has a join
            SELECT ind, count(*) AS n FROM raw GROUP BY ind
              clean/t.sql: the cleaning is not row-local: it has an aggregate
            SELECT max(ind) AS ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has an aggregate
            SELECT ind, row_number() OVER (ORDER BY ind) AS n FROM raw
              clean/t.sql: the cleaning is not row-local: it has a window function
            SELECT ind, lag(name) OVER () AS before FROM raw
              clean/t.sql: the cleaning is not row-local: it has a window function
            SELECT DISTINCT ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has a DISTINCT
            SELECT ind FROM raw UNION ALL SELECT ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has a UNION
            SELECT ind FROM raw INTERSECT SELECT ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has a join
            SELECT ind, (SELECT max(ind) FROM raw) AS last FROM raw
              clean/t.sql: the cleaning is not row-local: it has a subquery
            SELECT ind, ind IN (SELECT ind FROM raw) AS known FROM raw
              clean/t.sql: the cleaning is not row-local: it has a subquery
            SELECT ind, EXISTS (SELECT 1 FROM raw) AS some FROM raw
              clean/t.sql: the cleaning is not row-local: it has a subquery
            SELECT unnest(make_array(ind, 1)) AS ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has an unnest
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_drops_or_orders_rows_is_refused() {
    refused(
        &[
            "SELECT ind FROM raw WHERE ind > 0",
            "SELECT ind FROM (SELECT * FROM raw WHERE ind > 0)",
            "WITH good AS (SELECT * FROM raw LIMIT 3) SELECT ind FROM good",
            "SELECT ind FROM raw LIMIT 1",
            "SELECT ind FROM raw OFFSET 1",
            "SELECT ind FROM raw ORDER BY ind",
            "SELECT ind FROM raw WHERE false",
        ],
        expect![[r#"
            SELECT ind FROM raw WHERE ind > 0
              clean/t.sql: the cleaning is not row-local: it has a WHERE: it would drop rows in silence; give them a reason in _quarantine instead
            SELECT ind FROM (SELECT * FROM raw WHERE ind > 0)
              clean/t.sql: the cleaning is not row-local: it has a WHERE: it would drop rows in silence; give them a reason in _quarantine instead
            WITH good AS (SELECT * FROM raw LIMIT 3) SELECT ind FROM good
              clean/t.sql: the cleaning is not row-local: it has a LIMIT
            SELECT ind FROM raw LIMIT 1
              clean/t.sql: the cleaning is not row-local: it has a LIMIT
            SELECT ind FROM raw OFFSET 1
              clean/t.sql: the cleaning is not row-local: it has a LIMIT
            SELECT ind FROM raw ORDER BY ind
              clean/t.sql: the cleaning is not row-local: it has an ORDER BY
            SELECT ind FROM raw WHERE false
              clean/t.sql: the cleaning is not row-local: it has a WHERE: it would drop rows in silence; give them a reason in _quarantine instead
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_would_not_repeat_is_refused() {
    refused(
        &[
            "SELECT ind, now() AS at FROM raw",
            "SELECT ind, current_date AS day FROM raw",
            "SELECT ind, CASE WHEN random() > 0.5 THEN name END AS name FROM raw",
            "SELECT ind, uuid() AS id FROM raw",
        ],
        expect![[r#"
            SELECT ind, now() AS at FROM raw
              clean/t.sql: the cleaning is not repeatable: now() depends on time or chance
            SELECT ind, current_date AS day FROM raw
              clean/t.sql: the cleaning is not repeatable: current_date() depends on time or chance
            SELECT ind, CASE WHEN random() > 0.5 THEN name END AS name FROM raw
              clean/t.sql: the cleaning is not repeatable: random() depends on time or chance
            SELECT ind, uuid() AS id FROM raw
              clean/t.sql: the cleaning is not repeatable: uuid() depends on time or chance
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_yields_no_table_is_refused() {
    refused(
        &[
            "SELECT ind, name AS _x FROM raw",
            "SELECT ind, 1 AS _offset FROM raw",
            "SELECT name FROM raw",
            "SELECT ind, NULL AS x FROM raw",
            "SELECT ind, name AS ind FROM raw",
            "SELECT indx FROM raw",
            "SELECT ind, no_such_function(name) AS name FROM raw",
            "SELECT ind, name + make_array(1) AS name FROM raw",
        ],
        expect![[r#"
            SELECT ind, name AS _x FROM raw
              clean/t.sql: column '_x' of table 't': names that begin with '_' are Pinlake's, except _quarantine
            SELECT ind, 1 AS _offset FROM raw
              clean/t.sql: column '_offset' of table 't': names that begin with '_' are Pinlake's, except _quarantine
            SELECT name FROM raw
              clean/t.sql: the cleaning yields no column 'ind', which is the table's key
            SELECT ind, NULL AS x FROM raw
              clean/t.sql: column 'x' has no type: cast the null
            SELECT ind, name AS ind FROM raw
              clean/t.sql: Schema error: Schema contains qualified field name raw.ind and unqualified field name ind which would be ambiguous
            SELECT indx FROM raw
              clean/t.sql: Schema error: No field named indx. Did you mean 'raw.ind'?
            SELECT ind, no_such_function(name) AS name FROM raw
              clean/t.sql: Error during planning: Invalid function 'no_such_function'.
            SELECT ind, name + make_array(1) AS name FROM raw
              clean/t.sql: Error during planning: Cannot coerce arithmetic expression Utf8View + List(Int64) to valid types
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_one_select_from_raw_is_refused() {
    refused(
        &[
            "SELEC ind FROM raw",
            "",
            "SELECT ind FROM raw; SELECT ind FROM raw",
            "SELECT 1 AS ind",
            "VALUES (1)",
            "SELECT ind FROM pin",
            "SELECT ind, table_name FROM raw, information_schema.tables",
            "SELECT length(table_name) AS ind FROM information_schema.tables",
            "CREATE TABLE x AS SELECT ind FROM raw",
            "INSERT INTO raw SELECT * FROM raw",
            "COPY raw TO 'x.csv'",
            "SET datafusion.execution.batch_size = 1",
            "EXPLAIN SELECT ind FROM raw",
        ],
        expect![[r#"
            SELEC ind FROM raw
              clean/t.sql:1: SQL error: ParserError("Expected: an SQL statement, found: SELEC at Line: 1, Column: 1")

              clean/t.sql: Error during planning: No SQL statements were provided in the query string
            SELECT ind FROM raw; SELECT ind FROM raw
              clean/t.sql: This feature is not implemented: The context currently only supports a single SQL statement
            SELECT 1 AS ind
              clean/t.sql: the cleaning must read FROM raw
            VALUES (1)
              clean/t.sql: the cleaning must read FROM raw
            SELECT ind FROM pin
              clean/t.sql: Error during planning: table 'datafusion.public.pin' not found
            SELECT ind, table_name FROM raw, information_schema.tables
              clean/t.sql: the cleaning is not row-local: it has a join
            SELECT length(table_name) AS ind FROM information_schema.tables
              clean/t.sql: the cleaning must read FROM raw
            CREATE TABLE x AS SELECT ind FROM raw
              clean/t.sql: Error during planning: DDL not supported: CreateMemoryTable
            INSERT INTO raw SELECT * FROM raw
              clean/t.sql: Error during planning: DML not supported: Insert Into
            COPY raw TO 'x.csv'
              clean/t.sql: Error during planning: DML not supported: COPY
            SET datafusion.execution.batch_size = 1
              clean/t.sql: Error during planning: Statement not supported: SetVariable
            EXPLAIN SELECT ind FROM raw
              clean/t.sql: the cleaning is not row-local: it has more than a SELECT of expressions
        "#]],
    )
    .await;
}

/// Steps, renaming and reordering may be spread over several SELECTs.
#[tokio::test]
async fn one_pass_in_several_steps_is_taken() {
    for sql in [
        "SELECT * FROM raw",
        "SELECT name, ind FROM raw",
        "SELECT r.name, r.ind FROM raw AS r",
        "WITH a AS (SELECT ind + 1 AS up, name FROM raw), b AS (SELECT up - 1 AS ind, name FROM a) SELECT name, ind FROM b",
    ] {
        let cleaning = compile(sql).await.unwrap();
        let decoded = Decoder::new(&spec(sql).schema).decode(&[br#"{"ind":4,"name":"x"}"#, br#"{"name":"y"}"#]).unwrap();
        let cleaned = cleaning.apply(&decoded.rows).unwrap();
        let at = |name: &str| cleaned.rows.schema().index_of(name).unwrap();
        let rows = rows_of(&cleaned.rows).unwrap();
        assert_eq!((&rows[0][at("ind")], &rows[0][at("name")]), (&json!(4), &json!("x")), "{sql}");
        assert_eq!(cleaned.rejected, [(1, "key column ind is missing".to_owned())], "{sql}");
    }
}

/// A chunk without rows, and a cleaning of constants, keep their number of rows.
#[tokio::test]
async fn chunks_of_any_size_are_cleaned() {
    let cleaning = compile("SELECT 7 AS ind FROM raw").await.unwrap();
    let decoder = Decoder::new(&spec("").schema);
    for records in [&[][..], &[&b"{}"[..]], &[b"{}", b"{}", b"{}"]] {
        let cleaned = cleaning.apply(&decoder.decode(records).unwrap().rows).unwrap();
        assert_eq!(cleaned.rows.num_rows(), records.len());
    }
}

/// A cast or a division that fails is the row's fault, not the chunk's.
#[tokio::test]
async fn rows_on_which_the_cleaning_fails_are_set_aside_alone() {
    let cleaning = compile("SELECT ind, cast(name AS BIGINT) AS number, 10 / ind AS share FROM raw").await.unwrap();
    let record = |n: u32| match n {
        7 => r#"{"ind":7,"name":"seven"}"#.to_owned(),
        n => format!(r#"{{"ind":{n},"name":"{n}"}}"#),
    };
    let records: Vec<String> = (0..50).map(record).collect();
    let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    let cleaned = cleaning.apply(&Decoder::new(&spec("").schema).decode(&records).unwrap().rows).unwrap();
    assert_eq!(cleaned.rows.num_rows(), 50);
    let set_aside: Vec<u32> = cleaned.rejected.iter().map(|(row, _)| *row).collect();
    assert_eq!(set_aside, [0, 7]);
    assert!(cleaned.rejected[0].1.contains("ivide by zero"), "{:?}", cleaned.rejected[0]);
    assert!(cleaned.rejected[1].1.contains("seven"), "{:?}", cleaned.rejected[1]);
    let kept = cleaned.rows.column(1).as_primitive::<datafusion::arrow::datatypes::Int64Type>();
    assert_eq!((kept.value(6), kept.value(8), kept.value(49)), (6, 8, 49));
}
