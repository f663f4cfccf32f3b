//! The settings of a topic in v3: shown, set, reset. Which there are, and what they may be, is the same at every door.

use bytes::Bytes;
use pinlake_core::TopicSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::of_log;
use super::resources::Cluster;
use super::topics::existing;
use crate::doors::Call;
use crate::rest_proxy::error::{KAFKA_BAD_REQUEST, RestError};
use crate::rest_proxy::server_url::part;
use crate::topic_settings::{self, Entry, Source};

/// `{"name","value"}`
#[derive(Deserialize)]
pub(super) struct ConfigBody {
    pub(super) name: String,
    #[serde(default)]
    value: Value,
    operation: Option<String>,
}

#[derive(Deserialize)]
struct Alteration {
    data: Vec<ConfigBody>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Deserialize)]
struct NewValue {
    #[serde(default)]
    value: Value,
}

impl ConfigBody {
    /// The value as text.
    pub(super) fn text(&self) -> Result<Option<String>, RestError> {
        as_text(&self.value)
    }
}

pub(super) async fn list(call: &Call<'_>, cluster: &Cluster, topic: &str) -> Result<Value, RestError> {
    let topic = existing(call, topic).await?;
    let name = topic.name.as_str();
    let entries = topic_settings::of_topic(&topic.spec, &call.shared.settings.topic_defaults);
    let data = entries.iter().map(|entry| described(cluster, name, entry)).collect();
    Ok(cluster.list("KafkaTopicConfigList", &format!("/topics/{}/configs", part(name)), data))
}

pub(super) async fn describe(call: &Call<'_>, cluster: &Cluster, topic: &str, name: &str) -> Result<Value, RestError> {
    let topic = existing(call, topic).await?;
    let entries = topic_settings::of_topic(&topic.spec, &call.shared.settings.topic_defaults);
    let entry = entries.iter().find(|entry| entry.name == name).ok_or_else(|| unknown(name))?;
    Ok(described(cluster, topic.name.as_str(), entry))
}

/// Sets one to what the body says.
pub(super) async fn put(call: &Call<'_>, topic: &str, name: &str, body: &Bytes) -> Result<(), RestError> {
    let NewValue { value } = serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))?;
    alter(call, topic, &[(name.to_owned(), as_text(&value)?)], false).await
}

/// Sets one to its default.
pub(super) async fn reset(call: &Call<'_>, topic: &str, name: &str) -> Result<(), RestError> {
    alter(call, topic, &[(name.to_owned(), None)], false).await
}

/// Sets and resets several: all of them or none.
pub(super) async fn alter_many(call: &Call<'_>, topic: &str, body: &Bytes) -> Result<(), RestError> {
    let alteration: Alteration = serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))?;
    let change = |config: &ConfigBody| match config.operation.as_deref() {
        None | Some("SET") => Ok((config.name.clone(), config.text()?)),
        Some("DELETE") => Ok((config.name.clone(), None)),
        Some(_) => Err(RestError::new(KAFKA_BAD_REQUEST, "'operation' is SET or DELETE")),
    };
    let changes: Vec<_> = alteration.data.iter().map(change).collect::<Result<_, _>>()?;
    alter(call, topic, &changes, alteration.validate_only).await
}

async fn alter(call: &Call<'_>, topic: &str, changes: &[(String, Option<String>)], validate_only: bool) -> Result<(), RestError> {
    let producer = &call.shared.producer;
    let _turn = producer.altering().await;
    let topic = existing(call, topic).await?;
    let (mut spec, defaults): (TopicSpec, _) = (topic.spec, &call.shared.settings.topic_defaults);
    for (name, value) in changes {
        if !topic_settings::is_known(name) {
            return Err(unknown(name));
        }
        let set = topic_settings::set(&mut spec, name, value.as_deref(), defaults);
        set.map_err(|text| RestError::new(KAFKA_BAD_REQUEST, text))?;
    }
    if validate_only {
        return Ok(());
    }
    producer.log().alter_topic(&topic.name, spec).await.map_err(|error| of_log(&error))
}

fn as_text(value: &Value) -> Result<Option<String>, RestError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        _ => Err(RestError::new(KAFKA_BAD_REQUEST, "the value of a setting is text")),
    }
}

fn unknown(name: &str) -> RestError {
    let shown: String = name.chars().take(100).collect();
    RestError::new(404, format!("HTTP 404 Not Found: '{shown}' is no setting of a topic"))
}

fn described(cluster: &Cluster, topic: &str, entry: &Entry) -> Value {
    let source = match entry.source {
        Source::Topic => "DYNAMIC_TOPIC_CONFIG",
        Source::Broker => "STATIC_BROKER_CONFIG",
        Source::Default => "DEFAULT_CONFIG",
    };
    cluster.resource(
        "KafkaTopicConfig",
        &format!("/topics/{}/configs/{}", part(topic), entry.name),
        json!({
            "topic_name": topic,
            "name": entry.name,
            "value": entry.value,
            "is_default": matches!(entry.source, Source::Default),
            "is_read_only": entry.read_only,
            "is_sensitive": false,
            "source": source,
            "synonyms": [{"name": entry.name, "value": entry.value, "source": source}],
        }),
    )
}
