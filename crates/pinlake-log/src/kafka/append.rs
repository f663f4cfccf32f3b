//! Appends whole batches, each once: Produce with a producer's number, sent again with the same number until it is known what became of it.
//! The batches of a partition go one after the other, in the order in which they came; those without a producer of their own get one of this
//! client's, one a partition. It must not look into records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};
use pinlake_core::log::check_batch;
use pinlake_core::producers::wrap;
use pinlake_core::{
    Batch, Error, ErrorKind, Offset, OffsetRange, ProducerSequence, ReadLimit, Result, TopicName, TopicPartition,
};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::unconstrained;
use tokio::time::timeout_at;

use super::cluster::{Cluster, wire_name, wire_partition};
use super::error::{self, Failure};
use super::offsets::range;
use super::read::read;
use super::retry::Attempts;
use super::topics::describe;

/// When all replicas in sync have it.
const ACKS_ALL: i16 = -1;
/// Room is counted in these.
const ROOM_UNIT: usize = 1024;
/// How far a batch is looked for that is in the log, the broker does not say where.
const FIND_READS_MAX: usize = 64;

/// Appends to all partitions.
#[derive(Debug)]
pub(super) struct Appender {
    cluster: Arc<Cluster>,
    lanes: Mutex<Lanes>,
    /// For the bytes that wait to be acknowledged.
    room: Arc<Semaphore>,
}

type Lanes = HashMap<TopicPartition, Arc<tokio::sync::Mutex<Lane>>>;

/// The order of one partition: whoever holds it sends.
#[derive(Debug, Default)]
struct Lane {
    /// The number of the next batch; none until a producer id was given.
    next: Option<ProducerSequence>,
    /// Where the last one ended.
    end: Option<Offset>,
}

/// What became of a batch.
enum Sent {
    At(Offset),
    /// It is in the log, and nobody says where.
    There,
    /// The number does not fit what the partition remembers.
    Misnumbered(Error),
    /// It is not in the log.
    Refused(Error),
    /// It may be in the log.
    Unknown(Error),
}

impl Appender {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        let room = Arc::new(Semaphore::new(cluster.options().append_bytes_max.div_ceil(ROOM_UNIT).min(Semaphore::MAX_PERMITS)));
        Self { cluster, lanes: Mutex::default(), room }
    }

    /// As `Log::append`. What has begun goes on when the caller goes away.
    pub(super) async fn append(self: &Arc<Self>, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        let most = self.cluster.options().append_bytes_max.div_ceil(ROOM_UNIT);
        let units = u32::try_from(batch.bytes().len().div_ceil(ROOM_UNIT).min(most)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(units) else {
            return Err(Error::retry("too many bytes wait for the cluster: try again later"));
        };
        let lane = self.lanes().entry(to.clone()).or_default().clone();
        // Its place in the partition's order is taken in the first poll, which must not be put off for fairness among tasks.
        let mut turn = Box::pin(unconstrained(lane.lock_owned()));
        let first = poll!(&mut turn);
        let turn = async move {
            match first {
                Poll::Ready(lane) => lane,
                Poll::Pending => turn.await,
            }
        };
        let (appender, to) = (self.clone(), to.clone());
        let task = tokio::spawn(async move {
            let appended = appender.append_whole(&to, &batch, turn).await;
            drop(room);
            if appended.is_err() {
                appender.forget_unused(&to);
            }
            appended
        });
        task.await.unwrap_or_else(|_| Err(unknown(&Error::internal("the append was cut short"))))
    }

    /// Forgets the partitions of a topic that is gone. One that somebody appends to stays, or a later append would not be behind it.
    pub(super) fn forget(&self, topic: &TopicName) {
        self.lanes().retain(|of, lane| of.topic != *topic || Arc::strong_count(lane) > 1);
    }

    /// Forgets a partition to which nothing was appended, and nothing is: anybody may name what is not there.
    fn forget_unused(&self, of: &TopicPartition) {
        let mut lanes = self.lanes();
        let is_empty =
            |lane: &Arc<tokio::sync::Mutex<Lane>>| lane.try_lock().is_ok_and(|lane| lane.end.is_none() && lane.next.is_none());
        if lanes.get(of).is_some_and(|lane| Arc::strong_count(lane) == 1 && is_empty(lane)) {
            lanes.remove(of);
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new producer id and its epoch, from the cluster.
    pub(super) async fn new_producer(&self) -> Result<(i64, i16)> {
        self.ask_producer(&mut self.cluster.attempts()).await
    }

    async fn append_whole(
        &self,
        to: &TopicPartition,
        batch: &Batch,
        turn: impl Future<Output = OwnedMutexGuard<Lane>>,
    ) -> Result<OffsetRange> {
        let mut attempts = self.cluster.attempts();
        let Ok(mut lane) = timeout_at(attempts.deadline(), turn).await else {
            return Err(Error::retry(format!("too many appends wait for {to}: the batch was not sent")));
        };
        let appended = match self.check(to, batch, &attempts).await {
            Ok(()) => self.append_in_turn(to, batch, &mut lane, &mut attempts).await,
            Err(error) => Err(error),
        };
        if appended.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            // Whoever waits for this lane finds nothing of a topic that is gone.
            *lane = Lane::default();
        }
        appended
    }

    /// Checks a batch against its topic's settings. They may have to be asked for, so this is done in turn: otherwise whoever comes next
    /// would find them known and be first.
    async fn check(&self, to: &TopicPartition, batch: &Batch, attempts: &Attempts) -> Result<()> {
        let Ok(topic) = timeout_at(attempts.deadline(), describe(&self.cluster, &to.topic)).await else {
            return Err(Error::retry(format!("nobody tells the settings of topic '{}': the batch was not sent", to.topic)));
        };
        check_batch(&topic?.spec, batch)
    }

    async fn append_in_turn(
        &self,
        to: &TopicPartition,
        batch: &Batch,
        lane: &mut Lane,
        attempts: &mut Attempts,
    ) -> Result<OffsetRange> {
        let Some(producer) = batch.producer() else { return self.append_numbered(to, batch, lane, attempts).await };
        let batch = batch.to_send(None);
        match self.send(to, &batch, attempts).await {
            Sent::At(base) => Ok(placed(&batch, base)),
            Sent::There => self.find(to, producer, None).await,
            Sent::Misnumbered(error) | Sent::Refused(error) => Err(error),
            Sent::Unknown(error) => Err(unknown(&error)),
        }
    }

    /// Appends a batch that has no producer, as this client's.
    async fn append_numbered(
        &self,
        to: &TopicPartition,
        batch: &Batch,
        lane: &mut Lane,
        attempts: &mut Attempts,
    ) -> Result<OffsetRange> {
        loop {
            let number = match lane.next {
                Some(number) => number,
                None => {
                    let (id, epoch) = self.ask_producer(attempts).await?;
                    ProducerSequence { id, epoch, first: 0 }
                }
            };
            // Until it is known what becomes of the batch, nothing goes on from its number.
            lane.next = None;
            let after = ProducerSequence { first: wrap(number.first, u64::from(batch.offset_span())), ..number };
            let offsets = match self.send(to, &batch.to_send(Some(number)), attempts).await {
                Sent::At(base) => placed(batch, base),
                Sent::There => self.find(to, number, lane.end).await?,
                // The partition has forgotten the producer, say with all its records: another number says the same.
                Sent::Misnumbered(error) => {
                    attempts.pause_after(error).await?;
                    continue;
                }
                Sent::Refused(error) => {
                    lane.next = Some(number);
                    return Err(error);
                }
                Sent::Unknown(error) => return Err(unknown(&error)),
            };
            (lane.next, lane.end) = (Some(after), Some(offsets.end));
            return Ok(offsets);
        }
    }

    /// Sends a batch until it is known what became of it, or the time is over.
    async fn send(&self, to: &TopicPartition, batch: &Batch, attempts: &mut Attempts) -> Sent {
        // Whether an earlier attempt may have appended it.
        let mut undecided = false;
        let ended = |undecided: bool, error: Error| if undecided { Sent::Unknown(error) } else { Sent::Refused(error) };
        loop {
            let error = match self.produce(to, batch, attempts).await {
                Ok(answer) if answer.error_code == 0 && answer.base_offset >= 0 => return Sent::At(Offset(answer.base_offset)),
                Ok(answer) => {
                    let code = ResponseError::try_from_code(answer.error_code);
                    let text = answer.error_message.as_ref().map(|text| text.as_str());
                    let error = error::of(answer.error_code, format!("the append to {to} failed"), text);
                    match code {
                        None | Some(ResponseError::DuplicateSequenceNumber) => return Sent::There,
                        Some(
                            ResponseError::OutOfOrderSequenceNumber
                            | ResponseError::UnknownProducerId
                            | ResponseError::InvalidProducerEpoch
                            | ResponseError::ProducerFenced,
                        ) => return if undecided { Sent::Unknown(error) } else { Sent::Misnumbered(error) },
                        Some(code) if error::passes(code.code()) => {
                            undecided |= !error::appended_nothing(code.code());
                            error
                        }
                        Some(_) => return ended(undecided, error),
                    }
                }
                Err(Failure::Unsent(error)) => error,
                Err(Failure::Lost(error)) => {
                    undecided = true;
                    error
                }
                Err(Failure::Fatal(error)) => return ended(undecided, error),
            };
            if let Err(error) = attempts.pause_after(error).await {
                return ended(undecided, error);
            }
            if let Err(error) = self.cluster.look_up_anew(attempts, &to.topic).await {
                return ended(undecided && error.kind() != ErrorKind::NotFound, error);
            }
        }
    }

    /// Sends a batch to the leader once.
    async fn produce(
        &self,
        to: &TopicPartition,
        batch: &Batch,
        attempts: &Attempts,
    ) -> Result<PartitionProduceResponse, Failure> {
        let ready = async { self.cluster.leader(to).await?.ready().await };
        let leader = attempts.in_time(ready).await.map_err(Failure::before_it)?;
        // The broker gives up before we do, so that its answer still comes.
        let timeout_ms = i32::try_from(self.cluster.options().answer_timeout.as_millis() * 4 / 5).unwrap_or(i32::MAX);
        let index = wire_partition(to).map_err(Failure::Fatal)?;
        let data = PartitionProduceData::default().with_index(index).with_records(Some(batch.bytes().clone()));
        let topic = TopicProduceData::default().with_name(wire_name(&to.topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(timeout_ms)
            .with_transactional_id(None)
            .with_topic_data(vec![topic]);
        let answer = attempts.in_time(leader.call(&request, Duration::ZERO)).await?;
        let partition = answer.responses.into_iter().next().and_then(|topic| topic.partition_responses.into_iter().next());
        partition.ok_or_else(|| Failure::Lost(Error::retry("the broker answers for another partition")))
    }

    async fn ask_producer(&self, attempts: &mut Attempts) -> Result<(i64, i16)> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        loop {
            let error = match attempts.in_time(self.cluster.call_any(&request)).await {
                Ok(answer) if answer.error_code == 0 => return Ok((answer.producer_id.0, answer.producer_epoch)),
                Ok(answer) => {
                    let error = error::of(answer.error_code, "no producer id is given", None);
                    if !error::passes(answer.error_code) {
                        return Err(error);
                    }
                    error
                }
                Err(Failure::Fatal(error)) => return Err(error),
                Err(failure) => failure.into_error(),
            };
            attempts.pause_after(error).await?;
        }
    }

    /// Looks for a batch that is in the log, from where the last one ended.
    async fn find(&self, to: &TopicPartition, number: ProducerSequence, from: Option<Offset>) -> Result<OffsetRange> {
        let mut at = match from {
            Some(at) => at.max(range(&self.cluster, to).await?.start),
            None => range(&self.cluster, to).await?.start,
        };
        for _ in 0..FIND_READS_MAX {
            let batches = read(&self.cluster, to, at, ReadLimit::default(), Duration::ZERO).await?;
            if let Some(found) = batches.iter().find(|batch| batch.producer() == Some(number)) {
                return Ok(found.offsets());
            }
            let Some(last) = batches.last() else { break };
            at = last.offsets().end;
        }
        let text = format!(
            "the batch of producer {} with sequence {} is in {to}, but the broker does not say where",
            number.id, number.first
        );
        Err(Error::internal(text))
    }
}

fn placed(batch: &Batch, base: Offset) -> OffsetRange {
    OffsetRange { start: base, end: base.plus(u64::from(batch.offset_span())) }
}

fn unknown(error: &Error) -> Error {
    Error::new(ErrorKind::Retry, format!("nobody knows whether the batch was appended: {error}"))
}
