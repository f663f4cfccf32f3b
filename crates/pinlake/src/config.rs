//! Configuration: the embedded defaults, overridden by a file, overridden by the environment. Plain data, passed down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use pinlake_core::TopicName;
use pinlake_core::pipeline::units::{Bytes, Span};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The embedded defaults, which are also the reference.
pub(crate) const DEFAULTS: &str = include_str!("default.yml");
/// What every variable begins with.
const PREFIX: &str = "PINLAKE_";

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) store: String,
    pub(crate) pipeline: String,
    pub(crate) http: Http,
    pub(crate) log: LogConfig,
    pub(crate) doors: DoorsConfig,
    pub(crate) query: QueryConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: std::net::SocketAddr,
    pub(crate) connections_max: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    pub(crate) durability: Durability,
    pub(crate) auto_create: AutoCreate,
    pub(crate) partitions: u32,
    retention: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    Fsync,
    Interval,
    Os,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AutoCreate {
    Matched,
    All,
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoorsConfig {
    body_max: Bytes,
    inflight_max: Bytes,
    pub(crate) accept_plain_json: bool,
    pub(crate) pin_topic: TopicName,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryConfig {
    memory_max: Bytes,
    time_max: Span,
}

impl LogConfig {
    pub(crate) fn retention(&self) -> Duration {
        self.retention.0
    }
}

impl DoorsConfig {
    pub(crate) fn body_bytes_max(&self) -> usize {
        usize::try_from(self.body_max.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn inflight_bytes_max(&self) -> usize {
        usize::try_from(self.inflight_max.0).unwrap_or(usize::MAX)
    }
}

impl QueryConfig {
    pub(crate) fn memory_bytes_max(&self) -> usize {
        usize::try_from(self.memory_max.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn time_max(&self) -> Duration {
        self.time_max.0
    }
}

impl Config {
    /// Where archive and tables are kept.
    pub(crate) fn store_location(&self) -> String {
        if self.store.is_empty() { self.data_dir.join("lake").to_string_lossy().into_owned() } else { self.store.clone() }
    }

    /// The pipeline's folder; `None` for the built-in one.
    pub(crate) fn pipeline_folder(&self) -> Option<&Path> {
        (!self.pipeline.is_empty()).then(|| Path::new(&self.pipeline))
    }
}

/// Reads the configuration: defaults, then `file`, then the environment.
pub(crate) fn load(file: Option<&Path>) -> Result<Config> {
    let merged = merged(file, std::env::vars())?;
    serde_json::from_value(merged).map_err(|error| anyhow!("the configuration is wrong: {error}"))
}

/// The merged configuration as values.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the configuration file")]
pub(crate) fn merged(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Value> {
    let mut values: Value = serde_saphyr::from_str(DEFAULTS).expect("the defaults are YAML");
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading configuration '{}'", file.display()))?;
        let theirs: Value = serde_saphyr::from_str(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        overlay(&mut values, theirs, "").map_err(|problem| anyhow!("{}: {problem}", file.display()))?;
    }
    for (name, value) in environment.filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_lowercase(), value))) {
        set_by_name(&mut values, &name, value);
    }
    Ok(values)
}

/// Puts `theirs` over `ours`; keys that are not there already are unknown.
fn overlay(ours: &mut Value, theirs: Value, path: &str) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let path = format!("{path}{key}");
                let Some(place) = ours.get_mut(&key) else {
                    let known: Vec<&str> = ours.keys().map(String::as_str).collect();
                    return Err(format!("unknown key '{path}': there are {}", known.join(", ")));
                };
                overlay(place, value, &format!("{path}."))?;
            }
            Ok(())
        }
        (Value::Object(_), Value::Null) => Ok(()),
        (ours, theirs) => {
            *ours = theirs;
            Ok(())
        }
    }
}

/// Sets the option whose path, joined by `_`, is `name`. Variables that name no option are somebody else's.
fn set_by_name(values: &mut Value, name: &str, value: String) {
    let Value::Object(options) = values else { return };
    let nested = |options: &Map<String, Value>| {
        let inside = |key: &&String| name.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('_'));
        options.keys().find(inside).cloned()
    };
    if let Some(place) = options.get_mut(name) {
        // Numbers and booleans keep their type where the text is one.
        *place = serde_json::from_str(&value)
            .ok()
            .filter(|parsed: &Value| !place.is_string() && !parsed.is_object())
            .unwrap_or(Value::String(value));
    } else if let Some(key) = nested(options) {
        let rest = name[key.len() + 1..].to_owned();
        set_by_name(options.get_mut(&key).expect("the key was just found"), &rest, value);
    }
}
