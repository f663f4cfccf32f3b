//! The one table from Kafka's error codes to what must be done about them.
//!
//! Source: the Kafka protocol guide, "Error Codes".

use std::fmt::Display;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::error::ParseResponseErrorCode;
use pinlake_core::{Error, ErrorKind, Reason};

/// Why a request has no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No broker has seen it.
    Unsent(Error),
    /// Nobody knows whether the broker has done it.
    Lost(Error),
    /// It is of no use to try again.
    Fatal(Error),
}

impl Failure {
    /// That of a question before the request itself, of which no broker has seen anything then.
    pub(super) fn before_it(self) -> Self {
        match self {
            Self::Lost(error) => Self::Unsent(error),
            other => other,
        }
    }

    /// What to say when it is not tried again.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Unsent(error) | Self::Lost(error) | Self::Fatal(error) => error,
        }
    }
}

/// The error that a code means, with the broker's own text if it has one.
pub(super) fn of(code: i16, what: impl Display, text: Option<&str>) -> Error {
    let Some(code) = code.err() else { return Error::internal(format!("{what}: no error was answered where one was read")) };
    let (kind, reason, advice) = meaning(code);
    let own = text.filter(|text| !text.is_empty()).map(|text| format!(" ({})", said(text)));
    let text = format!("{what}: the broker says {code}{}{advice}", own.unwrap_or_default());
    let error = Error::new(kind, text);
    match reason {
        Some(reason) => error.because(reason),
        None => error,
    }
}

/// A broker's own text, fit for one of ours.
pub(super) fn said(text: &str) -> String {
    text.chars().take(300).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn meaning(code: Code) -> (ErrorKind, Option<Reason>, &'static str) {
    use ErrorKind::{Conflict, Internal, Invalid, NotFound, Retry};
    match code {
        Code::OffsetOutOfRange => (Invalid, Some(Reason::OffsetOutOfRange), ""),
        Code::UnknownTopicOrPartition | Code::UnknownTopicId => (NotFound, None, ""),
        Code::MessageTooLarge | Code::RecordListTooLarge => {
            (Invalid, Some(Reason::TooLarge), ": send smaller batches, or raise the topic's max.message.bytes")
        }
        Code::OutOfOrderSequenceNumber | Code::DuplicateSequenceNumber | Code::UnknownProducerId => {
            (Invalid, Some(Reason::SequenceGap), "")
        }
        Code::InvalidProducerEpoch | Code::ProducerFenced => (Conflict, Some(Reason::ProducerFenced), ""),
        Code::TopicAlreadyExists => (Conflict, None, ""),
        Code::TopicAuthorizationFailed => {
            (Invalid, None, ": the cluster must allow this login to describe, read and write the topic")
        }
        Code::ClusterAuthorizationFailed => {
            (Invalid, None, ": the cluster must allow this login 'IdempotentWrite', and 'Create' and 'Alter' for topics")
        }
        Code::UnsupportedCompressionType => (Invalid, None, ": the cluster does not know the batch's compression"),
        Code::SaslAuthenticationFailed | Code::IllegalSaslState | Code::UnsupportedSaslMechanism | Code::SecurityDisabled => {
            (Invalid, None, ": check log.kafka.security.sasl")
        }
        Code::InvalidTopicException
        | Code::InvalidTimestamp
        | Code::UnsupportedVersion
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::UnsupportedForMessageFormat
        | Code::PolicyViolation
        | Code::InvalidTxnState
        | Code::InvalidProducerIdMapping
        | Code::TransactionalIdAuthorizationFailed
        | Code::TopicDeletionDisabled
        | Code::InvalidRecord
        | Code::InvalidRequiredAcks => (Invalid, None, ""),
        other if is_passing(other) => (Retry, None, ""),
        _ => (Internal, None, ""),
    }
}

/// Whether the same request may succeed later.
pub(super) fn passes(code: i16) -> bool {
    code.err().is_some_and(is_passing)
}

fn is_passing(code: Code) -> bool {
    match code {
        Code::BrokerNotAvailable | Code::ReassignmentInProgress | Code::ConcurrentTransactions | Code::NewLeaderElected => true,
        Code::UnknownServerError | Code::StaleControllerEpoch | Code::RebootstrapRequired => true,
        other => other.is_retriable(),
    }
}

/// Whether somebody else must be asked: what is known of the topic is looked up anew.
pub(super) fn is_elsewhere(code: i16) -> bool {
    matches!(
        code.err(),
        Some(
            Code::UnknownTopicOrPartition
                | Code::LeaderNotAvailable
                | Code::NotLeaderOrFollower
                | Code::ReplicaNotAvailable
                | Code::NotController
                | Code::ListenerNotFound
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::KafkaStorageError
                | Code::BrokerNotAvailable
                | Code::UnknownTopicId
                | Code::InconsistentTopicId
                | Code::RebootstrapRequired
        )
    )
}

/// Whether a broker that refused an append by this code has surely not appended it.
pub(super) fn appended_nothing(code: i16) -> bool {
    matches!(
        code.err(),
        Some(
            Code::UnknownTopicOrPartition
                | Code::NotEnoughReplicas
                | Code::CorruptMessage
                | Code::LeaderNotAvailable
                | Code::ThrottlingQuotaExceeded
                | Code::CoordinatorLoadInProgress
        )
    )
}
