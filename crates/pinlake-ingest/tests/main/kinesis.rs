//! Every operation of the native door as a client sends it, by the stream's name and by its ARN: what the model reads is what the operations
//! take.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use pinlake_core::{Log, TopicName, TopicSpec};
use pinlake_ingest::{DoorSettings, KinesisSettings};
use serde_json::{Value, json};

use crate::setup::{NOW, open, send};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s";

async fn call(router: &Router, operation: &str, body: &Value) -> Value {
    let request = Request::post("/")
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .body(Body::from(body.to_string()));
    let (status, _, answer) = send(router, request.unwrap()).await;
    assert_eq!(status, 200, "{operation} {body}: {answer}");
    if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
}

/// What is called in turn, and a text that the answer holds; the stream's name or ARN comes with each, unless it is about something else.
fn calls() -> Vec<(&'static str, Value, &'static str)> {
    let (seconds, kms) = (NOW.0 / 1000, json!("KMS"));
    let half = (1_u128 << 127).to_string();
    vec![
        ("DescribeStream", json!({"Limit": 1}), "\"HasMoreShards\":true"),
        ("DescribeStreamSummary", json!({}), "\"OpenShardCount\":2"),
        ("ListShards", json!({"MaxResults": 1}), "NextToken"),
        ("ListShards", json!({"ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": seconds}}), "shardId-000000000001"),
        ("PutRecord", json!({"Data": "AP8=", "PartitionKey": "a"}), "\"shardId-000000000000\""),
        (
            "PutRecords",
            json!({"Records": [{"Data": "", "PartitionKey": "a"}, {"Data": "eA==", "PartitionKey": "a", "ExplicitHashKey": half}]}),
            "\"FailedRecordCount\":0",
        ),
        ("GetShardIterator", json!({"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}), "ShardIterator"),
        (
            "GetShardIterator",
            json!({"ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": seconds as f64 - 0.5}),
            "ShardIterator",
        ),
        ("SplitShard", json!({"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "99"}), "null"),
        ("MergeShards", json!({"ShardToMerge": "shardId-2", "AdjacentShardToMerge": "shardId-3"}), "null"),
        ("UpdateShardCount", json!({"TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING"}), "\"CurrentShardCount\":2"),
        ("IncreaseStreamRetentionPeriod", json!({"RetentionPeriodHours": 48}), "null"),
        ("DecreaseStreamRetentionPeriod", json!({"RetentionPeriodHours": 24}), "null"),
        ("AddTagsToStream", json!({"Tags": {"team": "data", "x": ""}}), "null"),
        ("ListTagsForStream", json!({"Limit": 1}), "{\"Tags\":[{\"Key\":\"made\",\"Value\":\"here\"}],\"HasMoreTags\":true}"),
        ("RemoveTagsFromStream", json!({"TagKeys": ["x"]}), "null"),
        ("EnableEnhancedMonitoring", json!({"ShardLevelMetrics": ["ALL"]}), "IteratorAgeMilliseconds"),
        ("DisableEnhancedMonitoring", json!({"ShardLevelMetrics": ["ALL"]}), "\"DesiredShardLevelMetrics\":[]"),
        ("StopStreamEncryption", json!({"EncryptionType": kms}), "null"),
        ("StartStreamEncryption", json!({"EncryptionType": kms, "KeyId": "alias/k"}), "null"),
        ("StopStreamEncryption", json!({"EncryptionType": kms, "KeyId": "alias/k"}), "null"),
    ]
}

/// The same for those that take an ARN alone, or no stream.
fn other_calls() -> Vec<(&'static str, Value, &'static str)> {
    let mode = json!({"StreamMode": "PROVISIONED"});
    vec![
        ("ListStreams", json!({"Limit": 1}), "StreamSummaries"),
        ("DescribeLimits", json!({}), "\"OpenShardCount\":4"),
        ("DescribeAccountSettings", json!({}), "DISABLED"),
        ("UpdateStreamMode", json!({"StreamARN": ARN, "StreamModeDetails": mode}), "null"),
        ("UpdateMaxRecordSize", json!({"StreamARN": ARN, "MaxRecordSizeInKiB": 2048}), "null"),
        ("TagResource", json!({"ResourceARN": ARN, "Tags": {"y": "1"}}), "null"),
        ("ListTagsForResource", json!({"ResourceARN": ARN}), "\"Key\":\"y\""),
        ("UntagResource", json!({"ResourceARN": ARN, "TagKeys": ["y"]}), "null"),
        ("PutResourcePolicy", json!({"ResourceARN": ARN, "Policy": "{\"Version\":\"2012-10-17\"}"}), "null"),
        ("GetResourcePolicy", json!({"ResourceARN": ARN}), "2012-10-17"),
        ("DeleteResourcePolicy", json!({"ResourceARN": ARN}), "null"),
        ("RegisterStreamConsumer", json!({"StreamARN": ARN, "ConsumerName": "c", "Tags": {"a": "b"}}), "\"ConsumerName\":\"c\""),
        ("DescribeStreamConsumer", json!({"StreamARN": ARN, "ConsumerName": "c"}), "ACTIVE"),
        ("ListStreamConsumers", json!({"StreamARN": ARN, "MaxResults": 10}), "stream/s/consumer/c:1600000000"),
        ("DeregisterStreamConsumer", json!({"ConsumerARN": format!("{ARN}/consumer/c:{}", NOW.0 / 1000)}), "null"),
    ]
}

#[tokio::test]
async fn every_operation_takes_a_name_and_an_arn() {
    for (member, value) in [("StreamName", "s"), ("StreamARN", ARN)] {
        let kinesis = KinesisSettings { transition: std::time::Duration::ZERO, ..KinesisSettings::default() };
        let (_, router) = open(DoorSettings { kinesis, ..DoorSettings::default() });
        call(&router, "CreateStream", &json!({"StreamName": "s", "ShardCount": 2, "Tags": {"made": "here"}})).await;
        let named = calls().into_iter().map(|(operation, mut body, expected)| {
            body[member] = json!(value);
            (operation, body, expected)
        });
        for (operation, body, expected) in named.chain(other_calls()) {
            let answer = call(&router, operation, &body).await.to_string();
            assert!(answer.contains(expected), "{operation} {body}: {answer}");
        }
        let mut body = json!({"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
        body[member] = json!(value);
        let iterator = call(&router, "GetShardIterator", &body).await["ShardIterator"].clone();
        let page = call(&router, "GetRecords", &json!({"ShardIterator": iterator, "StreamARN": ARN, "Limit": 1})).await;
        assert_eq!((&page["Records"][0]["Data"], &page["Records"][0]["PartitionKey"]), (&json!("AP8="), &json!("a")));
        call(&router, "DeleteStream", &json!({(member): value, "EnforceConsumerDeletion": true})).await;
        assert_eq!(call(&router, "ListStreams", &json!({})).await["StreamNames"], json!([]));
    }
}

#[tokio::test]
async fn a_reset_deletes_the_streams_where_it_is_allowed() {
    for allow_reset in [false, true] {
        let kinesis = KinesisSettings { transition: Duration::ZERO, ..KinesisSettings::default() };
        let (log, router) = open(DoorSettings { kinesis, allow_reset, ..DoorSettings::default() });
        for stream in ["a", "b"] {
            call(&router, "CreateStream", &json!({"StreamName": stream, "ShardCount": 2})).await;
        }
        let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/a";
        call(&router, "RegisterStreamConsumer", &json!({"StreamARN": arn, "ConsumerName": "c"})).await;
        call(&router, "PutRecord", &json!({"StreamName": "b", "Data": "eA==", "PartitionKey": "k"})).await;
        log.create_topic(&TopicName::new("other").unwrap(), TopicSpec::default()).await.unwrap();
        let (status, _, answer) = send(&router, Request::post("/moto-api/reset").body(Body::empty()).unwrap()).await;
        let left = call(&router, "ListStreams", &json!({})).await["StreamNames"].clone();
        if allow_reset {
            assert_eq!((status.as_u16(), answer.as_str(), left), (200, "{\"status\":\"ok\"}", json!(["other"])));
            call(&router, "CreateStream", &json!({"StreamName": "a", "ShardCount": 1})).await;
            assert_eq!(call(&router, "ListStreamConsumers", &json!({"StreamARN": arn})).await["Consumers"], json!([]));
        } else {
            assert_eq!((status.as_u16(), left), (404, json!(["a", "b", "other"])));
        }
    }
}
