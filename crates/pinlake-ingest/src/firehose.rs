//! Firehose: a delivery stream takes records into a topic, or reads that of a Kinesis stream, and what comes out of it is somebody else's
//! work, who is known here by a trait. It must not know how objects are written.

pub mod streams;

pub use streams::DeliveryStreams;
