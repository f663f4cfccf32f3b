//! Changes of streams. Each is finished once it has begun, also if its caller goes away; what dies with the process in the middle is finished by
//! the next look. It must not know what a call looks like.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Error, ErrorKind, Log, Result, Timestamp, TopicDescription, TopicId, TopicName, TopicSpec};
use tokio::time::{Instant, sleep};

use super::Streams;
use super::state::{Change, Changing, Consumer, Mode, Status, Stream};
use crate::aws::error::AwsError;
use crate::doors::Doors;
use crate::kinesis::layout::Layout;
use crate::kinesis::wording::Words;
use crate::produce::Producer;

/// The first and the longest pause between two tries to delete a topic.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long all streams together may take to go, and the pause between two tries.
const RESET_TIME: Duration = Duration::from_secs(30);
const RESET_PAUSE: Duration = Duration::from_millis(50);

/// A stream and its topic, as they were when somebody looked.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) stream: Arc<Stream>,
    pub(crate) topic: TopicDescription,
}

impl Found {
    /// The partitions behind the stream's shards, which somebody added at another door.
    pub(crate) fn extra(&self) -> std::ops::Range<u32> {
        self.stream.shards.len()..self.topic.spec.partitions.max(self.stream.shards.len())
    }
}

/// Where changes are made, and how they are worded. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) streams: Streams,
    pub(crate) producer: Arc<Producer>,
    pub(crate) words: Words,
}

/// What a stream is created with.
#[derive(Debug)]
pub(crate) struct NewStream {
    pub(crate) name: TopicName,
    pub(crate) shards: u32,
    pub(crate) mode: Mode,
    pub(crate) tags: std::collections::BTreeMap<String, String>,
    pub(crate) record_kib_max: Option<u32>,
    /// As the topic's; what a first record would create the topic with if that is not said.
    pub(crate) retention_ms: Option<u64>,
    /// The most open shards of all streams together.
    pub(crate) shards_max: u32,
    pub(crate) transition: Duration,
}

impl Place {
    pub(crate) fn of(doors: &Doors, words: Words) -> Self {
        let shared = doors.shared();
        Self { streams: shared.streams.clone(), producer: shared.producer.clone(), words }
    }

    /// The log as clients see it.
    pub(crate) fn log(&self) -> &Arc<dyn Log> {
        self.producer.log()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.streams.clock().now()
    }

    /// A stream by its name. If a reshard was cut short before it had its partitions, they are added now.
    pub(crate) async fn find(&self, name: &TopicName) -> Result<Found, AwsError> {
        let topic = self.log().topic(name).await.map_err(|error| self.told(name, error))?;
        let stream = self.streams.of(&topic);
        if topic.spec.partitions >= stream.shards.len() {
            return Ok(Found { stream, topic });
        }
        let topic = complete(&self.producer, &stream).await?;
        Ok(Found { stream, topic })
    }

    /// Adds the partitions that a stream's shards have not yet; answers the topic as it is then.
    pub(crate) async fn complete(&self, stream: &Stream) -> Result<TopicDescription> {
        complete(&self.producer, stream).await
    }

    /// What the log says of a stream's topic, in Kinesis's words.
    pub(crate) fn told(&self, stream: &TopicName, error: Error) -> AwsError {
        match error.kind() {
            ErrorKind::NotFound => self.words.no_stream(stream.as_str()),
            _ => error.into(),
        }
    }

    /// All streams, by name; the ones whose partitions are missing too.
    pub(crate) async fn all(&self) -> Result<Vec<Found>> {
        let topics = self.log().topics().await?;
        Ok(topics.into_iter().map(|topic| Found { stream: self.streams.of(&topic), topic }).collect())
    }

    /// Creates a stream.
    pub(crate) async fn create(self, new: NewStream) -> Result<(), AwsError> {
        finished(async move { self.create_now(new).await }).await
    }

    async fn create_now(&self, new: NewStream) -> Result<(), AwsError> {
        let _turn = self.streams.inner.creating.lock().await;
        let all = self.all().await?;
        if all.iter().any(|found| found.topic.name == new.name) {
            return Err(self.words.exists(new.name.as_str()));
        }
        let now: u64 = all.iter().map(|found| u64::from(found.stream.shards.open_count())).sum();
        if now + u64::from(new.shards) > u64::from(new.shards_max) {
            return Err(self.words.shard_limit(now, u64::from(new.shards_max), u64::from(new.shards)));
        }
        self.streams.clear_desks(|name| all.iter().any(|found| found.topic.name == *name));
        let desk = self.streams.desk(&new.name);
        // Whoever puts to it at once finds what it was created with.
        let _appends = desk.appending.write().await;
        let spec = self.producer.auto_spec(&new.name).unwrap_or_default();
        let spec = TopicSpec { partitions: new.shards, retention_ms: new.retention_ms.or(spec.retention_ms), ..spec };
        match self.log().create_topic(&new.name, spec).await {
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(self.words.exists(new.name.as_str())),
            created => created?,
        }
        let topic = self.log().topic(&new.name).await?;
        let now = self.now();
        let stream = Stream {
            mode: new.mode,
            changing: Changing::begin(Change::Creating, now, new.transition),
            tags: new.tags,
            record_kib_max: new.record_kib_max,
            ..Stream::new(&topic, Layout::even(new.shards, now.0), now.0)
        };
        Ok(self.streams.keep(stream).await?)
    }

    /// Changes what is kept of a stream; `how` may look at its topic too. A change that changes nothing is not written.
    pub(crate) async fn change<T: Send + 'static>(
        self,
        name: TopicName,
        how: impl FnOnce(&Found, &mut Stream, Timestamp) -> Result<T, AwsError> + Send + 'static,
    ) -> Result<T, AwsError> {
        finished(async move {
            let place = self;
            // A look first: desks are for streams that are there.
            place.find(&name).await?;
            let desk = place.streams.desk(&name);
            let _turn = desk.changing.lock().await;
            let found = place.find(&name).await?;
            let now = place.now();
            let mut stream = Stream::clone(&found.stream);
            let answer = how(&found, &mut stream, now)?;
            stream.consumers.retain(|consumer: &Consumer| !consumer.is_gone(now));
            if stream != *found.stream {
                place.streams.keep(stream).await?;
            }
            Ok(answer)
        })
        .await
    }

    /// Changes a stream's topic.
    pub(crate) async fn alter(
        self,
        name: TopicName,
        how: impl FnOnce(&Found, Timestamp) -> Result<TopicSpec, AwsError> + Send + 'static,
    ) -> Result<(), AwsError> {
        finished(async move {
            let place = self;
            let found = place.find(&name).await?;
            let _turn = place.producer.altering().await;
            let topic = place.log().topic(&name).await.map_err(|error| place.told(&name, error))?;
            let found = Found { topic, ..found };
            let spec = how(&found, place.now())?;
            if spec == found.topic.spec {
                return Ok(());
            }
            Ok(place.log().alter_topic(&name, spec).await?)
        })
        .await
    }

    /// Gives a stream another layout. Nothing is put to it meanwhile, and what comes then goes by the new one.
    pub(crate) async fn reshard<T: Send + 'static>(
        self,
        name: TopicName,
        transition: Duration,
        how: impl FnOnce(&Place, &Found, Timestamp) -> Result<(Layout, T), AwsError> + Send + 'static,
    ) -> Result<T, AwsError> {
        finished(async move {
            let place = self;
            place.find(&name).await?;
            let desk = place.streams.desk(&name);
            let _turn = desk.changing.lock().await;
            let _appends = desk.appending.write().await;
            let found = place.find(&name).await?;
            let now = place.now();
            match found.stream.status(now) {
                Status::Active => {}
                status => return Err(place.words.not_active(name.as_str(), status)),
            }
            let (layout, answer) = how(&place, &found, now)?;
            if layout != found.stream.shards {
                place.take_layout(&found.stream, layout, Changing::begin(Change::Updating, now, transition)).await?;
            }
            Ok(answer)
        })
        .await
    }

    async fn take_layout(&self, before: &Stream, mut layout: Layout, changing: Option<Changing>) -> Result<(), AwsError> {
        for shard in layout.closed_since(&before.shards) {
            let range = self.log().range(&before.name.partition(shard)).await?;
            layout.set_last(shard, (range.end.0 - 1).max(range.start.0));
        }
        // The intent first: a look that finds fewer partitions than shards adds them.
        let next = Stream { shards: layout, changing, ..before.clone() };
        self.streams.keep(next.clone()).await?;
        let Err(error) = complete(&self.producer, &next).await else { return Ok(()) };
        // Nobody has put to the new shards yet.
        if let Err(undone) = self.streams.keep(before.clone()).await {
            tracing::warn!(stream = %before.name, "new shards have no partitions yet, they are added later: {undone}");
        }
        Err(error.into())
    }

    /// Deletes a stream after the transition; at once, and with the log's answer, if that is nothing.
    pub(crate) async fn delete(self, name: TopicName, transition: Duration, with_consumers: bool) -> Result<(), AwsError> {
        let Some(topic) = self.clone().begin_to_delete(&name, transition, with_consumers).await? else { return Ok(()) };
        if transition.is_zero() {
            return finished(async move { Ok(self.remove(&name, topic).await?) }).await;
        }
        tokio::spawn(self.remove_after(name, topic, transition));
        Ok(())
    }

    /// Deletes a stream now, consumers or not. It is noted first, so that a death in between is made up for at the next start; what can't go
    /// now goes later.
    pub(crate) async fn delete_for_good(self, name: TopicName) -> Result<(), AwsError> {
        let Some(topic) = self.clone().begin_to_delete(&name, RETRY.0, true).await? else { return Ok(()) };
        finished(async move {
            if let Err(error) = self.remove(&name, topic).await {
                tracing::info!(stream = %name, "what is deleted is still there, it is tried again: {error}");
                tokio::spawn(self.remove_after(name, topic, RETRY.0));
            }
            Ok(())
        })
        .await
    }

    /// The topic that is to go; none if it is about to.
    async fn begin_to_delete(
        self,
        name: &TopicName,
        transition: Duration,
        with_consumers: bool,
    ) -> Result<Option<TopicId>, AwsError> {
        let words = self.words.clone();
        self.change(name.clone(), move |found, stream, now| {
            if !with_consumers && stream.consumers(now).next().is_some() {
                return Err(words.has_consumers(stream.name.as_str()));
            }
            match stream.status(now) {
                Status::Creating => Err(words.not_active(stream.name.as_str(), Status::Creating)),
                Status::Deleting => Ok(None),
                Status::Active | Status::Updating => {
                    stream.changing = Changing::begin(Change::Deleting, now, transition).or(stream.changing);
                    Ok(Some(found.topic.id))
                }
            }
        })
        .await
    }

    async fn remove_after(self, name: TopicName, topic: TopicId, wait: Duration) {
        sleep(wait).await;
        let (mut pause, longest) = RETRY;
        while let Err(error) = self.remove(&name, topic).await {
            tracing::warn!(stream = %name, "a deleted stream is still there, it is tried again in {} s: {error}", pause.as_secs());
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Deletes a stream's topic, if it is still that one, and forgets the stream.
    async fn remove(&self, name: &TopicName, topic: TopicId) -> Result<()> {
        {
            let desk = self.streams.desk(name);
            let _turn = desk.changing.lock().await;
            let _appends = desk.appending.write().await;
            match self.log().topic(name).await {
                Ok(found) if found.id == topic => match self.log().delete_topic(name).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.streams.forget(name, topic).await
    }

    /// Deletes all streams of which anything is kept: those that were made as such, and topics of other doors that were changed as streams.
    /// Waits for archive and tables, which must have what goes.
    pub(crate) async fn reset(self) -> Result<(), AwsError> {
        finished(async move {
            let _turn = self.streams.inner.creating.lock().await;
            let until = Instant::now() + RESET_TIME;
            for stream in self.streams.kept() {
                while let Err(error) = self.remove(&stream.name, stream.topic).await {
                    if error.kind() != ErrorKind::Retry || Instant::now() >= until {
                        return Err(error.into());
                    }
                    sleep(RESET_PAUSE).await;
                }
            }
            Ok(())
        })
        .await
    }

    /// Goes on with what a restart cut short: streams that were being deleted go, new shards get their partitions.
    pub(crate) async fn resume(self) {
        let now = self.now();
        for stream in self.streams.kept() {
            if let Some(Changing { how: Change::Deleting, until_ms }) = stream.changing {
                let wait = now.until(Timestamp(until_ms));
                tokio::spawn(self.clone().remove_after(stream.name.clone(), stream.topic, wait));
            } else if let Err(error) = self.find(&stream.name).await
                && error.status.is_server_error()
            {
                tracing::warn!(stream = %stream.name, "can't be looked at, its next call tries again: {:?}", error.message);
            }
        }
    }
}

/// Adds the partitions that a stream's shards have not yet.
async fn complete(producer: &Producer, stream: &Stream) -> Result<TopicDescription> {
    let _turn = producer.altering().await;
    let topic = producer.log().topic(&stream.name).await?;
    let shards = stream.shards.len();
    if topic.id != stream.topic || topic.spec.partitions >= shards {
        return Ok(topic);
    }
    producer.log().alter_topic(&stream.name, TopicSpec { partitions: shards, ..topic.spec }).await?;
    producer.log().topic(&stream.name).await
}

/// Runs to its end whatever becomes of the caller.
async fn finished<T: Send + 'static>(work: impl Future<Output = Result<T, AwsError>> + Send + 'static) -> Result<T, AwsError> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal("the change was given up: look for a panic in the server's log").into()),
    }
}
