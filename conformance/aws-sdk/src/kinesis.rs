//! Streams, records, shards that are split and counted anew under a writer, and a subscription.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, Record, ScalingType, ShardIteratorType, StartingPosition, StreamStatus, SubscribeToShardEventStream,
};

use crate::until;

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";

fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

async fn create(client: &Client, name: &str, shards: i32) {
    client.create_stream().stream_name(name).shard_count(shards).send().await.unwrap();
    active(client, name).await;
}

async fn active(client: &Client, name: &str) {
    until(&format!("{name} is ACTIVE"), async || {
        let summary = client.describe_stream_summary().stream_name(name).send().await.unwrap();
        summary.stream_description_summary().unwrap().stream_status() == &StreamStatus::Active
    })
    .await;
}

async fn iterator(client: &Client, name: &str, shard: &str) -> Option<String> {
    let asked = client.get_shard_iterator().stream_name(name).shard_id(shard);
    asked.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap().shard_iterator
}

/// All records of a stream with their shards: a child is read when all its parents are.
async fn read_all(client: &Client, name: &str, enough: usize) -> Vec<(String, Record)> {
    let shards = client.list_shards().stream_name(name).send().await.unwrap();
    let mut at = BTreeMap::new();
    for shard in shards.shards().iter().filter(|shard| shard.parent_shard_id().is_none()) {
        at.insert(shard.shard_id().to_owned(), iterator(client, name, shard.shard_id()).await);
    }
    let (mut ended, mut records) = (BTreeSet::new(), Vec::new());
    until(&format!("{enough} records of {name} are read"), async || {
        for (shard, from) in at.clone() {
            let Some(from) = from else { continue };
            let page = client.get_records().shard_iterator(from).send().await.unwrap();
            records.extend(page.records().iter().map(|record| (shard.clone(), record.clone())));
            at.insert(shard.clone(), page.next_shard_iterator().map(str::to_owned));
            if page.next_shard_iterator().is_some() {
                continue;
            }
            ended.insert(shard.clone());
            for child in page.child_shards() {
                if child.parent_shards().iter().all(|parent| ended.contains(parent)) && !at.contains_key(child.shard_id()) {
                    at.insert(child.shard_id().to_owned(), iterator(client, name, child.shard_id()).await);
                }
            }
        }
        records.len() >= enough
    })
    .await;
    assert_eq!(records.len(), enough, "records of {name}");
    records
}

pub(crate) async fn streams(client: &Client) {
    let name = "rust-streams";
    create(client, name, 2).await;
    let told = client.describe_stream().stream_arn(format!("{ARN}{name}")).send().await.unwrap().stream_description.unwrap();
    assert_eq!((told.stream_name(), told.shards().len(), told.has_more_shards()), (name, 2, false));
    assert!(told.stream_creation_timestamp().secs() > 1_500_000_000);
    let twice = client.create_stream().stream_name(name).shard_count(1).send().await.unwrap_err().into_service_error();
    assert!(twice.is_resource_in_use_exception(), "{twice:?}");
    assert_eq!(twice.message(), Some("Stream rust-streams under account 123456789012 already exists."));
    client.add_tags_to_stream().stream_name(name).tags("team", "data").send().await.unwrap();
    let tags = client.list_tags_for_stream().stream_name(name).send().await.unwrap();
    assert_eq!(tags.tags().iter().map(|tag| (tag.key(), tag.value())).collect::<Vec<_>>(), [("team", Some("data"))]);
    let mut names = client.list_streams().into_paginator().page_size(1).send();
    let mut found = BTreeSet::new();
    while let Some(page) = names.next().await {
        found.extend(page.unwrap().stream_names);
    }
    assert!(found.contains(name), "{found:?}");
    client.delete_stream().stream_name(name).send().await.unwrap();
    until("the stream is gone", async || {
        let asked = client.describe_stream_summary().stream_name(name).send().await;
        asked.is_err_and(|error| error.into_service_error().is_resource_not_found_exception())
    })
    .await;
}

pub(crate) async fn records(client: &Client) {
    let name = "rust-records";
    create(client, name, 3).await;
    let data = |number: usize| [every_byte(), number.to_string().into_bytes()].concat();
    let entry = |number| PutRecordsRequestEntry::builder().data(Blob::new(data(number))).partition_key(format!("ключ {number}"));
    let entries: Vec<_> = (0..200).map(|number| entry(number).build().unwrap()).collect();
    let put = client.put_records().stream_name(name).set_records(Some(entries)).send().await.unwrap();
    assert_eq!((put.failed_record_count(), put.records().len()), (Some(0), 200));
    let numbers =
        put.records().iter().map(|place| (place.shard_id().unwrap().to_owned(), place.sequence_number().unwrap().to_owned()));
    let wanted: BTreeMap<_, _> = numbers.zip(0..).collect();
    assert_eq!(wanted.len(), 200);
    for (shard, record) in read_all(client, name, 200).await {
        let number = wanted[&(shard, record.sequence_number().to_owned())];
        assert_eq!(record.partition_key(), Some(format!("ключ {number}").as_str()));
        assert_eq!(record.data().as_ref(), data(number));
        assert!(record.approximate_arrival_timestamp().unwrap().secs() > 1_500_000_000);
    }
}

pub(crate) async fn resharding(client: &Client) {
    let name = "rust-resharding";
    create(client, name, 1).await;
    let mut written = 0;
    for step in 0..4 {
        match step {
            1 => {
                let split = client.split_shard().stream_name(name).shard_to_split("shardId-000000000000");
                split.new_starting_hash_key((1_u128 << 127).to_string()).send().await.unwrap();
            }
            2 => {
                let merge = client.merge_shards().stream_name(name).shard_to_merge("shardId-000000000001");
                merge.adjacent_shard_to_merge("shardId-000000000002").send().await.unwrap();
            }
            3 => {
                let count = client.update_shard_count().stream_name(name).target_shard_count(2);
                let told = count.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
                assert_eq!((told.current_shard_count(), told.target_shard_count()), (Some(1), Some(2)));
            }
            _ => {}
        }
        // A stream takes records while its shards change.
        for _ in 0..35 {
            let put = client.put_record().stream_name(name).data(Blob::new(written.to_string()));
            put.partition_key(format!("key-{}", written % 7)).send().await.unwrap();
            written += 1;
        }
        active(client, name).await;
    }
    let mut of_keys: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, record) in read_all(client, name, written).await {
        let number = String::from_utf8(record.data().as_ref().to_vec()).unwrap().parse().unwrap();
        of_keys.entry(record.partition_key().unwrap().to_owned()).or_default().push(number);
    }
    for key in 0..7 {
        assert_eq!(of_keys[&format!("key-{key}")], (key..written).step_by(7).collect::<Vec<_>>(), "key-{key}");
    }
}

/// A consumer subscribes to a shard; what is put before and since comes once, and then the shard's children.
pub(crate) async fn subscription(client: &Client) {
    let name = "rust-subscription";
    create(client, name, 1).await;
    let put = async |text: &str| {
        client.put_record().stream_name(name).data(Blob::new(text)).partition_key("k").send().await.unwrap();
    };
    put("before").await;
    let consumer = client.register_stream_consumer().stream_arn(format!("{ARN}{name}")).consumer_name("c").send().await.unwrap();
    let consumer = consumer.consumer().unwrap().consumer_arn().to_owned();
    until("the consumer is ACTIVE", async || {
        let told = client.describe_stream_consumer().consumer_arn(&consumer).send().await.unwrap();
        told.consumer_description().unwrap().consumer_status().as_str() == "ACTIVE"
    })
    .await;
    let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().unwrap();
    let subscribe = client.subscribe_to_shard().consumer_arn(&consumer).shard_id("shardId-000000000000");
    let mut events = subscribe.starting_position(start).send().await.unwrap().event_stream;
    let (mut read, mut children) = (Vec::new(), Vec::new());
    let work = async {
        while let Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) = events.recv().await.unwrap() {
            read.extend(event.records().iter().map(|record| String::from_utf8(record.data().as_ref().to_vec()).unwrap()));
            match read.len() {
                // In quiet, events without records come now and then.
                1 if !event.records().is_empty() => put("since").await,
                2 if event.child_shards().is_empty() && !event.records().is_empty() => {
                    let split = client.split_shard().stream_name(name).shard_to_split("shardId-000000000000");
                    split.new_starting_hash_key("7").send().await.unwrap();
                }
                _ => {}
            }
            children.extend(event.child_shards().iter().map(|child| child.shard_id().to_owned()));
            if !children.is_empty() {
                break;
            }
        }
    };
    tokio::time::timeout(crate::WAIT, work).await.expect("the shard's end comes");
    assert_eq!(read, ["before", "since"]);
    assert_eq!(children, ["shardId-000000000001", "shardId-000000000002"]);
}
