//! Records of the classic pipeline, through both doors, cleaned as an independent computation says.
//!
//! They hold other people's texts, so they lie beside the project and not in it; without them the test is skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::server::Server;

/// Records of one Kafka REST request.
const KAFKA_RECORDS: usize = 300;
/// Records of one PutRecords: as many as Kinesis takes.
const KINESIS_RECORDS: usize = 500;
const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";
/// The clean columns of each table, in the documented order.
const COLUMNS: [(&str, &[&str]); 3] = [
    (
        "pin",
        &[
            "ind",
            "unique_id",
            "title",
            "description",
            "follower_count",
            "poster_name",
            "tag_list",
            "is_image_or_video",
            "image_src",
            "save_location",
            "category",
        ],
    ),
    ("geo", &["ind", "country", "coordinates", "timestamp"]),
    ("user", &["ind", "user_name", "age", "date_joined"]),
];

/// The records of one kind, in the order of their file.
struct Kind {
    name: &'static str,
    columns: &'static [&'static str],
    records: Vec<Value>,
}

impl Kind {
    fn topic(&self) -> String {
        format!("0a1b2c3d4e5f.{}", self.name)
    }

    fn stream(&self) -> String {
        format!("streaming-0a1b2c3d4e5f-{}", self.name)
    }

    /// The rows that cleaning must yield, by key; of several records with one key the first stands.
    fn cleaned(&self) -> Vec<Value> {
        let mut rows = BTreeMap::new();
        for record in &self.records {
            let row = match self.name {
                "pin" => clean_pin(record),
                "geo" => clean_geo(record),
                _ => clean_user(record),
            };
            rows.entry(row[0].as_i64().unwrap()).or_insert(row);
        }
        rows.into_values().collect()
    }
}

/// The folder of the records; says so where there is none.
#[expect(clippy::print_stderr, reason = "for whoever reads the test's output")]
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = folder.is_dir();
    if !found {
        eprintln!("skipped: there are no records of the classic pipeline in {}", folder.display());
    }
    found.then_some(folder)
}

fn kinds(folder: &Path) -> Vec<Kind> {
    let kind = |(name, columns): (&'static str, &'static [&'static str])| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(records.len() > 1000, "{name} has {} records", records.len());
        Kind { name, columns, records }
    };
    COLUMNS.into_iter().map(kind).collect()
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("{field} is a text: {record}"))
}

/// A text, or null where it says that there is none.
fn unless(value: &str, is_none: bool) -> Value {
    if is_none || value.is_empty() { Value::Null } else { Value::from(value) }
}

fn clean_pin(record: &Value) -> Value {
    let of = |field| text(record, field);
    let (description, place) = (of("description"), of("save_location"));
    json!([
        record["index"],
        of("unique_id"),
        unless(of("title"), ["No Title Data Available", "Untitled"].contains(&of("title"))),
        unless(description, description.starts_with("No description available") || description == "Untitled"),
        followers(of("follower_count")),
        unless(of("poster_name"), of("poster_name") == "User Info Error"),
        unless(of("tag_list"), of("tag_list") == "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
        unless(of("is_image_or_video"), false),
        unless(of("image_src"), of("image_src") == "Image src error."),
        unless(place.strip_prefix("Local save in ").unwrap_or(place), false),
        unless(of("category"), false),
    ])
}

/// `306k` is 306,000 and `2M` is 2,000,000.
fn followers(shown: &str) -> Value {
    if ["User Info Error", ""].contains(&shown) {
        return Value::Null;
    }
    let zeros = match shown.chars().last().unwrap() {
        'k' => "000",
        'M' => "000000",
        _ => "",
    };
    let digits = shown.trim_end_matches(['k', 'M']);
    Value::from(format!("{digits}{zeros}").parse::<i64>().unwrap())
}

fn clean_geo(record: &Value) -> Value {
    let (latitude, longitude) = (record["latitude"].as_f64().unwrap(), record["longitude"].as_f64().unwrap());
    json!([record["ind"], text(record, "country"), [latitude, longitude], utc(text(record, "timestamp"))])
}

fn clean_user(record: &Value) -> Value {
    let name = [text(record, "first_name"), text(record, "last_name")].join(" ");
    json!([record["ind"], name, record["age"].as_i64().unwrap(), utc(text(record, "date_joined"))])
}

/// A time without a zone as SQL shows it.
fn utc(shown: &str) -> String {
    let (day, time) = shown.split_once([' ', 'T']).unwrap();
    format!("{day}T{time}Z")
}

#[test]
fn the_own_computation_is_right_about_a_known_record() {
    let broken = json!({
        "index": 7528, "unique_id": "u", "title": "No Title Data Available", "follower_count": "User Info Error",
        "description": "No description available Story format", "poster_name": "User Info Error",
        "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "is_image_or_video": "multi-video(story page format)",
        "image_src": "Image src error.", "downloaded": 0, "save_location": "Local save in /data/art", "category": "art",
    });
    let clean = json!([7528, "u", null, null, null, null, null, "multi-video(story page format)", null, "/data/art", "art"]);
    assert_eq!(clean_pin(&broken), clean);
    assert_eq!([followers("0"), followers("306k"), followers("15M")], [0, 306_000, 15_000_000]);
    assert_eq!(utc("2020-08-28 03:52:47"), "2020-08-28T03:52:47Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_records_clean_alike_through_both_doors_and_only_once() {
    let Some(folder) = folder() else { return };
    let kinds = kinds(&folder);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;

    post_all(&server, &kinds, through_kafka).await;
    check_rows(&server, &kinds).await;
    check_ledger(&server, &kinds, 1, 0).await;

    post_all(&server, &kinds, through_kinesis).await;
    check_rows(&server, &kinds).await;
    check_ledger(&server, &kinds, 1, 1).await;

    post_all(&server, &kinds, through_kafka).await;
    post_all(&server, &kinds, through_kinesis).await;
    check_rows(&server, &kinds).await;
    check_ledger(&server, &kinds, 2, 2).await;

    server.post("/api/v1/tables/all/rebuild", json!({})).await;
    check_rows(&server, &kinds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_records_clean_alike_when_streams_come_first() {
    let Some(folder) = folder() else { return };
    let kinds = kinds(&folder);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    post_all(&server, &kinds, through_kinesis).await;
    check_rows(&server, &kinds).await;
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
}

async fn post_all(server: &Server, kinds: &[Kind], through: impl AsyncFn(&Server, &Kind)) {
    for kind in kinds {
        through(server, kind).await;
        // What a door sent is in the table before another door sends the same, so that it is known which of them is the row.
        server.post("/api/v1/flush", json!({})).await;
    }
}

async fn through_kafka(server: &Server, kind: &Kind) {
    for (at, records) in kind.records.chunks(KAFKA_RECORDS).enumerate() {
        let values: Vec<Value> = records.iter().map(|record| json!({"value": record})).collect();
        let request = reqwest::Client::new().post(format!("{}/prod/topics/{}", server.url, kind.topic()));
        let answer = answer_of(request.header("content-type", KAFKA_JSON), &json!({"records": values})).await;
        let offsets = answer["offsets"].as_array().unwrap();
        assert_eq!(offsets.len(), records.len(), "one answer a record");
        assert!(offsets.iter().all(|offset| offset["error_code"].is_null()), "request {at}: {answer}");
    }
}

/// The first record alone, as the classic emulator puts it, the others many a request.
async fn through_kinesis(server: &Server, kind: &Kind) {
    let stream = format!("{}/test/streams/{}", server.url, kind.stream());
    let put = |what: &str| reqwest::Client::new().put(format!("{stream}/{what}")).header("content-type", "application/json");
    let entry = |record: &Value| json!({"StreamName": kind.stream(), "Data": record, "PartitionKey": "partition-1"});
    let (first, others) = kind.records.split_first().unwrap();
    assert!(answer_of(put("record"), &entry(first)).await["SequenceNumber"].is_string());
    for records in others.chunks(KINESIS_RECORDS) {
        let entries: Vec<Value> = records.iter().map(entry).collect();
        let answer = answer_of(put("records"), &json!({"StreamName": kind.stream(), "Records": entries})).await;
        assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
        assert_eq!(answer["Records"].as_array().unwrap().len(), records.len(), "one answer a record");
    }
}

async fn answer_of(request: reqwest::RequestBuilder, body: &Value) -> Value {
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The tables hold the rows that the own computation yields, with the documented columns first, and nothing is in quarantine.
async fn check_rows(server: &Server, kinds: &[Kind]) {
    for kind in kinds {
        let name = kind.name;
        let sql = format!("SELECT * FROM \"{name}\" ORDER BY ind");
        let answer = server.post("/api/v1/sql", json!({"sql": sql, "limit": 1_000_000})).await;
        let columns: Vec<&str> = answer["columns"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
        assert_eq!(columns[..kind.columns.len()], *kind.columns, "the columns of {name}");
        let (rows, wanted) = (answer["rows"].as_array().unwrap(), kind.cleaned());
        assert_eq!(rows.len(), wanted.len(), "{name} has one row a key");
        for (row, wanted) in rows.iter().zip(&wanted) {
            let clean = &row.as_array().unwrap()[..kind.columns.len()];
            assert_eq!(clean, wanted.as_array().unwrap().as_slice(), "a row of {name}");
        }
        let quarantined = server.rows(&format!("SELECT reason, _topic, _offset FROM quarantine.\"{name}\"")).await;
        assert_eq!(quarantined, Vec::<Value>::new(), "nothing of {name} is in quarantine");
    }
}

/// The account closes: each topic was sent that many `times`, and only the first records of the first door became rows.
async fn check_ledger(server: &Server, kinds: &[Kind], kafka: u64, kinesis: u64) {
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
    for kind in kinds {
        let (sent, rows) = (kind.records.len() as u64, kind.cleaned().len() as u64);
        let account = |topic: &str| {
            let table = ledger["tables"].as_array().unwrap().iter().find(|table| table["table"] == kind.name).unwrap();
            let lines = table["partitions"].as_array().unwrap().iter().filter(|line| line["topic"] == topic);
            let sum = |field: &str| lines.clone().map(|line| line[field].as_u64().unwrap()).sum::<u64>();
            ["rows", "duplicates", "conflicts", "quarantined", "archived", "lost", "doubled"].map(sum)
        };
        let all = kafka * sent;
        assert_eq!(account(&kind.topic()), [rows, all - rows, 0, 0, all, 0, 0], "{ledger:#}");
        let all = kinesis * sent;
        assert_eq!(account(&kind.stream()), [0, all, 0, 0, all, 0, 0], "{ledger:#}");
    }
}
