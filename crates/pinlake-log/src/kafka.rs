//! A cluster of Kafka's (Kafka 1.0 to 4.x, MSK, Redpanda) as the log: a narrow client of the wire protocol that speaks whole record batches.
//!
//! The way of an append: `append` gives it a producer's number and keeps its partition's order, `cluster` knows the leader, `broker` has the
//! connections, `connection` writes and matches answers. Decided by `error`'s one table, a request is sent again until its outcome is
//! known or its time is over. It must not look into records, nor know who reads them.

mod append;
mod broker;
mod cluster;
mod connection;
mod error;
mod frame;
mod kafka_log;
mod login;
mod meters;
mod offsets;
mod open;
mod options;
mod read;
mod retry;
mod settings;
mod shape;
mod throttle;
mod tls;
mod topics;
mod versions;
mod view;

#[cfg(test)]
mod tests;

pub use cluster::{BrokerInfo, ClusterInfo};
pub use kafka_log::KafkaLog;
pub use options::{ClusterOptions, Login, Security, Tls, Token, TokenSource};
pub use versions::ApiRange;
