//! PutRecord, PutRecords, GetShardIterator and GetRecords in the API-Gateway form: `PUT /streams/STREAM/record[s]`,
//! `GET /streams/STREAM/sharditerator?shard-id=ID` and `GET /streams/STREAM/records`. The path says which stream; what a put's body says of
//! it is ignored.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pinlake_core::{Error, ErrorKind, Reason, TopicName};

use super::admin;
use super::body::parse;
use super::entry::Place;
use super::error::{DoorError, Gateway};
use super::operations::{self, Context, records};
use super::put::{self, IfMissing, Incoming};
use crate::aws::value::Value;
use crate::doors::{Call, rejected};
use crate::limits::Permit;
use crate::path::{decode, query_value};
use crate::records::Records;

/// What holds the iterator of a read.
const SHARD_ITERATOR: &str = "shard-iterator";
/// Characters of a stream's name, as in Kinesis.
const STREAM_NAME_LEN_MAX: usize = 128;

/// Answers `/streams...`.
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    match route(call, body).await {
        Ok(answer) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer.to_json()).into_response(),
        Err(error) => error.answer(call),
    }
}

async fn route(call: &Call<'_>, body: Body) -> Result<Value, DoorError> {
    let segments = call.segments.as_slice();
    let named = || query_value(call.parts.uri.query(), "stream-name");
    match (call.method, segments) {
        (&Method::PUT, [what @ ("record" | "records")]) => put(call, named(), what, body).await,
        (&Method::POST, [what @ ("record" | "records")]) if named().is_some() => put(call, named(), what, body).await,
        (&Method::PUT | &Method::POST, [stream, what @ ("record" | "records")]) => {
            put(call, Some(decode(stream).into_owned()), what, body).await
        }
        (&Method::GET, [_, "records"]) => get_records(call, body).await,
        (&Method::GET, [stream, "sharditerator"]) => shard_iterator(call, stream_name(&decode(stream))?, body).await,
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
                "no {} {} here: PUT /streams/STREAM/record or /records puts, GET /streams/STREAM/sharditerator and then /records reads, \
                 GET /streams lists, GET, POST and DELETE /streams/STREAM describe, create and delete",
                call.parts.method,
                call.parts.uri.path().chars().take(200).collect::<String>()
            ),
        )),
    }
}

/// GetShardIterator from the first record of a shard on.
async fn shard_iterator(call: &Call<'_>, stream: &str, body: Body) -> Result<Value, DoorError> {
    read(call, body).await?;
    let shard = query_value(call.parts.uri.query(), "shard-id").filter(|id| !id.is_empty());
    let shard = shard.ok_or_else(|| DoorError::constraint(None, "shardId", "not be null"))?;
    let members = [("StreamName", stream.into()), ("ShardId", shard.into()), ("ShardIteratorType", "TRIM_HORIZON".into())];
    Ok(operations::serve(&Context::of(call), "GetShardIterator", &Value::map(members)).await?)
}

/// GetRecords from the iterator in the header on.
async fn get_records(call: &Call<'_>, body: Body) -> Result<Value, DoorError> {
    read(call, body).await?;
    let iterator = call.parts.headers.get(SHARD_ITERATOR).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let iterator = iterator.ok_or_else(|| DoorError::constraint(None, "shardIterator", "not be null"))?;
    let input = Value::map([("ShardIterator", iterator.into())]);
    Ok(operations::serve(&Context::of(call), "GetRecords", &input).await?)
}

async fn read(call: &Call<'_>, body: Body) -> Result<(Bytes, Permit), DoorError> {
    call.shared.read(call.parts, body).await.map_err(DoorError::refused)
}

async fn put(call: &Call<'_>, stream: Option<String>, what: &str, body: Body) -> Result<Value, DoorError> {
    check_media_type(&call.parts.headers)?;
    let (body, _permit) = read(call, body).await?;
    let single = what == "record";
    let parsed = parse(&body, single)?;
    // Only the form without a stream in its path asks the body.
    let stream = stream.as_ref().or(parsed.stream.as_ref());
    let stream = stream_name(stream.ok_or_else(|| DoorError::constraint(None, "streamName", "not be null"))?)?;
    let context = Context::of(call);
    let incoming = Incoming { records: parsed.records, hashes: parsed.hashes };
    // Before the first record creates the stream.
    check_sizes(&incoming.records, record_limit(&context, stream).await, single)?;
    let entered =
        put::enter(&context.place(), stream, IfMissing::Create).await.map_err(|error| refused(&context, stream, &error))?;
    records::check_takes(&context, &entered.stream)?;
    let stored = records::store(&context, entered, incoming).await?;
    Ok(if single { records::placed_one(&context, &stored)? } else { records::placed_all(&context, &stored) })
}

/// The largest record that a stream takes; what all take if it is not there yet.
async fn record_limit(context: &Context<'_>, stream: &str) -> usize {
    let usual = context.settings().record_bytes_max;
    let Ok(name) = TopicName::new(stream) else { return usual };
    context.place().find(&name).await.map_or(usual, |found| found.stream.record_limit(context.settings()))
}

fn check_sizes(records: &Records, limit: usize, single: bool) -> Result<(), DoorError> {
    let Some(index) = (0..records.len()).find(|index| records.size(*index) > limit) else { return Ok(()) };
    let place = Place { member: (!single).then_some(index + 1) };
    let must = format!("have length less than or equal to {limit}");
    Err(DoorError::constraint(Some("java.nio.HeapByteBuffer"), &place.field("data"), &must))
}

fn refused(context: &Context<'_>, stream: &str, error: &Error) -> DoorError {
    rejected(context.metrics, 1, error);
    match error.kind() {
        ErrorKind::NotFound if error.reason() != Some(Reason::OwnTopic) => DoorError::from(context.words.no_stream(stream))
            .with_hint(&format!(
                " No pattern of the pipeline matches it, so its first record does not create it: create it with POST \
                 /streams/{stream} or 'pinlake topics create {stream}'"
            )),
        _ => DoorError::of(error),
    }
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
