//! Fetch: connections that read their partitions from the first offset to the last, one after the other and over again. It ends with the
//! first hole.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::client::{self, Client};
use super::skip::{self, FETCH_VERSION, Fetched};
use super::{ANSWER_WAIT, Target};
use crate::latencies::Latencies;
use crate::round;

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  pinlake-load wire-fetch --to 127.0.0.1:9092 --topic unfed --connections 2 --max-bytes 8388608 --seconds 10"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// The most bytes of an answer, one batch at least
    #[arg(long, default_value_t = 1 << 20)]
    max_bytes: i32,
    /// For how long to read, over again if need be; without it everything is read once
    #[arg(long)]
    seconds: Option<f64>,
    /// Afterwards read everything once more and check the batches' checksums; no part of the figures
    #[arg(long)]
    check_crc: bool,
}

/// What connections have read.
#[derive(Debug, Default)]
struct Outcome {
    fetched: Fetched,
    latencies: Latencies,
}

/// Reads what is there now, for as long as it is told to.
pub(crate) async fn run(args: Args) -> Result<serde_json::Value> {
    ensure!(args.target.connections > 0 && args.max_bytes > 0, "connections and max-bytes are at least 1");
    ensure!(args.seconds.is_none_or(|seconds| seconds > 0.0), "seconds are more than 0");
    let offsets = Client::connect(&args.target.to).await?.offsets(&args.target.topic).await?;
    let there: i64 = offsets.iter().map(|offsets| offsets.end - offsets.start).sum();
    ensure!(there > 0, "topic '{}' has no records: send some with wire-produce", args.target.topic);
    let begun = Instant::now();
    let end = args.seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let Outcome { fetched, mut latencies } = read(&args, &offsets, end, false).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut checked = None;
    if args.check_crc {
        let once = Args { target: Target { connections: 1, ..args.target }, ..args };
        let whole = read(&once, &offsets, None, true).await?.fetched;
        ensure!(whole.records == there.cast_unsigned(), "{} records were read where offsets say {there}", whole.records);
        checked = Some(whole.records);
    }
    Ok(json!({
        "seconds": round(seconds),
        "fetches": latencies.count(),
        "batches": fetched.batches,
        "records": fetched.records,
        "bytes": fetched.bytes,
        "records_s": round(fetched.records as f64 / seconds),
        "gb_s": round(fetched.bytes as f64 / seconds / 1e9),
        "p50_ms": latencies.at_ms(0.5),
        "p99_ms": latencies.at_ms(0.99),
        "there": there,
        "checked": checked,
    }))
}

async fn read(args: &Args, offsets: &[Range<i64>], end: Option<Instant>, check_crc: bool) -> Result<Outcome> {
    let mut running = JoinSet::new();
    for at in 0..args.target.connections {
        let mut mine: Vec<(i32, Range<i64>)> =
            (0..).zip(offsets.iter().cloned()).skip(at).step_by(args.target.connections).collect();
        if mine.is_empty() {
            let partition = at % offsets.len();
            mine.push((i32::try_from(partition)?, offsets[partition].clone()));
        }
        let client = Client::connect(&args.target.to).await?;
        running.spawn(consume(client, args.clone(), mine, end, check_crc));
    }
    let mut all = Outcome::default();
    while let Some(outcome) = running.join_next().await {
        let outcome = outcome.context("a connection's task ended")??;
        all.fetched.add(outcome.fetched);
        all.latencies.add(outcome.latencies);
    }
    Ok(all)
}

/// Reads partitions from their first offset to their last; over again if there is an `end`, and not past it.
async fn consume(
    mut client: Client,
    args: Args,
    partitions: Vec<(i32, Range<i64>)>,
    end: Option<Instant>,
    check_crc: bool,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    loop {
        for (partition, offsets) in &partitions {
            let mut next = offsets.start;
            while next < offsets.end {
                let (from, begun) = (next, Instant::now());
                if end.is_some_and(|end| begun >= end) {
                    return Ok(outcome);
                }
                let fetched = fetch(&mut client, &args, *partition, &mut next, check_crc).await?;
                ensure!(next > from, "partition {partition} answers nothing at offset {from}, though it ends at {}", offsets.end);
                outcome.latencies.note(begun.elapsed());
                outcome.fetched.add(fetched);
            }
        }
        if end.is_none() {
            return Ok(outcome);
        }
    }
}

async fn fetch(client: &mut Client, args: &Args, partition: i32, next: &mut i64, check_crc: bool) -> Result<Fetched> {
    client.correlation += 1;
    let of =
        FetchPartition::default().with_partition(partition).with_fetch_offset(*next).with_partition_max_bytes(args.max_bytes);
    let topic = FetchTopic::default().with_topic(client::topic_name(&args.target.topic)).with_partitions(vec![of]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(args.max_bytes)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let frame = client::frame(FETCH_VERSION, client.correlation, &request)?;
    let exchange = async {
        client.stream.write_all(&frame).await?;
        skip::answer(&mut client.stream, client.correlation, next, check_crc).await
    };
    timeout(ANSWER_WAIT, exchange).await.context("no answer in time")?
}
