//! What goes wrong in or around a process that lives on: defects, looks that do not answer.

use std::time::Duration;

use pinlake_core::jobs::{Again, EndReason, JobSpec, NewRun, ProblemKind, Run, RunId, RunState, SchedulerProblem, Trigger, Work};
use pinlake_core::{ErrorKind, Timestamp};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Deed, Look, START, World, has_succeeded, job, run_of, schedule};
use crate::scheduler::Settings;
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
    let message = "a defect in looking for what is due: struck at a commit".to_owned();
    assert_eq!(world.scheduler.state().problems, [SchedulerProblem { kind: ProblemKind::Defect, message }]);
    assert!(world.scheduler.tick_or_tell().await);
    assert!(world.problems().is_empty());
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
    world.end_with(Blow::Panics).await;
    let run = world.read(id).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.message, "task 'load': the scheduler came upon a defect: struck at a commit");
    assert!(world.scheduler.inner.underway.lock().unwrap().is_empty());
    assert_eq!(world.problems(), ["a defect in carrying out task 'load' of job 'daily': struck at a commit"]);
}

#[tokio::test]
async fn a_defect_at_a_task_is_a_problem_until_that_task_goes_well_or_is_no_more() {
    let world = World::new().await;
    let (daily, other) = (job("daily", &["load"]), job("other", &["load"]));
    world.install(&[daily.clone(), other.clone()]).await;
    world.settle().await;
    let mut wanted = Vec::new();
    for name in ["daily", "other"] {
        let id = world.start(name).await;
        world.end_with(Blow::Panics).await;
        assert_eq!(world.read(id).await.state, RunState::Failed);
        wanted.push(format!("a defect in carrying out task 'load' of job '{name}': struck at a commit"));
        assert_eq!(world.problems(), wanted);
    }
    assert!(has_succeeded(&world.run("daily").await));
    assert_eq!(world.problems(), wanted[1..]);
    // Nobody would find out that it goes well again.
    world.scheduler.install(&[daily], Vec::new()).await.unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
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
    // An end that waits for it takes 50 s.
    tokio::time::timeout(40 * SECOND, world.scheduler.stop()).await.unwrap();
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
        let message = match look {
            Look::Fails => "job 'waiting' can't look for new objects below s3://bucket/new: no answer",
            _ => "a defect in looking at data: as the test says",
        };
        assert_eq!(world.problems(), [message]);
    }
    // Once it is seen it is looked at each second again.
    world.deeds.stand("s3://bucket/new", 1);
    world.deeds.see("s3://bucket/new", Look::Well);
    world.pass(600 * SECOND).await;
    assert!(world.problems().is_empty());
    world.deeds.stand("s3://bucket/new", 2);
    world.pass(SECOND).await;
    assert_eq!(world.runs("waiting").await.len(), 1);
}

#[tokio::test]
async fn a_defect_with_some_data_is_a_problem_for_as_long_as_it_is_there_or_its_trigger() {
    let world = World::new().await;
    let mut fresh = job("fresh", &["load"]);
    fresh.triggers = vec![Trigger::Version { table: "pin".to_owned() }];
    let mut other = waiting();
    other.name = "other".to_owned();
    world.install(&[waiting(), other, fresh.clone()]).await;
    world.deeds.see("s3://bucket/new", Look::Panics);
    world.deeds.stand("pin", 1);
    world.scheduler.look_at_data().await;
    let problem = ["a defect in looking at data: as the test says"];
    assert_eq!(world.problems(), problem, "of two jobs, and said once");
    world.clock.advance(2 * SECOND);
    world.scheduler.look_at_data().await;
    assert_eq!(world.problems(), problem, "other data that can be seen hides it not");
    world.scheduler.install(&[waiting(), fresh.clone()], Vec::new()).await.unwrap();
    assert_eq!(world.problems(), problem);
    world.install(&[fresh]).await;
}

#[tokio::test]
async fn data_that_cannot_be_looked_at_is_a_problem_until_it_can_or_is_waited_for_no_more() {
    let world = World::new().await;
    let mut rows = job("rows", &["load"]);
    rows.triggers = vec![Trigger::Rows { table: "pin".to_owned(), rows: 10 }];
    world.install(&[waiting(), rows.clone()]).await;
    for name in ["s3://bucket/new", "pin"] {
        world.deeds.see(name, Look::Fails);
    }
    world.scheduler.look_at_data().await;
    let of_rows = "job 'rows' can't look for new rows of pin: no answer";
    let of_objects = "job 'waiting' can't look for new objects below s3://bucket/new: no answer";
    assert_eq!(world.problems(), [of_rows, of_objects]);
    assert!(world.scheduler.state().problems.iter().all(|problem| problem.kind == ProblemKind::Data));
    // Not there yet is no failure.
    world.deeds.see("pin", Look::Well);
    world.clock.advance(10 * SECOND);
    world.scheduler.look_at_data().await;
    assert_eq!(world.problems(), [of_objects]);
    world.scheduler.install(&[rows], Vec::new()).await.unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
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

async fn damage(world: &World, statements: &[&'static str]) {
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    for sql in statements {
        change.damage(sql).await;
    }
    change.commit().await.unwrap();
}

/// A job with a schedule of each hour.
fn hourly(name: &str) -> JobSpec {
    JobSpec { schedule: schedule("@hourly"), ..job(name, &["load"]) }
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_stops_no_other_and_is_made_anew_by_the_files() {
    let world = World::new().await;
    world.install(&[hourly("torn"), hourly("whole")]).await;
    damage(&world, &["UPDATE job SET definition = '{\"name\":' WHERE name = 'torn'"]).await;
    world.pass(3_600 * SECOND).await;
    assert_eq!(world.runs("whole").await.len(), 1);
    assert_eq!(world.scheduler.jobs().await.unwrap().len(), 1);
    let back = world.another().await;
    back.install(&[hourly("torn"), hourly("whole")]).await;
    back.pass(3_600 * SECOND).await;
    assert_eq!((back.runs("whole").await.len(), back.runs("torn").await.len()), (2, 1));
    // One that the files no longer have stays as it is, for whoever can read it.
    damage(&back, &["UPDATE job SET definition = 'x' WHERE name = 'torn'"]).await;
    back.install(&[hourly("whole")]).await;
    assert_eq!(back.scheduler.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_that_cannot_be_read_stops_nothing_else() {
    let world = World::new().await;
    let mut outer = job("outer", &["inner"]);
    outer.tasks[0].work = Work::Job { name: "daily".to_owned(), parameters: std::collections::BTreeMap::new() };
    let mut spec = job("daily", &["load"]);
    spec.concurrency = 2;
    spec.timeout = super::world::span("10m");
    world.install(&[outer, spec]).await;
    world.deeds.set("load", Deed::Hangs);
    // One that has a child, one that has begun, and one that has not.
    let parent = world.start("outer").await;
    let begun = world.start("daily").await;
    world.settle().await;
    world.start("outer").await;
    damage(&world, &["UPDATE run SET document = 'x' WHERE kind = 'manual'"]).await;
    let child = world.runs("daily").await[0].id;
    world.deeds.mend("load");
    world.deeds.let_go();
    assert!(has_succeeded(&world.ended(child).await));
    world.pass(3_600 * SECOND).await;
    for torn in [parent, begun] {
        assert_eq!(world.scheduler.run(torn).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // Nothing of them is due any more, and they are not read again and again.
    assert!(!world.scheduler.inner.store.has_due(world.clock.now()).await.unwrap());
    let back = world.another().await;
    back.install(&[job("other", &["load"])]).await;
    assert!(has_succeeded(&back.run("other").await));
    damage(&back, &["UPDATE run SET ended_at = 0 WHERE document = 'x'"]).await;
    back.pass(24 * 3_600 * SECOND).await;
    assert_eq!(back.scheduler.run(parent).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_cancelled_so_that_its_job_goes_on_and_then_deleted() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let torn = world.start("daily").await;
    world.settle().await;
    let next = world.start("daily").await;
    world.settle().await;
    damage(&world, &["UPDATE run SET document = 'x' WHERE state = 'running'"]).await;
    assert_eq!(world.scheduler.forget(torn).await.unwrap_err().kind(), ErrorKind::Conflict);
    // A number that is not the run's own ends nothing.
    assert_eq!(world.scheduler.cancel(RunId(torn.0 + 1)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(world.scheduler.inner.store.count_open().await.unwrap(), (1, 1));
    world.deeds.mend("load");
    let said = world.scheduler.cancel(torn).await.unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Corrupt);
    assert!(said.to_string().starts_with(&format!("run {torn} can't be read: it has ended as failed")), "{said}");
    world.deeds.none_hangs().await;
    let next = tokio::time::timeout(60 * SECOND, world.ended(next)).await.expect("it waits for what was cancelled");
    assert!(has_succeeded(&next));
    let again = world.scheduler.cancel(torn).await.unwrap_err().to_string();
    assert!(again.starts_with(&format!("run {torn} in the jobs' database can't be read")), "{again}");
    assert_eq!(world.scheduler.run(torn).await.unwrap_err().kind(), ErrorKind::Corrupt, "it stays as it is");
    world.scheduler.forget(torn).await.unwrap();
    assert_eq!(world.scheduler.run(torn).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_time_that_a_clock_far_ahead_left_is_mended_when_jobs_are_installed() {
    let world = World::new().await;
    world.install(&[hourly("hourly")]).await;
    damage(&world, &["UPDATE job SET next_at = 9000000000000, look_at = 9000000000000"]).await;
    world.pass(3_600 * SECOND).await;
    assert!(world.runs("hourly").await.is_empty());
    world.install(&[hourly("hourly")]).await;
    world.pass(3_600 * SECOND).await;
    assert_eq!(world.runs("hourly").await.len(), 1);
}

#[tokio::test]
async fn a_database_that_does_not_answer_keeps_no_task_from_its_end() {
    let world = World::new().await;
    let mut spec = job("daily", &["load"]);
    spec.tasks[0].timeout = super::world::span("50ms");
    world.install(&[spec]).await;
    world.settle().await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("daily").await;
    assert!(world.scheduler.step(world.clock.now()).await.unwrap());
    // Nobody else writes, logs neither.
    let change = world.scheduler.inner.store.change().await.unwrap();
    while world.deeds.attempts("load") == 0 {
        world.deeds.changed.notified().await;
    }
    // A call waits for 10 s before it gives the database up.
    tokio::time::timeout(9 * SECOND, world.deeds.none_hangs()).await.unwrap();
    drop(change);
    assert_eq!(reasons(&world.ended(id).await), [Some(EndReason::TimedOut)]);
    let log = world.scheduler.log(id, None, 0, Duration::ZERO).await.unwrap();
    let lines: Vec<_> = log.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["attempt 1 of load", "TIMED_OUT: the attempt took more than 50ms"]);
}

#[tokio::test]
async fn what_is_being_sent_at_the_end_is_written_down_as_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receivers = vec![super::receiver::hook(&format!("http://{}", listener.local_addr().unwrap()))];
    let world = World::with(Settings { receivers, ..Settings::default() }).await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Fails("no"));
    world.run("daily").await;
    world.clock.advance(3 * SECOND);
    let serving = tokio::spawn({
        let scheduler = world.scheduler.clone();
        async move { scheduler.serve().await }
    });
    let (mut request, _) = listener.accept().await.unwrap();
    let stopping = tokio::spawn({
        let scheduler = world.scheduler.clone();
        async move { scheduler.stop().await }
    });
    world.scheduler.stopped().await;
    let mut body = Vec::new();
    while !body.windows(13).any(|part| part == b"/daily/failed") {
        assert!(request.read_buf(&mut body).await.unwrap() > 0);
    }
    request.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    stopping.await.unwrap();
    serving.await.unwrap();
    let back = world.another().await;
    assert_eq!(back.scheduler.inner.store.letters("ops", back.clock.now(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn nothing_begins_once_it_is_to_end() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let id = world.start("daily").await;
    world.scheduler.inner.stop.cancel();
    assert!(!world.scheduler.step(world.clock.now()).await.unwrap());
    assert_eq!((world.deeds.attempts("load"), world.read(id).await.state), (0, RunState::Queued));
}

#[tokio::test]
async fn old_runs_are_deleted_by_their_ends_some_a_tick_with_their_logs_and_tokens() {
    let day = 24 * 3_600 * SECOND;
    let world = World::with(Settings { keep: 10 * day, ..Settings::default() }).await;
    let mut spec = job("daily", &["load"]);
    spec.concurrency = 300;
    world.install(&[spec]).await;
    let again = world.run("daily").await.id;
    for number in 0..250 {
        let asked = NewRun { token: Some(number.to_string()), ..run_of("daily") };
        world.scheduler.start(asked).await.unwrap();
    }
    world.settle().await;
    while world.scheduler.state().queued + world.scheduler.state().running > 0 {
        world.settle().await;
    }
    world.clock.advance(9 * day);
    world.scheduler.rerun(again, Again::All).await.unwrap();
    world.settle().await;
    world.clock.advance(2 * day);
    let mut left = Vec::new();
    for _ in 0..3 {
        world.scheduler.tick().await.unwrap();
        left.push(world.runs("daily").await.len());
    }
    assert_eq!(left, [151, 51, 1], "the one that ran again ended two days ago");
    // Its log is there, and a token of a run that is gone starts another.
    assert_eq!(world.scheduler.log(again, Some(2), 0, Duration::ZERO).await.unwrap().lines.len(), 1);
    let asked = NewRun { token: Some("7".to_owned()), ..run_of("daily") };
    let new = world.scheduler.start(asked).await.unwrap();
    assert!(world.read(new).await.state == RunState::Queued);
}
