//! What can be set of a stream: mode, record size, retention, encryption, monitoring and policy. Policies and keys are kept and shown, nothing
//! goes by them.

use std::collections::BTreeSet;

use pinlake_core::TopicSpec;

use super::streams::{HOUR_MS, RETENTION_HOURS_MAX, mode, retention_hours};
use super::tags::target;
use super::{Context, check_active, check_settled, consumers, refuse_members};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::names::{Resource, stream_arn};
use crate::kinesis::streams::changes::Found;
use crate::kinesis::streams::state::{Change, Changing, Stream};
use crate::kinesis::wording::argument;

/// The shortest retention, hours.
const RETENTION_HOURS_MIN: i64 = 24;
/// The longest policy, bytes.
const POLICY_BYTES_MAX: usize = 20 << 10;
/// What a batch takes beside its largest record.
const BATCH_ROOM: u32 = 64 << 10;
/// All metrics of single shards, in AWS's order.
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];

/// The answer of DescribeAccountSettings: nobody is billed here.
pub(super) fn account(context: &Context<'_>) -> Result<Value, AwsError> {
    context.check_may(None)?;
    Ok(Value::map([("MinimumThroughputBillingCommitment", Value::map([("Status", "DISABLED".into())]))]))
}

/// Changes an ACTIVE stream, which is UPDATING for a while unless nothing is changed.
async fn update(
    context: &Context<'_>,
    input: &Value,
    how: impl FnOnce(&mut Stream) -> Result<(), AwsError> + Send + 'static,
) -> Result<Value, AwsError> {
    let (words, transition) = (context.words.clone(), context.settings().transition);
    let done = context.place().change(context.name(input)?, move |found, stream, now| {
        check_active(&words, found, now)?;
        how(stream)?;
        if *stream != *found.stream {
            stream.changing = Changing::begin(Change::Updating, now, transition);
        }
        Ok(())
    });
    done.await.map(|()| Value::Null)
}

pub(super) async fn update_mode(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    refuse_members(input, &["WarmThroughputMiBps"])?;
    let mode = mode(input);
    update(context, input, move |stream| {
        stream.mode = mode;
        Ok(())
    })
    .await
}

pub(super) async fn update_max_record_size(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let kib = input.int("MaxRecordSizeInKiB").and_then(|kib| u32::try_from(kib).ok()).unwrap_or_default();
    let bytes = kib.saturating_mul(1024).saturating_add(BATCH_ROOM);
    let name = context.name(input)?;
    // Its topic must take such records, before anybody may send one.
    let alter = context.place().alter(name, move |found, _| {
        let spec = &found.topic.spec;
        Ok(TopicSpec { batch_bytes_max: spec.batch_bytes_max.max(bytes), ..spec.clone() })
    });
    alter.await?;
    update(context, input, move |stream| {
        stream.record_kib_max = Some(kib);
        Ok(())
    })
    .await
}

pub(super) async fn increase_retention(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    set_retention(context, input, true).await
}

pub(super) async fn decrease_retention(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    set_retention(context, input, false).await
}

async fn set_retention(context: &Context<'_>, input: &Value, increase: bool) -> Result<Value, AwsError> {
    let hours = input.int("RetentionPeriodHours").unwrap_or_default();
    let words = context.words.clone();
    let done = context.place().alter(context.name(input)?, move |found, now| {
        check_active(&words, found, now)?;
        Ok(TopicSpec { retention_ms: Some(retention(found, hours, increase)? * HOUR_MS), ..found.topic.spec.clone() })
    });
    done.await.map(|()| Value::Null)
}

/// The hours that a stream may keep its records from now on.
fn retention(found: &Found, hours: i64, increase: bool) -> Result<u64, AwsError> {
    let refused = |what: &str, bound: i64, how: &str| {
        Err(argument(format!(
            "{what} allowed retention period is {bound} hours. Requested retention period ({hours} hours) is too {how}."
        )))
    };
    let (least, most) = (RETENTION_HOURS_MIN, RETENTION_HOURS_MAX.cast_signed());
    if hours < least {
        return refused("Minimum", least, "short");
    }
    if hours > most {
        return refused("Maximum", most, "long");
    }
    let (asked, now) = (hours.unsigned_abs(), retention_hours(found));
    let (is_wrong, than, other) =
        if increase { (asked < now, "shorter", "Decrease") } else { (asked > now, "longer", "Increase") };
    if is_wrong {
        let stream = &found.topic.name;
        return Err(argument(format!(
            "Requested retention period ({hours} hours) for stream {stream} can not be {than} than existing retention period ({now} \
             hours). Use {other}RetentionPeriod API."
        )));
    }
    Ok(asked)
}

pub(super) async fn start_encryption(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    if input.text("EncryptionType") != Some("KMS") {
        return Err(argument("EncryptionType NONE is what StopStreamEncryption sets: start with KMS."));
    }
    let key = input.text("KeyId").unwrap_or_default().to_owned();
    update(context, input, move |stream| {
        stream.key_id = Some(key);
        Ok(())
    })
    .await
}

/// A stream that is not encrypted stays so: Terraform asks for that without a key.
pub(super) async fn stop_encryption(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let found = context.find(input).await?;
    if found.stream.key_id.is_none() {
        return Ok(Value::Null);
    }
    update(context, input, |stream| {
        stream.key_id = None;
        Ok(())
    })
    .await
}

/// Sets or unsets metrics of single shards. They are kept and shown, and counted for nobody.
pub(super) async fn monitor(context: &Context<'_>, input: &Value, enable: bool) -> Result<Value, AwsError> {
    let named: Vec<&str> = input.items("ShardLevelMetrics").iter().filter_map(Value::as_text).collect();
    let named = if named.contains(&"ALL") { METRICS.to_vec() } else { named };
    let asked: BTreeSet<String> = named.into_iter().map(str::to_owned).collect();
    let name = context.name(input)?;
    let words = context.words.clone();
    let done = context.place().change(name.clone(), move |found, stream, now| {
        check_active(&words, found, now)?;
        let before = stream.monitoring.clone();
        stream.monitoring =
            if enable { before.union(&asked).cloned().collect() } else { before.difference(&asked).cloned().collect() };
        Ok((before, stream.monitoring.clone()))
    });
    let (before, after) = done.await?;
    Ok(Value::map([
        ("StreamName", name.as_str().into()),
        ("CurrentShardLevelMetrics", Value::list(before)),
        ("DesiredShardLevelMetrics", Value::list(after)),
        ("StreamARN", stream_arn(&context.words, &name).into()),
    ]))
}

pub(super) async fn put_policy(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let policy = input.text("Policy").unwrap_or_default().to_owned();
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&policy).is_ok();
    if policy.len() > POLICY_BYTES_MAX || !is_object {
        return Err(argument(format!("Policy is not a JSON object of at most {POLICY_BYTES_MAX} bytes.")));
    }
    set_policy(context, target(input)?, Some(policy)).await
}

pub(super) async fn delete_policy(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    set_policy(context, target(input)?, None).await
}

async fn set_policy(context: &Context<'_>, of: Resource, policy: Option<String>) -> Result<Value, AwsError> {
    let words = context.words.clone();
    let name = context.stream(&of)?;
    let done = context.place().change(name.clone(), move |found, stream, now| {
        check_settled(&words, found, now)?;
        let kept = match of.consumer {
            None => &mut stream.policy,
            Some(_) => {
                let at = consumers::position(&words, stream, &of, now)?;
                &mut stream.consumers[at].policy
            }
        };
        if policy.is_none() && kept.is_none() {
            let message = format!("No resource policy found for stream {}.", of.stream);
            return Err(AwsError::new("ResourceNotFoundException", message));
        }
        *kept = policy;
        Ok(())
    });
    done.await.map(|()| Value::Null)
}

/// The policy as it was put; an empty one if none was.
pub(super) async fn policy(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let of = target(input)?;
    let found = context.place().find(&context.stream(&of)?).await?;
    let kept = match of.consumer {
        None => &found.stream.policy,
        Some(_) => &found.stream.consumers[consumers::position(&context.words, &found.stream, &of, context.now())?].policy,
    };
    Ok(Value::map([("Policy", kept.as_deref().unwrap_or("{}").into())]))
}
