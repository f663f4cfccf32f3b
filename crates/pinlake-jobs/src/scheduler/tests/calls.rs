//! What callers rely on: lists that go on, tokens that answer once.

use std::collections::BTreeMap;

use pinlake_core::jobs::{Backfill, JobKey, NewJob, NewRun, Order, RunFilter, RunId, Submission};
use pinlake_core::{ErrorKind, Timestamp};

use super::world::{Deed, START, World, job, run_of, schedule};

#[tokio::test]
async fn a_list_may_ask_for_a_thousand_and_one_more_that_says_whether_there_are_others() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    world.install(&[spec]).await;
    let asked = Backfill {
        job: JobKey::Name("hourly".to_owned()),
        from: Timestamp(START.0 - 1_010 * 3_600_000),
        to: START,
        order: Order::Oldest,
        parallel: 1,
        only_failed: false,
        preview: false,
        parameters: BTreeMap::new(),
        cause: "a test".to_owned(),
    };
    assert_eq!(world.scheduler.backfill(asked).await.unwrap().intervals.len(), 1_010);
    let listed = async |limit: usize, before: Option<RunId>| {
        world.scheduler.runs(RunFilter { limit, before, ..RunFilter::default() }).await.unwrap()
    };
    let page = listed(1_001, None).await;
    assert_eq!((page.len(), listed(usize::MAX, None).await.len()), (1_001, 1_001));
    assert_eq!(listed(1_001, Some(page[999].id)).await.len(), 10);
    let found = world.scheduler.job(&JobKey::Name("hourly".to_owned())).await.unwrap();
    assert_eq!((found.queued, found.running, found.last.as_ref().unwrap().id), (1_010, 0, page[0].id));
    assert_eq!(found, world.scheduler.jobs().await.unwrap().remove(0));
}

fn with_token(job: &str, token: &str) -> NewRun {
    NewRun { token: Some(token.to_owned()), ..run_of(job) }
}

fn submission(token: Option<&str>, join: bool) -> Submission {
    Submission {
        spec: job("once", &["load"]),
        parameters: BTreeMap::new(),
        cause: "airflow".to_owned(),
        token: token.map(str::to_owned),
        join,
        notes: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_token_answers_for_its_own_job_alone_and_before_anything_is_refused() {
    let world = World::new().await;
    world.install(&[job("a", &["load"]), job("b", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let first = world.scheduler.start(with_token("a", "t")).await.unwrap();
    let other = world.scheduler.start(with_token("b", "t")).await.unwrap();
    let submitted = world.scheduler.submit(submission(Some("t"), false)).await.unwrap();
    assert_ne!((first, first), (other, submitted));
    assert_eq!(world.scheduler.submit(submission(Some("t"), false)).await.unwrap(), submitted);
    // Full, with a parameter that there is not, and gone.
    for _ in 0..999 {
        world.scheduler.start(run_of("a")).await.unwrap();
    }
    assert_eq!(world.scheduler.start(run_of("a")).await.unwrap_err().kind(), ErrorKind::Retry);
    let mut asked = with_token("a", "t");
    asked.parameters.insert("unknown".to_owned(), String::new());
    assert_eq!(world.scheduler.start(asked).await.unwrap(), first);
    world.install(&[]).await;
    assert_eq!(world.scheduler.start(run_of("a")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.scheduler.start(with_token("a", "t")).await.unwrap(), first);
}

#[tokio::test]
async fn a_token_of_a_deleted_job_answers_by_the_jobs_number() {
    let world = World::new().await;
    let new = NewJob { id: None, spec: job("mine", &["load"]), paused: false, notes: BTreeMap::new() };
    let id = world.scheduler.define(new).await.unwrap();
    let asked = NewRun { job: JobKey::Id(id), ..with_token("mine", "t") };
    let run = world.scheduler.start(asked.clone()).await.unwrap();
    world.settle().await;
    world.scheduler.delete(&JobKey::Id(id)).await.unwrap();
    assert_eq!(world.scheduler.start(asked).await.unwrap(), run);
}

#[tokio::test]
async fn a_submission_that_joined_a_run_is_answered_with_it_after_its_end_too() {
    let world = World::new().await;
    world.deeds.set("load", Deed::Hangs);
    let run = world.scheduler.submit(submission(None, true)).await.unwrap();
    assert_eq!(world.scheduler.submit(submission(Some("again"), true)).await.unwrap(), run);
    world.settle().await;
    world.scheduler.cancel(run).await.unwrap();
    world.ended(run).await;
    assert_eq!(world.scheduler.submit(submission(Some("again"), true)).await.unwrap(), run);
    assert_ne!(world.scheduler.submit(submission(Some("other"), true)).await.unwrap(), run);
}
