//! The loops of a scheduler that serves: one makes steps, the others look at data, look for alerts and send what is to be told, so that none waits for another. What goes
//! wrong in one is told, and it goes on.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::upkeep::Moment;
use super::{Scheduler, triggers};
use crate::lineage::Lineage;
use crate::outbox::Sender;

/// How often it looks for what is due.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// How long one tick may take: a database that is silent is asked again.
const TICK_MAX: Duration = Duration::from_secs(60);
/// How often it is looked for what somebody should know.
const WATCH_EVERY: Duration = Duration::from_secs(5);

impl Scheduler {
    /// Runs jobs until [`Scheduler::stop`].
    pub async fn serve(&self) {
        let inner = &self.inner;
        let _serving = inner.serving.token();
        let beside = [
            self.keep_on(triggers::PART, |own| async move { own.watch_data().await }.boxed()),
            self.keep_on("looking for alerts", |own| async move { own.watch_conditions().await }.boxed()),
            self.keep_on("telling others", |own| async move { own.sender().serve().await }.boxed()),
        ];
        self.look_on().await;
        // None of them panics: that is caught within.
        let _ = futures::future::join_all(beside).await;
    }

    async fn look_on(&self) {
        let inner = &self.inner;
        while !inner.stop.is_cancelled() {
            let went_well = self.tick_or_tell().await;
            tokio::select! {
                () = inner.stop.cancelled() => break,
                () = inner.changed.notified(), if went_well => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// One tick, whatever becomes of it; answers whether it went well.
    pub(super) async fn tick_or_tell(&self) -> bool {
        const PART: &str = "looking for what is due";
        match AssertUnwindSafe(tokio::time::timeout(TICK_MAX, self.tick())).catch_unwind().await {
            Ok(Ok(Ok(()))) => {
                self.went_well(PART, "");
                return true;
            }
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the scheduler could not go on: it tries again"),
            Ok(Err(_)) => tracing::warn!(
                "the scheduler's look at what is due took more than {} s: does its database answer? it tries again",
                TICK_MAX.as_secs()
            ),
            Err(panic) => self.tell_defect(PART, "", PART, panic.as_ref()),
        }
        false
    }

    /// Looks for what somebody should know, until it is stopped.
    async fn watch_conditions(&self) {
        let mut watched = None;
        while !self.inner.stop.is_cancelled() {
            self.watch_once(&mut watched).await;
            self.pause_for(TICK).await;
        }
    }

    /// Looks for what somebody should know, if it is time for that.
    pub(super) async fn watch_once(&self, watched: &mut Option<Moment>) {
        let now = self.inner.clock.now();
        if watched.is_some_and(|at| !at.is_past(now, WATCH_EVERY)) {
            return;
        }
        *watched = Some(Moment::at(now));
        match self.inner.stop.run_until_cancelled(self.look_for_alerts(now)).await {
            Some(Ok(())) => self.went_well("looking for alerts", ""),
            Some(Err(error)) => tracing::warn!(%error, "can't look for what somebody should know: it is tried again"),
            None => {}
        }
    }

    /// Has a loop go on in a task of its own, also after a defect, until it ends by itself.
    fn keep_on(&self, part: &'static str, work: fn(Scheduler) -> BoxFuture<'static, ()>) -> JoinHandle<()> {
        let own = self.clone();
        self.inner.serving.spawn(async move {
            while let Err(panic) = AssertUnwindSafe(work(own.clone())).catch_unwind().await {
                own.tell_defect(part, "", part, panic.as_ref());
                own.pause_for(TICK).await;
            }
        })
    }

    /// Waits, but not beyond the stop.
    pub(super) async fn pause_for(&self, span: Duration) {
        let stop: &CancellationToken = &self.inner.stop;
        let _ = stop.run_until_cancelled(tokio::time::sleep(span)).await;
    }

    /// What sends alerts and lineage.
    pub(super) fn sender(&self) -> Sender {
        let inner = &self.inner;
        let mut receivers = inner.settings.receivers.clone();
        receivers.extend(inner.settings.lineage.as_ref().map(Lineage::receiver));
        let (store, clock, client, stop) = (inner.store.clone(), inner.clock.clone(), inner.client.clone(), inner.stop.clone());
        Sender { store, clock, receivers, client, stop }
    }
}
