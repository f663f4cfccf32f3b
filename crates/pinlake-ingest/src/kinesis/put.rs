//! Records on their way into a stream, whatever form they came in: which shard each goes to, and what it is called there. It must not know how a call
//! is written.

use std::sync::Arc;

use bytes::Bytes;
use pinlake_core::{Error, Result, Timestamp};
use tokio::sync::OwnedRwLockReadGuard;

use super::sequence::{Mark, SequenceNumber};
use super::streams::changes::Place;
use super::streams::state::Stream;
use super::throughput::Meters;
use crate::partitioner::{Partitioning, hash_key};
use crate::produce::{OpenTopic, Placed, Producer};
use crate::records::Records;

/// Looks at a stream before a call is told to try again; one is enough unless the stream is new or lacks partitions.
const ENTRIES_MAX: usize = 4;

/// The records of one call.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Each with its partition key as key.
    pub(crate) records: Records,
    /// Those whose hash the client gives, by index.
    pub(crate) hashes: Vec<(usize, u128)>,
}

impl Incoming {
    /// None yet; they may lie in `body`.
    pub(crate) fn over(body: Bytes) -> Self {
        Self { records: Records::over(body), hashes: Vec::new() }
    }
}

/// A stream that takes records: its shards stay as they are until this is dropped.
pub(crate) struct Entered {
    pub(crate) stream: Arc<Stream>,
    topic: OpenTopic,
    _no_reshard: OwnedRwLockReadGuard<()>,
}

/// What became of the records of a call, in their order.
pub(crate) struct Stored {
    pub(crate) placed: Vec<Placed>,
    pub(crate) records: Records,
    pub(crate) stream: Arc<Stream>,
    /// Those that their shards did not take because of their rate, by index.
    pub(crate) throttled: Vec<usize>,
    arrival: Timestamp,
}

/// Whether a stream that is not there is made by its first record, if the pipeline follows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    Create,
    Refuse,
}

/// Goes to a stream. Whether it may take records now is for the caller to say.
///
/// # Errors
/// The log's: `NotFound` if there is no such stream.
pub(crate) async fn enter(place: &Place, stream: &str, if_missing: IfMissing) -> Result<Entered> {
    for _ in 0..ENTRIES_MAX {
        let desk = place.streams.known_desk(stream);
        let no_reshard = match &desk {
            Some(desk) => Some(desk.appending.clone().read_owned().await),
            None => None,
        };
        let topic = match if_missing {
            IfMissing::Create => place.producer.open(stream).await?,
            IfMissing::Refuse => place.producer.open_if_there(stream).await?,
        };
        let found = place.streams.of(topic.description());
        if topic.partitions() < found.shards.len() {
            place.complete(&found).await?;
            continue;
        }
        match no_reshard {
            Some(no_reshard) => return Ok(Entered { stream: found, topic, _no_reshard: no_reshard }),
            // Only now it is known that there is such a stream.
            None => drop(place.streams.desk(topic.name())),
        }
    }
    Err(Error::retry(format!("stream '{stream}' is being changed: try again")))
}

impl Entered {
    /// Has the records appended, stamped `now`; a failure is told record by record. With `meters`, shards take as much as AWS's.
    ///
    /// # Errors
    /// `Retry` if too many bytes wait for the log. Then nothing was written.
    pub(crate) async fn store(
        self,
        producer: &Arc<Producer>,
        incoming: Incoming,
        now: Timestamp,
        meters: Option<&Meters>,
    ) -> Result<Stored> {
        let Incoming { mut records, hashes } = incoming;
        route(&self.stream, &mut records, &hashes);
        let throttled = meters.map_or_else(Vec::new, |meters| throttled(meters, &records, now));
        let producer = producer.clone();
        // A caller that goes away must not let a reshard pass what is on its way.
        let stored = tokio::spawn(async move {
            let all = (!throttled.is_empty()).then(|| records.leave_out(&throttled));
            let placed = producer.produce_at(&self.topic, &records, Partitioning::Kinesis, now).await?;
            if let Some(all) = all {
                records.put_back(all);
            }
            let placed = with_throttled(placed, &throttled, &records);
            Ok(Stored { placed, records, stream: self.stream, throttled, arrival: now })
        });
        stored.await.unwrap_or_else(|_| Err(Error::internal("the put was given up: look for a panic in the server's log")))
    }
}

/// The records that are more than their shards take, by index.
fn throttled(meters: &Meters, records: &Records, now: Timestamp) -> Vec<usize> {
    let is_taken = |index: usize| meters.takes_record(records.partition(index).unwrap_or(0), records.size(index), now);
    (0..records.len()).filter(|index| !is_taken(*index)).collect()
}

/// What became of all records, those that were left out too.
fn with_throttled(placed: Vec<Placed>, throttled: &[usize], records: &Records) -> Vec<Placed> {
    if throttled.is_empty() {
        return placed;
    }
    let (mut placed, mut throttled) = (placed.into_iter(), throttled.iter().copied().peekable());
    let place = |index| match throttled.next_if_eq(&index) {
        Some(_) => {
            let offset = Err(Error::retry("the shard takes no more in this second: send the record again later"));
            Some(Placed { partition: records.partition(index).unwrap_or(0), offset })
        }
        None => placed.next(),
    };
    (0..records.len()).filter_map(place).collect()
}

fn route(stream: &Stream, records: &mut Records, hashes: &[(usize, u128)]) {
    if let Some(only) = stream.shards.only() {
        (0..records.len()).for_each(|index| records.set_partition(index, only));
        return;
    }
    let mut hashes = hashes.iter().peekable();
    for index in 0..records.len() {
        let given = hashes.next_if(|(of, _)| *of == index).map(|(_, hash)| *hash);
        let hash = given.unwrap_or_else(|| hash_key(records.get(index).0.unwrap_or_default()));
        records.set_partition(index, stream.shards.shard_of(hash));
    }
}

impl Stored {
    /// Whether its shard did not take a record because of its rate.
    pub(crate) fn is_throttled(&self, index: usize) -> bool {
        self.throttled.binary_search(&index).is_ok()
    }

    /// A record's sequence number.
    ///
    /// # Errors
    /// Why it was not stored.
    pub(crate) fn number(&self, placed: &Placed) -> Result<SequenceNumber, Error> {
        let offset = placed.offset.clone()?;
        let created = self.stream.shards.shards()[placed.partition as usize].second;
        Ok(SequenceNumber { shard: placed.partition, created, offset, arrival: self.arrival, mark: Mark::Record })
    }
}
