//! `log.kafka`: the outside Kafka cluster that is the log, if brokers are named. Plain data; nothing is connected here.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::addresses::host_and_port;
use super::{SecretRef, Senseless};

/// The most brokers that are worth naming: any one of them tells of all others.
const BROKERS_MAX: usize = 100;

/// The cluster, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterConfig {
    /// `HOST:PORT` each; none: the log is on this machine's disk.
    #[serde(deserialize_with = "brokers")]
    pub(crate) brokers: Vec<String>,
    pub(crate) security: SecurityConfig,
    /// Copies of each topic that is created; 0: as many as the cluster makes by itself.
    pub(crate) replication: i16,
}

/// How connections are encrypted, and who logs in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecurityConfig {
    pub(crate) tls: bool,
    /// A PEM file with the certificates of those who are believed, instead of the machine's; empty: the machine's.
    pub(crate) ca: PathBuf,
    pub(crate) sasl: SaslConfig,
}

/// Who logs in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaslConfig {
    pub(crate) mechanism: Mechanism,
    pub(crate) username: String,
    pub(crate) password: PasswordConfig,
    pub(crate) region: String,
}

/// How the login goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    None,
    #[serde(alias = "PLAIN")]
    Plain,
    #[serde(rename = "scram-sha-256", alias = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512", alias = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "oauthbearer", alias = "OAUTHBEARER")]
    OAuthBearer,
    #[serde(alias = "AWS_MSK_IAM")]
    AwsMskIam,
}

impl Mechanism {
    /// As it is written in a configuration.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Plain => "plain",
            Self::ScramSha256 => "scram-sha-256",
            Self::ScramSha512 => "scram-sha-512",
            Self::OAuthBearer => "oauthbearer",
            Self::AwsMskIam => "aws-msk-iam",
        }
    }
}

/// Where the password is: one of the two.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordConfig {
    env: String,
    file: PathBuf,
}

impl PasswordConfig {
    /// Where it is; `None` if nothing is said, or two things.
    pub(crate) fn place(&self) -> Option<SecretRef> {
        match (self.env.is_empty(), self.file.as_os_str().is_empty()) {
            (false, true) => Some(SecretRef::Env(self.env.clone())),
            (true, false) => Some(SecretRef::File(self.file.clone())),
            _ => None,
        }
    }

    pub(super) fn is_said(&self) -> bool {
        !self.env.is_empty() || !self.file.as_os_str().is_empty()
    }
}

const BROKERS: &str = "log.kafka.brokers";
const TLS: &str = "log.kafka.security.tls";
const CA: &str = "log.kafka.security.ca";
const MECHANISM: &str = "log.kafka.security.sasl.mechanism";
const USERNAME: &str = "log.kafka.security.sasl.username";
const PASSWORD: &str = "log.kafka.security.sasl.password";
const REGION: &str = "log.kafka.security.sasl.region";

impl ClusterConfig {
    /// Whether a cluster is the log.
    pub(crate) fn is_set(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// The brokers, as messages name them.
    pub(crate) fn shown(&self) -> String {
        self.brokers.join(", ")
    }

    /// The brokers, and who logs in to them by what.
    pub(crate) fn described(&self) -> String {
        let SaslConfig { mechanism, username, password, .. } = &self.security.sasl;
        let secret = match password.place() {
            Some(SecretRef::Env(variable)) => format!(" with what variable {variable} holds"),
            Some(SecretRef::File(file)) => format!(" with what file '{}' holds", file.display()),
            None => String::new(),
        };
        let name = if username.is_empty() { String::new() } else { format!(" as '{username}'") };
        let login = match mechanism {
            Mechanism::None => String::new(),
            mechanism => format!(", logging in{name} by {}{secret}", mechanism.name()),
        };
        format!("{}{login}", self.shown())
    }

    /// What whoever listens on the way could see of the login; `None` if nothing.
    pub(crate) fn exposed(&self) -> Option<&'static str> {
        let clear = matches!(self.security.sasl.mechanism, Mechanism::Plain | Mechanism::OAuthBearer);
        (clear && !self.security.tls).then_some("the password goes to the brokers unencrypted: set log.kafka.security.tls")
    }

    /// Settings with which nothing could work.
    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let SecurityConfig { tls, ca, sasl } = &self.security;
        let SaslConfig { mechanism, username, password, region } = sasl;
        let names_one = matches!(mechanism, Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha512);
        let takes_secret = names_one || *mechanism == Mechanism::OAuthBearer;
        let with_iam = *mechanism == Mechanism::AwsMskIam;
        let rules: [(&'static str, Option<&'static str>, bool, &str); 9] = [
            (BROKERS, Some(TLS), self.is_set() || !tls, "HOST:PORT of a broker, for log.kafka.security.tls is set"),
            (
                BROKERS,
                Some(MECHANISM),
                self.is_set() || *mechanism == Mechanism::None,
                "HOST:PORT of a broker, for a login is set",
            ),
            ("log.kafka.replication", None, self.replication >= 0, "0, for the cluster's default, or the number of copies"),
            (CA, Some(TLS), *tls || ca.as_os_str().is_empty(), "a file only if log.kafka.security.tls is true"),
            (TLS, Some(MECHANISM), *tls || !with_iam, "true for aws-msk-iam: the brokers take it on encrypted connections alone"),
            (USERNAME, Some(MECHANISM), names_one != username.is_empty(), takes(names_one, "a name for plain and scram-sha-*")),
            (PASSWORD, Some(MECHANISM), takes_secret || !password.is_said(), "nothing for this mechanism"),
            (PASSWORD, Some(MECHANISM), !takes_secret || password.place().is_some(), "either env or file for this mechanism"),
            (
                REGION,
                Some(MECHANISM),
                with_iam != region.is_empty(),
                takes(with_iam, "a region such as eu-west-1 for aws-msk-iam"),
            ),
        ];
        let wrong = rules.into_iter().filter(|(_, _, holds, _)| !holds);
        wrong.map(|(key, beside, _, takes)| (key, beside, takes.to_owned())).collect()
    }
}

/// What to say of an option that a mechanism needs or has no use for.
fn takes(needed: bool, what: &'static str) -> &'static str {
    if needed { what } else { "nothing for this mechanism" }
}

/// A list, or names between commas, as Kafka's own clients take them.
fn brokers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let written: Vec<String> = match Value::deserialize(deserializer)? {
        Value::Array(several) => several.iter().map(text_of).collect(),
        one => text_of(&one).split(',').map(str::to_owned).collect(),
    };
    let named: Vec<&str> = written.iter().map(|broker| broker.trim()).filter(|broker| !broker.is_empty()).collect();
    if named.len() > BROKERS_MAX {
        return Err(de::Error::custom(format!("{} brokers are named: {BROKERS_MAX} at most", named.len())));
    }
    let broker = |text: &&str| match host_and_port(text) {
        Some(_) => Ok((*text).to_owned()),
        None => Err(de::Error::custom(format!("'{text}' is not HOST:PORT, such as broker.example:9092"))),
    };
    named.iter().map(broker).collect()
}

fn text_of(written: &Value) -> String {
    written.as_str().map_or_else(|| written.to_string(), str::to_owned)
}
