//! Parameters, types, chunks and what clients ask of themselves.

use std::collections::BTreeMap;

use super::answer::Answered;
use super::bound::{Parameter, bind};
use super::{metadata, types};
use crate::console::QueryAnswer;

fn bound(sql: &str, parameters: &[(&str, &str, Option<&str>)]) -> Result<String, String> {
    let one = |(name, kind, value): &(&str, &str, Option<&str>)| {
        ((*name).to_owned(), Parameter { value: value.map(str::to_owned), kind: (*kind).to_owned() })
    };
    let parameters: BTreeMap<_, _> = parameters.iter().map(one).collect();
    bind(sql, &parameters).map_err(|error| error.to_string())
}

#[test]
fn markers_become_literals() {
    let all = [("x", "STRING", Some("it's")), ("n", "INT", Some("5")), ("m", "BIGINT", Some("-7"))];
    for (sql, wanted) in [
        ("SELECT :x", "SELECT 'it''s'"),
        ("SELECT a FROM t WHERE n=:n AND m>:m", "SELECT a FROM t WHERE n=5 AND m>(-7)"),
        ("SELECT :n,:n", "SELECT 5,5"),
        ("SELECT ':n', \":n\", `:n`, 'it''s :n', :n", "SELECT ':n', \":n\", `:n`, 'it''s :n', 5"),
        ("SELECT 1 -- :n it's\n, :n", "SELECT 1 -- :n it's\n, 5"),
        ("SELECT /* :n /* ' */ :n */ :n", "SELECT /* :n /* ' */ :n */ 5"),
        ("SELECT $$:n$$, $t$ :n $$ $t$, :n", "SELECT $$:n$$, $t$ :n $$ $t$, 5"),
        ("SELECT a::text, a:n, t.b:n, f(1):n, :n::text", "SELECT a::text, a:n, t.b:n, f(1):n, 5::text"),
        ("SELECT a$b$, :n", "SELECT a$b$, 5"),
        ("SELECT $1, :n", "SELECT $1, 5"),
        ("LIMIT :n", "LIMIT 5"),
        ("SELECT 'unclosed :n", "SELECT 'unclosed :n"),
        ("SELECT /* unclosed :n", "SELECT /* unclosed :n"),
        ("SELECT $$unclosed :n", "SELECT $$unclosed :n"),
        ("SELECT '\u{e9}\u{e9}' , :n \u{1f600}", "SELECT '\u{e9}\u{e9}' , 5 \u{1f600}"),
        ("SELECT 1 : n", "SELECT 1 : n"),
        ("", ""),
    ] {
        assert_eq!(bound(sql, &all).unwrap(), wanted, "{sql}");
    }
}

#[test]
fn values_are_of_their_types_or_refused() {
    for (kind, value, wanted) in [
        ("STRING", Some("'; DROP TABLE pin; --"), Some("'''; DROP TABLE pin; --'")),
        ("", Some("\\"), Some("'\\'")),
        ("string", None, Some("CAST(NULL AS VARCHAR)")),
        ("VOID", None, Some("NULL")),
        ("VOID", Some("x"), None),
        ("INT", Some("2147483648"), None),
        ("INT", Some("1; DROP"), None),
        ("TINYINT", Some("127"), Some("127")),
        ("TINYINT", Some("128"), None),
        ("BIGINT", Some("-9223372036854775808"), Some("CAST('-9223372036854775808' AS BIGINT)")),
        ("BIGINT", None, Some("CAST(NULL AS BIGINT)")),
        ("DOUBLE", Some("1e3"), Some("CAST('1e3' AS DOUBLE)")),
        ("DOUBLE", Some("x'"), None),
        ("BOOLEAN", Some("True"), Some("TRUE")),
        ("BOOLEAN", Some("maybe"), None),
        ("DATE", Some("2020-01-01"), Some("CAST('2020-01-01' AS DATE)")),
        ("DATE", Some("x' OR '1"), Some("CAST('x'' OR ''1' AS DATE)")),
        ("TIMESTAMP", Some("2020-01-01 00:00:00"), Some("CAST('2020-01-01 00:00:00' AS TIMESTAMP)")),
        ("DECIMAL(10,2)", Some("1.50"), Some("CAST('1.50' AS DECIMAL(10,2))")),
        ("DECIMAL(99,2)", Some("1.50"), None),
        ("DECIMAL(2,3)", Some("1"), None),
        ("DECIMAL(1,1); DROP", Some("1"), None),
        ("ARRAY<INT>", Some("[]"), None),
    ] {
        let found = bound(":v", &[("v", kind, value)]);
        assert_eq!(found.as_deref().ok(), wanted, "{kind} {value:?}: {found:?}");
    }
    assert!(bound("SELECT :gone", &[]).unwrap_err().contains("[UNBOUND_SQL_PARAMETER] found the marker ':gone'"));
}

#[test]
fn texts_of_their_own_rules_have_no_place_beside_parameters() {
    for sql in [
        "SELECT E'\\' :v '",
        "SELECT :v, u&'a'",
        "SELECT r'''x''' || :v",
        "SELECT nq'[ ' ]' || :v",
        "SELECT X'00' || :v",
        "SELECT 1e'x' || :v",
    ] {
        assert!(bound(sql, &[("v", "", Some("v"))]).unwrap_err().contains("E'...'"), "{sql}");
    }
    assert_eq!(bound("SELECT e'\\'x'", &[]).unwrap(), "SELECT e'\\'x'");
    assert!(bound("SELECT date'2020-01-01', :v", &[("v", "", Some("v"))]).is_ok());
}

#[test]
fn types_are_those_of_the_api() {
    for (engine, name, text) in [
        ("Utf8", "STRING", "STRING"),
        ("Int64", "LONG", "BIGINT"),
        ("Int32", "INT", "INT"),
        ("UInt64", "DECIMAL", "DECIMAL(20,0)"),
        ("Float64", "DOUBLE", "DOUBLE"),
        ("Boolean", "BOOLEAN", "BOOLEAN"),
        ("Date32", "DATE", "DATE"),
        ("Timestamp(Microsecond, Some(\"UTC\"))", "TIMESTAMP", "TIMESTAMP"),
        ("Timestamp(ms)", "TIMESTAMP", "TIMESTAMP"),
        ("Decimal128(10, 2)", "DECIMAL", "DECIMAL(10,2)"),
        ("List(Utf8)", "ARRAY", "ARRAY<STRING>"),
        ("Null", "NULL", "VOID"),
        ("Binary", "STRING", "STRING"),
        ("Decimal128(oops)", "STRING", "STRING"),
        ("Whatever", "STRING", "STRING"),
    ] {
        let found = types::of(engine);
        assert_eq!((found.name, found.text.as_str()), (name, text), "{engine}");
    }
    assert_eq!(types::timestamp("\"2020-01-02T03:04:05\""), "\"2020-01-02T03:04:05.000Z\"");
    assert_eq!(types::timestamp("\"2020-01-02T03:04:05.123456Z\""), "\"2020-01-02T03:04:05.123456Z\"");
    assert_eq!(types::timestamp("\"2020-01-02T03:04:05.5+01:00\""), "\"2020-01-02T03:04:05.5+01:00\"");
    assert_eq!(types::timestamp("\"\u{e9}\""), "\"\u{e9}\"");
}

fn answer(rows: &str) -> QueryAnswer {
    let body =
        format!(r#"{{"columns":[{{"name":"a","type":"Utf8"}},{{"name":"n","type":"Float64"}}],"rows":{rows},"row_count":0}}"#);
    QueryAnswer { body: body.into(), truncated: false }
}

#[test]
fn values_are_texts_or_null() {
    let read = Answered::read(&answer(r#"[["}",1.50],[null,-1e300],[true,[1,"x"]],["\"\\",{"k":null}]]"#), None, true).unwrap();
    let chunk: serde_json::Value = serde_json::from_str(&read.chunk("id", 0).unwrap()).unwrap();
    let wanted = serde_json::json!([["}", "1.50"], [null, "-1e300"], ["true", "[1,\"x\"]"], ["\"\\", "{\"k\":null}"]]);
    assert_eq!(chunk["data_array"], wanted);
    assert_eq!((&chunk["row_count"], chunk.get("next_chunk_index")), (&4.into(), None));
    let none = Answered::read(&answer("[]"), None, true).unwrap();
    assert_eq!(none.manifest()["total_chunk_count"], 1);
    assert!(none.chunk("id", 0).unwrap().ends_with("\"data_array\":[]}"));
    assert!(Answered::read(&QueryAnswer { body: "{}".into(), truncated: false }, None, true).is_err());
}

#[test]
fn large_answers_come_in_chunks_unless_they_must_not() {
    let row = format!(r#"["{}",1]"#, "x".repeat(1 << 20));
    let body = answer(&format!("[{}]", vec![row; 10].join(",")));
    let read = Answered::read(&body, None, true).unwrap();
    let manifest = read.manifest();
    assert_eq!((&manifest["total_chunk_count"], &manifest["total_row_count"]), (&4.into(), &10.into()));
    let last: serde_json::Value = serde_json::from_str(&read.chunk("id", 3).unwrap()).unwrap();
    assert_eq!((&last["row_offset"], &last["row_count"]), (&9.into(), &1.into()));
    let first: serde_json::Value = serde_json::from_str(&read.chunk("id", 0).unwrap()).unwrap();
    assert_eq!(first["next_chunk_internal_link"], "/api/2.0/sql/statements/id/result/chunks/1");
    assert!(read.chunk("id", 4).is_none());
    assert_eq!(Answered::read(&body, None, false).unwrap().manifest()["total_chunk_count"], 1);
    let cut = Answered::read(&body, Some(3 << 20), true).unwrap().manifest();
    assert_eq!((&cut["truncated"], &cut["total_row_count"]), (&true.into(), &2.into()));
}

#[test]
fn types_are_the_services_own() {
    for (engine, text) in [
        ("Int64", "BIGINT"),
        ("Utf8View", "STRING"),
        ("Timestamp(µs, \"UTC\")", "TIMESTAMP"),
        ("Decimal128(10, 2)", "DECIMAL(10,2)"),
        ("UInt64", "DECIMAL(20,0)"),
        ("BinaryView", "BINARY"),
        ("Dictionary(Int32, Utf8)", "STRING"),
        ("List(non-null Int64)", "ARRAY<BIGINT>"),
        ("List(Date32, field: 'element')", "ARRAY<DATE>"),
        ("FixedSizeList(2 x List(Boolean))", "ARRAY<ARRAY<BOOLEAN>>"),
        (
            "Struct(\"a\": non-null Int32, \"b, \\\"c(\": List(Utf8), \"d\": Float64, metadata: {\"k\": \"v\"})",
            "STRUCT<a: INT, `b, \"c(`: ARRAY<STRING>, d: DOUBLE>",
        ),
        (
            "Map(\"entries\": non-null Struct(\"key\": non-null Utf8, \"value\": Decimal128(3, 1)), unsorted)",
            "MAP<STRING, DECIMAL(3,1)>",
        ),
        ("Struct()", "STRUCT<>"),
        ("Struct(\"", "STRUCT<``: STRING>"),
        ("Map(x", "MAP<STRING, STRING>"),
        ("List(", "ARRAY<STRING>"),
    ] {
        assert_eq!(types::of_column(engine).text, text, "{engine}");
    }
    assert!(types::of(&"List(".repeat(100_000)).text.len() < 1_000, "it does not go on for ever");
}

#[test]
fn columns_are_described_in_the_services_types() {
    let sql = metadata::translated("SHOW COLUMNS IN CATALOG x").unwrap();
    assert!(sql.contains("data_type AS \"pinlake.columnType\"") && sql.contains("CAST(ordinal_position AS INT)"), "{sql}");
    let body = r#"{"columns":[{"name":"col_name","type":"Utf8"},{"name":"pinlake.columnType","type":"Utf8"}],"rows":[["Int64","Int64"],["b",null]]}"#;
    let read = Answered::read(&QueryAnswer { body: body.into(), truncated: false }, None, true).unwrap();
    assert_eq!(read.manifest()["schema"]["columns"][1]["name"], "columnType");
    let chunk: serde_json::Value = serde_json::from_str(&read.chunk("id", 0).unwrap()).unwrap();
    assert_eq!(chunk["data_array"], serde_json::json!([["Int64", "BIGINT"], ["b", null]]));
}

#[test]
fn what_there_is_can_be_asked() {
    assert!(metadata::translated("SHOW CATALOGS").unwrap().contains("'pinlake' AS catalog"));
    let tables = metadata::translated("show tables in catalog main schema like 'pub*' like 'p%|g%';").unwrap();
    assert!(tables.ends_with(r#"WHERE TRUE AND (lower("namespace") LIKE 'pub%') AND (lower("tableName") LIKE 'p%' OR lower("tableName") LIKE 'g%')"#), "{tables}");
    let columns = metadata::translated("SHOW COLUMNS IN CATALOG x TABLE LIKE 'pin'").unwrap();
    assert!(columns.ends_with(r#"AND (lower("tableName") LIKE 'pin')"#), "{columns}");
    assert_eq!(metadata::translated("USE CATALOG `main`").as_deref(), Some("SELECT 1 WHERE FALSE"));
    for other in [
        "USE elsewhere",
        "SHOW TABLES",
        "SELECT 1",
        "SHOW SCHEMAS LIKE 'a''b'",
        "SHOW SCHEMAS LIKE x",
        "SHOW SCHEMAS LIKE '",
        "",
        "USE",
    ] {
        assert_eq!(metadata::translated(other), None, "{other}");
    }
    for (name, ours) in
        [("main", true), ("DEFAULT", true), ("`main`.`default`", true), ("", true), ("quarantine", false), ("mine.x", false)]
    {
        assert_eq!(metadata::is_ours(name), ours, "{name}");
    }
}
