//! Subscriptions to shards, in a time that passes by itself.

use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt};
use tokio::time::Instant;

use super::*;

type Event = Result<Value, AwsError>;

/// What events hold, as text.
fn data(event: &Value) -> Vec<String> {
    let text = |record: &Value| String::from_utf8(record.blob("Data").unwrap().to_vec()).unwrap();
    event.items("Records").iter().map(text).collect()
}

fn reached(event: &Value) -> Value {
    event.text("ContinuationSequenceNumber").unwrap().into()
}

fn start<const N: usize>(kind: &str, more: [(&'static str, Value); N]) -> Value {
    let kind = [("Type".into(), kind.into())];
    Value::Map(kind.into_iter().chain(more.map(|(name, value)| (name.into(), value))).collect())
}

impl World {
    /// Registers a consumer; answers its ARN.
    async fn register(&self, stream: &str, consumer: &str) -> String {
        let members = [("StreamARN", arn(stream).into()), ("ConsumerName", consumer.into())];
        self.json("RegisterStreamConsumer", members).await["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
    }

    async fn try_subscribe(&self, consumer: &str, shard: &str, start: Value) -> Result<BoxStream<'static, Event>, String> {
        let words = Words::of(&self.settings, Some("eu-west-1"));
        let context = Context { doors: &self.doors, metrics: &self.metrics, words, caller: None };
        let members = [("ConsumerARN", consumer.into()), ("ShardId", shard.into()), ("StartingPosition", start)];
        match subscribe::subscribe(&context, &Value::map(members)).await {
            Ok(events) => Ok(events.events),
            Err(error) => Err(format!("{}: {}", error.kind, error.message.unwrap_or_default())),
        }
    }

    async fn subscribe(&self, consumer: &str, shard: u32, start: Value) -> BoxStream<'static, Event> {
        self.try_subscribe(consumer, &format!("shardId-{shard:012}"), start).await.unwrap()
    }
}

async fn next(events: &mut BoxStream<'static, Event>) -> Value {
    events.next().await.unwrap().unwrap()
}

/// A stream with a consumer.
async fn world(shards: i64) -> (World, String) {
    let world = World::new().await;
    world.create("s", shards).await;
    let consumer = world.register("s", "c").await;
    (world, consumer)
}

#[tokio::test(start_paused = true)]
async fn records_come_at_once_quiet_is_told_and_five_minutes_are_all() {
    let (world, consumer) = world(1).await;
    world.put("s", "k", "0").await;
    let begin = Instant::now();
    let mut events = world.subscribe(&consumer, 0, start("TRIM_HORIZON", [])).await;
    let first = next(&mut events).await;
    assert_eq!((data(&first), first.int("MillisBehindLatest")), (vec!["0".to_owned()], Some(0)));
    assert_eq!(events.next().now_or_never(), None, "it waits");
    world.put("s", "k", "1").await;
    assert_eq!(data(&next(&mut events).await), ["1"]);
    assert_eq!(begin.elapsed(), Duration::ZERO, "nobody waits for a record that is there");
    let quiet = next(&mut events).await;
    assert_eq!((data(&quiet).len(), begin.elapsed()), (0, Duration::from_secs(5)));
    assert!(reached(&quiet) != Value::Null && quiet.get("ChildShards").is_none());
    let rest: Vec<Event> = events.collect().await;
    assert_eq!((rest.len(), begin.elapsed()), (59, Duration::from_secs(300)));
    assert!(rest.iter().all(|event| event.as_ref().unwrap().items("Records").is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_goes_on_where_another_ended() {
    let (world, consumer) = world(1).await;
    let mut events = world.subscribe(&consumer, 0, start("LATEST", [])).await;
    let mut reached = reached(&next(&mut events).await);
    for round in 0..4 {
        drop(events);
        tokio::time::advance(Duration::from_secs(5)).await;
        world.put("s", "k", &format!("{round}a")).await;
        let kind = if round % 2 == 0 { "AFTER_SEQUENCE_NUMBER" } else { "AT_SEQUENCE_NUMBER" };
        events = world.subscribe(&consumer, 0, start(kind, [("SequenceNumber", reached.clone())])).await;
        assert_eq!(data(&next(&mut events).await), [format!("{round}a")]);
        let (_, record) = world.put("s", "k", &format!("{round}b")).await;
        let event = next(&mut events).await;
        assert_eq!(data(&event), [format!("{round}b")]);
        reached = super::subscribing::reached(&event);
        assert!(reached.as_text().unwrap() > record.as_str(), "numbers grow");
    }
    // An iterator takes it too.
    world.put("s", "k", "last").await;
    let members = [
        ("StreamName", "s".into()),
        ("ShardId", "shardId-0".into()),
        ("ShardIteratorType", "AFTER_SEQUENCE_NUMBER".into()),
        ("StartingSequenceNumber", reached),
    ];
    let iterator = world.call("GetShardIterator", members).await.unwrap();
    assert_eq!(data(&world.get(iterator.text("ShardIterator").unwrap()).await), ["last"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_repeated_across_a_reshard() {
    let (world, consumer) = world(1).await;
    world.put("s", "k", "before").await;
    let mut events = world.subscribe(&consumer, 0, start("TRIM_HORIZON", [])).await;
    assert_eq!(data(&next(&mut events).await), ["before"]);
    world.put("s", "k", "last").await;
    let half = (1_u128 << 127).to_string();
    let split = [("StreamName", "s".into()), ("ShardToSplit", "shardId-0".into()), ("NewStartingHashKey", half.into())];
    world.json("SplitShard", split).await;
    world.put("s", "k", "after").await;
    let (event, begin) = (next(&mut events).await, Instant::now());
    assert_eq!(data(&event), ["last"]);
    let reached = reached(&event);
    let end = next(&mut events).await;
    assert!(end.items("Records").is_empty() && end.get("ContinuationSequenceNumber").is_none());
    let children: Vec<&str> = end.items("ChildShards").iter().map(|child| child.text("ShardId").unwrap()).collect();
    assert_eq!(children, ["shardId-000000000001", "shardId-000000000002"]);
    assert_eq!((events.next().await, begin.elapsed()), (None, Duration::ZERO));
    let mut found = Vec::new();
    for shard in [1, 2] {
        let mut events = world.subscribe(&consumer, shard, start("TRIM_HORIZON", [])).await;
        found.extend(data(&next(&mut events).await));
    }
    assert_eq!(found, ["after"]);
    tokio::time::advance(Duration::from_secs(5)).await;
    let mut again = world.subscribe(&consumer, 0, start("AFTER_SEQUENCE_NUMBER", [("SequenceNumber", reached)])).await;
    assert_eq!(next(&mut again).await, end);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_closes_wakes_who_waits() {
    let (world, consumer) = world(2).await;
    let mut events = world.subscribe(&consumer, 0, start("LATEST", [])).await;
    next(&mut events).await;
    let begin = Instant::now();
    let (end, _) = tokio::join!(events.next(), async {
        let merge = [("ShardToMerge", "shardId-0".into()), ("AdjacentShardToMerge", "shardId-1".into())];
        world.json("MergeShards", [("StreamName", "s".into()), merge[0].clone(), merge[1].clone()]).await
    });
    assert_eq!(end.unwrap().unwrap().items("ChildShards").len(), 1);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_same_consumer_takes_a_shard_over_after_five_seconds() {
    let (world, consumer) = world(1).await;
    let latest = || start("LATEST", []);
    let mut first = world.subscribe(&consumer, 0, latest()).await;
    let in_use = format!(
        "ResourceInUseException: Another active subscription exists for this consumer: {ACCOUNT}:s:shardId-000000000000:c"
    );
    tokio::time::advance(Duration::from_millis(4999)).await;
    assert_eq!(world.try_subscribe(&consumer, "shardId-0", latest()).await.err(), Some(in_use.clone()));
    let other = world.register("s", "other").await;
    let mut beside = world.subscribe(&other, 0, latest()).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    let mut second = world.subscribe(&consumer, 0, latest()).await;
    let error = first.next().await.unwrap().unwrap_err();
    assert_eq!(format!("{}: {}", error.kind, error.message.unwrap()), in_use);
    assert_eq!(first.next().await, None);
    next(&mut second).await;
    next(&mut beside).await;
    world.doors.close().await;
    assert_eq!((second.next().await, beside.next().await), (None, None), "the server's end ends all, and without an error");
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_ends_its_subscriptions() {
    let (world, consumer) = world(1).await;
    let other = world.register("s", "other").await;
    let mut events = world.subscribe(&consumer, 0, start("LATEST", [])).await;
    let mut others = world.subscribe(&other, 0, start("LATEST", [])).await;
    next(&mut events).await;
    next(&mut others).await;
    world.json("DeregisterStreamConsumer", [("ConsumerARN", consumer.as_str().into())]).await;
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, "ResourceNotFoundException");
    assert_eq!(events.next().await, None);
    world.json("DeleteStream", [("StreamName", "s".into()), ("EnforceConsumerDeletion", true.into())]).await;
    // Of the same name, and another.
    world.create("s", 1).await;
    assert_eq!(others.next().await.unwrap().unwrap_err().kind, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn events_are_bounded() {
    let (world, consumer) = world(1).await;
    let large = "x".repeat(600 << 10);
    for _ in 0..3 {
        world.put("s", "k", &large).await;
    }
    let mut events = world.subscribe(&consumer, 0, start("TRIM_HORIZON", [])).await;
    for _ in 0..3 {
        assert_eq!(next(&mut events).await.items("Records").len(), 1);
    }
    // A place that no record has yet is no reason to ask again and again.
    let parsed = crate::kinesis::sequence::SequenceNumber::parse(&world.put("s", "k", "x").await.1).unwrap();
    let far = crate::kinesis::sequence::SequenceNumber { offset: pinlake_core::Offset(1 << 60), ..parsed }.to_text();
    tokio::time::advance(Duration::from_secs(5)).await;
    let far = start("AT_SEQUENCE_NUMBER", [("SequenceNumber", far.into())]);
    let events: Vec<Event> = world.subscribe(&consumer, 0, far).await.collect().await;
    assert_eq!(events.len(), 60);
}

#[tokio::test]
async fn subscriptions_that_are_refused() {
    let transition = Duration::from_millis(50);
    let world = World::with(KinesisSettings { transition, ..KinesisSettings::default() }).await;
    world.create("s", 1).await;
    world.clock.advance(transition);
    let consumer = world.register("s", "c").await;
    let latest = || start("LATEST", []);
    assert_eq!(
        world.try_subscribe(&consumer, "shardId-0", latest()).await.err().unwrap(),
        format!(
            "ResourceInUseException: Consumer c under stream s under account {ACCOUNT} not ACTIVE, instead in state CREATING"
        )
    );
    world.clock.advance(transition);
    for (consumer, shard, from, text) in [
        (format!("{consumer}0"), "shardId-0", latest(), "ResourceNotFoundException: Consumer "),
        (consumer.replace("/s/", "/t/"), "shardId-0", latest(), "ResourceNotFoundException: Stream t "),
        (arn("s"), "shardId-0", latest(), "ResourceNotFoundException: Consumer "),
        (consumer.clone(), "shardId-1", latest(), "ResourceNotFoundException: Shard shardId-000000000001 "),
        (consumer.clone(), "what", latest(), "ResourceNotFoundException: Could not find shard what "),
        (consumer.clone(), "shardId-0", start("AT_SEQUENCE_NUMBER", []), "InvalidArgumentException: Must either specify (1)"),
        (consumer.clone(), "shardId-0", start("AT_TIMESTAMP", []), "InvalidArgumentException: Must specify timestampInMillis"),
    ] {
        let refused = world.try_subscribe(&consumer, shard, from).await.err().unwrap();
        assert!(refused.starts_with(text), "{refused}");
    }
    assert!(world.try_subscribe(&consumer, "shardId-0", latest()).await.is_ok(), "what was refused has taken nothing");
}
