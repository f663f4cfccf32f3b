//! What no client sends: the connection ends, nobody else is the worse, and no room is set aside for what is only claimed.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeConfigsRequest, DescribeConfigsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, GroupId, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use pinlake_core::{Log, MemoryLog, TopicName as Topic, TopicSpec};
use pinlake_ingest::kafka::KafkaSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::client::{Client, Served, batch, broker};
use super::records::{placed, produce};
use crate::concurrency::Gated;
use crate::server::FOREVER;

async fn ask(client: &mut Client) -> usize {
    let answer: MetadataResponse = client.call(ApiKey::Metadata, 9, &MetadataRequest::default().with_topics(None)).await;
    answer.brokers.len()
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    // Key 18, version 99, correlation 5, and a header that nobody knows.
    client.stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff]).await.unwrap();
    let mut frame = client.frame().await.unwrap();
    assert_eq!(frame.split_to(4)[..], [0, 0, 0, 5], "the header is version 0's: a correlation id and no tags");
    let answer = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert!(frame.is_empty());
    assert_eq!(answer.error_code, 35);
    let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!((produce.min_version, produce.max_version), (0, 11));
    assert_eq!(ask(&mut client).await, 1, "the connection goes on");
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    for version in 0..=4 {
        let answer: ApiVersionsResponse = client
            .call(ApiKey::ApiVersions, version, &if version < 3 { ApiVersionsRequest::default() } else { request.clone() })
            .await;
        assert_eq!((answer.error_code, answer.api_keys.len()), (0, 37));
    }
}

#[tokio::test]
async fn what_is_no_request_ends_its_connection_and_no_other() {
    let served = Served::start().await;
    let mut other = served.connect().await;
    let frame = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    let head = |key: u8, version: u8| [0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("a negative length", vec![0xff, 0xff, 0xff, 0xff]),
        ("a length over the limit", (200_u32 << 20).to_be_bytes().to_vec()),
        ("no header", frame(&[0, 3])),
        ("an unknown API", frame(&[&head(200, 0)[..], &[0; 8]].concat())),
        ("Produce of a version that was never served", frame(&[&head(0, 2)[..], &[0; 8]].concat())),
        ("a version to come", frame(&[&head(3, 99)[..], &[0; 8]].concat())),
        ("2^31 - 1 topics", frame(&[&head(3, 4)[..], &[0x7f, 0xff, 0xff, 0xff, 1]].concat())),
        ("2^32 topics, compact", frame(&[&head(3, 9)[..], &[0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1, 0]].concat())),
        ("a text that goes on past the end", frame(&[&head(10, 0)[..], &[0x7f, 0xff, b'g']].concat())),
        ("a text that is no UTF-8", frame(&[&head(10, 0)[..], &[0, 2, 0xc3, 0x28]].concat())),
    ];
    for (what, bytes) in cases {
        let mut client = served.connect().await;
        client.stream.write_all(&bytes).await.unwrap();
        let end = timeout(FOREVER, client.frame()).await;
        assert!(end.unwrap_or_else(|_| panic!("{what}: the connection stays open")).is_none(), "{what}");
        assert_eq!(ask(&mut other).await, 1, "after {what}");
    }
}

/// As librdkafka 2.16 asks for all topics: the array of topics takes four bytes, where one would do.
#[tokio::test]
async fn bytes_behind_a_request_are_passed_over() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let head = [0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0];
    let body = [0, 0, 0, 0, 1, 0, 0];
    client.stream.write_all(&[&[0, 0, 0, 18][..], &head, &body].concat()).await.unwrap();
    let mut frame = client.frame().await.expect("the broker answers");
    assert_eq!(frame.split_to(5)[..], [0, 0, 0, 1, 0], "a correlation id and no tags");
    let answer = MetadataResponse::decode(&mut frame, 12).unwrap();
    assert!(answer.topics.iter().any(|topic| topic.name.as_ref().is_some_and(|name| &***name == "t")), "all topics are told");
    assert_eq!(ask(&mut client).await, 1, "the connection goes on");
}

/// A few bytes name a topic, and its description may take a megabyte: what a request names again is not told again.
#[tokio::test]
async fn what_is_named_a_thousand_times_is_told_once() {
    const TIMES: usize = 1000;
    let served = Served::start().await;
    let mut client = served.connect().await;
    let text = |text| StrBytes::from_static_str(text);
    let (t, g) = (TopicName(text("t")), GroupId(text("g")));

    let topic = MetadataRequestTopic::default().with_name(Some(t.clone()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic; TIMES]));
    let answer: MetadataResponse = client.call(ApiKey::Metadata, 12, &request).await;
    assert_eq!((answer.topics.len(), answer.topics[0].partitions.len()), (1, 2));
    let id = answer.topics[0].topic_id;
    let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    let request = MetadataRequest::default().with_topics(Some(vec![topic; TIMES]));
    let answer: MetadataResponse = client.call(ApiKey::Metadata, 12, &request).await;
    assert_eq!((answer.topics.len(), answer.topics[0].name.as_ref()), (1, Some(&t)));

    let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; TIMES]);
    let answer: DescribeConfigsResponse = client.call(ApiKey::DescribeConfigs, 4, &request).await;
    assert_eq!((answer.results.len(), answer.results[0].configs.is_empty()), (1, false));

    let request = DescribeGroupsRequest::default().with_groups(vec![g.clone(); TIMES]);
    let answer: DescribeGroupsResponse = client.call(ApiKey::DescribeGroups, 5, &request).await;
    assert_eq!(answer.groups.len(), 1);

    let group = OffsetFetchRequestGroup::default().with_group_id(g).with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![group; TIMES]);
    let answer: OffsetFetchResponse = client.call(ApiKey::OffsetFetch, 9, &request).await;
    assert_eq!(answer.groups.len(), 1);

    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text("t")); TIMES]);
    let answer: DescribeTransactionsResponse = client.call(ApiKey::DescribeTransactions, 0, &request).await;
    assert_eq!(answer.transaction_states.len(), 1);

    let topic = TopicRequest::default().with_name(t.clone()).with_partition_indexes(vec![0, 1, 0, 1]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic; TIMES]);
    let answer: DescribeProducersResponse = client.call(ApiKey::DescribeProducers, 0, &request).await;
    let told: Vec<i32> = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|one| one.partition_index)).collect();
    assert_eq!(told, [0, 1]);

    // Kafka refuses it here.
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(0);
    let topic = ListOffsetsTopic::default().with_name(t).with_partitions(vec![partition; 3]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let answer: ListOffsetsResponse = client.call(ApiKey::ListOffsets, 7, &request).await;
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(codes, [0, 42, 42]);
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let served = Served::start_with(KafkaSettings { connections_max: 1, ..KafkaSettings::default() }).await;
    let mut first = served.connect().await;
    assert_eq!(ask(&mut first).await, 1);
    let mut second = served.connect().await;
    assert!(timeout(FOREVER, second.frame()).await.unwrap().is_none());
    assert_eq!(ask(&mut first).await, 1);
}

/// A client that announces a request and sends nothing takes room for as long as it may, and then the others go on.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_is_cut_off() {
    let served = Served::start_with(KafkaSettings { inflight_bytes_max: 1 << 20, ..KafkaSettings::default() }).await;
    let mut slow = served.connect().await;
    slow.stream.write_all(&(1_u32 << 20).to_be_bytes()).await.unwrap();
    slow.stream.write_all(&[0; 100]).await.unwrap();
    assert!(slow.frame().await.is_none(), "after its time it is cut off");
    assert_eq!(ask(&mut served.connect().await).await, 1);
}

/// While its first answer can't be written, nobody looks after what else it has sent: the room that all appends share must come back all the
/// same.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_its_answers_keeps_no_room_of_others() {
    let (small, large) = (batch(&["a"], 1), batch(&[&"x".repeat(1000)], 1));
    let settings = KafkaSettings { appending_bytes_max: large.bytes().len(), ..KafkaSettings::default() };
    let log = Gated::new();
    log.create_topic(&Topic::new("t").unwrap(), TopicSpec::with_partitions(2)).await.unwrap();
    let broker = broker(log.clone(), Arc::new(MemoryLog::new()), settings).await;
    // Less than an answer.
    let mut deaf = Client::to(&broker, 16);
    for partition in [0, 1] {
        deaf.send(ApiKey::Produce, 7, &produce("t", partition, -1, &small)).await;
        log.arrived(1).await;
    }
    log.gate.add_permits(1);
    deaf.stream.read_u8().await.expect("the server begins to write the first answer, and can't end it");
    // The other append of the client that reads nothing, and that of one that does, which needs all room.
    log.gate.add_permits(2);
    let mut other = Client::to(&broker, 64 << 10);
    let request = produce("t", 0, -1, &large);
    let answer = other.call(ApiKey::Produce, 7, &request);
    let answer = timeout(FOREVER, answer).await.expect("another client's append has room");
    assert_eq!(placed(&answer), (0, 1));
}
