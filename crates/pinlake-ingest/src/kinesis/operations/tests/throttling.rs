//! Shards that are as slow as AWS's.

use super::*;

async fn world() -> World {
    let settings = KinesisSettings { transition: Duration::ZERO, shard_limits: true, ..KinesisSettings::default() };
    World::with(settings).await
}

/// A PutRecords of so many records for each of these shards of two, in turn.
fn put_records(count: usize, shards: &[u32]) -> [(&'static str, Value); 2] {
    let hash = |shard: u32| (u128::from(shard) << 127).to_string();
    let entry = |shard: &u32| {
        let members = [("PartitionKey", "k".into()), ("ExplicitHashKey", hash(*shard).into())];
        Value::map([members[0].clone(), members[1].clone(), ("Data", Bytes::from_static(b"x").into())])
    };
    let entries: Vec<Value> = (0..count).flat_map(|_| shards.iter().map(entry)).collect();
    [("StreamName", "s".into()), ("Records", entries.into())]
}

const EXCEEDED: &str = "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";

#[tokio::test]
async fn puts_are_refused_by_the_record() {
    let world = world().await;
    world.create("s", 2).await;
    for _ in 0..2 {
        assert_eq!(world.json("PutRecords", put_records(450, &[0])).await["FailedRecordCount"], 0);
    }
    let answer = world.json("PutRecords", put_records(150, &[1, 0])).await;
    assert_eq!(answer["FailedRecordCount"], 50);
    for (index, record) in answer["Records"].as_array().unwrap().iter().enumerate() {
        if index % 2 == 0 || index < 200 {
            assert_eq!(record["ShardId"], crate::kinesis::sequence::shard_id(u32::from(index % 2 == 0)), "{index}");
        } else {
            assert_eq!(*record, json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": EXCEEDED}));
        }
    }
    let one = [
        ("StreamName", "s".into()),
        ("PartitionKey", "k".into()),
        ("ExplicitHashKey", "0".into()),
        ("Data", Bytes::from_static(b"x").into()),
    ];
    assert_eq!(world.refused("PutRecord", one.clone()).await, format!("ProvisionedThroughputExceededException: {EXCEEDED}"));
    world.clock.advance(Duration::from_millis(1));
    world.json("PutRecord", one).await;
    // What was refused is not there.
    let found = world.get(&world.iterator("s", 0, "TRIM_HORIZON").await).await;
    assert_eq!(found.items("Records").len(), 1001);
    assert_eq!(world.get(&world.iterator("s", 1, "TRIM_HORIZON").await).await.items("Records").len(), 150);
}

#[tokio::test]
async fn the_sixth_read_of_a_second_is_refused() {
    let world = world().await;
    world.create("s", 2).await;
    let iterator = world.iterator("s", 0, "TRIM_HORIZON").await;
    for _ in 0..5 {
        world.get(&iterator).await;
    }
    let get = [("ShardIterator", Value::from(iterator.as_str()))];
    assert_eq!(world.refused("GetRecords", get).await, format!("ProvisionedThroughputExceededException: {EXCEEDED}"));
    world.get(&world.iterator("s", 1, "TRIM_HORIZON").await).await;
    world.clock.advance(Duration::from_millis(200));
    world.get(&iterator).await;
}
