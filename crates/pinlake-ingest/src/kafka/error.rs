//! The one table from the log's errors to Kafka's codes.

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Error, ErrorKind, Reason};

/// No error.
pub(super) const NONE: i16 = 0;

/// The code of an error that a log call answered.
pub(super) fn code(error: &Error) -> i16 {
    response_error(error).code()
}

fn response_error(error: &Error) -> ResponseError {
    match error.reason() {
        Some(Reason::TooLarge) => return ResponseError::MessageTooLarge,
        Some(Reason::SequenceGap) => return ResponseError::OutOfOrderSequenceNumber,
        Some(Reason::ProducerFenced) => return ResponseError::InvalidProducerEpoch,
        Some(Reason::OffsetOutOfRange) => return ResponseError::OffsetOutOfRange,
        Some(Reason::NotFollowedYet) => return ResponseError::PolicyViolation,
        Some(Reason::OwnTopic) => return ResponseError::InvalidTopicException,
        None => {}
    }
    match error.kind() {
        ErrorKind::NotFound => ResponseError::UnknownTopicOrPartition,
        ErrorKind::Invalid => ResponseError::InvalidRequest,
        ErrorKind::Conflict => ResponseError::TopicAlreadyExists,
        // Clients send a batch again after any of these.
        ErrorKind::Retry => ResponseError::NotEnoughReplicas,
        ErrorKind::Corrupt | ErrorKind::Internal => ResponseError::KafkaStorageError,
    }
}

/// An error's text, as responses have it.
pub(super) fn text(error: &Error) -> Option<StrBytes> {
    Some(StrBytes::from_string(error.message().to_owned()))
}
