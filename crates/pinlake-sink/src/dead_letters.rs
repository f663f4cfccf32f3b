//! Records that a sink could not write and passed on. It must not decide which those are.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinlake_core::{Error, Offset, RecordView, Result, Timestamp, TopicPartition};

use crate::plan::DeadLetterTopic;
use crate::problem::Problem;

/// A record that can't be written, as it was read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The sink that read it.
    pub sink: Arc<str>,
    /// Which of its tasks.
    pub task: u32,
    /// Where the record stands.
    pub of: TopicPartition,
    /// Where it stands there.
    pub offset: Offset,
    /// Its time.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; of a batch that can't be unpacked, the batch.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Where dead letters go.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Writes letters, in order; durable when it returns. After an error some may be written.
    ///
    /// # Errors
    /// `Retry` if it may be asked again; any other fails the task.
    async fn put(&self, to: &DeadLetterTopic, letters: Vec<DeadLetter>) -> Result<()>;
}

impl DeadLetter {
    /// The letter of a record.
    pub(crate) fn of(sink: Arc<str>, task: u32, of: &TopicPartition, record: &RecordView<'_>, problem: Problem) -> Self {
        let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let headers = record.decode_headers().unwrap_or_default();
        Self {
            sink,
            task,
            of: of.clone(),
            offset: record.offset,
            timestamp: record.timestamp,
            key: bytes(record.key),
            value: bytes(record.value),
            headers: headers.into_iter().map(|(name, value)| (name.into_owned(), bytes(value))).collect(),
            problem,
        }
    }

    /// The problem as the end of a sink that tolerates none.
    pub(crate) fn to_error(&self) -> Error {
        let Self { of, offset, problem, .. } = self;
        Error::invalid(format!(
            "the record at topic '{}', partition {}, offset {offset} can't be written: {problem} ({})",
            of.topic, of.partition, problem.class
        ))
    }
}
