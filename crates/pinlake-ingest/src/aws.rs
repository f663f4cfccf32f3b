//! What all services that speak `X-Amz-Target` share: values and their two codecs, errors, models of operations, and the form of
//! requests and answers. It must not know what an operation does.

#![allow(dead_code, reason = "not every service uses all of it")]

pub(crate) mod access;
pub(crate) mod error;
mod event_stream;
pub(crate) mod model;
pub(crate) mod read;
pub(crate) mod reset;
pub mod signing;
mod sigv4;
pub(crate) mod value;
mod wire;

pub(crate) use wire::{Service, answer, is_for, service_of};

use futures::stream::BoxStream;

use crate::doors::Call;
use access::Caller;
use error::AwsError;
use value::Value;

/// What an operation works with beside its input.
pub(crate) struct Context<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) caller: Caller,
}

/// What an operation answers.
pub(crate) enum Answer {
    /// `Null` if it has no output.
    Value(Value),
    /// The same, for a caller whose form is JSON.
    Json(Vec<u8>),
    Events(Events),
}

/// An answer that goes on for a while. An error ends it.
pub(crate) struct Events {
    /// What each is called by, such as `SubscribeToShardEvent`.
    pub(crate) name: &'static str,
    pub(crate) events: BoxStream<'static, Result<Value, AwsError>>,
}
