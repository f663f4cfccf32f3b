//! The doors: how records come in over HTTP and how they reach the log.
//!
//! ```text
//! door (Kafka REST, Kinesis gateway, plain pin) -> records -> produce -> lane -> Log::append
//! ```
//!
//! Every door speaks its own protocol and shares everything behind `produce`. This crate knows the log by its trait alone: it
//! must not know how records are stored, cleaned or queried.

pub mod auth;
mod aws;
mod body;
mod client_log;
mod door_metrics;
mod doors;
pub mod firehose;
mod gateway;
pub mod groups;
pub mod http_server;
mod json;
pub mod kafka;
pub mod kinesis;
mod lane;
mod limits;
pub mod partitioner;
mod path;
mod pin_door;
pub mod produce;
pub mod records;
mod rest_proxy;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
mod topic_settings;
pub mod transactions;

pub use aws::signing;
pub use client_log::ClientLog;
pub use doors::{AutoCreate, Doors};
pub use firehose::DeliveryStreams;
pub use groups::Groups;
pub use kinesis::streams::Streams;
pub use produce::{OpenTopic, Placed, Producer};
pub use records::Records;
pub use settings::{
    AccessKey, AccessMode, AccessSettings, ApiKey, ConsumerSettings, DoorSettings, GatewaySettings, Grant, KinesisSettings,
    Period, ProducerSettings, Quota, Throttle, UsagePlan,
};
pub use tls::Tls;
pub use transactions::Transactions;

pub(crate) use pinlake_core::topic_store;
