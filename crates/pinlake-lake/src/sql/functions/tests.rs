//! Numbers as people write them, and what is none.

use super::*;

#[test]
fn people_write_numbers_with_units() {
    for (text, number) in [
        ("0", Some(0)),
        ("942", Some(942)),
        ("942k", Some(942_000)),
        ("1.2k", Some(1_200)),
        ("1.25K", Some(1_250)),
        ("6M", Some(6_000_000)),
        ("1.5M", Some(1_500_000)),
        ("2B", Some(2_000_000_000)),
        ("1.2345k", None),
        ("1.5", None),
        ("k", None),
        ("", None),
        ("1.k", None),
        (".5k", None),
        ("-3k", None),
        ("12 k", None),
        ("12kk", None),
        ("99999999999B", None),
        ("٣k", None),
    ] {
        assert_eq!(human_number(text), number, "{text}");
    }
}

#[test]
fn the_function_takes_columns_and_nulls() {
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::datatypes::Int64Type;
    let column = Arc::new(StringArray::from(vec![Some("1k"), None, Some("x"), Some("7")]));
    let ColumnarValue::Array(numbers) = human_numbers(&[ColumnarValue::Array(column)]).unwrap() else { panic!("no column") };
    assert_eq!(numbers.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1000), None, None, Some(7)]);
}
