//! What fuzz targets start from: inputs that lead far into what they call.

use kafka_protocol::messages::ApiKey;

use crate::aws::read;
use crate::kafka::testing;
use crate::kinesis;

/// What a server holds of groups, transactions and streams, one record a line.
pub(super) const STATE: &str = concat!(
    r#"{"group":{"group":"t","at_ms":1600000000000,"members":{"generation":1,"protocol_type":"t","protocol":"t","leader":"t","members":[{"#,
    r#""member_id":"t","group_instance_id":"t","client_id":"t","client_host":"/t","session_timeout_ms":60000,"rebalance_timeout_ms":60000,"#,
    r#""protocols":[{"name":"t","metadata":"AAE="}],"assignment":"AAE="}]}}}"#,
    "\n",
    r#"{"offsets":{"group":"t","offsets":[{"topic":"t","partition":1,"offset":1,"metadata":"t","at_ms":1600000000000}]}}"#,
    "\n",
    r#"{"producer_ids":{"end":1000}}"#,
    "\n",
    r#"{"transaction":{"id":"t","is":{"producer":{"id":1,"epoch":1},"timeout_ms":60000,"state":"ongoing","partitions":["#,
    r#"{"topic":"t","partition":1}],"groups":["t"],"started_at_ms":1600000000000,"changed_at_ms":1600000000000}}}"#,
);

const MORE_STATE: &str = concat!(
    "\"snapshot_begin\"\n",
    r#"{"snapshot":{"offsets":{"group":"u","offsets":[{"topic":"t","partition":0,"offset":7,"leader_epoch":3,"at_ms":1,"from":2}]}}}"#,
    "\n",
    r#"{"snapshot_end":{"parts":1}}"#,
    "\n",
    r#"{"staged":{"producer":1,"epoch":1,"group":"t","offsets":[{"topic":"t","partition":1,"offset":5,"at_ms":1}]}}"#,
    "\n",
    r#"{"finished":{"producer":1,"commit":true}}"#,
    "\n",
    r#"{"offsets_deleted":{"group":"t","partitions":[{"topic":"t","partition":1}]}}"#,
    "\n",
    r#"{"topic_deleted":{"topic":"t"}}"#,
    "\n",
    r#"{"group_deleted":{"group":"t"}}"#,
    "\n",
    r#"{"transaction":{"id":"u","is":{"producer":{"id":2,"epoch":32766},"previous":{"id":2,"epoch":1},"timeout_ms":1,"#,
    r#""state":"prepare_commit","partitions":[{"topic":"t","partition":0}],"groups":["t"],"changed_at_ms":1}}}"#,
    "\n",
    r#"{"forgotten":{"id":"u"}}"#,
    "\n",
    r#"{"stream":{"is":{"name":"t","topic":"00000000-0000-4000-8000-000000000000","created_ms":1,"mode":"PROVISIONED","changing":{"how":"#,
    r#""deleting","until_ms":1},"shards":[{"start":"0","end":"340282366920938463463374607431768211455","created_ms":1,"second":0,"closed":{"#,
    r#""at_ms":1,"last":0}},{"parent":0,"start":"0","end":"4","created_ms":1,"second":1},{"parent":0,"start":"5","end":"#,
    r#""340282366920938463463374607431768211455","created_ms":1,"second":1}],"tags":{"a":"b"},"consumers":[{"name":"c","created_ms":1}]}}}"#,
    "\n",
    r#"{"gone":{"stream":"t","topic":"00000000-0000-4000-8000-000000000000"}}"#,
    "\n",
    r#"{"key":{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}"#,
);

/// Inputs of [`super::any_state`].
pub fn state() -> Vec<Vec<u8>> {
    let all = format!("{STATE}\n{MORE_STATE}");
    [STATE, MORE_STATE, &all].into_iter().chain(MORE_STATE.lines()).map(|lines| lines.as_bytes().to_vec()).collect()
}

/// Inputs of [`super::any_requests`].
pub fn requests() -> Vec<Vec<u8>> {
    let batches = pinlake_core::testing::any_batch::seeds();
    let in_transaction = &batches[1];
    let mut seeds = Vec::new();
    for number in [0, 1] {
        let made = testing::requests("t", number, in_transaction);
        seeds.extend(made.iter().map(|(_, _, request)| input(0, &[request])));
        let newest =
            |key: ApiKey| made.iter().filter(|made| made.0 == key).map(|made| &made.2[..]).next_back().unwrap_or_default();
        let transaction = [
            ApiKey::InitProducerId,
            ApiKey::AddPartitionsToTxn,
            ApiKey::Produce,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn,
            ApiKey::Fetch,
        ];
        let group = [ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat, ApiKey::OffsetCommit, ApiKey::LeaveGroup];
        let topic =
            [ApiKey::DeleteRecords, ApiKey::CreatePartitions, ApiKey::DeleteTopics, ApiKey::CreateTopics, ApiKey::Produce];
        seeds.extend(
            [&transaction[..], &group, &topic].map(|keys| input(0, &keys.iter().map(|key| newest(*key)).collect::<Vec<_>>())),
        );
    }
    for batch in &batches {
        let made = testing::requests("t", 1, batch);
        let produce = made.iter().find(|made| (made.0, made.1) == (ApiKey::Produce, 9));
        seeds.extend(produce.map(|made| input(0, &[&made.2])));
    }
    seeds.extend(logins());
    seeds
}

/// A handshake and what follows it.
fn logins() -> impl Iterator<Item = Vec<u8>> {
    let logins = [("PLAIN", &b"\0t\0t"[..]), ("SCRAM-SHA-256", b"n,,n=t,r=abc"), ("SCRAM-SHA-512", b"n,,n=t,r=abc")];
    logins.into_iter().map(|(mechanism, message)| {
        let made = testing::requests(mechanism, 0, message);
        let of = |key| made.iter().find(|made| made.0 == key).map(|made| &made.2[..]).unwrap_or_default();
        input(1, &[of(ApiKey::SaslHandshake), of(ApiKey::SaslAuthenticate), of(ApiKey::Metadata)])
    })
}

fn input(first: u8, requests: &[&[u8]]) -> Vec<u8> {
    let mut input = vec![first];
    for request in requests {
        input.extend_from_slice(&u16::try_from(request.len()).unwrap_or(u16::MAX).to_be_bytes());
        input.extend_from_slice(request);
    }
    input
}

/// Inputs of [`super::any_connection`].
pub fn connection() -> Vec<Vec<u8>> {
    let made = testing::requests("t", 1, &pinlake_core::testing::any_batch::seeds()[0]);
    let framed = |request: &[u8]| [&u32::try_from(request.len()).unwrap_or(0).to_be_bytes()[..], request].concat();
    let one_of_each = made.chunk_by(|one, other| one.0 == other.0).filter_map(<[_]>::last);
    one_of_each.map(|(_, _, request)| framed(request)).collect()
}

/// Inputs of [`super::any_aws_input`]: each in JSON and in CBOR.
pub fn aws_input() -> Vec<Vec<u8>> {
    let kinesis = kinesis::MODEL.operations().len();
    let seeds = super::aws_operations().into_iter().enumerate().flat_map(|(number, operation)| {
        // Both have a PutRecord.
        let table = if number < kinesis { KINESIS } else { FIREHOSE };
        let of_it = table.iter().filter(|(name, _)| *name == operation.name());
        of_it.flat_map(move |(_, text)| {
            let json = text.as_bytes().to_vec();
            let input = read::json(&json.clone().into()).and_then(|node| operation.read(node).ok());
            [Some(json), input.map(|input| input.to_cbor())].into_iter().flatten().map(move |body| (number, body))
        })
    });
    seeds.map(|(number, body)| [&[u8::try_from(number).unwrap_or(0)], &body[..]].concat()).collect()
}

const KINESIS: &[(&str, &str)] = &[
    ("CreateStream", r#"{"StreamName":"t","ShardCount":2,"StreamModeDetails":{"StreamMode":"PROVISIONED"},"Tags":{"a":"b"}}"#),
    (
        "PutRecords",
        r#"{"StreamName":"t","Records":[{"Data":"AAH/","PartitionKey":"p","ExplicitHashKey":"1"},{"Data":"","PartitionKey":"q"}]}"#,
    ),
    ("PutRecord", r#"{"StreamName":"t","Data":"AAH/","PartitionKey":"p","SequenceNumberForOrdering":"7"}"#),
    ("ListShards", r#"{"StreamName":"t","MaxResults":2,"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1600000000.007}}"#),
    (
        "GetShardIterator",
        r#"{"StreamName":"t","ShardId":"shardId-000000000001","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1.5e9}"#,
    ),
    ("RemoveTagsFromStream", r#"{"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/t","TagKeys":["a","b"]}"#),
    ("EnableEnhancedMonitoring", r#"{"StreamName":"t","ShardLevelMetrics":["ALL"]}"#),
    ("DeleteStream", r#"{"StreamName":"t","EnforceConsumerDeletion":"true","StreamId":"abcdefghij0123456789-abc"}"#),
];

const FIREHOSE: &[(&str, &str)] = &[
    (
        "CreateDeliveryStream",
        r#"{"DeliveryStreamName":"t","ExtendedS3DestinationConfiguration":{"RoleARN":"arn:aws:iam::123456789012:role/r","BucketARN":"arn:aws:s3:::b","Prefix":"!{timestamp:yyyy}/","ErrorOutputPrefix":"e"},"Tags":[{"Key":"k","Value":"v"}]}"#,
    ),
    (
        "UpdateDestination",
        r#"{"DeliveryStreamName":"t","CurrentDeliveryStreamVersionId":"1","DestinationId":"destinationId-000000000001","ExtendedS3DestinationUpdate":{"ProcessingConfiguration":{"Enabled":true,"Processors":[{"Type":"AppendDelimiterToRecord","Parameters":[{"ParameterName":"Delimiter","ParameterValue":"x"}]}]}}}"#,
    ),
    ("PutRecordBatch", r#"{"DeliveryStreamName":"t","Records":[{"Data":"AAH/"},{"Data":""}]}"#),
];

/// Inputs of [`super::any_http`].
pub fn http() -> Vec<Vec<u8>> {
    HTTP.iter().map(|input| input.as_bytes().to_vec()).collect()
}

const HTTP: &[&str] = &[
    "POST /topics/t application/vnd.kafka.json.v2+json\n{\"records\":[{\"key\":{\"a\":1},\"value\":[1,\"\\u00e9\"],\"partition\":1},{\"value\":null}]}",
    "POST /topics/auto/partitions/0 application/vnd.kafka.binary.v2+json\n{\"records\":[{\"key\":\"AAE=\",\"value\":\"AAE=\"}]}",
    "GET /topics/t/partitions/1/offsets\n",
    "PUT /streams/auto/record application/json\n{\"StreamName\":\"auto\",\"Data\":{\"index\":1},\"PartitionKey\":\"p\",\"ExplicitHashKey\":\"1\"}",
    "PUT /streams/auto/records application/json\n{\"records\":[{\"data\":\"x\",\"partition-key\":\"p\"}]}",
    "POST /streams/auto application/json\n{\"ShardCount\":2}\n\nGET /streams\n\nDELETE /streams/auto",
    "POST /pin/ application/json\n{\"index\":1}",
    concat!(
        "POST / application/x-amz-json-1.1|Kinesis_20131202.PutRecords\n{\"StreamName\":\"t\",\"Records\":[{\"Data\":\"AAE=\",\"PartitionKey\":\"p\"}]}\n\n",
        "POST / application/x-amz-json-1.1|Kinesis_20131202.DescribeStream\n{\"StreamName\":\"t\",\"Limit\":1}\n\n",
        "POST / application/x-amz-cbor-1.1|Kinesis_20131202.ListStreams\n\u{0}\n\n",
        "POST / application/json|Kinesis_20131202.ListStreams\n{}",
    ),
    concat!(
        "POST / application/x-amz-json-1.1|Firehose_20150804.CreateDeliveryStream\n{\"DeliveryStreamName\":\"d\",",
        "\"S3DestinationConfiguration\":{\"RoleARN\":\"arn:aws:iam::123456789012:role/r\",\"BucketARN\":\"arn:aws:s3:::b\"}}\n\n",
        "POST / application/x-amz-json-1.1|Firehose_20150804.PutRecordBatch\n{\"DeliveryStreamName\":\"d\",\"Records\":[{\"Data\":\"AAE=\"}]}\n\n",
        "POST / application/x-amz-json-1.1|Firehose_20150804.UpdateDestination\n{\"DeliveryStreamName\":\"d\",\"DestinationId\":",
        "\"destinationId-000000000001\",\"CurrentDeliveryStreamVersionId\":\"1\",\"ExtendedS3DestinationUpdate\":{\"Prefix\":\"!{\"}}\n\n",
        "POST / application/x-amz-json-1.1|Firehose_20150804.DeleteDeliveryStream\n{\"DeliveryStreamName\":\"d\"}",
    ),
    concat!(
        "POST /consumers/c application/vnd.kafka.v2+json\n{\"name\":\"i\",\"format\":\"binary\",\"auto.offset.reset\":\"earliest\",",
        "\"auto.commit.enable\":\"true\",\"fetch.min.bytes\":\"1\",\"consumer.request.timeout.ms\":10}\n\n",
        "POST /consumers/c/instances/i/subscription application/vnd.kafka.v2+json\n{\"topics\":[\"t\"]}\n\n",
        "GET /consumers/c/instances/i/records?timeout=10&max_bytes=1000 application/vnd.kafka.v2+json\n\n",
        "POST /consumers/c/instances/i/offsets application/vnd.kafka.v2+json\n{\"offsets\":[{\"topic\":\"t\",\"partition\":1,\"offset\":3}]}\n\n",
        "GET /consumers/c/instances/i/offsets application/vnd.kafka.v2+json\n{\"partitions\":[{\"topic\":\"t\",\"partition\":1}]}\n\n",
        "DELETE /consumers/c/instances/i application/vnd.kafka.v2+json",
    ),
    concat!(
        "POST /consumers/c application/vnd.kafka.v2+json\n{\"name\":\"i\",\"format\":\"json\"}\n\n",
        "POST /consumers/c/instances/i/assignments application/vnd.kafka.v2+json\n{\"partitions\":[{\"topic\":\"t\",\"partition\":1}]}\n\n",
        "POST /consumers/c/instances/i/positions application/vnd.kafka.v2+json\n{\"offsets\":[{\"topic\":\"t\",\"partition\":1,\"offset\":2}],",
        "\"timestamps\":[{\"topic\":\"t\",\"partition\":1,\"timestamp\":\"2020-01-01T00:00:00Z\"}]}\n\n",
        "POST /consumers/c/instances/i/positions/beginning application/vnd.kafka.v2+json\n{\"partitions\":[{\"topic\":\"t\",\"partition\":1}]}\n\n",
        "GET /consumers/c/instances/i/records application/vnd.kafka.v2+json",
    ),
    concat!(
        "POST /consumers/c application/vnd.kafka.v2+json\n{\"name\":\"i\"}\n\n",
        "POST /consumers/c/instances/i/subscription application/vnd.kafka.v2+json\n{\"topic_pattern\":\"(t|u)[a-z]*\"}\n\n",
        "GET /consumers/c/instances/i/records application/vnd.kafka.v2+json",
    ),
    concat!(
        "POST /v3/clusters/CLUSTER/topics/t/records application/json\n{\"partition_id\":1,\"headers\":[{\"name\":\"n\",\"value\":\"AAE=\"}],",
        "\"key\":{\"type\":\"BINARY\",\"data\":\"AAE=\"},\"value\":{\"type\":\"JSON\",\"data\":{\"a\":1}},\"timestamp\":\"2020-01-01T00:00:00Z\"}",
        "{\"value\":{\"type\":\"STRING\",\"data\":\"x\"}}",
    ),
    "POST /v3/clusters/CLUSTER/topics/t/records:batch application/json\n{\"entries\":[{\"id\":\"1\",\"value\":{\"type\":\"STRING\",\"data\":\"x\"}}]}",
    concat!(
        "POST /v3/clusters/CLUSTER/topics application/json\n{\"topic_name\":\"u\",\"partitions_count\":2,\"replication_factor\":1,",
        "\"configs\":[{\"name\":\"retention.ms\",\"value\":\"1\"}]}\n\nPATCH /v3/clusters/CLUSTER/topics/u application/json\n{\"partitions_count\":3}\n\n",
        "POST /v3/clusters/CLUSTER/topics/u/configs:alter application/json\n{\"data\":[{\"name\":\"retention.ms\",\"operation\":\"DELETE\"}]}\n\n",
        "PUT /v3/clusters/CLUSTER/topics/u/configs/retention.ms application/json\n{\"value\":\"7\"}\n\nGET /v3/clusters/CLUSTER/topics/u/configs\n\n",
        "DELETE /v3/clusters/CLUSTER/topics/u",
    ),
    "GET /v3/clusters/CLUSTER/consumer-groups/t/lags\n\nGET /v3/clusters/CLUSTER/consumer-groups/t/consumers\n\nGET /v3/clusters/CLUSTER/topics/t/partitions/1/replicas/1",
];
