//! Any bytes at all against what reads them, for fuzz targets and the tests that replay their finds. Only for tests (feature `testing`); `wire` is a client for them.
//!
//! Each function opens a server of its own on a log in memory, in a time of its own that passes by itself, and panics when the bytes had
//! an effect that no bytes may have. What there is, is called `t`: a topic, a group with a member, a transactional id with an open
//! transaction, a login.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod deliveries;
pub mod seeds;
pub mod wire;

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use pinlake_core::secret::Secret;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Batch, BatchBuilder, Clock, Log, MemoryLog, Timestamp, TopicName, TopicSpec};
use tower::ServiceExt;

use crate::auth::{Principal, Principals};
use crate::aws::model::Operation;
use crate::aws::read;
use crate::groups::calls::TransactionProducer;
use crate::groups::{GroupSettings, OFFSETS_TOPIC};
use crate::kafka::{self, Broker, KafkaSettings};
use crate::kinesis::streams::Streams;
use crate::transactions::calls::InitRequest;
use crate::transactions::{TRANSACTIONS_TOPIC, TransactionSettings};
use crate::{DoorSettings, Doors, Groups, Producer, Transactions, firehose, kinesis};

/// Where the servers' clock stands.
const NOW: Timestamp = Timestamp(1_600_000_000_000);
/// What a request may take at most, by the time that passes by itself.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Small limits, so that what is set aside beyond them is seen.
const BYTES_MAX: usize = 1 << 20;

/// Any bytes that a client of the wire protocol sends.
pub fn any_connection(bytes: &[u8]) {
    in_time(async { kafka::testing::converse(&broker(None).await, bytes).await });
}

/// Any requests of the wire protocol, in whole frames: after a first byte, whose lowest bit says that clients must log in, each is a
/// length of two bytes and as many bytes as there are of it.
pub fn any_requests(bytes: &[u8]) {
    static LOGIN: LazyLock<Principals> =
        LazyLock::new(|| Principals::new([Principal { name: "t".to_owned(), password: Secret::new("t") }]));
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let mut sent = Vec::with_capacity(bytes.len() * 2);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (request, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)).min(behind.len()));
        sent.extend_from_slice(&u32::try_from(request.len()).unwrap().to_be_bytes());
        sent.extend_from_slice(request);
        rest = behind;
    }
    let principals = (first & 1 == 1).then(|| LOGIN.clone());
    in_time(async { kafka::testing::converse(&broker(principals).await, &sent).await });
}

/// Any HTTP requests: a line with method, path (`CLUSTER` is the cluster's id) and content type, with a target of AWS's services behind a
/// `|`, then the body; an empty line stands between two requests.
pub fn any_http(bytes: &[u8]) {
    in_time(async {
        let world = World::open().await;
        let cluster = kafka::cluster_id(&world.groups).await.unwrap();
        let settings = DoorSettings { body_bytes_max: BYTES_MAX, inflight_bytes_max: 4 * BYTES_MAX, ..DoorSettings::default() };
        let auto_create = Arc::new(|topic: &TopicName| topic.as_str().starts_with("auto").then(TopicSpec::default));
        let World { log, groups, streams, .. } = world;
        let router = Doors::new(log, Clock::manual(NOW), settings, auto_create, groups, streams)
            .with_delivery_streams(Arc::new(deliveries::MemoryDeliveryStreams::default()))
            .router();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
            let (request, behind) = rest.split_at(end);
            rest = behind.get(2..).unwrap_or_default();
            if let Some(request) = http_request(request, &cluster) {
                answered(&router, request).await;
            }
        }
    });
}

/// Any body of a call to one of AWS's services; the first byte says to which operation. What is taken reads the same in CBOR.
pub fn any_aws_input(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let operations = aws_operations();
    let operation = operations[usize::from(*first) % operations.len()];
    let body = Bytes::copy_from_slice(body);
    let nodes = [read::json(&body), read::cbor(&body)].into_iter().flatten();
    for input in nodes.filter_map(|node| operation.read(node).ok()) {
        let (json, cbor) = (input.to_json().into(), input.to_cbor().into());
        assert!(operation.read(read::json(&json).unwrap()).is_ok());
        assert_eq!(operation.read(read::cbor(&cbor).unwrap()), Ok(input));
    }
}

/// The operations of all services, in the order of their numbers.
fn aws_operations() -> Vec<&'static Operation> {
    [&kinesis::MODEL, &firehose::MODEL].into_iter().flat_map(|model| model.operations()).collect()
}

/// Any records, one a line, in the topics that keep groups, transactions and streams: they are opened, used and opened again.
pub fn any_state(bytes: &[u8]) {
    in_time(async {
        let log = Arc::new(MemoryLog::new());
        create_t(&log).await;
        keep(&log, bytes).await;
        for _ in 0..2 {
            let world = World::on(log.clone()).await;
            world.look().await;
            // Sessions and transactions time out.
            tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
            world.look().await;
            world.use_all().await;
        }
    });
}

/// Groups, transactions and streams on a log.
struct World {
    log: Arc<MemoryLog>,
    groups: Groups,
    transactions: Transactions,
    streams: Streams,
}

impl World {
    /// With one `t` of everything.
    async fn open() -> Self {
        let log = Arc::new(MemoryLog::new());
        create_t(&log).await;
        keep(&log, seeds::STATE.as_bytes()).await;
        Self::on(log).await
    }

    async fn on(log: Arc<MemoryLog>) -> Self {
        let clock = Clock::manual(NOW);
        // Snapshots are soon due.
        let groups = GroupSettings {
            session_timeout: Duration::ZERO..=Duration::from_secs(1800),
            snapshot_records: 20,
            ..GroupSettings::default()
        };
        let transactions =
            TransactionSettings { check_every: Duration::from_secs(60), snapshot_records: 20, ..TransactionSettings::default() };
        let groups = Groups::open(log.clone(), clock.clone(), groups).await.unwrap();
        let transactions = Transactions::open(log.clone(), groups.clone(), clock.clone(), transactions).await.unwrap();
        let streams = Streams::open(log.clone(), clock, &TopicName::new(OwnTopics::OF_DISK.streams).unwrap()).await.unwrap();
        Self { log, groups, transactions, streams }
    }

    /// Everything that can be seen.
    async fn look(&self) {
        for group in self.groups.list(&[]) {
            let _ = self.groups.describe(&group.group);
            self.groups.fetch(&group.group, None, true);
        }
        let _ = (self.groups.lag().await, self.groups.sizes(), self.groups.staged());
        for transaction in self.transactions.list(|_| true) {
            let _ = self.transactions.describe(&transaction.id);
        }
    }

    /// Every group and transactional id is used, and then goes.
    async fn use_all(&self) {
        for transaction in self.transactions.list(|_| true) {
            for timeout_ms in [60_000, i64::MAX] {
                let _ = self.transactions.init(InitRequest { id: transaction.id.clone(), timeout_ms, expected: None }).await;
            }
        }
        for TransactionProducer { id, .. } in self.groups.staged() {
            self.groups.finish_staged(id, true).await.unwrap();
        }
        for group in self.groups.list(&[]) {
            let _ = self.groups.delete(&group.group).await;
        }
        self.streams.seal().await.unwrap();
        for stream in self.streams.kept() {
            for hash in [0, u128::MAX] {
                stream.shards.shard_of(hash);
            }
            self.streams.keep((*stream).clone()).await.unwrap();
            self.streams.forget(&stream.name, stream.topic).await.unwrap();
        }
    }
}

async fn broker(principals: Option<Principals>) -> Arc<Broker> {
    let World { log, groups, transactions, .. } = World::open().await;
    let auto_create = Arc::new(|topic: &TopicName| topic.as_str().starts_with("auto").then(TopicSpec::default));
    let producer = Producer::new(log, Clock::manual(NOW), DoorSettings::default().producer, auto_create);
    let settings = KafkaSettings {
        principals,
        produce_bytes_max: BYTES_MAX,
        request_bytes_max: BYTES_MAX,
        inflight_bytes_max: 4 * BYTES_MAX,
        fetch_bytes_max: BYTES_MAX,
        idle_timeout: Duration::from_secs(60),
        ..KafkaSettings::default()
    };
    Arc::new(Broker::new(Arc::new(producer), groups, transactions, settings).await.unwrap())
}

/// The topic, with records, an aborted transaction and an open one.
async fn create_t(log: &MemoryLog) {
    let topic = TopicName::new("t").unwrap();
    log.create_topic(&topic, TopicSpec::with_partitions(2)).await.unwrap();
    let batches = pinlake_core::testing::any_batch::seeds();
    for batch in batches {
        log.append_as_is(&topic.partition(1), Batch::parse(batch.into()).unwrap()).await.unwrap();
    }
}

/// Appends records, one a line, to the topics that keep groups, transactions and streams.
async fn keep(log: &MemoryLog, lines: &[u8]) {
    for topic in [OFFSETS_TOPIC, TRANSACTIONS_TOPIC, OwnTopics::OF_DISK.streams] {
        let topic = TopicName::new(topic).unwrap();
        log.create_topic(&topic, TopicSpec::with_partitions(1)).await.unwrap();
        let mut builder = BatchBuilder::new(NOW);
        lines.split(|byte| *byte == b'\n').for_each(|line| builder.push(None, Some(line)));
        log.append(&topic.partition(0), builder.build().unwrap()).await.unwrap();
    }
}

/// `None` if no such request can be sent.
fn http_request(bytes: &[u8], cluster: &str) -> Option<Request<Body>> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(end);
    let mut head = std::str::from_utf8(head).ok()?.splitn(3, ' ');
    let (method, path) = (head.next()?, head.next()?.replace("CLUSTER", cluster));
    let content_type = head.next().unwrap_or("application/json");
    let (content_type, target) = content_type.split_once('|').unwrap_or((content_type, ""));
    let mut request = Request::builder().method(method).uri(path).header("content-type", content_type);
    if !target.is_empty() {
        request = request.header("x-amz-target", target);
    }
    request.body(Body::from(body.get(1..).unwrap_or_default().to_vec())).ok()
}

async fn answered(router: &Router, request: Request<Body>) {
    let what = format!("{} {}", request.method(), request.uri());
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(status.as_u16() != 500, "{what}: {status} {}", String::from_utf8_lossy(&body));
}

thread_local! {
    /// Panics on this thread, those in tasks too.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Runs it in a time that passes by itself. It must end, and nothing of it may panic.
fn in_time(run: impl Future<Output = ()>) {
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
    let before = PANICS.get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONGEST, run).await.expect("it ends") });
    drop(runtime);
    assert_eq!(PANICS.get(), before, "a task panicked");
}
