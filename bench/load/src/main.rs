//! The load generator: Kafka REST produce, Kinesis puts and GetRecords by raw HTTP, and produce, fetch and groups by raw frames of Kafka's wire protocol. What is sent is
//! made before the clock starts, and all connections are on one thread, so that it takes as little as it can from the server that it
//! measures. Prints one JSON object with what came of it.

mod disk;
mod kinesis;
mod latencies;
mod post;
mod wire;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Loads a server and reports what it did.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    load: Load,
}

#[derive(Debug, Subcommand)]
enum Load {
    /// Posts records to a topic over Kafka REST, or puts them into a Kinesis stream
    Post(post::Args),
    /// Reads all shards of a Kinesis stream by GetRecords
    KinesisGet(kinesis::Args),
    /// Sends batches to a topic by Kafka's wire protocol; ends with an error at the first one that is not acknowledged
    WireProduce(wire::produce::Args),
    /// Reads a topic by Kafka's wire protocol, without unpacking it; ends with an error at a hole
    WireFetch(wire::fetch::Args),
    /// Joins new consumer groups and says how long the first assignment takes
    WireGroup(wire::group::Args),
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let report = runtime.block_on(async {
        match args.load {
            Load::Post(args) => post::run(&args).await,
            Load::KinesisGet(args) => kinesis::run(args).await,
            Load::WireProduce(args) => wire::produce::run(&args).await,
            Load::WireFetch(args) => wire::fetch::run(args).await,
            Load::WireGroup(args) => wire::group::run(&args).await,
        }
    })?;
    println_json(&report);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn println_json(report: &serde_json::Value) {
    println!("{report}");
}

/// To three digits, as reports have it.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
