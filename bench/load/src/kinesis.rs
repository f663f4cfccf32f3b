//! Kinesis by raw HTTP/1.1: what its requests look like, and GetRecords over all shards of a stream, over and over. The data is measured by
//! the length of its base64, which is not decoded: that would be the client's work.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::latencies::Latencies;
use crate::post::answer;
use crate::round;

/// An answer that takes longer than this is a failure, so that a run ends.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// A signature that says nothing: servers under test that ask for none still want to see its form.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20300101/us-east-1/kinesis/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  pinlake-load kinesis-get --to 127.0.0.1:8082 --stream bench --seconds 10")]
pub(crate) struct Args {
    /// Address and port of the server
    #[arg(long, default_value = "127.0.0.1:8082")]
    to: String,
    /// The stream; each of its shards is read by a connection of its own
    #[arg(long)]
    stream: String,
    /// For how long to read, over again if need be
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The most records of an answer
    #[arg(long, default_value_t = 10_000)]
    limit: u32,
}

/// One request, head and body.
pub(crate) fn request(to: &str, operation: &str, body: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-date: 20300101T000000Z\r\n\
         x-amz-target: Kinesis_20131202.{operation}\r\nauthorization: {AUTHORIZATION}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads what is there, for as long as it is told to.
pub(crate) async fn run(args: Args) -> Result<Value> {
    ensure!(args.seconds > 0.0 && args.limit > 0, "seconds and limit are more than 0");
    let mut client = Client::connect(&args.to).await?;
    let shards = client.ask("ListShards", &json!({ "StreamName": args.stream })).await?;
    let shards = shards["Shards"].as_array().context("ListShards answers no shards")?.clone();
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(args.seconds);
    let mut running = JoinSet::new();
    for shard in shards {
        let id = shard["ShardId"].as_str().context("a shard without an id")?.to_owned();
        running.spawn(read(Client::connect(&args.to).await?, args.clone(), id, end));
    }
    let mut all = Outcome::default();
    while let Some(outcome) = running.join_next().await {
        let outcome = outcome.context("a connection's task ended")??;
        all.records += outcome.records;
        all.bytes += outcome.bytes;
        all.whole += outcome.whole;
        all.latencies.add(outcome.latencies);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({
        "seconds": round(seconds),
        "requests": all.latencies.count(),
        "records": all.records,
        "bytes": all.bytes,
        "records_s": round(all.records as f64 / seconds),
        "mb_s": round(all.bytes as f64 / seconds / 1e6),
        "p50_ms": all.latencies.at_ms(0.5),
        "p99_ms": all.latencies.at_ms(0.99),
        "there": all.whole,
    }))
}

#[derive(Debug, Default)]
struct Outcome {
    records: usize,
    /// Of the data, about: by the length of its base64.
    bytes: usize,
    /// Records of the first lap, which is made whole even past the end.
    whole: usize,
    latencies: Latencies,
}

/// Reads a shard from its first record to its last, over again until `end`.
async fn read(mut client: Client, args: Args, shard: String, end: Instant) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut first_lap = true;
    let from_start = json!({ "StreamName": args.stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    loop {
        let iterator = client.ask("GetShardIterator", &from_start).await?;
        let mut iterator = iterator["ShardIterator"].as_str().context("no iterator was answered")?.to_owned();
        loop {
            let begun = Instant::now();
            if begun >= end && !first_lap {
                return Ok(outcome);
            }
            client.exchange("GetRecords", &json!({ "ShardIterator": iterator, "Limit": args.limit }).to_string()).await?;
            let (records, bytes) = data(client.body());
            if records == 0 {
                break;
            }
            outcome.latencies.note(begun.elapsed());
            outcome.records += records;
            outcome.bytes += bytes;
            iterator =
                text(client.body(), b"\"NextShardIterator\":\"").context("an answer without the next iterator")?.to_owned();
        }
        ensure!(outcome.records > 0, "shard '{shard}' has no records: put some first");
        if first_lap {
            (outcome.whole, first_lap) = (outcome.records, false);
        }
    }
}

/// How many records an answer has, and how many bytes of data.
fn data(body: &[u8]) -> (usize, usize) {
    const FIELD: &[u8] = b"\"Data\":\"";
    let (mut records, mut bytes) = (0, 0);
    for at in memmem::find_iter(body, FIELD) {
        let data = &body[at + FIELD.len()..];
        let len = memchr::memchr(b'"', data).unwrap_or(data.len());
        records += 1;
        bytes += len / 4 * 3 - data[..len].iter().rev().take_while(|byte| **byte == b'=').count();
    }
    (records, bytes)
}

/// The text behind `field`, which has no escapes.
fn text<'a>(body: &'a [u8], field: &[u8]) -> Option<&'a str> {
    let rest = &body[memmem::find(body, field)? + field.len()..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

/// A kept-alive connection and the last answer.
#[derive(Debug)]
struct Client {
    to: String,
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    async fn connect(to: &str) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { to: to.to_owned(), stream, answer: Vec::new() })
    }

    async fn ask(&mut self, operation: &str, input: &Value) -> Result<Value> {
        self.exchange(operation, &input.to_string()).await?;
        serde_json::from_slice(self.body()).with_context(|| format!("reading the answer to {operation}"))
    }

    async fn exchange(&mut self, operation: &str, body: &str) -> Result<()> {
        let exchanged = timeout(ANSWER_WAIT, self.exchange_in_time(operation, body)).await;
        exchanged.with_context(|| format!("no answer to {operation} within {} s", ANSWER_WAIT.as_secs()))?
    }

    async fn exchange_in_time(&mut self, operation: &str, body: &str) -> Result<()> {
        self.stream.write_all(&request(&self.to, operation, body)).await?;
        self.answer.clear();
        let mut len = None;
        loop {
            let count = self.stream.read_buf(&mut self.answer).await?;
            ensure!(count > 0, "the server closed the connection");
            if len.is_none() {
                len = answer::len(&self.answer)?;
            }
            if len.is_some_and(|len| self.answer.len() >= len) {
                let ok = self.answer.starts_with(b"HTTP/1.1 200");
                ensure!(ok, "{operation}: {}", String::from_utf8_lossy(&self.answer[..self.answer.len().min(600)]));
                return Ok(());
            }
        }
    }

    fn body(&self) -> &[u8] {
        let head = memmem::find(&self.answer, b"\r\n\r\n").map_or(0, |at| at + 4);
        &self.answer[head..]
    }
}
