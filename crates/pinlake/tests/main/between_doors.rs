//! What is written through one door is read through every other: the same bytes, keys, headers and times, wherever a door can show them.
//! Kinesis has no operation that reads.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pinlake_core::batch::packing::{CODECS, packed};
use pinlake_core::{Batch, BatchBuilder, Clock, Record, Timestamp};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::server::Server;
use crate::wire::{Isolation, Place, Trouble, Wire};

/// A topic that the pipeline follows, so that the archive has it.
const TOPIC: &str = "doors.pin";
/// What a client says the time is, where it can.
const STATED: Timestamp = Timestamp(1_769_860_800_123);
const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";
const KAFKA_BINARY: &str = "application/vnd.kafka.binary.v2+json";

/// A record, and its time if it is known to the millisecond.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    record: Record,
    time: Option<Timestamp>,
}

/// Everything that was written, in order.
struct World {
    server: Server,
    http: Client,
    written: Vec<Seen>,
}

fn place() -> Place {
    (TOPIC.to_owned(), 0)
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Record {
    let owned = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(owned))).collect();
    Record { key: key.map(owned), value: value.map(owned), headers }
}

/// Whatever bytes a record may be made of.
fn strange_records() -> Vec<Record> {
    vec![
        record(None, Some(br#"{"ind":1,"title":"plain"}"#), &[]),
        record(Some(b"key"), Some("{\"ind\":2,\"title\":\"gr\u{fc}n \u{1f34f}\"}".as_bytes()), &[("name", Some(b"value"))]),
        record(Some(b"\xff\x00\x80"), Some(b"\xc3\x28\xfe\x00"), &[("bytes", Some(b"\xff\xfe")), ("bytes", Some(b"again"))]),
        record(Some(b""), Some(b""), &[("empty", Some(b"")), ("none", None), ("", Some(b"no name"))]),
        record(Some(b"tombstone"), None, &[]),
        record(None, None, &[("nothing", None)]),
        record(Some(b"{}"), Some(b"{\n  \"ind\": 3,\r\n  \"title\": null }"), &[]),
        record(None, Some(br#"{"_base64":"aGk="}"#), &[]),
        record(None, Some(b"null"), &[]),
        record(None, Some(b"not JSON"), &[("gr\u{fc}n", Some("\u{1f34f}".as_bytes()))]),
    ]
}

impl World {
    async fn ask(&self, method: Method, path: &str, kind: &str, body: String) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.server.url)).header("content-type", kind).body(body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    async fn post(&self, path: &str, kind: &str, body: &Value) -> Value {
        self.ask(Method::POST, path, kind, body.to_string()).await
    }

    fn wrote(&mut self, records: Vec<Record>, time: Option<Timestamp>) {
        self.written.extend(records.into_iter().map(|record| Seen { record, time }));
    }

    async fn write_v2(&mut self) {
        let base64 = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
        let records = strange_records().into_iter().map(|record| Record { headers: Vec::new(), ..record }).collect::<Vec<_>>();
        let entries = records.iter().map(|record| json!({"key": base64(&record.key), "value": base64(&record.value)}));
        let answer = self.post(&format!("/topics/{TOPIC}"), KAFKA_BINARY, &json!({"records": entries.collect::<Vec<_>>()})).await;
        assert!(answer["offsets"].as_array().unwrap().iter().all(|one| one["error"].is_null()), "{answer}");
        self.wrote(records, None);
        let body = r#"{"records":[{"key":"k","value":{"b": 1.50,"a":["\u00fc"]}},{"value":null},{"key":7,"value":"text"}]}"#;
        self.ask(Method::POST, &format!("/topics/{TOPIC}"), KAFKA_JSON, body.to_owned()).await;
        let stored = [
            record(Some(b"\"k\""), Some(br#"{"b":1.50,"a":["\u00fc"]}"#), &[]),
            record(None, None, &[]),
            record(Some(b"7"), Some(b"\"text\""), &[]),
        ];
        self.wrote(stored.to_vec(), None);
    }

    async fn write_v3(&mut self) {
        let cluster = self.server.get("/v3/clusters").await["data"][0]["cluster_id"].as_str().unwrap().to_owned();
        let base64 = |bytes: &Bytes| BASE64_STANDARD.encode(bytes);
        for (at, record) in strange_records().into_iter().enumerate() {
            let data = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| json!({"type": "BINARY", "data": base64(bytes)}));
            let header = |(name, value): &(String, Option<Bytes>)| json!({"name": name, "value": value.as_ref().map(base64)});
            let mut body = json!({"key": data(&record.key), "value": data(&record.value)});
            body["headers"] = record.headers.iter().map(header).collect();
            let time = at.is_multiple_of(2).then_some(STATED);
            if time.is_some() {
                body["timestamp"] = json!("2026-01-31T12:00:00.123Z");
            }
            let answer = self.post(&format!("/v3/clusters/{cluster}/topics/{TOPIC}/records"), "application/json", &body).await;
            assert_eq!((&answer["error_code"], &answer["offset"]), (&json!(200), &json!(self.written.len())), "{answer}");
            self.wrote(vec![record], time);
        }
    }

    async fn write_kinesis(&mut self) {
        let one = json!({"Data": {"ind": 4, "title": "streamed"}, "PartitionKey": "a key"});
        self.ask(Method::PUT, &format!("/streams/{TOPIC}/record"), "application/json", one.to_string()).await;
        let several = json!({"Records": [{"Data": "gr\u{fc}n", "PartitionKey": "1"}, {"Data": [1], "PartitionKey": "2"}]});
        self.ask(Method::PUT, &format!("/streams/{TOPIC}/records"), "application/json", several.to_string()).await;
        let stored = [
            record(Some(b"a key"), Some(br#"{"ind":4,"title":"streamed"}"#), &[]),
            record(Some(b"1"), Some("gr\u{fc}n".as_bytes()), &[]),
            record(Some(b"2"), Some(b"[1]"), &[]),
        ];
        self.wrote(stored.to_vec(), None);
    }

    async fn write_wire(&mut self, wire: &mut Wire) {
        let plain = Batch::of(&strange_records(), STATED).unwrap();
        let mut batches = vec![plain.clone()];
        batches.extend(CODECS.map(|(_, codec, pack)| packed(&plain, codec, pack)));
        for batch in batches {
            assert_eq!(wire.produce(TOPIC, 0, &batch).await.unwrap(), self.written.len() as i64);
            self.wrote(strange_records(), Some(STATED));
        }
        let mut builder = BatchBuilder::new(STATED);
        for (at, value) in [(STATED.0 - 1000, "before"), (STATED.0, "at"), (STATED.0 + 5, "after")] {
            builder.push_at(Timestamp(at), None, Some(value.as_bytes()));
            self.wrote(vec![Record::of_value(value)], Some(Timestamp(at)));
        }
        wire.produce(TOPIC, 0, &builder.build().unwrap()).await.unwrap();
    }

    /// What was written is what was found; a time that the server gave lies between these.
    fn compare(&self, door: &str, found: &[Seen], between: (Timestamp, Timestamp)) {
        assert_eq!(found.len(), self.written.len(), "{door}");
        for (at, (found, written)) in found.iter().zip(&self.written).enumerate() {
            assert_eq!(found.record, written.record, "{door} at {at}");
            match (found.time, written.time) {
                (Some(found), None) => assert!(between.0 <= found && found <= between.1, "{door} at {at}: {found:?}"),
                (found, written) => assert_eq!(found, written, "{door} at {at}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_reads_what_any_other_wrote() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let mut wire = Wire::connect(server.kafka()).await.unwrap();
    wire.create_topic(TOPIC, 1).await.unwrap();
    let mut world = World { server, http: Client::new(), written: Vec::new() };
    let before = Clock::System.now();
    world.write_v2().await;
    world.write_v3().await;
    world.write_kinesis().await;
    world.write_wire(&mut wire).await;
    let between = (before, Clock::System.now());
    for isolation in [Isolation::Uncommitted, Isolation::Committed] {
        let fetched = wire.fetch(&place(), 0, isolation, 0).await.unwrap();
        assert_eq!(fetched.next, fetched.high_watermark);
        world.compare("the wire", &of_batches(&fetched.batches), between);
    }
    world.compare("the API", &read_api(&world.server).await, between);
    compare_consumer(&world).await;
    compare_archive(&world, data.path()).await;
}

/// The records of batches, unpacked.
fn of_batches(batches: &[Batch]) -> Vec<Seen> {
    let mut found = Vec::new();
    for batch in batches {
        for view in batch.plain().unwrap().records().map(Result::unwrap) {
            let headers = view.decode_headers().unwrap();
            let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, *value)).collect();
            let record = record(view.key, view.value, &headers);
            found.push(Seen { record, time: Some(view.timestamp) });
        }
    }
    found
}

/// Pinlake's own API, which shows all of a record.
async fn read_api(server: &Server) -> Vec<Seen> {
    let answer = server.get(&format!("/api/v1/topics/{TOPIC}/records?partition=0&offset=0&limit=10000")).await;
    let bytes = |payload: &Value| match payload {
        Value::Null => None,
        Value::String(text) => Some(Bytes::from(text.clone())),
        other => Some(BASE64_STANDARD.decode(other["base64"].as_str().unwrap()).unwrap().into()),
    };
    let seen = |shown: &Value| {
        let header = |header: &Value| (header["name"].as_str().unwrap().to_owned(), bytes(&header["value"]));
        let headers = shown["headers"].as_array().unwrap().iter().map(header).collect();
        let record = Record { key: bytes(&shown["key"]), value: bytes(&shown["value"]), headers };
        Seen { record, time: Some(Timestamp(shown["timestamp_ms"].as_i64().unwrap())) }
    };
    answer["records"].as_array().unwrap().iter().map(seen).collect()
}

/// Kafka REST's consumers show keys and values.
async fn compare_consumer(world: &World) {
    let settings = json!({"name": "i", "format": "binary", "auto.offset.reset": "earliest"});
    world.post("/consumers/g", "application/vnd.kafka.v2+json", &settings).await;
    let partitions = json!({"partitions": [{"topic": TOPIC, "partition": 0}]});
    world.post("/consumers/g/instances/i/assignments", "application/vnd.kafka.v2+json", &partitions).await;
    let mut found = Vec::new();
    while found.len() < world.written.len() {
        let read = world.ask(Method::GET, "/consumers/g/instances/i/records?timeout=5000", KAFKA_BINARY, String::new()).await;
        found.extend(read.as_array().unwrap().iter().cloned());
    }
    let bytes = |text: &Value| text.as_str().map(|text| Bytes::from(BASE64_STANDARD.decode(text).unwrap()));
    for (at, (found, written)) in found.iter().zip(&world.written).enumerate() {
        assert_eq!(found["offset"], at);
        assert_eq!(
            (bytes(&found["key"]), bytes(&found["value"])),
            (written.record.key.clone(), written.record.value.clone()),
            "{found}"
        );
    }
    assert_eq!(found.len(), world.written.len());
}

/// The archive keeps values, one a line: JSON as it is, on one line; other bytes in base64; a tombstone as `null`, which is all that tells it from the
/// JSON `null`. SQL shows the same as text.
async fn compare_archive(world: &World, data: &std::path::Path) {
    world.server.post("/api/v1/flush", json!({})).await;
    let folder = data.join(format!("lake/topics/{TOPIC}/partition=0"));
    let mut objects: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    objects.sort();
    let text: String = objects.iter().map(|object| std::fs::read_to_string(object).unwrap()).collect();
    let is_json = |value: &[u8]| serde_json::from_slice::<Value>(value).is_ok() && !value.starts_with(br#"{"_base64":"#);
    let line = |seen: &Seen| match seen.record.value.as_deref() {
        None => "null".to_owned(),
        Some(value) if is_json(value) => String::from_utf8(value.to_vec()).unwrap().replace(['\r', '\n'], " "),
        Some(value) => format!(r#"{{"_base64":"{}"}}"#, BASE64_STANDARD.encode(value)),
    };
    let expected: Vec<String> = world.written.iter().map(line).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let rows = world.server.rows(&format!("SELECT _raw FROM raw.pin WHERE _topic = '{TOPIC}' ORDER BY _offset")).await;
    let shown = |seen: &Seen| match seen.record.value.as_deref() {
        None => "null".to_owned(),
        Some(value) => String::from_utf8_lossy(value).replace(['\r', '\n'], " "),
    };
    let rows: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(rows, world.written.iter().map(shown).collect::<Vec<_>>());
    let ledger = world.server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
}

/// Kafka takes a header's name for text and shows bytes that are none as U+FFFD; what is no header at all is refused.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_shown_or_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let mut wire = Wire::connect(server.kafka()).await.unwrap();
    wire.create_topic(TOPIC, 1).await.unwrap();
    let good = Batch::of(&[record(None, Some(b"v"), &[("name", Some(b"value"))])], STATED).unwrap();
    // `packed` seals whatever bytes it is given.
    let with =
        |from: u8, to: u8| packed(&good, 0, |bytes| bytes.iter().map(|byte| if *byte == from { to } else { *byte }).collect());
    // The length of "value" as a zigzag varint, and one that is none.
    let refused = wire.produce(TOPIC, 0, &with(10, 9)).await;
    assert!(matches!(refused, Err(Trouble::Refused(87))), "{refused:?}");
    let strange = with(b'm', 0xff);
    assert_eq!(wire.produce(TOPIC, 0, &strange).await.unwrap(), 0);
    let fetched = wire.fetch(&place(), 0, Isolation::Uncommitted, 0).await.unwrap();
    assert_eq!(fetched.batches[0].bytes()[16..], strange.bytes()[16..], "the wire changes nothing");
    let shown = read_api(&server).await;
    assert_eq!(shown[0].record.headers, [("na\u{fffd}e".to_owned(), Some(Bytes::from("value")))]);
}
