//! Streams as a whole.

use super::*;

fn slow() -> KinesisSettings {
    KinesisSettings { transition: Duration::from_millis(50), ..KinesisSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_made_and_goes_in_time() {
    let world = World::with(slow()).await;
    world.create("s", 2).await;
    let described = world.json("DescribeStream", [("StreamName", "s".into())]).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "CREATING");
    assert_eq!(described["StreamDescription"]["Shards"], json!([]));
    let put = [("StreamName", "s".into()), ("PartitionKey", "k".into()), ("Data", Bytes::new().into())];
    assert_eq!(
        world.refused("PutRecord", put.clone()).await,
        format!("ResourceNotFoundException: Stream s under account {ACCOUNT} not found.")
    );
    assert_eq!(
        world.refused("DeleteStream", [("StreamName", "s".into())]).await,
        format!("ResourceInUseException: Stream s under account {ACCOUNT} not ACTIVE, instead in state CREATING")
    );
    world.clock.advance(Duration::from_millis(50));
    assert_eq!(world.status("s").await, "ACTIVE");
    world.call("PutRecord", put.clone()).await.unwrap();

    world.json("DeleteStream", [("StreamARN", arn("s").into())]).await;
    assert_eq!(world.status("s").await, "DELETING");
    assert!(world.refused("PutRecord", put).await.ends_with("not found."));
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    tokio::time::sleep(Duration::from_millis(51)).await;
    let gone = world.refused("DescribeStream", [("StreamName", "s".into())]).await;
    assert_eq!(gone, format!("ResourceNotFoundException: Stream s under account {ACCOUNT} not found."));
    assert!(world.log.topic(&topic("s")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_goes_on_after_a_restart() {
    let mut world = World::with(slow()).await;
    world.create("s", 1).await;
    world.clock.advance(Duration::from_secs(1));
    world.json("DeleteStream", [("StreamName", "s".into())]).await;
    world.restart().await;
    assert_eq!(world.status("s").await, "DELETING");
    world.clock.advance(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.log.topic(&topic("s")).await.is_err());
    world.create("s", 1).await;
    assert_eq!(world.status("s").await, "CREATING");
}

#[tokio::test]
async fn descriptions_say_what_aws_says() {
    let world = World::new().await;
    let tags = Value::Map(vec![("team".into(), "data".into())]);
    let members =
        [("StreamName", "s".into()), ("ShardCount", 2_i64.into()), ("Tags", tags), ("MaxRecordSizeInKiB", 2048_i64.into())];
    world.json("CreateStream", members).await;
    let described = world.json("DescribeStream", [("StreamARN", arn("s").into())]).await;
    let half = "170141183460469231731687303715884105728";
    let start = "49610756384790827419890419256589692040303913337075269634";
    let shards = described["StreamDescription"]["Shards"].clone();
    assert_eq!(shards[0]["SequenceNumberRange"], json!({"StartingSequenceNumber": start}));
    assert_eq!(
        (&shards[1]["ShardId"], &shards[1]["HashKeyRange"]["StartingHashKey"]),
        (&json!("shardId-000000000001"), &json!(half))
    );
    let mut expected = json!({
        "StreamName": "s",
        "StreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "Shards": shards,
        "HasMoreShards": false,
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1_600_000_000.0,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    });
    assert_eq!(described, json!({"StreamDescription": expected}));
    let summary = world.json("DescribeStreamSummary", [("StreamName", "s".into())]).await;
    let members = expected.as_object_mut().unwrap();
    members.retain(|name, _| name != "Shards" && name != "HasMoreShards");
    for (name, value) in [("OpenShardCount", 2), ("ConsumerCount", 0), ("MaxRecordSizeInKiB", 2048)] {
        members.insert(name.to_owned(), json!(value));
    }
    assert_eq!(summary, json!({"StreamDescriptionSummary": expected}));
}

#[tokio::test]
async fn a_hundred_shards_are_described_at_once() {
    let world = World::new().await;
    world.create("s", 150).await;
    let page = async |after: Option<&str>, limit: Option<i64>| {
        let members = [("StreamName", "s".into()), ("ExclusiveStartShardId", after.into()), ("Limit", limit.into())];
        let described = world.json("DescribeStream", members).await;
        let shards = described["StreamDescription"]["Shards"].as_array().unwrap().clone();
        let id =
            |shard: Option<&serde_json::Value>| shard.map_or("", |shard| &shard["ShardId"].as_str().unwrap()[17..]).to_owned();
        (id(shards.first()), id(shards.last()), described["StreamDescription"]["HasMoreShards"] == true)
    };
    let text = |first: &str, last: &str, more| (first.to_owned(), last.to_owned(), more);
    assert_eq!(page(None, None).await, text("000", "099", true));
    assert_eq!(page(None, Some(5000)).await, text("000", "099", true));
    assert_eq!(page(Some("shardId-000000000099"), None).await, text("100", "149", false));
    assert_eq!(page(Some("shardId-000000000099"), Some(2)).await, text("100", "101", true));
    assert_eq!(page(Some("shardId-000000000149"), None).await, text("", "", false));
}

#[tokio::test]
async fn streams_are_listed_page_by_page() {
    let world = World::new().await;
    for name in ["b", "a", "c"] {
        world.create(name, 1).await;
    }
    let all = world.json("ListStreams", []).await;
    assert_eq!((&all["StreamNames"], &all["HasMoreStreams"]), (&json!(["a", "b", "c"]), &json!(false)));
    assert_eq!(
        all["StreamSummaries"][0],
        json!({
            "StreamName": "a",
            "StreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/a",
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "StreamCreationTimestamp": 1_600_000_000.0,
        })
    );
    assert!(all["NextToken"].is_null());
    let page = world.json("ListStreams", [("Limit", 2_i64.into())]).await;
    assert_eq!((&page["StreamNames"], &page["HasMoreStreams"]), (&json!(["a", "b"]), &json!(true)));
    let token = || page["NextToken"].as_str().unwrap();
    assert_eq!(world.json("ListStreams", [("NextToken", token().into())]).await["StreamNames"], json!(["c"]));
    assert_eq!(world.json("ListStreams", [("ExclusiveStartStreamName", "a".into())]).await["StreamNames"], json!(["b", "c"]));
    world.clock.advance(Duration::from_millis(300_001));
    assert_eq!(
        world.refused("ListStreams", [("NextToken", token().into())]).await,
        "ExpiredNextTokenException: The pagination token passed to the operation is expired."
    );
    assert_eq!(
        world.refused("ListStreams", [("NextToken", "AAAA".into())]).await,
        "InvalidArgumentException: Invalid NextToken."
    );
}

#[tokio::test]
async fn topics_of_other_doors_are_streams() {
    let mut world = World::new().await;
    world.log.create_topic(&topic("t"), TopicSpec { retention_ms: None, ..TopicSpec::with_partitions(3) }).await.unwrap();
    let described = world.json("DescribeStream", [("StreamName", "t".into())]).await["StreamDescription"].clone();
    assert_eq!(described["RetentionPeriodHours"], 8760);
    assert_eq!(described["StreamCreationTimestamp"], 0.0);
    assert_eq!(described["Shards"].as_array().unwrap().len(), 3);
    let (shard, number) = world.put("t", "k", "v").await;
    world.json("AddTagsToStream", [("StreamName", "t".into()), ("Tags", Value::Map(vec![("a".into(), "1".into())]))]).await;
    assert_eq!(world.json("DescribeStream", [("StreamName", "t".into())]).await["StreamDescription"], described, "as before");
    let id = crate::kinesis::sequence::shard_id(shard);
    let at =
        [("ShardId", id.into()), ("ShardIteratorType", "AT_SEQUENCE_NUMBER".into()), ("StartingSequenceNumber", number.into())];
    let [one, two, three] = at;
    world.json("GetShardIterator", [("StreamName", "t".into()), one, two, three]).await;
    let tags = async |world: &World| world.json("ListTagsForStream", [("StreamName", "t".into())]).await["Tags"].clone();
    world.restart().await;
    assert_eq!(tags(&world).await, json!([{"Key": "a", "Value": "1"}]));
    // Another topic of that name is another stream.
    world.log.delete_topic(&topic("t")).await.unwrap();
    world.log.create_topic(&topic("t"), TopicSpec::with_partitions(1)).await.unwrap();
    assert_eq!(tags(&world).await, json!([]));
    assert_eq!(world.shards("t").await.len(), 1);
}

#[tokio::test]
async fn creations_that_are_refused() {
    let world = World::with(KinesisSettings { shards_max: 10, transition: Duration::ZERO, ..KinesisSettings::default() }).await;
    world.create("s", 4).await;
    let create = async |members: [(&'static str, Value); 2]| {
        let [one, two] = members;
        world.refused("CreateStream", [("StreamName", "t".into()), one, two]).await
    };
    let nothing = || ("Nothing", Value::Null);
    assert_eq!(
        world.refused("CreateStream", [("StreamName", "s".into()), ("ShardCount", 1_i64.into())]).await,
        format!("ResourceInUseException: Stream s under account {ACCOUNT} already exists.")
    );
    assert_eq!(
        create([("ShardCount", 100_000_i64.into()), nothing()]).await,
        "LimitExceededException: This request would exceed the shard limit for the account 123456789012 in eu-west-1. Current shard \
         count for the account: 4. Limit: 10. Number of additional shards that would have resulted from this request: 100000. Refer \
         to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits \
         and how to request higher limits."
    );
    assert_eq!(
        create([nothing(), nothing()]).await,
        "ValidationException: 1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null"
    );
    let on_demand = || ("StreamModeDetails", Value::map([("StreamMode", "ON_DEMAND".into())]));
    assert!(create([("ShardCount", 1_i64.into()), on_demand()]).await.starts_with("InvalidArgumentException: ShardCount"));
    for flag in ["WarmThroughputMiBps", "RecordDistributionStrategy"] {
        let refused = create([on_demand(), (flag, 1_i64.into())]).await;
        assert_eq!(refused, format!("InvalidArgumentException: {flag} is not served: leave it out"));
    }
    assert!(
        world.refused("CreateStream", [("StreamName", "__streams".into()), ("ShardCount", 1_i64.into())]).await.contains("own")
    );
    world.json("CreateStream", [("StreamName", "t".into()), on_demand()]).await;
    assert_eq!(world.shards("t").await.len(), 4);
    assert_eq!(
        world.json("DescribeLimits", []).await,
        json!({"ShardLimit": 10, "OpenShardCount": 8, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 50})
    );
    assert_eq!(
        world.json("DescribeAccountSettings", []).await,
        json!({"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}})
    );
}

#[tokio::test]
async fn what_is_not_served_is_unknown() {
    let world = World::new().await;
    let error = world.call("CreateChannel", []).await.unwrap_err();
    assert_eq!((error.kind.as_ref(), error.message), ("UnknownOperationException", None));
}

#[tokio::test]
async fn streams_that_are_not_there_and_names_that_do_not_agree() {
    let world = World::new().await;
    world.create("s", 1).await;
    let not_found = format!("ResourceNotFoundException: Stream t under account {ACCOUNT} not found.");
    for operation in
        ["DescribeStream", "DescribeStreamSummary", "ListShards", "ListTagsForStream", "DeleteStream", "StopStreamEncryption"]
    {
        assert_eq!(world.refused(operation, [("StreamName", "t".into())]).await, not_found, "{operation}");
        assert_eq!(world.refused(operation, [("StreamARN", arn("t").into())]).await, not_found, "{operation}");
        let both = [("StreamName", "t".into()), ("StreamARN", arn("s").into())];
        assert!(world.refused(operation, both).await.starts_with("InvalidArgumentException: StreamName t is not"), "{operation}");
    }
    let neither = world.refused("DescribeStream", []).await;
    assert_eq!(neither, "InvalidArgumentException: Either StreamName or StreamARN should be provided.");
    let topics = world.json("ListStreams", []).await;
    assert_eq!(topics["StreamNames"], json!(["s"]), "the server's own topics are no streams");
}
