//! The table of states, whole. Airflow raises at a life cycle state that is none of its list.

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Attempt, EndReason, Run, RunKind, RunState, TaskRun, TaskState, Work};
use pinlake_core::testing::jobs;

use super::{of_run, of_task};

/// What Airflow's provider knows.
const LIVES: [&str; 9] =
    ["PENDING", "QUEUED", "RUNNING", "BLOCKED", "WAITING_FOR_RETRY", "TERMINATING", "TERMINATED", "SKIPPED", "INTERNAL_ERROR"];
const REASONS: [Option<EndReason>; 6] = [
    None,
    Some(EndReason::Failed),
    Some(EndReason::TimedOut),
    Some(EndReason::LostProcess),
    Some(EndReason::Cancelled),
    Some(EndReason::Upstream),
];

fn task(state: TaskState, reason: Option<EndReason>, work: Work, message: &str) -> TaskRun {
    let attempt = Attempt { reason, message: message.to_owned(), ..jobs::attempt(1, Timestamp(1)) };
    TaskRun { state, reason, attempts: vec![attempt], ..jobs::task_run(2, jobs::task("t", work)) }
}

fn run(state: RunState, reason: Option<EndReason>, tasks: Vec<TaskRun>) -> Run {
    let started_at = Some(Timestamp(1));
    Run { kind: RunKind::Submit, job_id: 0, state, reason, tasks, started_at, ..jobs::run(1, jobs::job("r", Vec::new())) }
}

fn refused() -> Work {
    Work::Refused { reason: "add a line".to_owned() }
}

#[test]
fn runs() {
    let shown = |state, reason| {
        let shown = of_run(&run(state, reason, Vec::new()));
        (shown.life, shown.result)
    };
    assert_eq!(shown(RunState::Queued, None), ("PENDING", None));
    assert_eq!(shown(RunState::Running, None), ("RUNNING", None));
    assert_eq!(shown(RunState::Running, Some(EndReason::Cancelled)), ("TERMINATING", None));
    assert_eq!(shown(RunState::Succeeded, None), ("TERMINATED", Some("SUCCESS")));
    assert_eq!(shown(RunState::Failed, Some(EndReason::Failed)), ("TERMINATED", Some("FAILED")));
    assert_eq!(shown(RunState::Failed, Some(EndReason::LostProcess)), ("TERMINATED", Some("FAILED")));
    assert_eq!(shown(RunState::Failed, Some(EndReason::TimedOut)), ("TERMINATED", Some("TIMEDOUT")));
    assert_eq!(shown(RunState::Failed, Some(EndReason::Cancelled)), ("TERMINATED", Some("CANCELED")));
    let waits = Run { started_at: None, ..run(RunState::Running, None, Vec::new()) };
    assert_eq!(of_run(&waits).life, "PENDING");
}

#[test]
fn tasks() {
    let going = run(RunState::Running, None, Vec::new());
    let shown = |state, reason| {
        let shown = of_task(&going, &task(state, reason, Work::Archive, ""));
        (shown.life, shown.result)
    };
    assert_eq!(shown(TaskState::Waiting, None), ("BLOCKED", None));
    assert_eq!(shown(TaskState::Queued, None), ("PENDING", None));
    assert_eq!(shown(TaskState::Retrying, None), ("WAITING_FOR_RETRY", None));
    assert_eq!(shown(TaskState::Running, None), ("RUNNING", None));
    assert_eq!(shown(TaskState::Succeeded, None), ("TERMINATED", Some("SUCCESS")));
    assert_eq!(shown(TaskState::Failed, Some(EndReason::Upstream)), ("SKIPPED", Some("UPSTREAM_FAILED")));
    assert_eq!(shown(TaskState::Failed, Some(EndReason::TimedOut)), ("TERMINATED", Some("TIMEDOUT")));
    let ending = run(RunState::Running, Some(EndReason::Cancelled), Vec::new());
    assert_eq!(of_task(&ending, &task(TaskState::Running, None, Work::Archive, "")).life, "TERMINATING");
    let queued = run(RunState::Queued, None, Vec::new());
    for shown in [of_run(&queued), of_task(&queued, &task(TaskState::Queued, None, Work::Archive, ""))] {
        assert_eq!(
            (shown.state()["life_cycle_state"].as_str(), shown.status()["state"].as_str()),
            (Some("PENDING"), Some("QUEUED"))
        );
    }
    assert_eq!(of_task(&going, &task(TaskState::Retrying, None, Work::Archive, "")).status()["state"], "WAITING");
}

#[test]
fn a_run_that_could_not_begin_is_an_internal_error() {
    let one = || task(TaskState::Failed, Some(EndReason::Failed), refused(), "");
    let shown = of_run(&run(RunState::Failed, Some(EndReason::Failed), vec![one()]));
    assert_eq!((shown.life, shown.result, shown.message.as_str()), ("INTERNAL_ERROR", Some("FAILED"), "add a line"));
    assert_eq!(shown.status()["termination_details"]["code"], "INVALID_RUN_CONFIGURATION");
    let behind = task(TaskState::Failed, Some(EndReason::Upstream), Work::Archive, "");
    assert_eq!(of_run(&run(RunState::Failed, Some(EndReason::Failed), vec![one(), behind])).life, "INTERNAL_ERROR");
    let other = task(TaskState::Failed, Some(EndReason::Failed), Work::Archive, "broke");
    assert_eq!(of_run(&run(RunState::Failed, Some(EndReason::Failed), vec![one(), other])).life, "TERMINATED");
    let cancelled = of_run(&run(RunState::Failed, Some(EndReason::Cancelled), vec![one()]));
    assert_eq!((cancelled.life, cancelled.result), ("TERMINATED", Some("CANCELED")));
}

#[test]
fn only_known_words_are_said_and_failures_never_without_a_reason() {
    for reason in REASONS {
        for state in [RunState::Queued, RunState::Running, RunState::Succeeded, RunState::Failed] {
            for of in [
                TaskState::Waiting,
                TaskState::Queued,
                TaskState::Retrying,
                TaskState::Running,
                TaskState::Succeeded,
                TaskState::Failed,
            ] {
                let run = run(state, reason, vec![task(of, reason, Work::Archive, "")]);
                for shown in [of_run(&run), of_task(&run, &run.tasks[0])] {
                    assert!(LIVES.contains(&shown.life), "{shown:?}");
                    assert_eq!(
                        shown.result.is_some(),
                        matches!(shown.life, "TERMINATED" | "SKIPPED" | "INTERNAL_ERROR"),
                        "{shown:?}"
                    );
                    let known = ["BLOCKED", "PENDING", "QUEUED", "RUNNING", "TERMINATED", "TERMINATING", "WAITING"];
                    assert!(known.contains(&shown.status()["state"].as_str().unwrap()), "{shown:?}");
                }
                if of == TaskState::Failed {
                    assert_ne!(of_task(&run, &run.tasks[0]).message, "");
                }
            }
        }
    }
}
