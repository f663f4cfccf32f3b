//! The settings of topics and of the broker: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs. The names are Kafka's. What can't be
//! changed here is shown as it is. Setting it to anything else is refused where records would be other than promised, and passed over
//! where it says only how a broker keeps them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsRequest;
use kafka_protocol::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as IncrementalResponse, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::log::TimestampType;
use pinlake_core::{TopicName, TopicSpec};

use super::topics::{Refused, not_internal, of_log, refused};
use super::{Call, wire_text};
use crate::kafka::broker::{Broker, NODE_ID};
use crate::kafka::error::NONE;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Set for this topic.
const SOURCE_TOPIC: i8 = 1;
/// The broker's own configuration.
const SOURCE_BROKER: i8 = 4;
/// Nobody has set it.
const SOURCE_DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// Types as the protocol numbers them.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

impl Kind {
    /// Whether a value is of this type.
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Boolean => ["true", "false"].contains(&value),
            Self::Text | Self::List => !value.is_empty(),
            Self::Int => value.parse::<i32>().is_ok(),
            Self::Long => value.parse::<i64>().is_ok(),
            Self::Double => value.parse::<f64>().is_ok_and(f64::is_finite),
        }
    }
}

/// One setting as it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) source: i8,
    pub(super) read_only: bool,
    kind: Kind,
}

/// Settings that promise something about records, and are as they are.
const FIXED: [(&str, &str, Kind); 2] = [("cleanup.policy", "delete", Kind::List), ("min.insync.replicas", "1", Kind::Int)];

/// Settings about how a broker keeps records. Tools set them along with others; they are passed over and shown as they are.
const PASSED_OVER: [(&str, &str, Kind); 17] = [
    ("compression.type", "producer", Kind::Text),
    ("delete.retention.ms", "86400000", Kind::Long),
    ("file.delete.delay.ms", "0", Kind::Long),
    ("flush.messages", "1", Kind::Long),
    ("flush.ms", "0", Kind::Long),
    ("index.interval.bytes", "4096", Kind::Int),
    ("max.compaction.lag.ms", "9223372036854775807", Kind::Long),
    ("message.downconversion.enable", "false", Kind::Boolean),
    ("message.format.version", "3.0-IV1", Kind::Text),
    ("min.cleanable.dirty.ratio", "0.5", Kind::Double),
    ("min.compaction.lag.ms", "0", Kind::Long),
    ("preallocate", "false", Kind::Boolean),
    ("segment.bytes", "268435456", Kind::Int),
    ("segment.index.bytes", "10485760", Kind::Int),
    ("segment.jitter.ms", "0", Kind::Long),
    ("segment.ms", "604800000", Kind::Long),
    ("unclean.leader.election.enable", "false", Kind::Boolean),
];

const CHANGEABLE: [(&str, Kind); 4] = [
    ("max.message.bytes", Kind::Int),
    ("message.timestamp.type", Kind::Text),
    ("retention.bytes", Kind::Long),
    ("retention.ms", Kind::Long),
];

/// All settings of a topic, by name.
pub(super) fn of_topic(spec: &TopicSpec, defaults: &TopicSpec) -> Vec<Entry> {
    let changeable = CHANGEABLE.map(|(name, kind)| {
        let (value, default) = (value_of(spec, name), value_of(defaults, name));
        let source = if value == default { SOURCE_DEFAULT } else { SOURCE_TOPIC };
        Entry { name, value, source, read_only: false, kind }
    });
    let fixed = FIXED.iter().chain(&PASSED_OVER).map(|&(name, value, kind)| {
        let value = value.to_owned();
        Entry { name, value, source: SOURCE_DEFAULT, read_only: true, kind }
    });
    let mut entries: Vec<Entry> = changeable.into_iter().chain(fixed).collect();
    entries.sort_by_key(|entry| entry.name);
    entries
}

fn value_of(spec: &TopicSpec, name: &str) -> String {
    let or_unlimited = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |value| value.to_string());
    match name {
        "max.message.bytes" => spec.batch_bytes_max.to_string(),
        "retention.bytes" => or_unlimited(spec.retention_bytes),
        "retention.ms" => or_unlimited(spec.retention_ms),
        _ => match spec.timestamps {
            TimestampType::Create => "CreateTime".to_owned(),
            TimestampType::Append => "LogAppendTime".to_owned(),
        },
    }
}

/// Sets one setting of a topic; no value sets the default.
pub(super) fn set(spec: &mut TopicSpec, name: &str, value: Option<&str>, defaults: &TopicSpec) -> Result<(), Refused> {
    if let Some((_, fixed, _)) = FIXED.iter().find(|(fixed, _, _)| *fixed == name) {
        return match value {
            Some(value) if value != *fixed => Err(refused(
                ResponseError::InvalidConfig,
                format!("'{name}' is {fixed} here and can't be '{}'", value.escape_debug()),
            )),
            _ => Ok(()),
        };
    }
    if let Some((_, _, kind)) = PASSED_OVER.iter().find(|(passed_over, _, _)| *passed_over == name) {
        return match value {
            Some(value) if !kind.takes(value) => Err(refused(
                ResponseError::InvalidConfig,
                format!("'{name}' takes a value of type {kind:?}, not '{}'", value.escape_debug()),
            )),
            _ => Ok(()),
        };
    }
    let default = value_of(defaults, name);
    let value = value.unwrap_or(&default);
    let wrong =
        |takes: &str| refused(ResponseError::InvalidConfig, format!("'{name}' takes {takes}, not '{}'", value.escape_debug()));
    let limit = |value: &str| match value.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => u64::try_from(number).map(Some).map_err(|_| wrong("a number from 0 on, or -1 for no limit")),
        Err(_) => Err(wrong("a number from 0 on, or -1 for no limit")),
    };
    match name {
        "retention.ms" => spec.retention_ms = limit(value)?,
        "retention.bytes" => spec.retention_bytes = limit(value)?,
        "max.message.bytes" => {
            let (least, most) = (pinlake_core::log::BATCH_BYTES_MAX.start(), pinlake_core::log::BATCH_BYTES_MAX.end());
            let number = value.parse().ok().filter(|number| pinlake_core::log::BATCH_BYTES_MAX.contains(number));
            spec.batch_bytes_max = number.ok_or_else(|| wrong(&format!("{least} to {most}")))?;
        }
        "message.timestamp.type" => {
            spec.timestamps = match value {
                "CreateTime" => TimestampType::Create,
                "LogAppendTime" => TimestampType::Append,
                _ => return Err(wrong("CreateTime or LogAppendTime")),
            }
        }
        _ => return Err(refused(ResponseError::InvalidConfig, format!("'{}' is no setting of a topic", name.escape_debug()))),
    }
    Ok(())
}

/// The broker's own settings, all read-only: they are the configuration's.
fn of_broker(broker: &Broker) -> Vec<Entry> {
    let defaults = &broker.settings.topic_defaults;
    let entry = |name, value: String, kind| Entry { name, value, source: SOURCE_BROKER, read_only: true, kind };
    vec![
        entry("broker.id", NODE_ID.to_string(), Kind::Int),
        entry("compression.type", "producer".to_owned(), Kind::Text),
        entry("default.replication.factor", "1".to_owned(), Kind::Int),
        entry("log.cleanup.policy", "delete".to_owned(), Kind::List),
        entry("log.message.timestamp.type", value_of(defaults, "message.timestamp.type"), Kind::Text),
        entry("log.retention.bytes", value_of(defaults, "retention.bytes"), Kind::Long),
        entry("log.retention.ms", value_of(defaults, "retention.ms"), Kind::Long),
        entry("message.max.bytes", value_of(defaults, "max.message.bytes"), Kind::Int),
        entry("min.insync.replicas", "1".to_owned(), Kind::Int),
        entry("num.partitions", defaults.partitions.to_string(), Kind::Int),
        entry("offsets.topic.replication.factor", "1".to_owned(), Kind::Int),
        entry("transaction.state.log.replication.factor", "1".to_owned(), Kind::Int),
    ]
}

pub(super) async fn describe_configs(call: &Call<'_>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match entries_of(call.broker, &resource).await {
            Ok(entries) => {
                let asked = |entry: &Entry| {
                    let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
                    keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == entry.name))
                };
                let entries = entries.into_iter().filter(asked).map(|entry| described(entry, request.include_synonyms));
                result.with_configs(entries.collect())
            }
            Err((code, text)) => result.with_error_code(code).with_error_message(text),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

async fn entries_of(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Refused> {
    match resource.resource_type {
        TOPIC => {
            let name = TopicName::new(&resource.resource_name)
                .map_err(|error| (ResponseError::InvalidTopicException.code(), crate::kafka::error::text(&error)))?;
            let spec = broker.log().topic(&name).await.map_err(|error| of_log(&error))?.spec;
            Ok(of_topic(&spec, &broker.settings.topic_defaults))
        }
        BROKER if resource.resource_name.is_empty() || *resource.resource_name == *NODE_ID.to_string() => Ok(of_broker(broker)),
        BROKER => Err(refused(ResponseError::InvalidRequest, format!("the only broker is {NODE_ID}"))),
        _ => Err(refused(ResponseError::InvalidRequest, "topics and brokers have settings, nothing else")),
    }
}

fn described(entry: Entry, synonyms: bool) -> DescribeConfigsResourceResult {
    let name = StrBytes::from_static_str(entry.name);
    let value = Some(wire_text(entry.value));
    let synonym = DescribeConfigsSynonym::default().with_name(name.clone()).with_value(value.clone()).with_source(entry.source);
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(value)
        .with_read_only(entry.read_only)
        .with_config_source(entry.source)
        .with_config_type(entry.kind as i8)
        .with_synonyms(if synonyms { vec![synonym] } else { Vec::new() })
}

/// Sets what is named and resets what is not, as the older of the two APIs does.
pub(super) async fn alter_configs(call: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes = CHANGEABLE.iter().map(|(name, _)| (*name, None));
        let named =
            resource.configs.iter().map(|config| (config.name.as_str(), config.value.as_ref().map(|value| value.as_str())));
        let changes: Vec<_> = changes.chain(named).collect();
        let altered = alter(call.broker, resource.resource_type, &resource.resource_name, &changes, request.validate_only).await;
        let (code, text) = altered.err().unwrap_or((NONE, None));
        let response = AlterConfigsResourceResponse::default().with_error_code(code).with_error_message(text);
        responses.push(response.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name));
    }
    AlterConfigsResponse::default().with_responses(responses)
}

pub(super) async fn incremental_alter_configs(
    call: &Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes = resource.configs.iter().map(|config| {
            let value = config.value.as_ref().map(|value| value.as_str());
            match config.config_operation {
                SET if value.is_some() => Ok((config.name.as_str(), value)),
                DELETE => Ok((config.name.as_str(), None)),
                _ => Err(refused(
                    ResponseError::InvalidConfig,
                    format!("'{}' can be set or deleted only", config.name.escape_debug()),
                )),
            }
        });
        let altered = match changes.collect::<Result<Vec<_>, Refused>>() {
            Ok(changes) => {
                alter(call.broker, resource.resource_type, &resource.resource_name, &changes, request.validate_only).await
            }
            Err(refused) => Err(refused),
        };
        let (code, text) = altered.err().unwrap_or((NONE, None));
        let response = IncrementalResponse::default().with_error_code(code).with_error_message(text);
        responses.push(response.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name));
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter(
    broker: &Broker,
    resource_type: i8,
    resource: &str,
    changes: &[(&str, Option<&str>)],
    validate_only: bool,
) -> Result<(), Refused> {
    if resource_type != TOPIC {
        let text = "only topics are changed here: set the server's configuration and restart it";
        return Err(refused(ResponseError::InvalidRequest, text));
    }
    let name = TopicName::new(resource).map_err(|_| (ResponseError::UnknownTopicOrPartition.code(), None))?;
    not_internal(&name)?;
    let _turn = broker.altering.lock().await;
    let mut spec = broker.log().topic(&name).await.map_err(|error| of_log(&error))?.spec;
    for (name, value) in changes {
        set(&mut spec, name, *value, &broker.settings.topic_defaults)?;
    }
    if validate_only {
        return Ok(());
    }
    broker.log().alter_topic(&name, spec).await.map_err(|error| of_log(&error))
}
