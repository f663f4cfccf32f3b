//! What callers rely on: lists that go on, tokens that answer once.

use std::collections::BTreeMap;

use pinlake_core::jobs::{Backfill, JobKey, JobSpec, NewJob, NewRun, Order, RunFilter, RunId, Submission};
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

#[tokio::test]
async fn a_page_is_full_as_long_as_there_are_more_runs_whatever_can_be_read() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.insert(0, world.run("daily").await.id);
    }
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    change.damage("UPDATE run SET document = 'x' WHERE id IN (SELECT id FROM run ORDER BY id DESC LIMIT 4)").await;
    change.commit().await.unwrap();
    let listed = async |limit: usize| {
        let filter = RunFilter { limit, before: Some(ids[0]), ..RunFilter::default() };
        world.scheduler.runs(filter).await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(1).await, ids[4..5]);
    assert_eq!(listed(3).await, ids[4..7]);
    assert_eq!(listed(4).await, ids[4..]);
    assert_eq!(listed(5).await, ids[4..], "there are no more");
}

#[tokio::test]
async fn control_characters_are_refused_by_either_database_before_anything_is_asked_of_it() {
    let world = World::new().await;
    world.install(&[JobSpec { schedule: schedule("@hourly"), ..job("daily", &["load"]) }]).await;
    let id = world.scheduler.job(&JobKey::Name("daily".to_owned())).await.unwrap().id;
    let refused = |answer: pinlake_core::Result<String>| {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        error.to_string()
    };
    // Nobody else may begin a change: whoever waits for one has not refused.
    let change = world.scheduler.inner.store.change().await.unwrap();
    let given = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let start = async |asked: NewRun| refused(world.scheduler.start(asked).await.map(|id| id.to_string()));
    assert_eq!(start(with_token("daily", "a\0b")).await, "a token holds the control character U+0000: leave it out");
    let value = NewRun { parameters: given("a", "b\0"), ..run_of("daily") };
    assert_eq!(start(value).await, "the value of parameter 'a' holds the character NUL: leave it out");
    let name = NewRun { parameters: given("a\n", "b"), any_parameters: true, ..run_of("daily") };
    assert_eq!(start(name).await, "a parameter's name holds the control character U+000A: leave it out");
    let define = async |spec: JobSpec| {
        let asked = NewJob { id: None, spec, paused: false, notes: BTreeMap::new() };
        refused(world.scheduler.define(asked).await.map(|id| id.to_string()))
    };
    assert_eq!(define(job("a\0b", &["load"])).await, "a job's name holds the control character U+0000: leave it out");
    assert_eq!(define(job("a", &["lo\u{85}ad"])).await, "a task's name holds the control character U+0085: leave it out");
    let spec = JobSpec { parameters: given("a\t", "b"), ..job("a", &["load"]) };
    assert_eq!(define(spec).await, "a parameter's name holds the control character U+0009: leave it out");
    let submitted = world.scheduler.submit(Submission { parameters: given("a", "\0"), ..submission(None, false) }).await;
    refused(submitted.map(|id| id.to_string()));
    drop(change);
    let mut submitted = submission(Some("t"), true);
    submitted.spec.name = "a\0b".to_owned();
    refused(world.scheduler.submit(submitted).await.map(|id| id.to_string()));
    // What nothing can be named is not there.
    let key = JobKey::Name("a\0b".to_owned());
    assert_eq!(world.scheduler.start(run_of("a\0b")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.scheduler.job(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
    // What is only kept is taken: lines, and any cause.
    let lines = NewRun { cause: "a\0".to_owned(), token: Some("ü".to_owned()), ..run_of("daily") };
    world.scheduler.start(NewRun { job: JobKey::Id(id), ..lines }).await.unwrap();
    world
        .scheduler
        .submit(Submission { cause: "a\0".to_owned(), parameters: given("a", "b\n"), ..submission(None, true) })
        .await
        .unwrap();
}
