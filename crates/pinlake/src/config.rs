//! Configuration: the embedded defaults, overridden by a file, overridden by the environment. Plain data, passed down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
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
///
/// # Errors
/// Every problem on a line of its own, with file and line or the variable's name.
pub(crate) fn load(file: Option<&Path>) -> Result<Config> {
    serde_json::from_value(merged(file)?).map_err(|error| anyhow!("the configuration is wrong: {error}"))
}

/// The merged configuration as values; errors as with [`load`].
pub(crate) fn merged(file: Option<&Path>) -> Result<Value> {
    let defaults: Value = serde_saphyr::from_str(DEFAULTS).expect("the defaults are YAML");
    let mut overrides = Vec::new();
    if let Some(file) = file {
        let file_shown = file.display();
        let text = read(file).with_context(|| format!("reading configuration '{file_shown}'"))?;
        let values: Value = serde_saphyr::from_str(&text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            anyhow!("{file_shown}:{line}: {}", error.without_snippet())
        })?;
        collect(&defaults, values, &mut Vec::new(), &mut |path, value| {
            overrides.push(Override { place: format!("{file_shown}:{}", line_of(&text, &path)), path, value });
        });
    }
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    for (name, value) in variables {
        let path = name.strip_prefix(PREFIX).and_then(|option| path_of(&defaults, &option.to_lowercase()));
        if let Some(path) = path {
            let value = typed(at(&defaults, &path), value);
            overrides.push(Override { place: name, path, value });
        }
    }
    apply(&defaults, overrides)
}

/// A setting that somebody gives.
struct Override {
    /// File and line, or the variable.
    place: String,
    path: Vec<String>,
    value: Value,
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the configuration file")]
fn read(file: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(file)
}

/// Puts the overrides over the defaults. Each is also tried alone, so that a wrong one is known by its place.
fn apply(defaults: &Value, overrides: Vec<Override>) -> Result<Value> {
    let mut merged = defaults.clone();
    let mut problems = Vec::new();
    for Override { place, path, value } in overrides {
        let name = path.join(".");
        let mut alone = defaults.clone();
        if !set(&mut alone, &path, value.clone()) {
            let beside = at(defaults, &path[..path.len() - 1]).and_then(Value::as_object);
            let known: Vec<&str> = beside.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            problems.push(format!("{place}: unknown key '{name}': there are {}", known.join(", ")));
        } else if let Err(error) = serde_json::from_value::<Config>(alone) {
            problems.push(format!("{place}: {name}: {error}"));
        } else {
            set(&mut merged, &path, value);
        }
    }
    if problems.is_empty() { Ok(merged) } else { bail!(problems.join("\n")) }
}

/// Tells `found` of each setting in `theirs`: what is no mapping in `ours`.
fn collect(ours: &Value, theirs: Value, path: &mut Vec<String>, found: &mut impl FnMut(Vec<String>, Value)) {
    match (ours, theirs) {
        (Value::Object(_), Value::Null) => {}
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                path.push(key.clone());
                collect(ours.get(&key).unwrap_or(&Value::Null), value, path, found);
                path.pop();
            }
        }
        (_, value) => found(path.clone(), value),
    }
}

fn at<'a>(values: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(values, |inner, key| inner.get(key))
}

/// Sets an option that is there; answers whether it is.
fn set(values: &mut Value, path: &[String], value: Value) -> bool {
    let place = path.iter().try_fold(values, |inner, key| inner.get_mut(key));
    place.map(|place| *place = value).is_some()
}

/// The option whose path, joined by `_`, is `name`. Variables that name no option are somebody else's.
fn path_of(values: &Value, name: &str) -> Option<Vec<String>> {
    let options = values.as_object()?;
    if options.contains_key(name) {
        return Some(vec![name.to_owned()]);
    }
    options.iter().find_map(|(key, inner)| {
        let rest = path_of(inner, name.strip_prefix(key.as_str())?.strip_prefix('_')?)?;
        Some(std::iter::once(key.clone()).chain(rest).collect())
    })
}

/// A variable's value: numbers and booleans where the default is one, else text.
fn typed(default: Option<&Value>, value: String) -> Value {
    let parsed = serde_json::from_str(&value).ok();
    parsed.filter(|parsed: &Value| !default.is_some_and(Value::is_string) && !parsed.is_object()).unwrap_or(Value::String(value))
}

/// The line of a key, or of the closest mapping around it that begins a line.
fn line_of(text: &str, path: &[String]) -> usize {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut closest = (0, 1);
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('#')) else { continue };
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, key.trim().trim_matches(['"', '\''])));
        let leads = open.len() <= path.len() && open.iter().zip(path).all(|((_, key), wanted)| key == wanted);
        if leads && open.len() > closest.0 {
            closest = (open.len(), number);
        }
    }
    closest.1
}
