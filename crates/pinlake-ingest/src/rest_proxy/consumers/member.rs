//! An instance as a member of its group: joins, assigns if it is to lead, stays alive, leaves when it is dropped. It must not know what is
//! read of what it is assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use std::sync::Arc;

use pinlake_core::{Log, TopicName, TopicPartition};

use super::assignor::{self, PROTOCOL_TYPE, Subscriber};
use crate::groups::calls::{GroupId, HeartbeatRequest, JoinRequest, Joined, LeavingMember, NO_GENERATION, SyncRequest};
use crate::groups::{GroupError, Groups};

/// How long the group waits for a member of ours that is silent; only the end of the server makes one silent.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the others wait for it in a rebalance.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);

/// A membership. Dropping it leaves the group.
pub(super) struct Member {
    log: Arc<dyn Log>,
    groups: Groups,
    group: GroupId,
    client_id: String,
    id: String,
    generation: i32,
    /// What it led its last generation by.
    led: Option<Led>,
}

/// What a leader assigned: the topics that members subscribe to, and how many partitions each had.
struct Led {
    topics: BTreeSet<TopicName>,
    partitions: BTreeMap<TopicName, u32>,
}

/// What a member reads in a generation.
pub(super) struct Assigned {
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// Whether it was in the group all the time: then nobody else has read what it had before and has again.
    pub(super) without_a_break: bool,
}

impl Member {
    /// Nobody yet: a member that is to join.
    pub(super) fn new(log: Arc<dyn Log>, groups: Groups, group: GroupId, client_id: String) -> Self {
        Self { log, groups, group, client_id, id: String::new(), generation: NO_GENERATION, led: None }
    }

    /// Joins, or joins again, for these topics; answers once the group has assigned.
    ///
    /// # Errors
    /// Why it can't be in the group. It is out of it then.
    pub(super) async fn join(mut self, topics: BTreeSet<TopicName>) -> (Self, Result<Assigned, GroupError>) {
        let mut without_a_break = !self.id.is_empty();
        loop {
            let joined = match self.groups.join(self.request(&topics)).await {
                Ok(joined) => joined,
                Err(GroupError::MemberIdRequired(id)) => {
                    self.id = id;
                    continue;
                }
                Err(GroupError::UnknownMember) if !self.id.is_empty() => {
                    without_a_break = false;
                    self.forget();
                    continue;
                }
                // Another call of this member has come since, or the server is about to say so: ask again.
                Err(GroupError::RebalanceInProgress) => continue,
                Err(error) => return (self, Err(error)),
            };
            (self.id, self.generation) = (joined.member_id.clone(), joined.generation);
            let sync = self.sync(&joined).await;
            match self.groups.sync(sync).await {
                Ok(synced) => {
                    let partitions = assignor::assigned(&synced.assignment);
                    return (self, Ok(Assigned { partitions, without_a_break }));
                }
                Err(GroupError::RebalanceInProgress | GroupError::IllegalGeneration) => {}
                Err(GroupError::UnknownMember) => {
                    without_a_break = false;
                    self.forget();
                }
                Err(error) => return (self, Err(error)),
            }
        }
    }

    /// Says that it is alive; an error says that it must join again.
    pub(super) fn heartbeat(&mut self) -> Result<(), GroupError> {
        let beat = self.groups.heartbeat(&HeartbeatRequest {
            group: self.group.clone(),
            generation: self.generation,
            member_id: self.id.clone(),
            group_instance_id: None,
        });
        if beat == Err(GroupError::UnknownMember) {
            self.forget();
        }
        beat
    }

    /// Who commits: generation and member id.
    pub(super) fn identity(&self) -> (i32, String) {
        (self.generation, self.id.clone())
    }

    /// Whether it leads a group whose topics have changed since it assigned, so that it must assign anew.
    pub(super) async fn must_assign_anew(&self) -> bool {
        let Some(led) = &self.led else { return false };
        partitions_of(&*self.log, &led.topics).await != led.partitions
    }

    /// Not in the group any more: nothing to leave.
    fn forget(&mut self) {
        self.id.clear();
        (self.generation, self.led) = (NO_GENERATION, None);
    }

    fn request(&self, topics: &BTreeSet<TopicName>) -> JoinRequest {
        JoinRequest {
            group: self.group.clone(),
            member_id: self.id.clone(),
            group_instance_id: None,
            require_member_id: false,
            can_skip_assignment: false,
            client_id: self.client_id.clone(),
            client_host: "rest".to_owned(),
            session_timeout: SESSION_TIMEOUT,
            rebalance_timeout: REBALANCE_TIMEOUT,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: assignor::protocols(topics),
        }
    }

    /// What asks for its assignment, and brings those of all if it leads.
    async fn sync(&mut self, joined: &Joined) -> SyncRequest {
        let mut assignments = Vec::new();
        self.led = None;
        if joined.leader == joined.member_id {
            let members: Vec<Subscriber> = joined.members.iter().map(Subscriber::of).collect();
            let topics: BTreeSet<TopicName> = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
            let partitions = partitions_of(&*self.log, &topics).await;
            assignments = assignor::assign(&joined.protocol, &members, &partitions);
            self.led = Some(Led { topics, partitions });
        }
        SyncRequest {
            group: self.group.clone(),
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
            protocol_type: Some(joined.protocol_type.clone()),
            protocol: Some(joined.protocol.clone()),
            assignments,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Without a runtime the server is at its end, and the member goes with its session.
        if !self.id.is_empty() && tokio::runtime::Handle::try_current().is_ok() {
            let leaving = LeavingMember { member_id: self.id.clone(), group_instance_id: None };
            self.groups.leave(&self.group, &[leaving]);
        }
    }
}

/// How many partitions each of these topics has; those that are not there are left out.
async fn partitions_of(log: &dyn Log, topics: &BTreeSet<TopicName>) -> BTreeMap<TopicName, u32> {
    let mut partitions = BTreeMap::new();
    for topic in topics {
        if let Ok(found) = log.topic(topic).await {
            partitions.insert(topic.clone(), found.spec.partitions);
        }
    }
    partitions
}
