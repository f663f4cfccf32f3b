//! Stream administration in the API-Gateway form: list, describe, create, delete. A body on GET is taken as parameters.

use bytes::Bytes;
use pinlake_core::{Error, ErrorKind, TopicDescription, TopicName, TopicSpec};
use serde_json::{Map, Value, json};

use super::error::{DoorError, Gateway};
use super::sequence::SequenceNumber;
use crate::doors::Call;
use crate::partitioner::hash_range;
use crate::path::query_value;

/// Names of one ListStreams unless asked for fewer or more.
const LIST_DEFAULT: usize = 100;
/// The most that can be asked for.
const LIST_MAX: usize = 10_000;
/// The largest body that is read into a tree, bytes; none that means something comes near it.
const BODY_BYTES_MAX: usize = 64 << 10;
const HOUR_MS: u64 = 3_600_000;

/// ListStreams.
pub(super) async fn list(call: &Call<'_>, body: &Bytes) -> Result<String, DoorError> {
    let parameters = Parameters::of(call, body);
    let limit = parameters.limit()?;
    let after = parameters.text("ExclusiveStartStreamName").unwrap_or_default();
    let topics = all_topics(call).await?;
    let mut names = topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name > after.as_str());
    let shown: Vec<&str> = names.by_ref().take(limit).collect();
    let more = names.next().is_some();
    Ok(json!({"StreamNames": shown, "HasMoreStreams": more}).to_string())
}

/// DescribeStream.
pub(super) async fn describe(call: &Call<'_>, stream: &str, body: &Bytes) -> Result<String, DoorError> {
    let parameters = Parameters::of(call, body);
    let limit = parameters.limit()?;
    let after = parameters.text("ExclusiveStartShardId");
    let settings = &call.shared.settings.kinesis;
    let topic =
        call.shared.producer.log().topic(&topic_name(stream)?).await.map_err(|error| stream_error(call, stream, &error))?;
    let shards = topic.spec.partitions;
    let first = after.and_then(|id| id.strip_prefix("shardId-")?.parse::<u32>().ok()).map_or(0, |shard| shard.saturating_add(1));
    let described: Vec<Value> = (first..shards).take(limit).map(|shard| shard_description(shard, shards)).collect();
    let more = (first as usize) + described.len() < shards as usize;
    let answer = json!({"StreamDescription": {
        "StreamName": stream,
        "StreamARN": format!("arn:aws:kinesis:{}:{}:stream/{stream}", settings.region, settings.account),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "Shards": described,
        "HasMoreShards": more,
        "RetentionPeriodHours": topic.spec.retention_ms.map_or(8760, |ms| ms.div_ceil(HOUR_MS)),
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    }});
    Ok(answer.to_string())
}

fn shard_description(shard: u32, shards: u32) -> Value {
    let (start, end) = hash_range(shard, shards);
    let (mut id, mut first) = (String::new(), String::new());
    super::sequence::push_shard_id(&mut id, shard);
    SequenceNumber { shard, created: 0, offset: pinlake_core::Offset::ZERO, arrival: pinlake_core::Timestamp(0) }
        .push_to(&mut first);
    json!({
        "ShardId": id,
        "HashKeyRange": {"StartingHashKey": start.to_string(), "EndingHashKey": end.to_string()},
        "SequenceNumberRange": {"StartingSequenceNumber": first},
    })
}

/// CreateStream.
pub(super) async fn create(call: &Call<'_>, stream: &str, body: &Bytes) -> Result<String, DoorError> {
    let settings = &call.shared.settings.kinesis;
    let parameters = Parameters::of_body(body)?;
    if parameters.has_record() {
        return Err(DoorError::kinesis(
            "ValidationException",
            format!(
                "this body holds records, and POST /streams/{stream} creates a stream: send it to PUT /streams/{stream}/record or /records"
            ),
        ));
    }
    let shards = match parameters.0.get("ShardCount") {
        None | Some(Value::Null) => settings.shards_default,
        Some(given) => shard_count(given)?,
    };
    let topics = all_topics(call).await?;
    if topics.iter().any(|topic| topic.name.as_str() == stream) {
        return Err(exists(call, stream));
    }
    let open: u64 = topics.iter().map(|topic| u64::from(topic.spec.partitions)).sum();
    let limit = u64::from(settings.shards_max);
    if open + u64::from(shards) > limit {
        let (account, region) = (&settings.account, &settings.region);
        return Err(DoorError::kinesis(
            "LimitExceededException",
            format!(
                "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the account: \
                 {open}. Limit: {limit}. Number of additional shards that would have resulted from this request: {shards}. Refer to the \
                 AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits \
                 and how to request higher limits."
            ),
        ));
    }
    let name = topic_name(stream)?;
    let spec = TopicSpec { partitions: shards, ..call.shared.producer.auto_spec(&name).unwrap_or_default() };
    match call.shared.producer.log().create_topic(&name, spec).await {
        Ok(()) => Ok("{}".to_owned()),
        Err(error) if error.kind() == ErrorKind::Conflict => Err(exists(call, stream)),
        Err(error) => Err(DoorError::of(&error)),
    }
}

fn shard_count(given: &Value) -> Result<u32, DoorError> {
    let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    match text.parse::<u32>() {
        Ok(count) if count >= 1 => Ok(count),
        _ => Err(DoorError::constraint(Some(&text), "shardCount", "have value greater than or equal to 1")),
    }
}

/// DeleteStream.
pub(super) async fn delete(call: &Call<'_>, stream: &str) -> Result<String, DoorError> {
    let name = topic_name(stream)?;
    let deleted = call.shared.producer.log().delete_topic(&name).await;
    deleted.map(|()| "{}".to_owned()).map_err(|error| stream_error(call, stream, &error))
}

async fn all_topics(call: &Call<'_>) -> Result<Vec<TopicDescription>, DoorError> {
    call.shared.producer.log().topics().await.map_err(|error| DoorError::of(&error))
}

fn topic_name(stream: &str) -> Result<TopicName, DoorError> {
    TopicName::new(stream).map_err(|error| DoorError::of(&error))
}

fn exists(call: &Call<'_>, stream: &str) -> DoorError {
    let account = &call.shared.settings.kinesis.account;
    DoorError::kinesis("ResourceInUseException", format!("Stream {stream} under account {account} already exists."))
}

fn stream_error(call: &Call<'_>, stream: &str, error: &Error) -> DoorError {
    match error.kind() {
        ErrorKind::NotFound => DoorError::no_stream(&call.shared.settings.kinesis, stream, ""),
        _ => DoorError::of(error),
    }
}

/// What a call asks for, from the query or else from the body.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// The query's parameters and the body's; a body on GET that is no object says nothing.
    fn of(call: &Call<'_>, body: &Bytes) -> Self {
        let mut parameters = Self::of_body(body).unwrap_or_else(|_| Self(Map::new()));
        for name in ["Limit", "limit", "ExclusiveStartStreamName", "ExclusiveStartShardId"] {
            if let Some(value) = query_value(call.parts.uri.query(), name) {
                parameters.0.insert(name.to_owned(), Value::String(value));
            }
        }
        parameters
    }

    fn of_body(body: &Bytes) -> Result<Self, DoorError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        if body.len() > BODY_BYTES_MAX {
            let hint =
                format!("a body here takes at most {BODY_BYTES_MAX} bytes; records go to /streams/STREAM/record or /records");
            return Err(DoorError::gateway(Gateway::BodyTooLarge, hint));
        }
        let parsed = serde_json::from_slice(body);
        parsed
            .map(Self)
            .map_err(|error| DoorError::gateway(Gateway::InvalidBody, format!("the body is not a JSON object: {error}")))
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// How much to list.
    fn limit(&self) -> Result<usize, DoorError> {
        let Some(given) = self.text("Limit").or_else(|| self.text("limit")) else { return Ok(LIST_DEFAULT) };
        let broken = |must: &str| Err(DoorError::constraint(Some(&given), "limit", must));
        match given.parse::<usize>() {
            Ok(limit) if (1..=LIST_MAX).contains(&limit) => Ok(limit),
            Ok(limit) if limit > LIST_MAX => broken("have value less than or equal to 10000"),
            _ => broken("have value greater than or equal to 1"),
        }
    }

    fn has_record(&self) -> bool {
        ["Data", "Records", "records"].iter().any(|field| self.0.contains_key(*field))
    }
}
