//! Parquet objects, read again.

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::RecordBatch;
use arrow_json::LineDelimitedWriter;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn written(rows: &[Value]) -> Bytes {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    file(lines.as_bytes(), Codec::Snappy).unwrap()
}

/// The rows of a file as JSON, without nulls; and its columns.
fn read(content: Bytes) -> (Vec<Value>, Vec<String>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).unwrap();
    let columns = reader.schema().fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    let lines = writer.into_inner();
    (rows(&lines).map(Result::unwrap).collect(), columns)
}

#[test]
fn fields_become_columns_in_the_order_of_their_first_appearance() {
    let rows = [
        json!({"index": 7, "title": "ü\n", "is": true, "none": null, "share": 1, "tags": ["a"], "at": {"x": 1}}),
        json!({"title": "b", "index": -1, "share": 0.5, "more": 1, "tags": [], "at": {"y": 2.5}}),
    ];
    let (read, columns) = read(written(&rows));
    assert_eq!(
        columns,
        [
            "index: Int64",
            "title: Utf8",
            "is: Boolean",
            "none: Utf8",
            "share: Float64",
            "tags: List(Utf8, field: 'element')",
            "at: Struct(\"x\": Int64, \"y\": Float64)",
            "more: Int64"
        ]
    );
    assert_eq!(read[0], json!({"index": 7, "title": "ü\n", "is": true, "share": 1.0, "tags": ["a"], "at": {"x": 1}}));
    assert_eq!(read[1], json!({"index": -1, "title": "b", "share": 0.5, "tags": [], "at": {"y": 2.5}, "more": 1}));
}

#[test]
fn kinds_that_differ_become_text() {
    let rows = [
        json!({"a": 1, "b": {"x": 1}, "c": [1], "d": {}, "e": 18446744073709551615_u64, "f": [1, "x", {"y": null}]}),
        json!({"a": "one", "b": [2], "c": {"z": true}, "d": null, "e": 1, "f": []}),
    ];
    let (read, columns) = read(written(&rows));
    assert_eq!(columns[..4], ["a: Utf8", "b: Utf8", "c: Utf8", "d: Utf8"]);
    assert_eq!(columns[4], "e: Float64");
    assert_eq!(
        read[0],
        json!({"a": "1", "b": "{\"x\":1}", "c": "[1]", "d": "{}", "e": 18446744073709551615.0, "f": ["1", "x", "{\"y\":null}"]})
    );
    assert_eq!(read[1], json!({"a": "one", "b": "[2]", "c": "{\"z\":true}", "e": 1.0, "f": []}));
}

#[test]
fn too_many_columns_go_into_the_rest_or_become_text() {
    let many: Map = (0..COLUMNS_MAX + 5).map(|n| (format!("f{n}"), json!(n))).collect();
    let (rows, columns) = read(written(&[Value::Object(many.clone()), json!({"_rest": 1, "f0": 2})]));
    assert_eq!(columns.len(), COLUMNS_MAX + 1);
    assert_eq!(rows[0]["_rest"], json!(r#"{"f1000":1000,"f1001":1001,"f1002":1002,"f1003":1003,"f1004":1004}"#));
    assert_eq!(rows[1], json!({"f0": 2, "_rest": "{\"_rest\":1}"}));
    let (rows, columns) = read(written(&[json!({"a": Value::Object(many.clone())})]));
    assert_eq!(columns, ["a: Utf8"]);
    assert_eq!(rows[0]["a"], json!(Value::Object(many).to_string()));
}

type Map = serde_json::Map<String, Value>;

#[test]
fn what_lies_too_deep_is_text() {
    let deep = (0..60).fold(json!(1), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"a": inner}) });
    let (rows, columns) = read(written(&[json!({"d": deep})]));
    assert_eq!((rows.len(), columns.len()), (1, 1));
}

#[test]
fn every_codec_makes_a_file_that_reads_and_the_same_bytes_again() {
    let rows: Vec<Value> = (0..3000).map(|n| json!({"n": n, "t": format!("text {n}")})).collect();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    for codec in [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let content = file(lines.as_bytes(), codec).unwrap();
        assert_eq!(content, file(lines.as_bytes(), codec).unwrap());
        assert_eq!(read(content).0, rows);
    }
}

/// Values of which few fields have many kinds.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_objects_make_a_file_with_as_many_rows(
        rows in prop::collection::vec(prop::collection::btree_map("[a-d]", values(), 0..4), 1..8)
    ) {
        let rows: Vec<Value> = rows.into_iter().map(|fields| fields.into_iter().collect()).collect();
        let content = written(&rows);
        let reader = ParquetRecordBatchReaderBuilder::try_new(content).unwrap().build().unwrap();
        let count: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
        prop_assert_eq!(count, rows.len());
    }
}
