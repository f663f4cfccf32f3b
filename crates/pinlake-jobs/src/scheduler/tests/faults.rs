//! How long defects are known that were met at tasks which nobody may ever hand in again.

use std::collections::BTreeMap;
use std::time::Duration;

use pinlake_core::jobs::{Again, RunId, RunState, Submission};

use super::world::{World, has_succeeded, job};
use crate::store::testing::Blow;

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn submit(world: &World, name: &str) -> RunId {
    let submission = Submission {
        spec: job(name, &["load"]),
        parameters: BTreeMap::new(),
        cause: "a test".to_owned(),
        token: None,
        join: false,
        notes: BTreeMap::new(),
    };
    world.scheduler.submit(submission).await.unwrap()
}

/// A submission that comes upon a defect, and what is said of it.
async fn submit_badly(world: &World, name: &str) -> (RunId, String) {
    // What else is due is done.
    world.settle().await;
    let id = submit(world, name).await;
    world.end_with(Blow::Panics).await;
    assert_eq!(world.read(id).await.state, RunState::Failed);
    (id, format!("a defect in carrying out task 'load' of run {id}: struck at a commit"))
}

#[tokio::test]
async fn a_defect_at_a_submission_is_a_problem_until_that_one_goes_well() {
    let world = World::new().await;
    world.install(&[]).await;
    world.settle().await;
    let (first, of_first) = submit_badly(&world, "once").await;
    let (second, of_second) = submit_badly(&world, "once").await;
    for name in ["once", "other"] {
        let id = submit(&world, name).await;
        assert!(has_succeeded(&world.ended(id).await));
    }
    // Nor do the files know of it.
    world.scheduler.install(&[], Vec::new()).await.unwrap();
    assert_eq!(world.problems(), [of_first, of_second.clone()], "another that goes well ends it not");
    world.scheduler.rerun(first, Again::Failed).await.unwrap();
    world.settle().await;
    assert!(has_succeeded(&world.read(first).await));
    assert_eq!(world.problems(), [of_second]);
    world.scheduler.rerun(second, Again::Failed).await.unwrap();
    world.settle().await;
    assert!(has_succeeded(&world.read(second).await));
    assert_eq!(world.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn of_defects_at_submissions_the_last_ten_are_known_for_a_day_and_take_no_others_place() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.settle().await;
    world.start("daily").await;
    world.end_with(Blow::Panics).await;
    let mut wanted = vec!["a defect in carrying out task 'load' of job 'daily': struck at a commit".to_owned()];
    for _ in 0..12 {
        world.clock.advance(Duration::from_secs(1));
        wanted.push(submit_badly(&world, "once").await.1);
    }
    wanted.drain(1..3);
    assert_eq!(world.problems(), wanted);
    world.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(world.problems(), [wanted[0].clone(), wanted[10].clone()]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.problems(), wanted[..1]);
}
