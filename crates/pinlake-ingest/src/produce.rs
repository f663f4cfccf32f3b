//! Produce: which partition each record goes to, and how the records of a request become batches of the log. All doors, and
//! whoever else writes records, come through here.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

use futures::future::join_all;
use pinlake_core::{
    Batch, BatchBuilder, Clock, Error, ErrorKind, Log, Offset, Reason, Record, Result, Timestamp, TopicDescription, TopicName,
    TopicSpec,
};

use crate::lane::{GatherLimits, Lane, Queued, RECORD_OVERHEAD_MAX};
use crate::partitioner::{Partitioning, Sticky};
use crate::records::Records;
use crate::settings::ProducerSettings;

/// Says with what spec a topic is created by its first record; `None` if it is not.
pub type AutoCreate = Arc<dyn Fn(&TopicName) -> Option<TopicSpec> + Send + Sync>;

/// Bytes of a batch before its first record.
const BATCH_HEADER: usize = pinlake_core::batch::HEADER_LEN;

/// The way to the log.
pub struct Producer {
    log: Arc<dyn Log>,
    clock: Clock,
    settings: ProducerSettings,
    auto_create: AutoCreate,
    lanes: RwLock<HashMap<TopicName, Arc<Lanes>>>,
    queued: Arc<AtomicUsize>,
    altering: tokio::sync::Mutex<()>,
}

struct Lanes {
    partitions: Vec<Arc<Lane>>,
    sticky: Sticky,
}

/// A topic that records can be produced to, as it was when it was looked up.
#[derive(Clone)]
pub struct OpenTopic {
    description: TopicDescription,
    lanes: Arc<Lanes>,
}

impl OpenTopic {
    /// The topic as it was when it was opened.
    pub(crate) fn description(&self) -> &TopicDescription {
        &self.description
    }

    /// The topic's name.
    pub fn name(&self) -> &TopicName {
        &self.description.name
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        self.description.spec.partitions
    }
}

/// A record with a time of its own, and perhaps headers.
pub(crate) struct Apart {
    /// The partition that it must go to, if any.
    pub(crate) partition: Option<u32>,
    pub(crate) at: Timestamp,
    pub(crate) record: Record,
}

impl Apart {
    /// The bytes of its key, value and headers.
    pub(crate) fn size(&self) -> usize {
        let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
        let headers: usize = self.record.headers.iter().map(|(name, value)| name.len() + len(value)).sum();
        len(&self.record.key) + len(&self.record.value) + headers
    }
}

/// Where one record went, or why not.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Result<Offset>,
}

impl Producer {
    /// A producer to `log`.
    pub fn new(log: Arc<dyn Log>, clock: Clock, settings: ProducerSettings, auto_create: AutoCreate) -> Self {
        Self {
            log,
            clock,
            settings,
            auto_create,
            lanes: RwLock::default(),
            queued: Arc::default(),
            altering: tokio::sync::Mutex::default(),
        }
    }

    /// The log behind it.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// To be held while a topic's settings are read, changed and written back.
    pub(crate) async fn altering(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.altering.lock().await
    }

    /// The time that records get.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// With what spec the first record creates this topic; `None` if it does not.
    pub fn auto_spec(&self, topic: &TopicName) -> Option<TopicSpec> {
        (self.auto_create)(topic)
    }

    /// The topic, created if it does not exist and its first record creates it.
    ///
    /// # Errors
    /// `Invalid` for a name no topic can have, `NotFound` if it does not exist, and the log's own.
    pub async fn open(&self, name: &str) -> Result<OpenTopic> {
        match self.open_if_there(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound && error.reason() != Some(Reason::OwnTopic) => {
                let description = self.create(&TopicName::new(name)?).await?;
                let lanes = self.lanes_of(&description);
                Ok(OpenTopic { description, lanes })
            }
            opened => opened,
        }
    }

    /// The topic, if it exists.
    ///
    /// # Errors
    /// `Invalid` for a name no topic can have, `NotFound` if it does not exist, and the log's own.
    pub(crate) async fn open_if_there(&self, name: &str) -> Result<OpenTopic> {
        let known = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get_key_value(name).map(|(name, _)| name.clone());
        let name = known.map_or_else(|| TopicName::new(name), Ok)?;
        let description = self.log.topic(&name).await.inspect_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                self.lanes.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
            }
        })?;
        let lanes = self.lanes_of(&description);
        Ok(OpenTopic { description, lanes })
    }

    /// Refuses records that ask for a partition which the topic has not, or would not have when their first one creates it.
    ///
    /// # Errors
    /// `NotFound` if a record does; what the log says of the topic, unless it does not exist.
    pub async fn check_partitions(&self, name: &str, records: &Records) -> Result<()> {
        let Some(partition) = records.partition_max() else { return Ok(()) };
        let name = TopicName::new(name)?;
        let spec = match self.log.topic(&name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => self.auto_spec(&name),
            found => Some(found?.spec),
        };
        spec.map_or(Ok(()), |spec| has_partition(&name, spec.partitions, partition))
    }

    async fn create(&self, name: &TopicName) -> Result<TopicDescription> {
        let Some(spec) = (self.auto_create)(name) else {
            return Err(Error::not_found(format!(
                "topic '{name}' does not exist and no pattern of the pipeline matches it, so its first record does not create \
                 it: use a name that a pattern matches or create it with 'pinlake topics create {name}'"
            )));
        };
        match self.log.create_topic(name, spec).await {
            // Somebody else's record was first.
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            Err(_) => {}
            Ok(()) => tracing::info!(topic = %name, "topic created by its first record"),
        }
        self.log.topic(name).await
    }

    fn lanes_of(&self, topic: &TopicDescription) -> Arc<Lanes> {
        let whole = |lanes: &&Arc<Lanes>| lanes.partitions.len() == topic.spec.partitions as usize;
        if let Some(lanes) = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get(&topic.name).filter(whole) {
            return lanes.clone();
        }
        let mut all = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = all.get(&topic.name).filter(whole) {
            return lanes.clone();
        }
        let lane = |partition| Lane::new(self.log.clone(), topic.name.partition(partition));
        let lanes = Arc::new(Lanes { partitions: (0..topic.spec.partitions).map(lane).collect(), sticky: Sticky::default() });
        all.insert(topic.name.clone(), lanes.clone());
        lanes
    }

    /// Produces all records and answers one place a record, in their order. Records of one partition keep their order and
    /// stand next to each other, unless the topic's limit cuts them into several batches. A failure is told record by record.
    ///
    /// # Errors
    /// `NotFound` if a record asks for a partition the topic has not; `Retry` if too many bytes wait for the log. Then nothing was
    /// written.
    pub async fn produce(&self, topic: &OpenTopic, records: &Records, by: Partitioning) -> Result<Vec<Placed>> {
        self.produce_at(topic, records, by, self.clock.now()).await
    }

    /// The same, stamped `now`.
    pub(crate) async fn produce_at(
        &self,
        topic: &OpenTopic,
        records: &Records,
        by: Partitioning,
        now: Timestamp,
    ) -> Result<Vec<Placed>> {
        if let Some(partition) = records.partition_max() {
            has_partition(topic.name(), topic.partitions(), partition)?;
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let pieces = self.pieces(topic, records, by);
        let mut queued = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            queued.push(Queued::enter(&self.queued, piece.bytes, self.settings.queued_bytes_max)?);
        }
        if let [piece] = pieces.as_slice() {
            let only = queued.pop().expect("one was counted for each piece");
            return Ok(self.append(topic, records, piece, now, only).await);
        }
        let appends = pieces.iter().zip(queued).map(|(piece, queued)| self.append(topic, records, piece, now, queued));
        let placed = join_all(appends).await;
        let mut all: Vec<Option<Placed>> = vec![None; records.len()];
        for (piece, placed) in pieces.iter().zip(placed) {
            for (index, placed) in piece.indices.iter().zip(placed) {
                all[index] = Some(placed);
            }
        }
        Ok(all.into_iter().map(|placed| placed.expect("each record is in one piece")).collect())
    }

    /// Produces records that have a time or headers of their own, each as a batch; those of one partition keep their order. Their
    /// partitions must be the topic's.
    pub(crate) async fn produce_apart(&self, topic: &OpenTopic, records: &[Apart]) -> Vec<Placed> {
        join_all(records.iter().map(|apart| self.append_apart(topic, apart))).await
    }

    async fn append_apart(&self, topic: &OpenTopic, apart: &Apart) -> Placed {
        let partitions = topic.partitions();
        let partition = match (apart.partition, &apart.record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => Partitioning::Kafka.of_key(key, partitions),
            (None, None) => topic.lanes.sticky.next(apart.size() as u64, self.settings.sticky_bytes, partitions),
        };
        let append = async {
            let _queued = Queued::enter(&self.queued, apart.size(), self.settings.queued_bytes_max)?;
            let batch = Batch::of(std::slice::from_ref(&apart.record), apart.at)?;
            self.log.append(&topic.name().partition(partition), batch).await.map(|offsets| offsets.start)
        };
        let offset = append.await;
        // The answer waits, not the append: that has its place in the order.
        self.log.come_along(&topic.name().partition(partition)).await;
        Placed { partition, offset }
    }

    fn pieces(&self, topic: &OpenTopic, records: &Records, by: Partitioning) -> Vec<Piece> {
        let partitions = topic.partitions();
        let size = |index: usize| records.size(index) + RECORD_OVERHEAD_MAX;
        if partitions == 1 {
            let bytes = (0..records.len()).map(size).sum();
            return vec![Piece { partition: 0, indices: Indices::All(records.len()), bytes }];
        }
        let mut keyless = None;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut piece_of: HashMap<u32, usize> = HashMap::new();
        for index in 0..records.len() {
            let partition = match (records.partition(index), records.get(index).0) {
                (Some(partition), _) => partition,
                (None, Some(key)) => by.of_key(key, partitions),
                (None, None) => *keyless.get_or_insert_with(|| {
                    topic.lanes.sticky.next(records.size_all() as u64, self.settings.sticky_bytes, partitions)
                }),
            };
            let at = *piece_of.entry(partition).or_insert_with(|| {
                pieces.push(Piece { partition, indices: Indices::Some(Vec::new()), bytes: 0 });
                pieces.len() - 1
            });
            pieces[at].indices.push(index);
            pieces[at].bytes += size(index);
        }
        pieces
    }

    async fn append(&self, topic: &OpenTopic, records: &Records, piece: &Piece, now: Timestamp, queued: Queued) -> Vec<Placed> {
        let limit = topic.description.spec.batch_bytes_max as usize;
        let gather = GatherLimits { bytes: self.settings.gather_bytes_max.min(limit), records: self.settings.gather_records_max };
        let lane = &topic.lanes.partitions[piece.partition as usize];
        let shares = piece.bytes < self.settings.alone_bytes_min && piece.bytes + BATCH_HEADER <= gather.bytes;
        let mut placed = Vec::with_capacity(piece.indices.len());
        if shares {
            let first = lane.append(records, piece.indices.iter(), piece.bytes, gather, now, queued).await;
            self.log.come_along(lane.to()).await;
            piece.place(&mut placed, piece.indices.len(), &first);
            return placed;
        }
        let mut indices = piece.indices.iter().peekable();
        while indices.peek().is_some() {
            let mut builder = BatchBuilder::with_capacity(now, piece.bytes.min(limit));
            while let Some(index) = indices
                .next_if(|index| builder.is_empty() || builder.size_bytes() + records.size(*index) + RECORD_OVERHEAD_MAX <= limit)
            {
                let (key, value) = records.get(index);
                builder.push(key, value);
            }
            let count = builder.len() as usize;
            let appended = match builder.build() {
                Ok(batch) => self.log.append(lane.to(), batch).await,
                Err(error) => Err(error),
            };
            piece.place(&mut placed, count, &appended.map(|offsets| offsets.start));
            self.log.come_along(lane.to()).await;
        }
        placed
    }
}

fn has_partition(topic: &TopicName, partitions: u32, partition: u32) -> Result<()> {
    if partition < partitions {
        return Ok(());
    }
    Err(Error::not_found(format!("topic '{topic}' has no partition {partition}: it has {partitions}, from 0")))
}

/// The records of a request that go to one partition.
struct Piece {
    partition: u32,
    indices: Indices,
    /// What they take in a batch at most.
    bytes: usize,
}

impl Piece {
    fn place(&self, placed: &mut Vec<Placed>, count: usize, first: &Result<Offset>) {
        let place = |at: usize| Placed {
            partition: self.partition,
            offset: first.as_ref().map(|first| first.plus(at as u64)).map_err(Error::clone),
        };
        placed.extend((0..count).map(place));
    }
}

/// Which records: all of so many, or some.
enum Indices {
    All(usize),
    Some(Vec<u32>),
}

impl Indices {
    fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(indices) => indices.len(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        let (count, some): (usize, &[u32]) = match self {
            Self::All(count) => (*count, &[]),
            Self::Some(indices) => (0, indices),
        };
        (0..count).chain(some.iter().map(|index| *index as usize))
    }

    fn push(&mut self, index: usize) {
        match self {
            Self::All(count) => *count += 1,
            Self::Some(indices) => indices.push(u32::try_from(index).expect("a request has fewer than 2^32 records")),
        }
    }
}
