//! What happens to groups by time alone: members that are not heard of any more, offsets that nobody needs, topics that are gone.
//! It decides when to look, never what becomes of a group.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pinlake_core::ErrorKind;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::calls::GroupId;
use super::desk::{Desk, Desks};
use super::error::GroupError;
use super::record::Entry;

/// When which group is looked at next: one moment a group.
#[derive(Default)]
pub(crate) struct Timer {
    due: Mutex<BTreeSet<(Instant, GroupId)>>,
    sooner: Notify,
}

/// The tasks that wait; dropping it ends them.
pub(crate) struct Upkeep(Vec<AbortHandle>);

impl Timer {
    /// Moves a group from one moment to another.
    pub(crate) fn set(&self, was: Option<Instant>, next: Instant, group: &GroupId) {
        if let Some(was) = was {
            self.forget(was, group);
        }
        let mut due = self.due();
        let is_first = due.first().is_none_or(|(first, _)| next < *first);
        due.insert((next, group.clone()));
        drop(due);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Looks at a group no more.
    pub(crate) fn forget(&self, was: Instant, group: &GroupId) {
        self.due().remove(&(was, group.clone()));
    }

    /// Waits until a group is due, and takes all that are.
    async fn wait(&self) -> Vec<GroupId> {
        loop {
            let first = self.due().first().map(|(at, _)| *at);
            match first {
                None => self.sooner.notified().await,
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.sooner.notified()).await;
                }
            }
            let now = Instant::now();
            let mut due = self.due();
            let mut groups = Vec::new();
            while due.first().is_some_and(|(at, _)| *at <= now) {
                groups.extend(due.pop_first().map(|(_, group)| group));
            }
            if !groups.is_empty() {
                return groups;
            }
        }
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<(Instant, GroupId)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upkeep {
    /// Starts the tasks.
    pub(crate) fn start(desks: &Arc<Desks>) -> Self {
        let timer = tokio::spawn(tick(desks.timer.clone(), Arc::downgrade(desks)));
        let checks = tokio::spawn(check_now_and_then(Arc::downgrade(desks), desks.settings.check_every));
        Self(vec![timer.abort_handle(), checks.abort_handle()])
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn tick(timer: Arc<Timer>, desks: Weak<Desks>) {
    loop {
        let groups = timer.wait().await;
        let Some(desks) = desks.upgrade() else { return };
        groups.iter().for_each(|group| desks.tick(group));
    }
}

async fn check_now_and_then(desks: Weak<Desks>, every: std::time::Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        let Some(desks) = desks.upgrade() else { return };
        if let Err(error) = check(&desks).await {
            tracing::warn!("not all of the consumer groups were looked through for what may go: {error}");
        }
    }
}

/// Lets go of what is no longer needed.
pub(crate) async fn check(desks: &Arc<Desks>) -> Result<(), GroupError> {
    forget_deleted_topics(desks).await?;
    for desk in desks.all() {
        let pending = desks.with(&desk, |at, _| {
            // What is on its way is younger than what can be seen here, and must not go with it.
            if !at.group.is_idle() || at.has_inflight() {
                return Ok(None);
            }
            let (expired, is_bare) = what_expired(desks, &desk);
            if is_bare {
                return desks.submit_delete(&desk, at).map(Some);
            }
            if expired.is_empty() {
                return Ok(None);
            }
            let entry = Entry::OffsetsDeleted { group: desk.id.clone(), partitions: expired };
            Ok(Some(desks.store.submit(vec![entry], at.inflight.clone())?))
        })?;
        if let Some(pending) = pending {
            pending.durable().await?;
        }
    }
    Ok(())
}

/// The offsets of a group that may go, and whether nothing is left of it then.
fn what_expired(desks: &Desks, desk: &Desk) -> (Vec<pinlake_core::TopicPartition>, bool) {
    let state = desks.store.state();
    let expired = state.expired(&desk.id, desks.clock.now(), desks.settings.offsets_retention);
    let is_bare = expired.len() == state.all_committed(&desk.id).count() && !state.has_staged(&desk.id);
    (expired, is_bare)
}

async fn forget_deleted_topics(desks: &Desks) -> Result<(), GroupError> {
    // Asked before the log is: a topic that is made in between has no offsets here yet.
    let known = desks.store.state().topics();
    for topic in known {
        if desks.log.topic(&topic).await.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            desks.write(vec![Entry::TopicDeleted { topic }]).await?;
        }
    }
    Ok(())
}
