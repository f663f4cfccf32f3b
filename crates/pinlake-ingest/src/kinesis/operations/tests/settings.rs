//! What can be set of a stream, its tags and its consumers.

use super::*;

async fn one_stream() -> World {
    let world = World::new().await;
    world.create("s", 1).await;
    world
}

/// A member of the stream's description.
async fn member(world: &World, name: &str) -> serde_json::Value {
    world.json("DescribeStreamSummary", [("StreamName", "s".into())]).await["StreamDescriptionSummary"][name].clone()
}

fn tags(tags: &[(&str, &str)]) -> (&'static str, Value) {
    ("Tags", Value::Map(tags.iter().map(|(key, value)| ((*key).to_owned().into(), (*value).into())).collect()))
}

fn keys(keys: &[&str]) -> (&'static str, Value) {
    ("TagKeys", Value::list(keys.iter().copied()))
}

#[tokio::test]
async fn retention_is_the_topics() {
    let world = one_stream().await;
    let hours = |hours: i64| [("StreamName", "s".into()), ("RetentionPeriodHours", Value::from(hours))];
    world.json("IncreaseStreamRetentionPeriod", hours(48)).await;
    assert_eq!(member(&world, "RetentionPeriodHours").await, 48);
    assert_eq!(world.log.topic(&topic("s")).await.unwrap().spec.retention_ms, Some(48 * 3_600_000));
    world.json("IncreaseStreamRetentionPeriod", hours(48)).await;
    world.json("DecreaseStreamRetentionPeriod", hours(30)).await;
    assert_eq!(member(&world, "RetentionPeriodHours").await, 30);
    for (operation, asked, text) in [
        (
            "IncreaseStreamRetentionPeriod",
            23,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            -1,
            "Minimum allowed retention period is 24 hours. Requested retention period (-1 hours) is too short.",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            8761,
            "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            29,
            "Requested retention period (29 hours) for stream s can not be shorter than existing retention period (30 hours). Use \
             DecreaseRetentionPeriod API.",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            31,
            "Requested retention period (31 hours) for stream s can not be longer than existing retention period (30 hours). Use \
             IncreaseRetentionPeriod API.",
        ),
    ] {
        assert_eq!(world.refused(operation, hours(asked)).await, format!("InvalidArgumentException: {text}"));
    }
}

#[tokio::test]
async fn encryption_is_shown_and_stopped_twice() {
    let world = one_stream().await;
    let (stream, kms) = (("StreamName", Value::from("s")), ("EncryptionType", Value::from("KMS")));
    let stop = || [("StreamName", "s".into()), ("EncryptionType", Value::from("KMS"))];
    world.json("StopStreamEncryption", stop()).await;
    world.json("StartStreamEncryption", [stream.clone(), kms, ("KeyId", "alias/k".into())]).await;
    assert_eq!((member(&world, "EncryptionType").await, member(&world, "KeyId").await), (json!("KMS"), json!("alias/k")));
    world.json("StopStreamEncryption", stop()).await;
    assert_eq!((member(&world, "EncryptionType").await, member(&world, "KeyId").await), (json!("NONE"), json!(null)));
    let none = [stream, ("EncryptionType", "NONE".into()), ("KeyId", "k".into())];
    assert!(world.refused("StartStreamEncryption", none).await.starts_with("InvalidArgumentException"));
}

#[tokio::test]
async fn monitoring_answers_before_and_after() {
    let world = one_stream().await;
    let metrics = |names: &[&str]| [("StreamName", "s".into()), ("ShardLevelMetrics", Value::list(names.iter().copied()))];
    assert_eq!(
        world.json("EnableEnhancedMonitoring", metrics(&["OutgoingBytes", "IncomingBytes"])).await,
        json!({
            "StreamName": "s",
            "CurrentShardLevelMetrics": [],
            "DesiredShardLevelMetrics": ["IncomingBytes", "OutgoingBytes"],
            "StreamARN": arn("s"),
        })
    );
    assert_eq!(member(&world, "EnhancedMonitoring").await, json!([{"ShardLevelMetrics": ["IncomingBytes", "OutgoingBytes"]}]));
    let answer = world.json("DisableEnhancedMonitoring", metrics(&["OutgoingBytes"])).await;
    assert_eq!(answer["DesiredShardLevelMetrics"], json!(["IncomingBytes"]));
    let answer = world.json("EnableEnhancedMonitoring", metrics(&["ALL"])).await;
    assert_eq!(answer["DesiredShardLevelMetrics"].as_array().unwrap().len(), 7);
    assert_eq!(world.json("DisableEnhancedMonitoring", metrics(&["ALL"])).await["DesiredShardLevelMetrics"], json!([]));
}

#[tokio::test]
async fn mode_and_record_size_are_shown() {
    let world = one_stream().await;
    let mode = |mode: &str| [("StreamARN", arn("s").into()), ("StreamModeDetails", Value::map([("StreamMode", mode.into())]))];
    world.json("UpdateStreamMode", mode("ON_DEMAND")).await;
    assert_eq!(member(&world, "StreamModeDetails").await, json!({"StreamMode": "ON_DEMAND"}));
    let [one, two] = mode("ON_DEMAND");
    assert!(world.refused("UpdateStreamMode", [one, two, ("WarmThroughputMiBps", 5_i64.into())]).await.contains("not served"));
    world.log.create_topic(&topic("t"), TopicSpec { batch_bytes_max: 1 << 20, ..TopicSpec::default() }).await.unwrap();
    world.json("UpdateMaxRecordSize", [("StreamARN", arn("t").into()), ("MaxRecordSizeInKiB", 5000_i64.into())]).await;
    assert!(world.log.topic(&topic("t")).await.unwrap().spec.batch_bytes_max > 5000 << 10, "the topic takes such records");
}

#[tokio::test]
async fn changes_of_a_stream_that_is_not_active_are_refused() {
    let world = World::with(KinesisSettings { transition: Duration::from_millis(50), ..KinesisSettings::default() }).await;
    world.create("s", 1).await;
    let not_active =
        |state: &str| format!("ResourceInUseException: Stream s under account {ACCOUNT} not ACTIVE, instead in state {state}");
    let hours = || [("StreamName", "s".into()), ("RetentionPeriodHours", Value::from(48_i64))];
    assert_eq!(world.refused("IncreaseStreamRetentionPeriod", hours()).await, not_active("CREATING"));
    assert_eq!(world.refused("AddTagsToStream", [("StreamName", "s".into()), tags(&[("a", "b")])]).await, not_active("CREATING"));
    let monitor = [("StreamName", "s".into()), ("ShardLevelMetrics", Value::list(["ALL"]))];
    assert_eq!(world.refused("EnableEnhancedMonitoring", monitor).await, not_active("CREATING"));
    world.clock.advance(Duration::from_secs(1));
    let mode = || [("StreamARN", arn("s").into()), ("StreamModeDetails", Value::map([("StreamMode", "ON_DEMAND".into())]))];
    world.json("UpdateStreamMode", mode()).await;
    assert_eq!(world.status("s").await, "UPDATING");
    assert_eq!(world.refused("UpdateStreamMode", mode()).await, not_active("UPDATING"));
    world.json("AddTagsToStream", [("StreamName", "s".into()), tags(&[("a", "b")])]).await;
    world.clock.advance(Duration::from_secs(1));
    world.json("UpdateStreamMode", mode()).await;
    assert_eq!(world.status("s").await, "ACTIVE", "nothing was changed");
}

#[tokio::test]
async fn tags_of_a_stream() {
    let world = one_stream().await;
    let stream = || ("StreamName", Value::from("s"));
    world.json("AddTagsToStream", [stream(), tags(&[("b", "2"), ("a", "1"), ("ü ", "")])]).await;
    world.json("AddTagsToStream", [stream(), tags(&[("b", "3")])]).await;
    let listed = world.json("ListTagsForStream", [stream(), ("Limit", 2_i64.into())]).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}], "HasMoreTags": true}));
    let rest = world.json("ListTagsForStream", [stream(), ("ExclusiveStartTagKey", "b".into())]).await;
    assert_eq!(rest, json!({"Tags": [{"Key": "ü ", "Value": ""}], "HasMoreTags": false}));
    world.json("RemoveTagsFromStream", [stream(), keys(&["a", "none"])]).await;
    world.json("TagResource", [("ResourceARN", arn("s").into()), tags(&[("c", "4")])]).await;
    world.json("UntagResource", [("ResourceARN", arn("s").into()), keys(&["ü "])]).await;
    let listed = world.json("ListTagsForResource", [("ResourceARN", arn("s").into())]).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}]}));

    let refused = async |new: &[(&str, &str)]| world.refused("AddTagsToStream", [stream(), tags(new)]).await;
    let invalid = "InvalidArgumentException: Some tags contain invalid characters. Valid characters: Unicode letters, digits, white \
                   space, _ . / = + - % @ :.";
    assert_eq!(refused(&[("a;", "b")]).await, invalid);
    assert_eq!(refused(&[("a", "\u{1f600}")]).await, invalid);
    assert_eq!(world.refused("RemoveTagsFromStream", [stream(), keys(&["a;"])]).await, invalid);
    let illegal = |what: &str| {
        format!(
            "InvalidArgumentException: Failed to {what} stream s under account {ACCOUNT} because some tags contained illegal \
             characters. The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'."
        )
    };
    assert_eq!(refused(&[("a%", "b")]).await, illegal("add tags to"));
    assert_eq!(world.refused("RemoveTagsFromStream", [stream(), keys(&["a%"])]).await, illegal("remove tags from"));
    let many: Vec<String> = (0..49).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    assert_eq!(
        refused(&many).await,
        format!(
            "InvalidArgumentException: Failed to add tags to stream s under account {ACCOUNT} because a given stream cannot have more \
             than 50 tags associated with it."
        )
    );
    assert!(world.refused("TagResource", [("ResourceARN", arn("t").into()), tags(&[])]).await.contains("Stream t under"));
    assert!(world.refused("TagResource", [("ResourceARN", "arn:what".into()), tags(&[])]).await.contains("is not the ARN"));
}

#[tokio::test]
async fn consumers_come_and_go() {
    let world = World::with(KinesisSettings { transition: Duration::from_millis(50), ..KinesisSettings::default() }).await;
    world.create("s", 1).await;
    world.clock.advance(Duration::from_secs(1));
    let name = |name: &str| [("StreamARN", arn("s").into()), ("ConsumerName", Value::from(name))];
    let registered = world.json("RegisterStreamConsumer", name("c")).await;
    let consumer = "arn:aws:kinesis:eu-west-1:123456789012:stream/s/consumer/c:1600000001";
    assert_eq!(
        registered,
        json!({"Consumer": {
            "ConsumerName": "c",
            "ConsumerARN": consumer,
            "ConsumerStatus": "CREATING",
            "ConsumerCreationTimestamp": 1_600_000_001.0,
        }})
    );
    assert_eq!(
        world.refused("RegisterStreamConsumer", name("c")).await,
        format!("ResourceInUseException: Consumer c under stream s already exists under account {ACCOUNT}.")
    );
    world.clock.advance(Duration::from_millis(50));
    let mut described = registered["Consumer"].clone();
    described["ConsumerStatus"] = json!("ACTIVE");
    described["StreamARN"] = json!(arn("s"));
    let described = json!({"ConsumerDescription": described});
    assert_eq!(world.json("DescribeStreamConsumer", name("c")).await, described);
    assert_eq!(world.json("DescribeStreamConsumer", [("ConsumerARN", consumer.into())]).await, described);
    let all = [("ConsumerARN", consumer.into()), ("StreamARN", arn("s").into()), ("ConsumerName", "c".into())];
    assert_eq!(world.json("DescribeStreamConsumer", all).await, described);
    assert_eq!(member(&world, "ConsumerCount").await, 1);
    assert!(world.refused("DeleteStream", [("StreamName", "s".into())]).await.starts_with("ResourceInUseException"));

    world.json("TagResource", [("ResourceARN", consumer.into()), tags(&[("a", "1")])]).await;
    let listed = world.json("ListTagsForResource", [("ResourceARN", consumer.into())]).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "a", "Value": "1"}]}));
    assert_eq!(world.json("ListTagsForResource", [("ResourceARN", arn("s").into())]).await, json!({"Tags": []}));

    world.json("DeregisterStreamConsumer", [("ConsumerARN", consumer.into())]).await;
    let leaving = world.json("DescribeStreamConsumer", name("c")).await;
    assert_eq!(leaving["ConsumerDescription"]["ConsumerStatus"], "DELETING");
    world.clock.advance(Duration::from_millis(50));
    let gone = |consumer: &str| format!("ResourceNotFoundException: Consumer {consumer}, account {ACCOUNT} not found.");
    assert_eq!(world.refused("DescribeStreamConsumer", name("c")).await, gone("c"));
    assert_eq!(world.refused("DeregisterStreamConsumer", [("ConsumerARN", consumer.into())]).await, gone(consumer));
    world.json("RegisterStreamConsumer", name("c")).await;
    world.json("DeleteStream", [("StreamName", "s".into()), ("EnforceConsumerDeletion", true.into())]).await;
}

#[tokio::test]
async fn consumers_are_listed_and_limited() {
    let world = World::with(KinesisSettings { consumers_max: 3, transition: Duration::ZERO, ..KinesisSettings::default() }).await;
    world.create("s", 1).await;
    let name = |name: &str| [("StreamARN", arn("s").into()), ("ConsumerName", Value::from(name))];
    for consumer in ["b", "c", "a"] {
        world.json("RegisterStreamConsumer", name(consumer)).await;
    }
    assert!(world.refused("RegisterStreamConsumer", name("d")).await.starts_with("LimitExceededException"));
    let names = |page: &serde_json::Value| {
        page["Consumers"].as_array().unwrap().iter().map(|consumer| consumer["ConsumerName"].clone()).collect::<Vec<_>>()
    };
    let page = world.json("ListStreamConsumers", [("StreamARN", arn("s").into()), ("MaxResults", 2_i64.into())]).await;
    assert_eq!(names(&page), ["a", "b"]);
    let token = ("NextToken", page["NextToken"].as_str().unwrap().into());
    let rest = world.json("ListStreamConsumers", [("StreamARN", arn("s").into()), token]).await;
    assert_eq!((names(&rest), &rest["NextToken"]), (vec![json!("c")], &json!(null)));
    let forged = [("StreamARN", arn("s").into()), ("NextToken", "x".into())];
    assert_eq!(world.refused("ListStreamConsumers", forged).await, "InvalidArgumentException: Invalid NextToken.");
    let old = [("StreamARN", arn("s").into()), ("StreamCreationTimestamp", Value::Time(Timestamp(5)))];
    assert!(world.refused("ListStreamConsumers", old).await.starts_with("ResourceNotFoundException"));
    assert!(
        world
            .refused("DescribeStreamConsumer", [("ConsumerName", "a".into())])
            .await
            .starts_with("InvalidArgumentException: Either")
    );
    let disagree = [("ConsumerARN", format!("{}/consumer/a:1600000000", arn("s")).into()), ("ConsumerName", "b".into())];
    assert!(world.refused("DescribeStreamConsumer", disagree).await.starts_with("InvalidArgumentException: ConsumerARN is not"));
}

#[tokio::test]
async fn policies_are_kept_and_shown() {
    let mut world = one_stream().await;
    let of = |arn: &str| ("ResourceARN", Value::from(arn));
    let stream = arn("s");
    assert_eq!(world.json("GetResourcePolicy", [of(&stream)]).await, json!({"Policy": "{}"}));
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    world.json("PutResourcePolicy", [of(&stream), ("Policy", policy.into())]).await;
    let name = [("StreamARN", arn("s").into()), ("ConsumerName", Value::from("c"))];
    let consumer = world.json("RegisterStreamConsumer", name).await["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned();
    world.json("PutResourcePolicy", [of(&consumer), ("Policy", "{}".into())]).await;
    world.restart().await;
    assert_eq!(world.json("GetResourcePolicy", [of(&stream)]).await, json!({"Policy": policy}));
    world.json("DeleteResourcePolicy", [of(&stream)]).await;
    assert!(
        world.refused("DeleteResourcePolicy", [of(&stream)]).await.starts_with("ResourceNotFoundException: No resource policy")
    );
    world.json("DeleteResourcePolicy", [of(&consumer)]).await;
    for wrong in ["[]", "{", &format!("{{\"a\":\"{}\"}}", "x".repeat(20 << 10))] {
        let refused = world.refused("PutResourcePolicy", [of(&stream), ("Policy", wrong.into())]).await;
        assert!(refused.starts_with("InvalidArgumentException: Policy is not"), "{refused}");
    }
}
