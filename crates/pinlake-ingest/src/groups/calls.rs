//! What is asked of groups and what they answer: plain data, without a protocol's versions and encodings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pinlake_core::{Offset, Timestamp, TopicPartition};
use serde::{Deserialize, Serialize};

use super::error::GroupError;

/// The longest name of a group, and of a static member's instance, bytes.
pub const NAME_LEN_MAX: usize = 249;

/// The generation of a caller that is no member of its group.
pub const NO_GENERATION: i32 = -1;

/// A group's name: 1 to [`NAME_LEN_MAX`] bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(Arc<str>);

impl GroupId {
    /// Checks and takes a name, or [`GroupError::InvalidGroupId`].
    pub fn new(name: &str) -> Result<Self, GroupError> {
        if is_name(name) { Ok(Self(Arc::from(name))) } else { Err(GroupError::InvalidGroupId) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a group or an instance may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for GroupId {
    type Error = GroupError;
    fn try_from(name: String) -> Result<Self, GroupError> {
        Self::new(&name)
    }
}

impl From<GroupId> for String {
    fn from(name: GroupId) -> Self {
        name.0.to_string()
    }
}

/// A protocol (an assignor) that a member offers, and what it says to the one who assigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// The member's subscription, for the leader alone to understand.
    pub metadata: Bytes,
}

/// A member joins, or joins again.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The group.
    pub group: GroupId,
    /// The member's id; empty if it has none yet.
    pub member_id: String,
    /// The static member's instance id, if it is one.
    pub group_instance_id: Option<String>,
    /// Whether a member without an id is sent away with one first (JoinGroup from version 4 on).
    pub require_member_id: bool,
    /// Whether a static leader that comes back may be told to skip the assignment (JoinGroup from version 9 on).
    pub can_skip_assignment: bool,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// How long the member may be silent.
    pub session_timeout: Duration,
    /// How long it may take to come back to a rebalance.
    pub rebalance_timeout: Duration,
    /// The kind of group, `consumer` for consumers.
    pub protocol_type: String,
    /// What the member can be assigned by, the one it likes best first.
    pub protocols: Vec<Protocol>,
}

/// The answer to a join: a generation has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The kind of group.
    pub protocol_type: String,
    /// What all members agree on.
    pub protocol: String,
    /// Who assigns.
    pub leader: String,
    /// The id of the member that is answered.
    pub member_id: String,
    /// All members, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
    /// Whether the leader keeps the assignment that is there.
    pub skip_assignment: bool,
}

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Its instance id, if it is static.
    pub group_instance_id: Option<String>,
    /// What it says for the protocol that was chosen.
    pub metadata: Bytes,
}

/// A member asks for its assignment; the leader brings all of them.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// The group.
    pub group: GroupId,
    /// The generation that the member joined.
    pub generation: i32,
    /// The member's id.
    pub member_id: String,
    /// Its instance id, if it is static.
    pub group_instance_id: Option<String>,
    /// The kind of group, if the caller says it (SyncGroup from version 5 on).
    pub protocol_type: Option<String>,
    /// The protocol, likewise.
    pub protocol: Option<String>,
    /// Member ids and what they are assigned; empty but for the leader.
    pub assignments: Vec<(String, Bytes)>,
}

/// The answer to a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The kind of group.
    pub protocol_type: String,
    /// What was assigned by.
    pub protocol: String,
    /// What the member is assigned.
    pub assignment: Bytes,
}

/// A member says that it is alive.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest {
    /// The group.
    pub group: GroupId,
    /// The generation that the member is in.
    pub generation: i32,
    /// The member's id.
    pub member_id: String,
    /// Its instance id, if it is static.
    pub group_instance_id: Option<String>,
}

/// A member that leaves: by its id, or by its instance id alone with an empty member id.
#[derive(Debug, Clone)]
pub struct LeavingMember {
    /// The member's id; may be empty for a static member.
    pub member_id: String,
    /// The static member's instance id.
    pub group_instance_id: Option<String>,
}

/// What is committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOffset {
    /// The next offset that the group takes.
    pub offset: i64,
    /// The leader epoch of the record before; -1 for none.
    pub leader_epoch: i32,
    /// The committer's own text.
    pub metadata: String,
}

/// Offsets to commit. A consumer without a group's membership has generation [`NO_GENERATION`] and an empty member id.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The group.
    pub group: GroupId,
    /// The generation that the member is in.
    pub generation: i32,
    /// The member's id.
    pub member_id: String,
    /// Its instance id, if it is static.
    pub group_instance_id: Option<String>,
    /// What is committed.
    pub offsets: Vec<(TopicPartition, NewOffset)>,
}

/// Who sends the offsets of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionProducer {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset that the group takes.
    pub offset: Offset,
    /// The leader epoch of the record before; -1 for none.
    pub leader_epoch: i32,
    /// The committer's own text.
    pub metadata: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

/// What was answered for one partition.
pub type ForPartition<T> = (TopicPartition, Result<T, GroupError>);

/// Where a group stands between two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// No members; offsets may be there.
    Empty,
    /// Members join.
    PreparingRebalance,
    /// The leader assigns.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
    /// Deleted.
    Dead,
}

impl GroupState {
    /// Kafka's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// One group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// The group.
    pub group: GroupId,
    /// The kind of group; empty if it never had members.
    pub protocol_type: String,
    /// Its state.
    pub state: GroupState,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group.
    pub group: GroupId,
    /// Its state.
    pub state: GroupState,
    /// The kind of group; empty if it never had members.
    pub protocol_type: String,
    /// What its members agreed on; empty outside the state Stable.
    pub protocol: String,
    /// Its generation; 0 before the first.
    pub generation: i32,
    /// Its members, by id.
    pub members: Vec<MemberDescription>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its instance id, if it is static.
    pub group_instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// Its subscription; empty outside the state Stable.
    pub metadata: Bytes,
    /// What it is assigned; empty outside the state Stable.
    pub assignment: Bytes,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLag {
    /// The group.
    pub group: GroupId,
    /// The partition.
    pub of: TopicPartition,
    /// What the group committed.
    pub committed: Offset,
    /// The partition's end.
    pub end: Offset,
}

impl GroupLag {
    /// How many offsets lie between what was committed and the end.
    pub fn records(&self) -> u64 {
        self.end.since(self.committed)
    }
}
