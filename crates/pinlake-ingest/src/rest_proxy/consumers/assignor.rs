//! Which member of a consumer group reads what: Kafka's `range` and `roundrobin` assignors, and the bytes in which members say what they
//! subscribe to and leaders what they assign (Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`), so that consumers
//! of other clients share a group with ours. What others wrote is read without believing its lengths.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use pinlake_core::{TopicName, TopicPartition};

use crate::groups::calls::{JoinedMember, Protocol};

/// Kafka's name of the kind of group.
pub(super) const PROTOCOL_TYPE: &str = "consumer";
/// Java's default, and librdkafka's.
const RANGE: &str = "range";
const ROUND_ROBIN: &str = "roundrobin";

/// What all clients read. Later versions add what these assignors do not look at.
const VERSION: i16 = 0;
const NO_USER_DATA: i32 = -1;

/// A member as an assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) topics: BTreeSet<TopicName>,
}

impl Subscriber {
    /// A member as the group tells its leader of it. What can't be read subscribes to nothing.
    pub(super) fn of(member: &JoinedMember) -> Self {
        Self {
            member_id: member.member_id.clone(),
            instance_id: member.group_instance_id.clone(),
            topics: subscribed(&member.metadata).unwrap_or_default(),
        }
    }

    /// The order in which Kafka's assignors go through members: static ones first.
    fn rank(&self) -> (bool, &str, &str) {
        (self.instance_id.is_none(), self.instance_id.as_deref().unwrap_or_default(), &self.member_id)
    }
}

/// What a member of ours offers, the assignor it likes best first.
pub(super) fn protocols(topics: &BTreeSet<TopicName>) -> Vec<Protocol> {
    let metadata = subscription(topics);
    [RANGE, ROUND_ROBIN].map(|name| Protocol { name: name.to_owned(), metadata: metadata.clone() }).to_vec()
}

/// The assignments of a leader: one for each member. `partitions` says how many each topic has; topics that are not there have none.
pub(super) fn assign(protocol: &str, members: &[Subscriber], partitions: &BTreeMap<TopicName, u32>) -> Vec<(String, Bytes)> {
    let mut members: Vec<&Subscriber> = members.iter().collect();
    members.sort_by_key(|member| member.rank());
    let assigned = if protocol == ROUND_ROBIN { round_robin(&members, partitions) } else { range(&members, partitions) };
    members.iter().zip(assigned).map(|(member, assigned)| (member.member_id.clone(), assignment(&assigned))).collect()
}

/// Of each topic, each subscriber reads a run of partitions; the first ones one more if they do not divide evenly.
fn range(members: &[&Subscriber], partitions: &BTreeMap<TopicName, u32>) -> Vec<Vec<TopicPartition>> {
    let mut assigned = vec![Vec::new(); members.len()];
    for (topic, count) in partitions {
        let readers: Vec<usize> = (0..members.len()).filter(|at| members[*at].topics.contains(topic)).collect();
        let Ok(readers_count) = u32::try_from(readers.len()) else { continue };
        let mut next = 0;
        for (turn, reader) in (0..readers_count).zip(readers) {
            let take = count / readers_count + u32::from(turn < count % readers_count);
            assigned[reader].extend((next..next + take).map(|number| topic.partition(number)));
            next += take;
        }
    }
    assigned
}

/// All partitions of all topics go round; who does not subscribe to a topic is passed over.
fn round_robin(members: &[&Subscriber], partitions: &BTreeMap<TopicName, u32>) -> Vec<Vec<TopicPartition>> {
    let mut assigned = vec![Vec::new(); members.len()];
    let mut turn = 0;
    for (topic, count) in partitions {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for number in 0..*count {
            while !members[turn % members.len()].topics.contains(topic) {
                turn += 1;
            }
            assigned[turn % members.len()].push(topic.partition(number));
            turn += 1;
        }
    }
    assigned
}

/// A subscription as bytes.
fn subscription(topics: &BTreeSet<TopicName>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    put_count(&mut out, topics.len());
    topics.iter().for_each(|topic| put_string(&mut out, topic.as_str()));
    out.put_i32(NO_USER_DATA);
    out.freeze()
}

/// An assignment as bytes. `partitions` are sorted by topic.
fn assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    let of_topics: Vec<&[TopicPartition]> = partitions.chunk_by(|one, next| one.topic == next.topic).collect();
    put_count(&mut out, of_topics.len());
    for of_topic in of_topics {
        put_string(&mut out, of_topic[0].topic.as_str());
        put_count(&mut out, of_topic.len());
        of_topic.iter().for_each(|of| out.put_u32(of.partition.0));
    }
    out.put_i32(NO_USER_DATA);
    out.freeze()
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32(u32::try_from(count).expect("a group has fewer than 2^31 of anything"));
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_u16(u16::try_from(text.len()).expect("a topic's name is short"));
    out.put_slice(text.as_bytes());
}

/// The topics of a subscription; names that no topic can have are left out. `None` if it can't be read.
fn subscribed(metadata: &[u8]) -> Option<BTreeSet<TopicName>> {
    let mut rest = metadata.get(2..)?;
    let mut topics = BTreeSet::new();
    for _ in 0..take_u32(&mut rest)? {
        topics.extend(TopicName::new(std::str::from_utf8(take_string(&mut rest)?).ok()?).ok());
    }
    Some(topics)
}

/// What an assignment says; nothing if it is empty or can't be read.
pub(in crate::rest_proxy) fn assigned(bytes: &[u8]) -> BTreeSet<TopicPartition> {
    let mut partitions = BTreeSet::new();
    // What was read before the first wrong byte is not what the leader meant.
    take_assigned(bytes, &mut partitions).map_or_else(BTreeSet::new, |()| partitions)
}

fn take_assigned(bytes: &[u8], into: &mut BTreeSet<TopicPartition>) -> Option<()> {
    let mut rest = bytes.get(2..)?;
    for _ in 0..take_u32(&mut rest)? {
        let topic = TopicName::new(std::str::from_utf8(take_string(&mut rest)?).ok()?).ok()?;
        for _ in 0..take_u32(&mut rest)? {
            into.insert(topic.partition(take_u32(&mut rest)?));
        }
    }
    Some(())
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_be_bytes(*number))
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, behind) = rest.split_first_chunk()?;
    let (text, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    *rest = behind;
    Some(text)
}
