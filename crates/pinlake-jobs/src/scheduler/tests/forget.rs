//! What is forgotten in time, so that no table grows for ever.

use std::time::Duration;

use pinlake_core::jobs::{Again, RunState, Trigger};

use super::receiver::hook;
use super::world::{Deed, World, has_succeeded, job, schedule};
use crate::scheduler::Settings;

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn rows(world: &World, tables: [&str; 5]) -> [i64; 5] {
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    let mut rows = [0; 5];
    for (rows, table) in rows.iter_mut().zip(tables) {
        *rows = change.rows(table).await;
    }
    rows
}

#[tokio::test]
async fn what_is_older_than_history_and_of_no_use_is_forgotten() {
    let tables = ["alert", "backfill", "seen", "job_version", "outbox"];
    let world = World::with(Settings { receivers: vec![hook("http://127.0.0.1:1")], ..Settings::default() }).await;
    let with_trigger = |table: &str| {
        let mut spec = job("new", &["load"]);
        spec.triggers = vec![Trigger::Version { table: table.to_owned() }];
        spec
    };
    world.deeds.stand("pin", 1);
    world.deeds.stand("geo", 1);
    world.install(&[with_trigger("pin")]).await;
    world.pass(Duration::from_secs(1)).await;
    world.install(&[with_trigger("geo")]).await;
    world.pass(Duration::from_secs(1)).await;
    let now = world.clock.now();
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    change.add_backfill(1, 1, "a to b", now).await.unwrap();
    for key in ["over", "open"] {
        change.open_alert(key, "something", now).await.unwrap();
    }
    change.close_alert("over", now).await.unwrap();
    for receiver in ["ops", "nobody"] {
        assert!(change.post(receiver, "{}", now, 10).await.unwrap());
    }
    change.commit().await.unwrap();
    assert_eq!(rows(&world, tables).await, [2, 1, 2, 2, 2]);
    world.pass(DAY).await;
    assert_eq!(rows(&world, tables).await, [2, 1, 2, 2, 2]);
    world.pass(3 * DAY).await;
    assert_eq!(rows(&world, tables).await, [2, 1, 2, 2, 1], "nobody sends to whom nobody knows");
    world.pass(90 * DAY).await;
    assert_eq!(rows(&world, tables).await, [1, 0, 1, 1, 1], "what is so stays");
}

#[tokio::test]
async fn a_run_runs_a_hundred_times_at_most() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let id = world.run("daily").await.id;
    for _ in 1..100 {
        world.scheduler.rerun(id, Again::All).await.unwrap();
        world.settle().await;
    }
    let refused = world.scheduler.rerun(id, Again::All).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("run {id} was run 100 times: start a new one"));
}

#[tokio::test]
async fn a_run_of_a_paused_job_runs_again_also_behind_one_that_waits_for_its_schedule() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::Hangs);
    for _ in 0..3 {
        world.pass(Duration::from_secs(3_600)).await;
    }
    let runs = world.runs("hourly").await;
    let [first, parked, last] = [runs[0].id, runs[1].id, runs[2].id];
    world.scheduler.cancel(last).await.unwrap();
    let key = pinlake_core::jobs::JobKey::Name("hourly".to_owned());
    world.scheduler.pause(&key, true).await.unwrap();
    world.settle().await;
    world.scheduler.rerun(last, Again::All).await.unwrap();
    world.settle().await;
    assert_eq!(world.read(last).await.state, RunState::Queued, "one at a time");
    world.deeds.mend("load");
    world.deeds.let_go();
    for _ in 0..10 {
        world.settle().await;
    }
    assert!(has_succeeded(&world.read(first).await) && has_succeeded(&world.read(last).await));
    assert_eq!(world.read(parked).await.state, RunState::Queued, "the schedule's own waits");
}
