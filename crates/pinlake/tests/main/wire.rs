//! The server as a client of Kafka's wire protocol meets it, one call after the other. A call answers what it was told, or that the server is gone; a
//! server that runs and does not answer is a failure of the test.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey,
    CreateTopicsRequest, CreateTopicsResponse, EndTxnRequest, EndTxnResponse, FetchRequest, FetchResponse, GroupId,
    InitProducerIdRequest, InitProducerIdResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, ProduceRequest, ProduceResponse, ProducerId, TopicName as WireName, TransactionalId,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use pinlake_core::Batch;
use pinlake_ingest::testing::wire::{self, Client};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server that runs may take to an answer: far more than it ever needs, so that a hang has a name.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How long a transaction may stay open: longer than any server is away.
const TRANSACTION_TIMEOUT_MS: i32 = 120_000;

/// Why a call brought nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server is not there, or went away in the middle: what was asked is done or not.
    Gone(io::Error),
    /// Kafka's code of the refusal.
    Refused(i16),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Gone(error) => write!(f, "the server is gone: {error}"),
            Trouble::Refused(code) => write!(f, "refused with {code}"),
        }
    }
}

pub(crate) type Told<T> = Result<T, Trouble>;

fn told(code: i16) -> Told<()> {
    if code == 0 { Ok(()) } else { Err(Trouble::Refused(code)) }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn name(topic: &str) -> WireName {
    WireName(text(topic))
}

/// A producer's id and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A topic's name and a partition.
pub(crate) type Place = (String, i32);

/// What a fetch of one partition brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// All of it, or what a consumer of committed records takes.
    pub(crate) batches: Vec<Batch>,
    /// Where the next fetch begins.
    pub(crate) next: i64,
    pub(crate) high_watermark: i64,
}

/// Whether open and aborted transactions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    Uncommitted,
    Committed,
}

/// One connection.
pub(crate) struct Wire {
    client: Client,
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> Told<Wire> {
        let stream = TcpStream::connect(address).await.map_err(Trouble::Gone)?;
        stream.set_nodelay(true).unwrap();
        Ok(Wire { client: Client::over(stream) })
    }

    pub(crate) async fn call<A: Decodable>(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> Told<A> {
        let correlation = self.client.try_send(key, version, request).await.map_err(Trouble::Gone)?;
        self.answer(key, version, correlation).await
    }

    async fn answer<A: Decodable>(&mut self, key: ApiKey, version: i16, correlation: i32) -> Told<A> {
        let answer = timeout(ANSWER_WAIT, self.client.try_receive(key, version, correlation)).await;
        answer.unwrap_or_else(|_| panic!("{key:?} is not answered within {ANSWER_WAIT:?}")).map_err(Trouble::Gone)
    }

    pub(crate) async fn create_topic(&mut self, topic: &str, partitions: i32) -> Told<()> {
        let new = CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(10_000);
        let answer: CreateTopicsResponse = self.call(ApiKey::CreateTopics, 7, &request).await?;
        told(answer.topics[0].error_code)
    }

    /// Takes up a producer id, that of a transactional id if one is named.
    pub(crate) async fn init_producer(&mut self, transactional: Option<&str>) -> Told<Who> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(transactional.map(|id| TransactionalId(text(id))))
            .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer: InitProducerIdResponse = self.call(ApiKey::InitProducerId, 4, &request).await?;
        told(answer.error_code)?;
        Ok(Who { id: answer.producer_id.0, epoch: answer.producer_epoch })
    }

    /// Sends a batch, to be acknowledged by all; [`Wire::produced`] takes the answers in order.
    pub(crate) async fn send_batch(
        &mut self,
        topic: &str,
        partition: i32,
        transactional: Option<&str>,
        batch: &Batch,
    ) -> Told<i32> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.bytes().clone()));
        let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional.map(|id| TransactionalId(text(id))))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        self.client.try_send(ApiKey::Produce, 9, &request).await.map_err(Trouble::Gone)
    }

    /// Where a batch that was sent begins in its partition.
    pub(crate) async fn produced(&mut self, correlation: i32) -> Told<i64> {
        let answer: ProduceResponse = self.answer(ApiKey::Produce, 9, correlation).await?;
        let partition = &answer.responses[0].partition_responses[0];
        told(partition.error_code)?;
        Ok(partition.base_offset)
    }

    pub(crate) async fn produce(&mut self, topic: &str, partition: i32, batch: &Batch) -> Told<i64> {
        let sent = self.send_batch(topic, partition, None, batch).await?;
        self.produced(sent).await
    }

    pub(crate) async fn add_partitions(&mut self, id: &str, who: Who, topic: &str, partitions: Vec<i32>) -> Told<()> {
        let topic = AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(partitions);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_producer_id(ProducerId(who.id))
            .with_v3_and_below_producer_epoch(who.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer: AddPartitionsToTxnResponse = self.call(ApiKey::AddPartitionsToTxn, 3, &request).await?;
        let topics = answer.results_by_topic_v3_and_below.iter();
        topics.flat_map(|topic| &topic.results_by_partition).try_for_each(|result| told(result.partition_error_code))
    }

    /// Stages an offset of a group as part of a transaction.
    pub(crate) async fn stage_offset(&mut self, id: &str, who: Who, group: &str, place: &Place, offset: i64) -> Told<()> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(who.id))
            .with_producer_epoch(who.epoch)
            .with_group_id(GroupId(text(group)));
        let answer: AddOffsetsToTxnResponse = self.call(ApiKey::AddOffsetsToTxn, 3, &request).await?;
        told(answer.error_code)?;
        let partition = TxnOffsetCommitRequestPartition::default().with_partition_index(place.1).with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name(&place.0)).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(GroupId(text(group)))
            .with_producer_id(ProducerId(who.id))
            .with_producer_epoch(who.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        let answer: TxnOffsetCommitResponse = self.call(ApiKey::TxnOffsetCommit, 3, &request).await?;
        told(answer.topics[0].partitions[0].error_code)
    }

    pub(crate) async fn end_transaction(&mut self, id: &str, who: Who, commits: bool) -> Told<()> {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(who.id))
            .with_producer_epoch(who.epoch)
            .with_committed(commits);
        let answer: EndTxnResponse = self.call(ApiKey::EndTxn, 3, &request).await?;
        told(answer.error_code)
    }

    /// Reads some of a partition from an offset on; waits for `wait_ms` where nothing is there.
    pub(crate) async fn fetch(&mut self, place: &Place, at: i64, isolation: Isolation, wait_ms: i32) -> Told<Fetched> {
        let partition = FetchPartition::default().with_partition(place.1).with_fetch_offset(at).with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic(name(&place.0)).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(8 << 20)
            .with_isolation_level(i8::from(isolation == Isolation::Committed))
            .with_topics(vec![topic]);
        let answer: FetchResponse = self.call(ApiKey::Fetch, 11, &request).await?;
        told(answer.error_code)?;
        let found = &answer.responses[0].partitions[0];
        told(found.error_code)?;
        let mut batches = wire::batches(found.records.clone().unwrap_or_default());
        let next = batches.last().map_or(at, |batch| batch.offsets().end.0);
        if isolation == Isolation::Committed {
            batches = wire::committed(batches, found.aborted_transactions.clone().unwrap_or_default());
        }
        Ok(Fetched { batches, next, high_watermark: found.high_watermark })
    }

    /// Commits offsets of a group, as a member of a generation or, with -1, as nobody's.
    pub(crate) async fn commit(
        &mut self,
        group: &str,
        generation: i32,
        member: &StrBytes,
        offsets: &BTreeMap<Place, i64>,
    ) -> Told<()> {
        let topics = offsets.iter().map(|((topic, partition), offset)| {
            let partition =
                OffsetCommitRequestPartition::default().with_partition_index(*partition).with_committed_offset(*offset);
            OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition])
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(member.clone())
            .with_topics(topics.collect());
        let answer: OffsetCommitResponse = self.call(ApiKey::OffsetCommit, 7, &request).await?;
        answer.topics.iter().flat_map(|topic| &topic.partitions).try_for_each(|partition| told(partition.error_code))
    }

    /// What a group has committed for a partition, -1 for nothing; refused while a transaction holds an offset of it.
    pub(crate) async fn committed(&mut self, group: &str, place: &Place) -> Told<i64> {
        let topic = OffsetFetchRequestTopic::default().with_name(name(&place.0)).with_partition_indexes(vec![place.1]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic]))
            .with_require_stable(true);
        let answer: OffsetFetchResponse = self.call(ApiKey::OffsetFetch, 7, &request).await?;
        told(answer.error_code)?;
        let partition = &answer.topics[0].partitions[0];
        told(partition.error_code)?;
        Ok(partition.committed_offset)
    }

    /// The values of a whole partition with their offsets, as a consumer sees them now.
    pub(crate) async fn read_all(&mut self, place: &Place, isolation: Isolation) -> Vec<(i64, Bytes)> {
        let (mut at, mut found) = (0, Vec::new());
        loop {
            let fetched =
                self.fetch(place, at, isolation, 0).await.unwrap_or_else(|trouble| panic!("{place:?} at {at}: {trouble}"));
            found.extend(values(&fetched.batches));
            if fetched.next == at {
                assert_eq!(at, fetched.high_watermark, "{place:?} is readable to its end");
                return found;
            }
            at = fetched.next;
        }
    }
}

/// The values of batches with their offsets.
pub(crate) fn values(batches: &[Batch]) -> impl Iterator<Item = (i64, Bytes)> {
    batches.iter().flat_map(|batch| {
        let plain = batch.plain().unwrap();
        let value = |record: pinlake_core::Result<pinlake_core::RecordView<'_>>| {
            let record = record.unwrap();
            (record.offset.0, Bytes::copy_from_slice(record.value.unwrap()))
        };
        plain.records().map(value).collect::<Vec<_>>()
    })
}
