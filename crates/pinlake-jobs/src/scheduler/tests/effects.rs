//! That the effects of runs do not hide each other: whichever of them comes first, and also where the database is put back to what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinlake_core::jobs::{Again, Backfill, JobKey, JobSpec, Order, Run};

use super::world::{DATABASES, Deed, START, World, has_succeeded, job, schedule};

const HOUR: Duration = Duration::from_secs(3_600);

fn lane(run: &Run) -> i64 {
    run.lane.unwrap().number
}

async fn sql(world: &World, sql: &'static str) {
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    change.damage(sql).await;
    change.commit().await.unwrap();
}

async fn pause(world: &World, job: &str, paused: bool) {
    world.scheduler.pause(&JobKey::Name(job.to_owned()), paused).await.unwrap();
}

#[tokio::test]
async fn runs_of_a_database_that_was_put_back_have_effects_of_their_own() {
    // Postgres is copied by its own means.
    if std::env::var_os(DATABASES).is_some() {
        return;
    }
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.run("daily").await;
    // In the copy one is under way and one waits, whose effect is there when it is put back: it comes again, as whoever waits can't know.
    world.deeds.set("load", Deed::Hangs);
    let begun = world.start("daily").await;
    let waits = world.start("daily").await;
    world.settle().await;
    let copy = world.copy().await;
    world.deeds.mend("load");
    world.deeds.let_go();
    assert!(has_succeeded(&world.ended(begun).await) && has_succeeded(&world.ended(waits).await));
    let mut lost = BTreeSet::new();
    for _ in 0..3 {
        world.clock.advance(HOUR);
        lost.insert(world.run("daily").await.id);
    }
    let before = world.deeds.taken();
    world.scheduler.stop().await;
    world.clock.advance(HOUR);
    let back = world.another_at(copy).await;
    assert!(has_succeeded(&back.ended(waits).await));
    assert_eq!(back.deeds.taken(), before + 1);
    for more in 2..=4 {
        back.clock.advance(HOUR);
        let run = back.run("daily").await;
        assert!(has_succeeded(&run), "{}", run.message);
        lost.remove(&run.id);
        assert_eq!(back.deeds.taken(), before + more);
    }
    assert!(lost.is_empty(), "the numbers were given out again");
    // What was under way in the copy can't know: that is said, and whoever looks has it run again.
    let run = back.ended(begun).await;
    assert_eq!(run.message, format!("task 'load': there is a later effect of '{}'", app(&back, "load")));
    back.scheduler.rerun(begun, Again::Failed).await.unwrap();
    assert!(has_succeeded(&back.ended(begun).await));
}

/// Under which name a task has its effects in the first lane.
fn app(world: &World, task: &str) -> String {
    format!("jobs/{}/1/{task}/lane/1", world.scheduler.inner.installation)
}

#[tokio::test]
async fn a_run_that_is_run_again_after_many_others_has_its_effect() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Fails("no"));
    let first = world.run("daily").await.id;
    world.deeds.mend("load");
    // As after some thousand runs.
    sql(&world, "UPDATE job SET sequence = 4096").await;
    assert!(has_succeeded(&world.run("daily").await));
    world.scheduler.rerun(first, Again::Failed).await.unwrap();
    world.settle().await;
    assert!(has_succeeded(&world.read(first).await));
    assert_eq!(world.deeds.taken(), 2);
    // And all of it once more, within the same moment.
    world.scheduler.rerun(first, Again::All).await.unwrap();
    world.settle().await;
    assert!(has_succeeded(&world.read(first).await));
    assert_eq!(world.deeds.taken(), 3);
}

#[tokio::test]
async fn runs_of_a_backfill_that_wait_while_later_ones_pass_have_their_effects() {
    let world = World::new().await;
    let spec = JobSpec { schedule: schedule("@hourly"), concurrency: 3, ..job("hourly", &["load"]) };
    world.install(&[spec]).await;
    pause(&world, "hourly", true).await;
    world.clock.advance(6 * HOUR);
    let asked = Backfill {
        job: JobKey::Name("hourly".to_owned()),
        from: START,
        to: world.clock.now(),
        order: Order::Newest,
        parallel: 2,
        only_failed: false,
        preview: false,
        parameters: BTreeMap::new(),
        cause: "a test".to_owned(),
    };
    assert_eq!(world.scheduler.backfill(asked).await.unwrap().intervals.len(), 6);
    // As if there were some thousand more.
    sql(&world, "UPDATE job SET sequence = 4096").await;
    for _ in 0..6 {
        assert!(has_succeeded(&world.run("hourly").await));
    }
    pause(&world, "hourly", false).await;
    world.settle().await;
    let runs = world.runs("hourly").await;
    assert!(runs.len() == 12 && runs.iter().all(has_succeeded), "{runs:?}");
    assert_eq!(world.deeds.taken(), 12);
}

#[tokio::test]
async fn runs_under_way_at_once_go_in_lanes_which_those_behind_them_take_again() {
    let world = World::new().await;
    let mut daily = job("daily", &["load", "clean"]);
    daily.concurrency = 3;
    world.install(&[daily]).await;
    world.deeds.set("load", Deed::Hangs);
    let slow = world.start("daily").await;
    world.settle().await;
    world.deeds.mend("load");
    for _ in 0..5 {
        let quick = world.run("daily").await;
        assert!(has_succeeded(&quick));
        assert_eq!(lane(&quick), 2);
    }
    world.deeds.let_go();
    let slow = world.ended(slow).await;
    assert!(has_succeeded(&slow), "it began first, and comes last: {}", slow.message);
    assert_eq!(lane(&slow), 1);
    // What hung had no effect of its first task.
    assert_eq!(world.deeds.taken(), 5 * 2 + 1);
    assert_eq!(lane(&world.run("daily").await), 1);
    let apps = world.deeds.effects.lock().unwrap().len();
    assert_eq!(apps, 2 * 2, "two tasks in two lanes, however many runs there are");
}

#[tokio::test]
async fn a_clock_that_goes_back_gives_no_run_an_effect_below_anothers() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.clock.advance(HOUR);
    let first = world.run("daily").await.lane.unwrap();
    assert_eq!(first.begun, (START.0 + 3_600_000) * 1_000);
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    assert_eq!(change.take_lane(1, START).await.unwrap().begun, first.begun + 1);
    drop(change);
    assert!(has_succeeded(&world.run("daily").await));
    assert_eq!(world.deeds.taken(), 2);
}

#[tokio::test]
async fn lanes_are_found_in_gaps_and_behind_the_last() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    for _ in 0..4 {
        world.start("daily").await;
    }
    let next = async |job: i64| {
        let mut change = world.scheduler.inner.store.change().await.unwrap();
        change.take_lane(job, START).await.unwrap().number
    };
    let mut found = vec![next(1).await];
    for taken in [
        "UPDATE run SET lane = 2, state = 'running' WHERE id = 1001",
        "UPDATE run SET lane = 1, state = 'running' WHERE id = 1003",
        "UPDATE run SET lane = 4, state = 'running' WHERE id = 1005",
        "UPDATE run SET lane = 3, state = 'running' WHERE id = 1007",
        "UPDATE run SET lane = NULL WHERE id = 1003",
        // As a process leaves it that knows nothing of lanes.
        "UPDATE run SET lane = 1, state = 'failed' WHERE id = 1003",
        "UPDATE run SET lane = 1 WHERE id = 1003 OR id = 1001",
        "UPDATE run SET state = 'succeeded' WHERE id = 1001",
    ] {
        sql(&world, taken).await;
        found.push(next(1).await);
    }
    assert_eq!(found, [1, 1, 3, 3, 5, 1, 1, 2, 1]);
    assert_eq!(next(2).await, 1, "of another job");
}

#[tokio::test]
async fn a_run_that_ended_with_its_lane_set_keeps_nobody_from_it() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let first = world.run("daily").await;
    // As a process leaves it that knows nothing of lanes.
    sql(&world, "UPDATE run SET lane = 1 WHERE id = 1001").await;
    assert_eq!(first.id.0, 1001);
    for _ in 0..2 {
        let run = world.run("daily").await;
        assert!(has_succeeded(&run), "{}", run.message);
        assert_eq!(lane(&run), 1);
    }
    // And run again it goes in the lane too.
    world.scheduler.rerun(first.id, Again::All).await.unwrap();
    let again = world.ended(first.id).await;
    assert!(has_succeeded(&again) && lane(&again) == 1, "{again:?}");
    assert_eq!(world.deeds.taken(), 4);
}
