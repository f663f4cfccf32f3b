//! SubscribeToShard: a shard's records as events, as they come. The answer holds no more than the page that its client is taking.

use std::time::Duration;

use futures::{StreamExt, stream};
use pinlake_core::{ErrorKind, Offset, TopicId, TopicName};
use tokio::time::{Instant, sleep_until};

use super::consumers;
use super::records::{Reading, children, position, reading, record_shown};
use super::{Context, refuse_members};
use crate::aws::Events;
use crate::aws::error::AwsError;
use crate::aws::value::Value;
use crate::kinesis::get::{self, Page, PageLimit};
use crate::kinesis::names::{self, Resource, shard_number};
use crate::kinesis::sequence::{Mark, SequenceNumber};
use crate::kinesis::streams::changes::Place;
use crate::kinesis::streams::state::{Consumer, Status, Stream};
use crate::kinesis::subscriptions::{End, Key, Turn};
use crate::limits::Permit;

/// How long a subscription lasts.
const LASTS: Duration = Duration::from_secs(300);
/// How long it says nothing where nothing comes.
const QUIET: Duration = Duration::from_secs(5);
/// Records of one event.
const EVENT_RECORDS_MAX: usize = 1000;
/// Bytes of their data and keys; one record at least.
const EVENT_BYTES_MAX: usize = 1 << 20;

pub(super) async fn subscribe(context: &Context<'_>, input: &Value) -> Result<Events, AwsError> {
    refuse_members(input, &["DryRun"])?;
    let consumer = names::resource(input.text("ConsumerARN").unwrap_or_default())?;
    let (place, stream) = (context.place(), context.stream(&consumer)?);
    let found = place.find(&stream).await?;
    let Consumer { name, created_ms, .. } = registered(&place, &found.stream, &consumer)?;
    let (name, registered_ms) = (name.clone(), *created_ms);
    let id = input.text("ShardId").unwrap_or_default();
    let number = shard_number(id).ok_or_else(|| context.words.could_not_find_shard(id, stream.as_str()))?;
    let at = reading(&place, stream.as_str(), number).await?;
    let start = input.get("StartingPosition").unwrap_or(&Value::Null);
    let kind = start.text("Type").unwrap_or_default();
    let position = position(context, &at, kind, start.text("SequenceNumber"), start.time("Timestamp")).await?;
    let permit = context.doors.shared().enter().map_err(AwsError::refused)?;
    let (topic, now) = (at.found.topic.id, Instant::now());
    let key = Key { topic, consumer: name.clone(), registered_ms, shard: number };
    let in_use = context.words.subscribed(stream.as_str(), number, &name);
    let turn = place.streams.subscriptions().take(key, now).map_err(|_| in_use.clone())?;
    let subscription = Subscription {
        place,
        stream,
        topic,
        consumer,
        number,
        position,
        until: now + LASTS,
        speaks_at: now,
        turn,
        in_use,
        is_over: false,
        _permit: permit,
    };
    let events = stream::unfold(subscription, |mut subscription| async move {
        let event = subscription.next().await?;
        Some((event, subscription))
    });
    Ok(Events { name: "SubscribeToShardEvent", events: events.boxed() })
}

/// A consumer that may subscribe.
fn registered<'a>(place: &Place, stream: &'a Stream, of: &Resource) -> Result<&'a Consumer, AwsError> {
    let consumer = &stream.consumers[consumers::position(&place.words, stream, of, place.now())?];
    match consumer.status(place.now()) {
        Status::Active | Status::Updating => Ok(consumer),
        status => Err(place.words.consumer_not_active(&consumer.name, stream.name.as_str(), status)),
    }
}

/// A subscription under way.
struct Subscription {
    place: Place,
    stream: TopicName,
    topic: TopicId,
    consumer: Resource,
    number: u32,
    position: Offset,
    until: Instant,
    /// When it says something, whether something came or not.
    speaks_at: Instant,
    turn: Turn,
    in_use: AwsError,
    is_over: bool,
    /// A subscription is a request under way.
    _permit: Permit,
}

impl Subscription {
    /// The next event, once there is one; `None` at the end.
    async fn next(&mut self) -> Option<Result<Value, AwsError>> {
        while !self.is_over && Instant::now() < self.until {
            let mut changes = self.place.streams.changes();
            let mut turn = self.turn.clone();
            let event = tokio::select! {
                biased;
                end = turn.ended() => match end {
                    End::TakenOver => Err(self.in_use.clone()),
                    End::Closed => return None,
                },
                // Its shard may be closed by now, or its stream be gone.
                _ = changes.changed() => continue,
                event = self.look() => match event {
                    Ok(Some(event)) => Ok(event),
                    Ok(None) => continue,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = &event {
                self.is_over = true;
                if error.status.is_server_error() {
                    tracing::warn!(stream = %self.stream, "a subscription ends: {}", error.message.as_deref().unwrap_or_default());
                }
            }
            return Some(event);
        }
        None
    }

    /// Waits for records or the time to speak; `None` if neither is there yet. May be dropped at any time: what it has read is read
    /// again.
    async fn look(&mut self) -> Result<Option<Value>, AwsError> {
        let words = &self.place.words;
        let at = reading(&self.place, self.stream.as_str(), self.number).await?;
        if at.found.topic.id != self.topic {
            return Err(words.no_stream(self.stream.as_str()));
        }
        registered(&self.place, &at.found.stream, &self.consumer)?;
        let wake_at = self.speaks_at.min(self.until);
        let is_closed = at.shard.closed.is_some();
        let wait = if is_closed { Duration::ZERO } else { wake_at.duration_since(Instant::now()) };
        let limit = PageLimit { records: EVENT_RECORDS_MAX, bytes: EVENT_BYTES_MAX, wait };
        let log = self.place.log();
        let page = get::page(&**log, &self.stream.partition(self.number), self.position, limit, self.place.now()).await;
        let page = page.map_err(|error| match error.kind() {
            // Deleted meanwhile.
            ErrorKind::NotFound => words.no_shard(self.number, self.stream.as_str()),
            _ => error.into(),
        })?;
        if page.records.is_empty() && is_closed && page.at_end {
            self.is_over = true;
            return Ok(Some(last_event(&at)));
        }
        if page.records.is_empty() && Instant::now() < self.speaks_at {
            let has_moved = page.next > self.position;
            self.position = page.next;
            if !has_moved {
                sleep_until(wake_at).await;
            }
            return Ok(None);
        }
        self.position = page.next;
        self.speaks_at = Instant::now() + QUIET;
        Ok(Some(self.event(&at, page)))
    }

    fn event(&self, at: &Reading, page: Page) -> Value {
        let Page { records, next, behind_ms, .. } = page;
        let (created, arrival) = (at.shard.second, self.place.now());
        // Whoever begins at it or after it has had all before it, and nothing else.
        let reached = SequenceNumber { shard: self.number, created, offset: next, arrival, mark: Mark::Before };
        Value::map([
            ("Records", Value::List(records.into_iter().map(|record| record_shown(at, record)).collect())),
            ("ContinuationSequenceNumber", reached.to_text().into()),
            ("MillisBehindLatest", behind_ms.into()),
        ])
    }
}

/// The event at a closed shard's end. Clients know it by the number that it has not, and take no records of it.
fn last_event(at: &Reading) -> Value {
    Value::map([("Records", Value::List(Vec::new())), ("MillisBehindLatest", 0_i64.into()), ("ChildShards", children(at).into())])
}
