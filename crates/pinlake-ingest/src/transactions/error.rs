//! What a call about a transaction is refused with: one entry for each of Kafka's codes, and the way from the log's errors to them.

use std::fmt;

use pinlake_core::{Error, ErrorKind};

use crate::groups::GroupError;

/// Why a call about a transaction was refused. Each has a code of Kafka's protocol, see [`TransactionError::code`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransactionError {
    /// The log is overloaded or its disk is full.
    NotAvailable,
    /// The call makes no sense: the text says why.
    InvalidRequest(&'static str),
    /// More transactional ids, partitions or groups than are kept.
    TooMany(&'static str),
    /// No transaction is open to which this belongs.
    InvalidState,
    /// The transactional id is not the producer id's.
    UnknownProducer,
    /// The timeout is out of bounds.
    InvalidTimeout,
    /// The end of the last transaction is still being written.
    Concurrent,
    /// The log took no append, and takes none any more.
    Storage,
    /// A later incarnation of the producer is there.
    Fenced,
    /// There is no such transactional id.
    NotFound,
    /// The consumer group refused it.
    Group(GroupError),
}

impl TransactionError {
    /// The error's code in Kafka's protocol. Versions of an API that don't know [`TransactionError::Fenced`]'s get
    /// [`TransactionError::old_code`].
    pub fn code(&self) -> i16 {
        match self {
            Self::NotAvailable => 15,
            Self::InvalidRequest(_) => 42,
            Self::TooMany(_) => 44,
            Self::InvalidState => 48,
            Self::UnknownProducer => 49,
            Self::InvalidTimeout => 50,
            Self::Concurrent => 51,
            Self::Storage => 56,
            Self::Fenced => 90,
            Self::NotFound => 105,
            Self::Group(error) => error.code(),
        }
    }

    /// The code where PRODUCER_FENCED is not known: INVALID_PRODUCER_EPOCH in its place (KIP-588).
    pub fn old_code(&self) -> i16 {
        match self {
            Self::Fenced => 47,
            other => other.code(),
        }
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAvailable => "the log is overloaded or its disk is full: try again",
            Self::InvalidRequest(why) | Self::TooMany(why) => why,
            Self::InvalidState => "no transaction is open for this: begin one and add the partition or group to it first",
            Self::UnknownProducer => "the producer id is not that of the transactional id: initialise the producer again",
            Self::InvalidTimeout => "the transaction timeout is out of bounds: set it between 1 ms and the server's most",
            Self::Concurrent => "the end of the last transaction is still being written: try again",
            Self::Storage => "the transactions' topic takes no more appends: see the server's log",
            Self::Fenced => "a later producer of the same transactional id is there: close this one",
            Self::NotFound => "there is no such transactional id: check its name",
            Self::Group(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for TransactionError {}

impl From<&Error> for TransactionError {
    /// What a failed append of the transactions' topic means to a client.
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Retry => Self::NotAvailable,
            _ => Self::Storage,
        }
    }
}

impl From<Error> for TransactionError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
