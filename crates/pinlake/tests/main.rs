//! The binary from outside: started, driven over HTTP, killed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "main/crash.rs"]
mod crash;
#[path = "main/demo.rs"]
mod demo;
#[path = "main/server.rs"]
mod server;
