//! What is measured now and then because no single event changes it: how far followers and consumer groups are
//! behind, and which partitions have stopped.
//! It must not change anything.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use metrics::Gauge;
use pinlake_core::{Followers, TopicPartition};
use pinlake_ingest::groups::{GroupMeasures, Groups};

use crate::server_log::ServerLog;

const EVERY: Duration = Duration::from_secs(2);

/// The gauges, and what they are measured at.
pub(crate) struct Measures {
    log: ServerLog,
    followers: Followers,
    groups: GroupMeasures,
    stopped: Gauge,
    /// What was shown last, so that what is gone is not shown behind for ever.
    lags: HashMap<(String, TopicPartition), Gauge>,
}

impl Measures {
    /// Looks the metrics up; a recorder must be installed before.
    pub(crate) fn new(log: ServerLog, followers: Followers, groups: Groups) -> Self {
        let what = "partitions that take no appends after a failed write or sync or by a defect, or damaged";
        metrics::describe_gauge!("pinlake_partitions_stopped", what);
        Self {
            log,
            followers,
            groups: GroupMeasures::new(groups),
            stopped: metrics::gauge!("pinlake_partitions_stopped"),
            lags: HashMap::new(),
        }
    }

    /// Measures until it is aborted.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            self.measure().await;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
    async fn measure(&mut self) {
        self.groups.measure().await;
        self.stopped.set(self.log.stopped_partitions() as f64);
        let mut gone = std::mem::take(&mut self.lags);
        for (key, records) in self.lags().await {
            let gauge = gone.remove(&key).unwrap_or_else(|| gauge_of(&key));
            gauge.set(records as f64);
            self.lags.insert(key, gauge);
        }
        gone.values().for_each(|gauge| gauge.set(0.0));
    }

    /// How many offsets each follower is behind in each partition that can be read.
    async fn lags(&self) -> Vec<((String, TopicPartition), u64)> {
        let mut lags = Vec::new();
        let log = self.log.shared();
        for topic in log.topics().await.unwrap_or_default() {
            for partition in 0..topic.spec.partitions {
                let of = topic.name.partition(partition);
                let positions = self.followers.positions(&of);
                if positions.is_empty() {
                    continue;
                }
                // Nobody is behind for what a transaction that is open keeps from all.
                let Ok(end) = log.stable_end(&of).await else { continue };
                for (follower, position) in positions {
                    lags.push(((follower, of.clone()), end.since(position)));
                }
            }
        }
        lags
    }
}

fn gauge_of((follower, of): &(String, TopicPartition)) -> Gauge {
    let labels = [("follower", follower.clone()), ("topic", of.topic.to_string()), ("partition", of.partition.to_string())];
    metrics::gauge!("pinlake_lag_records", &labels)
}
