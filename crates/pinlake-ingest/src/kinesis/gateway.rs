//! PutRecord and PutRecords in the API-Gateway form: `PUT /streams/STREAM/record[s]`. The path says which stream; what the body
//! says of it is ignored.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pinlake_core::{ErrorKind, Reason, Timestamp};

use super::admin;
use super::body::parse;
use super::error::{self, DoorError, Gateway};
use super::sequence::{SequenceNumber, push_shard_id};
use crate::doors::Call;
use crate::json;
use crate::limits::Permit;
use crate::partitioner::{Partitioning, shard_of_hash};
use crate::path::{decode, query_value};
use crate::produce::{OpenTopic, Placed};
use crate::records::Records;

/// Characters of a stream's name, as in Kinesis.
const STREAM_NAME_LEN_MAX: usize = 128;

/// Answers `/streams...`.
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    match route(call, body).await {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(error) => error.answer(call),
    }
}

async fn route(call: &Call<'_>, body: Body) -> Result<String, DoorError> {
    let segments = call.segments.as_slice();
    let named = || query_value(call.parts.uri.query(), "stream-name");
    match (call.method, segments) {
        (&Method::PUT, [what @ ("record" | "records")]) => put(call, named(), what, body).await,
        (&Method::POST, [what @ ("record" | "records")]) if named().is_some() => put(call, named(), what, body).await,
        (&Method::PUT | &Method::POST, [stream, what @ ("record" | "records")]) => {
            put(call, Some(decode(stream).into_owned()), what, body).await
        }
        (&Method::GET, []) => admin::list(call, &read(call, body).await?.0).await,
        (&Method::GET, [stream]) => admin::describe(call, stream_name(&decode(stream))?, &read(call, body).await?.0).await,
        (&Method::POST, [stream]) => admin::create(call, stream_name(&decode(stream))?, &read(call, body).await?.0).await,
        (&Method::DELETE, [stream]) => {
            read(call, body).await?;
            admin::delete(call, stream_name(&decode(stream))?).await
        }
        _ => Err(DoorError::gateway(
            Gateway::UnknownRoute,
            format!(
                "no {} {} here: PUT /streams/STREAM/record or /records puts, GET /streams lists, GET, POST and DELETE \
                 /streams/STREAM describe, create and delete",
                call.parts.method,
                call.parts.uri.path().chars().take(200).collect::<String>()
            ),
        )),
    }
}

async fn read(call: &Call<'_>, body: Body) -> Result<(Bytes, Permit), DoorError> {
    call.shared.read(call.parts, body).await.map_err(DoorError::refused)
}

async fn put(call: &Call<'_>, stream: Option<String>, what: &str, body: Body) -> Result<String, DoorError> {
    check_media_type(&call.parts.headers)?;
    let (body, _permit) = read(call, body).await?;
    let single = what == "record";
    let bytes_max = call.shared.settings.kinesis.record_bytes_max;
    let mut parsed = parse(&body, single, bytes_max)?;
    // Only the form without a stream in its path asks the body.
    let stream = stream.as_ref().or(parsed.stream.as_ref());
    let stream = stream_name(stream.ok_or_else(|| DoorError::constraint(None, "streamName", "not be null"))?)?;
    let topic = open(call, stream, &parsed.records).await?;
    for (index, hash) in std::mem::take(&mut parsed.hashes) {
        parsed.records.set_partition(index, shard_of_hash(hash, topic.partitions()));
    }
    let now = call.shared.producer.now();
    let placed = call.produce(&topic, &parsed.records, Partitioning::Kinesis).await.map_err(|error| DoorError::of(&error))?;
    if single { record_answer(&placed[0], now) } else { Ok(records_answer(&placed, now)) }
}

async fn open(call: &Call<'_>, stream: &str, records: &Records) -> Result<OpenTopic, DoorError> {
    call.open(stream, records).await.map_err(|error| match error.kind() {
        _ if error.reason() == Some(Reason::OwnTopic) => DoorError::of(&error),
        ErrorKind::NotFound => DoorError::no_stream(
            &call.shared.settings.kinesis,
            stream,
            &format!(
                " No pattern of the pipeline matches it, so its first record does not create it: create it with POST \
                 /streams/{stream} or 'pinlake topics create {stream}'"
            ),
        ),
        _ => DoorError::of(&error),
    })
}

/// Checks a stream's name as Kinesis does.
pub(super) fn stream_name(name: &str) -> Result<&str, DoorError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.len() > STREAM_NAME_LEN_MAX {
        return Err(DoorError::constraint(Some(name), "streamName", "have length less than or equal to 128"));
    }
    if name.is_empty() || name == "." || name == ".." || !name.bytes().all(legal) {
        return Err(DoorError::constraint(Some(name), "streamName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    }
    Ok(name)
}

/// Clients label JSON in many ways; refused is what can't be JSON.
fn check_media_type(headers: &HeaderMap) -> Result<(), DoorError> {
    let Some(stated) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let stated = stated.to_str().unwrap_or_default();
    if stated == "application/json" {
        return Ok(());
    }
    let essence = stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["", "application/x-amz-json-1.1", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"];
    if essence.ends_with("json") || known.contains(&essence.as_str()) {
        return Ok(());
    }
    let shown: String = essence.chars().take(100).collect();
    Err(DoorError::gateway(Gateway::MediaType, format!("a body here is JSON, Content-Type application/json, not '{shown}'")))
}

fn push_place(out: &mut String, placed: &Placed, offset: pinlake_core::Offset, arrival: Timestamp) {
    out.push_str("{\"SequenceNumber\":\"");
    SequenceNumber { shard: placed.partition, created: 0, offset, arrival }.push_to(out);
    out.push_str("\",\"ShardId\":\"");
    push_shard_id(out, placed.partition);
    out.push_str("\"}");
}

fn record_answer(placed: &Placed, arrival: Timestamp) -> Result<String, DoorError> {
    let offset = placed.offset.as_ref().map_err(DoorError::of)?;
    let mut out = String::with_capacity(128);
    push_place(&mut out, placed, *offset, arrival);
    Ok(out)
}

fn records_answer(placed: &[Placed], arrival: Timestamp) -> String {
    let mut out = String::with_capacity(64 + placed.len() * 120);
    out.push_str("{\"FailedRecordCount\":");
    json::push_number(&mut out, placed.iter().filter(|record| record.offset.is_err()).count());
    out.push_str(",\"Records\":[");
    for (at, record) in placed.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match &record.offset {
            Ok(offset) => push_place(&mut out, record, *offset, arrival),
            Err(error) => {
                out.push_str("{\"ErrorCode\":\"");
                out.push_str(error::record_code(error));
                out.push_str("\",\"ErrorMessage\":");
                json::push_string(&mut out, error.message());
                out.push('}');
            }
        }
    }
    out.push_str("]}");
    out
}
