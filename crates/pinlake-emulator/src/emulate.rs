//! User posts sent as the classic emulator scripts send them: to the Kafka REST door, to the Kinesis gateway door, or to both.
//!
//! The arrow line is source -> chunks -> send -> door. Must speak HTTP alone and know nothing of what is behind it.

mod chunks;
mod door;
mod send;

use std::time::Duration;

use futures::StreamExt;
use pinlake_core::secret::mask_url;
use pinlake_core::{Clock, Error, Result, TopicName};
use reqwest::Url;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::kind::Kind;
use crate::posts::Datetimes;
use crate::source::{Source, Wanted};

use chunks::Chunks;
use send::{Sender, Sent};

/// The id that the topics and streams are named after when none is given.
pub const DEFAULT_ID: &str = "0a1b2c3d4e5f";

/// Connections at most.
const CONNECTIONS_MAX: usize = 1_024;

/// Records of one request at most, as Kinesis has it.
const RECORDS_A_REQUEST_MAX: usize = 500;

/// Through which door posts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Kafka REST: `POST /topics/<id>.pin`, `.geo`, `.user`.
    #[default]
    Batch,
    /// Kinesis gateway: `PUT /streams/streaming-<id>-pin/record`, `-geo`, `-user`.
    Streaming,
    /// By turns: posts with an even number in the run go to `Batch`, the others to `Streaming`.
    Both,
}

/// What is posted, where and how.
#[derive(Debug, Clone)]
pub struct EmulateOptions {
    /// The server, with a stage segment or without: `http://127.0.0.1:8082/prod`.
    pub to: Url,
    /// Through which door.
    pub mode: Mode,
    /// Where the posts come from.
    pub source: Source,
    /// What topics and streams are named after; 12 hex digits in the classic pipeline. Default [`DEFAULT_ID`].
    pub id: String,
    /// Posts a second at most; as fast as the server takes them when absent.
    pub rate: Option<f64>,
    /// Posts of the run, those before `start_at` included. A stored source that has fewer starts over; when absent, a
    /// stored source is sent once and the builtin one does not end.
    pub count: Option<u64>,
    /// Posts at the run's beginning that are not sent, to go on where an earlier run with the same options stopped. Default 0.
    pub start_at: u64,
    /// Seed of the builtin source. Default 42.
    pub seed: u64,
    /// Which share of the builtin source's posts repeats an earlier one. Default 0.1.
    pub duplicates: f64,
    /// How the builtin source writes dates with times. Default [`Datetimes::Mixed`].
    pub datetimes: Datetimes,
    /// Requests under way at once, 1 to 1,024. Default 8.
    pub connections: usize,
    /// Records a request, 1 to 500. Default 1, as the classic scripts have it.
    pub records_a_request: usize,
    /// How often one request is tried again, with pauses of 50 ms that double up to 5 s, before the run fails. Default 20,
    /// which bridges more than a minute.
    pub retries_max: u32,
    /// How long one request may take before it is tried again. Default 30 s.
    pub request_wait: Duration,
    /// Told of every acknowledged record, for tests that look for them later.
    pub acked: Option<mpsc::Sender<Acked>>,
    /// Told why a request was not answered and is tried again, as far as there is room for it.
    pub unanswered: Option<mpsc::Sender<String>>,
    /// Ends the run when it is cancelled: requests under way are finished, and the summary is of what was sent.
    pub stop: CancellationToken,
    /// Measures how long the run took.
    pub clock: Clock,
}

impl EmulateOptions {
    /// The defaults, for a server at `to`.
    pub fn new(to: Url) -> Self {
        Self {
            to,
            mode: Mode::default(),
            source: Source::default(),
            id: DEFAULT_ID.to_owned(),
            rate: None,
            count: None,
            start_at: 0,
            seed: 42,
            duplicates: 0.1,
            datetimes: Datetimes::default(),
            connections: 8,
            records_a_request: 1,
            retries_max: 20,
            request_wait: Duration::from_secs(30),
            acked: None,
            unanswered: None,
            stop: CancellationToken::new(),
            clock: Clock::System,
        }
    }

    /// Whether a run can begin with these options.
    ///
    /// # Errors
    /// `Invalid`: what is wrong, and what would do.
    pub fn validate(&self) -> Result<()> {
        let server = mask_url(self.to.as_str());
        if !matches!(self.to.scheme(), "http" | "https") || self.to.host_str().is_none() {
            return Err(Error::invalid(format!("cannot post to '{server}': give a server as http://host:8082 or https://host")));
        }
        if self.to.query().is_some() || self.to.fragment().is_some() {
            return Err(Error::invalid(format!("cannot post to '{server}': leave out what follows '?' or '#'")));
        }
        for kind in Kind::ALL {
            TopicName::new(&kind.stream(&self.id))?;
        }
        if self.rate.is_some_and(|rate| !(rate.is_finite() && (1e-6..=1e6).contains(&rate))) {
            return Err(Error::invalid("a rate lies between 0.000001 and 1000000 posts a second"));
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(Error::invalid(format!(
                "{} connections are not possible: give 1 to {CONNECTIONS_MAX}",
                self.connections
            )));
        }
        if !(1..=RECORDS_A_REQUEST_MAX).contains(&self.records_a_request) {
            let records = self.records_a_request;
            return Err(Error::invalid(format!(
                "{records} records a request are not possible: give 1 to {RECORDS_A_REQUEST_MAX}"
            )));
        }
        Ok(())
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Posts whose records were all acknowledged.
    pub posts: u64,
    /// Requests, those that were tried again included.
    pub requests: u64,
    /// Acknowledged records.
    pub records: u64,
    /// How many of the requests were further tries.
    pub retried: u64,
    /// How long the run took.
    pub seconds: f64,
}

/// One acknowledged record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Its topic or stream.
    pub topic: TopicName,
    /// The partition or shard that took it.
    pub partition: u32,
    /// Where it is there.
    pub place: Place,
    /// Its `index` or `ind`, if it has one.
    pub key: Option<i64>,
}

/// Where a record is within its partition, in the words of its door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Kafka REST's offset.
    Offset(i64),
    /// Kinesis's sequence number.
    SequenceNumber(String),
}

/// Posts what `options` say. `progress` is told of posts sent and, if that is known, of all posts to send. The first request
/// that fails for good ends the run with the server's own words.
pub async fn emulate(options: &EmulateOptions, progress: &(dyn Fn(u64, Option<u64>) + Send + Sync)) -> Result<Summary> {
    options.validate()?;
    let started = options.clock.now();
    let wanted = Wanted {
        seed: options.seed,
        count: options.count,
        start_at: options.start_at,
        duplicates: options.duplicates,
        datetimes: options.datetimes,
    };
    let feed = options.source.open(&wanted).await?;
    let sender = Sender::new(options)?;
    let total = options.count.map(|count| count.saturating_sub(options.start_at));
    let mut summary = Summary::default();
    let chunks = Chunks::new(feed, options).into_stream();
    let mut sending = chunks.map(|chunk| sender.send(chunk)).buffer_unordered(options.connections).boxed();
    while let Some(sent) = sending.next().await {
        let Sent { posts, requests, records, retried } = sent?;
        summary.posts += posts;
        summary.requests += requests;
        summary.records += records;
        summary.retried += retried;
        progress(summary.posts, total);
    }
    summary.seconds = started.until(options.clock.now()).as_secs_f64();
    Ok(summary)
}
