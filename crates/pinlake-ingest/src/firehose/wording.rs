//! What Firehose says, in its own words: the one place for texts that clients compare. Texts that are not known of AWS say what is wrong and what to
//! do.

use pinlake_core::{Error, ErrorKind, TopicName};

use crate::aws::error::AwsError;
use crate::kinesis::wording::{Words, argument};

/// What a record is told that was not stored.
pub(crate) const SLOW_DOWN: &str = "Slow down.";
/// A put to a delivery stream that reads a Kinesis stream.
pub(crate) const NOT_PERMITTED: &str = "This operation is not permitted on KinesisStreamAsSource delivery stream type.";
/// More than one destination, or none.
pub(crate) const ONE_DESTINATION: &str = "Exactly one destination configuration is supported for a Firehose";
/// More than 4 MiB in one PutRecordBatch.
pub(crate) const BATCH_TOO_LARGE: &str = "Records size exceeds 4 MB limit";
/// Before what is wrong with a prefix; spelled as AWS does.
const PREFIXES: &str = "Ths supplied prefix(es) do not satisfy the following constraint: ";

pub(crate) fn not_found(words: &Words, name: &str) -> AwsError {
    let message = format!("Firehose {name} under account {} not found.", words.account);
    AwsError::new("ResourceNotFoundException", message)
}

pub(crate) fn exists(words: &Words, name: &str) -> AwsError {
    let message = format!("Firehose {name} under accountId {} already exists", words.account);
    AwsError::new("ResourceInUseException", message)
}

/// There are as many as may be.
pub(crate) fn quota(most: usize, names: &[String]) -> AwsError {
    let message =
        format!("You have already consumed your firehose quota of {most} hoses. Firehose names: [{}]", names.join(", "));
    AwsError::new("LimitExceededException", message)
}

/// More tags than one delivery stream has.
pub(crate) fn too_many_tags(name: &str, most: usize) -> AwsError {
    let message = format!("Firehose {name} would have more than {most} tags: remove some first");
    AwsError::new("LimitExceededException", message)
}

/// Somebody else has changed it since the caller looked.
pub(crate) fn other_version(name: &str, current: i64, given: &str) -> AwsError {
    let message = format!(
        "Cannot update firehose: {name} since the current version id: {current} and specified version id: {given} do not match"
    );
    AwsError::new("ConcurrentModificationException", message)
}

pub(crate) fn prefixes(constraint: &str) -> AwsError {
    argument(format!("{PREFIXES}{constraint}"))
}

/// The log does not take records now.
pub(crate) fn slow_down() -> AwsError {
    AwsError { status: axum::http::StatusCode::SERVICE_UNAVAILABLE, ..AwsError::new("ServiceUnavailableException", SLOW_DOWN) }
}

/// One of this name was deleted, and its topic is not gone yet.
pub(crate) fn being_deleted(name: &str) -> AwsError {
    let message = format!("The hose {name} is currently being deleted. Please retry after some time");
    AwsError::new("ResourceInUseException", message)
}

/// Its topic is somebody else's.
pub(crate) fn topic_in_use(topic: &TopicName) -> AwsError {
    let message =
        format!("Topic {topic} is there and is not this delivery stream's: choose another name, or delete the topic first");
    AwsError::new("ResourceInUseException", message)
}

/// What whoever keeps the delivery streams says of one that is there.
pub(crate) fn told(words: &Words, name: &str, error: &Error) -> AwsError {
    match error.kind() {
        ErrorKind::NotFound => not_found(words, name),
        _ => error.into(),
    }
}
