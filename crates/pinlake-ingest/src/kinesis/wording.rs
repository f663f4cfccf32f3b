//! What Kinesis says, in its own words: the one place for texts that clients compare. Texts that are not known of AWS say what is wrong and what to
//! do.

use std::sync::Arc;

use pinlake_core::Timestamp;

use super::layout::Refusal;
use super::sequence::shard_id;
use super::streams::state::Status;
use crate::aws::error::AwsError;
use crate::settings::KinesisSettings;

/// How an account and its region are called in texts and ARNs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) account: Arc<str>,
    pub(crate) region: Arc<str>,
}

/// What a call that was refused asked of the shards.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Split { shard: u32, from: String },
    Merge { shard: u32, adjacent: u32 },
    Update,
}

/// What calls, or single records, are refused with that may be sent again later.
pub(crate) const RATE_EXCEEDED: &str = "ProvisionedThroughputExceededException";

pub(crate) fn argument(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidArgumentException", message)
}

fn not_found(message: String) -> AwsError {
    AwsError::new("ResourceNotFoundException", message)
}

fn in_use(message: String) -> AwsError {
    AwsError::new("ResourceInUseException", message)
}

fn limit(message: String) -> AwsError {
    AwsError::new("LimitExceededException", message)
}

/// One broken constraint: `Value 'v' at 'field' failed to satisfy constraint: Member must ...`.
pub(crate) fn constraint(value: Option<&str>, field: &str, must: &str) -> AwsError {
    let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
    AwsError::validation(&[format!("Value {value} at '{field}' failed to satisfy constraint: Member must {must}")])
}

/// A flag of a call that belongs to what this server has not.
pub(crate) fn not_served(member: &str) -> AwsError {
    argument(format!("{member} is not served: leave it out"))
}

impl Words {
    /// The configured ones; `region` is the caller's, where it says one.
    pub(crate) fn of(settings: &KinesisSettings, region: Option<&str>) -> Self {
        Self { account: settings.account.as_str().into(), region: region.unwrap_or(&settings.region).into() }
    }

    pub(crate) fn no_stream(&self, stream: &str) -> AwsError {
        not_found(format!("Stream {stream} under account {} not found.", self.account))
    }

    pub(crate) fn exists(&self, stream: &str) -> AwsError {
        in_use(format!("Stream {stream} under account {} already exists.", self.account))
    }

    pub(crate) fn not_active(&self, stream: &str, status: Status) -> AwsError {
        in_use(format!("Stream {stream} under account {} not ACTIVE, instead in state {}", self.account, status.as_str()))
    }

    pub(crate) fn has_consumers(&self, stream: &str) -> AwsError {
        in_use(format!(
            "Stream {stream} under account {} has registered consumers: deregister them, or set EnforceConsumerDeletion.",
            self.account
        ))
    }

    /// All streams together would have too many shards.
    pub(crate) fn shard_limit(&self, now: u64, most: u64, more: u64) -> AwsError {
        let Self { account, region } = self;
        limit(format!(
            "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the account: \
             {now}. Limit: {most}. Number of additional shards that would have resulted from this request: {more}. Refer to the \
             AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits \
             and how to request higher limits."
        ))
    }

    /// A text that is no shard's id, or not in a way that can be understood.
    pub(crate) fn could_not_find_shard(&self, id: &str, stream: &str) -> AwsError {
        not_found(format!("Could not find shard {id} in stream {stream} under account {}.", self.account))
    }

    pub(crate) fn no_shard(&self, shard: u32, stream: &str) -> AwsError {
        let id = shard_id(shard);
        not_found(format!("Shard {id} in stream {stream} under account {} does not exist", self.account))
    }

    /// Why shards can't be split, merged or counted anew.
    pub(crate) fn resharding(&self, refusal: Refusal, stream: &str, asked: &Asked) -> AwsError {
        let account = &self.account;
        let (shard, from, pair) = match asked {
            Asked::Split { shard, from } => (*shard, from.as_str(), (*shard, *shard)),
            Asked::Merge { shard, adjacent } => (*shard, "", (*shard, *adjacent)),
            Asked::Update => (0, "", (0, 0)),
        };
        match refusal {
            Refusal::NoShard(shard) => self.could_not_find_shard(&shard_id(shard), stream),
            Refusal::NotOpen(shard) => argument(format!(
                "Shard {} in stream {stream} under account {account} has already been merged or split, and thus is not eligible for \
                 merging or splitting.",
                shard_id(shard)
            )),
            Refusal::NotWithin { start, end } => argument(format!(
                "NewStartingHashKey {from} used in SplitShard() on shard {} in stream {stream} under account {account} is not both \
                 greater than one plus the shard's StartingHashKey {start} and less than the shard's EndingHashKey {end}.",
                shard_id(shard)
            )),
            Refusal::NotAdjacent => argument(format!(
                "Shards {} and {} in stream {stream} under account {account} are not an adjacent pair of shards eligible for merging",
                shard_id(pair.0),
                shard_id(pair.1)
            )),
            Refusal::TooMany { shards } => limit(format!(
                "Stream {stream} under account {account} would have had {shards} shards with those that are closed, and a topic has at \
                 most {} partitions: create another stream",
                pinlake_core::log::PARTITIONS_MAX
            )),
        }
    }

    pub(crate) fn no_consumer(&self, consumer: &str) -> AwsError {
        not_found(format!("Consumer {consumer}, account {} not found.", self.account))
    }

    pub(crate) fn consumer_exists(&self, consumer: &str, stream: &str) -> AwsError {
        in_use(format!("Consumer {consumer} under stream {stream} already exists under account {}.", self.account))
    }

    pub(crate) fn consumer_limit(&self, most: usize) -> AwsError {
        limit(format!("This request would exceed the limit of {most} consumers of a stream: deregister one first"))
    }

    pub(crate) fn consumer_not_active(&self, consumer: &str, stream: &str, status: Status) -> AwsError {
        in_use(format!(
            "Consumer {consumer} under stream {stream} under account {} not ACTIVE, instead in state {}",
            self.account,
            status.as_str()
        ))
    }

    /// The shard has taken or given as much as it does in a second.
    pub(crate) fn rate_exceeded(&self, shard: u32, stream: &str) -> AwsError {
        let (id, account) = (shard_id(shard), &self.account);
        let message = format!("Rate exceeded for shard {id} in stream {stream} under account {account}.");
        AwsError::new(RATE_EXCEEDED, message)
    }

    /// The consumer has just subscribed to that shard.
    pub(crate) fn subscribed(&self, stream: &str, shard: u32, consumer: &str) -> AwsError {
        let (account, shard) = (&self.account, shard_id(shard));
        in_use(format!("Another active subscription exists for this consumer: {account}:{stream}:{shard}:{consumer}"))
    }

    /// A sequence number that no record of the shard has; `why` begins with a space if anything is known.
    pub(crate) fn bad_start(&self, number: &str, shard: u32, stream: &str, why: &str) -> AwsError {
        let id = shard_id(shard);
        argument(format!(
            "StartingSequenceNumber {number} used in GetShardIterator on shard {id} in stream {stream} under account {} is \
             invalid{why}.",
            self.account
        ))
    }

    /// A sequence number to be ordered behind that is none.
    pub(crate) fn bad_ordering(&self, number: &str, stream: &str) -> AwsError {
        argument(format!(
            "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {stream} under account {} is invalid.",
            self.account
        ))
    }

    /// Tags that can't be added to, or removed from, a stream.
    pub(crate) fn bad_tags(&self, what: &str, stream: &str, why: &str) -> AwsError {
        argument(format!("Failed to {what} stream {stream} under account {} because {why}", self.account))
    }
}

/// An iterator that was given too long ago.
pub(crate) fn expired_iterator(issued: Timestamp, now: Timestamp, most_ms: u128) -> AwsError {
    let message = format!(
        "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the \
         tolerated delay of {most_ms} milliseconds.",
        date(issued),
        date(now)
    );
    AwsError::new("ExpiredIteratorException", message)
}

/// A page token that was given too long ago.
pub(crate) fn expired_token() -> AwsError {
    AwsError::new("ExpiredNextTokenException", "The pagination token passed to the operation is expired.")
}

/// `Thu Jan 22 01:22:02 UTC 2015`.
fn date(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    time.strftime("%a %b %d %H:%M:%S UTC %Y").to_string()
}
