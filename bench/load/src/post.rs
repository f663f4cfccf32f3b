//! Kafka REST produce and Kinesis puts: a fixed number of kept-alive connections, raw HTTP/1.1, each with one request under way.

pub(crate) mod answer;
mod bodies;
mod connection;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::latencies::Latencies;
use crate::{disk, round};
use bodies::{Bodies, Shape};
use connection::{Connection, Outcome, Plan};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  pinlake-load post --to 127.0.0.1:8082 --path /topics/unfed --lines pins.jsonl --connections 32 --seconds 10"
)]
pub(crate) struct Args {
    /// Address and port of the server
    #[arg(long, default_value = "127.0.0.1:8082")]
    to: String,
    /// Path of the requests
    #[arg(long, default_value = "/")]
    path: String,
    /// Put the records into this Kinesis stream, instead of Kafka REST
    #[arg(long, conflicts_with_all = ["path", "partitions", "new_keys"])]
    stream: Option<String>,
    /// A file of records, one JSON object a line; each goes into one body
    #[arg(long)]
    lines: PathBuf,
    /// Records a request
    #[arg(long, default_value_t = 1)]
    records: usize,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// For how long requests are begun
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Records a second over all connections; without it as many as are answered
    #[arg(long)]
    rate: Option<f64>,
    /// Send the records of a request to this many partitions in turn, by number
    #[arg(long)]
    partitions: Option<usize>,
    /// Give each record a new key and identifier whenever it is sent; the lines must begin with {"index":
    #[arg(long)]
    new_keys: bool,
}

/// Posts for as long as it is told to, and reports records a second and the latency of requests.
pub(crate) async fn run(args: &Args) -> Result<serde_json::Value> {
    ensure!(args.records > 0 && args.connections > 0, "records and connections are at least 1");
    ensure!(args.seconds > 0.0 && args.rate.is_none_or(|rate| rate > 0.0), "seconds and rate are more than 0");
    let lines = disk::read(&args.lines).with_context(|| format!("reading '{}'", args.lines.display()))?;
    let shape = Shape {
        to: &args.to,
        path: &args.path,
        records: args.records,
        partitions: args.partitions,
        new_keys: args.new_keys,
        stream: args.stream.as_deref(),
    };
    let shares = Bodies::shares(&lines, &shape, args.connections)?;
    drop(lines);
    let mut connections = Vec::new();
    for bodies in shares {
        connections.push(Connection::open(&args.to, bodies).await.with_context(|| format!("connecting to {}", args.to))?);
    }
    let begun = Instant::now();
    let plan = Plan { begun, end: begun + Duration::from_secs_f64(args.seconds), every: every(args) };
    let mut running = JoinSet::new();
    for (at, connection) in connections.into_iter().enumerate() {
        let first = plan.every.map_or(Duration::ZERO, |every| every.mul_f64(at as f64 / args.connections as f64));
        running.spawn(connection.run(plan.clone(), first));
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome.context("a connection's task ended")?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(report(args, outcomes, seconds))
}

/// How long one connection waits from one request to the next.
fn every(args: &Args) -> Option<Duration> {
    args.rate.map(|rate| Duration::from_secs_f64(args.records as f64 * args.connections as f64 / rate))
}

fn report(args: &Args, outcomes: Vec<Outcome>, seconds: f64) -> serde_json::Value {
    let (mut latencies, mut failures) = (Latencies::default(), Vec::new());
    for outcome in outcomes {
        latencies.add(outcome.latencies);
        failures.extend(outcome.failure);
    }
    let requests = latencies.count();
    let records = requests * args.records;
    json!({
        "seconds": round(seconds),
        "requests": requests,
        "records": records,
        "records_s": round(records as f64 / seconds),
        "p50_ms": latencies.at_ms(0.5),
        "p99_ms": latencies.at_ms(0.99),
        "failed": failures.len(),
        "failure": failures.first(),
    })
}
