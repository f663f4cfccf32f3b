//! Firehose: a delivery stream takes records into a topic, or reads that of a Kinesis stream, and what comes out of it is somebody else's
//! work, who is known here by a trait. It must not know how objects are written.
//!
//! ```text
//! operations -> definition (destination) -> streams: a text by name, kept and delivered by whoever implements the trait
//!           \-> put -> produce -> lane -> Log::append, into the topic firehose.NAME
//! ```

mod definition;
mod destination;
pub(crate) mod operations;
mod prefix;
mod put;
pub mod streams;
mod wording;

use std::sync::LazyLock;

use crate::aws::model::Model;

pub(crate) use streams::Deliveries;
pub use streams::DeliveryStreams;

/// What the operations of Firehose take.
pub(crate) static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("firehose/model.txt")).expect("a test reads the table"));

/// The topic of a delivery stream that records are put to.
pub(crate) fn topic_of(name: &str) -> String {
    format!("firehose.{name}")
}
