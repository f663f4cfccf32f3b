//! One read under way: gathers records until it has enough or its time is over. The positions move when the answer has been taken, so
//! that a client which leaves before misses nothing.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::{BoxFuture, select_all};
use pinlake_core::record::RecordView;
use pinlake_core::{Error, Log, Offset, ReadLimit, TopicPartition};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::messages::{Answer, ReadRequest, Reply};
use crate::json;
use crate::rest_proxy::content_type::Format;
use crate::rest_proxy::error::{KAFKA_ERROR, RestError};

/// What is taken from one partition before the next has its turn.
const TURN_BYTES: usize = 1 << 20;
/// What a record's own fields take in the answer at most, beside its topic, key and value.
const FIELDS_BYTES: usize = 100;

/// A read.
pub(super) struct Reading {
    request: ReadRequest,
    answer: Reply<Answer>,
    format: Format,
    /// Once it has more than so many bytes it ends.
    bytes_min: Option<usize>,
    text: Vec<u8>,
    /// Of keys and values.
    bytes: usize,
    is_full: bool,
    /// Where the partitions stand once the answer is taken.
    pub(super) positions: BTreeMap<TopicPartition, Offset>,
    /// Is there when some partition has more.
    news: BoxFuture<'static, ()>,
}

/// What made a read stop at a record.
pub(super) enum Stop {
    /// Enough was read.
    Enough,
    Failed(RestError),
    Log(Error),
}

impl Reading {
    pub(super) fn new(request: ReadRequest, answer: Reply<Answer>, format: Format, bytes_min: Option<usize>) -> Self {
        let (text, positions) = (vec![b'['], BTreeMap::new());
        Self { request, answer, format, bytes_min, text, bytes: 0, is_full: false, positions, news: pending().boxed() }
    }

    /// Whether its client has gone away.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// Whether it waits for nothing more.
    pub(super) fn is_done(&self) -> bool {
        let has_enough = self.bytes_min.is_some_and(|least| self.bytes > least);
        self.is_full || has_enough || Instant::now() >= self.request.until
    }

    /// Waits until there is something to do about it: more records, no more time, or no client.
    pub(super) async fn stirred(&mut self) {
        tokio::select! {
            // Told once: it is asked for anew with what follows.
            () = &mut self.news => self.news = pending().boxed(),
            () = sleep_until(self.request.until) => {}
            () = self.answer.closed() => {}
        }
    }

    /// From now on it waits for records behind these positions.
    pub(super) fn wait_for(&mut self, log: &Arc<dyn Log>, positions: Vec<(TopicPartition, Offset)>) {
        let (log, until) = (log.clone(), self.request.until);
        let wait = move |(of, at): (TopicPartition, Offset)| {
            let log = log.clone();
            async move {
                let left = until.saturating_duration_since(Instant::now());
                // A partition that can't be read has no news.
                match log.read_committed(&of, at, ReadLimit { bytes: 1 }, left).await {
                    Ok(read) if !read.batches.is_empty() => {}
                    _ => pending().await,
                }
            }
            .boxed()
        };
        let waits: Vec<_> = positions.into_iter().map(wait).collect();
        self.news = if waits.is_empty() { pending().boxed() } else { select_all(waits).map(drop).boxed() };
    }

    /// Takes what is there of a partition from `at` on, a turn's worth; answers where it stands then.
    pub(super) async fn take(&mut self, log: &dyn Log, of: &TopicPartition, at: Offset) -> (Offset, Option<Stop>) {
        let bytes = TURN_BYTES.min(self.request.bytes_max.saturating_sub(self.bytes)).max(1);
        let read = match log.read_committed(of, at, ReadLimit { bytes }, std::time::Duration::ZERO).await {
            Ok(read) => read,
            Err(error) => return (at, Some(Stop::Log(error))),
        };
        let mut next = at;
        for batch in read.visible() {
            let plain = match batch.plain() {
                Ok(plain) => plain,
                Err(error) => return (next, Some(self.unreadable(of, &error))),
            };
            for record in plain.records() {
                let record = match record {
                    Ok(record) if record.offset < next => continue,
                    Ok(record) => record,
                    Err(error) => return (next, Some(self.unreadable(of, &error))),
                };
                if let Err(stop) = self.push(of, &record) {
                    return (next, Some(stop));
                }
                next = record.offset.plus(1);
            }
            next = next.max(batch.offsets().end);
        }
        (next, None)
    }

    /// It can't be read on: the read ends, with the error or with what it has.
    pub(super) fn broken(&mut self, error: RestError) -> RestError {
        self.is_full = true;
        error
    }

    /// Ends it with what it has; answers the positions if the client has taken them.
    pub(super) fn finish(mut self) -> BTreeMap<TopicPartition, Offset> {
        self.text.push(b']');
        let answer = Answer::new(self.text, self.request.permit);
        if self.answer.send(Ok(answer)).is_ok() { self.positions } else { BTreeMap::new() }
    }

    /// Ends it with an error.
    pub(super) fn fail(self, error: RestError) {
        // Whoever went away needs no answer.
        let _ = self.answer.send(Err(error));
    }

    fn unreadable(&self, of: &TopicPartition, error: &Error) -> Stop {
        Stop::Failed(RestError::new(KAFKA_ERROR, format!("{of} can't be read on: {}; seek behind it", error.message())))
    }

    /// Adds a record, if it fits: the first always does.
    fn push(&mut self, of: &TopicPartition, record: &RecordView<'_>) -> Result<(), Stop> {
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if !self.is_empty() && self.bytes + size > self.request.bytes_max {
            self.is_full = true;
            return Err(Stop::Enough);
        }
        let key = self.part(of, record, "key", record.key)?;
        let value = self.part(of, record, "value", record.value)?;
        let grows = key.len() + value.len() + of.topic.as_str().len() + FIELDS_BYTES;
        if let Err(refusal) = self.request.permit.grow(grows) {
            self.is_full = true;
            return Err(if self.is_empty() { Stop::Failed(RestError::refused(refusal)) } else { Stop::Enough });
        }
        if !self.is_empty() {
            self.text.push(b',');
        }
        let mut fields = String::with_capacity(grows);
        fields.push_str("{\"topic\":");
        json::push_string(&mut fields, of.topic.as_str());
        for (name, part) in [("key", &key), ("value", &value)] {
            fields.push_str(",\"");
            fields.push_str(name);
            fields.push_str("\":");
            fields.push_str(part);
        }
        fields.push_str(",\"partition\":");
        json::push_number(&mut fields, of.partition.0);
        fields.push_str(",\"offset\":");
        json::push_number(&mut fields, record.offset.0);
        fields.push('}');
        self.text.extend_from_slice(fields.as_bytes());
        self.bytes += size;
        Ok(())
    }

    /// A key or value as the instance's format has it.
    fn part(&self, of: &TopicPartition, record: &RecordView<'_>, what: &str, bytes: Option<&[u8]>) -> Result<String, Stop> {
        let Some(bytes) = bytes else { return Ok("null".to_owned()) };
        match self.format {
            Format::Binary => Ok(format!("\"{}\"", STANDARD.encode(bytes))),
            Format::Json => match serde_json::from_slice::<&RawValue>(bytes) {
                Ok(value) => Ok(value.get().to_owned()),
                Err(error) => Err(Stop::Failed(RestError::new(
                    KAFKA_ERROR,
                    format!(
                        "the {what} of {of} at offset {} is not JSON: {error}; read it with format binary, or seek behind it with \
                         POST .../positions",
                        record.offset
                    ),
                ))),
            },
        }
    }
}
