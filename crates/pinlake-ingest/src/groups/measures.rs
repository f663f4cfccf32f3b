//! What is measured of consumer groups now and then: how many members each has, and how far it is behind. It must not change
//! anything. Names of groups come from clients, so there is a bound on how many are shown.

use std::collections::{BTreeMap, HashMap};

use metrics::{Gauge, describe_gauge, gauge};
use pinlake_core::TopicName;

use super::Groups;
use super::calls::GroupId;

/// The most gauges of a kind; groups past it, by name, are not shown.
const SHOWN_MAX: usize = 10_000;

/// The gauges. What is gone is shown as 0, so that it is not shown behind for ever.
pub struct GroupMeasures {
    groups: Groups,
    members: HashMap<GroupId, Gauge>,
    lags: HashMap<(GroupId, TopicName), Gauge>,
}

impl GroupMeasures {
    /// Says what the numbers mean; a recorder must be installed before.
    pub fn new(groups: Groups) -> Self {
        describe_gauge!("pinlake_group_members", "members of each consumer group");
        describe_gauge!("pinlake_group_lag", "records between what a consumer group has committed of a topic and its end");
        Self { groups, members: HashMap::new(), lags: HashMap::new() }
    }

    /// Measures once.
    pub async fn measure(&mut self) {
        let sizes = self.groups.sizes().into_iter().map(|(group, members)| (group, members as u64));
        show(&mut self.members, sizes, |group| gauge!("pinlake_group_members", "group" => group.to_string()));
        let mut lags: BTreeMap<(GroupId, TopicName), u64> = BTreeMap::new();
        for lag in self.groups.lag().await {
            let records = lag.records();
            *lags.entry((lag.group, lag.of.topic)).or_default() += records;
        }
        show(
            &mut self.lags,
            lags,
            |(group, topic)| gauge!("pinlake_group_lag", "group" => group.to_string(), "topic" => topic.to_string()),
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
fn show<K: std::hash::Hash + Eq>(
    shown: &mut HashMap<K, Gauge>,
    values: impl IntoIterator<Item = (K, u64)>,
    new: impl Fn(&K) -> Gauge,
) {
    let mut gone = std::mem::take(shown);
    for (key, value) in values.into_iter().take(SHOWN_MAX) {
        let gauge = gone.remove(&key).unwrap_or_else(|| new(&key));
        gauge.set(value as f64);
        shown.insert(key, gauge);
    }
    gone.values().for_each(|gauge| gauge.set(0.0));
}
