//! Shards: what is listed, and how many there may be.

use super::*;

/// Numbers of the shards that a filter lists.
async fn listed(world: &World, kind: &str, at: Option<Timestamp>, after: Option<&str>) -> Vec<u32> {
    let filter = Value::map([("Type", kind.into()), ("Timestamp", at.into()), ("ShardId", after.into())]);
    let answer = world.json("ListShards", [("StreamName", "s".into()), ("ShardFilter", filter)]).await;
    answer["Shards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shard| names::shard_number(shard["ShardId"].as_str().unwrap()).unwrap())
        .collect()
}

/// A stream whose shard 0 was split after an hour, and whose children were merged after two.
async fn resharded() -> World {
    let world = World::new().await;
    world.create("s", 1).await;
    world.clock.advance(Duration::from_secs(3600));
    let half = (1_u128 << 127).to_string();
    world
        .json(
            "SplitShard",
            [("StreamName", "s".into()), ("ShardToSplit", "shardId-0".into()), ("NewStartingHashKey", half.into())],
        )
        .await;
    world.clock.advance(Duration::from_secs(3600));
    let members =
        [("StreamARN", arn("s").into()), ("ShardToMerge", "shardId-1".into()), ("AdjacentShardToMerge", "shardId-2".into())];
    world.json("MergeShards", members).await;
    world
}

fn hours(hours: f64) -> Option<Timestamp> {
    Some(Timestamp(NOW.0 + (hours * 3_600_000.0) as i64))
}

#[tokio::test]
async fn filters_say_which_shards_are_wanted() {
    let world = resharded().await;
    assert_eq!(listed(&world, "FROM_TRIM_HORIZON", None, None).await, [0, 1, 2, 3]);
    assert_eq!(listed(&world, "AT_TRIM_HORIZON", None, None).await, [0]);
    assert_eq!(listed(&world, "AT_LATEST", None, None).await, [3]);
    assert_eq!(listed(&world, "AT_TIMESTAMP", hours(-5.0), None).await, [0], "nothing is older than the stream");
    assert_eq!(listed(&world, "AT_TIMESTAMP", hours(0.5), None).await, [0]);
    assert_eq!(listed(&world, "AT_TIMESTAMP", hours(1.5), None).await, [1, 2]);
    assert_eq!(listed(&world, "AT_TIMESTAMP", hours(1.0), None).await, [0, 1, 2]);
    assert_eq!(listed(&world, "FROM_TIMESTAMP", hours(1.5), None).await, [1, 2, 3]);
    assert_eq!(listed(&world, "AFTER_SHARD_ID", None, Some("shardId-000000000001")).await, [2, 3]);
    // A day later nothing is left of what was closed after an hour.
    world.clock.advance(Duration::from_secs(23 * 3600 + 1));
    assert_eq!(listed(&world, "FROM_TRIM_HORIZON", None, None).await, [1, 2, 3]);
    assert_eq!(listed(&world, "AT_TRIM_HORIZON", None, None).await, [1, 2]);
    let described = world.json("DescribeStream", [("StreamName", "s".into())]).await;
    assert_eq!(described["StreamDescription"]["Shards"].as_array().unwrap().len(), 3);
    let filter = |kind: &str| ("ShardFilter", Value::map([("Type", kind.into())]));
    for (kind, text) in [("AT_TIMESTAMP", "takes a Timestamp."), ("AFTER_SHARD_ID", "takes a ShardId.")] {
        assert!(world.refused("ListShards", [("StreamName", "s".into()), filter(kind)]).await.ends_with(text));
    }
}

#[tokio::test]
async fn shards_show_their_family_and_their_ends() {
    let world = resharded().await;
    let shards = world.shards("s").await;
    assert_eq!(shards[3]["ParentShardId"], "shardId-000000000001");
    assert_eq!(shards[3]["AdjacentParentShardId"], "shardId-000000000002");
    assert_eq!(shards[1]["ParentShardId"], "shardId-000000000000");
    assert!(shards[1]["AdjacentParentShardId"].is_null() && shards[0]["ParentShardId"].is_null());
    for (number, shard) in shards.iter().enumerate() {
        let range = &shard["SequenceNumberRange"];
        let number_of = |member: &str| crate::kinesis::sequence::SequenceNumber::parse(range[member].as_str()?);
        let start = number_of("StartingSequenceNumber").unwrap();
        assert_eq!((start.shard as usize, start.offset.0), (number, 0));
        assert_eq!(start.created, NOW.0 / 1000 + [0, 3600, 3600, 7200][number]);
        assert_eq!(number_of("EndingSequenceNumber").is_some(), number < 3, "{number}");
    }
}

#[tokio::test]
async fn shards_are_listed_page_by_page() {
    let world = World::new().await;
    world.create("s", 5).await;
    let page = world.json("ListShards", [("StreamName", "s".into()), ("MaxResults", 2_i64.into())]).await;
    let ids = |page: &serde_json::Value| {
        page["Shards"].as_array().unwrap().iter().map(|shard| shard["ShardId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), ["shardId-000000000000", "shardId-000000000001"]);
    let token = page["NextToken"].as_str().unwrap();
    let rest = world.json("ListShards", [("NextToken", token.into())]).await;
    assert_eq!(ids(&rest), ["shardId-000000000002", "shardId-000000000003", "shardId-000000000004"]);
    assert!(rest["NextToken"].is_null());
    let after = [("StreamName", "s".into()), ("ExclusiveStartShardId", "shardId-000000000003".into())];
    assert_eq!(ids(&world.json("ListShards", after).await), ["shardId-000000000004"]);

    let refused = async |member: &'static str, value: Value| {
        world.refused("ListShards", [("NextToken", token.into()), (member, value)]).await
    };
    assert_eq!(
        refused("StreamName", "s".into()).await,
        "InvalidArgumentException: NextToken and StreamName cannot be provided together."
    );
    assert!(refused("ShardFilter", Value::map([("Type", "AT_LATEST".into())])).await.contains("NextToken and ShardFilter"));
    assert_eq!(
        world.refused("ListShards", []).await,
        "InvalidArgumentException: Either NextToken or StreamName should be provided."
    );
    assert_eq!(
        world.refused("ListShards", [("NextToken", "forged".into())]).await,
        "InvalidArgumentException: Invalid NextToken."
    );
    world.clock.advance(Duration::from_millis(300_001));
    assert!(world.refused("ListShards", [("NextToken", token.into())]).await.starts_with("ExpiredNextTokenException: "));
}

#[tokio::test]
async fn a_list_is_of_one_stream_whatever_is_made_later() {
    let world = World::new().await;
    world.create("s", 5).await;
    let page = world.json("ListShards", [("StreamName", "s".into()), ("MaxResults", 2_i64.into())]).await;
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    world.clock.advance(Duration::from_secs(2));
    world.create("s", 5).await;
    let token = || page["NextToken"].as_str().unwrap();
    assert!(world.refused("ListShards", [("NextToken", token().into())]).await.starts_with("ResourceNotFoundException"));
    let created = |at| [("StreamName", "s".into()), ("StreamCreationTimestamp", Value::Time(at))];
    assert!(world.refused("ListShards", created(NOW)).await.starts_with("ResourceNotFoundException"));
    world.json("ListShards", created(Timestamp(NOW.0 + 2000))).await;
}

#[tokio::test]
async fn splits_and_merges_that_are_refused() {
    let world = World::new().await;
    world.create("s", 2).await;
    let split = async |shard: &str, key: &str| {
        let members = [("StreamName", "s".into()), ("ShardToSplit", shard.into()), ("NewStartingHashKey", key.into())];
        world.refused("SplitShard", members).await
    };
    let merge = async |one: &str, other: &str| {
        let members = [("StreamName", "s".into()), ("ShardToMerge", one.into()), ("AdjacentShardToMerge", other.into())];
        world.refused("MergeShards", members).await
    };
    let end = (1_u128 << 127) - 1;
    for key in ["0", "1", &end.to_string(), &u128::MAX.to_string(), "999999999999999999999999999999999999999"] {
        assert_eq!(
            split("shardId-0", key).await,
            format!(
                "InvalidArgumentException: NewStartingHashKey {key} used in SplitShard() on shard shardId-000000000000 in stream s under \
                 account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's \
                 EndingHashKey {end}."
            )
        );
    }
    let nowhere = |id: &str| format!("ResourceNotFoundException: Could not find shard {id} in stream s under account {ACCOUNT}.");
    assert_eq!(split("shardId-000000000009", "5").await, nowhere("shardId-000000000009"));
    assert_eq!(split("what", "5").await, nowhere("what"));
    assert_eq!(merge("shardId-0", "2147483648").await, nowhere("2147483648"));
    assert_eq!(
        merge("shardId-0", "shardId-0").await,
        format!(
            "InvalidArgumentException: Shards shardId-000000000000 and shardId-000000000000 in stream s under account {ACCOUNT} are not \
             an adjacent pair of shards eligible for merging"
        )
    );
    world
        .json("MergeShards", [("StreamName", "s".into()), ("ShardToMerge", "0".into()), ("AdjacentShardToMerge", "1".into())])
        .await;
    assert_eq!(
        split("shardId-1", "5").await,
        format!(
            "InvalidArgumentException: Shard shardId-000000000001 in stream s under account {ACCOUNT} has already been merged or split, \
             and thus is not eligible for merging or splitting."
        )
    );
}

#[tokio::test]
async fn shards_are_counted_anew_within_limits() {
    let world = World::with(KinesisSettings { shards_max: 12, transition: Duration::ZERO, ..KinesisSettings::default() }).await;
    world.create("s", 6).await;
    world.create("t", 2).await;
    let update = |target: i64| {
        [("StreamName", "s".into()), ("TargetShardCount", target.into()), ("ScalingType", Value::from("UNIFORM_SCALING"))]
    };
    assert_eq!(
        world.json("UpdateShardCount", update(10)).await,
        json!({
            "StreamName": "s",
            "CurrentShardCount": 6,
            "TargetShardCount": 10,
            "StreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        })
    );
    let summary = world.json("DescribeStreamSummary", [("StreamName", "s".into())]).await;
    assert_eq!(summary["StreamDescriptionSummary"]["OpenShardCount"], 10);
    let refused = async |target: i64| world.refused("UpdateShardCount", update(target)).await;
    assert_eq!(
        refused(i64::from(i32::MAX)).await,
        "LimitExceededException: Target shard count or number of open shards cannot be greater than 12. Current open shard count: 10, \
         Target shard count: 2147483647"
    );
    assert!(refused(11).await.starts_with("LimitExceededException: This request would exceed the shard limit"));
    assert_eq!(
        refused(4).await,
        "LimitExceededException: UpdateShardCount cannot scale down below half your current open shard count. Current open shard \
         count: 10, Target shard count: 4"
    );
    let members = [("StreamName", "t".into()), ("TargetShardCount", 5_i64.into()), ("ScalingType", "UNIFORM_SCALING".into())];
    assert_eq!(
        world.refused("UpdateShardCount", members).await,
        "LimitExceededException: UpdateShardCount cannot scale up over double your current open shard count. Current open shard \
         count: 2, Target shard count: 5"
    );
    let split = [("StreamName", "t".into()), ("ShardToSplit", "0".into()), ("NewStartingHashKey", "99".into())];
    assert!(world.refused("SplitShard", split).await.starts_with("LimitExceededException: This request would exceed"));
    let mode = Value::map([("StreamMode", "ON_DEMAND".into())]);
    world.json("UpdateStreamMode", [("StreamARN", arn("s").into()), ("StreamModeDetails", mode)]).await;
    assert!(refused(5).await.starts_with("ValidationException: Request is invalid. Stream s is in ON_DEMAND mode"));
}

#[tokio::test]
async fn a_stream_is_updating_for_a_while() {
    let world = World::with(KinesisSettings { transition: Duration::from_millis(50), ..KinesisSettings::default() }).await;
    world.create("s", 1).await;
    world.clock.advance(Duration::from_millis(50));
    let split = || [("StreamName", "s".into()), ("ShardToSplit", "0".into()), ("NewStartingHashKey", Value::from("99"))];
    world.json("SplitShard", split()).await;
    assert_eq!(world.status("s").await, "UPDATING");
    world.put("s", "k", "v").await;
    assert_eq!(
        world.refused("SplitShard", split()).await,
        format!("ResourceInUseException: Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING")
    );
    world.clock.advance(Duration::from_millis(50));
    assert_eq!(world.status("s").await, "ACTIVE");
}
