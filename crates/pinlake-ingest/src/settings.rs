//! What can be set about the doors: plain data with documented defaults. Nothing is read from files or the environment here.

use std::time::Duration;

use pinlake_core::secret::Secret;
use pinlake_core::{Timestamp, TopicName, TopicSpec};

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
    /// Kinesis, as its own clients know it and in the gateway's form.
    pub kinesis: KinesisSettings,
    /// Whether `POST /moto-api/reset` deletes all streams and what else the services of AWS keep. Default no: there is no such path.
    pub allow_reset: bool,
    /// What stands before the doors.
    pub gateway: GatewaySettings,
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
            allow_reset: false,
            gateway: GatewaySettings::default(),
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

/// Kinesis, as its own clients know it and in the gateway's form.
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
    /// Whether a shard takes and gives no more than AWS's: 1 MiB and 1,000 records a second in, 2 MiB and 5 reads a second out. Default no:
    /// as much as the machine does.
    pub shard_limits: bool,
    /// Whether a Kinesis error is answered with status 200 and `__type` in the body, as a default gateway integration does.
    /// Default no: the honest status.
    pub errors_as_200: bool,
    /// Who may use it as its own clients do. The gateway's form asks for API keys instead ([`GatewaySettings`]).
    pub access: AccessSettings,
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
            shard_limits: false,
            errors_as_200: false,
            access: AccessSettings::default(),
        }
    }
}

/// Who may use the services that speak `X-Amz-Target`.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Who is asked for what. Default [`AccessMode::Open`].
    pub mode: AccessMode,
    /// The keys of [`AccessMode::Signed`]; of several with one id the last counts.
    pub keys: Vec<AccessKey>,
}

/// Who is asked for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    /// Everybody may do everything. A signature must have the right form, and nobody looks whose it is.
    #[default]
    Open,
    /// Whoever signs with a known key may do what the key allows.
    Signed,
    /// Nobody may do anything.
    Closed,
}

/// A key pair as AWS's clients have them.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// What clients call their access key ID.
    pub id: String,
    /// Their secret access key.
    pub secret: Secret,
    /// The session token that must come with the key; without one, none may come.
    pub session_token: Option<Secret>,
    /// When the key ends to be good.
    pub expires: Option<Timestamp>,
    /// What may be done with it.
    pub allow: Vec<Grant>,
}

/// Some actions on some streams. Both are patterns in which `*` stands for any text.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Such as `kinesis:PutRecord`, `Get*` or `*`.
    pub actions: Vec<String>,
    /// Such as `orders` or `orders-*`; what is about no one stream, such as listing them, takes `*`.
    pub streams: Vec<String>,
}

/// What an API Gateway's stage does before a request comes to what is behind it. Of the doors, those of the API and of
/// `X-Amz-Target` are not behind it.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// The API keys, one of which must come as `x-api-key`. Default none: nobody is asked.
    pub keys: Vec<ApiKey>,
    /// What the keys may use. Default none.
    pub plans: Vec<UsagePlan>,
    /// A limit for all requests together. Default none.
    pub throttle: Option<Throttle>,
    /// Origins whose pages may use the doors, such as `https://app.example`; `*` for all. Default none.
    pub cors: Vec<String>,
    /// How long the answer may take once the body is there, but at consumer instances and streams of Kafka REST v3; more is answered
    /// 504. 0: as long as it will. Default 29 s.
    pub timeout: Duration,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self { keys: Vec::new(), plans: Vec::new(), throttle: None, cors: Vec::new(), timeout: Duration::from_secs(29) }
    }
}

/// An API key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Who has it.
    pub name: String,
    /// The key itself.
    pub key: Secret,
    /// The name of its usage plan; without one, it is not limited.
    pub plan: Option<String>,
}

/// What one API key may use. Each key of a plan has the plan's limits for itself.
#[derive(Debug, Clone)]
pub struct UsagePlan {
    /// What keys call it.
    pub name: String,
    /// How fast requests may come.
    pub throttle: Option<Throttle>,
    /// How many may come.
    pub quota: Option<Quota>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests a second, in the long run.
    pub rate: f64,
    /// Requests at once.
    pub burst: u32,
}

/// Requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub limit: u64,
    /// In which.
    pub period: Period,
}

/// A period of a quota, by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
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
