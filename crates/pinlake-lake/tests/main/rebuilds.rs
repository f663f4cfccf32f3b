//! Rebuilds with another cleaning, and the proof that a table is what a rebuild would make of it.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::TopicPartition;
use pinlake_core::pipeline::Pipeline;
use pinlake_lake::lake::{Comparison, Lake};

use crate::faulty_store::{Fault, FaultyStore};
use crate::setup::{World, cleaned_by, rows, things};

/// A cleaning that sets aside what [`things`] takes, and takes what that sets aside.
fn turned() -> Arc<Pipeline> {
    cleaned_by("SELECT k, v, CASE WHEN v <> 'bad' THEN 'v is not bad' END AS _quarantine FROM raw")
}

async fn comparison(lake: &Lake) -> Comparison {
    lake.ledger(true).await.unwrap()[0].comparison.unwrap()
}

const GOOD: &str = r#"{"k":1,"v":"good"}"#;
const BAD: &str = r#"{"k":2,"v":"bad"}"#;

async fn streamed() -> (World, TopicPartition) {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &[GOOD, BAD, "poison"]).await;
    lake.flush().await.unwrap();
    lake.stop().await.unwrap();
    (world, of)
}

/// Keys of rows and reasons of quarantined records, as the tables say.
async fn sides(lake: &Lake) -> (Vec<i64>, usize) {
    let keys = rows(lake, "SELECT k FROM things ORDER BY 1").await;
    let bad = rows(lake, "SELECT reason FROM quarantine.things WHERE reason LIKE 'v is%'").await;
    (keys.iter().map(|row| row[0].as_i64().unwrap()).collect(), bad.iter().filter(|row| row[0] == "v is bad").count())
}

/// A rebuild under another cleaning over a store with one fault. Returns whether the fault struck.
async fn rebuild_struck(fault: Fault, step: u64) -> bool {
    let (world, of) = streamed().await;
    let world = World { pipeline: turned(), ..world };
    let store = Arc::new(FaultyStore::new(world.objects.clone(), fault, step));
    let lake = world.start_on(store.clone()).await;
    if let Ok(lake) = &lake {
        let _ = tokio::time::timeout(Duration::from_secs(5), lake.rebuild("things")).await;
    }
    let Some(hit) = store.hit() else { return false };
    let context = format!("{fault:?} at step {step} ({hit})");
    if let (Ok(lake), Fault::Outage) = (&lake, fault) {
        store.recover();
        check_or_stopped(lake, &context).await;
    }
    store.kill();
    drop(lake);
    let lake = world.start().await;
    // Both parts are of one cleaning: the old one or the new one.
    match sides(&lake).await {
        (keys, 1) => assert_eq!(keys, [1], "{context}"),
        (keys, bad) => assert_eq!((keys, bad), (vec![2], 0), "{context}"),
    }
    world.append_values(&of, &["more poison"]).await;
    lake.flush().await.unwrap();
    let account = &lake.ledger(true).await.unwrap()[0].accounts[0];
    let counts = account.standing.counts;
    assert_eq!(account.found, Some((counts.rows, counts.quarantined)), "{context}");
    lake.rebuild("things").await.unwrap();
    assert_eq!(sides(&lake).await, (vec![2], 0), "{context}, rebuilt");
    true
}

/// A table that goes on after the store answers again goes on with its own quarantine.
async fn check_or_stopped(lake: &Lake, context: &str) {
    let _ = tokio::time::timeout(Duration::from_secs(60), lake.flush()).await;
    if lake.status()[0].failed.is_none() {
        let (keys, bad) = sides(lake).await;
        assert_eq!(keys == [1], bad == 1, "{context}: {keys:?}");
    }
}

fn strike_everywhere(fault: Fault, steps_min: u64) {
    let mut step = 1;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    while runtime().block_on(rebuild_struck(fault, step)) {
        step += 1;
    }
    assert!(step > steps_min, "{fault:?} struck only {} times", step - 1);
}

#[test]
fn a_rebuild_cut_short_leaves_table_and_quarantine_of_one_cleaning() {
    for fault in [Fault::PutBefore, Fault::PutAfter, Fault::Outage, Fault::ConditionLost, Fault::DeathBefore, Fault::DeathAfter] {
        strike_everywhere(fault, 2);
    }
}

#[tokio::test]
async fn a_table_is_what_its_rebuild_would_be_until_the_cleaning_changes() {
    let (world, of) = streamed().await;
    let lake = world.start().await;
    world.append_values(&of, &[r#"{"k":3,"v":"good"}"#, GOOD]).await;
    let same = Comparison { rebuilt: 2, same: 2, ..Comparison::default() };
    assert_eq!(comparison(&lake).await, same, "streamed");
    lake.rebuild("things").await.unwrap();
    assert_eq!(comparison(&lake).await, same, "rebuilt");
    lake.stop().await.unwrap();
    let lake = World { pipeline: turned(), ..world }.start().await;
    let changed = Comparison { rebuilt: 1, missing: 1, extra: 2, ..Comparison::default() };
    assert_eq!(comparison(&lake).await, changed, "under another cleaning");
    lake.rebuild("things").await.unwrap();
    let same = Comparison { rebuilt: 1, same: 1, ..Comparison::default() };
    assert_eq!(comparison(&lake).await, same, "rebuilt by it");
}

/// Records come in and are asked for while the table is replaced, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_follows_on_behind_rebuilds_under_load() {
    const ROUNDS: u64 = 20;
    const RECORDS: u64 = 100;
    let world = Arc::new(World::new(things()));
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    for round in 0..ROUNDS {
        let (world, of) = (world.clone(), of.clone());
        let appending = tokio::spawn(async move {
            for key in round * RECORDS..(round + 1) * RECORDS {
                world.append_values(&of, &[&format!(r#"{{"k":{key},"v":"good"}}"#)]).await;
                tokio::task::yield_now().await;
            }
        });
        lake.rebuild("things").await.unwrap();
        lake.flush().await.unwrap();
        appending.await.unwrap();
    }
    lake.flush().await.unwrap();
    assert_eq!(rows(&lake, "SELECT count(*), count(DISTINCT k) FROM things").await, [[ROUNDS * RECORDS, ROUNDS * RECORDS]]);
}

/// The stream keeps what came first, a rebuild what stands first in the archive.
#[tokio::test]
async fn a_key_with_two_contents_in_two_topics_may_differ() {
    let world = World::new(things());
    let (early, late) = (world.topic("z.things", 1).await.partition(0), world.topic("a.things", 1).await.partition(0));
    let lake = world.start().await;
    world.append_values(&early, &[r#"{"k":1,"v":"first"}"#, r#"{"k":2,"v":"same"}"#]).await;
    lake.flush().await.unwrap();
    world.append_values(&late, &[r#"{"k":1,"v":"second"}"#, r#"{"k":2,"v":"same"}"#]).await;
    assert_eq!(comparison(&lake).await, Comparison { rebuilt: 2, same: 1, differing: 1, ..Comparison::default() });
    let conflicts: u64 =
        lake.ledger(false).await.unwrap()[0].accounts.iter().map(|account| account.standing.counts.conflicts).sum();
    assert_eq!(conflicts, 1, "the ledger says that a row may differ");
}
