//! Puts: where records go, how large they may be, and what is answered of each.

use super::*;
use crate::kinesis::layout::Layout;
use crate::kinesis::sequence::{Mark, SequenceNumber};
use crate::partitioner::hash_key;

fn entry(key: &str, data: usize) -> Value {
    Value::map([("PartitionKey", key.into()), ("Data", Bytes::from(vec![b'x'; data]).into())])
}

fn put_records(stream: &str, entries: Vec<Value>) -> [(&'static str, Value); 2] {
    [("StreamName", stream.into()), ("Records", entries.into())]
}

#[tokio::test]
async fn a_record_is_answered_with_its_place() {
    let world = World::new().await;
    world.create("s", 4).await;
    let members =
        [("StreamARN", arn("s").into()), ("PartitionKey", "key".into()), ("Data", Bytes::from_static(b"\0\xff").into())];
    let answer = world.json("PutRecord", members).await;
    let shard = Layout::even(4, 0).shard_of(hash_key(b"key"));
    assert_eq!(answer["ShardId"], crate::kinesis::sequence::shard_id(shard));
    assert_eq!(answer["EncryptionType"], "NONE");
    let number = SequenceNumber::parse(answer["SequenceNumber"].as_str().unwrap()).unwrap();
    assert_eq!(
        number,
        SequenceNumber { shard, created: NOW.0 / 1000, offset: pinlake_core::Offset(0), arrival: NOW, mark: Mark::Record }
    );
    let got = world.get(&world.iterator("s", shard, "TRIM_HORIZON").await).await;
    let record = &got.items("Records")[0];
    assert_eq!(record.text("SequenceNumber"), answer["SequenceNumber"].as_str(), "the same when it is read");
    assert_eq!((record.text("PartitionKey"), record.blob("Data")), (Some("key"), Some(&Bytes::from_static(b"\0\xff"))));
    assert_eq!((record.time("ApproximateArrivalTimestamp"), record.text("EncryptionType")), (Some(NOW), Some("NONE")));
}

#[tokio::test]
async fn a_hash_goes_before_the_key() {
    let world = World::new().await;
    world.create("s", 4).await;
    let put = |hash: &str| {
        [
            ("StreamName", "s".into()),
            ("PartitionKey", "key".into()),
            ("Data", Bytes::new().into()),
            ("ExplicitHashKey", hash.into()),
        ]
    };
    for (hash, shard) in [("0", 0), ("85070591730234615865843651857942052864", 1), (&*u128::MAX.to_string(), 3)] {
        let answer = world.json("PutRecord", put(hash)).await;
        assert_eq!(answer["ShardId"], crate::kinesis::sequence::shard_id(shard), "{hash}");
    }
    let over = "340282366920938463463374607431768211456";
    assert_eq!(
        world.refused("PutRecord", put(over)).await,
        format!(
            "InvalidArgumentException: Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {over}"
        )
    );
    let wrong = Value::map([("PartitionKey", "key".into()), ("Data", Bytes::new().into()), ("ExplicitHashKey", over.into())]);
    assert!(world.refused("PutRecords", put_records("s", vec![entry("k", 1), wrong])).await.contains(over));
    let entries = vec![
        entry("a", 1),
        Value::map([("PartitionKey", "a".into()), ("Data", Bytes::new().into()), ("ExplicitHashKey", "0".into())]),
    ];
    let answer = world.json("PutRecords", put_records("s", entries)).await;
    assert_eq!(answer["FailedRecordCount"], 0);
    let of_key = Layout::even(4, 0).shard_of(hash_key(b"a"));
    assert_eq!(answer["Records"][0]["ShardId"], crate::kinesis::sequence::shard_id(of_key));
    assert_eq!(answer["Records"][1]["ShardId"], "shardId-000000000000");
}

#[tokio::test]
async fn records_have_limits() {
    let world = World::new().await;
    world.create("s", 1).await;
    let mib = 1 << 20;
    world.json("PutRecords", put_records("s", vec![entry("k", mib - 1)])).await;
    assert_eq!(
        world.refused("PutRecords", put_records("s", vec![entry("k", 1), entry("k", mib)])).await,
        "ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048576 cap=1048576]' at \
         'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576"
    );
    let one = [("StreamName", "s".into()), ("PartitionKey", "k".into()), ("Data", Bytes::from(vec![0; mib]).into())];
    assert!(world.refused("PutRecord", one.clone()).await.contains("at 'data' failed"));
    let range = world.log.range(&topic("s").partition(0)).await.unwrap();
    assert_eq!(range.end.0, 1, "a malformed entry fails the whole call");
    world.json("UpdateMaxRecordSize", [("StreamARN", arn("s").into()), ("MaxRecordSizeInKiB", 10_240_i64.into())]).await;
    world.json("PutRecord", one).await;
    world.json("PutRecords", put_records("s", vec![entry("k", 10 * mib - 1)])).await;
    assert_eq!(
        world.refused("PutRecords", put_records("s", vec![entry("k", 9 * mib), entry("k", mib)])).await,
        "InvalidArgumentException: Records size exceeds 10 MB limit"
    );
}

#[tokio::test]
async fn numbers_to_be_ordered_behind() {
    let world = World::new().await;
    world.create("s", 1).await;
    let put = |number: &str| {
        let ordering = ("SequenceNumberForOrdering", number.into());
        [("StreamName", "s".into()), ("PartitionKey", "k".into()), ("Data", Bytes::new().into()), ordering]
    };
    let (_, first) = world.put("s", "k", "").await;
    let second = world.json("PutRecord", put(&first)).await["SequenceNumber"].as_str().unwrap().to_owned();
    assert!(first < second);
    assert_eq!(
        world.refused("PutRecord", put("5")).await,
        format!(
            "InvalidArgumentException: ExclusiveMinimumSequenceNumber 5 used in PutRecord on stream s under account {ACCOUNT} is invalid."
        )
    );
}

#[tokio::test]
async fn a_record_that_fails_is_told_and_the_others_are_stored() {
    let world = World::new().await;
    let spec = TopicSpec { batch_bytes_max: 1000, ..TopicSpec::with_partitions(2) };
    world.log.create_topic(&topic("s"), spec).await.unwrap();
    let keys = ["a", "b", "c", "d"];
    let shard = |key: &str| Layout::even(2, 0).shard_of(hash_key(key.as_bytes()));
    let large = keys.iter().find(|key| shard(key) == 0).unwrap();
    let small = keys.iter().find(|key| shard(key) == 1).unwrap();
    let answer = world.json("PutRecords", put_records("s", vec![entry(large, 2000), entry(small, 1)])).await;
    assert_eq!(answer["FailedRecordCount"], 1);
    assert_eq!(answer["Records"][0]["ErrorCode"], "InternalFailure");
    assert!(answer["Records"][0]["ErrorMessage"].as_str().unwrap().contains("over the topic's limit"));
    assert!(answer["Records"][0]["SequenceNumber"].is_null());
    assert_eq!(answer["Records"][1]["ShardId"], "shardId-000000000001");
}

#[tokio::test]
async fn puts_that_are_refused() {
    let world = World::new().await;
    let not_found = format!("ResourceNotFoundException: Stream auto under account {ACCOUNT} not found.");
    assert_eq!(
        world.refused("PutRecords", put_records("auto", vec![entry("k", 1)])).await,
        not_found,
        "no stream is made by a put"
    );
    world.create("s", 1).await;
    let [one, two] = put_records("s", vec![entry("k", 1)]);
    let dry = world.refused("PutRecords", [one, two, ("DryRun", true.into())]).await;
    assert_eq!(dry, "InvalidArgumentException: DryRun is not served: leave it out");
    let [one, two] = put_records("s", vec![entry("k", 1)]);
    world.json("PutRecords", [one, two, ("DryRun", false.into())]).await;
}

#[tokio::test]
async fn the_key_id_says_that_records_are_encrypted() {
    let world = World::new().await;
    world.create("s", 1).await;
    let key = ("KeyId", "alias/aws/kinesis".into());
    world.json("StartStreamEncryption", [("StreamName", "s".into()), ("EncryptionType", "KMS".into()), key]).await;
    let answer = world.json("PutRecords", put_records("s", vec![entry("k", 1)])).await;
    assert_eq!(answer["EncryptionType"], "KMS");
    let got = world.get(&world.iterator("s", 0, "TRIM_HORIZON").await).await;
    assert_eq!(got.items("Records")[0].text("EncryptionType"), Some("KMS"));
}

#[tokio::test]
async fn a_put_that_is_read_at_once_is_answered_as_all_are() {
    let entry = |key: &str, data: usize| json!({"PartitionKey": key, "Data": "A".repeat(data / 3 * 4)});
    let all = |stream: &str, entries: Vec<serde_json::Value>| ("PutRecords", json!({"StreamName": stream, "Records": entries}));
    let one = |data: usize| ("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": "A".repeat(data / 3 * 4)}));
    let mib = 1 << 20;
    let calls = [
        all("s", (0..100).map(|number| entry(&number.to_string(), 741)).collect()),
        one(30),
        one(mib - 1),
        one(mib),
        all("s", vec![entry("k", 9), entry("l", mib)]),
        all("s", vec![entry("k", mib - 3); 11]),
        all("none", vec![entry("k", 3)]),
        all(".", vec![entry("k", 3)]),
        all("closed", vec![entry("k", 3)]),
        all("s", (0..500).map(|number| entry(&number.to_string(), 3)).collect()),
        all("s", (0..500).map(|number| entry(&number.to_string(), 3)).collect()),
    ];
    let settings = KinesisSettings { transition: Duration::ZERO, shard_limits: true, ..KinesisSettings::default() };
    let worlds = [World::with(settings.clone()).await, World::with(settings).await];
    for world in &worlds {
        world.create("s", 1).await;
    }
    for (operation, body) in calls {
        let body = Bytes::from(body.to_string());
        let shown = |answer: Result<Vec<u8>, AwsError>| answer.map(|answer| String::from_utf8(answer).unwrap());
        let context = |world: &'_ World| Words::of(&world.settings, None);
        let [quick, usual] = &worlds;
        let put = crate::kinesis::plain::read(operation, &body).unwrap();
        let words = context(quick);
        let quick = Context { doors: &quick.doors, metrics: &quick.metrics, words, caller: None };
        let quickly = crate::kinesis::operations::records::put_plain(&quick, put).await;
        let input = crate::kinesis::MODEL.operation(operation).unwrap().read(crate::aws::read::json(&body).unwrap()).unwrap();
        let words = context(usual);
        let usual = Context { doors: &usual.doors, metrics: &usual.metrics, words, caller: None };
        let usually = serve(&usual, operation, &input).await.map(|answer| answer.to_json());
        assert_eq!(shown(quickly), shown(usually), "{operation}");
        worlds.iter().for_each(|world| world.clock.advance(Duration::from_millis(700)));
    }
}
