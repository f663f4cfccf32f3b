//! What is forgotten with old runs: alerts that are over, backfills, definitions, triggers, and what was to be told to those who are no longer told.

use std::collections::HashSet;

use pinlake_core::{Result, Timestamp};

use super::{Scheduler, triggers};
use crate::lineage::Lineage;
use crate::outbox;

impl Scheduler {
    /// Forgets what is older than runs are kept.
    pub(super) async fn forget_old(&self, before: Timestamp, now: Timestamp) -> Result<()> {
        let inner = &self.inner;
        let jobs = inner.store.jobs().await?;
        let defined = jobs.iter().filter(|job| !job.gone);
        let triggers: HashSet<String> =
            defined.flat_map(|job| job.spec.triggers.iter().map(|trigger| triggers::name_of(job.id, trigger))).collect();
        let mut receivers: Vec<String> = inner.settings.receivers.iter().map(|receiver| receiver.name.clone()).collect();
        receivers.extend(inner.settings.lineage.as_ref().map(|_| Lineage::name().to_owned()));
        let mut change = inner.store.change().await?;
        change.forget_old(before).await?;
        change.forget_seen(before, &triggers).await?;
        // Nobody sends it, and nobody would any more.
        let given_up = change.forget_letters(outbox::given_up_before(now), &receivers).await?;
        change.commit().await?;
        if given_up > 0 {
            tracing::warn!(given_up, "notices for receivers that are no longer configured are given up");
        }
        Ok(())
    }
}
