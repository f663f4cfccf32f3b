//! What happens to transactions by time alone: those that take too long are aborted, an end that the log did not take is tried again, and
//! ids that nobody uses are forgotten. It decides when to look, never what becomes of a transaction.

use std::sync::{Arc, Weak};

use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::calls::TransactionalId;
use super::coordinator::Coordinator;
use super::desk::Alone;
use super::ending;
use super::metrics;
use super::transaction::Transaction;

/// The task that looks; dropping it ends it.
pub(crate) struct Upkeep(AbortHandle);

impl Upkeep {
    /// Starts the task.
    pub(crate) fn start(coordinator: &Arc<Coordinator>) -> Self {
        Self(tokio::spawn(look_now_and_then(Arc::downgrade(coordinator), coordinator.settings.check_every)).abort_handle())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look_now_and_then(coordinator: Weak<Coordinator>, every: std::time::Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(coordinator) = coordinator.upgrade() else { return };
        look(&coordinator);
    }
}

/// Begins what is due; one that is being changed is left alone until the next look.
fn look(coordinator: &Arc<Coordinator>) {
    let due: Vec<TransactionalId> = {
        let state = coordinator.store.state();
        state.all().filter(|(_, found)| is_due(coordinator, found)).map(|(id, _)| id.clone()).collect()
    };
    for id in due {
        let Some(mut alone) = coordinator.desks.of(&id).try_enter(&id) else { continue };
        if alone.tries.next_at.is_some_and(|next| Instant::now() < next) {
            continue;
        }
        let coordinator = coordinator.clone();
        tokio::spawn(async move { take_care(&coordinator, &mut alone).await });
    }
    let state = coordinator.store.state();
    metrics::observe_open(state.all().filter(|(_, found)| found.is_open()).count());
    coordinator.desks.clear(|id| state.get(id).is_some());
}

fn is_due(coordinator: &Coordinator, found: &Transaction) -> bool {
    let now = coordinator.clock.now();
    found.is_prepared().is_some() || found.is_overdue(now) || found.is_idle(coordinator.settings.retention, now)
}

async fn take_care(coordinator: &Arc<Coordinator>, alone: &mut Alone) {
    // It may have changed before nobody else could change it.
    let Some(found) = coordinator.find(&alone.id) else { return };
    let now = coordinator.clock.now();
    if found.is_prepared().is_some() {
        ending::finish(coordinator, alone).await;
    } else if found.is_overdue(now) {
        tracing::info!(id = %alone.id, timeout_ms = found.timeout_ms, "transaction took too long: it is aborted");
        // What is not stored now is due at the next look; the store says that it fails.
        if coordinator.decide(alone, found.fenced(now)).await.is_ok() {
            metrics::observe_timed_out();
        }
    } else if found.is_idle(coordinator.settings.retention, now) {
        let _ = coordinator.forget(alone).await;
    }
}
