//! How a group comes from one generation to the next. See the state machine, whose other half this is.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::member::Member;
use super::{Action, Group, Purpose, Token};
use crate::groups::calls::{GroupState, JoinRequest, Joined, JoinedMember, Synced};
use crate::groups::error::GroupError;

/// Where a group stands, and what it waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Empty,
    /// Members join until `until`. With `latest` they are a group's first, and more are waited for until then at most.
    Preparing {
        until: Instant,
        latest: Option<Instant>,
    },
    /// The leader assigns; `storing` once it has. Members that have not asked by `sync_by` are taken out.
    Completing {
        storing: bool,
        sync_by: Instant,
    },
    Stable {
        sync_by: Option<Instant>,
    },
    Dead,
}

impl Phase {
    pub(super) fn state(self) -> GroupState {
        match self {
            Self::Empty => GroupState::Empty,
            Self::Preparing { .. } => GroupState::PreparingRebalance,
            Self::Completing { .. } => GroupState::CompletingRebalance,
            Self::Stable { .. } => GroupState::Stable,
            Self::Dead => GroupState::Dead,
        }
    }
}

impl Group {
    /// The assignments of a generation are durable, or could not be made so.
    pub(crate) fn stored(&mut self, generation: i32, outcome: Result<(), GroupError>, now: Instant) {
        let Phase::Completing { storing: true, sync_by } = self.phase else { return };
        if generation != self.generation {
            return;
        }
        if let Err(error) = outcome {
            self.answer_syncs(&error, now);
            self.prepare(now);
            self.settle(now);
            return;
        }
        self.phase = Phase::Stable { sync_by: Some(sync_by) };
        let (protocol_type, protocol) = (&self.protocol_type, self.protocol.clone().unwrap_or_default());
        for member in self.members.values_mut() {
            let Some(caller) = member.syncing.take() else { continue };
            member.touch(now);
            let assignment = member.assignment.clone();
            let answer = Synced { protocol_type: protocol_type.clone(), protocol: protocol.clone(), assignment };
            self.actions.push(Action::Synced(caller, Ok(answer)));
        }
    }

    /// Begins a rebalance, if none has begun.
    pub(super) fn prepare(&mut self, now: Instant) {
        let settings = &self.settings;
        self.phase = match self.phase {
            Phase::Preparing { .. } | Phase::Dead => return,
            Phase::Empty if settings.initial_delay.is_zero() => Phase::Preparing { until: now, latest: Some(now) },
            Phase::Empty => Phase::Preparing {
                until: now + settings.initial_delay,
                latest: Some(now + settings.initial_delay.max(settings.initial_delay_max)),
            },
            Phase::Completing { .. } | Phase::Stable { .. } => {
                Phase::Preparing { until: now + self.rebalance_timeout(), latest: None }
            }
        };
        self.answer_syncs(&GroupError::RebalanceInProgress, now);
    }

    /// One more came: others may follow.
    pub(super) fn wait_for_more(&mut self, now: Instant) {
        if let Phase::Preparing { until, latest: Some(latest) } = &mut self.phase {
            *until = (now + self.settings.initial_delay).min(*latest);
        }
    }

    /// Members were taken out if there were more `before`: what is left finds itself anew.
    pub(super) fn settle_after_removal(&mut self, before: usize, now: Instant) {
        if self.members.len() < before {
            self.prepare(now);
        }
        self.settle(now);
    }

    /// Ends the waiting for members if all are there or the time is over.
    pub(super) fn settle(&mut self, now: Instant) {
        let Phase::Preparing { latest, .. } = self.phase else { return };
        let all = self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        let nobody = self.members.is_empty() && self.pending.is_empty();
        let over = self.joined_by().is_some_and(|by| now >= by);
        if over || nobody || (all && latest.is_none()) {
            self.complete(now);
        }
    }

    /// When a rebalance waits no longer for members.
    pub(super) fn joined_by(&self) -> Option<Instant> {
        match self.phase {
            // Whoever was just told its id is about to come.
            Phase::Preparing { latest: Some(latest), .. } if !self.pending.is_empty() => Some(latest),
            Phase::Preparing { until, .. } => Some(until),
            _ => None,
        }
    }

    /// When members that have not asked for their assignment are taken out.
    pub(super) fn sync_by(&self) -> Option<Instant> {
        match self.phase {
            Phase::Completing { storing: false, sync_by } => Some(sync_by),
            Phase::Stable { sync_by } => sync_by,
            _ => None,
        }
    }

    /// A static member has started again: it goes on under a new id, and whoever still uses the old one is fenced.
    pub(super) fn replace(&mut self, old_id: &str, request: JoinRequest, id: &str, caller: Token, now: Instant) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        self.refuse(&member, &GroupError::FencedInstance);
        (member.joining, member.syncing, member.is_nameless) = (None, None, false);
        member.touch(now);
        self.members.insert(id.to_owned(), member);
        self.instances.extend(request.group_instance_id.clone().map(|instance| (instance, id.to_owned())));
        let leader_before = self.leader.clone();
        if leader_before.as_deref() == Some(old_id) {
            self.leader = Some(id.to_owned());
        }
        let can_skip = request.can_skip_assignment;
        self.update(id, request, None);
        if matches!(self.phase, Phase::Stable { .. }) && self.select_protocol() == self.protocol {
            // The assignment stays as it is, also if the leader changed nothing but its id. A leader that knows no better way is
            // told that its old self leads, so that it does not assign.
            let mut joined = self.joined(id);
            joined.skip_assignment = can_skip && !joined.members.is_empty();
            if !can_skip {
                joined.members.clear();
                joined.leader = leader_before.unwrap_or_default();
            }
            self.actions.push(Action::Store(self.to_store(), Purpose::Replacement(caller, joined)));
            return;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.joining = Some(caller);
        }
        self.prepare(now);
    }

    /// Tells a member again what generation it is in.
    pub(super) fn answer_joined(&mut self, id: &str, caller: Token) {
        let joined = self.joined(id);
        self.actions.push(Action::Joined(caller, Ok(joined)));
    }

    fn complete(&mut self, now: Instant) {
        let is_late = |member: &Member| member.joining.is_none() && member.instance.is_none();
        self.members.retain(|_, member| !is_late(member));
        if !self.members.is_empty() && !self.elect() {
            // Only static members are left, and none has come back: their sessions decide.
            self.phase = Phase::Preparing { until: now + self.rebalance_timeout(), latest: None };
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            (self.protocol, self.leader) = (None, None);
            self.actions.push(Action::Store(self.to_store(), Purpose::Emptied));
        } else {
            self.begin(now);
        }
    }

    /// Keeps the leader if it is there, or takes another member that is.
    fn elect(&mut self) -> bool {
        let is_there = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(is_there) {
            self.leader = self.members.keys().find(|id| is_there(id)).cloned();
        }
        self.leader.is_some()
    }

    fn begin(&mut self, now: Instant) {
        self.protocol = self.select_protocol();
        self.phase = Phase::Completing { storing: false, sync_by: now + self.rebalance_timeout() };
        let mut callers = Vec::new();
        for (id, member) in &mut self.members {
            member.synced = false;
            member.assignment.clear();
            if let Some(caller) = member.joining.take() {
                member.is_nameless = false;
                member.touch(now);
                callers.push((id.clone(), caller));
            }
        }
        for (id, caller) in callers {
            self.answer_joined(&id, caller);
        }
    }

    fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(id);
        let member = |(id, member): (&String, &Member)| JoinedMember {
            member_id: id.clone(),
            group_instance_id: member.instance.clone(),
            metadata: member.metadata(&protocol),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members: if leads { self.members.iter().map(member).collect() } else { Vec::new() },
            skip_assignment: false,
            protocol,
        }
    }

    /// The protocol that all members offer and most like best; of equals, the one that comes first by name.
    fn select_protocol(&self) -> Option<String> {
        let mut votes: HashMap<&str, usize> = HashMap::new();
        let is_common = |name: &str| self.members.values().all(|member| member.offers(name));
        let common: Vec<&str> = self.members.values().next()?.protocols().filter(|name| is_common(name)).collect();
        for member in self.members.values() {
            if let Some(vote) = member.protocols().find(|name| common.contains(name)) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name))).map(|(name, _)| name.to_owned())
    }

    fn answer_syncs(&mut self, why: &GroupError, now: Instant) {
        for member in self.members.values_mut() {
            if let Some(caller) = member.syncing.take() {
                member.touch(now);
                self.actions.push(Action::Synced(caller, Err(why.clone())));
            }
        }
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }
}
