//! What is shown of groups.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::*;

/// Gauges by name and labels.
#[derive(Default)]
struct Gauges(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Gauges {
    fn shown(&self) -> Vec<String> {
        let shown =
            |(name, value): (&String, &Arc<AtomicU64>)| format!("{name} {}", f64::from_bits(value.load(Ordering::Relaxed)));
        self.0.lock().unwrap().iter().map(shown).collect()
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Gauge::from_arc(self.0.lock().unwrap().entry(name).or_default().clone())
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn members_and_lag_are_shown_and_what_is_gone_is_shown_as_none() {
    let gauges = Gauges::default();
    let _recorder = metrics::set_default_local_recorder(&gauges);
    let world = World::new(GroupSettings::default()).await;
    let mut measures = GroupMeasures::new(world.groups.clone());
    append(&world.log, &of("t", 0), 10).await;
    append(&world.log, &of("t", 1), 10).await;
    world.groups.commit(commit(&[(of("t", 0), 4), (of("t", 1), 7), (of("u", 0), 0)])).await.unwrap();
    let joined = world.groups.join(join("")).await.unwrap();
    measures.measure().await;
    assert_eq!(gauges.shown(), ["pinlake_group_lag g t 9", "pinlake_group_lag g u 0", "pinlake_group_members g 1"]);
    world.groups.leave(&id("g"), &leaving(&joined.member_id));
    world.groups.delete(&id("g")).await.unwrap();
    measures.measure().await;
    assert_eq!(gauges.shown(), ["pinlake_group_lag g t 0", "pinlake_group_lag g u 0", "pinlake_group_members g 0"]);
}
