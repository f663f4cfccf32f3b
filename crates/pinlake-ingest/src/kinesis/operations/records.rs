//! Records: putting them, and reading a shard by iterators.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Error, ErrorKind, Offset, Timestamp, TopicName};

use super::shards::{self, hash_range};
use super::{Context, refuse_members};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::doors::{count, rejected};
use crate::kinesis::get::{self, Got, Page, PageLimit};
use crate::kinesis::iterator::{ITERATOR_TIME, ShardIterator, Unusable};
use crate::kinesis::layout::Shard;
use crate::kinesis::names::{resource, shard_number};
use crate::kinesis::plain::Plain;
use crate::kinesis::put::{self, Entered, IfMissing, Incoming, Stored};
use crate::kinesis::sequence::{Mark, SequenceNumber, push_shard_id, shard_id};
use crate::kinesis::streams::Desk;
use crate::kinesis::streams::changes::{Found, Place};
use crate::kinesis::streams::state::{Status, Stream};
use crate::kinesis::wording::{RATE_EXCEEDED, argument, constraint, expired_iterator};

/// Bytes of data and keys of one PutRecords.
const PUT_BYTES_MAX: usize = 10 << 20;
/// The same of one GetRecords.
const GET_BYTES_MAX: usize = 10 << 20;
/// Bytes of a record's place in an answer, some more.
const PLACE_LEN: usize = 128;
/// Records of one GetRecords.
const GET_RECORDS_MAX: usize = 10_000;

pub(super) async fn put_all(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    refuse_members(input, &["DryRun"])?;
    let entered = enter(context, &context.name(input)?).await?;
    let incoming = incoming(input.items("Records"), entered.stream.record_limit(context.settings()))?;
    let stored = store(context, entered, incoming).await?;
    Ok(placed_all(context, &stored))
}

/// The answer of PutRecords.
pub(crate) fn placed_all(context: &Context<'_>, stored: &Stored) -> Value {
    let failed = stored.placed.iter().filter(|placed| placed.offset.is_err()).count() as i64;
    let refused = |code: &str, message: &str| Value::map([("ErrorCode", code.into()), ("ErrorMessage", message.into())]);
    let place = |(index, placed)| match stored.number(placed) {
        Ok(number) => Value::map([("SequenceNumber", number.to_text().into()), ("ShardId", shard_id(number.shard).into())]),
        Err(_) if stored.is_throttled(index) => {
            let exceeded = context.words.rate_exceeded(placed.partition, stored.stream.name.as_str());
            refused(&exceeded.kind, &exceeded.message.unwrap_or_default())
        }
        Err(error) => refused(record_code(&error), error.message()),
    };
    Value::map([
        ("FailedRecordCount", failed.into()),
        ("Records", Value::List((0..).zip(&stored.placed).map(place).collect())),
        ("EncryptionType", stored.stream.encryption().into()),
    ])
}

pub(super) async fn put_one(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    refuse_members(input, &["DryRun"])?;
    let entered = enter(context, &context.name(input)?).await?;
    if let Some(number) = input.text("SequenceNumberForOrdering") {
        check_ordering(context, number, &entered.stream)?;
    }
    let limit = entered.stream.record_limit(context.settings());
    let mut incoming = Incoming::default();
    add(&mut incoming, input, limit, || "data".to_owned())?;
    placed_one(context, &store(context, entered, incoming).await?)
}

/// The answer of PutRecord.
pub(crate) fn placed_one(context: &Context<'_>, stored: &Stored) -> Result<Value, AwsError> {
    let placed = &stored.placed[0];
    if stored.is_throttled(0) {
        return Err(context.words.rate_exceeded(placed.partition, stored.stream.name.as_str()));
    }
    let number = stored.number(placed)?;
    Ok(Value::map([
        ("SequenceNumber", number.to_text().into()),
        ("ShardId", shard_id(number.shard).into()),
        ("EncryptionType", stored.stream.encryption().into()),
    ]))
}

/// Goes to the stream of a put, which must take records.
async fn enter(context: &Context<'_>, name: &TopicName) -> Result<Entered, AwsError> {
    let place = context.place();
    let entered = put::enter(&place, name.as_str(), IfMissing::Refuse).await;
    let entered = entered.map_err(|error| place.told(name, error))?;
    check_takes(context, &entered.stream)?;
    Ok(entered)
}

/// Refuses a stream that is not there yet, or no more.
pub(crate) fn check_takes(context: &Context<'_>, stream: &Stream) -> Result<(), AwsError> {
    match stream.status(context.now()) {
        Status::Active | Status::Updating => Ok(()),
        Status::Creating | Status::Deleting => Err(context.words.no_stream(stream.name.as_str())),
    }
}

/// A number is ordered behind if it is one at all: a shard's numbers grow, and a child's are greater than its parents'.
fn check_ordering(context: &Context<'_>, number: &str, stream: &Stream) -> Result<(), AwsError> {
    match SequenceNumber::parse(number) {
        Some(_) => Ok(()),
        None => Err(context.words.bad_ordering(number, stream.name.as_str())),
    }
}

/// The records of a PutRecords; all or none.
fn incoming(entries: &[Value], limit: usize) -> Result<Incoming, AwsError> {
    let size = |entry: &Value| entry.blob("Data").map_or(0, |data| data.len()) + entry.text("PartitionKey").map_or(0, str::len);
    let bytes: usize = entries.iter().map(size).sum();
    check_total(bytes)?;
    let mut incoming = Incoming::default();
    incoming.records.reserve(entries.len(), bytes);
    for (entry, member) in entries.iter().zip(1..) {
        add(&mut incoming, entry, limit, || data_of(member))?;
    }
    Ok(incoming)
}

/// Adds a record. Its key routes it, or the hash that the client gives instead.
fn add(incoming: &mut Incoming, entry: &Value, limit: usize, field: impl Fn() -> String) -> Result<(), AwsError> {
    let (data, key) = (entry.blob("Data").map_or(&[][..], |data| data), entry.text("PartitionKey").unwrap_or_default());
    if data.len() + key.len() > limit {
        return Err(too_large(data.len(), &field(), limit));
    }
    if let Some(given) = entry.text("ExplicitHashKey") {
        let hash = given.parse().map_err(|_| {
            argument(format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {given}"
            ))
        })?;
        incoming.hashes.push((incoming.records.len(), hash));
    }
    let (key, data) = (incoming.records.copy(key.as_bytes()), incoming.records.copy(data));
    incoming.records.push(Some(key), Some(data), None);
    Ok(())
}

fn check_total(bytes: usize) -> Result<(), AwsError> {
    if bytes > PUT_BYTES_MAX { Err(argument("Records size exceeds 10 MB limit")) } else { Ok(()) }
}

/// Where the data of a record stands; counted from 1.
fn data_of(member: usize) -> String {
    format!("records.{member}.member.data")
}

fn too_large(data: usize, field: &str, limit: usize) -> AwsError {
    let value = format!("java.nio.HeapByteBuffer[pos=0 lim={data} cap={data}]");
    constraint(Some(&value), field, &format!("have length less than or equal to {limit}"))
}

/// A PutRecord or PutRecords whose records are at hand; its answer as JSON.
pub(super) async fn put_plain(context: &Context<'_>, put: Plain) -> Result<Vec<u8>, AwsError> {
    let Plain { stream, incoming, is_single } = put;
    let entered = enter(context, &context.named(&stream)?).await?;
    let (limit, records) = (entered.stream.record_limit(context.settings()), &incoming.records);
    if !is_single {
        check_total(records.size_all())?;
    }
    if let Some(index) = (0..records.len()).find(|index| records.size(*index) > limit) {
        let field = if is_single { "data".to_owned() } else { data_of(index + 1) };
        return Err(too_large(records.get(index).1.map_or(0, <[u8]>::len), &field, limit));
    }
    let stored = store(context, entered, incoming).await?;
    if is_single { Ok(placed_one(context, &stored)?.to_json()) } else { Ok(placed_json(context, &stored)) }
}

/// The same as [`placed_all`], as JSON.
fn placed_json(context: &Context<'_>, stored: &Stored) -> Vec<u8> {
    let mut out = String::with_capacity(100 + stored.placed.len() * PLACE_LEN);
    out.push_str("{\"FailedRecordCount\":0,\"Records\":[");
    for placed in &stored.placed {
        let Ok(number) = stored.number(placed) else { return placed_all(context, stored).to_json() };
        out.push_str("{\"SequenceNumber\":\"");
        number.push_to(&mut out);
        out.push_str("\",\"ShardId\":\"");
        push_shard_id(&mut out, number.shard);
        out.push_str("\"},");
    }
    out.pop();
    out.push_str("],\"EncryptionType\":\"");
    out.push_str(stored.stream.encryption());
    out.push_str("\"}");
    out.into_bytes()
}

/// Has the records of a put appended, and counts what became of each.
pub(crate) async fn store(context: &Context<'_>, entered: Entered, incoming: Incoming) -> Result<Stored, AwsError> {
    let (producer, records) = (&context.doors.shared().producer, incoming.records.len());
    let desk = limited(context, &entered.stream.name);
    let stored = entered.store(producer, incoming, context.now(), desk.as_ref().map(|desk| &desk.meters)).await;
    let stored = stored.inspect_err(|error| rejected(context.metrics, records, error))?;
    count(context.metrics, &stored.placed, |index| stored.records.size(index));
    Ok(stored)
}

/// Where a stream's rates are counted, if shards take and give no more than AWS's.
fn limited(context: &Context<'_>, stream: &TopicName) -> Option<Arc<Desk>> {
    context.settings().shard_limits.then(|| context.doors.shared().streams.desk(stream))
}

/// The code of one record of a PutRecords that could not be stored.
fn record_code(error: &Error) -> &'static str {
    if error.kind() == ErrorKind::Retry { RATE_EXCEEDED } else { "InternalFailure" }
}

/// A shard of a stream, as a reader finds it.
pub(crate) struct Reading {
    pub(crate) found: Found,
    pub(crate) number: u32,
    pub(crate) shard: Shard,
}

/// Finds a shard. AWS says the same of a shard that is not there, whether its stream is or not.
pub(crate) async fn reading(place: &Place, stream: &str, number: u32) -> Result<Reading, AwsError> {
    let none = || place.words.no_shard(number, stream);
    let name = TopicName::new(stream).map_err(|_| none())?;
    let found = match place.find(&name).await {
        Err(error) if error.kind == "ResourceNotFoundException" => return Err(none()),
        found => found?,
    };
    if found.stream.status(place.now()) == Status::Creating {
        return Err(none());
    }
    let shard = shards::shard(&found, number).ok_or_else(none)?;
    Ok(Reading { found, number, shard })
}

pub(super) async fn shard_iterator(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    refuse_members(input, &["DryRun"])?;
    let (stream, id) = (context.name(input)?, input.text("ShardId").unwrap_or_default());
    let number = shard_number(id).ok_or_else(|| context.words.could_not_find_shard(id, stream.as_str()))?;
    let reading = reading(&context.place(), stream.as_str(), number).await?;
    let kind = input.text("ShardIteratorType").unwrap_or_default();
    let (start, time) = (input.text("StartingSequenceNumber"), input.time("Timestamp"));
    let position = position(context, &reading, kind, start, time).await?;
    let text = iterator(context, &reading.found, number, position).await?;
    Ok(Value::map([("ShardIterator", text.into())]))
}

async fn iterator(context: &Context<'_>, found: &Found, shard: u32, position: Offset) -> Result<String, AwsError> {
    let iterator = ShardIterator { stream: found.topic.name.to_string(), shard, position };
    Ok(iterator.encode(context.seal().await?, context.now())?)
}

/// Where a reader begins who asks for `kind`, such as `TRIM_HORIZON`, and brings what that takes.
pub(crate) async fn position(
    context: &Context<'_>,
    at: &Reading,
    kind: &str,
    number: Option<&str>,
    time: Option<Timestamp>,
) -> Result<Offset, AwsError> {
    let wants_number = matches!(kind, "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER");
    if wants_number != number.is_some() {
        let how = if wants_number { "no" } else { "also a" };
        return Err(argument(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or \
             LATEST and no StartingSequenceNumber. Request specified {kind} and {how} StartingSequenceNumber."
        )));
    }
    if let Some(number) = number {
        let SequenceNumber { offset, mark, .. } = check_start(context, number, at)?;
        let is_passed = kind == "AFTER_SEQUENCE_NUMBER" && mark == Mark::Record;
        return Ok(if is_passed { offset.plus(1) } else { offset });
    }
    let log = context.place().log().clone();
    let of = at.found.topic.name.partition(at.number);
    let position = match kind {
        "LATEST" => log.stable_end(&of).await,
        "AT_TIMESTAMP" => get::position_at(&*log, &of, check_time(time, context.now())?).await,
        _ => log.range(&of).await.map(|range| range.start),
    };
    Ok(position?)
}

/// A sequence number of this shard.
fn check_start(context: &Context<'_>, number: &str, at: &Reading) -> Result<SequenceNumber, AwsError> {
    let (words, stream) = (&context.words, at.found.topic.name.as_str());
    let parsed = SequenceNumber::parse(number).filter(|parsed| parsed.offset.0 < i64::MAX);
    let parsed = parsed.ok_or_else(|| words.bad_start(number, at.number, stream, ""))?;
    if parsed.shard != at.number {
        return Err(argument(format!(
            "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a shard with {}",
            shard_id(parsed.shard),
            shard_id(at.number)
        )));
    }
    if parsed.created != at.shard.second {
        return Err(words.bad_start(number, at.number, stream, " because it did not come from this stream"));
    }
    Ok(parsed)
}

/// The time of an iterator AT_TIMESTAMP, which must not be in the future.
fn check_time(time: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, AwsError> {
    let missing = || argument("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current value: null.");
    let time = time.ok_or_else(missing)?;
    if time > now {
        return Err(argument(format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {time}, \
             currentTimestampInMillis: {now}"
        )));
    }
    Ok(time)
}

pub(super) async fn get(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    refuse_members(input, &["DryRun"])?;
    let limit = input.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(GET_RECORDS_MAX);
    let from = decode(context, input).await?;
    let at = reading(&context.place(), &from.stream, from.shard).await?;
    let desk = limited(context, &at.found.topic.name);
    if desk.as_ref().is_some_and(|desk| !desk.meters.answers_read(at.number, context.now())) {
        return Err(context.words.rate_exceeded(at.number, &from.stream));
    }
    let log = context.place().log().clone();
    let limit = PageLimit { records: limit.min(GET_RECORDS_MAX), bytes: GET_BYTES_MAX, wait: Duration::ZERO };
    let of = at.found.topic.name.partition(at.number);
    let page = get::page(&*log, &of, from.position, limit, context.now()).await;
    let page = page.map_err(|error| match error.kind() {
        // Deleted meanwhile.
        ErrorKind::NotFound => context.words.no_shard(at.number, &from.stream),
        _ => error.into(),
    })?;
    if let Some(desk) = desk {
        desk.meters.answered(at.number, page.records.iter().map(|record| record.key.len() + record.data.len()).sum());
    }
    let ended = at.shard.closed.is_some() && page.at_end;
    let next = if ended { None } else { Some(iterator(context, &at.found, at.number, page.next).await?) };
    let Page { records, behind_ms, .. } = page;
    Ok(Value::map([
        ("Records", Value::List(records.into_iter().map(|record| record_shown(&at, record)).collect())),
        ("NextShardIterator", next.into()),
        ("MillisBehindLatest", behind_ms.into()),
        ("ChildShards", ended.then(|| children(&at)).into()),
    ]))
}

async fn decode(context: &Context<'_>, input: &Value) -> Result<ShardIterator, AwsError> {
    let (text, now) = (input.text("ShardIterator").unwrap_or_default(), context.now());
    let iterator = ShardIterator::decode(context.seal().await?, text, now).map_err(|why| match why {
        Unusable::Forged => argument("Invalid ShardIterator."),
        Unusable::Expired { issued } => expired_iterator(issued, now, ITERATOR_TIME.as_millis()),
    })?;
    if let Some(arn) = input.text("StreamARN")
        && resource(arn)?.stream != iterator.stream
    {
        return Err(argument(format!("StreamARN {arn} is not the stream of ShardIterator.")));
    }
    context.check_may(Some(&iterator.stream))?;
    Ok(iterator)
}

/// A record as AWS shows it.
pub(crate) fn record_shown(at: &Reading, record: Got) -> Value {
    let Got { offset, time, key, data } = record;
    let number = SequenceNumber { shard: at.number, created: at.shard.second, offset, arrival: time, mark: Mark::Record };
    Value::map([
        ("SequenceNumber", number.to_text().into()),
        ("ApproximateArrivalTimestamp", time.max(Timestamp(0)).into()),
        ("Data", data.into()),
        ("PartitionKey", key.into()),
        ("EncryptionType", at.found.stream.encryption().into()),
    ])
}

/// Where to read on after a closed shard.
pub(crate) fn children(at: &Reading) -> Vec<Value> {
    let shown = |(number, shard): (u32, &Shard)| {
        let parents = [shard.parent, shard.adjacent].into_iter().flatten().map(shard_id);
        Value::map([
            ("ShardId", shard_id(number).into()),
            ("ParentShards", Value::list(parents)),
            ("HashKeyRange", hash_range(shard)),
        ])
    };
    at.found.stream.shards.children(at.number).map(shown).collect()
}
