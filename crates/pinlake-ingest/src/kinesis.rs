//! Kinesis: a stream is a topic, a shard a partition, a sequence number an offset; mapped here only. The gateway form is the one
//! that classic scripts use; it must not know how records are batched.

mod admin;
mod body;
mod entry;
mod error;
mod gateway;
mod get;
mod iterator;
mod layout;
pub(crate) mod names;
pub(crate) mod operations;
pub(crate) mod plain;
mod put;
pub mod sequence;
pub mod streams;
pub(crate) mod subscriptions;
mod throughput;
pub(crate) mod wording;

use std::sync::LazyLock;

use crate::aws::model::Model;

pub(crate) use gateway::answer as gateway;

/// What the operations of Kinesis's own protocol take.
pub(crate) static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::parse(include_str!("kinesis/model.txt")).expect("a test reads the table"));
