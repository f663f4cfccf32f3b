//! One error type whose kind says what the caller must do. Each protocol owns one table from kind to its own codes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Shorthand for results of this crate's errors.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller must do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing is wrong with the call: try again later (overload, full disk, a store that does not answer).
    Retry,
    /// The call itself is wrong: correct it.
    Invalid,
    /// What the call names does not exist.
    NotFound,
    /// Somebody else changed it first, or it exists already: look again.
    Conflict,
    /// Stored bytes are not what was written: a person must look.
    Corrupt,
    /// A bug or a failed machine: a person must look.
    Internal,
}

impl ErrorKind {
    /// The kind's name in API answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// What exactly an append or a read met, where a protocol has a word of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The batch is over the topic's limit.
    TooLarge,
    /// The producer's sequence has a gap.
    SequenceGap,
    /// A newer epoch of the producer has taken its place.
    ProducerFenced,
    /// The offset lies before the first that is kept, or behind the end.
    OffsetOutOfRange,
    /// Archive or tables have not taken the records yet.
    NotFollowedYet,
    /// The topic is one in which the server keeps its own state.
    OwnTopic,
}

/// An error: its kind, a message in lower case without a full stop, and what caused it. Cheap to clone, because one
/// failed sync answers many waiting appends.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    reason: Option<Reason>,
    message: Arc<str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, reason: None, message: message.into(), source: None }
    }

    /// See [`ErrorKind::Retry`].
    pub fn retry(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Retry, message)
    }

    /// See [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// See [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// See [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// See [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// See [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The same error with what exactly was met.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// What exactly was met, if a protocol may have a word for it.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without causes.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    /// The message, and the causes behind colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_ref().map(|source| source.as_ref() as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            // One of our own errors prints its own causes.
            cause = if error.is::<Error>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl StdError for Error {}
