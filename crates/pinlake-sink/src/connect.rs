//! Sinks in Kafka Connect's words: the S3 sink connector's settings, what is said of a configuration, and the plan that one makes. Must not run
//! anything; where files and variables are read is the caller's business, see [`References`].

mod dead_letters;
mod definitions;
mod plan;
mod references;
mod setting;
mod settings;
mod validation;

#[cfg(test)]
mod tests;

use pinlake_core::{Error, Result};

use crate::Config;
use crate::plan::Plan;
use settings::Settings;

pub use dead_letters::TopicDeadLetters;
pub use references::{References, property};
pub use setting::{Group, Importance, Setting, Type, Width};
pub use validation::{Checked, Validation};

/// The class of the one connector that there is.
pub const S3_SINK: &str = "io.confluent.connect.s3.S3SinkConnector";
/// Its version: the one of Confluent's connector that the settings are those of.
pub const S3_SINK_VERSION: &str = "10.5.0";
/// The setting that names the connector's class.
pub const CONNECTOR_CLASS: &str = "connector.class";
/// The longest name of a connector, bytes.
pub const NAME_LEN_MAX: usize = 200;
/// The most settings of a configuration.
pub const SETTINGS_MAX: usize = 1000;
/// What is shown in place of a secret.
pub const HIDDEN: &str = "[hidden]";

/// Whether `plugin` is a name of the S3 sink connector: its class, or that without the package, or without `Connector` at the end.
pub fn is_s3_sink(plugin: &str) -> bool {
    [S3_SINK, "S3SinkConnector", "S3Sink"].contains(&plugin.trim())
}

/// All settings in their groups, in the order in which they are shown.
pub fn groups() -> &'static [Group] {
    definitions::GROUPS
}

/// What is to be said of a configuration, whether it is right or not.
///
/// # Errors
/// `Invalid` if it names no connector or an unknown one, or is too large to be looked at.
pub fn validate(config: &Config, references: &dyn References) -> Result<Validation> {
    check_class(config)?;
    let mut settings = Settings::read(config, references);
    // Its errors are those of the settings.
    let _ = plan::plan(&mut settings);
    Ok(settings.into_validation())
}

/// Whether a configuration names the connector that there is.
fn check_class(config: &Config) -> Result<()> {
    check_size(config)?;
    let class = config.get(CONNECTOR_CLASS).map(|class| class.trim()).unwrap_or_default();
    if class.is_empty() {
        return Err(Error::invalid(format!("Connector config contains no connector type: set {CONNECTOR_CLASS} to {S3_SINK}")));
    }
    if !is_s3_sink(class) {
        let class: String = class.chars().take(200).collect();
        return Err(Error::invalid(format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors are: {S3_SINK}"
        )));
    }
    Ok(())
}

/// The plan of a sink of that configuration.
///
/// # Errors
/// What is wrong with the configuration: at least one error.
pub fn plan(config: &Config, references: &dyn References) -> Result<Plan, Validation> {
    let mut settings = Settings::read(config, references);
    match plan::plan(&mut settings) {
        Some(plan) if !settings.has_errors() => Ok(plan),
        _ => Err(settings.into_validation()),
    }
}

/// The plan of a configuration that may name another connector.
///
/// # Errors
/// `Invalid` with all that is wrong, as Connect says it.
pub fn make_plan(config: &Config, references: &dyn References) -> Result<Plan> {
    check_class(config)?;
    plan(config, references).map_err(|validation| Error::invalid(validation.message()))
}

/// A configuration as logs may show it: without secrets that stand in it literally.
pub fn masked(config: &Config) -> Config {
    let mask = |(name, value): (&String, &String)| {
        let is_shown = !is_secret(name) || references::is_reference(value);
        (name.clone(), if is_shown { value.clone() } else { HIDDEN.to_owned() })
    };
    config.iter().map(mask).collect()
}

/// Whether the value of a setting is a secret, as far as its name says.
fn is_secret(name: &str) -> bool {
    let known = groups().iter().flat_map(|group| group.settings).find(|setting| setting.name == name);
    let words = ["password", "secret", "credential", "sse.customer.key", "sasl.jaas"];
    known.map_or_else(|| words.iter().any(|word| name.contains(word)), |setting| setting.kind == Type::Password)
}

fn check_size(config: &Config) -> Result<()> {
    if config.len() > SETTINGS_MAX {
        return Err(Error::invalid(format!("the configuration has {} settings, {SETTINGS_MAX} are the most", config.len())));
    }
    Ok(())
}
