//! What clients send, read and checked. A body's content type is not looked at, so that plain `curl -d` works.

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::StatusCode;
use pinlake_core::{Offset, PartitionId, TopicName, TopicPartition};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::{Config, Wanted};
use crate::BODY_BYTES_MAX;

/// The setting that repeats a connector's name.
const NAME: &str = "name";

/// The JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| match refused.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::new(status, format!("the request body is larger than {BODY_BYTES_MAX} bytes"))
            }
            status => Failure::new(status, "the request body can't be read"),
        })?;
        let body = serde_json::from_slice(&bytes).map_err(|e| Failure::invalid(format!("the request body is not right: {e}")))?;
        Ok(Self(body))
    }
}

/// A connector to be made.
#[derive(Deserialize)]
pub(super) struct Creation {
    #[serde(default)]
    name: Option<String>,
    config: Map<String, Value>,
    #[serde(default)]
    initial_state: Option<String>,
}

impl Creation {
    /// Its name, its configuration and what it should do.
    pub(super) fn read(self) -> Result<(String, Config, Wanted), Failure> {
        let name = self.name.unwrap_or_default().trim().to_owned();
        let state = match self.initial_state.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("RUNNING") => Wanted::Running,
            Some("PAUSED") => Wanted::Paused,
            Some("STOPPED") => Wanted::Stopped,
            Some(other) => {
                let other: String = other.chars().take(60).collect();
                return Err(Failure::invalid(format!("initial_state takes RUNNING, PAUSED or STOPPED, not '{other}'")));
            }
        };
        let config = config(&name, self.config)?;
        Ok((name, config, state))
    }
}

/// Settings as a connector of that name has them: numbers and booleans as text, and the name among them.
pub(super) fn config(name: &str, settings: Map<String, Value>) -> Result<Config, Failure> {
    let mut config = Config::new();
    for (setting, value) in settings {
        // One that is null is one that is not there.
        if let Some(value) = text(&setting, value)? {
            config.insert(setting, value);
        }
    }
    match config.get(NAME).map(|found| found.trim()) {
        Some(found) if found != name => Err(Failure::invalid(format!(
            "Connector name configuration ({}) doesn't match connector name in the URL ({})",
            found.chars().take(200).collect::<String>(),
            name.chars().take(200).collect::<String>()
        ))),
        Some(_) => Ok(config),
        None => {
            config.insert(NAME.to_owned(), name.to_owned());
            Ok(config)
        }
    }
}

/// A configuration with some settings changed, and those that are null taken out.
pub(super) fn patched(mut config: Config, changes: Map<String, Value>) -> Result<Config, Failure> {
    for (setting, value) in changes {
        match text(&setting, value)? {
            Some(value) => config.insert(setting, value),
            None => config.remove(&setting),
        };
    }
    Ok(config)
}

fn text(setting: &str, value: Value) -> Result<Option<String>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => {
            let setting: String = setting.chars().take(200).collect();
            Err(Failure::invalid(format!("the setting '{setting}' takes text, not a list or an object")))
        }
    }
}

/// Where a connector is to go on.
#[derive(Deserialize)]
pub(super) struct Offsets {
    offsets: Vec<PartitionOffset>,
}

#[derive(Deserialize)]
struct PartitionOffset {
    partition: Partition,
    offset: Option<Position>,
}

#[derive(Deserialize)]
struct Partition {
    kafka_topic: String,
    kafka_partition: Number,
}

#[derive(Deserialize)]
struct Position {
    kafka_offset: Number,
}

/// A number, or one as text: Connect takes both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn read(&self, what: &str) -> Result<i64, Failure> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.filter(|number| *number >= 0).ok_or_else(|| Failure::invalid(format!("'{what}' takes a number from 0 on")))
    }
}

impl Offsets {
    pub(super) fn read(self) -> Result<Vec<(TopicPartition, Option<Offset>)>, Failure> {
        if self.offsets.is_empty() {
            return Err(Failure::invalid("Partitions / offsets need to be provided for an alter offsets request"));
        }
        let one = |one: PartitionOffset| {
            let partition = one.partition.kafka_partition.read("kafka_partition")?;
            let partition = u32::try_from(partition).map_err(|_| Failure::invalid("'kafka_partition' is too large"))?;
            let topic = TopicName::new(&one.partition.kafka_topic)?;
            let offset = one.offset.map(|offset| offset.kafka_offset.read("kafka_offset")).transpose()?;
            Ok((TopicPartition { topic, partition: PartitionId(partition) }, offset.map(Offset)))
        };
        self.offsets.into_iter().map(one).collect()
    }
}
