//! Expected rows beside found ones.

use serde_json::json;

use super::*;

fn problems(expected: &Value, found: Value) -> Vec<String> {
    compare("pin", expected, serde_json::from_value(found).unwrap())
}

#[test]
fn each_expected_row_takes_a_found_row_of_its_own() {
    let found = || json!([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 3}]);
    for fits in [
        json!([{"a": 1}, {"a": 1, "b": 2}, {"a": 2}]),
        json!([{"a": 1}, {"b": 2}, {"b": 3}]),
        json!([{"b": 3}, {"a": 1}, {"b": 2}]),
        json!([{}, {}, {"a": 1, "b": 2}]),
    ] {
        assert_eq!(problems(&fits, found()), Vec::<String>::new(), "{fits}");
    }
    assert_eq!(
        problems(&json!([{"a": 1}, {"a": 1}, {"a": 1}]), found()),
        ["pin: no row like {\"a\":1}", "pin: unexpected row {\"a\":2,\"b\":3}"]
    );
}

#[test]
fn what_is_no_row_is_told() {
    assert_eq!(problems(&json!(["oops"]), json!([])), ["pin: \"oops\" is no row: give its columns as {column: value}"]);
    assert_eq!(problems(&json!("oops"), json!([])), ["pin: expected rows are a list"]);
}
