//! The binary as a user meets it: its commands, its server under load and under `kill -9`.
//!
//! Tests start the binary as a child process and speak HTTP; none links the log or the query engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests look at the files that the server wrote")]

mod airflow;
mod aws_clients;
mod between_doors;
mod browsers;
mod commands;
mod connectors;
mod crash;
mod delivery_streams;
mod demo;
mod hostile;
mod hostile_sql;
mod jobs;
mod kafka_clients;
mod lakes;
mod memory;
mod metrics;
mod names;
mod noida;
mod outside_cluster;
mod peers;
mod questions;
mod readers;
mod real_records;
mod server;
mod setup;
mod shell;
mod shutdown;
mod sink_stores;
mod wire;
