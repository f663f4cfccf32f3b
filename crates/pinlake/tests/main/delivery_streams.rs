//! Firehose on a real server: what is put to a delivery stream is in its bucket, each record once, under the documented names.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::server::Server;

const ROLE: &str = "arn:aws:iam::123456789012:role/firehose";
/// How long a delivery may take for what takes seconds.
const WAIT: Duration = Duration::from_secs(60);
/// Bytes of the UUID at the end of a name.
const UUID_LEN: usize = 36;

/// Calls Firehose; the answer's status and JSON.
async fn call(server: &Server, operation: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(&server.url).header("x-amz-target", format!("Firehose_20150804.{operation}"));
    let request = request.header("content-type", "application/x-amz-json-1.1").body(body.to_string());
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// The same for a call that succeeds.
async fn done(server: &Server, operation: &str, body: &Value) -> Value {
    let (status, answer) = call(server, operation, body).await;
    assert_eq!(status, 200, "{operation} {body}: {answer}");
    answer
}

async fn create(server: &Server, name: &str, destination: &Value, tags: &Value) {
    let mut whole = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::bucket",
        "BufferingHints": { "SizeInMBs": 1, "IntervalInSeconds": 0 },
    });
    whole.as_object_mut().unwrap().extend(destination.as_object().unwrap().clone());
    let body = json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": whole, "Tags": tags });
    done(server, "CreateDeliveryStream", &body).await;
}

async fn put(server: &Server, name: &str, records: &[String]) {
    for records in records.chunks(500) {
        let records: Vec<Value> = records.iter().map(|record| json!({ "Data": BASE64_STANDARD.encode(record) })).collect();
        let answer = done(server, "PutRecordBatch", &json!({ "DeliveryStreamName": name, "Records": records })).await;
        assert_eq!(answer["FailedPutCount"], 0, "{answer}");
    }
}

/// All objects of the bucket: their names and contents.
fn objects(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let root = data.join("buckets/bucket");
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        // There is none before the first object.
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            // A local store writes beside the name, which has a '#' then.
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains('#') {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Waits until the objects are as wanted.
async fn until(
    server: &Server,
    data: &Path,
    name: &str,
    is_wanted: impl Fn(&BTreeMap<String, Vec<u8>>) -> bool,
) -> BTreeMap<String, Vec<u8>> {
    let looked = async {
        let mut turns = tokio::time::interval(Duration::from_millis(50));
        loop {
            turns.tick().await;
            let found = objects(data);
            if is_wanted(&found) {
                return found;
            }
        }
    };
    match tokio::time::timeout(WAIT, looked).await {
        Ok(found) => found,
        Err(_) => panic!("{:?}, {}", objects(data).keys(), described(server, name).await),
    }
}

async fn described(server: &Server, name: &str) -> Value {
    done(server, "DescribeDeliveryStream", &json!({ "DeliveryStreamName": name })).await["DeliveryStreamDescription"].clone()
}

/// All lines of all objects, sorted.
fn lines(objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut lines: Vec<String> = objects
        .values()
        .flat_map(|content| String::from_utf8(content.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}

fn records(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("record {number:05}")).collect()
}

/// Whether a name is `raw/YYYY/MM/dd/HH/orders-VERSION-YYYY-MM-DD-HH-MM-SS-UUID`.
fn is_documented(name: &str, version: u32) -> bool {
    let (rest, uuid) = name.split_at(name.len() - UUID_LEN);
    let digits_as = |text: &str, form: &str| {
        let is_as = |(c, wanted): (char, char)| if wanted == '0' { c.is_ascii_digit() } else { c == wanted };
        text.len() == form.len() && text.chars().zip(form.chars()).all(is_as)
    };
    let is_uuid =
        uuid.chars().enumerate().all(|(at, c)| if [8, 13, 18, 23].contains(&at) { c == '-' } else { c.is_ascii_hexdigit() });
    // No digit of the form's own may be a 0.
    digits_as(rest, &format!("raw/0000/00/00/00/orders-{version}-0000-00-00-00-00-00-")) && is_uuid
}

#[tokio::test]
async fn records_are_delivered_once_under_the_documented_names_also_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, "127.0.0.1:0").await;
    create(&server, "orders", &json!({ "Prefix": "raw/" }), &json!([])).await;
    put(&server, "orders", &records(0..1_200)).await;
    let found = until(&server, data, "orders", |found| lines(found).len() >= 1_200).await;
    assert_eq!(lines(&found), records(0..1_200));
    assert!(found.keys().all(|name| is_documented(name, 1)), "{:?}", found.keys());
    assert!(found.values().all(|content| content.ends_with(b"\n")));

    let update = json!({
        "DeliveryStreamName": "orders",
        "CurrentDeliveryStreamVersionId": "1",
        "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": { "BufferingHints": { "SizeInMBs": 2, "IntervalInSeconds": 0 } },
    });
    done(&server, "UpdateDestination", &update).await;
    assert_eq!(described(&server, "orders").await["VersionId"], "2");
    assert_eq!(call(&server, "UpdateDestination", &update).await.1["__type"], "ConcurrentModificationException");

    let (mut server, mut end) = (server, 1_200);
    for _ in 0..3 {
        put(&server, "orders", &records(end..end + 700)).await;
        assert!(server.kill().await);
        server = Server::start(data, "127.0.0.1:0").await;
        put(&server, "orders", &records(end + 700..end + 800)).await;
        end += 800;
    }
    let found = until(&server, data, "orders", |found| lines(found).len() >= end as usize).await;
    assert_eq!(lines(&found), records(0..end));
    assert!(found.keys().all(|name| is_documented(name, 1) || is_documented(name, 2)), "{:?}", found.keys());
    assert!(found.keys().any(|name| is_documented(name, 2)));

    done(&server, "DeleteDeliveryStream", &json!({ "DeliveryStreamName": "orders" })).await;
    assert_eq!(call(&server, "DescribeDeliveryStream", &json!({ "DeliveryStreamName": "orders" })).await.0, 400);
    assert_eq!(objects(data), found, "what is delivered stays");
    // The topic in which the server keeps them is its own.
    let topics = server.get("/topics").await;
    assert!(topics.as_array().unwrap().iter().all(|topic| topic != "__deliveries"), "{topics}");
}

#[tokio::test]
async fn exact_adds_no_byte_and_what_cant_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, "127.0.0.1:0").await;
    let tags = json!([{ "Key": "pinlake:delimiter", "Value": "exact" }]);
    create(&server, "exact", &json!({}), &tags).await;
    put(&server, "exact", &["a".to_owned(), "b\n".to_owned(), "c".to_owned()]).await;
    let whole = |found: &BTreeMap<String, Vec<u8>>| found.values().flatten().copied().collect::<Vec<u8>>();
    let found = until(&server, data, "exact", |found| whole(found).len() >= 4).await;
    assert_eq!(whole(&found), b"ab\nc");

    let destination = json!({ "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", "Prefix": "a//b" });
    let body = json!({ "DeliveryStreamName": "wrong", "ExtendedS3DestinationConfiguration": destination });
    let (status, answer) = call(&server, "CreateDeliveryStream", &body).await;
    assert_eq!((status, answer["__type"].as_str()), (400, Some("InvalidArgumentException")), "{answer}");
    assert!(answer["message"].as_str().unwrap().starts_with("Prefix can't be used"), "{answer}");
}

#[tokio::test]
async fn a_table_takes_what_is_put_to_a_delivery_stream_whose_topic_it_follows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, "127.0.0.1:0").await;
    create(&server, "shop.pin", &json!({}), &json!([])).await;
    let post = |index: u32| {
        json!({
            "index": index, "unique_id": format!("id-{index}"), "title": "t", "description": "d", "poster_name": "p",
            "follower_count": "1k", "tag_list": "a,b", "is_image_or_video": "image", "image_src": "s", "downloaded": 1,
            "save_location": "Local save in /data/x", "category": "art",
        })
    };
    put(&server, "shop.pin", &(0..3).map(|index| post(index).to_string()).collect::<Vec<_>>()).await;
    let rows = server.rows("SELECT count(*) AS posts FROM pin").await;
    assert_eq!(rows, [json!({ "posts": 3 })]);
    let found = until(&server, data, "shop.pin", |found| lines(found).len() >= 3).await;
    assert_eq!(lines(&found).len(), 3, "and it is delivered too");
}
