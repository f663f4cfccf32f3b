//! What time and data start: due runs, missed ones, pauses, backfills, triggers.

use std::time::Duration;

use pinlake_core::jobs::{Backfill, Interval, JobKey, Missed, NewJob, Order, RunKind, RunState, Trigger};
use pinlake_core::{ErrorKind, Timestamp};

use super::world::{Deed, START, World, job, run_of, schedule};
use crate::scheduler::Settings;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MS: i64 = 3_600_000;

/// The hours since the start at which a run's data begins.
async fn hours(world: &World, job: &str) -> Vec<i64> {
    world.runs(job).await.iter().map(|run| (run.interval.unwrap().from.0 - START.0) / HOUR_MS).collect()
}

async fn hourly(missed: Missed) -> World {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    spec.missed = missed;
    world.install(&[spec]).await;
    world
}

#[tokio::test]
async fn a_schedule_makes_a_run_for_each_interval_once_it_is_over() {
    let world = hourly(Missed::Latest).await;
    world.pass(HOUR - Duration::from_millis(1)).await;
    assert!(world.runs("hourly").await.is_empty());
    world.pass(Duration::from_millis(1)).await;
    let run = world.runs("hourly").await.pop().unwrap();
    assert_eq!((run.kind, run.state), (RunKind::Schedule, RunState::Succeeded));
    assert_eq!(run.interval, Some(Interval { from: START, to: Timestamp(START.0 + HOUR_MS) }));
    for _ in 0..3 {
        world.pass(HOUR).await;
    }
    assert_eq!(hours(&world, "hourly").await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_was_missed_while_nothing_ran_becomes_what_the_job_says() {
    for (missed, expected, passed_over) in
        [(Missed::Skip, vec![0], 0), (Missed::Latest, vec![0, 4], 3), (Missed::All, vec![0, 1, 2, 3, 4], 0)]
    {
        let world = hourly(missed).await;
        world.pass(HOUR).await;
        // Away from 01:00 to 05:30.
        world.clock.advance(4 * HOUR + 30 * MINUTE);
        let back = world.another().await;
        back.install(&[world.scheduler.job(&JobKey::Name("hourly".to_owned())).await.unwrap().spec]).await;
        back.settle().await;
        assert_eq!(hours(&back, "hourly").await, expected, "{missed:?}");
        let last = back.runs("hourly").await.pop().unwrap();
        assert_eq!(last.cause.missed, passed_over, "{missed:?}");
        back.pass(30 * MINUTE).await;
        assert_eq!(*hours(&back, "hourly").await.last().unwrap(), 5, "{missed:?}");
    }
}

#[tokio::test]
async fn a_time_that_passed_a_moment_ago_is_not_missed() {
    let world = hourly(Missed::Skip).await;
    world.pass(HOUR + 50 * Duration::from_secs(1)).await;
    assert_eq!(hours(&world, "hourly").await, [0]);
}

#[tokio::test]
async fn a_year_of_missed_hours_comes_in_parts_and_in_order() {
    let world = hourly(Missed::All).await;
    world.clock.advance(24 * 30 * HOUR);
    for _ in 0..40 {
        world.settle().await;
    }
    assert_eq!(hours(&world, "hourly").await, (0..720).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_paused_job_starts_nothing_by_itself_and_misses_nothing() {
    let world = hourly(Missed::All).await;
    let key = JobKey::Name("hourly".to_owned());
    world.scheduler.pause(&key, true).await.unwrap();
    world.pass(3 * HOUR).await;
    assert!(world.runs("hourly").await.is_empty());
    assert_eq!(world.scheduler.job(&key).await.unwrap().next_at, None);
    let by_hand = world.run("hourly").await;
    assert_eq!((by_hand.kind, by_hand.state), (RunKind::Manual, RunState::Succeeded));
    assert_eq!(by_hand.interval.unwrap().to, Timestamp(START.0 + 3 * HOUR_MS));
    world.scheduler.pause(&key, false).await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(hours(&world, "hourly").await, [2, 3]);
}

fn backfill(from_hour: i64, to_hour: i64) -> Backfill {
    Backfill {
        job: JobKey::Name("hourly".to_owned()),
        from: Timestamp(START.0 + from_hour * HOUR_MS),
        to: Timestamp(START.0 + to_hour * HOUR_MS),
        order: Order::Oldest,
        parallel: 1,
        only_failed: false,
        preview: false,
        parameters: std::collections::BTreeMap::new(),
        cause: "a test".to_owned(),
    }
}

#[tokio::test]
async fn a_backfill_is_previewed_and_then_runs_its_intervals_in_order_so_many_at_once() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    spec.concurrency = 5;
    world.install(&[spec]).await;
    let asked = Backfill { order: Order::Newest, parallel: 2, ..backfill(-10, -4) };
    let plan = world.scheduler.backfill(Backfill { preview: true, ..asked.clone() }).await.unwrap();
    assert_eq!((plan.id, plan.intervals.len(), plan.left_out), (None, 6, 0));
    assert!(world.runs("hourly").await.is_empty());
    world.deeds.set("load", Deed::Hangs);
    let plan = world.scheduler.backfill(asked).await.unwrap();
    assert_eq!(plan.id, Some(1));
    world.settle().await;
    assert_eq!(world.scheduler.state().running, 2);
    world.deeds.mend("load");
    world.deeds.let_go();
    while world.scheduler.state().running + world.scheduler.state().queued > 0 {
        world.settle().await;
    }
    let mut runs = world.runs("hourly").await;
    runs.sort_by_key(|run| run.started_at);
    assert_eq!(hours(&world, "hourly").await, [-5, -6, -7, -8, -9, -10]);
    assert!(runs.iter().all(|run| run.kind == RunKind::Backfill && run.state == RunState::Succeeded));
}

#[tokio::test]
async fn a_backfill_holds_up_no_other_job() {
    let world = World::with(Settings { tasks_max: 1, ..Settings::default() }).await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    spec.concurrency = 5;
    world.install(&[spec, job("now", &["look"])]).await;
    world.deeds.set("load", Deed::Hangs);
    world.scheduler.backfill(Backfill { parallel: 5, ..backfill(-10, 0) }).await.unwrap();
    world.settle().await;
    let asked = world.scheduler.start(run_of("now")).await.unwrap();
    // The one task that runs ends, and those behind it of the backfill have waited for longer.
    world.deeds.let_go();
    world.settle().await;
    assert_eq!(world.scheduler.run(asked).await.unwrap().state, RunState::Succeeded);
    assert!(world.scheduler.state().queued + world.scheduler.state().running > 5);
}

#[tokio::test]
async fn a_backfill_of_what_failed_leaves_out_what_succeeded() {
    let world = hourly(Missed::All).await;
    for hour in 0..4 {
        match hour {
            2 => world.deeds.set("load", Deed::Fails("no")),
            _ => world.deeds.mend("load"),
        }
        world.pass(HOUR).await;
    }
    let plan = world.scheduler.backfill(Backfill { only_failed: true, ..backfill(0, 4) }).await.unwrap();
    assert_eq!(plan.left_out, 3);
    assert_eq!(plan.intervals.iter().map(|planned| planned.before).collect::<Vec<_>>(), [Some(RunState::Failed)]);
}

#[tokio::test]
async fn a_backfill_that_makes_no_sense_is_refused() {
    let world = hourly(Missed::All).await;
    let refused = async |asked: Backfill| world.scheduler.backfill(asked).await.unwrap_err().to_string();
    assert_eq!(refused(backfill(3, 3)).await, "no interval of the schedule lies within these times and is over");
    assert_eq!(refused(backfill(0, 5)).await, "no interval of the schedule lies within these times and is over");
    assert!(refused(backfill(-20_000, 0)).await.contains("more than 10000 intervals"));
    world.install(&[job("hourly", &["load"])]).await;
    assert!(refused(backfill(-3, 0)).await.contains("has no schedule"));
}

#[tokio::test]
async fn new_data_starts_a_run_once_there_is_enough() {
    let world = World::new().await;
    let mut spec = job("fresh", &["load"]);
    spec.triggers = vec![Trigger::Rows { table: "pin".to_owned(), rows: 100 }];
    world.install(&[spec]).await;
    world.settle().await;
    // What is there when the trigger is first seen is not new.
    world.deeds.stand("pin", 1_000);
    world.pass(MINUTE).await;
    world.deeds.stand("pin", 1_099);
    world.pass(MINUTE).await;
    assert!(world.runs("fresh").await.is_empty());
    world.deeds.stand("pin", 1_100);
    world.pass(MINUTE).await;
    let run = world.runs("fresh").await.pop().unwrap();
    assert_eq!((run.kind, run.cause.text.as_str()), (RunKind::Data, "100 new rows of pin"));
    assert_eq!(run.interval, Some(Interval { from: Timestamp(START.0 + 60_000), to: Timestamp(START.0 + 180_000) }));
    world.pass(MINUTE).await;
    // After a restart the same rows are still not new.
    let again = world.another().await;
    again.install(&[again.scheduler.job(&JobKey::Name("fresh".to_owned())).await.unwrap().spec]).await;
    again.pass(MINUTE).await;
    assert_eq!(again.runs("fresh").await.len(), 1);
    // A table that was made anew begins anew.
    again.deeds.stand("pin", 10);
    again.pass(MINUTE).await;
    again.deeds.stand("pin", 110);
    again.pass(MINUTE).await;
    assert_eq!(again.runs("fresh").await.len(), 2);
}

#[tokio::test]
async fn data_that_comes_while_a_run_waits_makes_no_second_one() {
    let world = World::new().await;
    let mut spec = job("fresh", &["load"]);
    spec.triggers = vec![Trigger::Version { table: "pin".to_owned() }];
    world.install(&[spec]).await;
    world.deeds.stand("pin", 1);
    world.settle().await;
    world.deeds.set("load", Deed::Hangs);
    for version in 2..6 {
        world.deeds.stand("pin", version);
        world.pass(MINUTE).await;
    }
    let states: Vec<_> = world.runs("fresh").await.iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Running, RunState::Queued]);
}

#[tokio::test]
async fn parameters_are_the_jobs_own_unless_they_are_given() {
    let world = World::new().await;
    let mut spec = job("daily", &["load"]);
    spec.parameters = [("category".to_owned(), "art".to_owned())].into();
    world.install(&[spec]).await;
    let given =
        |name: &str| pinlake_core::jobs::NewRun { parameters: [(name.to_owned(), "x".to_owned())].into(), ..run_of("daily") };
    let id = world.scheduler.start(given("category")).await.unwrap();
    assert_eq!(world.read(id).await.parameters["category"], "x");
    let refused = world.scheduler.start(given("kategory")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(refused.to_string(), "job 'daily' has no parameter 'kategory': there are category");
}

#[tokio::test]
async fn a_backfill_that_waits_keeps_a_job_neither_from_its_schedule_nor_from_calls() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    spec.concurrency = 3;
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::Hangs);
    world.scheduler.backfill(backfill(-1_100, 0)).await.unwrap();
    world.settle().await;
    world.start("hourly").await;
    world.pass(HOUR).await;
    let mut kinds: Vec<RunKind> = world.runs("hourly").await.iter().rev().take(2).map(|run| run.kind).collect();
    kinds.reverse();
    assert_eq!(kinds, [RunKind::Manual, RunKind::Schedule]);
}

#[tokio::test]
async fn passed_over_times_are_counted_up_to_a_thousand() {
    let world = World::new().await;
    let mut spec = job("often", &["load"]);
    spec.schedule = schedule("* * * * *");
    world.install(&[spec]).await;
    world.pass(24 * 3 * HOUR).await;
    assert_eq!(world.runs("often").await.last().unwrap().cause.missed, 1_000);
}

/// A job of calls that new versions of a table start, or nothing.
fn called(id: Option<i64>, tables: &[&str]) -> NewJob {
    let mut spec = job("called", &["load"]);
    spec.triggers = tables.iter().map(|table| Trigger::Version { table: (*table).to_owned() }).collect();
    NewJob { id, spec, paused: false, notes: std::collections::BTreeMap::new() }
}

#[tokio::test]
async fn a_trigger_that_another_process_defines_is_looked_at_after_ten_seconds() {
    let one = World::new().await;
    one.install(&[]).await;
    let two = one.another().await;
    two.settle().await;
    one.scheduler.define(called(None, &["pin"])).await.unwrap();
    one.deeds.stand("pin", 1);
    two.pass(9 * SECOND).await;
    assert_eq!(two.deeds.looks(), 0);
    two.pass(SECOND).await;
    two.deeds.stand("pin", 2);
    two.pass(SECOND).await;
    assert_eq!(two.runs("called").await.len(), 1);
}

#[tokio::test]
async fn a_trigger_that_another_process_takes_away_starts_nothing_and_is_soon_no_longer_looked_at() {
    let one = World::new().await;
    one.install(&[]).await;
    let id = one.scheduler.define(called(None, &["pin", "geo"])).await.unwrap();
    for table in ["pin", "geo"] {
        one.deeds.stand(table, 1);
    }
    one.settle().await;
    let two = one.another().await;
    two.scheduler.define(called(Some(id), &["geo"])).await.unwrap();
    one.deeds.stand("pin", 2);
    one.pass(2 * SECOND).await;
    assert_eq!(one.runs("called").await.len(), 0);
    one.pass(10 * SECOND).await;
    let before = one.deeds.looks();
    one.pass(2 * SECOND).await;
    assert_eq!(one.deeds.looks() - before, 1, "only the other");
    one.deeds.stand("geo", 2);
    one.pass(2 * SECOND).await;
    assert_eq!(one.runs("called").await.len(), 1);
}
