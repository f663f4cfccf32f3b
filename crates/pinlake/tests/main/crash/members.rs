//! A consumer group of two members: it reads committed records and commits how far it has come. What it was told is committed is there after every kill;
//! what it has read stays as it was read, and in the end it has read everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as Assigned;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, ConsumerProtocolAssignment, ConsumerProtocolSubscription, GroupId, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::clients::{NUMBERED, Patience, Shared, TRANSACTED, places};
use crate::wire::{Isolation, Place, Told, Trouble, Wire, name, text, values};

const GROUP: &str = "crash-readers";
/// How long the group waits for a member that does not come back.
const SESSION_MS: i32 = 10_000;
/// How long a read waits where nothing is there.
const WAIT_MS: i32 = 10;
/// Kafka's codes after which a member joins again, and the one after which it does so as a new one.
const JOIN_AGAIN: [i16; 3] = [22, 25, 27];
const UNKNOWN_MEMBER: i16 = 25;
/// The answer to the first JoinGroup, which brings the member's id.
const ID_FIRST: i16 = 79;

/// What the group's members were told and have read, all of them together.
#[derive(Default)]
pub(super) struct Standing(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The last offset that a commit was acknowledged for, or that the server has told.
    told: BTreeMap<Place, i64>,
    /// The largest offset that a commit was sent for.
    sent: BTreeMap<Place, i64>,
    read: BTreeMap<Place, BTreeMap<i64, Bytes>>,
    /// Where the partitions end, once that is known.
    ends: Option<BTreeMap<Place, i64>>,
}

impl Standing {
    /// Lets the members end once they have committed these.
    pub(super) fn end_at(&self, ends: BTreeMap<Place, i64>) {
        self.0.lock().unwrap().ends = Some(ends);
    }

    fn is_at_end(&self) -> bool {
        let known = self.0.lock().unwrap();
        known.ends.as_ref().is_some_and(|ends| *ends == known.told)
    }

    fn told(&self, place: &Place) -> i64 {
        self.0.lock().unwrap().told.get(place).copied().unwrap_or(-1)
    }

    /// The server tells `offset`, when `before` was told already.
    fn tell(&self, place: &Place, before: i64, offset: i64) {
        let known = &mut *self.0.lock().unwrap();
        let sent = known.sent.get(place).copied().unwrap_or(-1);
        assert!((before..=sent).contains(&offset), "the group stands at {offset} in {place:?}, between {before} and {sent}");
        known.tell(place, offset);
    }

    /// A record that was read before is the same.
    fn read(&self, place: &Place, found: impl Iterator<Item = (i64, Bytes)>) {
        let known = &mut *self.0.lock().unwrap();
        let read = known.read.entry(place.clone()).or_default();
        for (offset, value) in found {
            let before = read.entry(offset).or_insert_with(|| value.clone());
            assert_eq!(*before, value, "{place:?} at {offset} is read again as it was");
        }
    }

    /// The group has read exactly what is there, and stands where it was told.
    pub(super) async fn check(&self, wire: &mut Wire, place: &Place, found: &[(i64, Bytes)]) {
        let read = self.0.lock().unwrap().read.get(place).cloned().unwrap_or_default();
        assert!(
            read.iter().map(|(at, value)| (*at, value.clone())).eq(found.iter().cloned()),
            "the group read what is in {place:?}"
        );
        assert_eq!(wire.committed(GROUP, place).await.unwrap(), self.told(place), "{place:?}");
    }
}

impl Known {
    fn tell(&mut self, place: &Place, offset: i64) {
        let told = self.told.entry(place.clone()).or_insert(offset);
        *told = offset.max(*told);
    }
}

/// One member, which works until the group has read to the end.
pub(super) async fn read(shared: Arc<Shared>, standing: Arc<Standing>) {
    let mut patience = Patience::new(shared.clone());
    let mut wire = shared.connect().await;
    let mut member = Member::default();
    let mut lives = 0_u64;
    while !standing.is_at_end() {
        match member.work(&mut wire, &shared, &standing).await {
            Ok(()) => patience.renew(),
            Err(Trouble::Refused(code)) if JOIN_AGAIN.contains(&code) => {
                let id = if code == UNKNOWN_MEMBER { StrBytes::new() } else { member.id };
                member = Member { id, ..Member::default() };
            }
            Err(trouble) => {
                wire = patience.after("a member", trouble).await;
                lives += 1;
                // A consumer goes on as the member that it was; one that was started anew is another.
                member.positions = None;
                member.leaves = lives.is_multiple_of(3);
            }
        }
    }
}

#[derive(Default)]
struct Member {
    id: StrBytes,
    /// Its generation and partitions, if it has joined.
    joined: Option<(i32, Vec<Place>)>,
    /// Where it reads on.
    positions: Option<BTreeMap<Place, i64>>,
    /// It is to leave, and to join as another.
    leaves: bool,
}

impl Member {
    /// Joins if it has not, reads what is there, and commits it.
    async fn work(&mut self, wire: &mut Wire, shared: &Shared, standing: &Standing) -> Told<()> {
        if self.leaves {
            leave(wire, &self.id).await?;
            *self = Member::default();
        }
        let (generation, places) = match &self.joined {
            Some(joined) => joined.clone(),
            None => self.joined.insert(join(wire, &mut self.id).await?).clone(),
        };
        let positions = match &mut self.positions {
            Some(positions) => positions,
            None => self.positions.insert(positions(wire, &places, standing).await?),
        };
        let mut moved = BTreeMap::new();
        for (place, position) in positions.iter_mut() {
            let fetched = wire.fetch(place, *position, Isolation::Committed, WAIT_MS).await?;
            standing.read(place, values(&fetched.batches));
            if fetched.next > *position {
                *position = fetched.next;
                moved.insert(place.clone(), fetched.next);
            }
        }
        if !moved.is_empty() {
            let known = |change: &dyn Fn(&mut Known, &Place, i64)| {
                let known = &mut *standing.0.lock().unwrap();
                moved.iter().for_each(|(place, offset)| change(known, place, *offset));
            };
            known(&|known, place, offset| {
                let sent = known.sent.entry(place.clone()).or_insert(offset);
                *sent = offset.max(*sent);
            });
            wire.commit(GROUP, generation, &self.id, &moved).await?;
            known(&|known, place, offset| known.tell(place, offset));
            shared.told.send_modify(|told| told.commits += 1);
        }
        self.heartbeat(wire, generation).await
    }

    async fn heartbeat(&self, wire: &mut Wire, generation: i32) -> Told<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(generation)
            .with_member_id(self.id.clone());
        let answer: HeartbeatResponse = wire.call(ApiKey::Heartbeat, 4, &request).await?;
        if answer.error_code == 0 { Ok(()) } else { Err(Trouble::Refused(answer.error_code)) }
    }
}

/// Where a member reads on, which must be where the group stands.
async fn positions(wire: &mut Wire, places: &[Place], standing: &Standing) -> Told<BTreeMap<Place, i64>> {
    let mut positions = BTreeMap::new();
    for place in places {
        let before = standing.told(place);
        let offset = wire.committed(GROUP, place).await?;
        standing.tell(place, before, offset);
        positions.insert(place.clone(), offset.max(0));
    }
    Ok(positions)
}

async fn leave(wire: &mut Wire, id: &StrBytes) -> Told<()> {
    let member = MemberIdentity::default().with_member_id(id.clone());
    let request = LeaveGroupRequest::default().with_group_id(GroupId(text(GROUP))).with_members(vec![member]);
    let answer: LeaveGroupResponse = wire.call(ApiKey::LeaveGroup, 5, &request).await?;
    match answer.error_code {
        0 => Ok(()),
        code => Err(Trouble::Refused(code)),
    }
}

/// The generation and the partitions that are the member's.
async fn join(wire: &mut Wire, id: &mut StrBytes) -> Told<(i32, Vec<Place>)> {
    let subscription = ConsumerProtocolSubscription::default().with_topics(vec![text(NUMBERED), text(TRANSACTED)]);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(versioned(&subscription));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_session_timeout_ms(SESSION_MS)
        .with_rebalance_timeout_ms(SESSION_MS)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let joined: JoinGroupResponse = loop {
        let joined: JoinGroupResponse = wire.call(ApiKey::JoinGroup, 5, &request.clone().with_member_id(id.clone())).await?;
        match joined.error_code {
            0 => break joined,
            ID_FIRST => *id = joined.member_id,
            code => return Err(Trouble::Refused(code)),
        }
    };
    let members: Vec<StrBytes> = joined.members.iter().map(|member| member.member_id.clone()).collect();
    let request = SyncGroupRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_generation_id(joined.generation_id)
        .with_member_id(id.clone())
        .with_assignments(assignments(&members));
    let synced: SyncGroupResponse = wire.call(ApiKey::SyncGroup, 4, &request).await?;
    if synced.error_code != 0 {
        return Err(Trouble::Refused(synced.error_code));
    }
    Ok((joined.generation_id, assigned(synced.assignment)))
}

/// Each partition goes to one of the members; only the leader is told of any.
fn assignments(members: &[StrBytes]) -> Vec<SyncGroupRequestAssignment> {
    let of_member = |(at, id): (usize, &StrBytes)| {
        let own = places().filter(|(_, partition)| *partition as usize % members.len() == at);
        let assigned =
            own.map(|(topic, partition)| Assigned::default().with_topic(name(&topic)).with_partitions(vec![partition]));
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(assigned.collect());
        SyncGroupRequestAssignment::default().with_member_id(id.clone()).with_assignment(versioned(&assignment))
    };
    members.iter().enumerate().map(of_member).collect()
}

fn assigned(mut assignment: Bytes) -> Vec<Place> {
    let version = i16::from_be_bytes(assignment.split_to(2)[..].try_into().unwrap());
    let assignment = ConsumerProtocolAssignment::decode(&mut assignment, version).unwrap();
    let of_topic =
        |assigned: Assigned| assigned.partitions.into_iter().map(move |partition| (assigned.topic.to_string(), partition));
    assignment.assigned_partitions.into_iter().flat_map(of_topic).collect()
}

/// A message of the consumers' own, behind its version.
fn versioned(message: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    message.encode(&mut bytes, 0).unwrap();
    bytes.freeze()
}
