//! What all services that speak `X-Amz-Target` share: values and their two codecs, errors, models of operations, and the form of
//! requests and answers. It must not know what an operation does.

#![allow(dead_code, reason = "not every service uses all of it")]

pub(crate) mod access;
pub(crate) mod error;
pub(crate) mod model;
pub(crate) mod read;
pub mod signing;
mod sigv4;
pub(crate) mod value;
mod wire;

pub(crate) use wire::{Service, answer, is_for, service_of};

use crate::doors::Call;
use access::Caller;

/// What an operation works with beside its input.
pub(crate) struct Context<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) caller: Caller,
}
