//! Shards: listing them, splitting, merging, and having another number of them.

use pinlake_core::{Offset, Timestamp};
use serde::{Deserialize, Serialize};

use super::Context;
use super::streams::{HOUR_MS, retention_hours, unusable_token};
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::iterator::Purpose;
use crate::kinesis::layout::Shard;
use crate::kinesis::names::{shard_number, stream_arn};
use crate::kinesis::sequence::{Mark, SequenceNumber, shard_id};
use crate::kinesis::streams::changes::Found;
use crate::kinesis::streams::state::{Mode, Status};
use crate::kinesis::wording::{Asked, Words, argument};

/// Shards of one ListShards at the most.
const LIST_MAX: usize = 1000;

/// The numbers of the shards that can be listed: none while the stream is being created, and no shard whose records are all too old.
pub(crate) fn listed(found: &Found, now: Timestamp) -> Vec<u32> {
    if found.stream.status(now) == Status::Creating {
        return Vec::new();
    }
    let horizon = horizon(found, now);
    let shards = found.stream.shards.shards().iter().zip(0..);
    let kept = shards.filter(|(shard, _)| shard.closed.is_none_or(|closed| closed.at_ms >= horizon)).map(|(_, number)| number);
    kept.chain(found.extra()).collect()
}

/// The oldest time that a stream may have records of.
fn horizon(found: &Found, now: Timestamp) -> i64 {
    let kept_ms = i64::try_from(retention_hours(found).saturating_mul(HOUR_MS)).unwrap_or(i64::MAX);
    now.0.saturating_sub(kept_ms).max(found.stream.created_ms)
}

/// How many open shards there are; none while the stream is being created.
pub(crate) fn open_count(found: &Found, now: Timestamp) -> u32 {
    if found.stream.status(now) == Status::Creating {
        return 0;
    }
    found.stream.shards.open_count() + (found.extra().end - found.extra().start)
}

/// A shard by its number, if there is one.
pub(crate) fn shard(found: &Found, number: u32) -> Option<Shard> {
    let known = found.stream.shards.shards().get(number as usize).cloned();
    // A partition that somebody added at another door: it is read as a shard, and no hash leads to it.
    let (start, end) = (u128::MAX, u128::MAX);
    let extra = Shard { parent: None, adjacent: None, start, end, created_ms: 0, second: 0, closed: None };
    known.or_else(|| found.extra().contains(&number).then_some(extra))
}

/// A shard as AWS shows it.
pub(crate) fn shown(found: &Found, number: u32) -> Value {
    let Some(shard) = shard(found, number) else { return Value::Null };
    let place = |offset: i64, arrival_ms: i64| {
        let (created, offset, arrival) = (shard.second, Offset(offset), Timestamp(arrival_ms));
        SequenceNumber { shard: number, created, offset, arrival, mark: Mark::Record }.to_text()
    };
    Value::map([
        ("ShardId", shard_id(number).into()),
        ("ParentShardId", shard.parent.map(shard_id).into()),
        ("AdjacentParentShardId", shard.adjacent.map(shard_id).into()),
        ("HashKeyRange", hash_range(&shard)),
        (
            "SequenceNumberRange",
            Value::map([
                ("StartingSequenceNumber", place(0, shard.second.saturating_mul(1000)).into()),
                ("EndingSequenceNumber", shard.closed.map(|closed| place(closed.last, closed.at_ms)).into()),
            ]),
        ),
    ])
}

pub(crate) fn hash_range(shard: &Shard) -> Value {
    Value::map([("StartingHashKey", shard.start.to_string().into()), ("EndingHashKey", shard.end.to_string().into())])
}

/// Where a listing goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Listing {
    stream: String,
    /// The stream's creation: another stream of that name has another list.
    created_ms: i64,
    /// The first shard that is wanted.
    from: u32,
    filter: Filter,
}

/// Which shards are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Filter {
    All,
    /// Open then, in milliseconds.
    OpenAt(i64),
    /// Open then or later.
    OpenFrom(i64),
    Open,
}

pub(super) async fn list(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let (listing, found) = match input.text("NextToken") {
        Some(token) => going_on(context, input, token).await?,
        None => beginning(context, input).await?,
    };
    let now = context.now();
    let most = input.int("MaxResults").and_then(|most| usize::try_from(most).ok()).unwrap_or(LIST_MAX).min(LIST_MAX);
    let wanted =
        |number: &u32| *number >= listing.from && shard(&found, *number).is_some_and(|shard| listing.filter.takes(&shard));
    let mut numbers = self::listed(&found, now).into_iter().filter(wanted);
    let page: Vec<u32> = numbers.by_ref().take(most).collect();
    let next = match numbers.next() {
        Some(from) => {
            let content = serde_json::to_vec(&Listing { from, ..listing }).unwrap_or_default();
            Some(context.seal().await?.token(Purpose::ListShards, &content, now)?)
        }
        None => None,
    };
    let page: Vec<Value> = page.into_iter().map(|number| shown(&found, number)).collect();
    Ok(Value::map([("Shards", page.into()), ("NextToken", next.into())]))
}

async fn going_on(context: &Context<'_>, input: &Value, token: &str) -> Result<(Listing, Found), AwsError> {
    for member in ["StreamName", "StreamARN", "ShardFilter", "ExclusiveStartShardId", "StreamCreationTimestamp"] {
        if input.get(member).is_some() {
            return Err(argument(format!("NextToken and {member} cannot be provided together.")));
        }
    }
    let content = context.seal().await?.content(Purpose::ListShards, token, context.now());
    let listing: Option<Listing> = serde_json::from_slice(&content.map_err(unusable_token)?).ok();
    let listing = listing.ok_or_else(|| argument("Invalid NextToken."))?;
    let found = context.find(&Value::map([("StreamName", listing.stream.as_str().into())])).await?;
    if found.stream.created_ms != listing.created_ms {
        return Err(context.words.no_stream(&listing.stream));
    }
    Ok((listing, found))
}

async fn beginning(context: &Context<'_>, input: &Value) -> Result<(Listing, Found), AwsError> {
    if input.get("StreamName").is_none() && input.get("StreamARN").is_none() {
        return Err(argument("Either NextToken or StreamName should be provided."));
    }
    let found = context.find(input).await?;
    let name = found.topic.name.to_string();
    let created = input.time("StreamCreationTimestamp");
    // JSON has it with milliseconds, some clients with seconds alone.
    if created.is_some_and(|created| created.0.div_euclid(1000) != found.stream.created_ms.div_euclid(1000)) {
        return Err(context.words.no_stream(&name));
    }
    let mut from = match input.text("ExclusiveStartShardId") {
        Some(id) => behind(context, id, &name)?,
        None => 0,
    };
    let mut filter = Filter::All;
    if let Some(given) = input.get("ShardFilter") {
        let horizon = horizon(&found, context.now());
        let kind = given.text("Type").unwrap_or_default();
        let time = || {
            let time = given.time("Timestamp").ok_or_else(|| argument(format!("ShardFilter {kind} takes a Timestamp.")))?;
            Ok::<_, AwsError>(time.0.max(horizon))
        };
        filter = match kind {
            "AFTER_SHARD_ID" => {
                let id = given.text("ShardId").ok_or_else(|| argument(format!("ShardFilter {kind} takes a ShardId.")))?;
                from = from.max(behind(context, id, &name)?);
                Filter::All
            }
            "AT_TRIM_HORIZON" => Filter::OpenAt(horizon),
            "AT_LATEST" => Filter::Open,
            "AT_TIMESTAMP" => Filter::OpenAt(time()?),
            "FROM_TIMESTAMP" => Filter::OpenFrom(time()?),
            _ => Filter::All,
        };
    }
    Ok((Listing { stream: name, created_ms: found.stream.created_ms, from, filter }, found))
}

/// The number behind a shard's.
fn behind(context: &Context<'_>, id: &str, stream: &str) -> Result<u32, AwsError> {
    let number = shard_number(id).ok_or_else(|| context.words.could_not_find_shard(id, stream))?;
    Ok(number + 1)
}

impl Filter {
    fn takes(self, shard: &Shard) -> bool {
        let ended = |at: i64| shard.closed.is_some_and(|closed| closed.at_ms < at);
        match self {
            Self::All => true,
            Self::Open => shard.closed.is_none(),
            Self::OpenFrom(at) => !ended(at),
            Self::OpenAt(at) => shard.created_ms <= at && !ended(at),
        }
    }
}

pub(super) async fn split(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let (name, id) = (context.name(input)?, input.text("ShardToSplit").unwrap_or_default());
    let shard = shard_number(id).ok_or_else(|| context.words.could_not_find_shard(id, name.as_str()))?;
    let from = input.text("NewStartingHashKey").unwrap_or_default().to_owned();
    let (all, most) = (open_of_all(context).await?, context.settings().shards_max);
    let done = context.place().reshard(name.clone(), context.settings().transition, move |place, found, now| {
        check_mode(found)?;
        // A key past the last hash is in no shard.
        let key = from.parse().unwrap_or(u128::MAX);
        let layout = found.stream.shards.split(shard, key, now.0);
        let layout = layout
            .map_err(|refusal| place.words.resharding(refusal, found.topic.name.as_str(), &Asked::Split { shard, from }))?;
        check_limit(&place.words, all, found.stream.shards.open_count(), layout.open_count(), most)?;
        Ok((layout, ()))
    });
    done.await.map(|()| Value::Null)
}

pub(super) async fn merge(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let name = context.name(input)?;
    let number = |member| {
        let id = input.text(member).unwrap_or_default();
        shard_number(id).ok_or_else(|| context.words.could_not_find_shard(id, name.as_str()))
    };
    let (shard, adjacent) = (number("ShardToMerge")?, number("AdjacentShardToMerge")?);
    let done = context.place().reshard(name.clone(), context.settings().transition, move |place, found, now| {
        check_mode(found)?;
        let layout = found.stream.shards.merge(shard, adjacent, now.0);
        let asked = Asked::Merge { shard, adjacent };
        Ok((layout.map_err(|refusal| place.words.resharding(refusal, found.topic.name.as_str(), &asked))?, ()))
    });
    done.await.map(|()| Value::Null)
}

pub(super) async fn update_count(context: &Context<'_>, input: &Value) -> Result<Value, AwsError> {
    let name = context.name(input)?;
    // What does not fit is over every limit.
    let target = u32::try_from(input.int("TargetShardCount").unwrap_or_default()).unwrap_or(u32::MAX);
    let (all, most) = (open_of_all(context).await?, context.settings().shards_max);
    let done = context.place().reshard(name.clone(), context.settings().transition, move |place, found, now| {
        check_mode(found)?;
        let open = found.stream.shards.open_count();
        check_target(open, target, most)?;
        check_limit(&place.words, all, open, target, most)?;
        let layout = found.stream.shards.update(target, now.0);
        let layout = layout.map_err(|refusal| place.words.resharding(refusal, found.topic.name.as_str(), &Asked::Update))?;
        Ok((layout, open))
    });
    let open = done.await?;
    Ok(Value::map([
        ("StreamName", name.as_str().into()),
        ("CurrentShardCount", open.into()),
        ("TargetShardCount", target.into()),
        ("StreamARN", stream_arn(&context.words, &name).into()),
    ]))
}

/// How many shards are open in all streams.
async fn open_of_all(context: &Context<'_>) -> Result<u64, AwsError> {
    let all = context.place().all().await?;
    Ok(all.iter().map(|found| u64::from(found.stream.shards.open_count())).sum())
}

/// AWS's limits on how far one call goes.
fn check_target(open: u32, target: u32, most: u32) -> Result<(), AwsError> {
    let refused = |text: String| {
        let counts = format!("Current open shard count: {open}, Target shard count: {target}");
        Err(AwsError::new("LimitExceededException", format!("{text}. {counts}")))
    };
    if target > most {
        return refused(format!("Target shard count or number of open shards cannot be greater than {most}"));
    }
    if u64::from(target) > u64::from(open) * 2 {
        return refused("UpdateShardCount cannot scale up over double your current open shard count".to_owned());
    }
    if u64::from(target) * 2 < u64::from(open) {
        return refused("UpdateShardCount cannot scale down below half your current open shard count".to_owned());
    }
    Ok(())
}

/// Refuses a stream whose shards are its own business.
fn check_mode(found: &Found) -> Result<(), AwsError> {
    if found.stream.mode == Mode::Provisioned {
        return Ok(());
    }
    let stream = &found.topic.name;
    Err(AwsError::new(
        "ValidationException",
        format!("Request is invalid. Stream {stream} is in ON_DEMAND mode: set the mode PROVISIONED with UpdateStreamMode first"),
    ))
}

/// Refuses more open shards than all streams together may have; `all` are open now, `open` of them this stream's.
fn check_limit(words: &Words, all: u64, open: u32, after: u32, most: u32) -> Result<(), AwsError> {
    let more = u64::from(after.saturating_sub(open));
    if more > 0 && all + more > u64::from(most) { Err(words.shard_limit(all, u64::from(most), more)) } else { Ok(()) }
}
