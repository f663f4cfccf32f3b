//! Records placed, formatted and named together.

use pinlake_core::{Batch, Record, TopicName};

use super::*;
use crate::place::{FieldPath, Placement};

fn of() -> TopicPartition {
    TopicName::new("user.pin").unwrap().partition(0)
}

fn json_layout() -> Layout {
    let formats = Formats { values: Format::Json, keys: None, headers: None, compression: Compression::None };
    let words = Words { value_by: "v", put_by: "p", misfit: "m", misplaced: "l", unfit: "u", ..Words::default() };
    Layout {
        converters: Converters { key: Converter::Text, value: Converter::Json },
        formats: Arc::new(formats),
        words,
        ..Layout::lines("topics")
    }
}

fn place(layout: &Layout, record: &Record) -> Result<Placed, Problem> {
    let batch = Batch::of(std::slice::from_ref(record), Timestamp(7)).unwrap();
    let view = batch.records().next().unwrap().unwrap();
    layout.place(&of(), &view, Timestamp(9))
}

fn files(layout: &Layout, records: &[Record]) -> Vec<(String, String)> {
    let mut object = layout.open();
    for record in records {
        object.push(place(layout, record).unwrap().row);
    }
    let files = object.finish().unwrap().into_iter();
    files.map(|file| (file.extension, String::from_utf8(file.content.to_vec()).unwrap())).collect()
}

#[test]
fn values_are_lines_of_an_object_with_the_classic_name() {
    let layout = json_layout();
    let placed = place(&layout, &Record::of_value("{ \"index\": 1 }")).unwrap();
    assert_eq!((placed.folder.as_str(), placed.time, placed.is_null, placed.schema), ("partition=0", Timestamp(7), false, 0));
    let path = layout.path(&of(), &placed.folder, Offset(3), ".json");
    assert_eq!(path.as_ref(), "topics/user.pin/partition=0/user.pin+0+0000000003.json");
    let found = files(&layout, &[Record::of_value("{ \"a\": 1 }"), Record::of_value("2")]);
    assert_eq!(found, [(".json".to_owned(), "{\"a\":1}\n2\n".to_owned())]);
}

#[test]
fn names_keep_what_their_places_hold() {
    let fields = vec![FieldPath::new("f").unwrap()];
    let layout = Layout { placement: Placement::Fields { fields, delimiter: "/".to_owned() }, ..json_layout() };
    let placed = place(&layout, &Record::of_value("{\"f\":\"ü %[#]\"}")).unwrap();
    let path = layout.path(&of(), &placed.folder, Offset(0), ".json");
    assert_eq!(path.as_ref(), "topics/user.pin/f=ü %[#]/user.pin+0+0000000000.json");
    let problem = place(&layout, &Record::of_value("{\"f\":\"../../x\"}")).unwrap_err();
    assert_eq!((problem.stage, problem.found_by, problem.class), (Stage::Put, "p", "l"));
}

#[test]
fn records_without_a_value_have_a_place_of_their_own() {
    let formats = Formats { keys: Some(Format::Json), ..(*json_layout().formats).clone() };
    let layout = Layout { formats: Arc::new(formats), nulls: Some("tombstone".to_owned()), ..json_layout() };
    for value in [None, Some("null".into())] {
        let record = Record { key: Some("k".into()), value, ..Record::default() };
        let placed = place(&layout, &record).unwrap();
        assert_eq!((placed.folder.as_str(), placed.is_null), ("tombstone", true));
        assert_eq!(files(&layout, &[record]), [(".keys.json".to_owned(), "\"k\"\n".to_owned())]);
    }
    let keyless = Record::default();
    assert_eq!(place(&layout, &keyless).unwrap_err().class, "u");
    let passed_over = Layout { nulls: None, ..layout };
    assert!(place(&passed_over, &keyless).unwrap().is_null);
}

#[test]
fn problems_say_who_found_them() {
    let problem = place(&json_layout(), &Record::of_value("{")).unwrap_err();
    assert_eq!((problem.stage, problem.found_by, problem.class), (Stage::Value, "v", "m"));
}

#[test]
fn lines_are_what_came_in() {
    assert_eq!(files(&Layout::lines("x"), &[Record::of_value("{ }"), Record::of_value("z")])[0].1, "{ }\nz\n");
}
