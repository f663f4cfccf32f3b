//! How bytes stand in answers.

use std::collections::BTreeMap;

use datafusion::arrow::array::{BinaryArray, BinaryViewArray};

use super::*;

#[test]
fn bytes_that_are_text_are_shown_as_it() {
    let cells = [Some(&b"{\"a\":\"\xc3\xa9\"}"[..]), Some(&b"\xff\x00"[..]), None];
    let stored: ArrayRef = Arc::new(BinaryArray::from_iter(cells));
    let read: ArrayRef = Arc::new(BinaryViewArray::from_iter(cells));
    let batch = RecordBatch::try_from_iter_with_nullable([("raw", stored, true), ("seen", read, true)]).unwrap();
    let result = QueryResult { schema: batch.schema(), batches: vec![batch], truncated: false, snapshot: BTreeMap::new() };
    let answer: Value = serde_json::from_slice(&json(&result, 0.0).unwrap()).unwrap();
    assert_eq!(answer["columns"], json!([{"name": "raw", "type": "Binary"}, {"name": "seen", "type": "Binary"}]));
    let (text, bytes) = (json!("{\"a\":\"é\"}"), json!({"base64": "/wA="}));
    assert_eq!(answer["rows"], json!([[text, text], [bytes, bytes], [null, null]]));
    let csv = String::from_utf8(csv(&result).unwrap()).unwrap();
    let line = |cell: &str| format!("{cell},{cell}");
    let cells = ["\"{\"\"a\"\":\"\"é\"\"}\"", "\"{\"\"base64\"\":\"\"/wA=\"\"}\"", ""];
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), cells.map(line));
}
