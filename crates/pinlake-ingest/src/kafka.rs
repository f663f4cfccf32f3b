//! Kafka's wire protocol: one broker that is the whole cluster, for every Kafka client and tool.
//!
//! ```text
//! server -> connection -> frame (shape) -> api/* -> Log, Groups, Transactions
//! ```
//!
//! Record batches pass through as they are, in both directions. What each API does is in `api/`, one file a family; which versions are
//! served is in `versions`. It must not keep records or offsets of its own.

mod answer;
mod api;
mod broker;
mod connection;
mod error;
mod frame;
mod lanes;
mod metrics;
mod room;
mod sasl;
mod server;
mod session;
mod settings;
mod shape;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod versions;

pub(crate) use broker::NODE_ID;
pub use broker::{Broker, cluster_id};
pub use server::serve;
pub use settings::KafkaSettings;
