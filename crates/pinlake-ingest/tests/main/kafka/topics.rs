//! Topics and their settings, as administrators' tools ask for them.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource as OldResource, AlterableConfig as OldConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, ApiKey, BrokerId, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    MetadataRequest, MetadataResponse, TopicName as WireName,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Log, Offset, TopicName};
use pinlake_ingest::kafka::KafkaSettings;

use super::client::{Client, Served, batch};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(topic: &str) -> WireName {
    WireName(text(topic))
}

fn config(name: &str, value: &str) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
}

fn topic(topic: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(replicas)
}

async fn create(client: &mut Client, topic: CreatableTopic) -> i16 {
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000);
    let answer: CreateTopicsResponse = client.call(ApiKey::CreateTopics, 7, &request).await;
    answer.topics[0].error_code
}

async fn names(client: &mut Client) -> Vec<String> {
    let answer: MetadataResponse = client.call(ApiKey::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
    answer.topics.iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect()
}

#[tokio::test]
async fn metadata_names_the_address_that_the_client_has_found_unless_one_is_advertised() {
    let advertised = Some(("broker.example".to_owned(), 1234));
    for (settings, host) in
        [(KafkaSettings::default(), None), (KafkaSettings { advertised, ..KafkaSettings::default() }, Some("broker.example"))]
    {
        let served = Served::start_with(settings).await;
        let mut client = served.connect().await;
        let expected = host.map_or(("127.0.0.1".to_owned(), i32::from(served.address.port())), |host| (host.to_owned(), 1234));
        for version in 0..=12 {
            let topics = (version > 0).then(Vec::new);
            let request = MetadataRequest::default().with_topics(topics.or(Some(Vec::new())));
            let answer: MetadataResponse = client.call(ApiKey::Metadata, version, &request).await;
            assert_eq!((answer.brokers[0].host.to_string(), answer.brokers[0].port), expected, "version {version}");
            assert_eq!(answer.topics.len(), if version == 0 { 1 } else { 0 }, "an empty list asks for all in version 0 alone");
        }
        let answer: DescribeClusterResponse = client.call(ApiKey::DescribeCluster, 1, &DescribeClusterRequest::default()).await;
        assert_eq!((answer.brokers[0].host.to_string(), answer.brokers[0].port), expected);
        for version in 0..=4 {
            let request = if version < 4 {
                FindCoordinatorRequest::default().with_key(text("g"))
            } else {
                FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")])
            };
            let answer: FindCoordinatorResponse = client.call(ApiKey::FindCoordinator, version, &request).await;
            let found = answer
                .coordinators
                .first()
                .map_or((answer.host.to_string(), answer.port), |one| (one.host.to_string(), one.port));
            assert_eq!(found, expected, "version {version}");
        }
    }
}

#[tokio::test]
async fn metadata_creates_what_its_rule_allows_if_the_client_does() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let ask = |names: &[&str], creates| {
        let topics = names.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic)))).collect();
        MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(creates)
    };
    for (version, asked, creates, expected) in
        [(9, "auto.a", false, 3), (9, "auto.a", true, 0), (9, "other", true, 3), (9, "no/name", true, 17), (0, "auto.b", true, 0)]
    {
        let answer: MetadataResponse = client.call(ApiKey::Metadata, version, &ask(&[asked], creates)).await;
        assert_eq!(answer.topics[0].error_code, expected, "{asked} in version {version}, creates: {creates}");
        assert_eq!(answer.topics[0].partitions.len(), if expected == 0 { 3 } else { 0 });
    }
    let id = served.log.topic(&TopicName::new("t").unwrap()).await.unwrap().id.0;
    for (id, code) in [(id, 0), (uuid::Uuid::from_u128(1), 100)] {
        let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
        let answer: MetadataResponse =
            client.call(ApiKey::Metadata, 12, &MetadataRequest::default().with_topics(Some(vec![topic]))).await;
        assert_eq!(answer.topics[0].error_code, code);
    }
}

#[tokio::test]
async fn topics_are_created_and_deleted_and_nonsense_is_refused() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let assigned = |brokers: &[i32]| {
        let of = |(number, broker): (i32, &i32)| {
            CreatableReplicaAssignment::default().with_partition_index(number).with_broker_ids(vec![BrokerId(*broker)])
        };
        topic("assigned", -1, -1).with_assignments((0..).zip(brokers).map(of).collect())
    };
    let cases = [
        (topic("a", 3, 1), 0),
        (topic("b", -1, -1), 0),
        (topic("c", 1, 3), 0),
        (topic("a", 3, 1), 36),
        (topic("no/name", 1, 1), 17),
        (topic("d", 0, 1), 37),
        (topic("d", 20_000, 1), 37),
        (topic("d", 1, 0), 38),
        (assigned(&[1, 1]), 0),
        (assigned(&[2]), 39),
        (topic("d", 1, 1).with_configs(vec![config("retention.ms", "x")]), 40),
        (topic("d", 1, 1).with_configs(vec![config("cleanup.policy", "compact")]), 40),
        (topic("d", 1, 1).with_configs(vec![config("no.such", "1")]), 40),
        (topic("d", 1, 1).with_configs(vec![config("segment.bytes", "many")]), 40),
        (topic("e", 1, 1).with_configs(vec![config("retention.ms", "-1"), config("cleanup.policy", "delete")]), 0),
        (topic("kept", 1, 1).with_configs(vec![config("segment.bytes", "20000"), config("compression.type", "lz4")]), 0),
    ];
    for (topic, code) in cases {
        let shown = format!("{topic:?}");
        assert_eq!(create(&mut client, topic).await, code, "{shown}");
    }
    let spec = served.log.topic(&TopicName::new("e").unwrap()).await.unwrap().spec;
    assert_eq!((spec.partitions, spec.retention_ms), (1, None));
    let only_asked = CreateTopicsRequest::default().with_topics(vec![topic("f", 1, 1)]).with_validate_only(true);
    let answer: CreateTopicsResponse = client.call(ApiKey::CreateTopics, 4, &only_asked).await;
    assert_eq!(answer.topics[0].error_code, 0);
    assert_eq!(names(&mut client).await, ["a", "assigned", "b", "c", "e", "kept", "t"]);

    let id = served.log.topic(&TopicName::new("b").unwrap()).await.unwrap().id.0;
    let by_name = DeleteTopicsRequest::default().with_topic_names(vec![name("a"), name("a"), name("__consumer_offsets")]);
    let answer: DeleteTopicsResponse = client.call(ApiKey::DeleteTopics, 5, &by_name).await;
    assert_eq!(answer.responses.iter().map(|one| one.error_code).collect::<Vec<_>>(), [0, 3, 17]);
    let topics = vec![
        DeleteTopicState::default().with_name(None).with_topic_id(id),
        DeleteTopicState::default().with_name(Some(name("c"))),
    ];
    let answer: DeleteTopicsResponse =
        client.call(ApiKey::DeleteTopics, 6, &DeleteTopicsRequest::default().with_topics(topics)).await;
    assert_eq!(answer.responses.iter().map(|one| one.error_code).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(names(&mut client).await, ["assigned", "e", "kept", "t"]);
}

#[tokio::test]
async fn partitions_are_added_and_never_taken_away() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    for (topic, count, code) in [("t", 2, 37), ("t", 1, 37), ("t", 5, 0), ("nowhere", 5, 3), ("__consumer_offsets", 2, 17)] {
        let topics = vec![CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(None)];
        let request = CreatePartitionsRequest::default().with_topics(topics);
        let answer: CreatePartitionsResponse = client.call(ApiKey::CreatePartitions, 3, &request).await;
        assert_eq!(answer.results[0].error_code, code, "{topic} {count}");
    }
    assert_eq!(served.log.topic(&TopicName::new("t").unwrap()).await.unwrap().spec.partitions, 5);
}

/// Name, value, source and whether it is read-only of the settings that were changed by somebody.
async fn changed(client: &mut Client) -> Vec<(String, String)> {
    let resource =
        DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t")).with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    let answer: DescribeConfigsResponse = client.call(ApiKey::DescribeConfigs, 4, &request).await;
    assert_eq!(answer.results[0].configs.len(), 23);
    let by_somebody = answer.results[0].configs.iter().filter(|entry| entry.config_source == 1);
    by_somebody.map(|entry| (entry.name.to_string(), entry.value.as_ref().unwrap().to_string())).collect()
}

#[tokio::test]
async fn settings_are_shown_and_changed() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    assert_eq!(changed(&mut client).await, []);
    let cases: [(&str, i8, Option<&str>, i16); 11] = [
        ("retention.ms", 0, Some("1000"), 0),
        ("message.timestamp.type", 0, Some("LogAppendTime"), 0),
        ("max.message.bytes", 0, Some("1"), 40),
        ("retention.bytes", 0, Some("-2"), 40),
        ("min.insync.replicas", 0, Some("2"), 40),
        ("min.insync.replicas", 0, Some("1"), 0),
        ("segment.ms", 0, Some("60000"), 0),
        ("segment.ms", 0, Some("soon"), 40),
        ("unclean.leader.election.enable", 0, Some("yes"), 40),
        ("retention.ms", 2, Some("1"), 40),
        ("no.such", 1, None, 40),
    ];
    for (setting, operation, value, code) in cases {
        let config =
            AlterableConfig::default().with_name(text(setting)).with_config_operation(operation).with_value(value.map(text));
        let resource =
            AlterConfigsResource::default().with_resource_type(2).with_resource_name(text("t")).with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer: IncrementalAlterConfigsResponse = client.call(ApiKey::IncrementalAlterConfigs, 1, &request).await;
        assert_eq!(answer.responses[0].error_code, code, "{setting} = {value:?}");
    }
    let set = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "1000")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(changed(&mut client).await, set);
    let config = OldConfig::default().with_name(text("retention.bytes")).with_value(Some(text("5")));
    let resource = OldResource::default().with_resource_type(2).with_resource_name(text("t")).with_configs(vec![config]);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let answer: AlterConfigsResponse = client.call(ApiKey::AlterConfigs, 2, &request).await;
    assert_eq!(answer.responses[0].error_code, 0);
    assert_eq!(changed(&mut client).await, [("retention.bytes".to_owned(), "5".to_owned())], "the older API resets the rest");
    let broker =
        DescribeConfigsResource::default().with_resource_type(4).with_resource_name(text("1")).with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![broker]);
    let answer: DescribeConfigsResponse = client.call(ApiKey::DescribeConfigs, 1, &request).await;
    assert!(answer.results[0].configs.iter().any(|entry| &*entry.name == "num.partitions"));
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let to = TopicName::new("t").unwrap().partition(0);
    served.log.append(&to, batch(&["a", "b", "c"], 1)).await.unwrap();
    for (offset, expected) in [(2, (0, 2)), (1, (0, 2)), (9, (1, -1)), (-1, (0, 3))] {
        let partitions = vec![DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset)];
        let topics = vec![DeleteRecordsTopic::default().with_name(name("t")).with_partitions(partitions)];
        let request = DeleteRecordsRequest::default().with_topics(topics);
        let answer: DeleteRecordsResponse = client.call(ApiKey::DeleteRecords, 2, &request).await;
        let found = &answer.topics[0].partitions[0];
        assert_eq!((found.error_code, found.low_watermark), expected, "up to {offset}");
    }
    assert_eq!(served.log.range(&to).await.unwrap().start, Offset(3));
}

#[tokio::test]
async fn topics_are_described_a_page_at_a_time() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    create(&mut client, topic("u", 3, 1)).await;
    let topics = ["u", "t", "nowhere"].map(|topic| TopicRequest::default().with_name(name(topic))).to_vec();
    let mut request =
        DescribeTopicPartitionsRequest::default().with_topics(topics).with_response_partition_limit(3).with_cursor(None);
    let mut pages = Vec::new();
    loop {
        let answer: DescribeTopicPartitionsResponse = client.call(ApiKey::DescribeTopicPartitions, 0, &request).await;
        let shown = answer.topics.iter().map(|topic| {
            let numbers: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            format!("{} {} {numbers:?}", topic.name.as_ref().unwrap().as_str(), topic.error_code)
        });
        pages.push(shown.collect::<Vec<_>>().join(", "));
        let Some(next) = answer.next_cursor else { break };
        let cursor = kafka_protocol::messages::describe_topic_partitions_request::Cursor::default();
        request.cursor = Some(cursor.with_topic_name(next.topic_name).with_partition_index(next.partition_index));
    }
    assert_eq!(pages, ["nowhere 3 [], t 0 [0, 1], u 0 [0]", "u 0 [1, 2]"]);
}

/// Bit 8 is to describe: whatever it is, who may do everything may do that.
#[tokio::test]
async fn what_a_client_may_do_is_told_if_it_asks() {
    const NOT_ASKED: i32 = i32::MIN;
    let served = Served::start().await;
    let mut client = served.connect().await;
    for asked in [false, true] {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_include_topic_authorized_operations(asked)
            .with_include_cluster_authorized_operations(asked);
        let metadata: MetadataResponse = client.call(ApiKey::Metadata, 8, &request).await;
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(asked);
        let cluster: DescribeClusterResponse = client.call(ApiKey::DescribeCluster, 0, &request).await;
        let groups = vec![GroupId(text("g"))];
        let request = DescribeGroupsRequest::default().with_groups(groups).with_include_authorized_operations(asked);
        let groups: DescribeGroupsResponse = client.call(ApiKey::DescribeGroups, 5, &request).await;
        let topic = metadata.topics.last().unwrap().topic_authorized_operations;
        let told = [
            topic,
            metadata.cluster_authorized_operations,
            cluster.cluster_authorized_operations,
            groups.groups[0].authorized_operations,
        ];
        let expected = if asked { [8, 7, 7, 3].map(Some) } else { [None; 4] };
        let counted = told.map(|set| (set != NOT_ASKED).then(|| set.count_ones()));
        assert_eq!(counted, expected, "asked: {asked}");
        assert!(!asked || told.iter().all(|set| set & (1 << 8) != 0));
    }
}
