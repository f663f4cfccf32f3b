//! Runs under any order of what can happen to them.

use pinlake_core::jobs::{Again, EndReason, Retries, Run, RunState, TaskSpec, TaskState, Waits, Work};
use pinlake_core::{Timestamp, testing};
use proptest::prelude::*;

use super::{Outcome, again, begin, cancel, claim, end, is_late, ready, wake_at};

/// A run of tasks that each wait for some of those before.
fn run(after: &[Vec<usize>], done: &[bool], retries: u32) -> Run {
    let task = |place: usize| TaskSpec {
        after: after[place].iter().map(usize::to_string).collect(),
        waits: if done[place] { Waits::AllDone } else { Waits::AllSuccess },
        retries: Retries { count: retries, ..Retries::default() },
        ..testing::jobs::task(&place.to_string(), Work::Archive)
    };
    testing::jobs::run(1, testing::jobs::job("any", (0..after.len()).map(task).collect()))
}

fn outcome(choice: u8) -> Outcome {
    let ended = |reason| Outcome::Ended { reason, message: "said".to_owned(), again: true };
    match choice % 5 {
        0 | 1 => Outcome::Done { message: String::new(), output: None },
        2 => ended(EndReason::Failed),
        3 => ended(EndReason::TimedOut),
        _ => ended(EndReason::LostProcess),
    }
}

/// What holds for every run at any time.
fn check(run: &Run) {
    for task in &run.tasks {
        let before = || task.spec.after.iter().map(|name| run.task(name).unwrap());
        if matches!(task.state, TaskState::Queued | TaskState::Running | TaskState::Retrying) {
            assert!(before().all(|before| before.state.has_ended()), "{} runs before what it waits for", task.spec.name);
            let all_succeeded = before().all(|before| before.state == TaskState::Succeeded);
            assert!(task.spec.waits == Waits::AllDone || all_succeeded, "{} runs after a failure", task.spec.name);
        }
        assert_eq!(task.state == TaskState::Failed, task.reason.is_some(), "{task:?}");
        let open = task.attempts.iter().filter(|attempt| attempt.ended_at.is_none()).count();
        assert_eq!(open, usize::from(task.state == TaskState::Running), "{task:?}");
    }
    let all_ended = run.tasks.iter().all(|task| task.state.has_ended());
    assert_eq!(run.state.has_ended(), all_ended && run.state != RunState::Queued, "{run:?}");
    assert_eq!(run.state.has_ended(), run.ended_at.is_some());
    let all_succeeded = run.tasks.iter().all(|task| task.state == TaskState::Succeeded);
    assert_eq!(run.state == RunState::Succeeded, run.state.has_ended() && all_succeeded);
    assert!(run.state != RunState::Failed || run.reason.is_some());
}

proptest! {
    /// Whatever happens in whatever order, a run ends, and never in a state that says two things.
    #[test]
    fn a_run_ends_whatever_happens(
        edges in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..9),
        done in prop::collection::vec(any::<bool>(), 9),
        choices in prop::collection::vec(any::<u8>(), 1..200),
        retries in 0_u32..3,
        cancelled_at in 0_usize..300,
    ) {
        let after: Vec<Vec<usize>> = edges.iter().enumerate().map(|(place, edges)| {
            if place == 0 { Vec::new() } else { edges.iter().map(|edge| edge.index(place)).collect() }
        }).collect();
        let mut run = run(&after, &done, retries);
        let mut now = Timestamp(0);
        begin(&mut run, now);
        check(&run);
        let mut choice = choices.iter().cycle().copied();
        for step in 0..2_000 {
            if step == cancelled_at {
                cancel(&mut run, EndReason::Cancelled, "cancelled", now);
                check(&run);
            }
            if run.state.has_ended() {
                break;
            }
            let running: Vec<usize> = (0..run.tasks.len()).filter(|&at| run.tasks[at].state == TaskState::Running).collect();
            let may = ready(&run, now);
            let next = choice.next().unwrap();
            match (may.first(), running.first()) {
                (Some(&at), _) if next % 2 == 0 || running.is_empty() => {
                    let number = claim(&mut run, at, "me", now);
                    prop_assert_eq!(number as usize, run.tasks[at].attempts.len());
                }
                (_, Some(_)) => {
                    let at = running[usize::from(next) % running.len()];
                    let number = run.tasks[at].last().unwrap().number;
                    prop_assert!(!end(&mut run, at, number + 1, outcome(0), now, 0.0), "an attempt that was never made");
                    prop_assert!(end(&mut run, at, number, outcome(choice.next().unwrap()), now, 0.5));
                    prop_assert!(!end(&mut run, at, number, outcome(0), now, 0.0), "it ended twice");
                }
                _ => now = wake_at(&run).expect("something waits for a time"),
            }
            check(&run);
        }
        prop_assert!(run.state.has_ended(), "{:?}", run);
        let failed = run.state == RunState::Failed;
        again(&mut run, if failed { Again::Failed } else { Again::All });
        check(&run);
        prop_assert!(run.tasks.iter().any(|task| task.state == TaskState::Waiting));
    }
}

#[test]
fn a_process_that_is_lost_uses_up_no_retry_and_after_three_times_waits_longer_each_time() {
    let mut run = run(&[Vec::new()], &[false], 0);
    begin(&mut run, Timestamp(0));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let now = run.tasks[0].not_before.unwrap_or_default();
        let number = claim(&mut run, 0, "me", now);
        end(&mut run, 0, number, outcome(4), now, 0.0);
        waits.push(now.until(run.tasks[0].not_before.unwrap()).as_secs());
    }
    assert_eq!(waits, [0, 0, 0, 4, 8, 16]);
    let now = run.tasks[0].not_before.unwrap();
    let number = claim(&mut run, 0, "me", now);
    end(&mut run, 0, number, outcome(2), now, 0.0);
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(EndReason::Failed)));
}

#[test]
fn a_run_that_succeeded_before_its_cancel_came_has_succeeded() {
    let mut run = run(&[Vec::new()], &[false], 0);
    begin(&mut run, Timestamp(0));
    let number = claim(&mut run, 0, "me", Timestamp(0));
    assert!(cancel(&mut run, EndReason::Cancelled, "cancelled", Timestamp(1)));
    assert!(!cancel(&mut run, EndReason::TimedOut, "late", Timestamp(2)) && !is_late(&run, Timestamp(2)));
    end(&mut run, 0, number, outcome(0), Timestamp(3), 0.0);
    assert_eq!((run.state, run.reason, run.message.as_str()), (RunState::Succeeded, None, ""));
}

/// What takes all tasks times all tasks for each of them takes minutes here.
#[test]
fn a_long_chain_and_a_dense_graph_are_followed_at_once() {
    let begun = tokio::time::Instant::now();
    // Each waits for the one behind it, so that nothing stands in its order.
    let chain: Vec<Vec<usize>> = (0..1_000).map(|place| if place == 999 { Vec::new() } else { vec![place + 1] }).collect();
    let mut chain = run(&chain, &[false; 1_000], 0);
    begin(&mut chain, Timestamp(0));
    let number = claim(&mut chain, 999, "me", Timestamp(0));
    end(&mut chain, 999, number, outcome(2), Timestamp(1), 0.0);
    assert_eq!(chain.state, RunState::Failed);
    assert!(chain.tasks[..999].iter().all(|task| task.reason == Some(EndReason::Upstream)));
    again(&mut chain, Again::Failed);
    assert!(chain.tasks.iter().all(|task| task.state == TaskState::Waiting));
    let dense: Vec<Vec<usize>> = (0..350).map(|place| (0..place).collect()).collect();
    let mut dense = run(&dense, &[false; 350], 0);
    begin(&mut dense, Timestamp(0));
    for place in 0..20 {
        assert_eq!(ready(&dense, Timestamp(0)), [place]);
        let number = claim(&mut dense, place, "me", Timestamp(0));
        end(&mut dense, place, number, outcome(0), Timestamp(1), 0.0);
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn what_runs_when_the_time_of_its_run_is_over_has_timed_out() {
    let mut run = run(&[Vec::new(), vec![0]], &[false; 2], 5);
    begin(&mut run, Timestamp(0));
    let number = claim(&mut run, 0, "me", Timestamp(0));
    assert!(cancel(&mut run, EndReason::TimedOut, "the run took more than 1h", Timestamp(1)));
    let told = Outcome::Ended { reason: EndReason::Cancelled, message: "cancelled".to_owned(), again: false };
    assert!(end(&mut run, 0, number, told, Timestamp(2), 0.0));
    let reasons: Vec<_> = run.tasks.iter().map(|task| task.reason).collect();
    assert_eq!((run.reason, reasons), (Some(EndReason::TimedOut), vec![Some(EndReason::TimedOut); 2]));
    let last = run.tasks[0].last().unwrap();
    assert_eq!((last.reason, last.message.as_str()), (Some(EndReason::TimedOut), "the run took more than 1h"));
}
