//! The built-in cleanings on the values of the classic pipeline.

mod compiled;

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
    for far in ["9999-12-31 23:59:59", "1000-01-01 00:00:00"] {
        let expected = format!("{}Z", far.replace(' ', "T"));
        assert_eq!(one("geo", with(geo(), "timestamp", far)).await["timestamp"], expected, "what MySQL can hold");
        assert_eq!(one("user", with(user(), "date_joined", far)).await["date_joined"], expected);
    }
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
