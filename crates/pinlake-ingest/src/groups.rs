//! Consumer groups: who reads which partitions, and how far. Kafka's classic group protocol and its offsets, called by the wire
//! protocol and by the REST consumers alike.
//!
//! ```text
//! calls -> groups -> desk -> group (who is in it)
//!                 \-> offsets -> store (what must last) -> Log::append
//! ```
//!
//! Nothing here knows a wire format: requests and answers are plain data, see [`calls`].

pub mod calls;
mod desk;
mod error;
mod group;
mod measures;
mod offsets;
mod record;
mod settings;
mod state;
mod store;
mod upkeep;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pinlake_core::{Clock, Log, Result, TopicId, TopicName, TopicPartition};
use tokio::sync::oneshot;
use uuid::Uuid;

use calls::{
    CommitRequest, CommittedOffset, ForPartition, GroupDescription, GroupId, GroupLag, GroupListing, GroupState,
    HeartbeatRequest, JoinRequest, Joined, LeavingMember, NAME_LEN_MAX, SyncRequest, Synced, TransactionProducer,
};
use desk::{Caller, Desk, Desks, Waiting};
pub use error::GroupError;
pub use measures::GroupMeasures;
use record::Entry;
pub use settings::GroupSettings;

/// The topic that keeps groups and their offsets unless the settings name another: one partition, kept for ever. Nobody else may append to
/// it.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// All consumer groups. Cheap to clone; when the last clone is dropped, timers end.
#[derive(Clone)]
pub struct Groups {
    desks: Arc<Desks>,
    _upkeep: Arc<upkeep::Upkeep>,
}

impl Groups {
    /// Reads the groups from their topic, which is created if it is not there. Members that were in a group go on in it,
    /// with a whole session before they count as gone. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// The log's own.
    pub async fn open(log: Arc<dyn Log>, clock: Clock, settings: GroupSettings) -> Result<Self> {
        let store = store::open(log.clone(), clock.clone(), &settings).await?;
        let desks = Desks::open(log, clock, settings, store);
        let upkeep = Arc::new(upkeep::Upkeep::start(&desks));
        Ok(Self { desks, _upkeep: upkeep })
    }

    /// What tells this log's groups from all others: the id of their topic.
    ///
    /// # Errors
    /// The log's own.
    pub async fn topic_id(&self) -> Result<TopicId> {
        Ok(self.desks.log.topic(self.topic()).await?.id)
    }

    /// The topic that keeps them.
    pub fn topic(&self) -> &TopicName {
        &self.desks.settings.topic
    }

    /// Joins a group; answers when the generation has begun. A caller that goes away waits no longer: its member must join again.
    pub async fn join(&self, mut request: JoinRequest) -> Result<Joined, GroupError> {
        request.client_id = label(&request.client_id);
        request.client_host = label(&request.client_host);
        let begins = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let fresh_id = format!("{}-{}", label(begins), Uuid::new_v4());
        loop {
            let desk = match request.member_id.is_empty() {
                true => self.desks.find_or_create(&request.group)?,
                false => self.desks.find(&request.group).ok_or(GroupError::UnknownMember)?,
            };
            self.desks.check_room(&desk, &request)?;
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting::enter(&self.desks, &desk, Caller::Join(answer), |group, token, now| {
                // Deleted between the look-up and now: another one takes its place.
                if group.is_dead() {
                    return false;
                }
                group.join(request.clone(), &fresh_id, token, now);
                true
            });
            if let Some(waiting) = waiting {
                return waiting.answer(answered).await;
            }
        }
    }

    /// Brings or fetches assignments; answers when the leader's are durable.
    pub async fn sync(&self, request: SyncRequest) -> Result<Synced, GroupError> {
        let desk = self.desks.find(&request.group).ok_or(GroupError::UnknownMember)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting::enter(&self.desks, &desk, Caller::Sync(answer), |group, token, now| {
            group.sync(request, token, now);
            true
        });
        match waiting {
            Some(waiting) => waiting.answer(answered).await,
            None => Err(GroupError::UnknownMember),
        }
    }

    /// Keeps a member alive.
    pub fn heartbeat(&self, request: &HeartbeatRequest) -> Result<(), GroupError> {
        let desk = self.desks.find(&request.group).ok_or(GroupError::UnknownMember)?;
        self.desks.with(&desk, |at, now| at.group.heartbeat(request, now))
    }

    /// Takes members out of a group; one answer each, in their order.
    pub fn leave(&self, group: &GroupId, members: &[LeavingMember]) -> Vec<Result<(), GroupError>> {
        match self.desks.find(group) {
            Some(desk) => self.desks.with(&desk, |at, now| at.group.leave(members, now)),
            None => members.iter().map(|_| Err(GroupError::UnknownMember)).collect(),
        }
    }

    /// Commits offsets; durable when it answers. An error as a whole means that nothing was committed.
    pub async fn commit(&self, request: CommitRequest) -> Result<Vec<ForPartition<()>>, GroupError> {
        offsets::commit(&self.desks, request, None).await
    }

    /// Keeps the offsets of a transaction, durable and unseen, until [`Groups::finish_staged`]. A member is checked as in a commit
    /// if the request names one. Whoever keeps the transactions refuses producers that are fenced or have no transaction open.
    pub async fn stage_offsets(
        &self,
        producer: TransactionProducer,
        request: CommitRequest,
    ) -> Result<Vec<ForPartition<()>>, GroupError> {
        offsets::commit(&self.desks, request, Some(producer)).await
    }

    /// Commits or forgets all that a producer's transaction staged, in all groups; durable when it answers. Again, or with
    /// nothing staged, it changes nothing.
    pub async fn finish_staged(&self, producer_id: i64, commit: bool) -> Result<(), GroupError> {
        // Also with nothing staged that can be seen: what is to be finished may be on its way.
        self.desks.write(vec![Entry::Finished { producer: producer_id, commit }]).await
    }

    /// The producers whose offsets wait for [`Groups::finish_staged`].
    pub fn staged(&self) -> Vec<TransactionProducer> {
        let state = self.desks.store.state();
        state.staged().map(|(id, epoch)| TransactionProducer { id, epoch }).collect()
    }

    /// What a group has committed for these partitions, or for all. With `require_stable`, a partition whose offset an open
    /// transaction may change is answered with [`GroupError::UnstableOffset`].
    pub fn fetch(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Vec<ForPartition<Option<CommittedOffset>>> {
        offsets::fetch(&self.desks.store, group, partitions, require_stable)
    }

    /// A group and its members, or [`GroupError::GroupIdNotFound`].
    pub fn describe(&self, group: &GroupId) -> Result<GroupDescription, GroupError> {
        let desk = self.desks.find(group).ok_or(GroupError::GroupIdNotFound)?;
        Ok(self.desks.look(&desk).group.describe())
    }

    /// The groups in these states, or in any if none is named; by name.
    pub fn list(&self, states: &[GroupState]) -> Vec<GroupListing> {
        let list = |desk: Arc<Desk>| {
            let at = self.desks.look(&desk);
            GroupListing { group: desk.id.clone(), protocol_type: at.group.protocol_type().to_owned(), state: at.group.state() }
        };
        let wanted = |group: &GroupListing| states.is_empty() || states.contains(&group.state);
        let mut groups: Vec<_> = self.desks.all().into_iter().map(list).filter(wanted).collect();
        groups.sort_by(|one, other| one.group.cmp(&other.group));
        groups
    }

    /// Deletes a group without members, and its offsets; durable when it answers.
    pub async fn delete(&self, group: &GroupId) -> Result<(), GroupError> {
        let desk = self.desks.find(group).ok_or(GroupError::GroupIdNotFound)?;
        self.desks.delete(&desk).await
    }

    /// Deletes a group's offsets of partitions that none of its members reads; durable when it answers.
    pub async fn delete_offsets(
        &self,
        group: &GroupId,
        partitions: &[TopicPartition],
    ) -> Result<Vec<ForPartition<()>>, GroupError> {
        offsets::delete(&self.desks, group, partitions).await
    }

    /// Forgets all offsets of a topic that was deleted.
    pub async fn topic_deleted(&self, topic: &TopicName) -> Result<(), GroupError> {
        self.desks.write(vec![Entry::TopicDeleted { topic: topic.clone() }]).await
    }

    /// How far each group is behind in each partition that it has committed, by group and partition.
    pub async fn lag(&self) -> Vec<GroupLag> {
        offsets::lag(&self.desks).await
    }

    /// How many members each group has, by name.
    pub fn sizes(&self) -> Vec<(GroupId, usize)> {
        let size = |desk: Arc<Desk>| (desk.id.clone(), self.desks.look(&desk).group.len());
        let mut sizes: Vec<_> = self.desks.all().into_iter().map(size).collect();
        sizes.sort();
        sizes
    }
}

/// A client's text as it is shown and kept: printable, and no longer than a name.
fn label(text: &str) -> String {
    let mut label = String::new();
    for char in text.chars().filter(|char| !char.is_control()) {
        if label.len() + char.len_utf8() > NAME_LEN_MAX {
            break;
        }
        label.push(char);
    }
    label
}
