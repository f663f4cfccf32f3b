//! What all services that speak `X-Amz-Target` share: values and their two codecs, errors, models of operations, and the form of
//! requests and answers. It must not know what an operation does.

#![allow(dead_code, reason = "its first service comes with the next commits")]

pub(crate) mod access;
pub(crate) mod error;
pub(crate) mod model;
pub mod signing;
mod sigv4;
pub(crate) mod value;
