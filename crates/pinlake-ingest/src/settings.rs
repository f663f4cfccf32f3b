//! What can be set about the doors: plain data with documented defaults. Nothing is read from files or the environment here.

use std::time::Duration;

use pinlake_core::{TopicName, TopicSpec};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Limits and habits of all doors.
#[derive(Debug, Clone)]
pub struct DoorSettings {
    /// The largest body of a request, bytes; more is answered 413. Default 10 MiB and 64 KiB for the envelope; at most 1 GiB.
    pub body_bytes_max: usize,
    /// The same limit for the services of AWS, whose largest record takes 14 MiB in base64. Default 16 MiB; at most 1 GiB.
    pub aws_body_bytes_max: usize,
    /// The most records in one request; more is answered 413. Default 50,000.
    pub request_records_max: usize,
    /// Bytes of all bodies that are being read or appended; over it requests are answered 503. Default 256 MiB.
    pub inflight_bytes_max: usize,
    /// Requests that are being read or appended; over it requests are answered 429. Default 4,096.
    pub inflight_requests_max: usize,
    /// What `Retry-After` says to a refused request. Default 1 s.
    pub retry_after: Duration,
    /// Whether the Kafka REST door takes `application/json` as its `json` format. Default no: 415, as Confluent answers.
    pub accept_plain_json: bool,
    /// The topic behind `POST /pin/`. Default `Pinterest_data`.
    pub pin_topic: TopicName,
    /// What Kafka REST v3 creates topics with where a client says nothing else. Default: as [`TopicSpec::default`].
    pub topic_defaults: TopicSpec,
    /// The consumer instances of the Kafka REST door.
    pub consumers: ConsumerSettings,
    /// Kinesis, its native door and the gateway form.
    pub kinesis: KinesisSettings,
    /// The way from all doors to the log.
    pub producer: ProducerSettings,
}

impl Default for DoorSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 * MIB + 64 * KIB,
            aws_body_bytes_max: 16 * MIB,
            request_records_max: 50_000,
            inflight_bytes_max: 256 * MIB,
            inflight_requests_max: 4096,
            retry_after: Duration::from_secs(1),
            accept_plain_json: false,
            pin_topic: TopicName::new("Pinterest_data").expect("a legal name"),
            topic_defaults: TopicSpec::default(),
            consumers: ConsumerSettings::default(),
            kinesis: KinesisSettings::default(),
            producer: ProducerSettings::default(),
        }
    }
}

/// The consumer instances of the Kafka REST door.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// Instances at once; one more is answered 429. Default 1,000.
    pub instances_max: usize,
    /// How long an instance may go without a call before it is closed. Default 300 s.
    pub idle_timeout: Duration,
    /// Bytes of keys and values that one read answers at most, whatever the client asks for; one record at least. Default 64 MiB.
    pub response_bytes_max: usize,
    /// The address that instances are told to be reached at, such as `https://kafka.example`. Default none: the one that the request
    /// came to, as proxies and the client say in `X-Forwarded-*` and `Host`.
    pub advertised_url: Option<String>,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self { instances_max: 1000, idle_timeout: Duration::from_secs(300), response_bytes_max: 64 * MIB, advertised_url: None }
    }
}

/// Kinesis, its native door and the gateway form.
#[derive(Debug, Clone)]
pub struct KinesisSettings {
    /// The account in messages and ARNs. Default `123456789012`.
    pub account: String,
    /// The region in messages and ARNs. Default `us-east-1`.
    pub region: String,
    /// Shards of a stream created without a `ShardCount`. Default 5.
    pub shards_default: u32,
    /// Shards of all streams together; a creation past it is refused. Default 1,000.
    pub shards_max: u32,
    /// The largest record, data and key together, bytes, of a stream of which nothing else was said. Default 1 MiB.
    pub record_bytes_max: usize,
    /// How long a stream is `CREATING`, `UPDATING` or `DELETING`, and a consumer likewise; none is at once. What clients of the gateway form
    /// create and delete is always so at once. Default 50 ms.
    pub transition: Duration,
    /// Tags of one stream, or of one consumer. Default 50.
    pub tags_max: usize,
    /// Registered consumers of one stream. Default 20.
    pub consumers_max: usize,
    /// Whether a Kinesis error is answered with status 200 and `__type` in the body, as a default gateway integration does.
    /// Default no: the honest status.
    pub errors_as_200: bool,
}

impl Default for KinesisSettings {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            shards_default: 5,
            shards_max: 1000,
            record_bytes_max: MIB,
            transition: Duration::from_millis(50),
            tags_max: 50,
            consumers_max: 20,
            errors_as_200: false,
        }
    }
}

/// The way from all doors to the log.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// Records that arrive while an append of their partition is under way are gathered into batches of at most this many
    /// bytes. Default 1 MiB.
    pub gather_bytes_max: usize,
    /// The same limit in records. Default 10,000.
    pub gather_records_max: u32,
    /// A request with at least this many bytes for one partition is appended as its own batch, without a second copy.
    /// Default 32 KiB.
    pub alone_bytes_min: usize,
    /// Bytes of records that wait for the log; over it produce fails with `Retry`. Default 256 MiB.
    pub queued_bytes_max: usize,
    /// Records without a key stay on one partition for this many bytes, then the next is taken. Default 16 KiB.
    pub sticky_bytes: u64,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            gather_bytes_max: MIB,
            gather_records_max: 10_000,
            alone_bytes_min: 32 * KIB,
            queued_bytes_max: 256 * MIB,
            sticky_bytes: 16 * KIB as u64,
        }
    }
}
