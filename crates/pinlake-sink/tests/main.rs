//! Sinks over a log and an object store in memory: what they write, what they are asked, and what every failure and death leaves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "main/clocks.rs"]
mod clocks;
#[path = "main/crashes.rs"]
mod crashes;
#[path = "main/deliveries.rs"]
mod deliveries;
#[path = "main/errors.rs"]
mod errors;
#[path = "main/faulty.rs"]
mod faulty;
#[path = "main/model.rs"]
mod model;
#[path = "main/sinks.rs"]
mod sinks;
#[path = "main/world.rs"]
mod world;
