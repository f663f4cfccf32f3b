//! Iterators and what is read by them.

use pinlake_core::batch::{Marker, ProducerSequence};
use pinlake_core::{Batch, BatchBuilder};

use super::*;

/// What a page holds, as text.
fn data(page: &Value) -> Vec<String> {
    let text = |record: &Value| String::from_utf8(record.blob("Data").unwrap().to_vec()).unwrap();
    page.items("Records").iter().map(text).collect()
}

fn iterator<const N: usize>(kind: &str, more: [(&'static str, Value); N]) -> Vec<(&'static str, Value)> {
    let mut members = vec![("StreamName", "s".into()), ("ShardId", "shardId-0".into()), ("ShardIteratorType", kind.into())];
    members.extend(more);
    members
}

impl World {
    async fn place<const N: usize>(&self, kind: &str, more: [(&'static str, Value); N]) -> Result<String, String> {
        let words = Words::of(&self.settings, None);
        let context = Context { doors: &self.doors, metrics: &self.metrics, words, caller: None };
        let members = iterator(kind, more).into_iter().map(|(name, value)| (name.into(), value)).collect();
        match serve(&context, "GetShardIterator", &Value::Map(members)).await {
            Ok(answer) => Ok(answer.text("ShardIterator").unwrap().to_owned()),
            Err(error) => Err(format!("{}: {}", error.kind, error.message.unwrap_or_default())),
        }
    }

    /// What lies behind an iterator.
    async fn data(&self, iterator: Result<String, String>) -> Vec<String> {
        data(&self.get(&iterator.unwrap()).await)
    }
}

/// A stream with the records 0 to 4 a second apart, and their numbers.
async fn five() -> (World, Vec<String>) {
    let world = World::new().await;
    world.create("s", 1).await;
    let mut numbers = Vec::new();
    for number in 0..5 {
        numbers.push(world.put("s", "k", &number.to_string()).await.1);
        world.clock.advance(Duration::from_secs(1));
    }
    (world, numbers)
}

#[tokio::test]
async fn an_iterator_begins_where_it_is_said() {
    let (world, numbers) = five().await;
    let at = |number: &str| [("StartingSequenceNumber", Value::from(number))];
    let time = |later_ms: i64| [("Timestamp", Value::Time(Timestamp(NOW.0 + later_ms)))];
    assert_eq!(world.data(world.place("TRIM_HORIZON", []).await).await, ["0", "1", "2", "3", "4"]);
    assert_eq!(world.data(world.place("AT_SEQUENCE_NUMBER", at(&numbers[3])).await).await, ["3", "4"]);
    assert_eq!(world.data(world.place("AFTER_SEQUENCE_NUMBER", at(&numbers[3])).await).await, ["4"]);
    assert_eq!(world.data(world.place("AT_TIMESTAMP", time(3000)).await).await, ["3", "4"]);
    assert_eq!(world.data(world.place("AT_TIMESTAMP", time(2001)).await).await, ["3", "4"]);
    assert_eq!(world.data(world.place("AT_TIMESTAMP", time(-5000)).await).await.len(), 5);
    assert_eq!(world.data(world.place("AT_TIMESTAMP", time(5000)).await).await, Vec::<String>::new());
    let latest = world.place("LATEST", []).await;
    world.put("s", "k", "5").await;
    assert_eq!(world.data(latest).await, ["5"]);
    // The shard's own first number.
    let first = world.shards("s").await[0]["SequenceNumberRange"]["StartingSequenceNumber"].as_str().unwrap().to_owned();
    assert_eq!(world.data(world.place("AT_SEQUENCE_NUMBER", at(&first)).await).await.len(), 6);
}

#[tokio::test]
async fn a_time_within_a_batch_is_found() {
    let world = World::new().await;
    world.log.create_topic(&topic("s"), TopicSpec::default()).await.unwrap();
    let mut batch = BatchBuilder::new(NOW);
    for later in 0..4 {
        batch.push_at(Timestamp(NOW.0 - 4000 + later * 1000), None, Some(later.to_string().as_bytes()));
    }
    world.log.append(&topic("s").partition(0), batch.build().unwrap()).await.unwrap();
    let time = [("Timestamp", Value::Time(Timestamp(NOW.0 - 2000)))];
    assert_eq!(world.data(world.place("AT_TIMESTAMP", time).await).await, ["2", "3"]);
}

#[tokio::test]
async fn iterators_that_are_refused() {
    let (world, numbers) = five().await;
    let either = "InvalidArgumentException: Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
                  StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified";
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        assert_eq!(world.place(kind, []).await, Err(format!("{either} {kind} and no StartingSequenceNumber.")));
    }
    let at = |number: &str| [("StartingSequenceNumber", Value::from(number))];
    for kind in ["TRIM_HORIZON", "LATEST"] {
        assert_eq!(world.place(kind, at("5")).await, Err(format!("{either} {kind} and also a StartingSequenceNumber.")));
    }
    let used = |number: &str, why: &str| {
        Err(format!(
            "InvalidArgumentException: StartingSequenceNumber {number} used in GetShardIterator on shard shardId-000000000000 in \
             stream s under account {ACCOUNT} is invalid{why}."
        ))
    };
    assert_eq!(world.place("AT_SEQUENCE_NUMBER", at("7")).await, used("7", ""));
    let parsed = crate::kinesis::sequence::SequenceNumber::parse(&numbers[0]).unwrap();
    let foreign = crate::kinesis::sequence::SequenceNumber { created: 77, ..parsed }.to_text();
    let not_from_here = " because it did not come from this stream";
    assert_eq!(world.place("AT_SEQUENCE_NUMBER", at(&foreign)).await, used(&foreign, not_from_here));
    let other = crate::kinesis::sequence::SequenceNumber { shard: 3, ..parsed }.to_text();
    assert_eq!(
        world.place("AFTER_SEQUENCE_NUMBER", at(&other)).await,
        Err("InvalidArgumentException: Invalid StartingSequenceNumber. It encodes shardId-000000000003, while it was used in a call \
             to a shard with shardId-000000000000"
            .to_owned())
    );
    assert_eq!(
        world.place("AT_TIMESTAMP", [("Timestamp", Value::Time(Timestamp(NOW.0 + 5001)))]).await,
        Err(format!(
            "InvalidArgumentException: The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
             timestampInMillis: {}, currentTimestampInMillis: {}",
            NOW.0 + 5001,
            NOW.0 + 5000
        ))
    );
    assert!(world.place("AT_TIMESTAMP", []).await.is_err_and(|text| text.ends_with("Current value: null.")));
    let get = |stream: &str, shard: &str| {
        [("StreamName", stream.into()), ("ShardId", shard.into()), ("ShardIteratorType", Value::from("LATEST"))]
    };
    for (stream, shard, text) in [
        ("s", "what", format!("Could not find shard what in stream s under account {ACCOUNT}.")),
        ("s", "shardId-5", format!("Shard shardId-000000000005 in stream s under account {ACCOUNT} does not exist")),
        ("t", "x-0", format!("Shard shardId-000000000000 in stream t under account {ACCOUNT} does not exist")),
    ] {
        let refused = world.refused("GetShardIterator", get(stream, shard)).await;
        assert_eq!(refused, format!("ResourceNotFoundException: {text}"));
    }
}

#[tokio::test]
async fn an_iterator_survives_a_restart_expires_and_is_not_forged() {
    let (mut world, _) = five().await;
    let iterator = world.iterator("s", 0, "TRIM_HORIZON").await;
    world.restart().await;
    let page =
        world.call("GetRecords", [("ShardIterator", format!("\"{iterator}\"").into()), ("Limit", 2_i64.into())]).await.unwrap();
    assert_eq!(data(&page), ["0", "1"]);
    let next = page.text("NextShardIterator").unwrap();
    assert_eq!(data(&world.get(next).await), ["2", "3", "4"]);
    let mut forged = iterator.clone().into_bytes();
    forged[40] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    let get = |iterator: &str| [("ShardIterator", Value::from(iterator))];
    for forged in [forged.as_str(), "AAAA", "what", "\""] {
        assert_eq!(
            world.refused("GetRecords", get(forged)).await,
            "InvalidArgumentException: Invalid ShardIterator.",
            "{forged}"
        );
    }
    let of_another = [("ShardIterator", Value::from(iterator.as_str())), ("StreamARN", arn("t").into())];
    assert!(world.refused("GetRecords", of_another).await.starts_with("InvalidArgumentException: StreamARN"));
    world.clock.advance(Duration::from_millis(300_000));
    world.get(&iterator).await;
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(
        world.refused("GetRecords", get(&iterator)).await,
        "ExpiredIteratorException: Iterator expired. The iterator was created at time Sun Sep 13 12:26:45 UTC 2020 while right now it is \
         Sun Sep 13 12:31:45 UTC 2020 which is further in the future than the tolerated delay of 300000 milliseconds."
    );
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    assert_eq!(
        world.refused("GetRecords", get(next)).await.replace(next, ""),
        "ExpiredIteratorException: Iterator expired. The iterator was created at time Sun Sep 13 12:26:45 UTC 2020 while right now it is \
         Sun Sep 13 12:31:45 UTC 2020 which is further in the future than the tolerated delay of 300000 milliseconds."
    );
}

#[tokio::test]
async fn a_shard_that_is_gone_is_not_read() {
    let (world, _) = five().await;
    let iterator = world.iterator("s", 0, "TRIM_HORIZON").await;
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    assert_eq!(
        world.refused("GetRecords", [("ShardIterator", iterator.into())]).await,
        format!("ResourceNotFoundException: Shard shardId-000000000000 in stream s under account {ACCOUNT} does not exist")
    );
}

#[tokio::test]
async fn how_far_behind_a_page_is_is_real() {
    let (world, _) = five().await;
    let iterator = world.iterator("s", 0, "TRIM_HORIZON").await;
    let page = world.call("GetRecords", [("ShardIterator", iterator.into()), ("Limit", 2_i64.into())]).await.unwrap();
    assert_eq!(page.int("MillisBehindLatest"), Some(4000), "record 1 came after a second, five have passed");
    let rest = world.get(page.text("NextShardIterator").unwrap()).await;
    assert_eq!(rest.int("MillisBehindLatest"), Some(0));
    let empty = world.get(rest.text("NextShardIterator").unwrap()).await;
    assert_eq!((empty.items("Records").len(), empty.int("MillisBehindLatest")), (0, Some(0)));
    assert!(empty.text("NextShardIterator").is_some(), "an empty page is no end");
}

#[tokio::test]
async fn a_page_ends_at_its_limits() {
    let world = World::new().await;
    world.create("s", 1).await;
    let large = "x".repeat((1 << 20) - 1);
    for _ in 0..12 {
        world.put("s", "k", &large).await;
    }
    let page = world.get(&world.iterator("s", 0, "TRIM_HORIZON").await).await;
    assert_eq!(page.items("Records").len(), 10);
    let rest = world.get(page.text("NextShardIterator").unwrap()).await;
    assert_eq!(rest.items("Records").len(), 2);

    world.create("small", 1).await;
    let mut batch = BatchBuilder::new(NOW);
    (0..10_500).for_each(|_| batch.push(Some(b"k"), Some(b"v")));
    world.log.append(&topic("small").partition(0), batch.build().unwrap()).await.unwrap();
    let page = world.get(&world.iterator("small", 0, "TRIM_HORIZON").await).await;
    assert_eq!(page.items("Records").len(), 10_000);
    assert_eq!(world.get(page.text("NextShardIterator").unwrap()).await.items("Records").len(), 500);
}

#[tokio::test]
async fn what_retention_took_is_passed_over() {
    let (world, numbers) = five().await;
    let iterator = world.iterator("s", 0, "TRIM_HORIZON").await;
    world.log.trim(&topic("s").partition(0), pinlake_core::Offset(3)).await.unwrap();
    assert_eq!(data(&world.get(&iterator).await), ["3", "4"]);
    let at = [("StartingSequenceNumber", Value::from(numbers[0].as_str()))];
    assert_eq!(world.data(world.place("AT_SEQUENCE_NUMBER", at).await).await, ["3", "4"]);
    let parsed = crate::kinesis::sequence::SequenceNumber::parse(&numbers[0]).unwrap();
    let never = crate::kinesis::sequence::SequenceNumber { offset: pinlake_core::Offset(1 << 60), ..parsed }.to_text();
    let at = [("StartingSequenceNumber", Value::from(never))];
    assert_eq!(world.data(world.place("AT_SEQUENCE_NUMBER", at).await).await, Vec::<String>::new());
}

#[tokio::test]
async fn records_of_other_doors_have_keys_too() {
    let world = World::new().await;
    world.log.create_topic(&topic("s"), TopicSpec::default()).await.unwrap();
    let mut batch = BatchBuilder::new(Timestamp(-1));
    let long = "ü".repeat(300);
    for key in [None, Some(&b"k"[..]), Some(b""), Some(b"\xff"), Some(long.as_bytes())] {
        batch.push(key, None);
    }
    world.log.append(&topic("s").partition(0), batch.build().unwrap()).await.unwrap();
    let page = world.get(&world.iterator("s", 0, "TRIM_HORIZON").await).await;
    let keys: Vec<&str> = page.items("Records").iter().map(|record| record.text("PartitionKey").unwrap()).collect();
    assert_eq!(keys, ["0", "k", "2", "\u{fffd}", &"ü".repeat(256)]);
    let first = &page.items("Records")[0];
    assert_eq!((first.blob("Data"), first.time("ApproximateArrivalTimestamp")), (Some(&Bytes::new()), Some(Timestamp(0))));
}

#[tokio::test]
async fn what_is_not_committed_is_not_read() {
    let world = World::new().await;
    world.log.create_topic(&topic("s"), TopicSpec::default()).await.unwrap();
    let of = topic("s").partition(0);
    let write = |value: &'static str, first| {
        let mut batch = BatchBuilder::new(NOW);
        batch.set_producer(ProducerSequence { id: 7, epoch: 0, first });
        batch.set_transactional();
        batch.push(None, Some(value.as_bytes()));
        batch.build().unwrap()
    };
    let end = |how| Batch::marker(how, 7, 0, NOW).unwrap();
    for batch in [write("aborted", 0), end(Marker::Abort), write("committed", 1), end(Marker::Commit), write("open", 2)] {
        world.log.append(&of, batch).await.unwrap();
    }
    let page = world.get(&world.iterator("s", 0, "TRIM_HORIZON").await).await;
    assert_eq!((data(&page), page.int("MillisBehindLatest")), (vec!["committed".to_owned()], Some(0)));
    let next = page.text("NextShardIterator").unwrap();
    assert_eq!(data(&world.get(next).await), Vec::<String>::new());
    world.log.append(&of, end(Marker::Commit)).await.unwrap();
    assert_eq!(data(&world.get(next).await), ["open"]);
}
