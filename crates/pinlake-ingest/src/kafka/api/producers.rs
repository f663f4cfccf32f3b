//! Producers: InitProducerId and DescribeProducers.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProducerId;
use kafka_protocol::messages::describe_producers_request::DescribeProducersRequest;
use kafka_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState as WireProducer, TopicResponse,
};
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use pinlake_core::Offset;
use pinlake_core::producers::ProducerState;

use super::{Call, partition_of};
use crate::groups::calls::TransactionProducer;
use crate::kafka::error;
use crate::transactions::TransactionError;
use crate::transactions::calls::{InitRequest, TransactionalId};

/// InitProducerId from this version on knows PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 4;
/// Unknown, for numbers.
const UNKNOWN: i64 = -1;

/// A producer's id, never given twice; or for a transactional id, the next epoch of its producer.
pub(super) async fn init_producer_id(call: &Call<'_>, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    match init(call, request).await {
        Ok(producer) => {
            InitProducerIdResponse::default().with_producer_id(ProducerId(producer.id)).with_producer_epoch(producer.epoch)
        }
        Err(error) => {
            let code = if call.request.version >= KNOWS_FENCED { error.code() } else { error.old_code() };
            InitProducerIdResponse::default().with_error_code(code).with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
        }
    }
}

async fn init(call: &Call<'_>, request: &InitProducerIdRequest) -> Result<TransactionProducer, TransactionError> {
    let Some(id) = &request.transactional_id else { return call.broker.transactions.new_producer().await };
    let expected = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => {
            return Err(TransactionError::InvalidRequest("a producer id and its epoch are sent together or not at all"));
        }
        (id, epoch) => Some(TransactionProducer { id, epoch }),
    };
    let timeout_ms = i64::from(request.transaction_timeout_ms);
    call.broker.transactions.init(InitRequest { id: TransactionalId::new(id)?, timeout_ms, expected }).await
}

/// The producers that a partition remembers.
pub(super) async fn describe_producers(call: &Call<'_>, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut seen = HashSet::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for number in topic.partition_indexes {
            // A partition may have many producers: they are told once, however often it is named.
            if !seen.insert((topic.name.clone(), number)) {
                continue;
            }
            let response = PartitionResponse::default().with_partition_index(number);
            let found = match partition_of(&topic.name, number) {
                Some(of) => call.broker.log().producers(&of).await.map_err(|error| error::code(&error)),
                None => Err(ResponseError::UnknownTopicOrPartition.code()),
            };
            partitions.push(match found {
                Ok(producers) => response.with_active_producers(producers.iter().map(described).collect()),
                Err(code) => response.with_error_code(code),
            });
        }
        topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn described((producer, open): &(ProducerState, Option<Offset>)) -> WireProducer {
    let last = |(first, offsets): &(i32, pinlake_core::OffsetRange)| {
        let count = i32::try_from(offsets.len()).unwrap_or(i32::MAX);
        first.wrapping_add(count).wrapping_sub(1) & i32::MAX
    };
    WireProducer::default()
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(i32::from(producer.epoch))
        .with_last_sequence(producer.recent.last().map_or(-1, last))
        .with_last_timestamp(UNKNOWN)
        .with_coordinator_epoch(0)
        .with_current_txn_start_offset(open.map_or(UNKNOWN, |first| first.0))
}
