//! Input that no honest client sends: it gets a clear refusal or exactly one row in quarantine, and the server stays up.

use pinlake_emulator::Kind;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

const MIB: usize = 1 << 20;
const DEEP: usize = 100_000;
pub(crate) const JSON: &str = "application/json";
pub(crate) const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";
const KAFKA_BINARY: &str = "application/vnd.kafka.binary.v2+json";
const TOPIC: &str = "/topics/hostile.pin";
const STREAM: &str = "/streams/streaming-hostile-pin";
const RECORD: &str = r#"{"records":[{"value":{"index":1}}]}"#;
const NOT_LEGAL: &str = "is not legal: it takes 1 to 249 characters";

/// A body, the status that it is refused with, and a part of the reason.
pub(crate) type Refused = (Vec<u8>, u16, &'static str);

pub(crate) fn refused(body: impl Into<Vec<u8>>, status: u16, says: &'static str) -> Refused {
    (body.into(), status, says)
}

fn brackets() -> String {
    "[".repeat(DEEP) + &"]".repeat(DEEP)
}

/// The head of a body, for a failure's message.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(120).collect()
}

/// Sends a request as it stands: no client tidies its path.
async fn send(server: &Server, request: &str, content_type: Option<&str>, body: &[u8]) -> (u16, String) {
    let address = server.url.strip_prefix("http://").unwrap();
    let kind = content_type.map_or_else(String::new, |kind| format!("content-type: {kind}\r\n"));
    let len = body.len();
    let head = format!("{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {len}\r\n{kind}\r\n");
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let whole = [head.as_bytes(), body].concat();
    // Who is refused before the end of a long body can't send the rest.
    let sending = tokio::spawn(async move { writing.write_all(&whole).await.map(|()| writing) });
    let mut answer = Vec::new();
    let read = reading.read_to_end(&mut answer).await;
    assert!(!answer.is_empty(), "{request} gets an answer: {read:?}");
    drop(sending.await);
    let answer = String::from_utf8(answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

pub(crate) async fn check(server: &Server, request: &str, content_type: Option<&str>, (body, status, says): &Refused) {
    let (found, answer) = send(server, request, content_type, body).await;
    let what = format!("{} {content_type:?} {}", shown(request.as_bytes()), shown(body));
    assert_eq!(found, *status, "{what}: {}", shown(answer.as_bytes()));
    assert!(answer.contains(says), "{what}: the answer says '{says}': {answer}");
}

pub(crate) async fn post(server: &Server, path: &str, content_type: &str, body: &str) {
    let (status, answer) = send(server, &format!("POST {path}"), Some(content_type), body.as_bytes()).await;
    assert_eq!(status, 200, "{}: {answer}", shown(body.as_bytes()));
}

/// The server is well: it takes a good record, shows it, and its ledger closes.
pub(crate) async fn serves_on(server: &Server) {
    assert_eq!(server.get("/healthz").await["status"], "alive");
    server.until_ready().await;
    post(server, "/topics/good.pin", KAFKA_JSON, r#"{"records":[{"value":{"index":424242,"category":"art"}}]}"#).await;
    assert_eq!(server.rows("SELECT category FROM pin WHERE ind = 424242").await, [json!(["art"])]);
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
}

/// Nothing but good records is in the log.
async fn nothing_was_stored(server: &Server) {
    for topic in server.get("/api/v1/topics").await["topics"].as_array().unwrap() {
        let ends = topic["offsets"].as_array().unwrap().iter().map(|of| of["end"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(ends, u64::from(topic["name"] == "good.pin"), "{topic:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_records_are_refused_at_the_kafka_door() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let partition = |number: &str| format!(r#"{{"records":[{{"value":1,"partition":{number}}}]}}"#);
    let bodies = [
        refused("", 400, "the body is not JSON"),
        refused("{", 400, "expected a string at byte 1"),
        refused(r#"{"records":[{"value":{"index":1}"#, 400, "the body is not JSON"),
        refused("{'records':[]}", 400, "the body is not JSON"),
        refused(r#"{"records":[{"value":NaN}]}"#, 400, "expected a value"),
        refused(*b"{\"records\":[{\"value\":\"\xff\"}]}", 400, "the body is not UTF-8: byte 22 is wrong"),
        refused("{\"records\":[{\"value\":\"\0\"}]}", 400, "a string without control characters"),
        refused("\0", 400, "the body is not JSON"),
        refused("\u{feff}{\"records\":[{\"value\":1}]}", 400, "the body is not JSON"),
        refused(*b"\x1f\x8b\x08\0\0", 400, "the body is not UTF-8"),
        refused("null", 422, "expected an object"),
        refused("7", 422, "expected an object"),
        refused(brackets(), 422, "expected an object"),
        refused(format!("{{\"records\":{}}}", brackets()), 422, "expected a record"),
        refused("{\"records\":[]}", 422, "send one record at least"),
        refused(r#"{"recs":[]}"#, 422, "Unrecognized field: recs"),
        refused(partition("-1"), 422, "partition -1 of record 0 is not a number from 0"),
        refused(partition("1e400"), 422, "is not a number from 0"),
        refused(partition(&"9".repeat(30)), 422, "is not a number from 0"),
        refused(partition("\"0\""), 422, "is not a number from 0"),
        refused(partition("2147483648"), 404, "has no partition 2147483648"),
        refused(format!("{{\"records\":[{}{{}}]}}", "{},".repeat(50_000)), 413, "at most 50000 records"),
        refused(format!("{{\"records\":[{{\"value\":\"{}\"}}]}}", "x".repeat(11 * MIB)), 413, "send fewer records"),
    ];
    for body in &bodies {
        check(&server, &format!("POST {TOPIC}"), Some(KAFKA_JSON), body).await;
    }
    for (body, says) in [(r#"{"records":[{"value":"%%%"}]}"#, "is not base64"), (RECORD, "is not a base64 string")] {
        check(&server, &format!("POST {TOPIC}"), Some(KAFKA_BINARY), &refused(body, 422, says)).await;
    }
    let kinds = [None, Some(JSON), Some("text/plain"), Some("application/vnd.kafka.avro.v2+json"), Some(";;;"), Some("*/*")];
    for kind in kinds {
        check(&server, &format!("POST {TOPIC}"), kind, &refused(RECORD, 415, "take Content-Type application/vnd.kafka.")).await;
    }
    serves_on(&server).await;
    nothing_was_stored(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_topic_has_are_refused_and_lead_nowhere() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(&place.path().join("data"), "127.0.0.1:0").await;
    let long = format!("/topics/{}.pin", "a".repeat(250));
    let too_long = format!("/topics/{}", "a".repeat(70_000));
    let paths = [
        ("/topics/../../etc/passwd", 404, "there is nothing at"),
        ("/topics/a/b/c/d/e/f/g/h/i/j", 404, "there is nothing at"),
        ("/topics/..", 422, NOT_LEGAL),
        ("/topics/%2e%2e", 422, NOT_LEGAL),
        ("/topics/..%2f..%2fx.pin", 422, NOT_LEGAL),
        ("/topics/..%5c..%5cx.pin", 422, NOT_LEGAL),
        ("/topics/%00.pin", 422, NOT_LEGAL),
        ("/topics/a%0ab.pin", 422, NOT_LEGAL),
        ("/topics/%ff.pin", 422, NOT_LEGAL),
        ("/topics/a%20b.pin", 422, NOT_LEGAL),
        (long.as_str(), 422, NOT_LEGAL),
        (too_long.as_str(), 414, ""),
        ("/topics/nobodys", 404, "no pattern of the pipeline matches it"),
        ("/topics/__consumer_offsets", 403, "is the server's own"),
        ("/topics/hostile.pin/partitions/-1", 404, "has no partition '-1'"),
        ("/topics/hostile.pin/partitions/4294967296", 404, "has no partition '4294967296'"),
        ("/topics/hostile.pin/partitions/99999999999999999999", 404, "has no partition"),
    ];
    for (path, status, says) in paths {
        check(&server, &format!("POST {path}"), Some(KAFKA_JSON), &refused(RECORD, status, says)).await;
    }
    for name in ["..", "%2e%2e%2fx-pin", "a%00-pin", "a%2fb-pin"] {
        let body = refused(r#"{"Data":{},"PartitionKey":"k"}"#, 400, "Member must satisfy regular expression pattern");
        check(&server, &format!("PUT /streams/{name}/record"), Some(JSON), &body).await;
    }
    serves_on(&server).await;
    nothing_was_stored(&server).await;
    let beside: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["data"], "no file was made outside of the data folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_records_are_refused_at_the_other_doors() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let sized = |bytes: usize| format!(r#"{{"Data":"{}","PartitionKey":"k"}}"#, "x".repeat(bytes));
    let record = [
        refused("", 400, "Invalid request body"),
        refused("{\"Data\":", 400, "Invalid request body"),
        refused("[]", 400, "Invalid request body"),
        refused(brackets(), 400, "Invalid request body"),
        refused(*b"{\"Data\":\"\xff\",\"PartitionKey\":\"k\"}", 400, "the body is not UTF-8"),
        refused("{\"Data\":\"\0\",\"PartitionKey\":\"k\"}", 400, "a string without control characters"),
        refused(r#"{"Data":1,"PartitionKey":"\ud800"}"#, 400, "half a surrogate pair"),
        refused(r#"{"PartitionKey":"k"}"#, 400, "Value null at 'data'"),
        refused(r#"{"Data":{}}"#, 400, "Value null at 'partitionKey'"),
        refused(r#"{"Data":{},"PartitionKey":""}"#, 400, "greater than or equal to 1"),
        refused(r#"{"Data":{},"PartitionKey":[]}"#, 400, "SerializationException"),
        refused(r#"{"Data":{},"PartitionKey":"k","ExplicitHashKey":"-1"}"#, 400, "explicitHashKey"),
        refused(sized(2 * MIB), 400, "less than or equal to 1048576"),
        refused(sized(10 * MIB), 400, "less than or equal to 1048576"),
        refused(sized(11 * MIB), 413, "Request Too Long"),
    ];
    for body in &record {
        check(&server, &format!("PUT {STREAM}/record"), Some(JSON), body).await;
    }
    let many = format!(r#"{{"Records":[{}{{}}]}}"#, r#"{"Data":1,"PartitionKey":"k"},"#.repeat(500));
    let records = [
        refused(r#"{"Records":7}"#, 400, "Invalid request body"),
        refused(r#"{"Records":[]}"#, 400, "greater than or equal to 1"),
        refused(format!(r#"{{"Records":{}}}"#, brackets()), 400, "Invalid request body"),
        refused(many, 400, "less than or equal to 500"),
    ];
    for body in &records {
        check(&server, &format!("PUT {STREAM}/records"), Some(JSON), body).await;
    }
    check(&server, &format!("PUT {STREAM}/record"), Some("application/xml"), &refused("<a/>", 415, "a body here is JSON")).await;
    for count in ["0", "-1", "1001", "1e400", "\"x\"", "999999999999999999999999999999"] {
        let body = refused(format!("{{\"ShardCount\":{count}}}"), 400, "message");
        check(&server, "POST /streams/streaming-new-pin", Some(JSON), &body).await;
    }
    let pins = [
        refused("", 400, "the body is not JSON"),
        refused("{\"index\":", 400, "the body is not JSON"),
        refused(*b"{\"title\":\"\xff\"}", 400, "the body is not JSON"),
        refused(brackets(), 422, "send one pin"),
        refused("7", 422, "send one pin"),
        refused(format!("{{\"title\":\"{}\"}}", "x".repeat(11 * MIB)), 413, "detail"),
    ];
    for body in &pins {
        check(&server, "POST /pin/", Some(JSON), body).await;
    }
    serves_on(&server).await;
    nothing_was_stored(&server).await;
}

/// Values that are JSON but no row, and a part of the reason.
fn json_poison() -> Vec<(Kind, String, &'static str)> {
    let pin = |value: &str, reason| (Kind::Pin, value.to_owned(), reason);
    let nines = "9".repeat(30);
    let wrapped = (0..4).fold(r#"{"index":1}"#.to_owned(), |text, _| Value::from(text).to_string());
    let mut all = vec![
        pin("[1,2]", "a JSON array, not an object"),
        pin("7", "a JSON number, not an object"),
        pin("true", "a JSON boolean, not an object"),
        pin("\"x\"", "not JSON"),
        pin("\"\"", "empty"),
        pin("{}", "key column ind is missing"),
        pin(r#"{"index":null}"#, "key column ind is missing"),
        pin(r#"{"index":1e400}"#, "index is '1e400', not a whole number"),
        pin(&format!(r#"{{"index":{nines}}}"#), "not a whole number"),
        pin(r#"{"index":9223372036854775808}"#, "not a whole number"),
        pin(r#"{"index":"seven"}"#, "index is 'seven', not a whole number"),
        pin(r#"{"index":1.5}"#, "not a whole number"),
        pin(r#"{"index":true}"#, "not a whole number"),
        pin(r#"{"index":[1]}"#, "index is nested, not a plain value"),
        pin(r#"{"index":1,"title":"\ud800"}"#, "not JSON"),
        pin(r#"{"index":1,"\ud800":1}"#, "not JSON"),
        pin(&wrapped, "wrapped more than 3 deep"),
        pin(&brackets(), "a JSON array, not an object"),
        pin(&format!("{}1{}", r#"{"a":"#.repeat(DEEP), "}".repeat(DEEP)), "key column ind is missing"),
        pin(&format!(r#"{{"index":1,"title":{}}}"#, brackets()), "not JSON: recursion limit exceeded"),
    ];
    let texts = ["unique_id", "title", "description", "poster_name", "tag_list", "is_image_or_video", "image_src", "category"];
    all.extend(texts.map(|field| (Kind::Pin, format!(r#"{{"index":1,"{field}":{{"a":1}}}}"#), "is nested, not a plain value")));
    for count in ["-5", "many", "1e3", " 5k", "9223372036854775807k", &nines] {
        let value = format!(r#"{{"index":1,"follower_count":"{count}"}}"#);
        all.push((Kind::Pin, value, "follower_count is not a number with an optional k, M or B"));
    }
    for time in ["\"yesterday\"", "5", "\"\"", "\"2020-13-01 00:00:00\"", "\"9999999-01-01 00:00:00\""] {
        all.push((Kind::Geo, format!(r#"{{"ind":1,"timestamp":{time}}}"#), "timestamp is not a date and time"));
        all.push((Kind::User, format!(r#"{{"ind":1,"date_joined":{time}}}"#), "date_joined is not a date and time"));
    }
    for place in ["\"north\"", "1e400", "\"NaN\"", "\"Infinity\"", "true"] {
        all.push((Kind::Geo, format!(r#"{{"ind":1,"latitude":{place}}}"#), "not a number"));
        all.push((Kind::Geo, format!(r#"{{"ind":1,"longitude":{place}}}"#), "not a number"));
    }
    all.push((Kind::Geo, r#"{"ind":1,"country":["x"]}"#.to_owned(), "country is nested"));
    for age in ["\"old\"", "1e400", "20.5"] {
        all.push((Kind::User, format!(r#"{{"ind":1,"age":{age}}}"#), "not a whole number"));
    }
    all.push((Kind::User, r#"{"ind":1,"first_name":{}}"#.to_owned(), "first_name is nested"));
    all
}

/// Bytes that only the binary format can bring.
fn binary_poison() -> Vec<(Vec<u8>, &'static str)> {
    let open = r#"{"a":"#.repeat(DEEP).into_bytes();
    let utf16 = br#"{"index":1}"#.iter().flat_map(|byte| [*byte, 0]).collect();
    vec![
        (b"".to_vec(), "empty"),
        (b" \n".to_vec(), "empty"),
        (b"\xff\x00\xfe".to_vec(), "not JSON"),
        (vec![0; 10], "not JSON"),
        (b"{\"index\":".to_vec(), "not JSON: EOF"),
        (b"{\"index\":1}{\"index\":2}".to_vec(), "not JSON: trailing characters"),
        (b"{\"index\":1} x".to_vec(), "not JSON: trailing characters"),
        (b"{\"index\":1,\"title\":\"\xff\xfe\"}".to_vec(), "not JSON"),
        (b"\xef\xbb\xbf{\"index\":1}".to_vec(), "not JSON"),
        (b"{'index':1}".to_vec(), "not JSON: key must be a string"),
        (b"{\"index\":NaN}".to_vec(), "not JSON"),
        (b"[".repeat(DEEP), "a JSON array, not an object"),
        (utf16, "not JSON"),
        (open, "not JSON: recursion limit exceeded"),
    ]
}

/// The quarantined records of a topic in the order of their offsets: reason and bytes in hexadecimal.
async fn quarantined(server: &Server, kind: Kind, topic: &str) -> Vec<Value> {
    let table = format!("quarantine.\"{}\"", kind.name());
    let sql = format!("SELECT _offset, reason, encode(raw, 'hex') FROM {table} WHERE _topic = '{topic}' ORDER BY _offset");
    server.rows(&sql).await
}

fn check_quarantined(rows: &[Value], poison: &[(&[u8], &str)]) {
    assert_eq!(rows.len(), poison.len(), "each record is in quarantine once");
    for (at, (row, (raw, says))) in rows.iter().zip(poison).enumerate() {
        let reason = row[1].as_str().unwrap();
        assert_eq!(row[0], at, "{}", shown(raw));
        assert!(reason.contains(says), "{}: the reason says '{says}': {reason}", shown(raw));
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(row[2] == hex, "{}: the bytes are kept: {}", shown(raw), shown(row[2].to_string().as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_row_is_in_quarantine_once_with_reason_and_bytes() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let poison = json_poison();
    for (kind, value, _) in &poison {
        let body = format!("{{\"records\":[{{\"value\":{value}}}]}}");
        post(&server, &format!("/topics/{}", kind.topic("hostile")), KAFKA_JSON, &body).await;
        let body = format!("{{\"Data\":{value},\"PartitionKey\":\"k\"}}");
        post(&server, &format!("/streams/{}/record", kind.stream("hostile")), JSON, &body).await;
    }
    server.post("/api/v1/flush", json!({})).await;
    for kind in Kind::ALL {
        let ours = poison.iter().filter(|(of, ..)| *of == kind).map(|(_, value, says)| (value.as_bytes(), *says));
        let ours: Vec<_> = ours.collect();
        for topic in [kind.topic("hostile"), kind.stream("hostile")] {
            check_quarantined(&quarantined(&server, kind, topic.as_str()).await, &ours);
        }
        let rows = server.rows(&format!("SELECT count(*) FROM \"{}\"", kind.name())).await;
        assert_eq!(rows, [json!([0])], "no poison became a row of {}", kind.name());
    }
    serves_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_json_are_in_quarantine_once_and_good_ones_beside_them_are_not() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let mut poison = binary_poison();
    let large = [b"\"", "x".repeat(10 * MIB).as_bytes(), b"\""].concat();
    post(&server, TOPIC, KAFKA_JSON, &format!("{{\"records\":[{{\"value\":{}}}]}}", shown_whole(&large))).await;
    poison.insert(0, (large, "not JSON"));
    let encoded: Vec<Value> = poison[1..].iter().map(|(raw, _)| json!({"value": base64(raw)})).collect();
    post(&server, TOPIC, KAFKA_BINARY, &json!({"records": encoded}).to_string()).await;
    // Strange, but rows: what is not declared is not looked at, a whole number may have a fraction of nothing.
    let odd = [
        format!(r#"{{"index":1,"other":{}}}"#, brackets()),
        r#"{"index":2.0,"other":1e400}"#.to_owned(),
        "\n{\"index\":3}\n".to_owned(),
        r#"{"index":-9223372036854775808}"#.to_owned(),
    ];
    let encoded: Vec<Value> = odd.iter().map(|row| json!({"value": base64(row.as_bytes())})).collect();
    post(&server, TOPIC, KAFKA_BINARY, &json!({"records": encoded}).to_string()).await;
    server.post("/api/v1/flush", json!({})).await;
    let expected: Vec<_> = poison.iter().map(|(raw, says)| (raw.as_slice(), *says)).collect();
    check_quarantined(&quarantined(&server, Kind::Pin, "hostile.pin").await, &expected);
    let rows = server.rows("SELECT ind FROM pin ORDER BY ind").await;
    assert_eq!(rows, [i64::MIN, 1, 2, 3].map(|ind| json!([ind])));
    serves_on(&server).await;
}

fn shown_whole(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().enumerate().map(|(at, byte)| u32::from(*byte) << (16 - 8 * at)).sum::<u32>();
        let digit = move |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
        let used = three.len() + 1;
        (0..4).map(move |at| if at < used { digit(at) } else { '=' })
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_of_the_api_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    serves_on(&server).await;
    let sql = |rest: &str| format!(r#"{{"sql":"SELECT 1"{rest}}}"#);
    let long = format!("SELECT '{}'", "x".repeat(MIB));
    let bodies = [
        refused("", 400, "missing field `sql`"),
        refused("{\"sql\":", 400, "the request body is not right"),
        refused(brackets(), 400, "the request body is not right"),
        refused(*b"{\"sql\":\"\xff\"}", 400, "the request body is not right"),
        refused(r#"{"sql":7}"#, 400, "expected a string"),
        refused(sql(r#","limit":0"#), 400, "'limit' takes 1 to 1000000, not 0"),
        refused(sql(r#","limit":-1"#), 400, "invalid value"),
        refused(sql(r#","limit":1e400"#), 400, "number out of range"),
        refused(sql(r#","format":"xml""#), 400, "unknown variant `xml`"),
        refused(sql(r#","x":1"#), 400, "unknown field `x`"),
        refused(json!({"sql": long}).to_string(), 413, "larger than 1048576 bytes"),
    ];
    for body in &bodies {
        check(&server, "POST /api/v1/sql", Some(JSON), body).await;
    }
    let calls = [
        ("POST", "topics/..%2f..%2fx", "{}", 400, NOT_LEGAL),
        ("POST", "topics/x", r#"{"partitions":0}"#, 400, "1 to 10000 partitions"),
        ("POST", "topics/x", r#"{"partitions":4000000000}"#, 400, "1 to 10000 partitions"),
        ("GET", "topics/good.pin/records?partition=-1", "", 400, "the parameters are not right"),
        ("GET", "topics/good.pin/records?offset=99999999999999999999", "", 400, "'offset' takes a number from 0"),
        ("GET", "topics/good.pin/records?offset=7", "", 400, "past the end"),
        ("GET", "quarantine/pin%22;--", "", 404, "there are pin, geo, user"),
        ("GET", "trace/good.pin/0/-1", "", 400, "offsets count from 0"),
        ("GET", "trace/good.pin/0/99999", "", 404, "was never written"),
        ("GET", "trace/a'b/0/0", "", 400, NOT_LEGAL),
        ("POST", "tables/..%2f..%2f/rebuild", "", 404, "does not exist"),
        ("GET", "questions/nobodys", "", 404, "does not exist"),
        ("GET", "../../etc/passwd", "", 404, "no such path"),
    ];
    for (method, path, body, status, says) in calls {
        check(&server, &format!("{method} /api/v1/{path}"), Some(JSON), &refused(body, status, says)).await;
    }
    assert_eq!(server.get("/api/v1/topics").await["topics"].as_array().unwrap().len(), 1, "no topic was made");
}
