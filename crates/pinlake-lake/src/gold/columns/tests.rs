//! What of an answer's columns a table can hold, and what they do to one that is there.

use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};
use pinlake_core::ErrorKind;

use super::*;

fn columns(columns: &[(&str, DataType)]) -> Schema {
    Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect::<Vec<_>>())
}

fn delta(of: &[(&str, DataType)]) -> Vec<StructField> {
    delta_columns(&of_answer(&columns(of)).unwrap()).unwrap()
}

#[test]
fn every_type_is_stored_as_one_that_delta_has_or_refused_by_name() {
    let item = |kind| Arc::new(Field::new("item", kind, false));
    let ns = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let of = [
        ("a", DataType::Utf8View),
        ("b", DataType::UInt64),
        ("c", ns),
        ("d", DataType::Decimal256(38, 2)),
        ("e", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
        ("f", DataType::LargeList(item(DataType::Struct(vec![Field::new("x", DataType::Utf8View, false)].into())))),
        ("g", DataType::Date64),
    ];
    let found: Vec<String> = delta(&of).iter().map(|column| format!("{} {}", column.name(), column.data_type())).collect();
    assert_eq!(found[..5], ["a string", "b long", "c timestamp", "d decimal(38,2)", "e string"]);
    assert!(found[5].starts_with("f array<struct<x: string"), "{}", found[5]);
    assert_eq!(found[6..], ["g date", "_from timestamp", "_to timestamp", "_run long", "_at timestamp"]);
    assert!(delta(&of).iter().all(StructField::is_nullable));
    for kind in [
        DataType::Null,
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Duration(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Decimal256(76, 2),
        DataType::Decimal128(5, -2),
        DataType::List(item(DataType::Null)),
        DataType::Struct(Fields::empty()),
    ] {
        let error = of_answer(&columns(&[("x", kind.clone())])).unwrap_err();
        assert!(error.to_string().starts_with("column 'x' is of type "), "{kind}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn names_that_no_table_can_have_are_refused() {
    for (names, says) in [
        (vec!["count(*)"], "column 'count(*)' has no name that a table can have: give it one with AS"),
        (vec![""], "column '' has no name that a table can have: give it one with AS"),
        (
            vec!["_Run"],
            "column '_Run' has the name of one of pinlake's own (_from, _to, _run, _at): leave it out, or give it another with AS",
        ),
        (vec!["a", "A"], "columns 'a' and 'A' have the same name: give one another with AS"),
        (vec![], "the answer has no columns: a table needs one"),
    ] {
        let of: Vec<_> = names.iter().map(|name| (*name, DataType::Int64)).collect();
        assert_eq!(of_answer(&columns(&of)).unwrap_err().to_string(), says);
    }
    of_answer(&columns(&[("_topic", DataType::Int64), ("é", DataType::Int64)])).unwrap();
}

#[test]
fn new_columns_come_before_ours_and_none_is_changed() {
    let there = delta(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let with = |of: &[(&str, DataType)]| with_new("t", &there, &of_answer(&columns(of)).unwrap());
    assert_eq!(with(&[("b", DataType::Utf8View)]).unwrap(), None, "one is missing, and none is new");
    let new = with(&[("c", DataType::Int64), ("a", DataType::Int64)]).unwrap().unwrap();
    let names: Vec<&str> = new.iter().map(|column| column.name().as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "_from", "_to", "_run", "_at"]);
    let changed = with(&[("a", DataType::Utf8)]).unwrap_err();
    let says = "column 'a' of gold.t is long, but string in the answer: cast it to long, keep the answer into another table, or delete gold/t with its history";
    assert_eq!((changed.kind(), changed.to_string().as_str()), (ErrorKind::Invalid, says));
    let spelt = with(&[("A", DataType::Int64)]).unwrap_err();
    assert_eq!(spelt.to_string(), "column 'A' is 'a' in gold.t: give it that name with AS");
    let strict = [StructField::not_null("must", deltalake_core::kernel::DataType::LONG)];
    let missing = with_new("t", &strict, &of_answer(&columns(&[("a", DataType::Int64)])).unwrap()).unwrap_err();
    assert!(missing.to_string().starts_with("gold.t must have a value of 'must', which is not in the answer: "), "{missing}");
}
