//! What goes wrong in or around a process that lives on: defects, looks that do not answer.

use std::time::Duration;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{EndReason, JobSpec, Run, RunId, RunState, Trigger};

use super::world::{Deed, Look, START, World, has_succeeded, job};
use crate::scheduler::upkeep::{Moment, Upkeep};
use crate::store::testing::Blow;

const SECOND: Duration = Duration::from_secs(1);

/// A job that begins with new objects.
fn waiting() -> JobSpec {
    let mut spec = job("waiting", &["load"]);
    spec.triggers = vec![Trigger::Object { url: "s3://bucket/new".to_owned() }];
    spec
}

#[tokio::test]
async fn a_defect_in_a_tick_is_a_problem_until_a_tick_goes_well() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let id = world.start("daily").await;
    world.scheduler.inner.store.fate().strike_at(1, Blow::Panics);
    assert!(!world.scheduler.tick_or_tell().await);
    let problems = world.scheduler.state().problems;
    assert_eq!(problems, ["a defect in looking for what is due: struck at a commit"]);
    assert!(world.scheduler.tick_or_tell().await);
    assert!(world.scheduler.state().problems.is_empty());
    assert!(has_succeeded(&world.ended(id).await));
}

#[tokio::test]
async fn the_loop_goes_on_after_a_defect() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let mut events = world.scheduler.watch();
    let id = world.start("daily").await;
    world.scheduler.inner.store.fate().strike_at(1, Blow::Panics);
    let serving = tokio::spawn({
        let scheduler = world.scheduler.clone();
        async move { scheduler.serve().await }
    });
    while !world.read(id).await.state.has_ended() {
        events.recv().await.unwrap();
    }
    assert!(world.scheduler.inner.store.fate().has_struck());
    world.scheduler.stop().await;
    serving.await.unwrap();
}

#[tokio::test]
async fn an_attempt_whose_end_comes_upon_a_defect_has_failed() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.settle().await;
    let id = world.start("daily").await;
    // The first is the step's.
    world.scheduler.inner.store.fate().strike_at(2, Blow::Panics);
    world.settle().await;
    let run = world.read(id).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.message, "task 'load': the scheduler came upon a defect: struck at a commit");
    assert!(world.scheduler.inner.underway.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tick_asks_nothing_of_data_or_of_what_is_beside_jobs() {
    let world = World::new().await;
    world.install(&[waiting()]).await;
    world.deeds.see("s3://bucket/new", Look::Silent);
    world.scheduler.tick().await.unwrap();
    world.clock.advance(60 * SECOND);
    world.scheduler.tick().await.unwrap();
    assert_eq!(world.deeds.looks(), 0);
}

#[tokio::test]
async fn data_that_does_not_answer_holds_up_neither_runs_nor_other_data_nor_the_end() {
    let world = World::new().await;
    let mut fresh = job("fresh", &["load"]);
    fresh.triggers = vec![Trigger::Version { table: "pin".to_owned() }];
    world.install(&[waiting(), fresh]).await;
    world.deeds.stand("pin", 1);
    world.settle().await;
    world.deeds.see("s3://bucket/new", Look::Silent);
    world.clock.advance(60 * SECOND);
    world.deeds.stand("pin", 2);
    let mut events = world.scheduler.watch();
    let serving = tokio::spawn({
        let scheduler = world.scheduler.clone();
        async move { scheduler.serve().await }
    });
    while !world.runs("fresh").await.first().is_some_and(has_succeeded) {
        events.recv().await.unwrap();
    }
    world.deeds.looked_at("s3://bucket/new").await;
    tokio::time::timeout(10 * SECOND, world.scheduler.stop()).await.unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn data_that_could_not_be_seen_is_looked_at_again_after_growing_waits() {
    let world = World::new().await;
    world.install(&[waiting()]).await;
    for (look, expected) in [(Look::Fails, vec![0, 10, 30, 70]), (Look::Panics, vec![0])] {
        world.deeds.see("s3://bucket/new", look);
        world.clock.advance(600 * SECOND);
        let mut looked_at = Vec::new();
        for second in 0..100 {
            let before = world.deeds.looks();
            world.scheduler.look_at_data().await;
            looked_at.extend((before < world.deeds.looks()).then_some(second));
            world.clock.advance(SECOND);
        }
        assert_eq!(looked_at, expected, "one that failed before waits for longer at once");
    }
    let problems = world.scheduler.state().problems;
    assert_eq!(problems, ["a defect in looking at data: as the test says"]);
    // Once it is seen it is looked at each second again.
    world.deeds.stand("s3://bucket/new", 1);
    world.deeds.see("s3://bucket/new", Look::Well);
    world.pass(600 * SECOND).await;
    assert!(world.scheduler.state().problems.is_empty());
    world.deeds.stand("s3://bucket/new", 2);
    world.pass(SECOND).await;
    assert_eq!(world.runs("waiting").await.len(), 1);
}

/// A process that was taken for dead by another, and then began an attempt that hangs.
async fn taken_for_dead() -> (World, World, RunId) {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.settle().await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("daily").await;
    let other = world.another().await;
    // Over SQLite whoever opens the database takes all others for dead; over Postgres those whose leases have run out.
    let mut change = other.scheduler.inner.store.change().await.unwrap();
    change.forget_lost(Timestamp(i64::MAX)).await.unwrap();
    change.renew(&other.scheduler.inner.owner, Timestamp(i64::MAX)).await.unwrap();
    change.commit().await.unwrap();
    assert!(world.scheduler.step(world.clock.now()).await.unwrap());
    while world.deeds.attempts("load") == 0 {
        world.deeds.changed.notified().await;
    }
    world.deeds.mend("load");
    (world, other, id)
}

fn reasons(run: &Run) -> Vec<Option<EndReason>> {
    run.tasks[0].attempts.iter().map(|attempt| attempt.reason).collect()
}

#[tokio::test]
async fn a_process_that_was_taken_for_dead_ends_what_it_carries_out() {
    let (world, other, id) = taken_for_dead().await;
    world.scheduler.keep_alive(&mut Upkeep::default(), world.clock.now()).await.unwrap();
    while !world.scheduler.inner.underway.lock().unwrap().is_empty() {
        world.scheduler.inner.changed.notified().await;
    }
    let run = other.ended(id).await;
    assert!(has_succeeded(&run), "{run:?}");
    assert_eq!(reasons(&run), [Some(EndReason::LostProcess), None], "nobody cancelled it");
}

#[tokio::test]
async fn what_a_process_began_that_nobody_knows_any_more_is_begun_again() {
    let (world, other, id) = taken_for_dead().await;
    world.clock.advance(6 * SECOND);
    let mut upkeep = Upkeep::default();
    other.scheduler.keep_alive(&mut upkeep, other.clock.now()).await.unwrap();
    assert_eq!(reasons(&other.read(id).await), [Some(EndReason::LostProcess)]);
    assert!(has_succeeded(&other.ended(id).await));
    // What the lost process comes to counts no more.
    world.deeds.let_go();
    while !world.scheduler.inner.underway.lock().unwrap().is_empty() {
        world.scheduler.inner.changed.notified().await;
    }
    assert_eq!(reasons(&other.read(id).await), [Some(EndReason::LostProcess), None]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_from_his_lease() {
    let moment = Moment::at(START);
    assert!(!moment.is_past(Timestamp(START.0 + 4_999), 5 * SECOND));
    assert!(moment.is_past(Timestamp(START.0 + 5_000), 5 * SECOND));
    assert!(moment.is_past(Timestamp(START.0 - 3_600_000), 5 * SECOND));
    // The clock of the day stands still: so it does for as long as it was set back, where it is compared with itself.
    tokio::time::pause();
    tokio::time::advance(5 * SECOND).await;
    assert!(moment.is_past(START, 5 * SECOND));
}
