//! Topics and their records.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pinlake_core::{Error, Offset, TopicName, TopicPartition, TopicSpec};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Shared;
use crate::answers::{PartitionOffsets, Records, Topic, Topics};
use crate::console::RecordsRequest;
use crate::extract::{Body, Params, Segments, in_range};
use crate::failure::Failure;

/// Records of an answer unless the caller says otherwise.
const RECORDS_DEFAULT: u64 = 100;
/// The most records that a caller may ask for.
const RECORDS_MAX: u64 = 10_000;
/// The most bytes of batches in an answer, the first one apart.
const RECORDS_BYTES_MAX: usize = 8 << 20;
/// The longest wait for a record to come, milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

/// `GET /api/v1/topics`
pub(crate) async fn list(State(shared): State<Shared>) -> Result<Json<Topics>, Failure> {
    Ok(Json(Topics { topics: shared.console.topics().await? }))
}

/// `GET /api/v1/topics/{name}`
pub(crate) async fn describe(State(shared): State<Shared>, Segments(name): Segments<String>) -> Result<Json<Topic>, Failure> {
    Ok(Json(shared.console.topic(&TopicName::new(&name)?).await?))
}

/// `POST /api/v1/topics/{name}`
pub(crate) async fn create(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Body(given): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Topic>), Failure> {
    let name = TopicName::new(&name)?;
    let spec = over(&shared.console.topic_defaults(), given)?;
    spec.validate()?;
    shared.console.create_topic(&name, spec).await?;
    Ok((StatusCode::CREATED, Json(shared.console.topic(&name).await?)))
}

/// What was given over the defaults.
fn over(defaults: &TopicSpec, given: Map<String, Value>) -> Result<TopicSpec, Error> {
    let mut values = serde_json::to_value(defaults).map_err(|e| Error::internal("writing a topic's defaults").with_source(e))?;
    values.as_object_mut().expect("a struct is an object").extend(given);
    serde_json::from_value(values).map_err(|e| Error::invalid(format!("the request body is not right: {e}")))
}

/// `DELETE /api/v1/topics/{name}`
pub(crate) async fn delete(State(shared): State<Shared>, Segments(name): Segments<String>) -> Result<StatusCode, Failure> {
    shared.console.delete_topic(&TopicName::new(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsParams {
    #[serde(default)]
    partition: u32,
    offset: Option<String>,
    limit: Option<u64>,
    wait_ms: Option<u64>,
}

/// `GET /api/v1/topics/{name}/records`
pub(crate) async fn records(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Params(params): Params<RecordsParams>,
) -> Result<Json<Records>, Failure> {
    let from = TopicName::new(&name)?.partition(params.partition);
    let limit = in_range("limit", params.limit, RECORDS_DEFAULT, 1, RECORDS_MAX)?;
    let wait_ms = in_range("wait_ms", params.wait_ms, 0, 0, WAIT_MS_MAX)?;
    let offset = match params.offset.as_deref() {
        Some(text) if !matches!(text, "start" | "end") => offset(text)?,
        named => named_offset(named, &held(&shared, &from).await?, limit),
    };
    let request = RecordsRequest {
        from: from.clone(),
        offset,
        records_max: usize::try_from(limit).expect("it is at most RECORDS_MAX"),
        bytes_max: RECORDS_BYTES_MAX,
        wait: Duration::from_millis(wait_ms),
    };
    let (records, next) = shared.console.records(request).await?;
    Ok(Json(Records { topic: from.topic, partition: from.partition.0, next_offset: next.0, records }))
}

fn offset(text: &str) -> Result<Offset, Error> {
    let number = text.parse().ok().filter(|offset: &i64| *offset >= 0);
    number.map(Offset).ok_or_else(|| Error::invalid(format!("'offset' takes a number from 0, 'start' or 'end', not '{text}'")))
}

/// What the log holds of a partition.
async fn held(shared: &Shared, of: &TopicPartition) -> Result<PartitionOffsets, Error> {
    let topic = shared.console.topic(&of.topic).await?;
    let found = topic.offsets.into_iter().find(|offsets| offsets.partition == of.partition.0);
    found.ok_or_else(|| Error::not_found(format!("topic '{}' has no partition {}", of.topic, of.partition)))
}

/// Where `start`, `end` and, without a name, the last `limit` records begin.
fn named_offset(name: Option<&str>, held: &PartitionOffsets, limit: u64) -> Offset {
    match name {
        Some("start") => Offset(held.start),
        Some(_) => Offset(held.end),
        None => Offset(held.end.saturating_sub_unsigned(limit).max(held.start)),
    }
}
