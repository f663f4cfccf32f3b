//! Reading and writing through reshards: every record once and in order, and what a death in the middle leaves is finished.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pinlake_core::{Batch, BatchBuilder, Error, Offset, OffsetRange, ReadLimit, Result, TopicDescription, TopicPartition};

use super::*;
use crate::kinesis::layout::Layout;
use crate::kinesis::sequence::SequenceNumber;
use crate::kinesis::streams::state::Stream;
use crate::partitioner::hash_key;

const KEYS: usize = 1000;

/// Puts one record of each key, and says in which shard it is to be by MD5 and the shards that are shown.
async fn put_all(world: &World, round: usize, numbers: &mut HashMap<u32, String>) {
    let shards = world.shards("s").await;
    let open: Vec<(u128, u128, String)> = shards
        .iter()
        .filter(|shard| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null())
        .map(|shard| {
            let hash = |member: &str| shard["HashKeyRange"][member].as_str().unwrap().parse().unwrap();
            (hash("StartingHashKey"), hash("EndingHashKey"), shard["ShardId"].as_str().unwrap().to_owned())
        })
        .collect();
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
    for chunk in keys.chunks(500) {
        let entry =
            |key: &String| Value::map([("PartitionKey", key.as_str().into()), ("Data", Bytes::from(round.to_string()).into())]);
        let entries: Vec<Value> = chunk.iter().map(entry).collect();
        let answer = world.json("PutRecords", [("StreamName", "s".into()), ("Records", entries.into())]).await;
        assert_eq!(answer["FailedRecordCount"], 0);
        for (key, record) in chunk.iter().zip(answer["Records"].as_array().unwrap()) {
            let hash = hash_key(key.as_bytes());
            let expected = open.iter().find(|(start, end, _)| *start <= hash && hash <= *end).unwrap();
            assert_eq!(record["ShardId"], expected.2.as_str(), "{key}");
            let number = record["SequenceNumber"].as_str().unwrap().to_owned();
            let shard = SequenceNumber::parse(&number).unwrap().shard;
            let before = numbers.insert(shard, number.clone());
            assert!(before.is_none_or(|before| before < number), "numbers of a shard grow");
        }
    }
}

/// Reads a stream from its first shards to its last, as consumers do: children once their parents have ended.
async fn read_all(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ended: Vec<u32> = Vec::new();
    let id = |shard: &str| names::shard_number(shard).unwrap();
    let shards = world.shards("s").await;
    let roots = shards.iter().filter(|shard| shard["ParentShardId"].is_null());
    let mut waiting: Vec<u32> = roots.map(|shard| id(shard["ShardId"].as_str().unwrap())).collect();
    let mut children: Vec<(u32, Vec<u32>)> = Vec::new();
    while let Some(shard) = waiting.pop() {
        let mut iterator = world.iterator("s", shard, "TRIM_HORIZON").await;
        loop {
            let page = world.call("GetRecords", [("ShardIterator", iterator.into()), ("Limit", 700_i64.into())]).await.unwrap();
            for record in page.items("Records") {
                let text = String::from_utf8(record.blob("Data").unwrap().to_vec()).unwrap();
                found.entry(record.text("PartitionKey").unwrap().to_owned()).or_default().push(text);
            }
            match page.text("NextShardIterator") {
                Some(next) if page.int("MillisBehindLatest") != Some(0) || !page.items("Records").is_empty() => {
                    iterator = next.to_owned();
                }
                Some(_) => break,
                None => {
                    ended.push(shard);
                    for child in page.items("ChildShards") {
                        let parents = child.items("ParentShards").iter().map(|parent| id(parent.as_text().unwrap())).collect();
                        children.push((id(child.text("ShardId").unwrap()), parents));
                    }
                    break;
                }
            }
        }
        children.retain(|(child, parents)| {
            let is_due = parents.iter().all(|parent| ended.contains(parent));
            if is_due && !waiting.contains(child) {
                waiting.push(*child);
            }
            !is_due
        });
    }
    assert!(children.is_empty(), "{children:?}");
    found
}

#[tokio::test]
async fn keys_go_where_md5_says_and_are_read_in_order_through_all_reshards() {
    let mut world = World::new().await;
    world.create("s", 3).await;
    let mut numbers = HashMap::new();
    put_all(&world, 0, &mut numbers).await;
    let split = [
        ("StreamName", "s".into()),
        ("ShardToSplit", "shardId-1".into()),
        ("NewStartingHashKey", (1_u128 << 127).to_string().into()),
    ];
    world.json("SplitShard", split).await;
    put_all(&world, 1, &mut numbers).await;
    let merge = [("StreamName", "s".into()), ("ShardToMerge", "shardId-0".into()), ("AdjacentShardToMerge", "shardId-3".into())];
    world.json("MergeShards", merge).await;
    put_all(&world, 2, &mut numbers).await;
    world.restart().await;
    put_all(&world, 3, &mut numbers).await;
    for (round, target) in [(4, 5_i64), (5, 4)] {
        let update = [("StreamName", "s".into()), ("TargetShardCount", target.into()), ("ScalingType", "UNIFORM_SCALING".into())];
        world.json("UpdateShardCount", update).await;
        put_all(&world, round, &mut numbers).await;
    }
    let found = read_all(&world).await;
    assert_eq!(found.len(), KEYS);
    for (key, rounds) in found {
        assert_eq!(rounds, ["0", "1", "2", "3", "4", "5"], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_reshards_under_load() {
    let world = Arc::new(World::new().await);
    world.create("s", 2).await;
    let writers = (0..4).map(|writer| {
        let world = world.clone();
        tokio::spawn(async move {
            for round in 0..60 {
                world.put("s", &format!("key-{writer}"), &round.to_string()).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for target in [4_i64, 3, 6, 3] {
        tokio::task::yield_now().await;
        let update = [("StreamName", "s".into()), ("TargetShardCount", target.into()), ("ScalingType", "UNIFORM_SCALING".into())];
        world.json("UpdateShardCount", update).await;
        // What a shard held when it was closed is all that it holds.
        for shard in world.shards("s").await {
            let Some(last) = shard["SequenceNumberRange"]["EndingSequenceNumber"].as_str() else { continue };
            let last = SequenceNumber::parse(last).unwrap();
            let end = world.log.range(&topic("s").partition(last.shard)).await.unwrap().end;
            assert_eq!(last.offset.0, (end.0 - 1).max(0), "{shard}");
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let found = read_all(&world).await;
    let all: Vec<String> = (0..60).map(|round| round.to_string()).collect();
    assert_eq!(found.len(), 4);
    for (key, rounds) in found {
        assert_eq!(rounds, all, "{key}");
    }
}

#[tokio::test]
async fn a_closed_shard_is_read_to_its_end_and_leads_to_its_children() {
    let world = World::new().await;
    world.create("s", 1).await;
    world.put("s", "k", "early").await;
    let iterator = world.iterator("s", 0, "LATEST").await;
    world
        .json("SplitShard", [("StreamName", "s".into()), ("ShardToSplit", "0".into()), ("NewStartingHashKey", "99".into())])
        .await;
    // Kafka's clients know nothing of shards that are closed.
    let mut late = BatchBuilder::new(NOW);
    late.push(Some(b"k"), Some(b"late"));
    world.log.append(&topic("s").partition(0), late.build().unwrap()).await.unwrap();
    let page = world.call("GetRecords", [("ShardIterator", iterator.into())]).await.unwrap();
    assert_eq!(page.items("Records").len(), 1, "seen before the end");
    assert_eq!((page.get("NextShardIterator"), page.int("MillisBehindLatest")), (None, Some(0)));
    let child = |number: &str, start: &str, end: u128| {
        Value::map([
            ("ShardId", format!("shardId-00000000000{number}").into()),
            ("ParentShards", vec![Value::from("shardId-000000000000")].into()),
            ("HashKeyRange", Value::map([("StartingHashKey", start.into()), ("EndingHashKey", end.to_string().into())])),
        ])
    };
    assert_eq!(page.items("ChildShards"), [child("1", "0", 98), child("2", "99", u128::MAX)]);
    let latest = world.iterator("s", 0, "LATEST").await;
    assert_eq!(world.get(&latest).await.items("ChildShards").len(), 2, "the end of a closed shard is its end");
}

#[tokio::test]
async fn partitions_that_somebody_added_are_the_next_children() {
    let world = World::new().await;
    world.create("s", 2).await;
    world.log.alter_topic(&topic("s"), TopicSpec::with_partitions(3)).await.unwrap();
    let shards = world.shards("s").await;
    let top = u128::MAX.to_string();
    assert_eq!(shards[2]["HashKeyRange"], json!({"StartingHashKey": top, "EndingHashKey": top}));
    let summary = world.json("DescribeStreamSummary", [("StreamName", "s".into())]).await;
    assert_eq!(summary["StreamDescriptionSummary"]["OpenShardCount"], 3);
    let mut added = BatchBuilder::new(NOW);
    added.push(None, Some(b"v"));
    world.log.append(&topic("s").partition(2), added.build().unwrap()).await.unwrap();
    assert_eq!(world.get(&world.iterator("s", 2, "TRIM_HORIZON").await).await.items("Records").len(), 1);
    for key in 0..100 {
        assert!(world.put("s", &key.to_string(), "v").await.0 < 2, "no hash leads there");
    }
    world
        .json("SplitShard", [("StreamName", "s".into()), ("ShardToSplit", "0".into()), ("NewStartingHashKey", "99".into())])
        .await;
    let shards = world.shards("s").await;
    assert_eq!(shards.len(), 4);
    assert_eq!(
        (&shards[2]["ParentShardId"], &shards[2]["HashKeyRange"]["EndingHashKey"]),
        (&json!("shardId-000000000000"), &json!("98"))
    );
    assert_eq!(world.log.topic(&topic("s")).await.unwrap().spec.partitions, 4);
}

/// What the log holds once a reshard has died between its intent and its partitions.
async fn die_in_the_middle(world: &World) {
    let streams = &world.doors.shared().streams;
    let before = streams.of(&world.log.topic(&topic("s")).await.unwrap());
    let shards = before.shards.split(0, 99, NOW.0).unwrap();
    streams.keep(Stream { shards, ..Stream::clone(&before) }).await.unwrap();
}

#[tokio::test]
async fn a_reshard_that_died_in_the_middle_is_finished_by_the_next_look() {
    let world = World::new().await;
    world.create("s", 1).await;
    die_in_the_middle(&world).await;
    assert_eq!(world.log.topic(&topic("s")).await.unwrap().spec.partitions, 1);
    assert_eq!(world.put("s", "k", "v").await.0, 2);
    assert_eq!(world.log.topic(&topic("s")).await.unwrap().spec.partitions, 3);
}

#[tokio::test]
async fn a_reshard_that_died_in_the_middle_is_finished_by_the_next_start() {
    let mut world = World::new().await;
    world.create("s", 1).await;
    die_in_the_middle(&world).await;
    world.restart().await;
    // The start goes on by itself, and nothing has looked yet.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.log.topic(&topic("s")).await.unwrap().spec.partitions, 3);
    assert_eq!(world.shards("s").await.len(), 3);
}

#[tokio::test]
async fn a_reshard_without_partitions_is_taken_back() {
    let log = Arc::new(FixedLog::default());
    let settings = KinesisSettings { transition: Duration::ZERO, ..KinesisSettings::default() };
    let world = World::on(log.clone(), Clock::manual(NOW), settings).await;
    world.create("s", 2).await;
    log.is_fixed.store(true, Ordering::Relaxed);
    let split = || [("StreamName", "s".into()), ("ShardToSplit", "0".into()), ("NewStartingHashKey", Value::from("99"))];
    assert!(world.refused("SplitShard", split()).await.starts_with("InvalidArgumentException: this log can't"));
    assert_eq!(world.shards("s").await.len(), 2);
    world.put("s", "k", "v").await;
    log.is_fixed.store(false, Ordering::Relaxed);
    world.json("SplitShard", split()).await;
    assert_eq!(world.shards("s").await.len(), 4);
}

#[tokio::test]
async fn a_stream_made_again_goes_on_behind_the_old_one() {
    let world = World::new().await;
    world.create("s", 1).await;
    let (_, first) = world.put("s", "k", "v").await;
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    world.create("s", 1).await;
    let (_, second) = world.put("s", "k", "v").await;
    assert!(first < second);
    let even = Layout::even(1, NOW.0);
    assert_eq!(world.doors.shared().streams.of(&world.log.topic(&topic("s")).await.unwrap()).shards, even);
}

/// A log in memory whose topics can't be altered while it is fixed.
#[derive(Default)]
struct FixedLog {
    inner: MemoryLog,
    is_fixed: AtomicBool,
}

#[async_trait]
impl Log for FixedLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.inner.create_topic(topic, spec).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.inner.topics().await
    }
    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.inner.topic(topic).await
    }
    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        self.inner.delete_topic(topic).await
    }
    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        if self.is_fixed.load(Ordering::Relaxed) {
            return Err(Error::invalid("this log can't be altered"));
        }
        self.inner.alter_topic(topic, spec).await
    }
    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        self.inner.append(to, batch).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.inner.read(from, at, max, wait).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.inner.range(of).await
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.offset_at(of, time).await
    }
}
