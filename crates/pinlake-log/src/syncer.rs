//! Runs the partitions' writes and syncs side by side. Syncs that overlap share the disk's flushes and the file system's journal commits,
//! which is why many dirty partitions cost about as much as one (docs/decisions/0003-sync-together.md). It must not know what is written.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pinlake_core::{Error, Result};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// The lanes in which partitions go to the disk. Threads come from the runtime and go when idle.
#[derive(Debug, Clone)]
pub(crate) struct Syncer {
    lanes: Arc<Semaphore>,
}

impl Syncer {
    /// A syncer with so many lanes.
    pub(crate) fn new(lanes: usize) -> Self {
        Self { lanes: Arc::new(Semaphore::new(lanes)) }
    }

    /// Runs `work`, which blocks on the disk, in the next free lane.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let lane = self.lanes.clone().acquire_owned().await.expect("the lanes are never closed");
        let work = move || {
            let done = work();
            drop(lane);
            done
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("a write to the disk was cut short").with_source(error))
    }
}

/// Calls `tick` on `owner` every `every`, for as long as there is an owner.
pub(crate) fn every<T, F>(every: Duration, owner: Weak<T>, tick: impl Fn(Arc<T>) -> F + Send + 'static) -> AbortHandle
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let ticks = async move {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval.tick().await;
        loop {
            interval.tick().await;
            let Some(owner) = owner.upgrade() else { break };
            tick(owner).await;
        }
    };
    tokio::spawn(ticks).abort_handle()
}
