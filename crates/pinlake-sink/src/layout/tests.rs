//! Records placed, formatted and named together.

use std::sync::Arc;

use pinlake_core::{Batch, Record, TopicName};

use super::*;
use crate::convert::{Converter, Converters};
use crate::format::{Compression, Format, Formats};
use crate::place::{FieldPath, Placement};
use crate::problem::Stage;

fn of() -> TopicPartition {
    TopicName::new("user.pin").unwrap().partition(0)
}

fn json_layout() -> Folders {
    let formats = Formats { values: Format::Json, keys: None, headers: None, compression: Compression::None };
    let words = Words { value_by: "v", put_by: "p", misfit: "m", misplaced: "l", unfit: "u", ..Words::default() };
    Folders {
        converters: Converters { key: Converter::Text, value: Converter::Json },
        formats: Arc::new(formats),
        words,
        ..Folders::lines("topics")
    }
}

fn place(layout: &Folders, record: &Record) -> Result<Placed, Problem> {
    let batch = Batch::of(std::slice::from_ref(record), Timestamp(7)).unwrap();
    let view = batch.records().next().unwrap().unwrap();
    layout.place(&of(), &view, Timestamp(9)).map(|mut placed| placed.remove(0))
}

/// The names and contents of the files of an object whose first record stands at offset 3.
fn files(layout: &Folders, records: &[Record]) -> Vec<(String, String)> {
    let (mut rows, mut folder) = (Row::default(), String::new());
    for record in records {
        let placed = place(layout, record).unwrap();
        rows.push(placed.row);
        folder = placed.folder;
    }
    let (topic, time) = (TopicId::of_name([1; 16]), Timestamp(7));
    let object = Object { of: &of(), topic, folder: &folder, first: Offset(3), end: Offset(9), time, rows };
    let files = layout.files(object).unwrap().into_iter();
    files.map(|file| (file.path.to_string(), String::from_utf8(file.content.to_vec()).unwrap())).collect()
}

#[test]
fn values_are_lines_of_an_object_with_the_classic_name() {
    let layout = json_layout();
    let placed = place(&layout, &Record::of_value("{ \"index\": 1 }")).unwrap();
    assert_eq!((placed.folder.as_str(), placed.time, placed.schema), ("partition=0", Timestamp(7), 0));
    let found = files(&layout, &[Record::of_value("{ \"a\": 1 }"), Record::of_value("2")]);
    let name = "topics/user.pin/partition=0/user.pin+0+0000000003.json";
    assert_eq!(found, [(name.to_owned(), "{\"a\":1}\n2\n".to_owned())]);
}

#[test]
fn names_keep_what_their_places_hold() {
    let fields = vec![FieldPath::new("f").unwrap()];
    let layout = Folders { placement: Placement::Fields { fields, delimiter: "/".to_owned() }, ..json_layout() };
    let found = files(&layout, &[Record::of_value("{\"f\":\"ü %[#]\"}")]);
    assert_eq!(found[0].0, "topics/user.pin/f=ü %[#]/user.pin+0+0000000003.json");
    let problem = place(&layout, &Record::of_value("{\"f\":\"../../x\"}")).unwrap_err();
    assert_eq!((problem.stage, problem.found_by, problem.class), (Stage::Put, "p", "l"));
}

#[test]
fn records_without_a_value_have_a_place_of_their_own() {
    let formats = Formats { keys: Some(Format::Json), ..(*json_layout().formats).clone() };
    let layout = Folders { formats: Arc::new(formats), nulls: Some("tombstone".to_owned()), ..json_layout() };
    for value in [None, Some("null".into())] {
        let record = Record { key: Some("k".into()), value, ..Record::default() };
        let name = "topics/user.pin/tombstone/user.pin+0+0000000003.keys.json";
        assert_eq!(files(&layout, &[record]), [(name.to_owned(), "\"k\"\n".to_owned())]);
    }
    let keyless = Record::default();
    assert_eq!(place(&layout, &keyless).unwrap_err().class, "u");
    let passed_over = Folders { nulls: None, ..layout };
    let batch = Batch::of(&[keyless], Timestamp(7)).unwrap();
    let view = batch.records().next().unwrap().unwrap();
    assert!(passed_over.place(&of(), &view, Timestamp(9)).unwrap().is_empty());
}

#[test]
fn problems_say_who_found_them() {
    let problem = place(&json_layout(), &Record::of_value("{")).unwrap_err();
    assert_eq!((problem.stage, problem.found_by, problem.class), (Stage::Value, "v", "m"));
}

#[test]
fn lines_are_what_came_in() {
    assert_eq!(files(&Folders::lines("x"), &[Record::of_value("{ }"), Record::of_value("z")])[0].1, "{ }\nz\n");
}
