//! Consumer groups: who reads which partitions, and how far. Kafka's classic group protocol and its offsets, called by the wire
//! protocol and by the REST consumers alike.
//!
//! ```text
//! calls -> group (who is in it) -> store (what must last) -> Log::append
//! ```
//!
//! Nothing here knows a wire format: requests and answers are plain data, see [`calls`].

pub mod calls;
mod error;
#[allow(dead_code, reason = "x")] mod group;
#[allow(dead_code)] mod record;
mod settings;

use std::sync::Arc;

use pinlake_core::{Clock, Log, Result, TopicName, TopicPartition};

use calls::{
    CommitRequest, CommittedOffset, ForPartition, GroupDescription, GroupId, GroupLag, GroupListing, GroupState,
    HeartbeatRequest, JoinRequest, Joined, LeavingMember, SyncRequest, Synced, TransactionProducer,
};
pub use error::GroupError;
pub use settings::GroupSettings;

/// The topic that keeps groups and their offsets: one partition, kept for ever. Nobody else may append to it.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// All consumer groups. Cheap to clone.
#[derive(Clone)]
pub struct Groups {
    log: Arc<dyn Log>,
}

impl Groups {
    /// Reads the groups from [`OFFSETS_TOPIC`], which is created if it is not there. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// The log's own.
    pub async fn open(log: Arc<dyn Log>, _clock: Clock, _settings: GroupSettings) -> Result<Self> {
        Ok(Self { log })
    }

    /// Joins a group; answers when the generation has begun. A caller that goes away has not joined.
    pub async fn join(&self, _request: JoinRequest) -> Result<Joined, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Brings or fetches assignments; answers when the leader's are durable.
    pub async fn sync(&self, _request: SyncRequest) -> Result<Synced, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Keeps a member alive.
    pub fn heartbeat(&self, _request: &HeartbeatRequest) -> Result<(), GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Takes members out of a group; one answer each, in their order.
    pub fn leave(&self, _group: &GroupId, _members: &[LeavingMember]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Commits offsets; durable when it answers.
    pub async fn commit(&self, _request: CommitRequest) -> Result<Vec<ForPartition<()>>, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Keeps the offsets of a transaction, durable and unseen, until [`Groups::finish_staged`]. Members are checked as in a
    /// commit if the request names one.
    pub async fn stage_offsets(
        &self,
        _producer: TransactionProducer,
        _request: CommitRequest,
    ) -> Result<Vec<ForPartition<()>>, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// Commits or forgets all that a producer's transaction staged, in all groups; durable when it answers. Again, or with
    /// nothing staged, it changes nothing.
    pub async fn finish_staged(&self, _producer_id: i64, _commit: bool) -> Result<(), GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// What a group has committed for these partitions, or for all. With `require_stable`, a partition whose offset an open
    /// transaction may change is answered with [`GroupError::UnstableOffset`].
    pub fn fetch(
        &self,
        _group: &GroupId,
        _partitions: Option<&[TopicPartition]>,
        _require_stable: bool,
    ) -> Result<Vec<ForPartition<Option<CommittedOffset>>>, GroupError> {
        Err(GroupError::CoordinatorLoading)
    }

    /// A group and its members, or [`GroupError::GroupIdNotFound`].
    pub fn describe(&self, _group: &GroupId) -> Result<GroupDescription, GroupError> {
        Err(GroupError::GroupIdNotFound)
    }

    /// The groups in these states, or in any if none is named; by name.
    pub fn list(&self, _states: &[GroupState]) -> Vec<GroupListing> {
        Vec::new()
    }

    /// Deletes a group without members, and its offsets; durable when it answers.
    pub async fn delete(&self, _group: &GroupId) -> Result<(), GroupError> {
        Err(GroupError::GroupIdNotFound)
    }

    /// Deletes a group's offsets of partitions that none of its members reads; durable when it answers.
    pub async fn delete_offsets(
        &self,
        _group: &GroupId,
        _partitions: &[TopicPartition],
    ) -> Result<Vec<ForPartition<()>>, GroupError> {
        Err(GroupError::GroupIdNotFound)
    }

    /// Forgets all offsets of a topic that was deleted.
    pub async fn topic_deleted(&self, _topic: &TopicName) -> Result<(), GroupError> {
        Ok(())
    }

    /// How far each group is behind in each partition that it has committed, by group and partition.
    pub async fn lag(&self) -> Vec<GroupLag> {
        let _ = &self.log;
        Vec::new()
    }
}
