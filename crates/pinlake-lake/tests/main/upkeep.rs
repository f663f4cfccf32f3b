//! Upkeep that somebody asks for: what it leaves of a table's files, and that no row changes.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{ErrorKind, TopicPartition};
use pinlake_lake::lake::Lake;

use crate::faulty_store::FaultyStore;
use crate::gold::daily;
use crate::setup::{World, check_things, things};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Three commits of rows and of the quarantine, of two files each.
async fn filled() -> (World, Lake, TopicPartition) {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    fill(&world, &lake, &of, 0..3).await;
    (world, lake, of)
}

async fn fill(world: &World, lake: &Lake, of: &TopicPartition, rounds: std::ops::Range<i64>) {
    for round in rounds {
        world.append_values(of, &[&format!(r#"{{"k":{round}}}"#), "poison"]).await;
        lake.flush().await.unwrap();
    }
}

async fn data_files(world: &World, folder: &str) -> usize {
    world.names(folder).await.iter().filter(|name| name.ends_with(".parquet") && !name.contains("_delta_log")).count()
}

#[tokio::test]
async fn small_files_come_together_and_old_ones_go_when_they_are_old_enough() {
    let (world, lake, of) = filled().await;
    let done = lake.compact("things").await.unwrap();
    assert_eq!((done.files_before, done.files_after), (6, 2), "rows and quarantine");
    assert!(done.bytes > 0);
    let again = lake.compact("things").await.unwrap();
    assert_eq!((again.files_before, again.files_after, again.bytes), (2, 2, 0));
    check_things(&world, &lake, "compacted").await;
    assert_eq!(data_files(&world, "tables/things").await, 4, "readers of older snapshots find theirs");
    world.clock.advance(Duration::from_secs(3600));
    let none = lake.vacuum("things", Duration::from_secs(7200)).await.unwrap();
    assert_eq!((none.files, none.bytes), (0, 0));
    let done = lake.vacuum("things", Duration::from_secs(1800)).await.unwrap();
    assert_eq!((done.files, done.bytes > 0), (6, true));
    assert_eq!((data_files(&world, "tables/things").await, data_files(&world, "quarantine/things").await), (1, 1));
    let again = lake.vacuum("things", Duration::ZERO).await.unwrap();
    assert_eq!((again.files, again.bytes), (0, 0), "they are gone");
    fill(&world, &lake, &of, 3..5).await;
    check_things(&world, &lake, "vacuumed").await;
    lake.compact("things").await.unwrap();
    drop(lake);
    check_things(&world, &world.start().await, "read by another process").await;
}

#[tokio::test]
async fn what_is_not_committed_yet_stays_and_the_longest_time_is_a_time() {
    let (world, lake, of) = filled().await;
    world.append_values(&of, &[r#"{"k":100}"#, "poison"]).await;
    lake.compact("things").await.unwrap();
    for keep in [Duration::MAX, DAY, Duration::ZERO] {
        lake.vacuum("things", keep).await.unwrap();
    }
    check_things(&world, &lake, "with rows behind the snapshot").await;
}

#[tokio::test]
async fn gold_tables_are_kept_up_too() {
    let world = World::new(things());
    let lake = Arc::new(world.start().await);
    for run in 0..3 {
        // As a job does it: on a task of its own.
        let lake = lake.clone();
        tokio::spawn(async move { lake.materialise(daily("SELECT $run AS n", run)).await }).await.unwrap().unwrap();
    }
    let compacting = lake.clone();
    let done = tokio::spawn(async move { compacting.compact("gold.daily").await }).await.unwrap().unwrap();
    assert_eq!((done.files_before, done.files_after), (3, 1));
    world.clock.advance(DAY * 2);
    let done = lake.vacuum("gold.daily", DAY).await.unwrap();
    assert_eq!(done.files, 3);
    assert_eq!(data_files(&world, "gold/daily").await, 1);
    let found = crate::setup::rows(&world.start().await, "SELECT n FROM gold.daily ORDER BY 1").await;
    assert_eq!(serde_json::Value::from(found), serde_json::json!([[0], [1], [2]]));
    assert!(lake.materialise(daily("not asked", 2)).await.unwrap().already, "effects outlive the files");
}

/// Two compactions of the same files must not bring their rows in twice.
#[tokio::test]
async fn compactions_and_answers_at_once_double_nothing() {
    let world = World::new(things());
    let lakes = [world.start().await, world.start().await, world.start().await];
    for round in 0..4 {
        for run in 3 * round..3 * round + 2 {
            lakes[0].materialise(daily("SELECT $run AS n", run)).await.unwrap();
        }
        let compacted = futures::future::join_all(lakes.iter().map(|lake| lake.compact("gold.daily")));
        let added = lakes[1].materialise(daily("SELECT $run AS n", 3 * round + 2));
        let (compacted, added) = futures::join!(compacted, added);
        compacted.into_iter().for_each(|done| assert!(done.unwrap().files_after > 0));
        added.unwrap();
        let found = crate::setup::rows(&lakes[2], "SELECT n FROM gold.daily ORDER BY 1").await;
        let wanted: Vec<Vec<serde_json::Value>> = (0..3 * round + 3).map(|run| vec![serde_json::json!(run)]).collect();
        assert_eq!(found, wanted, "round {round}");
    }
}

#[tokio::test]
async fn a_table_that_there_is_not_is_not_kept_up() {
    let lake = World::new(things()).start().await;
    for (name, kind, says) in [
        ("thing", ErrorKind::NotFound, "table 'thing' does not exist: there are things"),
        ("gold.daily", ErrorKind::Invalid, "table 'gold.daily' does not exist: there is none yet"),
        ("gold.../tables/things", ErrorKind::Invalid, "'../tables/things' is no name of a gold table"),
        ("gold", ErrorKind::NotFound, "table 'gold' does not exist"),
    ] {
        for error in [lake.compact(name).await.unwrap_err(), lake.vacuum(name, DAY).await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
}

/// A commit in doubt is in the newest snapshot while its rows still count as pending.
#[tokio::test(start_paused = true)]
async fn upkeep_waits_for_a_commit_in_doubt() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let store = Arc::new(FaultyStore::sound(world.objects.clone()));
    let lake = world.start_on(store.clone()).await.unwrap();
    fill(&world, &lake, &of, 0..3).await;
    world.append_values(&of, &[r#"{"k":3}"#]).await;
    store.lose_answers("tables/things/_delta_log");
    store.close("tables/things/_delta_log");
    lake.flush().await.expect_err("nobody knows");
    store.recover();
    let asked = [lake.compact("things").await.map(drop), lake.vacuum("things", DAY).await.map(drop)];
    for error in asked.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
        assert!(error.to_string().starts_with("the store did not say whether the last commit of table things"), "{error}");
    }
    check_things(&world, &lake, "known again").await;
    lake.compact("things").await.unwrap();
    check_things(&world, &lake, "compacted").await;
}
