//! All doors behind one router: finds the door of a path, times it, and hands the request on through the gateway. What a request means is the
//! doors' own business.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use pinlake_core::{Clock, Error, ErrorKind, Log, Result, Timestamp};
use tokio::time::Instant;

use crate::aws::access::Access;
use crate::aws::{self, Service};
use crate::client_log::ClientLog;
use crate::door_metrics::{self, DoorMetrics};
use crate::firehose::{Deliveries, DeliveryStreams};
use crate::gateway::Gateway;
use crate::groups::Groups;
use crate::kinesis::streams::Streams;
use crate::kinesis::streams::changes::Place;
use crate::kinesis::wording::Words;
use crate::limits::{Inflight, Permit, Refusal};
use crate::partitioner::Partitioning;
use crate::path::{self, Door, Segments};
pub use crate::produce::AutoCreate;
use crate::produce::{Apart, OpenTopic, Placed, Producer};
use crate::records::{BYTES_MAX, Records};
use crate::rest_proxy::consumers::Consumers;
use crate::settings::DoorSettings;
use crate::{body, kinesis, pin_door, rest_proxy};

/// The doors onto one log. Cheap to clone; clones share their limits and batches.
#[derive(Clone)]
pub struct Doors {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Shared,
    stage: Gateway,
    rest_proxy: DoorMetrics,
    gateway: DoorMetrics,
    kinesis: DoorMetrics,
    firehose: DoorMetrics,
    pin: DoorMetrics,
}

/// What every door works with.
pub(crate) struct Shared {
    pub(crate) producer: Arc<Producer>,
    pub(crate) consumers: Consumers,
    pub(crate) groups: Groups,
    pub(crate) streams: Streams,
    pub(crate) deliveries: Deliveries,
    pub(crate) settings: DoorSettings,
    pub(crate) access: Access,
    inflight: Inflight,
}

impl Shared {
    /// A place for a request whose body is not read, or not at once.
    pub(crate) fn enter(&self) -> Result<Permit, Refusal> {
        self.inflight.enter()
    }

    /// Reads a request's body under the limits.
    pub(crate) async fn read(&self, parts: &Parts, body: Body) -> Result<(Bytes, Permit), Refusal> {
        self.read_at_most(self.settings.body_bytes_max, parts, body).await
    }

    /// The same where a body has a limit of its own, bytes.
    pub(crate) async fn read_at_most(&self, bytes_max: usize, parts: &Parts, body: Body) -> Result<(Bytes, Permit), Refusal> {
        if is_compressed(&parts.headers) {
            return Err(Refusal::BodyCompressed);
        }
        let read = body::read(&self.inflight, bytes_max, &parts.headers, body).await?;
        // ASCII reads the same: clients state the charset of their library, not of their text.
        if states_other_charset(&parts.headers) && !read.0.is_ascii() {
            return Err(Refusal::BodyCharset);
        }
        Ok(read)
    }
}

/// Whether a body says that it is compressed. Other encodings that clients state mean nothing: they send `utf-8` and `amz-1.0`.
fn is_compressed(headers: &HeaderMap) -> bool {
    let stated = headers.get_all(header::CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let known = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];
    stated.flat_map(|value| value.split(',')).any(|one| known.iter().any(|known| one.trim().eq_ignore_ascii_case(known)))
}

/// Whether a body says that it is not UTF-8, which JSON is.
fn states_other_charset(headers: &HeaderMap) -> bool {
    let stated = headers.get_all(header::CONTENT_TYPE).iter().filter_map(|value| value.to_str().ok());
    let parameters = stated.flat_map(|value| value.split(';').skip(1)).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_utf_8 = |charset: &str| ["utf-8", "utf8"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    charsets.any(|(_, charset)| !is_utf_8(charset.trim().trim_matches('"')))
}

/// A request at its door.
pub(crate) struct Call<'a> {
    pub(crate) doors: &'a Doors,
    pub(crate) shared: &'a Shared,
    pub(crate) metrics: &'a DoorMetrics,
    pub(crate) parts: &'a Parts,
    /// The path behind the door's own segment.
    pub(crate) segments: Segments<'a>,
    /// GET for HEAD, which is the same without the body.
    pub(crate) method: &'a Method,
}

impl Call<'_> {
    /// Refuses records for partitions that their topic has not, before they create it.
    pub(crate) async fn check_partitions(&self, topic: &str, records: &Records) -> Result<()> {
        let checked = self.shared.producer.check_partitions(topic, records).await;
        checked.inspect_err(|error| self.rejected(records.len(), error))
    }

    /// The topic that records go to, created if its first record creates it.
    pub(crate) async fn open(&self, topic: &str, records: &Records) -> Result<OpenTopic> {
        let opened = self.shared.producer.open(topic).await;
        opened.inspect_err(|error| self.rejected(records.len(), error))
    }

    /// Has a request's records appended and counts what became of each.
    pub(crate) async fn produce(&self, topic: &OpenTopic, records: &Records, by: Partitioning) -> Result<Vec<Placed>> {
        let placed = self.shared.producer.produce(topic, records, by).await;
        let placed = placed.inspect_err(|error| self.rejected(records.len(), error))?;
        count(self.metrics, &placed, |index| records.size(index));
        Ok(placed)
    }

    /// The answer with the configured `Retry-After`, for what is worth trying again.
    pub(crate) fn try_again_later(&self, mut response: Response) -> Response {
        let seconds = HeaderValue::from(self.shared.settings.retry_after.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response
    }

    /// Counts what the log did not take, and says so unless the client is at fault.
    fn rejected(&self, records: usize, error: &Error) {
        rejected(self.metrics, records, error);
    }
}

/// Counts what became of each record.
pub(crate) fn count(metrics: &DoorMetrics, placed: &[Placed], size: impl Fn(usize) -> usize) {
    let (mut taken, mut bytes) = (0, 0);
    for (index, record) in placed.iter().enumerate() {
        match &record.offset {
            Ok(_) => (taken, bytes) = (taken + 1, bytes + size(index)),
            Err(error) => rejected(metrics, 1, error),
        }
    }
    metrics.received(taken, bytes);
}

/// Counts what the log did not take, and says so unless the client is at fault.
pub(crate) fn rejected(metrics: &DoorMetrics, records: usize, error: &Error) {
    metrics.rejected(records, error.kind());
    if matches!(error.kind(), ErrorKind::Retry | ErrorKind::Corrupt | ErrorKind::Internal) {
        metrics.warn(format_args!("records are not stored: {error}"));
    }
}

impl Doors {
    /// Doors onto `log` without the server's own topics, whose consumers are in `groups`, and what it does not know of streams in `streams`.
    /// `auto_create` says which topics their first record creates. Metrics go to the recorder that is installed now. Must run inside a
    /// tokio runtime.
    pub fn new(
        log: Arc<dyn Log>,
        clock: Clock,
        settings: DoorSettings,
        auto_create: AutoCreate,
        groups: Groups,
        streams: Streams,
    ) -> Self {
        let mut settings = settings;
        settings.body_bytes_max = settings.body_bytes_max.min(BYTES_MAX);
        settings.aws_body_bytes_max = settings.aws_body_bytes_max.min(BYTES_MAX);
        door_metrics::describe();
        let log: Arc<dyn Log> = Arc::new(ClientLog::new(log, &groups));
        let inner = Inner {
            stage: Gateway::new(&settings, clock.clone()),
            shared: Shared {
                consumers: Consumers::new(log.clone(), groups.clone(), settings.consumers.clone()),
                groups,
                streams,
                deliveries: Deliveries::default(),
                producer: Arc::new(Producer::new(log, clock, settings.producer.clone(), auto_create)),
                access: Access::new(&settings.kinesis),
                inflight: Inflight::new(settings.inflight_requests_max, settings.inflight_bytes_max),
                settings,
            },
            rest_proxy: DoorMetrics::new("kafka_rest"),
            gateway: DoorMetrics::new("kinesis_gateway"),
            kinesis: DoorMetrics::new("kinesis"),
            firehose: DoorMetrics::new("firehose"),
            pin: DoorMetrics::new("pin"),
        };
        let doors = Self { inner: Arc::new(inner) };
        tokio::spawn(Place::of(&doors, Words::of(&doors.shared().settings.kinesis, None)).resume());
        doors
    }

    /// The doors with Firehose's delivery streams, which whoever delivers keeps. Those that are given first count; without any, Firehose
    /// answers as if there were none, and makes none.
    #[must_use]
    pub fn with_delivery_streams(self, streams: Arc<dyn DeliveryStreams>) -> Self {
        self.inner.shared.deliveries.set(streams);
        self
    }

    /// A router whose fallback is the doors: merge it with routers that have none, and that may have `GET /`. A path that is
    /// nobody's is answered 404.
    pub fn router(&self) -> Router {
        let changes =
            MethodFilter::POST.or(MethodFilter::PUT).or(MethodFilter::PATCH).or(MethodFilter::DELETE).or(MethodFilter::OPTIONS);
        Router::new().route("/", on(changes, answer)).fallback(answer).with_state(self.clone())
    }

    /// The producer that all doors share.
    pub fn producer(&self) -> &Arc<Producer> {
        &self.inner.shared.producer
    }

    /// What every door works with.
    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// As [`Call::produce`], for records of a stream at the Kafka REST door, all stamped `now`.
    pub(crate) async fn produce_streamed(
        &self,
        topic: &OpenTopic,
        records: &Records,
        by: Partitioning,
        now: Timestamp,
    ) -> Result<Vec<Placed>> {
        let metrics = &self.inner.rest_proxy;
        let placed = self.inner.shared.producer.produce_at(topic, records, by, now).await;
        let placed = placed.inspect_err(|error| rejected(metrics, records.len(), error))?;
        count(metrics, &placed, |index| records.size(index));
        Ok(placed)
    }

    /// The same for records that have a time or headers of their own.
    pub(crate) async fn produce_streamed_apart(&self, topic: &OpenTopic, records: &[Apart]) -> Vec<Placed> {
        let placed = self.inner.shared.producer.produce_apart(topic, records).await;
        count(&self.inner.rest_proxy, &placed, |index| records[index].size());
        placed
    }

    /// Ends all subscriptions to shards, and closes all consumer instances: they commit what they are to commit by themselves, and leave their
    /// groups.
    pub async fn close(&self) {
        self.inner.shared.streams.subscriptions().close();
        self.inner.shared.consumers.close().await;
    }

    /// Answers a request, whatever its path.
    pub async fn answer(&self, request: Request) -> Response {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let inner = &*self.inner;
        if inner.shared.settings.allow_reset && aws::reset::is_for(&parts) {
            return aws::reset::answer(self).await;
        }
        let found = if aws::is_for(&parts) { Some((Door::Aws, Segments::NONE)) } else { path::door_of(parts.uri.path()) };
        let Some((door, segments)) = found else {
            return rest_proxy::no_such_path(&parts);
        };
        let metrics = match door {
            Door::Topics | Door::Brokers | Door::Consumers | Door::V3 => &inner.rest_proxy,
            Door::Streams => &inner.gateway,
            Door::Aws => match aws::service_of(&parts.headers) {
                Service::Kinesis => &inner.kinesis,
                Service::Firehose => &inner.firehose,
            },
            Door::Pin => &inner.pin,
        };
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let call = Call { doors: self, shared: &inner.shared, metrics, parts: &parts, segments, method };
        // Readers wait for records, and streams go on for as long as their clients will.
        let open_ended = matches!(door, Door::Consumers | Door::V3);
        let answered = async |body| match door {
            Door::Topics => rest_proxy::topics(&call, body).await,
            Door::Brokers => rest_proxy::brokers(&call),
            Door::Consumers => rest_proxy::consumers::answer(&call, body).await,
            Door::V3 => rest_proxy::v3::answer(&call, body).await,
            Door::Streams => kinesis::gateway(&call, body).await,
            Door::Aws => aws::answer(&call, body).await,
            Door::Pin => pin_door::answer(&call, body).await,
        };
        // AWS's own protocols have signatures instead, and no gateway before them.
        let response = match door {
            Door::Aws => answered(body).await,
            _ => inner.stage.pass(&parts, body, open_ended, answered).await,
        };
        metrics.answered(response.status(), started.elapsed());
        response
    }
}

async fn answer(State(doors): State<Doors>, request: Request) -> Response {
    doors.answer(request).await
}
