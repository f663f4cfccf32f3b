//! What a cleaning may do and may not, whatever its columns.

use super::*;

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
            "SELECT ind, INTERVAL '1 day' AS x FROM raw",
            "SELECT ind, make_array(INTERVAL '1 day') AS x FROM raw",
            "SELECT ind, named_struct('y', INTERVAL '1 day') AS x FROM raw",
            "SELECT ind, arrow_cast(ind, 'Duration(Second)') AS x FROM raw",
            "SELECT ind, arrow_cast(ind, 'Time64(Microsecond)') AS x FROM raw",
            "SELECT ind, arrow_cast(ind, 'Decimal256(60, 2)') AS x FROM raw",
            "SELECT ind, arrow_cast(ind, 'Float16') AS x FROM raw",
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
            SELECT ind, INTERVAL '1 day' AS x FROM raw
              clean/t.sql: column 'x' has the type Interval(MonthDayNano), which a Delta table can't store: cast it
            SELECT ind, make_array(INTERVAL '1 day') AS x FROM raw
              clean/t.sql: column 'x' has the type List(Interval(MonthDayNano), field: 'element'), which a Delta table can't store: cast it
            SELECT ind, named_struct('y', INTERVAL '1 day') AS x FROM raw
              clean/t.sql: column 'x' has the type Struct("y": Interval(MonthDayNano)), which a Delta table can't store: cast it
            SELECT ind, arrow_cast(ind, 'Duration(Second)') AS x FROM raw
              clean/t.sql: column 'x' has the type Duration(s), which a Delta table can't store: cast it
            SELECT ind, arrow_cast(ind, 'Time64(Microsecond)') AS x FROM raw
              clean/t.sql: column 'x' has the type Time64(µs), which a Delta table can't store: cast it
            SELECT ind, arrow_cast(ind, 'Decimal256(60, 2)') AS x FROM raw
              clean/t.sql: column 'x' has the type Decimal256(60, 2), which a Delta table can't store: cast it
            SELECT ind, arrow_cast(ind, 'Float16') AS x FROM raw
              clean/t.sql: column 'x' has the type Float16, which a Delta table can't store: cast it
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

#[tokio::test]
async fn a_time_that_nobody_can_write_goes_to_quarantine() {
    let sql = "SELECT ind, to_timestamp_millis(ind) AS at, arrow_cast(CAST(ind / 86400000 AS INT), 'Date32') AS day FROM raw";
    let cleaning = compile(sql).await.unwrap();
    let spec = spec(sql);
    let last = 253_402_300_799_999_i64;
    let records = [last, last + 1, -62_135_596_800_000, -62_135_596_800_001].map(|ind| format!("{{\"ind\":{ind}}}"));
    let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    let decoded = Decoder::new(&spec.schema).decode(&records).unwrap();
    let rejected = cleaning.apply(&decoded.rows).unwrap().rejected;
    let reason = "at is not within the years 1 to 9999".to_owned();
    assert_eq!(rejected, [(1, reason.clone()), (3, reason)]);
}
