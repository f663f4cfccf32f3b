//! Groups as their callers see them: in time that stands still until it is waited for.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use pinlake_core::{Batch, MemoryLog, Offset, Record, Timestamp, TopicSpec};
use tokio::time::Instant;

use super::calls::{NO_GENERATION, NewOffset, Protocol};
use super::*;

mod measures;
mod members;
mod offsets;
mod storm;

/// Groups on a log with the topics `t` (four partitions) and `u` (one), and what they were made with.
struct World {
    log: Arc<MemoryLog>,
    clock: Clock,
    settings: GroupSettings,
    groups: Groups,
}

impl World {
    async fn new(settings: GroupSettings) -> Self {
        let (log, clock) = (Arc::new(MemoryLog::new()), Clock::manual(Timestamp(1_000_000)));
        for (topic, partitions) in [("t", 4), ("u", 1)] {
            log.create_topic(&TopicName::new(topic).unwrap(), TopicSpec::with_partitions(partitions)).await.unwrap();
        }
        let groups = Groups::open(log.clone(), clock.clone(), settings.clone()).await.unwrap();
        Self { log, clock, settings, groups }
    }

    /// The server dies and starts again.
    async fn restart(&mut self) {
        self.groups = Groups::open(self.log.clone(), self.clock.clone(), self.settings.clone()).await.unwrap();
    }
}

fn id(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn of(topic: &str, partition: u32) -> TopicPartition {
    TopicName::new(topic).unwrap().partition(partition)
}

/// A consumer's subscription to topics, as Kafka writes it.
fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    bytes.put_i32(topics.len() as i32);
    for topic in topics {
        bytes.put_i16(topic.len() as i16);
        bytes.put_slice(topic.as_bytes());
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

/// A join of the group `g` by a consumer of `t`.
fn join(member_id: &str) -> JoinRequest {
    JoinRequest {
        group: id("g"),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        require_member_id: false,
        can_skip_assignment: false,
        client_id: "client".to_owned(),
        client_host: "127.0.0.1".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: subscription(&["t"]) }],
    }
}

/// The sync that follows an answer to a join; a leader assigns each member its own id.
fn sync(joined: &Joined) -> SyncRequest {
    let assignment = |member: &calls::JoinedMember| (member.member_id.clone(), Bytes::from(member.member_id.clone()));
    SyncRequest {
        group: id("g"),
        generation: joined.generation,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
        protocol_type: Some(joined.protocol_type.clone()),
        protocol: Some(joined.protocol.clone()),
        assignments: joined.members.iter().map(assignment).collect(),
    }
}

fn beat(joined: &Joined) -> HeartbeatRequest {
    HeartbeatRequest {
        group: id("g"),
        generation: joined.generation,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
    }
}

fn leaving(member_id: &str) -> Vec<LeavingMember> {
    vec![LeavingMember { member_id: member_id.to_owned(), group_instance_id: None }]
}

/// A commit of the group `g` by nobody in particular.
fn commit(offsets: &[(TopicPartition, i64)]) -> CommitRequest {
    let new = |(of, offset): &(TopicPartition, i64)| {
        (of.clone(), NewOffset { offset: *offset, leader_epoch: 3, metadata: format!("at {offset}") })
    };
    CommitRequest {
        group: id("g"),
        generation: NO_GENERATION,
        member_id: String::new(),
        group_instance_id: None,
        offsets: offsets.iter().map(new).collect(),
    }
}

/// What the group has committed, as numbers.
fn committed(groups: &Groups, group: &str) -> Vec<(String, i64)> {
    let answers = groups.fetch(&id(group), None, false);
    answers.into_iter().map(|(of, answer)| (of.to_string(), answer.unwrap().unwrap().offset.0)).collect()
}

async fn append(log: &MemoryLog, to: &TopicPartition, records: usize) {
    log.append(to, Batch::of(&vec![Record::of_value("x"); records], Timestamp(0)).unwrap()).await.unwrap();
}
