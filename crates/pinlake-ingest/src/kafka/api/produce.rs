//! Produce: batches are checked and appended as they are. A batch is what a producer compressed and numbered: nothing in it is changed but
//! its offset.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::future::join_all;
use futures::poll;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Batch, Error, OffsetRange, Reason, TopicPartition};
use tokio::sync::oneshot;

use super::{partition_of, wire_text};
use crate::kafka::broker::Broker;
use crate::kafka::error;
use crate::kafka::frame::Request;
use crate::kafka::metrics;
use crate::transactions::TransactionError;
use crate::transactions::calls::TransactionalId;

/// Nothing was appended.
const NO_OFFSET: i64 = -1;
/// Acknowledge nothing.
const ACKS_NONE: i16 = 0;
/// When the leader has it, or all replicas: here the same.
const ACKS: [i16; 3] = [ACKS_NONE, 1, -1];

/// A partition's place in the order of one connection's requests.
pub(in crate::kafka) struct Turn {
    /// Until the log has what the request before sent for the partition.
    pub(in crate::kafka) before: Option<oneshot::Receiver<()>>,
    /// Dropped when it has this one's.
    pub(in crate::kafka) done: oneshot::Sender<()>,
}

impl Turn {
    /// Waits for it. What it answers is dropped when the next may follow.
    async fn come(self) -> oneshot::Sender<()> {
        if let Some(before) = self.before {
            // An error means that it is done.
            let _ = before.await;
        }
        self.done
    }
}

/// Why a batch is not appended: a code and what to do.
type Refused = (i16, Option<StrBytes>);

/// The partitions that a request appends to, in its order; those whose name can't be have a stand-in.
pub(in crate::kafka) fn partitions(request: &ProduceRequest) -> impl Iterator<Item = TopicPartition> {
    let pairs = request.topic_data.iter().flat_map(|topic| topic.partition_data.iter().map(move |data| (topic, data)));
    let nowhere = || partition_of("-", 0).expect("a legal name");
    pairs.map(move |(topic, data)| partition_of(&topic.name, data.index).unwrap_or_else(nowhere))
}

/// Appends everything and answers, unless the client wants no answer. `turns` has one entry a partition, in the request's order.
pub(in crate::kafka) async fn answer(
    broker: &Arc<Broker>,
    request: &Request,
    decoded: ProduceRequest,
    turns: Vec<Turn>,
) -> Result<Option<Bytes>, String> {
    let acks = decoded.acks;
    let transactional = match decoded.transactional_id {
        Some(id) => TransactionalId::new(&id).map(Some),
        None => Ok(None),
    };
    let transactional = Arc::new(transactional);
    let mut turns = turns.into_iter();
    let mut topics = Vec::with_capacity(decoded.topic_data.len());
    let mut appends = Vec::new();
    for TopicProduceData { name, partition_data, .. } in decoded.topic_data {
        // Nothing is kept of the request's bytes but the batches: one alone is then appended without being copied.
        topics.push((WireTopicName(wire_text(name.as_str())), partition_data.len()));
        for data in partition_data {
            let turn = turns.next().ok_or("every partition has its turn")?;
            appends.push(append(broker, name.to_string(), data, acks, &transactional, turn));
        }
    }
    let mut appended = join_all(appends).await.into_iter();
    if acks == ACKS_NONE {
        return Ok(None);
    }
    let responses = topics.into_iter().map(|(name, partitions)| {
        TopicProduceResponse::default().with_name(name).with_partition_responses(appended.by_ref().take(partitions).collect())
    });
    let response = ProduceResponse::default().with_responses(responses.collect());
    request.answer(&response).map(Some)
}

async fn append(
    broker: &Arc<Broker>,
    topic: String,
    data: PartitionProduceData,
    acks: i16,
    transactional: &Arc<Result<Option<TransactionalId>, TransactionError>>,
    turn: Turn,
) -> PartitionProduceResponse {
    let index = data.index;
    let response = PartitionProduceResponse::default().with_index(index).with_log_append_time_ms(-1);
    let checked = check(broker, &topic, data, acks).await;
    // In the order of the client's requests, however long each one's check took.
    let done = turn.come().await;
    let appended = match checked {
        Ok((to, batch)) => append_batch(broker.clone(), to, batch, transactional.clone(), done).await,
        Err(refused) => Err(refused),
    };
    match appended {
        Ok((offsets, start)) => response.with_base_offset(offsets.start.0).with_log_start_offset(start),
        Err((code, text)) => {
            response.with_error_code(code).with_base_offset(NO_OFFSET).with_log_start_offset(-1).with_error_message(text)
        }
    }
}

/// Appends in a task of its own: it goes on while its client takes no answers, or goes away. It holds room that all connections share, and no
/// transaction may end while nobody knows whether its batch is in the log.
async fn append_batch(
    broker: Arc<Broker>,
    to: TopicPartition,
    batch: Batch,
    transactional: Arc<Result<Option<TransactionalId>, TransactionError>>,
    done: oneshot::Sender<()>,
) -> Result<(OffsetRange, i64), Refused> {
    let append = async move {
        let refused = |error: &TransactionError| (error.old_code(), Some(wire_text(error.to_string())));
        let id = transactional.as_ref().as_ref().map_err(refused)?;
        let admission = broker.transactions.admit(id.as_ref(), &to, &batch).await.map_err(|error| refused(&error))?;
        let appended = append_in_order(&broker, &to, batch, done).await;
        // Now its transaction may end.
        drop(admission);
        appended.map_err(|error| (error::code(&error), error::text(&error)))
    };
    let cut_short = |_| {
        let error = Error::internal("cut short");
        Err((error::code(&error), error::text(&error)))
    };
    tokio::spawn(append).await.unwrap_or_else(cut_short)
}

/// Appends once there is room, and lets the client's next batch follow as soon as this one has its place. Answers too where the partition starts.
async fn append_in_order(
    broker: &Broker,
    to: &TopicPartition,
    batch: Batch,
    done: oneshot::Sender<()>,
) -> pinlake_core::Result<(OffsetRange, i64)> {
    let (log, most) = (broker.log(), broker.settings.appending_bytes_max);
    let (records, bytes) = (batch.record_count(), batch.bytes().len());
    log.come_along(to).await;
    let room = u32::try_from(bytes.min(most)).unwrap_or(u32::MAX);
    let _room = broker.appending.acquire_many(room).await.expect("the room is never closed");
    let mut appending = log.append(to, batch);
    let first = poll!(&mut appending);
    // It has its place in the partition's order, and the next shares its sync.
    drop(done);
    let offsets = match first {
        Poll::Ready(offsets) => offsets,
        Poll::Pending => appending.await,
    };
    match &offsets {
        Ok(_) => metrics::observe_received(records, bytes),
        Err(error) => metrics::observe_rejected(records, error.kind()),
    }
    let start = log.range(to).await.map_or(0, |range| range.start.0);
    Ok((offsets?, start))
}

/// Checks what a producer sends for one partition: one whole batch, whose records are what it says.
async fn check(broker: &Broker, topic: &str, data: PartitionProduceData, acks: i16) -> Result<(TopicPartition, Batch), Refused> {
    if !ACKS.contains(&acks) {
        return Err((ResponseError::InvalidRequiredAcks.code(), None));
    }
    let to = partition_of(topic, data.index).ok_or((ResponseError::UnknownTopicOrPartition.code(), None))?;
    let bytes = data.records.unwrap_or_default();
    let batch = Batch::parse(bytes).map_err(|error| (ResponseError::CorruptMessage.code(), error::text(&error)))?;
    let checked = if batch.codec().ok().flatten().is_some() {
        // Unpacking is work, and takes memory: it must not hold up other connections, nor be done for all of a request at once.
        // In a task of its own, so that no client which takes no answers keeps a turn.
        let (turns, batch) = (broker.unpacking.clone(), batch.clone());
        let checked = tokio::spawn(async move {
            let _turn = turns.acquire().await.expect("they are never closed");
            tokio::task::spawn_blocking(move || check_records(&batch)).await
        });
        checked.await.and_then(|checked| checked).unwrap_or_else(|_| Err(Error::internal("cut short")))
    } else {
        check_records(&batch)
    };
    checked.map_err(|error| match error.reason() {
        Some(Reason::TooLarge) => (ResponseError::MessageTooLarge.code(), error::text(&error)),
        _ => (ResponseError::InvalidRecord.code(), error::text(&error)),
    })?;
    Ok((to, batch))
}

/// Every offset of a producer's batch is a record, in order, and every record decodes: nobody could read it otherwise.
fn check_records(batch: &Batch) -> pinlake_core::Result<()> {
    if batch.is_control() {
        return Err(Error::invalid("control batches are the server's own"));
    }
    if batch.record_count() != batch.offset_span() {
        return Err(Error::invalid("the batch's last offset delta does not fit its number of records"));
    }
    let plain = batch.plain()?;
    let mut expected = plain.base_offset();
    for record in plain.records() {
        let record = record?;
        if record.offset != expected {
            return Err(Error::invalid("the batch's records are not numbered one by one"));
        }
        expected = expected.plus(1);
    }
    Ok(())
}
