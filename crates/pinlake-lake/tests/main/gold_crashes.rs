//! A failure at every single step of the store while answers are kept, with and without the death of the process: every run's rows are there
//! once.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{ErrorKind, Result};
use pinlake_lake::gold::{Effect, Gold};
use pinlake_lake::lake::Lake;
use serde_json::json;

use crate::faulty_store::{Fault, FaultyStore};
use crate::gold::{daily, kept};
use crate::setup::{World, rows, things};

/// Times a run is tried again after a fault that strikes once.
const TRIES_MAX: usize = 5;
/// How long a run of a dead process is waited for, in the tests' own time.
const DEATH_NOTICED: Duration = Duration::from_secs(5);

/// A table that is made, gets a column, gets no rows, and gets some again.
const RUNS: [&str; 4] = [
    "SELECT 1 AS n UNION ALL SELECT 2",
    "SELECT 3 AS n, 'new' AS v",
    "SELECT 4 AS n WHERE 1 = 2",
    "SELECT 5 AS n UNION ALL SELECT 6 UNION ALL SELECT 7",
];

async fn keep(lake: &Lake, run: usize) -> Result<()> {
    // Each of its own lane, so that whoever does them again asks for each of them.
    let effect = Effect { app: format!("job/{run}"), version: 1 };
    lake.materialise(Gold { effect, ..daily(RUNS[run], i64::try_from(run).unwrap()) }).await.map(drop)
}

async fn tidy(lake: &Lake) -> Result<()> {
    lake.compact("gold.daily").await?;
    lake.vacuum("gold.daily", Duration::ZERO).await.map(drop)
}

async fn check(lake: &Lake, context: &str) {
    let wanted = json!([[1, null, 0], [2, null, 0], [3, "new", 1], [5, null, 3], [6, null, 3], [7, null, 3]]);
    assert_eq!(kept(lake, "n, v, _run").await, wanted, "{context}");
}

/// Keeps all answers and tidies their files up over a store with one fault; a process that dies is followed by another that keeps all of them again. Returns whether
/// the fault struck at all.
async fn run(fault: Fault, step: u64) -> bool {
    let world = World::new(things());
    let store = Arc::new(FaultyStore::new(world.objects.clone(), fault, step).within("gold"));
    let dies = matches!(fault, Fault::DeathBefore | Fault::DeathAfter);
    let lake = world.start_on(store.clone()).await.unwrap();
    for run in 0..=RUNS.len() {
        for tried in 1.. {
            let step = async { if run < RUNS.len() { keep(&lake, run).await } else { tidy(&lake).await } };
            match tokio::time::timeout(DEATH_NOTICED, step).await {
                Ok(Ok(())) => break,
                _ if dies => break,
                failed => assert!(tried < TRIES_MAX, "{fault:?} {:?}: {failed:?}", store.hit()),
            }
        }
    }
    let Some(hit) = store.hit() else { return false };
    let context = format!("{fault:?} at step {step} ({hit})");
    if !dies {
        check(&lake, &context).await;
    }
    store.kill();
    drop(lake);
    let lake = world.start().await;
    for run in 0..RUNS.len() {
        keep(&lake, run).await.unwrap_or_else(|error| panic!("{context}: run {run}: {error}"));
    }
    check(&lake, &format!("{context}, by another process")).await;
    true
}

/// Strikes at every step there is.
fn strike_everywhere(fault: Fault, steps_min: u64) {
    let mut step = 1;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    while runtime().block_on(run(fault, step)) {
        step += 1;
    }
    assert!(step > steps_min, "{fault:?} struck only {} times", step - 1);
}

#[test]
fn a_put_that_fails_keeps_every_answer_once() {
    strike_everywhere(Fault::PutBefore, 6);
}

#[test]
fn a_put_whose_answer_is_lost_keeps_every_answer_once() {
    strike_everywhere(Fault::PutAfter, 6);
}

#[test]
fn an_outage_after_a_put_keeps_every_answer_once() {
    strike_everywhere(Fault::Outage, 6);
}

#[test]
fn a_conditional_put_that_meets_itself_keeps_every_answer_once() {
    strike_everywhere(Fault::ConditionLost, 3);
}

#[test]
fn a_death_before_a_put_keeps_every_answer_once() {
    strike_everywhere(Fault::DeathBefore, 6);
}

#[test]
fn a_death_after_a_put_keeps_every_answer_once() {
    strike_everywhere(Fault::DeathAfter, 6);
}

#[test]
fn a_get_that_fails_keeps_every_answer_once() {
    strike_everywhere(Fault::Get, 10);
}

#[test]
fn a_listing_that_fails_keeps_every_answer_once() {
    strike_everywhere(Fault::List, 10);
}

/// A store that stays away fails the run and nobody else, and what it wrote before is not seen.
#[tokio::test(start_paused = true)]
async fn a_run_without_a_store_fails_and_is_made_up_for_later() {
    let world = World::new(things());
    let store = Arc::new(FaultyStore::sound(world.objects.clone()));
    let lake = world.start_on(store.clone()).await.unwrap();
    keep(&lake, 0).await.unwrap();
    store.close("gold/daily/_delta_log");
    let failed = keep(&lake, 1).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Retry, "{failed}");
    store.recover();
    store.lose_answers("gold/daily/_delta_log");
    keep(&lake, 1).await.unwrap();
    store.recover();
    assert_eq!(rows(&lake, "SELECT count(*) FROM gold.daily").await, [[json!(3)]]);
    for run in 0..RUNS.len() {
        keep(&lake, run).await.unwrap();
    }
    check(&lake, "after an outage").await;
}
