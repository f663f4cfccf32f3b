//! Where a partition begins and ends, where a time is, and what is let go: ListOffsets and DeleteRecords.

use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use pinlake_core::log::check_trim;
use pinlake_core::{Offset, OffsetRange, Result, Timestamp, TopicPartition};

use super::cluster::{Cluster, wire_name, wire_partition};
use super::error::Failure;
use super::retry::Attempts;

/// No broker asks.
const CONSUMER: BrokerId = BrokerId(-1);
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Whose end is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// That of all records.
    Uncommitted,
    /// That of what is decided.
    Committed,
}

/// The offsets that can be read now.
pub(super) async fn range(cluster: &Cluster, of: &TopicPartition) -> Result<OffsetRange> {
    range_within(cluster, &cluster.attempts(), of).await
}

/// The same within the time of a call that is under way.
pub(super) async fn range_within(cluster: &Cluster, attempts: &Attempts, of: &TopicPartition) -> Result<OffsetRange> {
    let start = list(cluster, of, EARLIEST, Isolation::Uncommitted);
    let end = list(cluster, of, LATEST, Isolation::Uncommitted);
    let both = async { tokio::try_join!(start, end).map_err(Failure::Fatal) };
    let (start, end) = attempts.in_time(both).await.map_err(Failure::into_error)?;
    // Between the two the start may have moved.
    Ok(OffsetRange { start, end: end.max(start) })
}

/// The first offset that is not decided.
pub(super) async fn stable_end(cluster: &Cluster, of: &TopicPartition) -> Result<Offset> {
    list(cluster, of, LATEST, Isolation::Committed).await
}

/// The first offset at or after a time; the end if there is none.
pub(super) async fn at_time(cluster: &Cluster, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
    // Times below 0 are the protocol's words for something else.
    let found = list(cluster, of, time.0.max(0), Isolation::Uncommitted).await?;
    if found < Offset::ZERO { list(cluster, of, LATEST, Isolation::Uncommitted).await } else { Ok(found) }
}

/// Lets go of what lies before an offset; answers the first that is kept.
pub(super) async fn trim(cluster: &Cluster, of: &TopicPartition, before: Offset) -> Result<Offset> {
    check_trim(of, before, range(cluster, of).await?.end)?;
    let partition = DeleteRecordsPartition::default().with_partition_index(wire_partition(of)?).with_offset(before.0);
    let topic = DeleteRecordsTopic::default().with_name(wire_name(&of.topic)).with_partitions(vec![partition]);
    let timeout_ms = i32::try_from(cluster.options().answer_timeout.as_millis() * 4 / 5).unwrap_or(i32::MAX);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms);
    let kept = cluster.ask_leader(of, "the trim", &request, |answer| {
        let partition = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
        Some((partition.error_code, Offset(partition.low_watermark)))
    });
    Ok(kept.await?.max(before))
}

async fn list(cluster: &Cluster, of: &TopicPartition, time: i64, isolation: Isolation) -> Result<Offset> {
    let partition = ListOffsetsPartition::default().with_partition_index(wire_partition(of)?).with_timestamp(time);
    let topic = ListOffsetsTopic::default()
        .with_name(wire_name(&of.topic))
        .with_partitions(vec![partition.with_current_leader_epoch(-1)]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(CONSUMER)
        .with_isolation_level(i8::from(isolation == Isolation::Committed))
        .with_topics(vec![topic]);
    let listed = cluster.ask_leader(of, "the end or a time", &request, |answer| {
        let partition = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
        Some((partition.error_code, Offset(partition.offset)))
    });
    listed.await
}
