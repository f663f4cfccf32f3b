//! Configuration: the embedded defaults, overridden by a file, overridden by the environment. Plain data, passed down.

mod addresses;
mod alerts;
mod buckets;
pub(crate) mod cluster;
mod gateway;
mod jobs;
mod kinesis;
mod secrets;
pub(crate) mod variables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use pinlake_core::TopicName;
use pinlake_core::log::PARTITIONS_MAX;
use pinlake_core::pipeline::units::{Bytes, Span};
use pinlake_ingest::groups::GroupSettings;
use pinlake_ingest::records::BYTES_MAX;
use pinlake_ingest::transactions::TransactionSettings;
use pinlake_log::Durability;
use serde::Deserialize;
use serde_json::{Map, Value};

use addresses::{address, addresses, advertised, base_url};
use alerts::{AlertsConfig, LineageConfig};
use buckets::{ConnectConfig, FirehoseConfig};
use cluster::ClusterConfig;
use gateway::GatewayConfig;
use jobs::{DatabricksConfig, JobsConfig};
use kinesis::KinesisConfig;
use secrets::PrincipalConfig;
pub(crate) use secrets::SecretRef;

/// The embedded defaults, which are also the reference.
pub(crate) const DEFAULTS: &str = include_str!("default.yml");
/// More connections than any machine has room for.
const CONNECTIONS_MAX: usize = 1_000_000;

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) store: String,
    pub(crate) pipeline: String,
    pub(crate) http: Http,
    pub(crate) principals: Vec<PrincipalConfig>,
    pub(crate) kafka: KafkaConfig,
    pub(crate) log: LogConfig,
    pub(crate) groups: GroupsConfig,
    pub(crate) transactions: TransactionsConfig,
    pub(crate) doors: DoorsConfig,
    pub(crate) kinesis: KinesisConfig,
    pub(crate) gateway: GatewayConfig,
    pub(crate) connect: ConnectConfig,
    pub(crate) firehose: FirehoseConfig,
    pub(crate) jobs: JobsConfig,
    pub(crate) databricks: DatabricksConfig,
    pub(crate) alerts: AlertsConfig,
    pub(crate) lineage: LineageConfig,
    pub(crate) query: QueryConfig,
    /// Of the command line alone: whether everybody may delete all streams.
    #[serde(skip)]
    pub(crate) allow_reset: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Vec<String>,
    #[serde(deserialize_with = "base_url")]
    pub(crate) advertised: Option<String>,
    pub(crate) connections_max: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaConfig {
    #[serde(deserialize_with = "addresses")]
    pub(crate) listen: Vec<SocketAddr>,
    #[serde(deserialize_with = "advertised")]
    pub(crate) advertised: Option<(String, u16)>,
    pub(crate) authentication: Authentication,
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
    pub(crate) connections_max: usize,
    inflight_max: Bytes,
}

/// Whether Kafka clients must say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authentication {
    None,
    Sasl,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    pub(crate) durability: Durability,
    pub(crate) auto_create: AutoCreate,
    pub(crate) partitions: u32,
    retention: Span,
    pub(crate) kafka: ClusterConfig,
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
pub(crate) struct GroupsConfig {
    session_min: Span,
    session_max: Span,
    offsets_retention: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransactionsConfig {
    timeout_max: Span,
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

impl KafkaConfig {
    pub(crate) fn inflight_bytes_max(&self) -> usize {
        usize::try_from(self.inflight_max.0).unwrap_or(usize::MAX)
    }
}

impl LogConfig {
    pub(crate) fn retention(&self) -> Duration {
        self.retention.0
    }
}

impl GroupsConfig {
    pub(crate) fn settings(&self) -> GroupSettings {
        let session_timeout = self.session_min.0..=self.session_max.0;
        GroupSettings { session_timeout, offsets_retention: self.offsets_retention.0, ..GroupSettings::default() }
    }
}

impl TransactionsConfig {
    pub(crate) fn settings(&self) -> TransactionSettings {
        TransactionSettings { timeout_max: self.timeout_max.0, ..TransactionSettings::default() }
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

/// A setting with which nothing could work: the key, another one that it depends on, and what it takes.
type Senseless = (&'static str, Option<&'static str>, String);

impl Config {
    /// Where the log is kept.
    pub(crate) fn log_folder(&self) -> PathBuf {
        self.data_dir.join("log")
    }

    /// Where archive and tables are kept.
    pub(crate) fn store_location(&self) -> String {
        if self.store.is_empty() { self.data_dir.join("lake").to_string_lossy().into_owned() } else { self.store.clone() }
    }

    /// The pipeline's folder; `None` for the built-in one.
    pub(crate) fn pipeline_folder(&self) -> Option<&Path> {
        (!self.pipeline.is_empty()).then(|| Path::new(&self.pipeline))
    }

    /// Where Kafka's clients are served: nowhere if the log is a cluster, which serves them itself.
    pub(crate) fn kafka_listen(&self) -> &[SocketAddr] {
        if self.log.kafka.is_set() { &[] } else { &self.kafka.listen }
    }

    /// All addresses that are listened at, that of HTTP first, with who may do what there from the network.
    pub(crate) fn listened(&self) -> impl Iterator<Item = (SocketAddr, &'static str)> {
        let open = "is open to the network, and whoever reaches it may read and write everything: nobody is asked who they are";
        let kafka = match (self.kafka.authentication, self.kafka.certificate.as_os_str().is_empty()) {
            (Authentication::None, _) => open,
            (Authentication::Sasl, true) => {
                "is open to the network without encryption: whoever sees a PLAIN login on its way knows the password, so set \
                 kafka.certificate and kafka.private_key"
            }
            (Authentication::Sasl, false) => "is open to the network for whoever can log in",
        };
        let of_kafka = self.kafka_listen().iter().map(move |listen| (*listen, kafka));
        std::iter::once((self.http.listen, open)).chain(of_kafka)
    }

    fn senseless(&self) -> Vec<Senseless> {
        let (body, inflight) = (self.doors.body_max.0, self.doors.inflight_max.0);
        let bounds = [
            ("data_dir", !self.data_dir.as_os_str().is_empty(), "a folder".to_owned()),
            ("http.connections_max", (1..=CONNECTIONS_MAX).contains(&self.http.connections_max), "1 to 1000000".to_owned()),
            ("kafka.connections_max", (1..=CONNECTIONS_MAX).contains(&self.kafka.connections_max), "1 to 1000000".to_owned()),
            ("kafka.inflight_max", (1 << 20..=1 << 31).contains(&self.kafka.inflight_max.0), "1MiB to 2GiB".to_owned()),
            ("log.partitions", (1..=PARTITIONS_MAX).contains(&self.log.partitions), format!("1 to {PARTITIONS_MAX}")),
            ("log.retention", self.log.retention.0 >= Duration::from_secs(1), "1s at least".to_owned()),
            ("groups.session_min", self.groups.session_min.0 >= Duration::from_millis(1), "1ms at least".to_owned()),
            ("groups.offsets_retention", self.groups.offsets_retention.0 >= Duration::from_secs(1), "1s at least".to_owned()),
            ("transactions.timeout_max", self.transactions.timeout_max.0 >= Duration::from_millis(1), "1ms at least".to_owned()),
            ("doors.body_max", (1 << 10..=BYTES_MAX as u64).contains(&body), "1KiB to 1GiB".to_owned()),
            ("query.memory_max", self.query.memory_max.0 >= 1 << 20, "1MiB at least".to_owned()),
            ("query.time_max", self.query.time_max.0 >= Duration::from_millis(1), "1ms at least".to_owned()),
        ];
        let wrong = bounds.into_iter().filter(|(_, holds, _)| !holds).map(|(key, _, takes)| (key, None, takes));
        let mut wrong: Vec<_> = wrong.collect();
        if (self.kafka.authentication == Authentication::Sasl) == self.principals.is_empty() {
            let takes = if self.principals.is_empty() {
                "somebody, for kafka.authentication is sasl"
            } else {
                "nobody, unless kafka.authentication is sasl"
            };
            wrong.push(("principals", Some("kafka.authentication"), takes.to_owned()));
        }
        let mut names: Vec<&str> = self.principals.iter().map(|principal| principal.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) || names.contains(&"") {
            wrong.push(("principals", None, "a name of its own for each".to_owned()));
        }
        if self.kafka.certificate.as_os_str().is_empty() != self.kafka.private_key.as_os_str().is_empty() {
            wrong.push((
                "kafka.certificate",
                Some("kafka.private_key"),
                "a file if kafka.private_key does, and none if it has none".to_owned(),
            ));
        }
        if self.groups.session_max.0 < self.groups.session_min.0 {
            wrong.push(("groups.session_max", Some("groups.session_min"), "groups.session_min at least".to_owned()));
        }
        if inflight < body {
            // A body of the largest size would be refused for ever.
            wrong.push(("doors.inflight_max", Some("doors.body_max"), format!("doors.body_max at least, {body} bytes")));
        }
        wrong.extend(self.log.kafka.senseless());
        wrong.extend(self.kinesis.senseless());
        wrong.extend(self.gateway.senseless());
        wrong.extend(self.jobs.senseless());
        wrong.extend(self.databricks.senseless());
        wrong.extend(self.alerts.senseless());
        wrong
    }
}

/// The configuration as far as it can be read, and what is wrong with it.
pub(crate) struct Draft {
    pub(crate) config: Config,
    /// The same as values.
    pub(crate) values: Value,
    /// Every problem, with file and line or the variable's name.
    pub(crate) problems: Vec<String>,
}

/// Reads the configuration: defaults, then `file`, then the environment.
///
/// # Errors
/// Every problem on a line of its own.
pub(crate) fn load(file: Option<&Path>) -> Result<Draft> {
    let draft = draft(file);
    if draft.problems.is_empty() { Ok(draft) } else { bail!(draft.problems.join("\n")) }
}

/// Reads what can be read of the configuration; what is wrong keeps its default.
pub(crate) fn draft(file: Option<&Path>) -> Draft {
    let defaults = defaults();
    let (mut overrides, mut problems) = (Vec::new(), Vec::new());
    if let Some(file) = file {
        match in_file(file, &defaults) {
            Ok(found) => overrides.extend(found),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    in_environment(&defaults, &mut overrides, &mut problems);
    apply(&defaults, overrides, problems)
}

fn defaults() -> Value {
    serde_saphyr::from_str(DEFAULTS).expect("the defaults are YAML")
}

/// A setting that somebody gives.
struct Override {
    /// File and line, or the variable.
    place: String,
    path: Vec<String>,
    value: Value,
}

fn in_file(file: &Path, defaults: &Value) -> Result<Vec<Override>> {
    let shown = file.display();
    let text = read(file).with_context(|| format!("reading configuration '{shown}'"))?;
    let values: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        anyhow!("{shown}:{line}: {}", error.without_snippet())
    })?;
    if !values.is_object() && !values.is_null() {
        bail!("{shown}:1: the file takes a mapping of options");
    }
    let mut found = Vec::new();
    collect(defaults, values, &mut Vec::new(), &mut |path, value| {
        let place = format!("{shown}:{}", line_of(&text, &path));
        let value = if path == ["pipeline"] { beside(file, value) } else { value };
        found.push(Override { place, path, value });
    });
    Ok(found)
}

/// A folder that a file names goes with the file, wherever the command is run.
fn beside(file: &Path, folder: Value) -> Value {
    match folder.as_str().filter(|folder| !folder.is_empty()) {
        Some(named) => {
            let joined = file.parent().unwrap_or(Path::new("")).join(named);
            joined.components().collect::<PathBuf>().to_string_lossy().into()
        }
        None => folder,
    }
}

fn in_environment(defaults: &Value, overrides: &mut Vec<Override>, problems: &mut Vec<String>) {
    for (name, value) in variables::ours() {
        match (variables::option(&name).and_then(|option| path_of(defaults, &option)), value.into_string()) {
            (Some(path), Ok(value)) => {
                let value = typed(at(defaults, &path), value);
                overrides.push(Override { place: name, path, value });
            }
            (Some(_), Err(_)) => problems.push(format!("{name}: the value is not UTF-8")),
            (None, _) => problems.extend(variables::problem(&name, defaults)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the configuration file")]
fn read(file: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(file)
}

/// Puts the overrides over the defaults. Each is also tried alone, so that a wrong one is known by its place.
fn apply(defaults: &Value, overrides: Vec<Override>, mut problems: Vec<String>) -> Draft {
    let mut values = defaults.clone();
    let mut places = Vec::new();
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
            set(&mut values, &path, value);
            places.push((name, place));
        }
    }
    let config: Config = serde_json::from_value(values.clone()).expect("settings that are good alone are good together");
    for (key, beside, takes) in config.senseless() {
        // The later place wins, as the setting does.
        let within = |name: &str| name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let given = |(name, _): &&(String, String)| within(name) || Some(name.as_str()) == beside;
        let place = places.iter().rev().find(given).map_or("the defaults", |(_, place)| place);
        problems.push(format!("{place}: {key} takes {takes}"));
    }
    Draft { config, values, problems }
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

/// The option whose path, joined by `_`, is `name`.
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
