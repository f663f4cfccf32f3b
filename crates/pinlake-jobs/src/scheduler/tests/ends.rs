//! How runs end: dependencies, retries, timeouts, cancels, runs again, other jobs.

use std::time::Duration;

use pinlake_core::ErrorKind;
use pinlake_core::jobs::{Again, EndReason, RunState, Submission, TaskState, Waits, Work};

use super::world::{Deed, World, has_succeeded, job, run_of, span, states, task};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn tasks_run_in_their_order_and_a_run_succeeds() {
    let world = World::new().await;
    world.install(&[job("daily", &["archive", "rebuild", "check"])]).await;
    let run = world.run("daily").await;
    assert!(has_succeeded(&run), "{run:?}");
    assert_eq!(
        world.deeds.calls.lock().unwrap().iter().map(|call| call.0.as_str()).collect::<Vec<_>>(),
        ["archive", "rebuild", "check"]
    );
    let last = run.tasks[2].last().unwrap();
    assert_eq!((last.message.as_str(), last.output.as_deref()), ("check is done", Some("check")));
    let log = world.scheduler.log(run.tasks[0].id, None, 0, Duration::ZERO).await.unwrap();
    assert_eq!(log.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["attempt 1 of archive"]);
}

#[tokio::test]
async fn what_waits_for_a_failed_task_ends_upstream_and_what_waits_for_any_end_runs() {
    let world = World::new().await;
    let mut spec = job("daily", &["archive", "rebuild", "check"]);
    let tidy = pinlake_core::jobs::TaskSpec { waits: Waits::AllDone, ..task("tidy", vec!["check".to_owned()]) };
    spec.tasks.push(tidy);
    world.install(&[spec]).await;
    world.deeds.set("archive", Deed::Fails("the disk is full"));
    let run = world.run("daily").await;
    assert_eq!(states(&run), "archive: Failed FAILED, rebuild: Failed UPSTREAM, check: Failed UPSTREAM, tidy: Succeeded");
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(EndReason::Failed)));
    assert_eq!(run.message, "task 'archive': the disk is full");
}

#[tokio::test]
async fn a_task_is_tried_again_after_growing_waits_and_not_more_often_than_it_says() {
    let world = World::new().await;
    let mut spec = job("daily", &["load"]);
    spec.tasks[0].retries.count = 3;
    spec.tasks[0].retries.delay = "10s".parse().unwrap();
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::Fails("no"));
    let id = world.start("daily").await;
    world.settle().await;
    let mut waits = Vec::new();
    while world.read(id).await.state == RunState::Running {
        let due = world.read(id).await.tasks[0].not_before.unwrap();
        waits.push(world.clock.now().until(due).as_secs_f64());
        // A little before it is due, nothing happens.
        world.pass(world.clock.now().until(due) - Duration::from_millis(1)).await;
        assert_eq!(world.read(id).await.tasks[0].state, TaskState::Retrying);
        world.pass(Duration::from_millis(1)).await;
    }
    assert_eq!(waits.len(), 3);
    for (wait, expected) in waits.iter().zip([10.0, 20.0, 40.0]) {
        assert!((expected * 0.8..=expected * 1.2).contains(wait), "{waits:?}");
    }
    assert_eq!(world.deeds.attempts("load"), 4);
    assert_eq!(states(&world.read(id).await), "load: Failed FAILED");
}

#[tokio::test]
async fn a_task_that_comes_round_in_a_retry_succeeds() {
    let world = World::new().await;
    let mut spec = job("daily", &["load"]);
    spec.tasks[0].retries.count = 2;
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::FailsTimes(2));
    let id = world.start("daily").await;
    for _ in 0..4 {
        world.pass(100 * SECOND).await;
    }
    let run = world.read(id).await;
    assert!(has_succeeded(&run), "{run:?}");
    assert_eq!(
        run.tasks[0].attempts.iter().map(|attempt| attempt.reason).collect::<Vec<_>>(),
        [Some(EndReason::Failed), Some(EndReason::Failed), None]
    );
}

#[tokio::test]
async fn a_task_that_panics_has_failed() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Panics);
    let run = world.run("daily").await;
    assert_eq!(run.message, "task 'load': the task stopped by a defect");
}

#[tokio::test]
async fn a_run_that_takes_too_long_ends_timed_out() {
    let world = World::new().await;
    let mut spec = job("daily", &["load", "clean"]);
    spec.timeout = span("1h");
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("daily").await;
    world.settle().await;
    world.pass(3599 * SECOND).await;
    assert_eq!(world.read(id).await.state, RunState::Running);
    world.pass(2 * SECOND).await;
    let run = world.ended(id).await;
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(EndReason::TimedOut)));
    assert_eq!(run.message, "the run took more than 1h");
    assert_eq!(states(&run), "load: Failed TIMED_OUT, clean: Failed TIMED_OUT");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_ends_timed_out_even_if_it_does_not_listen() {
    let settings = crate::Settings { grace: Duration::from_millis(10), ..crate::Settings::default() };
    let world = World::with(settings).await;
    let mut spec = job("daily", &["load"]);
    spec.tasks[0].timeout = span("30ms");
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::IgnoresCancel);
    let id = world.start("daily").await;
    let mut events = world.scheduler.watch();
    world.settle().await;
    while !world.read(id).await.state.has_ended() {
        events.recv().await.unwrap();
    }
    let run = world.read(id).await;
    assert_eq!(states(&run), "load: Failed TIMED_OUT");
    assert_eq!(run.message, "task 'load': the attempt took more than 30ms");
}

#[tokio::test]
async fn a_cancelled_run_ends_and_what_has_not_begun_never_does() {
    let world = World::new().await;
    world.install(&[job("daily", &["load", "clean"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("daily").await;
    let waiting = world.start("daily").await;
    world.settle().await;
    assert_eq!(world.read(waiting).await.state, RunState::Queued);
    world.scheduler.cancel(waiting).await.unwrap();
    world.scheduler.cancel(id).await.unwrap();
    for id in [id, waiting] {
        let run = world.ended(id).await;
        assert_eq!((run.state, run.reason), (RunState::Failed, Some(EndReason::Cancelled)), "{run:?}");
        assert_eq!(states(&run), "load: Failed CANCELLED, clean: Failed CANCELLED");
    }
    assert_eq!(world.deeds.attempts("load"), 1);
    // Once more changes nothing.
    world.scheduler.cancel(id).await.unwrap();
}

#[tokio::test]
async fn a_run_goes_on_from_the_task_that_failed() {
    let world = World::new().await;
    let mut spec = job("daily", &["archive", "rebuild", "check"]);
    spec.tasks.push(pinlake_core::jobs::TaskSpec { waits: Waits::AllDone, ..task("tidy", vec!["check".to_owned()]) });
    world.install(&[spec]).await;
    world.deeds.set("rebuild", Deed::Fails("no"));
    let id = world.run("daily").await.id;
    world.deeds.mend("rebuild");
    world.scheduler.rerun(id, Again::Failed).await.unwrap();
    world.settle().await;
    let run = world.read(id).await;
    assert!(has_succeeded(&run), "{}", states(&run));
    assert_eq!(run.generation, 2);
    let attempts = ["archive", "rebuild", "check", "tidy"].map(|task| world.deeds.attempts(task));
    assert_eq!(attempts, [1, 2, 1, 2], "tidy is behind what ran again");
    let refused = world.scheduler.rerun(id, Again::Failed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    world.scheduler.rerun(id, Again::All).await.unwrap();
    world.settle().await;
    assert_eq!(world.deeds.attempts("archive"), 2);
}

#[tokio::test]
async fn a_job_runs_another_and_takes_over_how_it_ended() {
    let world = World::new().await;
    let mut outer = job("outer", &["inner"]);
    outer.tasks[0].work = Work::Job { name: "daily".to_owned(), parameters: std::collections::BTreeMap::new() };
    world.install(&[outer, job("daily", &["load"])]).await;
    let run = world.run("outer").await;
    assert!(has_succeeded(&run), "{run:?}");
    assert_eq!(run.tasks[0].last().unwrap().output.as_deref(), Some("load"));
    world.deeds.set("load", Deed::Fails("bad rows"));
    let run = world.run("outer").await;
    assert!(run.message.contains("task 'load': bad rows"), "{}", run.message);
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("outer").await;
    world.settle().await;
    world.scheduler.cancel(id).await.unwrap();
    let child = world.runs("daily").await.pop().unwrap().id;
    let child = world.ended(child).await;
    assert_eq!((child.state, child.reason), (RunState::Failed, Some(EndReason::Cancelled)));
    assert_eq!(world.ended(id).await.reason, Some(EndReason::Cancelled));
}

#[tokio::test]
async fn a_run_waits_for_another_job_no_longer_than_it_says() {
    let world = World::new().await;
    let mut outer = job("outer", &["inner"]);
    outer.tasks[0].work = Work::Job { name: "daily".to_owned(), parameters: std::collections::BTreeMap::new() };
    outer.tasks[0].timeout = span("1m");
    world.install(&[outer, job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("outer").await;
    world.settle().await;
    world.pass(61 * SECOND).await;
    assert_eq!(states(&world.ended(id).await), "inner: Failed TIMED_OUT");
    let child = world.runs("daily").await[0].id;
    assert_eq!(world.ended(child).await.reason, Some(EndReason::Cancelled));
}

#[tokio::test]
async fn a_job_has_no_more_runs_at_once_than_it_says_and_a_pool_no_more_tasks() {
    let mut settings = crate::Settings { tasks_max: 100, ..crate::Settings::default() };
    settings.pools.insert("heavy".to_owned(), 2);
    let world = World::with(settings).await;
    let mut spec = job("many", &["load"]);
    spec.concurrency = 5;
    spec.tasks[0].pool = Some("heavy".to_owned());
    world.install(&[spec]).await;
    world.deeds.set("load", Deed::Hangs);
    for _ in 0..7 {
        world.start("many").await;
    }
    world.scheduler.tick().await.unwrap();
    let state = world.scheduler.state();
    assert_eq!((state.running, state.queued), (5, 2));
    while *world.deeds.calls.lock().unwrap().last().map(|_| &1).unwrap_or(&0) == 0 || world.deeds.attempts("load") < 2 {
        world.deeds.changed.notified().await;
    }
    world.scheduler.tick().await.unwrap();
    assert_eq!(world.deeds.attempts("load"), 2);
}

#[tokio::test]
async fn a_token_gives_one_run_and_equal_submissions_join_if_they_say_so() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let asked = pinlake_core::jobs::NewRun { token: Some("t1".to_owned()), ..run_of("daily") };
    let first = world.scheduler.start(asked.clone()).await.unwrap();
    assert_eq!(world.scheduler.start(asked).await.unwrap(), first);
    let submission = Submission {
        spec: job("once", &["load"]),
        parameters: std::collections::BTreeMap::new(),
        cause: "airflow".to_owned(),
        token: None,
        join: true,
        notes: std::collections::BTreeMap::new(),
    };
    let run = world.scheduler.submit(submission.clone()).await.unwrap();
    assert_eq!(world.scheduler.submit(submission.clone()).await.unwrap(), run);
    let other = Submission { cause: "somebody else".to_owned(), ..submission.clone() };
    assert_ne!(world.scheduler.submit(other).await.unwrap(), run);
    let apart = Submission { join: false, ..submission };
    assert_ne!(world.scheduler.submit(apart).await.unwrap(), run);
}
