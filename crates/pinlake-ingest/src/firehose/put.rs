//! Records on their way into a delivery stream's topic: as they are, without key, all of one call as one append.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Error, ErrorKind, Log, Offset, TopicDescription, TopicName, TopicSpec};

use super::definition::Definition;
use super::operations::Context;
use super::wording::{BATCH_TOO_LARGE, NOT_PERMITTED, SLOW_DOWN, slow_down};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::doors::rejected;
use crate::kinesis::wording::argument;
use crate::partitioner::Partitioning;
use crate::produce::{OpenTopic, Placed};
use crate::records::Records;

/// How long records wait to be delivered before they may go, as long as with AWS.
const RETENTION_MS: u64 = 24 * 3_600_000;
/// Bytes of data of one PutRecordBatch.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What the topic of a delivery stream is made with. A batch of a call's records fits by far.
fn spec() -> TopicSpec {
    TopicSpec { retention_ms: Some(RETENTION_MS), ..TopicSpec::with_partitions(1) }
}

/// Makes the topic, unless there is one; answers whether it did.
pub(super) async fn make_topic(log: &Arc<dyn Log>, topic: &TopicName) -> pinlake_core::Result<bool> {
    match log.create_topic(topic, spec()).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn one(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let (definition, topic) = open(context).await?;
    let mut records = Records::default();
    add(&mut records, input.get("Record"));
    let produced = context.call.produce(&topic, &records, Partitioning::Kafka).await;
    let placed = produced.and_then(|mut placed| {
        let placed = placed.pop().ok_or_else(|| Error::internal("a record has no place: report this"))?;
        Ok((placed.partition, placed.offset?))
    });
    let (partition, offset) = placed.map_err(|error| if is_for_now(&error) { slow_down() } else { error.into() })?;
    Ok(Value::map([
        ("RecordId", record_id(topic.description(), partition, offset).into()),
        ("Encrypted", definition.is_encrypted().into()),
    ]))
}

pub(super) async fn batch(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let entries = input.items("Records");
    let bytes: usize = entries.iter().map(|entry| entry.blob("Data").map_or(0, |data| data.len())).sum();
    if bytes > BATCH_BYTES_MAX {
        return Err(argument(BATCH_TOO_LARGE));
    }
    let (definition, topic) = open(context).await?;
    let mut records = Records::default();
    records.reserve(entries.len(), bytes);
    entries.iter().for_each(|entry| add(&mut records, Some(entry)));
    let placed = match context.call.produce(&topic, &records, Partitioning::Kafka).await {
        Ok(placed) => placed,
        // Then nothing was written: each record is told so.
        Err(error) if is_for_now(&error) => vec![Placed { partition: 0, offset: Err(error) }; entries.len()],
        Err(error) => return Err(error.into()),
    };
    let failed = placed.iter().filter(|placed| placed.offset.is_err()).count() as i64;
    let told = placed.iter().map(|placed| match &placed.offset {
        Ok(offset) => Value::map([("RecordId", record_id(topic.description(), placed.partition, *offset).into())]),
        Err(error) if is_for_now(error) => {
            Value::map([("ErrorCode", "ServiceUnavailableException".into()), ("ErrorMessage", SLOW_DOWN.into())])
        }
        Err(error) => Value::map([("ErrorCode", "InternalFailure".into()), ("ErrorMessage", error.message().into())]),
    });
    Ok(Value::map([
        ("FailedPutCount", failed.into()),
        ("Encrypted", definition.is_encrypted().into()),
        ("RequestResponses", Value::List(told.collect())),
    ]))
}

/// The delivery stream of a put, and its topic. One that somebody deleted is made again.
async fn open(context: &Context<'_>) -> Result<(Definition, OpenTopic), AwsError> {
    let definition = context.definition()?;
    if !definition.takes_records() {
        return Err(argument(NOT_PERMITTED));
    }
    let producer = &context.call.shared.producer;
    let opened = match producer.open_if_there(&definition.topic).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not beside a delete, which looks at the topic last.
            let _turn = context.call.shared.deliveries.turn(context.name).await;
            let topic = context.definition()?.topic;
            make_topic(producer.log(), &TopicName::new(&topic)?).await?;
            producer.open_if_there(&definition.topic).await
        }
        opened => opened,
    };
    let topic = opened.inspect_err(|error| rejected(context.call.metrics, 1, error));
    Ok((definition, topic.map_err(|error| if is_for_now(&error) { slow_down() } else { error.into() })?))
}

fn add(records: &mut Records, entry: Option<&Value>) {
    let data = entry.and_then(|entry| entry.blob("Data")).map_or(&[][..], |data| data);
    let data = records.copy(data);
    records.push(None, Some(data), None);
}

fn is_for_now(error: &Error) -> bool {
    error.kind() == ErrorKind::Retry
}

/// What a record is called by: no other record has it, not even of a topic that is made again.
fn record_id(topic: &TopicDescription, partition: u32, offset: Offset) -> String {
    STANDARD.encode([&topic.id.0.as_bytes()[..], &partition.to_be_bytes(), &offset.0.to_be_bytes()].concat())
}
