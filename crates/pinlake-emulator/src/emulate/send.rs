//! One chunk's requests, tried again while the server is away or busy. Must never give up a record in silence.

use std::time::Duration;

use pinlake_core::secret::mask_url;
use pinlake_core::{Error, ErrorKind, Result, TopicName};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::mpsc;

use super::chunks::Chunk;
use super::door::{Door, Form, Verdict};
use super::{Acked, EmulateOptions};
use crate::kind::Kind;
use crate::source::SourceRecord;

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const ANSWER_LEN_MAX: usize = 1 << 20;

/// Sends chunks to one server.
pub(super) struct Sender {
    client: Client,
    to: Url,
    id: String,
    retries_max: u32,
    acked: Option<mpsc::Sender<Acked>>,
    unanswered: Option<mpsc::Sender<String>>,
}

/// What sending one chunk took.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) posts: u64,
    pub(super) requests: u64,
    pub(super) records: u64,
    pub(super) retried: u64,
}

/// How one try ended, if the run is to go on.
enum Tried {
    Answered(Vec<Verdict>),
    /// Nothing is known of the records, or they were not taken: why, and how long the server wants to be left alone.
    Again(String, Option<Duration>),
}

impl Sender {
    pub(super) fn new(options: &EmulateOptions) -> Result<Self> {
        let mut client = Client::builder().timeout(options.request_wait).connect_timeout(CONNECT_WAIT);
        if is_loopback(&options.to) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| Error::internal("cannot set up the HTTP client").with_source(error))?;
        Ok(Self {
            client,
            to: options.to.clone(),
            id: options.id.clone(),
            retries_max: options.retries_max,
            acked: options.acked.clone(),
            unanswered: options.unanswered.clone(),
        })
    }

    /// Sends the pins, then the places, then the users of a chunk.
    pub(super) async fn send(&self, chunk: Result<Chunk>) -> Result<Sent> {
        let Chunk { door, posts } = chunk?;
        let mut sent = Sent { posts: posts.len() as u64, ..Sent::default() };
        for kind in Kind::ALL {
            let records = posts.iter().flat_map(|post| &post.records);
            let records: Vec<&SourceRecord> = records.filter(|record| record.kind == kind).collect();
            if !records.is_empty() {
                self.send_records(door, kind, records, &mut sent).await?;
            }
        }
        Ok(sent)
    }

    async fn send_records(&self, door: Door, kind: Kind, records: Vec<&SourceRecord>, sent: &mut Sent) -> Result<()> {
        let topic = TopicName::new(&door.topic(kind, &self.id))?;
        let mut left = records;
        let mut pause = PAUSE_FIRST;
        for retry in 0.. {
            sent.requests += 1;
            sent.retried += u64::from(retry > 0);
            let (reason, wait) = match self.try_once(door, door.form(topic.as_str(), &left), left.len()).await? {
                Tried::Again(reason, wait) => (reason, wait),
                Tried::Answered(verdicts) => {
                    let before = left.len();
                    let reason = self.settle(&topic, &mut left, verdicts).await?;
                    sent.records += (before - left.len()) as u64;
                    match reason {
                        None => return Ok(()),
                        Some(reason) => (reason, None),
                    }
                }
            };
            if retry >= self.retries_max {
                return Err(Error::retry(format!("gave up on {topic} after {} tries: {reason}", retry + 1)));
            }
            tracing::debug!(%topic, retry, reason, "a request is tried again");
            tokio::time::sleep(wait.unwrap_or(pause).min(PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Reports what was acknowledged and leaves in `left` what was not, with the reason.
    async fn settle(&self, topic: &TopicName, left: &mut Vec<&SourceRecord>, verdicts: Vec<Verdict>) -> Result<Option<String>> {
        let mut again = None;
        let mut not_taken = Vec::new();
        for (record, verdict) in left.drain(..).zip(verdicts) {
            match verdict {
                Verdict::Acked { partition, place } => {
                    if let Some(acked) = &self.acked {
                        // Whoever stopped listening does not want to know.
                        let _ = acked.send(Acked { topic: topic.clone(), partition, place, key: record.key }).await;
                    }
                }
                Verdict::Again(reason) => {
                    not_taken.push(record);
                    again = Some(reason);
                }
                Verdict::Refused(reason) => {
                    let key = record.key.map_or_else(String::new, |key| format!(" with key {key}"));
                    return Err(Error::invalid(format!("the server refused a record{key} for {topic}: {reason}")));
                }
            }
        }
        *left = not_taken;
        Ok(again)
    }

    async fn try_once(&self, door: Door, form: Form, count: usize) -> Result<Tried> {
        let mut url = self.to.clone();
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(&form.path);
        let request = self.client.request(form.method.clone(), url.clone()).header(CONTENT_TYPE, form.content_type);
        let mut answer = match request.body(form.body).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_builder() => return Err(Error::invalid("the request cannot be made").with_source(error)),
            Err(error) => {
                let reason = Error::retry("no answer").with_source(error.without_url()).to_string();
                if let Some(unanswered) = &self.unanswered {
                    // One that nobody has looked at yet says enough.
                    let _ = unanswered.try_send(reason.clone());
                }
                return Ok(Tried::Again(reason, None));
            }
        };
        let status = answer.status();
        let wait = retry_after(&answer);
        let body = match read_body(&mut answer).await {
            Ok(body) => body,
            Err(error) => {
                return Ok(Tried::Again(Error::retry("the answer broke off").with_source(error.without_url()).to_string(), None));
            }
        };
        match status {
            status if status.is_success() => door.verdicts(&body, count).map(Tried::Answered),
            // A server that says when to come back is busy, whatever the status: Kafka REST has none for it but 500.
            status if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE || wait.is_some() => {
                Ok(Tried::Again(format!("answered {status}: {}", shown(&body)), wait))
            }
            status => Err(refusal(form.method.as_str(), &url, status, &body)),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The seconds of a `Retry-After`; its other form, a date, is not used by servers that are busy.
fn retry_after(answer: &Response) -> Option<Duration> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The body up to [`ANSWER_LEN_MAX`]; what follows is left unread.
async fn read_body(answer: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < ANSWER_LEN_MAX {
        let Some(piece) = answer.chunk().await? else { break };
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(500).collect()
}

fn refusal(method: &str, url: &Url, status: StatusCode, body: &[u8]) -> Error {
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        status if status.is_client_error() => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("{method} {} was answered {status}: {}", mask_url(url.as_str()), shown(body)))
}
