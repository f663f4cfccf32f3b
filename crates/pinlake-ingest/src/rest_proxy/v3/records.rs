//! Produce in v3: a stream of records that is answered line by line, in order, while it still comes in; and `records:batch`. What is at
//! hand is appended together; more is read from the client when it has taken its lines, so a stream takes little room however long it is.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use pinlake_core::{Record, TopicName};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::record::{NewRecord, Stored, error_answer};
use super::splitter::{NoObject, Splitter};
use super::{of_log, unknown_topic};
use crate::body;
use crate::doors::{Call, Doors};
use crate::limits::Permit;
use crate::partitioner::Partitioning;
use crate::produce::{Apart, OpenTopic};
use crate::records::Records;
use crate::rest_proxy::error::RestError;

/// Records that are appended together at most.
const TOGETHER_MAX: usize = 1000;
/// Bytes of records that are appended together at most; a larger record is appended alone.
const TOGETHER_BYTES_MAX: usize = 1 << 20;
/// The most records of `records:batch`.
const BATCH_MAX: usize = 10;
/// The entries of a batch are not as they must be.
const BATCH: u16 = 42208;

/// Answers a stream of records.
pub(super) async fn stream(call: &Call<'_>, cluster_id: String, topic: &str, body: Body) -> Result<Response, RestError> {
    open(call.doors, topic).await?;
    let permit = call.shared.enter().map_err(RestError::refused)?;
    let state = Stream {
        doors: call.doors.clone(),
        cluster_id,
        topic: topic.to_owned(),
        body,
        splitter: Splitter::default(),
        room: 0,
        permit,
        is_over: false,
    };
    let lines = futures::stream::unfold(state, |mut state| async move {
        let lines = state.next_lines().await?;
        Some((Ok::<_, std::convert::Infallible>(lines), state))
    });
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], Body::from_stream(lines)).into_response())
}

/// A stream under way.
struct Stream {
    doors: Doors,
    cluster_id: String,
    topic: String,
    body: Body,
    splitter: Splitter,
    /// Bytes that the permit holds for the splitter.
    room: usize,
    permit: Permit,
    is_over: bool,
}

impl Stream {
    /// The lines for what has come, at the next moment that something has; `None` at the end.
    async fn next_lines(&mut self) -> Option<Bytes> {
        while !self.is_over {
            let (records, end) = self.whole_records();
            self.is_over = end.is_some();
            if records.is_empty() && end.is_none() {
                if let Some(error) = self.read_on().await {
                    self.is_over = true;
                    return Some(line(&error_answer(&error)).into());
                }
                continue;
            }
            let mut lines = Vec::new();
            for stored in produce(&self.doors, &self.topic, records).await {
                lines.extend_from_slice(&line(&match stored {
                    Ok(stored) => stored.answer(&self.cluster_id, &self.topic),
                    Err(error) => error_answer(&error),
                }));
            }
            lines.extend(end.iter().flat_map(|error| line(&error_answer(error))));
            return Some(lines.into());
        }
        None
    }

    /// The records that are whole, and an error if nothing can follow them.
    fn whole_records(&mut self) -> (Vec<Result<NewRecord, RestError>>, Option<RestError>) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < TOGETHER_MAX && bytes < TOGETHER_BYTES_MAX {
            match self.splitter.next() {
                Ok(None) => break,
                Ok(Some(object)) => {
                    bytes += object.len();
                    records.push(NewRecord::parse(&object));
                }
                Err(NoObject) => {
                    let text = "the stream is JSON objects, one behind the other: what comes now is none, and is not read";
                    return (records, Some(RestError::new(400, text)));
                }
            }
        }
        (records, None)
    }

    /// Takes the next part of the body; an error if the stream can't go on.
    async fn read_on(&mut self) -> Option<RestError> {
        let bytes_max = self.doors.shared().settings.body_bytes_max;
        if self.splitter.len() > bytes_max {
            let text = format!("HTTP 413 Request Entity Too Large: a record takes at most {bytes_max} bytes");
            return Some(RestError::new(413, text));
        }
        let part = match self.body.frame().await {
            None => {
                self.is_over = true;
                let text = "HTTP 400 Bad Request: the stream ended within a record";
                return (!self.splitter.is_between()).then(|| RestError::new(400, text));
            }
            Some(Err(error)) => return Some(RestError::refused(body::why(&error))),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        let room = self.splitter.len() + part.len();
        self.permit.shrink(self.room);
        self.room = room;
        if let Err(refusal) = self.permit.grow(room) {
            return Some(RestError::refused(refusal));
        }
        self.splitter.push(&part);
        None
    }
}

fn line(answer: &Value) -> Vec<u8> {
    let mut line = answer.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[derive(Deserialize)]
struct BatchBody {
    entries: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct EntryId {
    id: String,
}

/// Answers `records:batch`.
pub(super) async fn batch(call: &Call<'_>, cluster_id: &str, topic: &str, body: &Bytes) -> Result<Response, RestError> {
    let BatchBody { entries } = serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))?;
    if entries.is_empty() || entries.len() > BATCH_MAX {
        return Err(RestError::new(BATCH, format!("'entries' takes 1 to {BATCH_MAX} records")));
    }
    let id = |entry: &RawValue| serde_json::from_str::<EntryId>(entry.get()).ok().map(|entry| entry.id);
    let ids: Option<Vec<String>> = entries.iter().map(|entry| id(entry)).collect();
    let ids = ids.ok_or_else(|| RestError::new(BATCH, "each of 'entries' has an 'id', which is text"))?;
    let mut sorted = ids.clone();
    sorted.sort();
    if ids.iter().any(String::is_empty) || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(RestError::new(BATCH, "each of 'entries' has an 'id' of its own"));
    }
    open(call.doors, topic).await?;
    let records = entries.iter().map(|entry| NewRecord::parse(entry.get().as_bytes())).collect();
    let (mut successes, mut failures) = (Vec::new(), Vec::new());
    for (id, stored) in ids.into_iter().zip(produce(call.doors, topic, records).await) {
        let (mut answer, into) = match stored {
            Ok(stored) => (stored.answer(cluster_id, topic), &mut successes),
            Err(error) => (error_answer(&error), &mut failures),
        };
        answer["id"] = id.into();
        into.push(answer);
    }
    let answer = json!({"successes": successes, "failures": failures}).to_string();
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((StatusCode::MULTI_STATUS, json, answer).into_response())
}

/// The topic, created if its first record creates it.
async fn open(doors: &Doors, topic: &str) -> Result<OpenTopic, RestError> {
    TopicName::new(topic).map_err(|error| unknown_topic(error.message()))?;
    doors.shared().producer.open(topic).await.map_err(|error| of_log(&error))
}

/// Has records appended; answers one place or error each, in their order. Those of one partition keep their order.
async fn produce(doors: &Doors, topic: &str, records: Vec<Result<NewRecord, RestError>>) -> Vec<Result<Stored, RestError>> {
    let opened = match open(doors, topic).await {
        Ok(opened) => opened,
        Err(error) => return records.into_iter().map(|record| record.and_then(|_| Err(error.clone()))).collect(),
    };
    let check = |record: NewRecord| match record.partition {
        Some(number) if number >= opened.partitions() => Err(RestError::partition_not_found(topic, &number.to_string())),
        _ => Ok(record),
    };
    let records: Vec<Result<NewRecord, RestError>> = records.into_iter().map(|record| record.and_then(check)).collect();
    let mut answers = Vec::with_capacity(records.len());
    let kind = |record: &Result<NewRecord, RestError>| record.as_ref().ok().map(NewRecord::is_plain);
    for run in records.chunk_by(|one, next| kind(one) == kind(next)) {
        let good: Vec<&NewRecord> = run.iter().filter_map(|record| record.as_ref().ok()).collect();
        match run.first().and_then(kind) {
            None => answers.extend(run.iter().filter_map(|record| record.as_ref().err()).map(|error| Err(error.clone()))),
            Some(true) => answers.extend(produce_plain(doors, &opened, &good).await),
            Some(false) => answers.extend(produce_apart(doors, &opened, &good).await),
        }
    }
    answers
}

async fn produce_plain(doors: &Doors, topic: &OpenTopic, records: &[&NewRecord]) -> Vec<Result<Stored, RestError>> {
    let mut all = Records::default();
    for record in records {
        let key = record.key.as_ref().map(|data| all.copy(&data.bytes));
        let value = record.value.as_ref().map(|data| all.copy(&data.bytes));
        all.push(key, value, record.partition);
    }
    let now = doors.shared().producer.now();
    let placed = doors.produce_streamed(topic, &all, Partitioning::Kafka, now).await;
    match placed {
        Ok(placed) => {
            let stored = |(record, placed): (&&NewRecord, crate::produce::Placed)| {
                let offset = placed.offset.map_err(|error| of_log(&error))?;
                Ok(record.stored(placed.partition, offset, now))
            };
            records.iter().zip(placed).map(stored).collect()
        }
        Err(error) => records.iter().map(|_| Err(of_log(&error))).collect(),
    }
}

/// Appends records that have more than key and value: each as a batch of its own.
async fn produce_apart(doors: &Doors, topic: &OpenTopic, records: &[&NewRecord]) -> Vec<Result<Stored, RestError>> {
    let now = doors.shared().producer.now();
    let apart = |record: &&NewRecord| Apart {
        partition: record.partition,
        at: record.timestamp.unwrap_or(now),
        record: Record {
            key: record.key.as_ref().map(|data| data.bytes.clone()),
            value: record.value.as_ref().map(|data| data.bytes.clone()),
            headers: record.headers.clone(),
        },
    };
    let placed = doors.produce_streamed_apart(topic, &records.iter().map(apart).collect::<Vec<_>>()).await;
    let stored = |(record, placed): (&&NewRecord, crate::produce::Placed)| {
        let offset = placed.offset.map_err(|error| of_log(&error))?;
        Ok(record.stored(placed.partition, offset, record.timestamp.unwrap_or(now)))
    };
    records.iter().zip(placed).map(stored).collect()
}
