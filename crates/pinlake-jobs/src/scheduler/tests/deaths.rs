//! Processes that die at any commit of a run: just before it, so that nothing of it is there, or just after, so that nobody acted on it.

use std::collections::BTreeMap;
use std::time::Duration;

use pinlake_core::jobs::{EndReason, JobKey, JobSpec, Missed, RunKind, Work};

use super::world::{DATABASES, Deed, START, World, has_succeeded, job, schedule, states, task};
use crate::store::testing::Blow;

/// Minutes that a test lets pass.
const MINUTES: usize = 2;
/// Steps after them in which everything ends, also what a lost process did, whose lease runs out first.
const STEPS_TO_END: usize = 6;
/// Commits at which a process may die, at most.
const COMMITS_MAX: i64 = 400;

/// A job each minute: two tasks, one of which fails at first, and another job between them.
fn jobs() -> Vec<JobSpec> {
    let mut each = job("each", &["load", "other", "clean"]);
    each.schedule = schedule("* * * * *");
    each.missed = Missed::All;
    each.tasks[0].retries.count = 100;
    each.tasks[0].retries.delay = "1s".parse().unwrap();
    each.tasks[0].retries.delay_max = "1s".parse().unwrap();
    each.tasks[1].work = Work::Job { name: "inner".to_owned(), parameters: BTreeMap::new() };
    each.tasks.push(task("beside", Vec::new()));
    vec![each, job("inner", &["inside"])]
}

/// Lets a world go on after its death as another process.
async fn revive(world: World) -> World {
    world.scheduler.inner.stop.cancel();
    world.another().await
}

/// Runs the minutes with a blow at one commit, and answers whether that commit came.
async fn minutes_with(world: World, at: i64, blow: Blow) -> bool {
    let mut world = world;
    world.install(&jobs()).await;
    world.deeds.set("load", Deed::FailsTimes(2));
    let fate = world.scheduler.inner.store.fate();
    fate.strike_at(at, blow);
    let mut steps = 0;
    while steps < MINUTES * 3 + STEPS_TO_END {
        // No more runs, so that those that there are come to their end.
        let at_end = steps >= MINUTES * 3;
        if at_end && world.scheduler.pause(&JobKey::Name("each".to_owned()), true).await.is_err() && fate.is_dead() {
            world = revive(world).await;
        }
        world.clock.advance(Duration::from_secs(20));
        let settled = tokio::select! {
            ended = tick_until_still(&world) => ended,
            () = dead(&world) => false,
        };
        if !settled {
            if world.scheduler.inner.store.fate().is_dead() {
                world = revive(world).await;
            }
            continue;
        }
        steps += 1;
    }
    check(&world, (at, blow)).await;
    fate.has_struck()
}

/// Ticks until nothing goes on; `false` if the process died.
async fn tick_until_still(world: &World) -> bool {
    let inner = &world.scheduler.inner;
    loop {
        if world.scheduler.tick().await.is_err() {
            return false;
        }
        while !inner.underway.lock().unwrap().is_empty() {
            inner.changed.notified().await;
        }
        match inner.store.has_due(world.clock.now()).await {
            Ok(false) => return !inner.store.fate().is_dead(),
            Ok(true) => {}
            Err(_) => return false,
        }
    }
}

/// Waits until the process of a world has died.
pub(super) async fn dead(world: &World) {
    world.scheduler.inner.store.fate().died().await;
}

/// No interval is missing or doubled, every effect took place once, and each run's history says why it went as it did.
async fn check(world: &World, died: (i64, Blow)) {
    let runs: Vec<_> = world.runs("each").await.into_iter().filter(|run| run.kind == RunKind::Schedule).collect();
    assert!(runs.len() >= MINUTES, "{died:?}");
    for (number, run) in (0_i64..).zip(&runs) {
        let interval = run.interval.unwrap();
        assert_eq!((interval.from.0 - START.0, interval.to.0 - START.0), (number * 60_000, (number + 1) * 60_000), "{died:?}");
        assert!(has_succeeded(run), "{died:?}: {} {}", states(run), run.message);
        for task in &run.tasks {
            let (last, before) = task.attempts.split_last().unwrap();
            assert_eq!(last.reason, None, "{died:?}");
            let explained = |reason| matches!(reason, Some(EndReason::LostProcess | EndReason::Failed));
            assert!(before.iter().all(|attempt| explained(attempt.reason)), "{died:?}: {before:?}");
        }
    }
    let inner = world.runs("inner").await;
    assert_eq!(inner.len(), runs.len(), "{died:?}");
    let rows = world.deeds.rows.lock().unwrap();
    assert!(rows.values().all(|times| *times == 1), "{died:?}: {rows:?}");
    // load, clean, beside and inside of each.
    assert_eq!(rows.len(), runs.len() * 4, "{died:?}: {rows:?}");
}

/// Every commit, but over Postgres, which takes longer, some.
pub(super) fn stride() -> usize {
    if std::env::var_os(DATABASES).is_some() { 9 } else { 1 }
}

#[tokio::test]
async fn a_death_at_any_commit_loses_no_run_and_doubles_no_effect() {
    let mut commits = 0;
    for at in (1..COMMITS_MAX).step_by(stride()) {
        let mut came = false;
        for after_commit in [false, true] {
            let blow = if after_commit { Blow::DiesAfter } else { Blow::DiesBefore };
            came |= minutes_with(World::new().await, at, blow).await;
        }
        if !came {
            break;
        }
        commits = at;
    }
    assert!((20..COMMITS_MAX - 1).contains(&commits), "{commits} commits");
}

#[tokio::test]
async fn a_lost_answer_to_any_commit_loses_no_run_and_doubles_no_effect() {
    let mut commits = 0;
    for at in (1..COMMITS_MAX).step_by(stride()) {
        if !minutes_with(World::new().await, at, Blow::AnswerLost).await {
            break;
        }
        commits = at;
    }
    assert!((20..COMMITS_MAX - 1).contains(&commits), "{commits} commits");
}
