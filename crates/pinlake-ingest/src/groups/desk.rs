//! Where a group's callers wait: each group stands behind a lock with those who wait for it. Events go in under the lock, and what the
//! group asks for is done before it is released, so that records get their places in the order of the events. Nothing here
//! decides about a group.
//!
//! Locks are taken in this order: a desk, then the list of desks, the timer or the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinlake_core::{Clock, Log};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::calls::{GroupId, JoinRequest, Joined, Synced};
use super::error::GroupError;
use super::group::{Action, Group, Purpose, Token, bytes_of};
use super::record::{Entry, StoredGroup};
use super::settings::GroupSettings;
use super::store::{Inflight, Pending, Store};
use super::upkeep::Timer;

/// All groups that are there.
pub(crate) struct Desks {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) settings: GroupSettings,
    pub(crate) store: Arc<Store>,
    pub(crate) timer: Arc<Timer>,
    desks: Mutex<HashMap<GroupId, Arc<Desk>>>,
    /// Bytes that the members of all groups take.
    bytes: AtomicUsize,
}

/// One group.
pub(crate) struct Desk {
    pub(crate) id: GroupId,
    at: Mutex<AtDesk>,
}

/// A group and who waits for it.
pub(crate) struct AtDesk {
    pub(crate) group: Group,
    /// Held by each change of the group that is on its way.
    pub(crate) inflight: Inflight,
    callers: HashMap<Token, Caller>,
    next_token: Token,
    timer_at: Option<Instant>,
    bytes: usize,
}

/// Someone who waits.
pub(crate) enum Caller {
    Join(oneshot::Sender<Result<Joined, GroupError>>),
    Sync(oneshot::Sender<Result<Synced, GroupError>>),
}

impl Desks {
    /// The groups as they were stored.
    pub(crate) fn open(log: Arc<dyn Log>, clock: Clock, settings: GroupSettings, store: Arc<Store>) -> Arc<Self> {
        let known: Vec<GroupId> = store.state().groups().cloned().collect();
        let (desks, timer) = (Mutex::default(), Arc::default());
        let desks = Arc::new(Self { log, clock, settings, store, timer, desks, bytes: AtomicUsize::new(0) });
        for group in known {
            let stored = desks.store.state().members(&group).cloned();
            desks.insert(&group, stored);
        }
        desks
    }

    pub(crate) fn find(&self, group: &GroupId) -> Option<Arc<Desk>> {
        lock(&self.desks).get(group).cloned()
    }

    /// The group, which is new if it is not there.
    pub(crate) fn find_or_create(self: &Arc<Self>, group: &GroupId) -> Result<Arc<Desk>, GroupError> {
        if let Some(desk) = self.find(group) {
            return Ok(desk);
        }
        if lock(&self.desks).len() >= self.settings.groups_max {
            return Err(GroupError::TooManyGroups);
        }
        Ok(self.insert_empty(group))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Desk>> {
        lock(&self.desks).values().cloned().collect()
    }

    /// Looks at a group, without changing it.
    pub(crate) fn look<'a>(&self, desk: &'a Desk) -> MutexGuard<'a, AtDesk> {
        lock(&desk.at)
    }

    /// Lets something happen to a group, and does what it asks for.
    pub(crate) fn with<R>(self: &Arc<Self>, desk: &Arc<Desk>, event: impl FnOnce(&mut AtDesk, Instant) -> R) -> R {
        let mut at = lock(&desk.at);
        let now = Instant::now();
        let answer = event(&mut at, now);
        self.settle(desk, &mut at, now);
        answer
    }

    /// The timer has run out for a group.
    pub(crate) fn tick(self: &Arc<Self>, group: &GroupId) {
        let Some(desk) = self.find(group) else { return };
        self.with(&desk, |at, now| {
            at.timer_at = None;
            at.group.tick(now);
        });
    }

    /// Refuses a member for which there is no memory.
    pub(crate) fn check_room(&self, desk: &Desk, request: &JoinRequest) -> Result<(), GroupError> {
        let bytes = self.bytes.load(Ordering::Relaxed) + bytes_of(request);
        let is_back = || self.look(desk).group.has(&request.member_id);
        if bytes > self.settings.members_bytes_max && !is_back() { Err(GroupError::GroupMaxSize) } else { Ok(()) }
    }

    /// Writes records that belong to no one group; durable when it answers.
    pub(crate) async fn write(&self, entries: Vec<Entry>) -> Result<(), GroupError> {
        Ok(self.store.submit(entries, Inflight::default())?.durable().await?)
    }

    /// Deletes a group without members; durable when it answers.
    pub(crate) async fn delete(self: &Arc<Self>, desk: &Arc<Desk>) -> Result<(), GroupError> {
        let pending = self.with(desk, |at, _| {
            at.group.check_delete()?;
            self.submit_delete(desk, at)
        })?;
        let outcome = pending.durable().await.map_err(GroupError::from);
        if outcome.is_err() && self.store.state().groups().any(|group| *group == desk.id) {
            // It is still there, and so it must be found.
            self.insert_empty(&desk.id);
        }
        outcome
    }

    /// Deletes a group that has no members, which the caller has checked.
    pub(crate) fn submit_delete(&self, desk: &Desk, at: &mut AtDesk) -> Result<Pending, GroupError> {
        let pending = self.store.submit(vec![Entry::GroupDeleted { group: desk.id.clone() }], at.inflight.clone())?;
        at.group.die();
        lock(&self.desks).remove(&desk.id);
        if let Some(was) = at.timer_at.take() {
            self.timer.forget(was, &desk.id);
        }
        Ok(pending)
    }

    /// A group that was deleted, or never there. Should records of it be on their way, it goes on with its generation and without
    /// its members.
    fn insert_empty(self: &Arc<Self>, group: &GroupId) -> Arc<Desk> {
        let mut stored = self.store.state().members(group).cloned();
        if let Some(stored) = &mut stored {
            stored.members.clear();
        }
        self.insert(group, stored)
    }

    fn insert(self: &Arc<Self>, group: &GroupId, stored: Option<StoredGroup>) -> Arc<Desk> {
        let (id, settings, now) = (group.clone(), self.settings.clone(), Instant::now());
        let machine = match stored {
            Some(stored) => Group::restore(id, settings, stored, now),
            None => Group::new(id, settings),
        };
        let desk = lock(&self.desks).entry(group.clone()).or_insert_with(|| Arc::new(Desk::new(group.clone(), machine))).clone();
        // Its members' sessions run from now on.
        self.with(&desk, |_, _| ());
        desk
    }

    fn settle(self: &Arc<Self>, desk: &Arc<Desk>, at: &mut AtDesk, now: Instant) {
        loop {
            let actions = at.group.take_actions();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                match action {
                    Action::Joined(token, answer) => at.answer_join(token, answer),
                    Action::Synced(token, answer) => at.answer_sync(token, answer),
                    Action::Store(stored, purpose) => self.store(desk, at, stored, purpose, now),
                }
            }
        }
        let bytes = at.group.bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(std::mem::replace(&mut at.bytes, bytes), Ordering::Relaxed);
        // A deadline that moved back is found out when the timer runs out.
        if let Some(next) = at.group.deadline().filter(|next| at.timer_at.is_none_or(|set| *next < set)) {
            self.timer.set(at.timer_at.replace(next), next, &desk.id);
        }
    }

    fn store(self: &Arc<Self>, desk: &Arc<Desk>, at: &mut AtDesk, stored: StoredGroup, purpose: Purpose, now: Instant) {
        tracing::debug!(group = %desk.id, generation = stored.generation, members = stored.members.len(), "group changed");
        let entry = Entry::Group { group: desk.id.clone(), at_ms: self.clock.now().0, members: stored };
        match self.store.submit(vec![entry], at.inflight.clone()) {
            Ok(pending) => {
                let (desks, desk) = (self.clone(), desk.clone());
                tokio::spawn(async move {
                    let outcome = pending.durable().await.map_err(GroupError::from);
                    desks.with(&desk, |at, now| at.stored(purpose, outcome, now));
                });
            }
            Err(error) => at.stored(purpose, Err(error.into()), now),
        }
    }
}

impl Desk {
    fn new(id: GroupId, group: Group) -> Self {
        let (inflight, callers) = (Inflight::default(), HashMap::new());
        Self { id, at: Mutex::new(AtDesk { group, inflight, callers, next_token: 0, timer_at: None, bytes: 0 }) }
    }
}

impl AtDesk {
    /// Whether a change is on its way.
    pub(crate) fn has_inflight(&self) -> bool {
        Arc::strong_count(&self.inflight) > 1
    }

    fn enter(&mut self, caller: Caller) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        self.callers.insert(token, caller);
        token
    }

    fn stored(&mut self, purpose: Purpose, outcome: Result<(), GroupError>, now: Instant) {
        match purpose {
            Purpose::Assignments(generation) => self.group.stored(generation, outcome, now),
            Purpose::Replacement(token, joined) => self.answer_join(token, outcome.map(|()| joined)),
            // If that failed, its last members are gone again soon after a restart.
            Purpose::Emptied => {}
        }
    }

    // Whoever went away needs no answer.
    fn answer_join(&mut self, token: Token, answer: Result<Joined, GroupError>) {
        if let Some(Caller::Join(caller)) = self.callers.remove(&token) {
            let _ = caller.send(answer);
        }
    }

    fn answer_sync(&mut self, token: Token, answer: Result<Synced, GroupError>) {
        if let Some(Caller::Sync(caller)) = self.callers.remove(&token) {
            let _ = caller.send(answer);
        }
    }
}

/// A caller at a desk. When it is dropped before its answer, the group is told that nobody waits any more.
pub(crate) struct Waiting {
    desks: Arc<Desks>,
    desk: Arc<Desk>,
    token: Token,
}

impl Waiting {
    /// Enters a caller and hands its request to the group; `None` if that says that it did not take it.
    pub(crate) fn enter(
        desks: &Arc<Desks>,
        desk: &Arc<Desk>,
        caller: Caller,
        request: impl FnOnce(&mut Group, Token, Instant) -> bool,
    ) -> Option<Self> {
        let token = desks.with(desk, |at, now| {
            let token = at.enter(caller);
            let taken = request(&mut at.group, token, now);
            if !taken {
                at.callers.remove(&token);
            }
            taken.then_some(token)
        })?;
        Some(Self { desks: desks.clone(), desk: desk.clone(), token })
    }

    /// Waits for the group's answer.
    pub(crate) async fn answer<T>(self, answered: oneshot::Receiver<Result<T, GroupError>>) -> Result<T, GroupError> {
        answered.await.unwrap_or(Err(GroupError::CoordinatorNotAvailable))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.desks.with(&self.desk, |at, now| {
            if at.callers.remove(&self.token).is_some() {
                at.group.abandon(self.token, now);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
