//! Produce: connections that each keep a few requests under way, one batch each, to the partitions in turn. It ends with the first batch that is
//! not acknowledged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceResponse};
use kafka_protocol::protocol::Decodable;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::batch::{Identity, PRODUCE_VERSION, ProduceFrame, SharedBatch};
use super::client::{self, Client};
use super::{ANSWER_WAIT, Target};
use crate::latencies::Latencies;
use crate::{disk, round};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  pinlake-load wire-produce --to 127.0.0.1:9092 --topic unfed --partitions 4 --connections 2 --seconds 10"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// The topic's partitions, to which each connection sends in turn
    #[arg(long, default_value_t = 1)]
    partitions: u16,
    /// Requests that a connection has under way
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// The most bytes of a batch; each request carries one
    #[arg(long, default_value_t = 1_000_000)]
    batch_bytes: usize,
    /// A file of records, one a line, that fill the batch in turn; without it records are made up
    #[arg(long)]
    lines: Option<PathBuf>,
    /// Bytes of a record that is made up
    #[arg(long, default_value_t = 741)]
    record_bytes: usize,
    /// Send as an idempotent producer
    #[arg(long)]
    idempotent: bool,
    /// For how long requests are begun
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Sends for as long as it is told to. `logged` is by how many records the topic has grown: nobody else may write to it meanwhile.
pub(crate) async fn run(args: &Args) -> Result<serde_json::Value> {
    ensure!(
        args.partitions > 0 && args.target.connections > 0 && args.in_flight > 0,
        "partitions, connections and in-flight are at least 1"
    );
    ensure!(args.seconds > 0.0, "seconds are more than 0");
    let batch = SharedBatch::build(&values(args)?, args.batch_bytes, disk::now_ms()?)?;
    let mut client = Client::connect(&args.target.to).await?;
    client.create_topic(&args.target.topic, args.partitions).await?;
    let logged_before = logged(&mut client, &args.target.topic).await?;
    let mut producers = Vec::new();
    for at in 0..args.target.connections {
        producers.push(Producer::open(args, at, &batch).await?);
    }
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(args.seconds);
    let mut running: JoinSet<Result<Latencies>> = producers.into_iter().map(|producer| producer.run(end)).collect();
    let mut latencies = Latencies::default();
    while let Some(outcome) = running.join_next().await {
        latencies.add(outcome.context("a connection's task ended")??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let logged = logged(&mut client, &args.target.topic).await? - logged_before;
    let batches = latencies.count();
    let (records, bytes) = (batches as i64 * i64::from(batch.records), batches * batch.bytes().len());
    Ok(json!({
        "seconds": round(seconds),
        "batches": batches,
        "batch_records": batch.records,
        "batch_bytes": batch.bytes().len(),
        "records": records,
        "logged": logged,
        "bytes": bytes,
        "records_s": round(records as f64 / seconds),
        "mb_s": round(bytes as f64 / seconds / 1e6),
        "p50_ms": latencies.at_ms(0.5),
        "p99_ms": latencies.at_ms(0.99),
        "most_ms": latencies.at_ms(1.0),
    }))
}

/// What the records are.
fn values(args: &Args) -> Result<Vec<Bytes>> {
    let Some(path) = &args.lines else {
        let letters = (b'a'..=b'z').cycle();
        return Ok(vec![letters.take(args.record_bytes).collect()]);
    };
    let lines = Bytes::from(disk::read(path).with_context(|| format!("reading '{}'", path.display()))?);
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(Bytes::copy_from_slice).collect())
}

/// Records that the topic's partitions hold.
async fn logged(client: &mut Client, topic: &str) -> Result<i64> {
    Ok(client.offsets(topic).await?.iter().map(|offsets| offsets.end - offsets.start).sum())
}

/// One connection.
struct Producer {
    client: Client,
    /// One a partition.
    frames: Vec<ProduceFrame>,
    in_flight: usize,
    /// The partition that gets the first batch.
    first: usize,
}

/// A request that waits for its answer.
struct Sent {
    begun: Instant,
    correlation: i32,
    partition: usize,
    records: i32,
}

impl Producer {
    async fn open(args: &Args, at: usize, batch: &SharedBatch) -> Result<Self> {
        let mut client = Client::connect(&args.target.to).await?;
        let mut identity = None;
        if args.idempotent {
            let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
            let given = client.call(1, &request).await?;
            client::check(given.error_code).context("asking for a producer id")?;
            identity = Some(Identity { id: given.producer_id.0, epoch: given.producer_epoch });
        }
        let frame = |partition| ProduceFrame::new(&args.target.topic, i32::from(partition), batch, identity);
        let frames: Vec<ProduceFrame> = (0..args.partitions).map(frame).collect::<Result<_>>()?;
        Ok(Self { client, first: at % frames.len(), frames, in_flight: args.in_flight })
    }

    /// How long each batch took to be acknowledged, or why one was not.
    async fn run(self, end: Instant) -> Result<Latencies> {
        let next = vec![0; self.frames.len()];
        let slots = Arc::new(Semaphore::new(self.in_flight));
        let (sender, sent) = mpsc::channel(self.in_flight);
        let (read, write) = self.client.stream.into_inner().into_split();
        let sending = send(write, self.frames, self.first, end, &slots, sender);
        let receiving = receive(BufReader::new(read), next, sent, &slots);
        Ok(tokio::try_join!(sending, receiving)?.1)
    }
}

/// Sends until `end`. Hands the socket's half back: dropped, it would tell the server that the client has gone.
async fn send(
    mut write: OwnedWriteHalf,
    mut frames: Vec<ProduceFrame>,
    first: usize,
    end: Instant,
    slots: &Semaphore,
    sender: mpsc::Sender<Sent>,
) -> Result<OwnedWriteHalf> {
    let mut partitions = (0..frames.len()).cycle().skip(first);
    for correlation in 0.. {
        slots.acquire().await?.forget();
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let partition = partitions.next().context("there are partitions")?;
        let records = frames[partition].records();
        sender.send(Sent { begun, correlation, partition, records }).await.ok().context("nobody waits for answers")?;
        write.write_all_buf(&mut frames[partition].next(correlation)).await.context("sending a batch")?;
    }
    Ok(write)
}

/// Takes the answers. `next` is by partition the first offset that was not given yet.
async fn receive(
    mut read: impl AsyncRead + Unpin,
    mut next: Vec<i64>,
    mut sent: mpsc::Receiver<Sent>,
    slots: &Semaphore,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    while let Some(request) = sent.recv().await {
        let mut answer = timeout(ANSWER_WAIT, client::read_answer(&mut read)).await.context("no answer in time")??;
        latencies.note(request.begun.elapsed());
        slots.add_permits(1);
        ensure!(answer.try_get_i32()? == request.correlation, "an answer to another request came");
        let answer = ProduceResponse::decode(&mut answer, PRODUCE_VERSION)?;
        let acknowledged = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let acknowledged = acknowledged.context("the answer has no partition")?;
        client::check(acknowledged.error_code)
            .with_context(|| format!("a batch to partition {} was refused", request.partition))?;
        let next = &mut next[request.partition];
        ensure!(acknowledged.base_offset >= *next, "offset {} was given twice", acknowledged.base_offset);
        *next = acknowledged.base_offset + i64::from(request.records);
    }
    Ok(latencies)
}
