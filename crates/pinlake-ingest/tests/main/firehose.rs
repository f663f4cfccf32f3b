//! Firehose as a client sees it: every operation over HTTP, in JSON and in CBOR, on a log in memory and delivery streams that deliver nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use pinlake_core::secret::Secret;
use pinlake_core::{
    Batch, Error, Log, MemoryLog, Offset, OffsetRange, ReadLimit, Timestamp, TopicDescription, TopicName, TopicPartition,
    TopicSpec,
};
use pinlake_ingest::signing::{ALGORITHM, Canonical, Scope, sha256_hex, time_text};
use pinlake_ingest::testing::deliveries::MemoryDeliveryStreams;
use pinlake_ingest::{AccessKey, AccessMode, AccessSettings, DeliveryStreams, DoorSettings, Grant, KinesisSettings};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::faults::refusing_log;
use crate::setup::{NOW, doors, doors_with, groups, open, send, stored, streams};

const ACCOUNT: &str = "123456789012";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";
const SECRET: &str = "wJalrXUtnFEMI";
const DESTINATION: &str = "destinationId-000000000001";

/// A server whose delivery streams are in memory.
struct World {
    log: Arc<MemoryLog>,
    deliveries: Arc<MemoryDeliveryStreams>,
    router: Router,
}

impl World {
    fn new() -> Self {
        Self::with(DoorSettings::default())
    }

    fn with(settings: DoorSettings) -> Self {
        let (log, deliveries) = (Arc::new(MemoryLog::new()), Arc::new(MemoryDeliveryStreams::default()));
        let doors = doors_with(log.clone(), settings, groups(log.clone()), streams(log.clone()));
        let router = doors.with_delivery_streams(deliveries.clone()).router();
        Self { log, deliveries, router }
    }

    async fn call(&self, operation: &str, body: Value) -> Value {
        call(&self.router, operation, &body).await.unwrap_or_else(|told| panic!("{operation} {body}: {told}"))
    }

    /// Type and text of the error that answers a call.
    async fn refused(&self, operation: &str, body: Value) -> String {
        call(&self.router, operation, &body).await.unwrap_err()
    }

    async fn create(&self, name: &str) {
        self.call("CreateDeliveryStream", creation(name)).await;
    }

    async fn described(&self, name: &str) -> Value {
        self.call("DescribeDeliveryStream", json!({"DeliveryStreamName": name})).await["DeliveryStreamDescription"].clone()
    }

    /// What was put to a delivery stream, from an offset on.
    async fn read(&self, name: &str, from: Offset) -> Vec<Batch> {
        let (of, whole) = (topic(&format!("firehose.{name}")).partition(0), ReadLimit { bytes: usize::MAX });
        self.log.read(&of, from, whole, Duration::ZERO).await.unwrap()
    }

    fn kept(&self, name: &str) -> Value {
        serde_json::from_str(&self.deliveries.definition(name).unwrap()).unwrap()
    }
}

/// A server whose delivery streams are in memory, for tests of other things.
pub(crate) fn delivering() -> Router {
    World::new().router
}

/// Makes a delivery stream, or tries to.
pub(crate) async fn create(router: &Router, name: &str) {
    let _ = call(router, "CreateDeliveryStream", &creation(name)).await;
}

async fn call(router: &Router, operation: &str, body: &Value) -> Result<Value, String> {
    let target = if operation.contains('.') { operation.to_owned() } else { format!("Firehose_20150804.{operation}") };
    let request = Request::post("/").header("x-amz-target", target).header("content-type", "application/x-amz-json-1.1");
    let (status, _, answer) = send(router, request.body(Body::from(body.to_string())).unwrap()).await;
    let answer: Value = serde_json::from_str(if answer.is_empty() { "null" } else { &answer }).unwrap();
    if status == 200 {
        return Ok(answer);
    }
    Err(format!("{} {}: {}", status.as_u16(), answer["__type"].as_str().unwrap(), answer["message"].as_str().unwrap()))
}

/// Signs a request with the test's key.
fn sign(request: Request<String>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let time = time_text(NOW).unwrap();
    parts.headers.insert("x-amz-date", time.parse().unwrap());
    let names = ["content-type", "host", "x-amz-date", "x-amz-target"];
    let headers = names.map(|name| (name, parts.headers[name].to_str().unwrap().to_owned()));
    let (scope, payload) = (Scope { date: &time[..8], region: "us-east-1", service: "firehose" }, sha256_hex(body.as_bytes()));
    let signed_headers = names.join(";");
    let signed =
        Canonical { method: "POST", path: "/", query: "", headers: &headers, signed_headers: &signed_headers, payload: &payload };
    let signature = scope.sign(&Secret::new(SECRET), &signed.to_sign(&time, scope));
    let credential = format!("K/{}", scope.text());
    let value = format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers}, Signature={signature}");
    parts.headers.insert("authorization", value.parse().unwrap());
    Request::from_parts(parts, Body::from(body))
}

fn creation(name: &str) -> Value {
    json!({
        "DeliveryStreamName": name,
        "ExtendedS3DestinationConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"}
    })
}

fn from_kinesis(name: &str, stream: &str) -> Value {
    let mut body = creation(name);
    body["DeliveryStreamType"] = json!("KinesisStreamAsSource");
    body["KinesisStreamSourceConfiguration"] =
        json!({"KinesisStreamARN": format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{stream}"), "RoleARN": ROLE});
    body
}

fn update(name: &str, version: &str, change: &Value) -> Value {
    json!({
        "DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": version, "DestinationId": DESTINATION,
        "ExtendedS3DestinationUpdate": change
    })
}

fn put(name: &str, data: &str) -> Value {
    json!({"DeliveryStreamName": name, "Record": {"Data": data}})
}

fn batch(name: &str, data: &[&str]) -> Value {
    let records: Vec<Value> = data.iter().map(|data| json!({"Data": data})).collect();
    json!({"DeliveryStreamName": name, "Records": records})
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

#[tokio::test]
async fn a_delivery_stream_is_made_described_and_deleted() {
    let world = World::new();
    let mut body = creation("d");
    body["Tags"] = json!([{"Key": "b", "Value": "2"}, {"Key": "a"}]);
    let made = world.call("CreateDeliveryStream", body).await;
    assert_eq!(made, json!({"DeliveryStreamARN": format!("arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/d")}));
    let seconds = json!(NOW.0 as f64 / 1000.0);
    let described = world.described("d").await;
    for (member, expected) in [
        ("DeliveryStreamName", json!("d")),
        ("DeliveryStreamARN", made["DeliveryStreamARN"].clone()),
        ("DeliveryStreamStatus", json!("ACTIVE")),
        ("DeliveryStreamEncryptionConfiguration", json!({"Status": "DISABLED"})),
        ("DeliveryStreamType", json!("DirectPut")),
        ("VersionId", json!("1")),
        ("CreateTimestamp", seconds),
        ("LastUpdateTimestamp", Value::Null),
        ("FailureDescription", Value::Null),
        ("Source", Value::Null),
        ("HasMoreDestinations", json!(false)),
    ] {
        assert_eq!(described[member], expected, "{member}");
    }
    assert_eq!(described["Destinations"][0]["DestinationId"], DESTINATION);
    assert_eq!(described["Destinations"][0]["S3DestinationDescription"]["BufferingHints"]["SizeInMBs"], 5);
    let mut kept = world.kept("d");
    assert_eq!(kept["Destination"].take()["BucketARN"], "arn:aws:s3:::b");
    assert_eq!(
        kept,
        json!({
            "DeliveryStreamName": "d", "DeliveryStreamType": "DirectPut", "Topic": "firehose.d", "CreateTimestamp": NOW.0,
            "LastUpdateTimestamp": NOW.0, "DeliveryStartTimestamp": NOW.0, "VersionId": 1, "Destination": null,
            "Tags": [{"Key": "a"}, {"Key": "b", "Value": "2"}], "Encryption": {"Status": "DISABLED"}
        })
    );
    let spec = world.log.topic(&topic("firehose.d")).await.unwrap().spec;
    assert_eq!((spec.partitions, spec.retention_ms), (1, Some(24 * 3_600_000)));
    assert_eq!(
        world.refused("CreateDeliveryStream", creation("d")).await,
        format!("400 ResourceInUseException: Firehose d under accountId {ACCOUNT} already exists")
    );
    assert_eq!(world.call("DeleteDeliveryStream", json!({"DeliveryStreamName": "d", "AllowForceDelete": true})).await, json!({}));
    assert!(world.log.topic(&topic("firehose.d")).await.is_err());
    assert_eq!(world.deliveries.names(), Vec::<String>::new());
    for (operation, body) in [
        ("DescribeDeliveryStream", json!({"DeliveryStreamName": "d"})),
        ("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})),
        ("PutRecord", put("d", "")),
        ("PutRecordBatch", batch("d", &[""])),
        ("UpdateDestination", update("d", "1", &json!({}))),
        ("TagDeliveryStream", json!({"DeliveryStreamName": "d", "Tags": [{"Key": "k"}]})),
        ("UntagDeliveryStream", json!({"DeliveryStreamName": "d", "TagKeys": ["k"]})),
        ("ListTagsForDeliveryStream", json!({"DeliveryStreamName": "d"})),
        ("StartDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})),
        ("StopDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})),
    ] {
        let expected = format!("400 ResourceNotFoundException: Firehose d under account {ACCOUNT} not found.");
        assert_eq!(world.refused(operation, body).await, expected, "{operation}");
    }
}

#[tokio::test]
async fn records_are_stored_as_they_are() {
    let world = World::new();
    world.create("d").await;
    let one = world.call("PutRecord", put("d", "YQo=")).await;
    let many = world.call("PutRecordBatch", batch("d", &["Yg==", "", "Y2M="])).await;
    assert_eq!((&many["FailedPutCount"], &many["Encrypted"], &one["Encrypted"]), (&json!(0), &json!(false), &json!(false)));
    let told = many["RequestResponses"].as_array().unwrap();
    let mut ids: Vec<&str> = told.iter().chain([&one]).map(|told| told["RecordId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "no two records have one id");
    assert_eq!(stored(&*world.log).await, ["firehose.d/0 - a\n", "firehose.d/0 - b", "firehose.d/0 - ", "firehose.d/0 - cc"]);
    assert_eq!(world.read("d", Offset(1)).await.len(), 1, "a call is one append");
}

#[tokio::test]
async fn records_have_limits() {
    let world = World::new();
    world.create("d").await;
    let data = |bytes: usize| STANDARD.encode(vec![b'x'; bytes]);
    let (most, more) = (data(1_024_000), data(1_024_001));
    world.call("PutRecord", put("d", &most)).await;
    let too_long = |field: &str| {
        format!(
            "400 ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1024001 cap=1024001]' at \
             '{field}' failed to satisfy constraint: Member must have length less than or equal to 1024000"
        )
    };
    assert_eq!(world.refused("PutRecord", put("d", &more)).await, too_long("record.data"));
    assert_eq!(world.refused("PutRecordBatch", batch("d", &["", &more])).await, too_long("records.2.member.data"));
    let told = world.refused("PutRecordBatch", batch("d", &[""; 501])).await;
    assert!(told.ends_with("at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"));
    let rest = data((4 << 20) - 4 * 1_024_000);
    let full = [most.as_str(), &most, &most, &most, &rest];
    world.call("PutRecordBatch", batch("d", &full)).await;
    let over = [most.as_str(), &most, &most, &most, &rest, "eA=="];
    assert_eq!(
        world.refused("PutRecordBatch", batch("d", &over)).await,
        "400 InvalidArgumentException: Records size exceeds 4 MB limit"
    );
    assert_eq!(stored(&*world.log).await.len(), 6, "what is refused is refused as a whole");
    world.call("PutRecordBatch", batch("d", &["eA=="; 500])).await;
}

#[tokio::test]
async fn a_topic_that_somebody_deleted_is_made_again() {
    let world = World::new();
    world.create("d").await;
    world.log.delete_topic(&topic("firehose.d")).await.unwrap();
    world.call("PutRecord", put("d", "YQ==")).await;
    assert_eq!(stored(&*world.log).await, ["firehose.d/0 - a"]);
}

#[tokio::test]
async fn a_topic_of_somebody_else_is_neither_read_nor_deleted() {
    let world = World::new();
    let theirs = "400 ResourceInUseException: Topic firehose.d is there and is not this delivery stream's: choose another name, or delete the topic first";
    world.call("Kinesis_20131202.CreateStream", json!({"StreamName": "firehose.d", "ShardCount": 1})).await;
    assert_eq!(world.refused("CreateDeliveryStream", creation("d")).await, theirs, "a stream without records too");
    world.create("e").await;
    world.call("PutRecord", put("e", "YQ==")).await;
    // As if the server died between forgetting a delivery stream and deleting its topic.
    world.deliveries.delete("e").await.unwrap();
    assert_eq!(world.refused("CreateDeliveryStream", creation("e")).await, theirs.replace("firehose.d", "firehose.e"));
    assert_eq!(stored(&*world.log).await, ["firehose.e/0 - a"]);
    world.log.create_topic(&topic("firehose.f"), TopicSpec::with_partitions(1)).await.unwrap();
    world.create("f").await;
}

/// A log whose topics are not deleted while somebody holds them.
struct Held {
    inner: MemoryLog,
    is_held: AtomicBool,
}

#[async_trait]
impl Log for Held {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<(), Error> {
        self.inner.create_topic(topic, spec).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>, Error> {
        self.inner.topics().await
    }
    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription, Error> {
        self.inner.topic(topic).await
    }
    async fn delete_topic(&self, topic: &TopicName) -> Result<(), Error> {
        if self.is_held.load(Ordering::Relaxed) {
            return Err(Error::conflict("table 'pin' has not taken it yet"));
        }
        self.inner.delete_topic(topic).await
    }
    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange, Error> {
        self.inner.append(to, batch).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>, Error> {
        self.inner.read(from, at, max, wait).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange, Error> {
        self.inner.range(of).await
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset, Error> {
        self.inner.offset_at(of, time).await
    }
}

#[tokio::test]
async fn a_reset_deletes_delivery_streams() {
    let world = World::with(DoorSettings { allow_reset: true, ..DoorSettings::default() });
    for name in ["d", "e"] {
        world.create(name).await;
    }
    let reset = Request::post("/moto-api/reset").body(Body::empty()).unwrap();
    assert_eq!(send(&world.router, reset).await.0, 200);
    assert_eq!(world.deliveries.names(), Vec::<String>::new());
    assert!(world.log.topic(&topic("firehose.d")).await.is_err());
    world.create("d").await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_followed_goes_later() {
    let log = Arc::new(Held { inner: MemoryLog::new(), is_held: AtomicBool::new(true) });
    let router = doors(log.clone(), DoorSettings::default());
    let router = router.with_delivery_streams(Arc::new(MemoryDeliveryStreams::default())).router();
    let name = json!({"DeliveryStreamName": "d"});
    call(&router, "CreateDeliveryStream", &creation("d")).await.unwrap();
    call(&router, "DeleteDeliveryStream", &name).await.unwrap();
    let told = call(&router, "DescribeDeliveryStream", &name).await.unwrap_err();
    assert!(told.starts_with("400 ResourceNotFoundException"), "{told}");
    assert_eq!(
        call(&router, "CreateDeliveryStream", &creation("d")).await.unwrap_err(),
        "400 ResourceInUseException: The hose d is currently being deleted. Please retry after some time",
        "the next one would begin with the records of this one"
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(log.topic(&topic("firehose.d")).await.is_ok());
    log.is_held.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(log.topic(&topic("firehose.d")).await.is_err());
    call(&router, "CreateDeliveryStream", &creation("d")).await.unwrap();
}

#[tokio::test]
async fn a_log_that_takes_nothing_is_told_record_by_record() {
    for (error, expected) in [
        (Error::retry("the disk is full"), ("ServiceUnavailableException", "Slow down.")),
        (Error::internal("broken"), ("InternalFailure", "broken")),
    ] {
        let log = refusing_log(0, error);
        let deliveries = Arc::new(MemoryDeliveryStreams::default());
        let router = doors(log, DoorSettings::default()).with_delivery_streams(deliveries).router();
        call(&router, "CreateDeliveryStream", &creation("d")).await.unwrap();
        let answer = call(&router, "PutRecordBatch", &batch("d", &["YQ==", "Yg=="])).await.unwrap();
        let failed = json!({"ErrorCode": expected.0, "ErrorMessage": expected.1});
        assert_eq!((&answer["FailedPutCount"], &answer["RequestResponses"]), (&json!(2), &json!([failed, failed])));
        let told = call(&router, "PutRecord", &put("d", "YQ==")).await.unwrap_err();
        let status = if expected.0 == "InternalFailure" { 500 } else { 503 };
        assert_eq!(told, format!("{status} {}: {}", expected.0, expected.1));
    }
}

#[tokio::test]
async fn destinations_change_by_version() {
    let world = World::new();
    world.create("d").await;
    assert_eq!(world.call("UpdateDestination", update("d", "1", &json!({"Prefix": "p/"}))).await, json!({}));
    let described = world.described("d").await;
    assert_eq!((&described["VersionId"], &world.kept("d")["VersionId"]), (&json!("2"), &json!(2)));
    assert_eq!(described["Destinations"][0]["ExtendedS3DestinationDescription"]["Prefix"], "p/");
    assert_eq!(
        world.refused("UpdateDestination", update("d", "1", &json!({}))).await,
        "400 ConcurrentModificationException: Cannot update firehose: d since the current version id: 2 and specified version id: 1 \
         do not match"
    );
    let mut other = update("d", "2", &json!({}));
    other["DestinationId"] = json!("destinationId-2");
    assert_eq!(
        world.refused("UpdateDestination", other).await,
        "400 InvalidArgumentException: Destination Id destinationId-2 not found"
    );
    let told = world.refused("UpdateDestination", update("d", "2", &json!({"Prefix": "!{timestamp:yyyy}"}))).await;
    assert!(told.starts_with("400 InvalidArgumentException: Ths supplied prefix(es)"), "{told}");
    world.call("UpdateDestination", update("d", "2", &json!({}))).await;
    assert_eq!(world.kept("d")["VersionId"], 3, "an update that changes nothing is one too");
}

#[tokio::test]
async fn of_updates_at_once_one_is_done() {
    let world = World::new();
    world.create("d").await;
    let calls = (0..20).map(|at| {
        let (router, change) = (world.router.clone(), update("d", "1", &json!({"Prefix": format!("{at}/")})));
        async move { call(&router, "UpdateDestination", &change).await }
    });
    let done = futures::future::join_all(calls).await;
    assert_eq!(done.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(world.kept("d")["VersionId"], 2);
}

#[tokio::test]
async fn a_kinesis_stream_is_read_and_not_put_to() {
    let world = World::new();
    assert_eq!(
        world.refused("CreateDeliveryStream", from_kinesis("d", "s")).await,
        format!("400 ResourceNotFoundException: Stream s under account {ACCOUNT} not found.")
    );
    world.log.create_topic(&topic("s"), TopicSpec::with_partitions(2)).await.unwrap();
    world.call("CreateDeliveryStream", from_kinesis("d", "s")).await;
    let source = world.described("d").await["Source"]["KinesisStreamSourceDescription"].clone();
    let expected = json!({
        "KinesisStreamARN": format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"), "RoleARN": ROLE,
        "DeliveryStartTimestamp": NOW.0 as f64 / 1000.0
    });
    assert_eq!((source, &world.kept("d")["Topic"]), (expected, &json!("s")));
    let refusal = "400 InvalidArgumentException: This operation is not permitted on KinesisStreamAsSource delivery stream type.";
    assert_eq!(world.refused("PutRecord", put("d", "")).await, refusal);
    assert_eq!(world.refused("PutRecordBatch", batch("d", &[""])).await, refusal);
    let told = world.refused("StartDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await;
    assert!(told.contains("has the encryption of its stream"), "{told}");
    world.call("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    assert!(world.log.topic(&topic("s")).await.is_ok(), "the stream stays");
    assert!(world.log.topic(&topic("firehose.d")).await.is_err());
}

#[tokio::test]
async fn other_sources_are_refused() {
    let world = World::new();
    for kind in ["MSKAsSource", "DatabaseAsSource"] {
        let mut body = creation("d");
        body["DeliveryStreamType"] = json!(kind);
        let told = world.refused("CreateDeliveryStream", body).await;
        let expected = "is not served: there are DirectPut and KinesisStreamAsSource";
        assert_eq!(told, format!("400 InvalidArgumentException: DeliveryStreamType {kind} {expected}"));
    }
    let mut body = from_kinesis("d", "s");
    body["DeliveryStreamType"] = json!("DirectPut");
    assert!(world.refused("CreateDeliveryStream", body).await.contains("is not for a delivery stream of type DirectPut"));
    let mut body = creation("d");
    body["DeliveryStreamType"] = json!("KinesisStreamAsSource");
    assert!(world.refused("CreateDeliveryStream", body).await.contains("KinesisStreamSourceConfiguration must be given"));
    let mut body = creation("d");
    body["DirectPutSourceConfiguration"] = json!({"ThroughputHintInMBs": 7});
    world.call("CreateDeliveryStream", body).await;
    assert_eq!(world.described("d").await["Source"]["DirectPutSourceDescription"]["ThroughputHintInMBs"], 7);
}

#[tokio::test]
async fn names_are_listed_in_pages() {
    let world = World::new();
    world.log.create_topic(&topic("s"), TopicSpec::with_partitions(1)).await.unwrap();
    for at in 0..11 {
        world.create(&format!("d{at:02}")).await;
    }
    world.call("CreateDeliveryStream", from_kinesis("k", "s")).await;
    let list = async |body: Value| {
        let answer = world.call("ListDeliveryStreams", body).await;
        let names: Vec<String> = serde_json::from_value(answer["DeliveryStreamNames"].clone()).unwrap();
        (names.len(), names.last().cloned().unwrap_or_default(), answer["HasMoreDeliveryStreams"].as_bool().unwrap())
    };
    assert_eq!(list(json!({})).await, (10, "d09".to_owned(), true));
    assert_eq!(list(json!({"ExclusiveStartDeliveryStreamName": "d09"})).await, (2, "k".to_owned(), false));
    assert_eq!(list(json!({"Limit": 3, "ExclusiveStartDeliveryStreamName": "a"})).await, (3, "d02".to_owned(), true));
    assert_eq!(list(json!({"DeliveryStreamType": "KinesisStreamAsSource"})).await, (1, "k".to_owned(), false));
    assert_eq!(list(json!({"DeliveryStreamType": "DirectPut", "Limit": 11})).await, (11, "d10".to_owned(), false));
}

#[tokio::test]
async fn tags_are_added_removed_and_listed() {
    let world = World::new();
    world.create("d").await;
    let tags: Vec<Value> = (0..50).map(|at| json!({"Key": format!("k{at:02}"), "Value": "v"})).collect();
    world.call("TagDeliveryStream", json!({"DeliveryStreamName": "d", "Tags": tags})).await;
    world.call("TagDeliveryStream", json!({"DeliveryStreamName": "d", "Tags": [{"Key": "k00", "Value": "w"}]})).await;
    assert_eq!(
        world.refused("TagDeliveryStream", json!({"DeliveryStreamName": "d", "Tags": [{"Key": "more"}]})).await,
        "400 LimitExceededException: Firehose d would have more than 50 tags: remove some first"
    );
    world.call("UntagDeliveryStream", json!({"DeliveryStreamName": "d", "TagKeys": ["k01", "none"]})).await;
    let page = world.call("ListTagsForDeliveryStream", json!({"DeliveryStreamName": "d", "Limit": 2})).await;
    let expected = json!({"Tags": [{"Key": "k00", "Value": "w"}, {"Key": "k02", "Value": "v"}], "HasMoreTags": true});
    assert_eq!(page, expected);
    let body = json!({"DeliveryStreamName": "d", "ExclusiveStartTagKey": "k48"});
    let rest = world.call("ListTagsForDeliveryStream", body).await;
    assert_eq!(rest, json!({"Tags": [{"Key": "k49", "Value": "v"}], "HasMoreTags": false}));
    assert_eq!(world.kept("d")["VersionId"], 1, "tags make no version");
}

#[tokio::test]
async fn encryption_is_kept_and_shown() {
    let world = World::new();
    let key = "arn:aws:kms:us-east-1:123456789012:key/k";
    let given = |kind: &str, key: Value| json!({"KeyType": kind, "KeyARN": key});
    let mut body = creation("d");
    body["DeliveryStreamEncryptionConfigurationInput"] = given("CUSTOMER_MANAGED_CMK", json!(key));
    world.call("CreateDeliveryStream", body).await;
    let shown = async || world.described("d").await["DeliveryStreamEncryptionConfiguration"].clone();
    assert_eq!(shown().await, json!({"KeyARN": key, "KeyType": "CUSTOMER_MANAGED_CMK", "Status": "ENABLED"}));
    assert_eq!(world.call("PutRecord", put("d", "")).await["Encrypted"], true);
    world.call("StartDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await;
    assert_eq!(shown().await, json!({"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}));
    for _ in 0..2 {
        world.call("StopDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await;
        assert_eq!(shown().await, json!({"Status": "DISABLED"}));
    }
    for (kind, key) in [("CUSTOMER_MANAGED_CMK", Value::Null), ("AWS_OWNED_CMK", json!(key))] {
        let body = json!({"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": given(kind, key)});
        let told = world.refused("StartDeliveryStreamEncryption", body).await;
        assert!(told.starts_with("400 InvalidArgumentException: KeyARN must "), "{told}");
    }
    assert_eq!(world.kept("d")["VersionId"], 1);
}

#[tokio::test]
async fn whoever_delivers_may_refuse() {
    let world = World::new();
    world.deliveries.refuse(Some(Error::invalid("bucket 'b' does not answer")));
    assert_eq!(
        world.refused("CreateDeliveryStream", creation("d")).await,
        "400 InvalidArgumentException: bucket 'b' does not answer"
    );
    world.deliveries.refuse(None);
    world.create("d").await;
    world.deliveries.refuse(Some(Error::retry("not now")));
    assert_eq!(
        world.refused("UpdateDestination", update("d", "1", &json!({"Prefix": "p"}))).await,
        "503 ServiceUnavailableException: not now"
    );
    assert_eq!(
        world.refused("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})).await,
        "503 ServiceUnavailableException: not now"
    );
    world.call("PutRecord", put("d", "")).await;
    world.deliveries.refuse(None);
    world.create("stuck").await;
    let expected = json!({"Type": "UNKNOWN_ERROR", "Details": "the bucket does not answer"});
    assert_eq!(world.described("stuck").await["FailureDescription"], expected);
}

#[tokio::test]
async fn there_are_as_many_as_may_be() {
    let world = World::new();
    for at in 0..200 {
        world.create(&format!("d{at}")).await;
    }
    let told = world.refused("CreateDeliveryStream", creation("more")).await;
    let expected =
        "400 LimitExceededException: You have already consumed your firehose quota of 200 hoses. Firehose names: [d0, d1, ";
    assert!(told.starts_with(expected), "{told}");
    let mut large = creation("d0");
    let query = json!({"ParameterName": "Delimiter", "ParameterValue": "x".repeat(5000)});
    let processor = json!({"Type": "AppendDelimiterToRecord", "Parameters": vec![query; 60]});
    large["ExtendedS3DestinationConfiguration"]["ProcessingConfiguration"] = json!({"Enabled": true, "Processors": [processor]});
    let told = world.refused("CreateDeliveryStream", large).await;
    assert!(told.contains("and may take 262144: leave processors or parameters out"), "{told}");
}

#[tokio::test]
async fn a_server_that_delivers_nothing_has_none() {
    let (_, router) = open(DoorSettings::default());
    assert_eq!(
        call(&router, "CreateDeliveryStream", &creation("d")).await.unwrap_err(),
        "400 InvalidArgumentException: this server delivers nothing, and so takes no delivery streams"
    );
    let none = json!({"DeliveryStreamNames": [], "HasMoreDeliveryStreams": false});
    assert_eq!(call(&router, "ListDeliveryStreams", &json!({})).await.unwrap(), none);
    let told = call(&router, "PutRecord", &put("d", "")).await.unwrap_err();
    assert!(told.starts_with("400 ResourceNotFoundException"), "{told}");
}

#[tokio::test]
async fn cbor_holds_the_same() {
    let world = World::new();
    world.create("d").await;
    let send = async |operation: &str, body: &'static [u8]| {
        let request = Request::post("/")
            .header("x-amz-target", format!("Firehose_20150804.{operation}"))
            .header("content-type", "application/x-amz-cbor-1.1")
            .body(Body::from(body));
        let response = world.router.clone().oneshot(request.unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    let (status, answer) = send("PutRecord", b"\xa2\x72DeliveryStreamName\x61d\x66Record\xa1\x64Data\x43\x00\xffa").await;
    assert!(status == 200 && answer.starts_with(b"\xa2\x68RecordId\x78\x28") && answer.ends_with(b"\x69Encrypted\xf4"));
    let batches = world.read("d", Offset::ZERO).await;
    let record = batches[0].records().next().unwrap().unwrap();
    assert_eq!((record.key, record.value), (None, Some(&b"\0\xffa"[..])));
    let (status, answer) = send("DescribeDeliveryStream", b"\xa1\x72DeliveryStreamName\x61d").await;
    let time = [&b"\x6fCreateTimestamp\xc1\x1b"[..], &NOW.0.to_be_bytes()].concat();
    assert!(status == 200 && answer.windows(time.len()).any(|found| found == time), "times are milliseconds under tag 1");
    let (status, answer) = send("PutRecord", b"\xa2\x72DeliveryStreamName\x61x\x66Record\xa1\x64Data\x40").await;
    assert!(status == 400 && answer.starts_with(b"\xa2\x66__type\x78\x19ResourceNotFoundException\x67message"));
}

#[tokio::test]
async fn keys_allow_actions_on_delivery_streams() {
    let grant = |actions: &[&str], streams: &[&str]| Grant {
        actions: actions.iter().map(|text| (*text).to_owned()).collect(),
        streams: streams.iter().map(|text| (*text).to_owned()).collect(),
    };
    let key = AccessKey {
        id: "K".to_owned(),
        secret: Secret::new(SECRET),
        session_token: None,
        expires: None,
        allow: vec![grant(&["firehose:*"], &["d"]), grant(&["kinesis:GetRecords"], &["mine"]), grant(&["List*"], &["*"])],
    };
    let access = AccessSettings { mode: AccessMode::Signed, keys: vec![key] };
    let world = World::with(DoorSettings {
        kinesis: KinesisSettings { access, ..KinesisSettings::default() },
        ..DoorSettings::default()
    });
    for stream in ["mine", "theirs"] {
        world.log.create_topic(&topic(stream), TopicSpec::with_partitions(1)).await.unwrap();
    }
    let signed = async |operation: &str, body: Value| {
        let request = Request::post("/")
            .header("host", "localhost")
            .header("x-amz-target", format!("Firehose_20150804.{operation}"))
            .header("content-type", "application/x-amz-json-1.1");
        let request = request.body(body.to_string()).unwrap();
        let (status, _, answer) = send(&world.router, sign(request)).await;
        (status.as_u16(), answer)
    };
    let denied = |action: &str, resource: &str| {
        let text = format!(
            "User: arn:aws:iam::{ACCOUNT}:user/K is not authorized to perform: {action} on resource: {resource} because no identity-based \
             policy allows the {action} action"
        );
        (400, json!({"__type": "AccessDeniedException", "message": text}).to_string())
    };
    assert_eq!(signed("CreateDeliveryStream", creation("d")).await.0, 200);
    assert_eq!(signed("PutRecord", put("d", "")).await.0, 200);
    assert_eq!(signed("ListDeliveryStreams", json!({})).await.0, 200);
    let other = format!("arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/e");
    assert_eq!(signed("PutRecord", put("e", "")).await, denied("firehose:PutRecord", &other));
    let theirs = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/theirs");
    signed("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    let told = signed("CreateDeliveryStream", from_kinesis("d", "theirs")).await;
    assert_eq!(told, denied("kinesis:GetRecords", &theirs), "nobody has copied what they may not read");
    assert_eq!(signed("CreateDeliveryStream", from_kinesis("d", "mine")).await.0, 200);
}
