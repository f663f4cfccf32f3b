//! The doors from outside: through the router, and over a socket.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and reads its files")]

mod any_bytes;
mod aws;
mod cases;
mod concurrency;
mod consumers;
mod faults;
mod firehose;
mod gateway;
mod http2;
mod kafka;
mod kinesis;
mod limits;
mod metrics;
mod properties;
mod server;
mod setup;
mod streams;
mod subscriptions;
