//! Definitions: read again while the scheduler runs, wrong ones, those of calls.

use std::collections::BTreeMap;
use std::time::Duration;

use pinlake_core::ErrorKind;
use pinlake_core::jobs::{JobKey, JobSpec, NewJob, Origin, RunKind, Submission, Work};

use super::world::{Deed, START, World, has_succeeded, job, schedule, states};

const HOUR: Duration = Duration::from_secs(3_600);

fn key(name: &str) -> JobKey {
    JobKey::Name(name.to_owned())
}

fn defined(name: &str) -> NewJob {
    NewJob { id: None, spec: job(name, &["load"]), paused: false, notes: BTreeMap::new() }
}

#[tokio::test]
async fn a_broken_edit_is_told_and_the_last_good_definition_runs_on() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    world.install(std::slice::from_ref(&spec)).await;
    let mut broken = spec.clone();
    broken.schedule = schedule("every now and then");
    world.scheduler.install(&[broken, job("new", &["load"])], vec!["pipeline.yml:7: tasks".to_owned()]).await.unwrap();
    let problems = world.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[1].starts_with("job 'hourly': "), "{problems:?}");
    world.pass(HOUR).await;
    assert_eq!(world.runs("hourly").await.len(), 1);
    assert!(has_succeeded(&world.run("new").await));
    world.scheduler.install(&[spec], Vec::new()).await.unwrap();
    assert!(world.problems().is_empty());
}

#[tokio::test]
async fn a_run_keeps_the_definition_that_it_was_made_from() {
    let world = World::new().await;
    world.install(&[job("daily", &["one", "two"])]).await;
    world.deeds.set("one", Deed::Hangs);
    let id = world.start("daily").await;
    world.settle().await;
    let before = world.read(id).await.version;
    world.install(&[job("daily", &["three"])]).await;
    world.deeds.let_go();
    world.settle().await;
    world.settle().await;
    let run = world.read(id).await;
    assert!(has_succeeded(&run));
    assert_eq!(run.tasks.iter().map(|task| task.spec.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_ne!(world.run("daily").await.version, before);
}

#[tokio::test]
async fn a_job_that_is_no_longer_defined_keeps_its_runs_and_comes_back_with_its_number() {
    let world = World::new().await;
    let mut spec = job("hourly", &["load"]);
    spec.schedule = schedule("@hourly");
    world.install(std::slice::from_ref(&spec)).await;
    world.pass(HOUR).await;
    let id = world.scheduler.job(&key("hourly")).await.unwrap().id;
    world.install(&[]).await;
    world.pass(5 * HOUR).await;
    assert_eq!(world.scheduler.job(&key("hourly")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.scheduler.start(super::world::run_of("hourly")).await.unwrap_err().kind(), ErrorKind::NotFound);
    world.install(&[spec]).await;
    let back = world.scheduler.job(&key("hourly")).await.unwrap();
    assert_eq!((back.id, back.next_at.unwrap().0), (id, START.0 + 7 * 3_600_000));
    assert_eq!(world.runs("hourly").await.len(), 1);
}

#[tokio::test]
async fn jobs_of_calls_and_of_files_do_not_take_each_others_names() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    assert_eq!(world.scheduler.define(defined("daily")).await.unwrap_err().kind(), ErrorKind::Conflict);
    let id = world.scheduler.define(defined("mine")).await.unwrap();
    assert_eq!(world.scheduler.job(&JobKey::Id(id)).await.unwrap().origin, Origin::Api);
    let daily = world.scheduler.job(&key("daily")).await.unwrap().id;
    let over = NewJob { id: Some(daily), ..defined("daily") };
    assert_eq!(world.scheduler.define(over).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(world.scheduler.delete(&key("daily")).await.unwrap_err().kind(), ErrorKind::Conflict);
    world.scheduler.install(&[job("daily", &["load"]), job("mine", &["other"])], Vec::new()).await.unwrap();
    assert!(world.problems()[0].contains("defined by a call already"));
    assert_eq!(world.scheduler.define(NewJob { id: Some(id), ..defined("renamed") }).await.unwrap(), id);
    assert_eq!(world.run("renamed").await.kind, RunKind::Manual);
    world.scheduler.delete(&JobKey::Id(id)).await.unwrap();
    assert_eq!(world.scheduler.job(&JobKey::Id(id)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A job of tasks `t0`, `t1` and so on, each with those that it waits for.
fn job_of_waits(waits: &[&[usize]]) -> JobSpec {
    let mut spec = job("waits", &[]);
    for (place, waits) in waits.iter().enumerate() {
        let after = waits.iter().map(|before| format!("t{before}")).collect();
        spec.tasks.push(super::world::task(&format!("t{place}"), after));
    }
    spec
}

/// Whoever looks each name up among all tasks, once for each task, takes minutes for this.
#[tokio::test]
async fn a_thousand_tasks_in_a_chain_are_taken_at_once() {
    let world = World::new().await;
    let waits: Vec<Vec<usize>> = (0..1_000).map(|place| if place == 999 { Vec::new() } else { vec![place + 1] }).collect();
    let waits: Vec<&[usize]> = waits.iter().map(Vec::as_slice).collect();
    let defining = world.scheduler.define(NewJob { spec: job_of_waits(&waits), ..defined("waits") });
    tokio::time::timeout(Duration::from_secs(60), defining).await.unwrap().unwrap();
}

fn runs(name: &str, other: &str) -> JobSpec {
    let mut spec = job(name, &["next"]);
    spec.concurrency = 100;
    spec.tasks[0].work = Work::Job { name: other.to_owned(), parameters: BTreeMap::new() };
    spec
}

#[tokio::test]
async fn jobs_that_run_each_other_fail_and_say_why() {
    let world = World::new().await;
    for (name, other) in [("a", "b"), ("b", "c"), ("c", "a")] {
        world.scheduler.define(NewJob { spec: runs(name, other), ..defined(name) }).await.unwrap();
    }
    let run = world.run("a").await;
    assert!(run.message.ends_with("task 'next': jobs would run each other in a circle: a -> b -> c -> a"), "{}", run.message);
    assert_eq!(world.runs("c").await.len(), 1);
}

#[tokio::test]
async fn jobs_that_run_others_go_so_deep_and_no_deeper() {
    let world = World::new().await;
    let chain = |jobs: usize| {
        let mut chain: Vec<JobSpec> = (0..jobs).map(|at| runs(&format!("j{at}"), &format!("j{}", at + 1))).collect();
        chain.push(job(&format!("j{jobs}"), &["load"]));
        chain
    };
    world.install(&chain(31)).await;
    assert!(has_succeeded(&world.run("j0").await));
    world.install(&chain(32)).await;
    let run = world.run("j0").await;
    assert!(run.message.contains("more than 32 jobs would wait for each other"), "{}", run.message);
}

#[tokio::test]
async fn a_definition_that_can_never_end_is_refused() {
    let world = World::new().await;
    let refused = async |change: &dyn Fn(&mut NewJob)| {
        let mut asked = defined("wrong");
        asked.spec = job("wrong", &["one", "two", "three"]);
        change(&mut asked);
        world.scheduler.define(asked).await.unwrap_err().to_string()
    };
    assert_eq!(refused(&|job| job.spec.tasks.clear()).await, "a job takes 1 to 1000 tasks");
    assert_eq!(refused(&|job| job.spec.tasks[1].name = "one".to_owned()).await, "two tasks are named 'one'");
    assert_eq!(refused(&|job| job.spec.tasks[0].after = vec!["three".to_owned()]).await, "task 'one' waits for itself");
    let unknown = refused(&|job| job.spec.tasks[0].after = vec!["four".to_owned()]).await;
    assert_eq!(unknown, "task 'one' waits for 'four', which is none of the tasks");
    assert_eq!(refused(&|job| job.spec.concurrency = 0).await, "'concurrency' is 1 at least");
    assert!(refused(&|job| job.spec.schedule = schedule("61 * * * *")).await.contains("61"));
    let behind = refused(&|job| {
        job.spec = job_of_waits(&[&[2], &[0], &[3], &[2]]);
    });
    assert_eq!(behind.await, "task 't2' waits for itself", "not what only waits for the circle");
    let dense: Vec<Vec<usize>> = (0..350).map(|place| (0..place).collect()).collect();
    let dense: Vec<&[usize]> = dense.iter().map(Vec::as_slice).collect();
    let dense = refused(&|job| job.spec = job_of_waits(&dense)).await;
    assert!(dense.starts_with("the tasks of a job wait for each other 10000 times at most"), "{dense}");
}

/// Airflow calls what it submits by its own task's name, which is often the job's.
#[tokio::test]
async fn what_is_submitted_may_have_the_name_of_the_job_that_it_runs() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    let mut spec = job("daily", &["notebook"]);
    spec.tasks[0].work = Work::Job { name: "daily".to_owned(), parameters: BTreeMap::new() };
    let (parameters, notes) = (BTreeMap::new(), BTreeMap::new());
    let asked = Submission { spec: spec.clone(), parameters, cause: "airflow".to_owned(), token: None, join: false, notes };
    let run = world.scheduler.submit(asked).await.unwrap();
    world.settle().await;
    assert!(has_succeeded(&world.read(run).await), "{}", states(&world.read(run).await));
    let own =
        world.scheduler.define(NewJob { spec: JobSpec { name: "mine".to_owned(), ..spec.clone() }, ..defined("mine") }).await;
    assert!(own.is_ok(), "another job may run it: {own:?}");
    spec.tasks[0].work = Work::Job { name: "own".to_owned(), parameters: BTreeMap::new() };
    let own = world.scheduler.define(NewJob { spec: JobSpec { name: "own".to_owned(), ..spec }, ..defined("own") }).await;
    assert_eq!(own.unwrap_err().to_string(), "task 'notebook' runs the job that it belongs to");
}
