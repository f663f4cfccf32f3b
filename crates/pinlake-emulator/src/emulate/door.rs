//! The two doors' forms: how a request looks, and what its answer says of each record. Pure: must not send anything.

use pinlake_core::{Error, Result};
use reqwest::Method;
use serde::Deserialize;

use super::Place;
use crate::kind::Kind;
use crate::source::SourceRecord;

/// A door that posts go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The Kafka REST proxy's `POST /topics/<topic>`.
    KafkaRest = 0,
    /// The Kinesis gateway's `PUT /streams/<stream>/record` and `/records`.
    Kinesis = 1,
}

/// A request without the server's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) method: Method,
    /// Segments after the server's own.
    pub(super) path: Vec<String>,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// What became of one record of a request that was answered with 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is stored.
    Acked { partition: u32, place: Place },
    /// It is not, and may be sent again.
    Again(String),
    /// It is not, and never will be.
    Refused(String),
}

impl Door {
    /// The topic's or stream's name for `kind`.
    pub(super) fn topic(self, kind: Kind, id: &str) -> String {
        match self {
            Self::KafkaRest => kind.topic(id),
            Self::Kinesis => kind.stream(id),
        }
    }

    /// The request that carries `records` to `topic`.
    pub(super) fn form(self, topic: &str, records: &[&SourceRecord]) -> Form {
        match (self, records) {
            (Self::KafkaRest, records) => kafka_rest(topic, records),
            (Self::Kinesis, [record]) => put_record(topic, record),
            (Self::Kinesis, records) => put_records(topic, records),
        }
    }

    /// What `answer`, the body of a 200, says of each of `count` records.
    pub(super) fn verdicts(self, answer: &[u8], count: usize) -> Result<Vec<Verdict>> {
        let verdicts = match (self, count) {
            (Self::KafkaRest, _) => {
                let answer: Offsets = parse(answer)?;
                answer.offsets.into_iter().map(OffsetOrError::verdict).collect()
            }
            (Self::Kinesis, 1) => vec![parse::<SequenceOrError>(answer)?.verdict()],
            (Self::Kinesis, _) => {
                let answer: Sequences = parse(answer)?;
                answer.records.into_iter().map(SequenceOrError::verdict).collect::<Vec<_>>()
            }
        };
        if verdicts.len() != count {
            let told = verdicts.len();
            return Err(Error::invalid(format!(
                "the server took {count} records and answered for {told}: is it the right address?"
            )));
        }
        Ok(verdicts)
    }
}

fn kafka_rest(topic: &str, records: &[&SourceRecord]) -> Form {
    let mut body = body_for(records);
    body.push_str("{\"records\":[");
    for (place, record) in records.iter().enumerate() {
        body.push_str(if place == 0 { "{\"value\":" } else { ",{\"value\":" });
        body.push_str(&record.json);
        body.push('}');
    }
    body.push_str("]}");
    let path = vec!["topics".to_owned(), topic.to_owned()];
    Form { method: Method::POST, path, content_type: "application/vnd.kafka.json.v2+json", body }
}

fn put_record(stream: &str, record: &SourceRecord) -> Form {
    let mut body = body_for(&[record]);
    body.push_str("{\"StreamName\":\"");
    body.push_str(stream);
    body.push_str("\",");
    push_entry(&mut body, record);
    body.push('}');
    stream_form(stream, "record", body)
}

fn put_records(stream: &str, records: &[&SourceRecord]) -> Form {
    let mut body = body_for(records);
    body.push_str("{\"StreamName\":\"");
    body.push_str(stream);
    body.push_str("\",\"Records\":[");
    for (place, record) in records.iter().enumerate() {
        body.push_str(if place == 0 { "{" } else { ",{" });
        push_entry(&mut body, record);
        body.push('}');
    }
    body.push_str("]}");
    stream_form(stream, "records", body)
}

fn stream_form(stream: &str, last: &str, body: String) -> Form {
    let path = vec!["streams".to_owned(), stream.to_owned(), last.to_owned()];
    Form { method: Method::PUT, path, content_type: "application/json", body }
}

/// The record's key is its partition key, so that repeats of a post meet in one shard.
fn push_entry(body: &mut String, record: &SourceRecord) {
    body.push_str("\"Data\":");
    body.push_str(&record.json);
    body.push_str(",\"PartitionKey\":\"");
    match record.key {
        Some(key) => body.push_str(&key.to_string()),
        None => body.push_str("partition-1"),
    }
    body.push('"');
}

fn body_for(records: &[&SourceRecord]) -> String {
    String::with_capacity(96 + records.iter().map(|record| record.json.len() + 48).sum::<usize>())
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T> {
    serde_json::from_slice(answer).map_err(|error| {
        let shown: String = String::from_utf8_lossy(answer).chars().take(200).collect();
        Error::invalid(format!("the server answered 200 with '{shown}', which no such door does: is it the right address?"))
            .with_source(error)
    })
}

#[derive(Deserialize)]
struct Offsets {
    offsets: Vec<OffsetOrError>,
}

#[derive(Deserialize)]
struct OffsetOrError {
    partition: Option<u32>,
    offset: Option<i64>,
    error_code: Option<i64>,
    error: Option<String>,
}

impl OffsetOrError {
    /// What may be tried again has Kafka's own code 2 at Confluent's proxy, and 50003 here.
    fn verdict(self) -> Verdict {
        let reason = || self.error.clone().unwrap_or_else(|| "no reason given".to_owned());
        match (self.error_code, self.partition, self.offset) {
            (None, Some(partition), Some(offset)) => Verdict::Acked { partition, place: Place::Offset(offset) },
            (Some(2 | 50_003), ..) => Verdict::Again(reason()),
            _ => Verdict::Refused(reason()),
        }
    }
}

#[derive(Deserialize)]
struct Sequences {
    #[serde(rename = "Records")]
    records: Vec<SequenceOrError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceOrError {
    sequence_number: Option<String>,
    shard_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl SequenceOrError {
    fn verdict(self) -> Verdict {
        let shard = self.shard_id.as_deref().and_then(|id| id.rsplit('-').next()).and_then(|number| number.parse().ok());
        match (self.error_code, shard, self.sequence_number) {
            (None, Some(partition), Some(number)) => Verdict::Acked { partition, place: Place::SequenceNumber(number) },
            (Some(code), ..) => {
                let reason = format!("{code}: {}", self.error_message.unwrap_or_default());
                let is_passing = matches!(&*code, "ProvisionedThroughputExceededException" | "InternalFailure");
                if is_passing { Verdict::Again(reason) } else { Verdict::Refused(reason) }
            }
            _ => Verdict::Refused("an answer without sequence number and shard".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
