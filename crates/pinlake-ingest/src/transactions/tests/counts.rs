//! What transactions count.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::*;

/// Counters and gauges by name.
#[derive(Default)]
struct Numbers {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Numbers {
    /// Begun, committed, aborted, timed out, open.
    fn shown(&self) -> [u64; 5] {
        let (counters, gauges) = (self.counters.lock().unwrap(), self.gauges.lock().unwrap());
        let count = |name: &str| counters[&format!("pinlake_transactions_{name}_total")].load(Ordering::Relaxed);
        let open = f64::from_bits(gauges["pinlake_transactions_open"].load(Ordering::Relaxed));
        [count("begun"), count("committed"), count("aborted"), count("timed_out"), open as u64]
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.counters.lock().unwrap().entry(key.name().to_owned()).or_default().clone())
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.gauges.lock().unwrap().entry(key.name().to_owned()).or_default().clone())
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn transactions_are_counted_once_each_and_those_that_are_open_now() {
    let numbers = Numbers::default();
    let _recorder = ::metrics::set_default_local_recorder(&numbers);
    let mut world = World::new().await;
    assert_eq!(numbers.shown(), [0, 0, 0, 0, 0], "all are there from the start");
    let (a, b, c) = (world.init("a").await, world.init("b").await, world.init("c").await);
    for (name, by) in [("a", a), ("b", b), ("c", c)] {
        world.add(name, by, &of("t", 0)).await.unwrap();
        world.add(name, by, &of("t", 1)).await.unwrap();
    }
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(numbers.shown(), [3, 0, 0, 0, 3], "a transaction of two partitions is one");
    world.end("a", a, Marker::Commit).await.unwrap();
    world.end("a", a, Marker::Commit).await.expect("a repeat");
    world.end("b", b, Marker::Abort).await.unwrap();
    world.restart().await;
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(numbers.shown(), [3, 1, 1, 0, 1], "what is open is so after a restart");
    world.pass(2 * MINUTE).await;
    assert_eq!(numbers.shown(), [3, 1, 2, 1, 0]);
}
