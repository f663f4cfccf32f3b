//! What the scheduler's part of readiness says.

use pinlake_core::Timestamp;
use pinlake_core::jobs::{ProblemKind, SchedulerProblem, SchedulerState};

use super::scheduler;
use crate::answers::Part;

fn state(ticked_at: Option<i64>, problems: &[&str]) -> SchedulerState {
    let problem = |message: &&str| SchedulerProblem { kind: ProblemKind::Definition, message: (*message).to_owned() };
    let problems = problems.iter().map(problem).collect();
    SchedulerState { ticked_at: ticked_at.map(Timestamp), problems, queued: 0, running: 0 }
}

#[test]
fn a_scheduler_that_does_not_look_is_not_ready() {
    let at = |ticked_at, now| scheduler(&state(ticked_at, &[]), Timestamp(now));
    assert_eq!(at(None, 0), Part::waiting("scheduler", "its first look at what is due"));
    assert_eq!(at(Some(1_000), 31_000), Part::ready("scheduler"));
    let stands = at(Some(1_000), 41_000);
    assert_eq!(stands.waits_for.as_deref(), Some("its database: it has not looked at what is due for 40 s"));
    // The clock went back.
    assert!(at(Some(41_000), 1_000).ready);
}

#[test]
fn a_broken_definition_is_a_warning() {
    let part = scheduler(&state(Some(0), &["pipeline.yml:3: no such task"]), Timestamp(1_000));
    assert!(part.ready);
    let shown = serde_json::to_value(part).unwrap();
    let wanted = serde_json::json!({
        "name": "scheduler", "ready": true, "waits_for": null, "warnings": ["pipeline.yml:3: no such task"]
    });
    assert_eq!(shown, wanted);
}
