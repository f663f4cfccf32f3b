//! One group as a state machine: calls and the passing of time come in, answers and what must last come out.
//!
//! ```text
//! Empty -> PreparingRebalance (members join) -> CompletingRebalance (the leader assigns) -> Stable -> PreparingRebalance ...
//! ```
//!
//! It follows Kafka's classic group coordinator with KIP-345 (static members), KIP-394 (a member id before a membership) and
//! KIP-559 (protocol type and name in a sync). It must not look at a clock, wait, or touch the log: the time is an argument, a
//! waiting caller is a [`Token`], and what must be durable is an [`Action`] whose outcome is told to [`Group::stored`].

mod admit;
mod member;
mod rebalance;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::calls::{
    CommitRequest, GroupDescription, GroupId, GroupState, HeartbeatRequest, JoinRequest, Joined, LeavingMember, SyncRequest,
    Synced,
};
use super::error::GroupError;
use super::record::StoredGroup;
use super::settings::GroupSettings;
use member::Member;
pub(crate) use member::bytes_of;
use rebalance::Phase;

/// A caller that waits for an answer.
pub(crate) type Token = u64;

/// The kind of groups whose subscriptions are understood.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";
/// How long a member that does not know its id may wait for its first generation: it can't say that it is alive.
const FIRST_JOIN_MAX: Duration = Duration::from_secs(5 * 60);

/// What the machine asks for.
#[derive(Debug)]
pub(crate) enum Action {
    /// Answer a caller of [`Group::join`].
    Joined(Token, Result<Joined, GroupError>),
    /// Answer a caller of [`Group::sync`].
    Synced(Token, Result<Synced, GroupError>),
    /// Make the group durable as it is here.
    Store(StoredGroup, Purpose),
}

/// What follows once a group is durable.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Tell [`Group::stored`], which hands out this generation's assignments.
    Assignments(i32),
    /// Answer a join of a static member that took over from itself.
    Replacement(Token, Joined),
    /// Nothing: the group is empty.
    Emptied,
}

/// One group. After each call the caller takes the [`Action`]s and asks for the next [`Group::deadline`].
#[derive(Debug)]
pub(crate) struct Group {
    id: GroupId,
    settings: GroupSettings,
    phase: Phase,
    generation: i32,
    protocol_type: String,
    /// What the members of this generation agreed on.
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Instance ids of static members, and their member ids.
    instances: HashMap<String, String>,
    /// Member ids that were given out and not joined with, and when they are forgotten.
    pending: BTreeMap<String, Instant>,
    actions: Vec<Action>,
}

impl Group {
    /// A group without members.
    pub(crate) fn new(id: GroupId, settings: GroupSettings) -> Self {
        Self {
            id,
            settings,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// The group as it was stored: its members have a whole session to be heard of again.
    pub(crate) fn restore(id: GroupId, settings: GroupSettings, stored: StoredGroup, now: Instant) -> Self {
        let mut group = Self::new(id, settings);
        group.generation = stored.generation;
        group.protocol_type = stored.protocol_type;
        if stored.members.is_empty() {
            return group;
        }
        group.protocol = stored.protocol;
        group.leader = stored.leader;
        for member in stored.members {
            let (id, member) = Member::restore(member, now);
            if let Some(instance) = &member.instance {
                group.instances.insert(instance.clone(), id.clone());
            }
            group.members.insert(id, member);
        }
        group.phase = Phase::Stable { sync_by: None };
        group
    }

    /// A member joins; `fresh_id` is its id if it has none yet. The answer is an action, at once or later.
    pub(crate) fn join(&mut self, request: JoinRequest, fresh_id: &str, caller: Token, now: Instant) {
        if let Err(error) = self.try_join(request, fresh_id, caller, now) {
            self.actions.push(Action::Joined(caller, Err(error)));
        }
        self.settle(now);
    }

    /// A member asks for its assignment; the leader brings all. The answer is an action, at once or later.
    pub(crate) fn sync(&mut self, request: SyncRequest, caller: Token, now: Instant) {
        if let Err(error) = self.try_sync(request, caller, now) {
            self.actions.push(Action::Synced(caller, Err(error)));
        }
    }

    /// A member is alive.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: Instant) -> Result<(), GroupError> {
        let member = self.member_of(&request.member_id, request.group_instance_id.as_deref(), Some(request.generation))?;
        member.touch(now);
        match self.phase {
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Members leave; one answer each, in their order.
    pub(crate) fn leave(&mut self, members: &[LeavingMember], now: Instant) -> Vec<Result<(), GroupError>> {
        let before = self.members.len();
        let answers = members.iter().map(|member| self.leave_one(member)).collect();
        self.settle_after_removal(before, now);
        answers
    }

    /// Whether offsets may be committed so. A member that commits is alive. `transactional` commits need not name a member.
    pub(crate) fn check_commit(&mut self, request: &CommitRequest, transactional: bool, now: Instant) -> Result<(), GroupError> {
        if self.is_dead() {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let names_member = request.generation >= 0 || !request.member_id.is_empty() || request.group_instance_id.is_some();
        if !names_member {
            let free = transactional || matches!(self.phase, Phase::Empty);
            return if free { Ok(()) } else { Err(GroupError::UnknownMember) };
        }
        let member = self.member_of(&request.member_id, request.group_instance_id.as_deref(), Some(request.generation))?;
        member.touch(now);
        match self.phase {
            // The member will find out by its next heartbeat; what it read so far is its own.
            Phase::Completing { .. } if !transactional => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether it may be deleted: it has no members.
    pub(crate) fn check_delete(&self) -> Result<(), GroupError> {
        match self.phase {
            Phase::Empty => Ok(()),
            Phase::Dead => Err(GroupError::GroupIdNotFound),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// It was deleted. Nobody waits for it: it has no members.
    pub(crate) fn die(&mut self) {
        self.phase = Phase::Dead;
        self.pending.clear();
    }

    /// A caller of [`Group::join`] or [`Group::sync`] has gone away and hears no answer.
    pub(crate) fn abandon(&mut self, caller: Token, now: Instant) {
        let waits = |member: &Member| member.joining == Some(caller) || member.syncing == Some(caller);
        let Some((id, member)) = self.members.iter_mut().find(|(_, member)| waits(member)) else { return };
        (member.joining, member.syncing) = (None, None);
        member.synced = false;
        member.touch(now);
        if member.is_nameless {
            let (id, before) = (id.clone(), self.members.len());
            self.remove(&id);
            self.settle_after_removal(before, now);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.pending.retain(|_, until| now < *until);
        let late = self.sync_by().is_some_and(|by| now >= by);
        let gone = |member: &Member| member.is_expired(now) || (late && !member.synced);
        let before = self.members.len();
        let ids: Vec<String> = self.members.iter().filter(|(_, member)| gone(member)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.remove(&id);
        }
        if late && let Phase::Stable { sync_by } = &mut self.phase {
            *sync_by = None;
        }
        self.settle_after_removal(before, now);
    }

    /// When the next [`Group::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(Member::deadline);
        let own = self.joined_by().or(self.sync_by());
        members.chain(self.pending.values().copied()).chain(own).min()
    }

    /// What is to be done, in this order.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Its state.
    pub(crate) fn state(&self) -> GroupState {
        self.phase.state()
    }

    /// Whether it was deleted.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dead)
    }

    /// Whether nobody is in it or about to come.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Empty) && self.pending.is_empty()
    }

    /// What kind of group it is; empty before its first member.
    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    /// Whether a member of that id is in it or about to come.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.members.contains_key(id) || self.pending.contains_key(id)
    }

    /// How many members it has.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes that its members take.
    pub(crate) fn bytes(&self) -> usize {
        self.members.values().map(Member::bytes).sum()
    }

    /// Whether offsets of its partitions may be deleted one by one: `None` if none may, as nobody knows what its members read.
    pub(crate) fn reads(&self, topic: &str) -> Option<bool> {
        match self.phase {
            Phase::Empty | Phase::Dead => Some(false),
            _ if self.protocol_type != CONSUMER_PROTOCOL_TYPE => None,
            _ => Some(self.members.values().any(|member| member.reads(topic))),
        }
    }

    /// The group and its members.
    pub(crate) fn describe(&self) -> GroupDescription {
        let protocol = self.protocol.as_deref().filter(|_| matches!(self.phase, Phase::Stable { .. }));
        GroupDescription {
            group: self.id.clone(),
            state: self.state(),
            protocol_type: self.protocol_type.clone(),
            protocol: protocol.unwrap_or_default().to_owned(),
            generation: self.generation,
            members: self.members.iter().map(|(id, member)| member.describe(id, protocol)).collect(),
        }
    }

    fn try_join(&mut self, request: JoinRequest, fresh_id: &str, caller: Token, now: Instant) -> Result<(), GroupError> {
        if self.is_dead() {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_request(&request)?;
        let instance = request.group_instance_id.as_deref();
        let own = instance.and_then(|instance| self.instances.get(instance)).cloned();
        self.check_room(&request, own.as_deref())?;
        match (request.member_id.as_str(), own) {
            ("", Some(old_id)) => self.replace(&old_id, request, fresh_id, caller, now),
            ("", None) if request.require_member_id && instance.is_none() => {
                self.pending.insert(fresh_id.to_owned(), now + request.session_timeout);
                return Err(GroupError::MemberIdRequired(fresh_id.to_owned()));
            }
            ("", None) => self.add(fresh_id, request, caller, now),
            (id, None) if instance.is_none() && self.pending.contains_key(id) => {
                let id = id.to_owned();
                self.pending.remove(&id);
                self.add(&id, request, caller, now);
            }
            _ => self.rejoin(request, caller, now)?,
        }
        Ok(())
    }

    fn add(&mut self, id: &str, request: JoinRequest, caller: Token, now: Instant) {
        self.protocol_type.clone_from(&request.protocol_type);
        if let Some(instance) = &request.group_instance_id {
            self.instances.insert(instance.clone(), id.to_owned());
        }
        self.members.insert(id.to_owned(), Member::new(request, caller, now + FIRST_JOIN_MAX));
        self.prepare(now);
        self.wait_for_more(now);
    }

    /// A member that is in the group joins again.
    fn rejoin(&mut self, request: JoinRequest, caller: Token, now: Instant) -> Result<(), GroupError> {
        let id = request.member_id.clone();
        let is_leader = self.leader.as_deref() == Some(&id);
        let member = self.member_of(&id, request.group_instance_id.as_deref(), None)?;
        member.touch(now);
        let same = member.offers_exactly(&request.protocols);
        match self.phase {
            Phase::Empty | Phase::Dead => return Err(GroupError::UnknownMember),
            // It may not have heard the answer. A leader that comes back to a stable group wants a new assignment.
            Phase::Completing { .. } if same => self.answer_joined(&id, caller),
            Phase::Stable { .. } if same && !is_leader => self.answer_joined(&id, caller),
            _ => {
                self.update(&id, request, Some(caller));
                self.prepare(now);
            }
        }
        Ok(())
    }

    fn update(&mut self, id: &str, request: JoinRequest, caller: Option<Token>) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.protocol_type.clone_from(&request.protocol_type);
        member.update(request);
        // Two callers for one member: the earlier one has been given up by its client.
        if let Some(earlier) = std::mem::replace(&mut member.joining, caller) {
            self.actions.push(Action::Joined(earlier, Err(GroupError::RebalanceInProgress)));
        }
    }

    fn try_sync(&mut self, request: SyncRequest, caller: Token, now: Instant) -> Result<(), GroupError> {
        let protocol_type = self.protocol_type.clone();
        let protocol = self.protocol.clone().unwrap_or_default();
        let is_leader = self.leader.as_deref() == Some(&request.member_id);
        let member = self.member_of(&request.member_id, request.group_instance_id.as_deref(), Some(request.generation))?;
        if request.protocol_type.is_some_and(|named| named != protocol_type)
            || request.protocol.is_some_and(|named| named != protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        member.touch(now);
        match &self.phase {
            Phase::Empty | Phase::Dead => Err(GroupError::UnknownMember),
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Stable { .. } => {
                let member = self.member_of(&request.member_id, None, None)?;
                member.synced = true;
                let assignment = member.assignment.clone();
                self.actions.push(Action::Synced(caller, Ok(Synced { protocol_type, protocol, assignment })));
                Ok(())
            }
            Phase::Completing { storing, .. } => {
                let assigns = is_leader && !storing;
                if assigns {
                    self.assign(request.assignments)?;
                }
                let member = self.member_of(&request.member_id, None, None)?;
                member.synced = true;
                if let Some(earlier) = member.syncing.replace(caller) {
                    self.actions.push(Action::Synced(earlier, Err(GroupError::RebalanceInProgress)));
                }
                Ok(())
            }
        }
    }

    fn leave_one(&mut self, leaving: &LeavingMember) -> Result<(), GroupError> {
        let instance = leaving.group_instance_id.as_deref();
        if instance.is_none() && self.pending.remove(&leaving.member_id).is_some() {
            return Ok(());
        }
        let id = match instance {
            Some(instance) if leaving.member_id.is_empty() => {
                self.instances.get(instance).ok_or(GroupError::UnknownMember)?.clone()
            }
            _ => leaving.member_id.clone(),
        };
        self.member_of(&id, instance, None)?;
        self.remove(&id);
        Ok(())
    }

    /// The member of that id, if its instance is its own and, where one is named, the generation is the group's.
    fn member_of(&mut self, id: &str, instance: Option<&str>, generation: Option<i32>) -> Result<&mut Member, GroupError> {
        if self.is_dead() {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(current) if current != id => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        let member = self.members.get_mut(id).ok_or(GroupError::UnknownMember)?;
        if generation.is_some_and(|named| named != self.generation) {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(member)
    }

    /// Takes a member out; whoever waits for it is told.
    fn remove(&mut self, id: &str) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        self.leader.take_if(|leader| leader == id);
        self.refuse(&member, &GroupError::UnknownMember);
    }

    fn refuse(&mut self, member: &Member, why: &GroupError) {
        self.actions.extend(member.joining.map(|caller| Action::Joined(caller, Err(why.clone()))));
        self.actions.extend(member.syncing.map(|caller| Action::Synced(caller, Err(why.clone()))));
    }

    /// Takes the leader's assignments; they are handed out once they are durable.
    fn assign(&mut self, assignments: Vec<(String, Bytes)>) -> Result<(), GroupError> {
        let mut assignments: HashMap<String, Bytes> = assignments.into_iter().collect();
        assignments.retain(|id, _| self.members.contains_key(id));
        let bytes: usize = assignments.values().map(Bytes::len).sum();
        if self.bytes() + bytes > self.settings.group_bytes_max {
            return Err(GroupError::InvalidRequest("the assignments of all members take too many bytes: use fewer members"));
        }
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        if let Phase::Completing { storing, .. } = &mut self.phase {
            *storing = true;
        }
        self.actions.push(Action::Store(self.to_store(), Purpose::Assignments(self.generation)));
        Ok(())
    }

    fn to_store(&self) -> StoredGroup {
        StoredGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.iter().map(|(id, member)| member.to_store(id)).collect(),
        }
    }
}
