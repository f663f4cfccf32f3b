//! Streams as a whole: making, deleting, describing and listing them.

use std::collections::BTreeMap;

use pinlake_core::{Timestamp, TopicName};

use super::{Context, refuse_members, shards, tags};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::iterator::{Purpose, Unusable};
use crate::kinesis::names::{shard_number, stream_arn};
use crate::kinesis::streams::changes::{Found, NewStream};
use crate::kinesis::streams::state::{Mode, Status};
use crate::kinesis::wording::{Words, argument, constraint, expired_token};

/// Shards of a stream that is created on demand.
const ON_DEMAND_SHARDS: u32 = 4;
/// Streams on demand that AWS has an account make; only shown.
const ON_DEMAND_STREAMS_MAX: i64 = 50;
/// How long a new stream keeps its records.
const RETENTION_DEFAULT_MS: u64 = 24 * HOUR_MS;
/// The longest retention that can be said; a topic that keeps its records for ever shows it.
pub(crate) const RETENTION_HOURS_MAX: u64 = 8760;
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Names of one ListStreams unless asked for fewer or more.
const LIST_DEFAULT: usize = 100;
/// Shards of one DescribeStream at the most.
const DESCRIBED_SHARDS_MAX: usize = 100;

pub(super) async fn create(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    context.check_may(input.text("StreamName"))?;
    refuse_members(input, &["WarmThroughputMiBps", "RecordDistributionStrategy"])?;
    let count = input.int("ShardCount");
    let mode = mode(input);
    let shards = match (mode, count) {
        (Mode::Provisioned, None) => return Err(constraint(None, "shardCount", "not be null")),
        (Mode::OnDemand, Some(_)) => {
            return Err(argument("ShardCount is not for streams in ON_DEMAND mode: leave it out, or set the mode PROVISIONED."));
        }
        (Mode::OnDemand, None) => ON_DEMAND_SHARDS,
        // A number that is too large is refused by the limit on shards.
        (Mode::Provisioned, Some(count)) => u32::try_from(count).unwrap_or(u32::MAX),
    };
    let name = input.text("StreamName").unwrap_or_default();
    let tags = tags::given(input);
    tags::check(&context.words, name, &BTreeMap::new(), &tags, context.settings().tags_max)?;
    let new = NewStream {
        name: topic_name(name)?,
        shards,
        mode,
        tags,
        record_kib_max: input.int("MaxRecordSizeInKiB").and_then(|kib| u32::try_from(kib).ok()),
        retention_ms: Some(RETENTION_DEFAULT_MS),
        shards_max: context.settings().shards_max,
        transition: context.settings().transition,
    };
    context.place().create(new).await.map(|()| Value::Null)
}

/// The name of a stream to be; topics have a few rules more than streams.
pub(crate) fn topic_name(name: &str) -> Result<TopicName, AwsError> {
    TopicName::new(name).map_err(|_| constraint(Some(name), "streamName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"))
}

/// The mode that a call asks for, or the usual one.
pub(super) fn mode(input: &Value) -> Mode {
    match input.get("StreamModeDetails").and_then(|details| details.text("StreamMode")) {
        Some("ON_DEMAND") => Mode::OnDemand,
        _ => Mode::Provisioned,
    }
}

pub(super) async fn delete(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let with_consumers = input.flag("EnforceConsumerDeletion").unwrap_or(false);
    let name = context.name(input)?;
    context.place().delete(name, context.settings().transition, with_consumers).await.map(|()| Value::Null)
}

pub(super) async fn describe(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let found = context.find(input).await?;
    let after = input.text("ExclusiveStartShardId");
    Ok(description(context, &found, after, limit(input, DESCRIBED_SHARDS_MAX)))
}

/// The answer of DescribeStream: up to `limit` shards behind `after`.
fn description(context: &Context<'_>, found: &Found, after: Option<&str>, limit: usize) -> Value {
    let now = context.now();
    let first = after.map_or(0, |id| shard_number(id).map_or(u32::MAX, |number| number.saturating_add(1)));
    let mut listed = shards::listed(found, now).into_iter().filter(|number| *number >= first);
    let page: Vec<Value> =
        listed.by_ref().take(limit.min(DESCRIBED_SHARDS_MAX)).map(|number| shards::shown(found, number)).collect();
    let members = [("Shards", page.into()), ("HasMoreShards", listed.next().is_some().into())];
    let mut description = common(&context.words, found, now);
    description.splice(4..4, members.map(|(name, value)| (name.into(), value)));
    Value::map([("StreamDescription", Value::Map(description))])
}

pub(super) async fn summary(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let found = context.find(input).await?;
    let now = context.now();
    let mut summary = common(&context.words, &found, now);
    let consumers = found.stream.consumers(now).count() as i64;
    let members = [
        ("OpenShardCount", shards::open_count(&found, now).into()),
        ("ConsumerCount", consumers.into()),
        ("MaxRecordSizeInKiB", record_kib_max(context, &found).into()),
    ];
    summary.extend(members.map(|(name, value)| (name.into(), value)));
    Ok(Value::map([("StreamDescriptionSummary", Value::Map(summary))]))
}

/// What both descriptions say.
fn common(words: &Words, found: &Found, now: Timestamp) -> Vec<(std::borrow::Cow<'static, str>, Value)> {
    let (stream, topic) = (&found.stream, &found.topic);
    let monitoring = Value::map([("ShardLevelMetrics", Value::list(stream.monitoring.iter().map(String::as_str)))]);
    let value = Value::map([
        ("StreamName", topic.name.as_str().into()),
        ("StreamARN", stream_arn(words, &topic.name).into()),
        ("StreamStatus", stream.status(now).as_str().into()),
        ("StreamModeDetails", Value::map([("StreamMode", stream.mode.as_str().into())])),
        ("RetentionPeriodHours", retention_hours(found).cast_signed().into()),
        ("StreamCreationTimestamp", Timestamp(stream.created_ms).into()),
        ("EnhancedMonitoring", vec![monitoring].into()),
        ("EncryptionType", stream.encryption().into()),
        ("KeyId", stream.key_id.as_deref().into()),
    ]);
    if let Value::Map(members) = value { members } else { Vec::new() }
}

/// How long a stream keeps its records: what its topic says, in whole hours.
pub(crate) fn retention_hours(found: &Found) -> u64 {
    found.topic.spec.retention_ms.map_or(RETENTION_HOURS_MAX, |ms| ms.div_ceil(HOUR_MS))
}

/// The largest record, KiB.
fn record_kib_max(context: &Context<'_>, found: &Found) -> u32 {
    let by_settings = u32::try_from(context.settings().record_bytes_max >> 10).unwrap_or(u32::MAX);
    found.stream.record_kib_max.unwrap_or(by_settings)
}

pub(super) async fn list(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    context.check_may(None)?;
    let token = input.text("NextToken");
    let after = match token {
        Some(token) => {
            let content = context.seal().await?.content(Purpose::ListStreams, token, context.now());
            String::from_utf8(content.map_err(unusable_token)?).unwrap_or_default()
        }
        None => input.text("ExclusiveStartStreamName").unwrap_or_default().to_owned(),
    };
    listing(context, &after, limit(input, LIST_DEFAULT)).await
}

/// What is said of a page token that is not taken.
pub(super) fn unusable_token(why: Unusable) -> AwsError {
    match why {
        Unusable::Forged => argument("Invalid NextToken."),
        Unusable::Expired { .. } => expired_token(),
    }
}

/// The answer of ListStreams: up to `limit` names behind `after`.
async fn listing(context: &Context<'_>, after: &str, limit: usize) -> Result<Value, AwsError> {
    let now = context.now();
    let all = context.place().all().await?;
    let mut behind = all.iter().filter(|found| found.topic.name.as_str() > after);
    let page: Vec<&Found> = behind.by_ref().take(limit).collect();
    let more = behind.next().is_some();
    let seal = context.seal().await?;
    let next = match page.last().filter(|_| more) {
        Some(last) => Some(seal.token(Purpose::ListStreams, last.topic.name.as_str().as_bytes(), now)?),
        None => None,
    };
    let summary = |found: &&Found| {
        Value::map([
            ("StreamName", found.topic.name.as_str().into()),
            ("StreamARN", stream_arn(&context.words, &found.topic.name).into()),
            ("StreamStatus", found.stream.status(now).as_str().into()),
            ("StreamModeDetails", Value::map([("StreamMode", found.stream.mode.as_str().into())])),
            ("StreamCreationTimestamp", Timestamp(found.stream.created_ms).into()),
        ])
    };
    Ok(Value::map([
        ("StreamNames", Value::list(page.iter().map(|found| found.topic.name.as_str()))),
        ("HasMoreStreams", more.into()),
        ("NextToken", next.into()),
        ("StreamSummaries", Value::List(page.iter().map(summary).collect())),
    ]))
}

/// `Limit`, which the model bounds, or what is usual.
fn limit(input: &Value, usual: usize) -> usize {
    input.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usual)
}

pub(super) async fn limits(context: &Context<'_>) -> Result<Value, AwsError> {
    context.check_may(None)?;
    let now = context.now();
    let all = context.place().all().await?;
    let there = || all.iter().filter(|found| found.stream.status(now) != Status::Deleting);
    let open: i64 = there().map(|found| i64::from(found.stream.shards.open_count())).sum();
    let on_demand = there().filter(|found| found.stream.mode == Mode::OnDemand).count() as i64;
    Ok(Value::map([
        ("ShardLimit", context.settings().shards_max.into()),
        ("OpenShardCount", open.into()),
        ("OnDemandStreamCount", on_demand.into()),
        ("OnDemandStreamCountLimit", ON_DEMAND_STREAMS_MAX.into()),
    ]))
}
