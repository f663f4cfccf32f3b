//! What an operator may say about the cluster. Plain data: it must not connect or read files.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::secret::Secret;
use pinlake_core::{Error, Result, Timestamp};

/// How to reach a cluster, and the bounds of what is asked of it.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Some of the brokers, `host:port`; the others are learnt from these.
    pub brokers: Vec<String>,
    /// Encryption and login; neither.
    pub security: Security,
    /// How many replicas new topics get; the cluster's default, which brokers older than Kafka 2.4 don't know: there it is 1.
    pub replication: Option<i16>,
    /// How long a call may take with all its repetitions, a read's own wait apart; 30 seconds.
    pub request_timeout: Duration,
    /// How long a broker may take to accept a connection or to answer one request, before the connection is given up and the request
    /// repeated; 10 seconds.
    pub answer_timeout: Duration,
    /// How long a broker that asks for quiet (`throttle_time_ms`) is sent nothing at most, whatever it asks for; 10 seconds.
    pub throttle_max: Duration,
    /// How many requests may be under way on one connection, others wait; 64.
    pub inflight_max: usize,
    /// How many reads of one broker may wait for records at the broker, each on a connection of its own; 16. Others ask every 50
    /// milliseconds.
    pub polls_max: usize,
    /// How many bytes of batches may wait to be acknowledged before appends are refused; 256 MiB.
    pub append_bytes_max: usize,
    /// The largest answer that is taken; 128 MiB.
    pub answer_bytes_max: usize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            security: Security::default(),
            replication: None,
            request_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10),
            throttle_max: Duration::from_secs(10),
            inflight_max: 64,
            polls_max: 16,
            append_bytes_max: 256 << 20,
            answer_bytes_max: 128 << 20,
        }
    }
}

impl ClusterOptions {
    /// Refuses what can't work.
    pub(super) fn validate(&self) -> Result<()> {
        if self.brokers.is_empty() {
            return Err(Error::invalid("a cluster takes one broker at least, 'host:port'"));
        }
        let wrong = |broker: &&String| {
            let port =
                broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
            port.is_none_or(|port| port == 0)
        };
        if let Some(broker) = self.brokers.iter().find(wrong) {
            return Err(Error::invalid(format!("'{}' is no broker: write 'host:port'", broker.escape_debug())));
        }
        if self.inflight_max == 0 || self.polls_max == 0 || self.append_bytes_max == 0 || self.answer_bytes_max == 0 {
            return Err(Error::invalid("the bounds of a cluster's client must be above 0"));
        }
        if self.answer_timeout.is_zero() || self.request_timeout < self.answer_timeout {
            return Err(Error::invalid("'request_timeout' must be 'answer_timeout' at least, and that above 0"));
        }
        Ok(())
    }
}

/// How connections are protected.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Encrypts; plain bytes otherwise.
    pub tls: Option<Tls>,
    /// Logs in by SASL; otherwise nobody.
    pub login: Option<Login>,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates (PEM) of the authorities that are believed, instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Where they come from, as errors name it.
    pub ca_name: String,
}

/// Who logs in, by which of SASL's mechanisms.
#[derive(Clone)]
pub enum Login {
    /// PLAIN: the password itself is sent.
    Plain {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// SCRAM-SHA-256.
    ScramSha256 {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// SCRAM-SHA-512.
    ScramSha512 {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// OAUTHBEARER.
    Token(Arc<dyn TokenSource>),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { user, .. } => write!(f, "Plain({user:?}, ***)"),
            Self::ScramSha256 { user, .. } => write!(f, "ScramSha256({user:?}, ***)"),
            Self::ScramSha512 { user, .. } => write!(f, "ScramSha512({user:?}, ***)"),
            Self::Token(_) => f.write_str("Token(***)"),
        }
    }
}

/// Makes tokens to log in with. It is asked for one for every connection, and may answer the same while that holds.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that holds now.
    async fn token(&self) -> Result<Token>;
}

/// Something to log in with, for a time.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent.
    pub value: Secret,
    /// Until when it holds.
    pub expires: Timestamp,
}
