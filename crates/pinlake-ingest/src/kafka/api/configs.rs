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
use pinlake_core::{TopicName, TopicSpec};

use super::topics::{Refused, of_log, refused};
use super::{Call, once, wire_text};
use crate::kafka::broker::{Broker, NODE_ID};
use crate::kafka::error::NONE;
use crate::topic_settings::{self, Entry, Kind, Source, of_topic, value_of};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// Sets one setting of a topic; no value sets the default.
pub(super) fn set(spec: &mut TopicSpec, name: &str, value: Option<&str>, defaults: &TopicSpec) -> Result<(), Refused> {
    topic_settings::set(spec, name, value, defaults).map_err(|text| refused(ResponseError::InvalidConfig, text))
}

/// A source as the protocol numbers it.
pub(super) fn number_of(source: Source) -> i8 {
    match source {
        Source::Topic => 1,
        Source::Broker => 4,
        Source::Default => 5,
    }
}

/// The broker's own settings, all read-only: they are the configuration's.
fn of_broker(broker: &Broker) -> Vec<Entry> {
    let defaults = &broker.settings.topic_defaults;
    let entry = |name, value: String, kind| Entry { name, value, source: Source::Broker, read_only: true, kind };
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
    let mut results = Vec::new();
    for resource in once(request.resources, |resource| (resource.resource_type, resource.resource_name.clone())) {
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
    let source = number_of(entry.source);
    let synonym = DescribeConfigsSynonym::default().with_name(name.clone()).with_value(value.clone()).with_source(source);
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(value)
        .with_read_only(entry.read_only)
        .with_config_source(source)
        .with_config_type(entry.kind as i8)
        .with_synonyms(if synonyms { vec![synonym] } else { Vec::new() })
}

/// Sets what is named and resets what is not, as the older of the two APIs does.
pub(super) async fn alter_configs(call: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes = topic_settings::changeable().map(|name| (name, None));
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
    let _turn = broker.producer.altering().await;
    let mut spec = broker.log().topic(&name).await.map_err(|error| of_log(&error))?.spec;
    for (name, value) in changes {
        set(&mut spec, name, *value, &broker.settings.topic_defaults)?;
    }
    if validate_only {
        return Ok(());
    }
    broker.log().alter_topic(&name, spec).await.map_err(|error| of_log(&error))
}
