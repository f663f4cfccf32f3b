//! What effects are called.

use std::sync::Arc;

use pinlake_core::jobs::{Lane, Run, Work};
use pinlake_core::{Clock, Timestamp, testing};
use tokio_util::sync::CancellationToken;

use super::{AttemptLog, Effect, TaskCall};

#[test]
fn an_effect_is_named_by_its_runs_lane_and_as_it_was_where_the_run_began_before_there_were_lanes() {
    let task = testing::jobs::task("load", Work::Archive);
    let mut run = testing::jobs::run(1001, testing::jobs::job("daily", vec![task]));
    (run.sequence, run.generation) = (4_100, 2);
    let effect = |lane| {
        let run = Arc::new(Run { lane, ..run.clone() });
        let (log, cancel) = (AttemptLog::new(Clock::manual(Timestamp(0))), CancellationToken::new());
        TaskCall { run, place: 0, attempt: 1, installation: "here".into(), log, cancel }.effect()
    };
    let of_lane = Effect { app: "jobs/here/1/load/lane/3".to_owned(), version: 77 };
    assert_eq!(effect(Some(Lane { number: 3, begun: 77 })), of_lane);
    let before = Effect { app: "jobs/here/1/load/4".to_owned(), version: 4_100 * 1_024 + 2 };
    assert_eq!(effect(None), before);
}
