//! A failure at every single step of the store, with and without the death of the process: nothing is lost, nothing doubled.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{ErrorKind, Record, TopicPartition};
use pinlake_lake::lake::Lake;

use crate::faulty_store::{Fault, FaultyStore};
use crate::setup::{World, check_things, rows, things};

/// Times a flush is asked again after a fault that strikes once.
const TRIES_MAX: usize = 5;
/// How long a flush of a dead process is waited for, in the tests' own time.
const DEATH_NOTICED: Duration = Duration::from_secs(5);

async fn world() -> (World, [TopicPartition; 3]) {
    let world = World::new(things());
    let two = world.topic("a.things", 2).await;
    let one = world.topic("streaming.things", 1).await;
    (world, [two.partition(0), two.partition(1), one.partition(0)])
}

/// Good rows, duplicates, conflicts, poison, bad values and a tombstone; the second round repeats keys of the first.
async fn append_round(world: &World, to: &[TopicPartition; 3], round: i64) {
    for (at, of) in to.iter().enumerate() {
        let key = |n: i64| 1000 * i64::try_from(at).unwrap() + n;
        let new = 10 * round;
        let values = [
            format!(r#"{{"k":{},"v":"first"}}"#, key(new)),
            format!(r#"{{"k":{},"v":"second"}}"#, key(new + 1)),
            "not json".to_owned(),
            format!(r#"{{"k":{},"v":"bad"}}"#, key(new + 2)),
            format!(r#"{{"k":{},"v":"first"}}"#, key(0)),
            format!(r#"{{"k":{},"v":"other"}}"#, key(1)),
            format!("{{\"k\":{},\n\"v\":null}}", key(new + 3)).replace('\n', " "),
        ];
        let mut records: Vec<Record> = values[..4].iter().map(|value| Record::of_value(value.clone())).collect();
        records.push(Record::default());
        world.append(of, &records).await;
        let records: Vec<Record> = values[4..].iter().map(|value| Record::of_value(value.clone())).collect();
        world.append(of, &records).await;
    }
}

/// Two rounds of appends and flushes over a store with one fault, then the process dies, and another one goes on. Returns
/// whether the fault struck at all.
async fn run(fault: Fault, step: u64, append_round: &impl AsyncFn(&World, &[TopicPartition; 3], i64)) -> bool {
    let (world, to) = world().await;
    let store = Arc::new(FaultyStore::new(world.objects.clone(), fault, step));
    let dies = matches!(fault, Fault::DeathBefore | Fault::DeathAfter);
    let lake = world.start_on(store.clone()).await;
    for round in 0..2 {
        append_round(&world, &to, round).await;
        match &lake {
            Ok(lake) if dies => drop(tokio::time::timeout(DEATH_NOTICED, lake.flush()).await),
            Ok(lake) => flush_again(lake, fault, &store).await,
            Err(_) => {}
        }
    }
    let Some(hit) = store.hit() else {
        lake.unwrap();
        return false;
    };
    store.kill();
    drop(lake);
    let context = format!("{fault:?} at step {step} ({hit})");
    check_things(&world, &world.start().await, &context).await;
    // What came after a crash must hold after another start too.
    let lake = world.start().await;
    append_round(&world, &to, 2).await;
    check_things(&world, &lake, &format!("{context}, later")).await;
    true
}

/// A store that failed once must not need a restart.
async fn flush_again(lake: &Lake, fault: Fault, store: &FaultyStore) {
    for _ in 0..TRIES_MAX {
        match lake.flush().await {
            Ok(_) => return,
            Err(error) => {
                let stopped = [lake.archive_status().failed, lake.status()[0].failed.clone()];
                assert!(stopped.iter().all(Option::is_none), "{fault:?} {:?} stopped the lake: {error}", store.hit());
            }
        }
    }
    panic!("{fault:?} {:?}: the store answers again, but a flush still fails", store.hit());
}

fn strike_everywhere(fault: Fault, steps_min: u64) {
    strike_rounds_everywhere(fault, steps_min, &append_round);
}

/// Strikes at every step there is.
pub(crate) fn strike_rounds_everywhere(fault: Fault, steps_min: u64, round: &impl AsyncFn(&World, &[TopicPartition; 3], i64)) {
    let mut step = 1;
    // A runtime a run: with it ends whatever the dead process left behind. Its time stands still while anything is done.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    while runtime().block_on(run(fault, step, round)) {
        step += 1;
    }
    assert!(step > steps_min, "{fault:?} struck only {} times", step - 1);
}

#[test]
fn a_put_that_fails_loses_and_doubles_nothing() {
    strike_everywhere(Fault::PutBefore, 25);
}

#[test]
fn a_put_whose_answer_is_lost_loses_and_doubles_nothing() {
    strike_everywhere(Fault::PutAfter, 25);
}

#[test]
fn an_outage_after_a_put_loses_and_doubles_nothing() {
    strike_everywhere(Fault::Outage, 25);
}

#[test]
fn a_conditional_put_that_meets_itself_loses_and_doubles_nothing() {
    strike_everywhere(Fault::ConditionLost, 15);
}

#[test]
fn a_death_before_a_put_loses_and_doubles_nothing() {
    strike_everywhere(Fault::DeathBefore, 25);
}

#[test]
fn a_death_after_a_put_loses_and_doubles_nothing() {
    strike_everywhere(Fault::DeathAfter, 25);
}

#[test]
fn a_get_that_fails_loses_and_doubles_nothing() {
    strike_everywhere(Fault::Get, 10);
}

#[test]
fn a_listing_that_fails_loses_and_doubles_nothing() {
    strike_everywhere(Fault::List, 10);
}

/// A commit that happened, whose answer is lost, is in the newest snapshot while its rows still count as pending. What is asked before
/// that is settled must not see them twice.
#[test]
fn rows_of_a_commit_in_doubt_are_seen_once() {
    for step in 1.. {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let hit = runtime.block_on(async {
            let (world, to) = world().await;
            let store = Arc::new(FaultyStore::new(world.objects.clone(), Fault::Outage, step));
            let lake = world.start_on(store.clone()).await.ok()?;
            append_round(&world, &to, 0).await;
            let answered = lake.flush().await;
            let hit = store.hit()?;
            if answered.is_ok() || !hit.starts_with("tables/things/_delta_log/") {
                return Some(hit);
            }
            store.recover();
            store.close("quarantine");
            lake.flush().await.expect_err("the quarantine can't be read");
            let seen = rows(&lake, "SELECT count(*), count(DISTINCT _offset + 1000 * k) FROM things").await;
            assert_eq!(seen[0][0], seen[0][1], "{hit}: rows that are there twice");
            store.recover();
            check_things(&world, &lake, &hit).await;
            Some("done".to_owned())
        });
        if hit.as_deref() == Some("done") {
            return;
        }
        assert!(step < 100, "no commit of the table was in doubt");
    }
}

/// The archive goes on trying for as long as its store fails. Nobody else may wait for that without end.
#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_keeps_no_query_and_no_end_waiting() {
    let (world, to) = world().await;
    let store = Arc::new(FaultyStore::sound(world.objects.clone()));
    let lake = world.start_on(store.clone()).await.unwrap();
    append_round(&world, &to, 0).await;
    lake.flush().await.unwrap();
    store.close("topics");
    append_round(&world, &to, 1).await;
    tokio::time::sleep(DEATH_NOTICED).await;
    let asked = lake.query("SELECT count(*) FROM raw.things", 1).await.unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::Retry, "{asked}");
    rows(&lake, "SELECT count(*) FROM things").await;
    let ended = tokio::time::timeout(Duration::from_secs(60), lake.stop()).await.expect("it ends").unwrap_err();
    assert!(ended.to_string().contains("the archive's store does not answer"), "{ended}");
    drop(lake);
    store.kill();
    check_things(&world, &world.start().await, "after an end without the archive's store").await;
}

/// A put whose answer is lost may have made an object. What is tried again must be the same, whatever came in meanwhile.
#[tokio::test(start_paused = true)]
async fn an_object_that_may_be_there_does_not_grow() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let store = Arc::new(FaultyStore::sound(world.objects.clone()));
    let lake = world.start_on(store.clone()).await.unwrap();
    world.append_values(&of, &[r#"{"k":1}"#]).await;
    store.lose_answers("topics");
    lake.flush().await.expect_err("nobody knows");
    world.append_values(&of, &[r#"{"k":2}"#]).await;
    tokio::time::sleep(DEATH_NOTICED).await;
    store.recover();
    check_things(&world, &lake, "after an answer that was lost").await;
}
