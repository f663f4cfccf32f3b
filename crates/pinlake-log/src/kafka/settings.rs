//! A topic's settings by Kafka's names. Pure.

use pinlake_core::TopicSpec;
use pinlake_core::log::{BATCH_BYTES_MAX, TimestampType};

pub(super) const RETENTION_MS: &str = "retention.ms";
pub(super) const RETENTION_BYTES: &str = "retention.bytes";
pub(super) const BATCH_BYTES: &str = "max.message.bytes";
pub(super) const TIMESTAMPS: &str = "message.timestamp.type";

/// The settings that a topic has here; what else a cluster knows is left as it is.
pub(super) const NAMES: [&str; 4] = [RETENTION_MS, RETENTION_BYTES, BATCH_BYTES, TIMESTAMPS];

const APPEND_TIME: &str = "LogAppendTime";
const CREATE_TIME: &str = "CreateTime";
const UNLIMITED: &str = "-1";
/// Kafka's own default of the largest batch.
const KAFKA_BATCH_BYTES: u32 = 1_048_588;

/// What a topic is like whose settings nobody tells: Kafka's defaults.
pub(super) fn untold(partitions: u32) -> TopicSpec {
    TopicSpec { batch_bytes_max: KAFKA_BATCH_BYTES, ..TopicSpec::with_partitions(partitions) }
}

/// A setting's value as Kafka writes it.
pub(super) fn value_of(spec: &TopicSpec, name: &str) -> String {
    let limit = |limit: Option<u64>| limit.map_or_else(|| UNLIMITED.to_owned(), |limit| limit.min(i64::MAX as u64).to_string());
    match name {
        RETENTION_MS => limit(spec.retention_ms),
        RETENTION_BYTES => limit(spec.retention_bytes),
        BATCH_BYTES => spec.batch_bytes_max.to_string(),
        _ => match spec.timestamps {
            TimestampType::Create => CREATE_TIME.to_owned(),
            TimestampType::Append => APPEND_TIME.to_owned(),
        },
    }
}

/// Takes a setting over; one that can't be read is passed over.
pub(super) fn set(spec: &mut TopicSpec, name: &str, value: &str) {
    match name {
        RETENTION_MS => spec.retention_ms = value.parse().ok(),
        RETENTION_BYTES => spec.retention_bytes = value.parse().ok(),
        BATCH_BYTES => {
            if let Ok(bytes) = value.parse::<u32>() {
                spec.batch_bytes_max = bytes.clamp(*BATCH_BYTES_MAX.start(), *BATCH_BYTES_MAX.end());
            }
        }
        TIMESTAMPS if value == APPEND_TIME => spec.timestamps = TimestampType::Append,
        TIMESTAMPS if value == CREATE_TIME => spec.timestamps = TimestampType::Create,
        _ => {}
    }
}
