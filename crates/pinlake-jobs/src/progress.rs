//! How a run goes on: what happens comes in, and the run is changed. Pure: no clock, no database. Must not know what a task does.

#[cfg(test)]
mod tests;

use std::time::Duration;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Again, Attempt, EndReason, Run, RunState, TaskRun, TaskState, Waits, Work};

use crate::order::Order;

/// Attempts that one task may make, lost ones too: what loses its process each time is not tried for ever.
pub(crate) const ATTEMPTS_MAX: usize = 100;
/// Losses of an attempt's process after which it begins again at once: restarts are no fault of the task's.
const LOST_AT_ONCE: usize = 3;
/// The longest wait for a retry, whatever a definition of an older version says.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Characters of an attempt's message that are kept.
const MESSAGE_CHARS_MAX: usize = 4_000;
/// Characters of an attempt's output that are kept.
pub(crate) const OUTPUT_CHARS_MAX: usize = 64_000;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done {
        /// In words.
        message: String,
        /// For whoever asks for the output.
        output: Option<String>,
    },
    /// It is not.
    Ended {
        /// Why.
        reason: EndReason,
        /// In words.
        message: String,
        /// Whether trying again may help.
        again: bool,
    },
}

/// Lets a queued run begin.
pub(crate) fn begin(run: &mut Run, now: Timestamp) {
    if run.state != RunState::Queued {
        return;
    }
    run.state = RunState::Running;
    run.started_at = Some(now);
    run.message = String::new();
    settle(run, now);
}

/// The tasks that may run now, by their place.
pub(crate) fn ready(run: &Run, now: Timestamp) -> Vec<usize> {
    if run.state != RunState::Running || run.reason.is_some() {
        return Vec::new();
    }
    let due = |task: &TaskRun| match task.state {
        TaskState::Queued => true,
        TaskState::Retrying => task.not_before.is_none_or(|at| at <= now),
        _ => false,
    };
    (0..run.tasks.len()).filter(|&at| due(&run.tasks[at])).collect()
}

/// Begins an attempt at a task, and answers its number.
pub(crate) fn claim(run: &mut Run, at: usize, owner: &str, now: Timestamp) -> u32 {
    let generation = run.generation;
    let task = &mut run.tasks[at];
    let number = task.attempts.last().map_or(1, |last| last.number + 1);
    task.state = TaskState::Running;
    task.not_before = None;
    task.reason = None;
    task.attempts.push(Attempt {
        number,
        generation,
        owner: owner.to_owned(),
        started_at: now,
        ended_at: None,
        reason: None,
        message: String::new(),
        output: None,
    });
    number
}

/// Ends an attempt, unless it is not the one that runs: then nothing changes, and the answer is `false`. `jitter` is a number from -1 to 1.
pub(crate) fn end(run: &mut Run, at: usize, attempt: u32, outcome: Outcome, now: Timestamp, jitter: f64) -> bool {
    let task = &mut run.tasks[at];
    let runs =
        task.state == TaskState::Running && task.last().is_some_and(|last| last.number == attempt && last.ended_at.is_none());
    if !runs {
        return false;
    }
    task.child = None;
    let last = task.attempts.last_mut().expect("it was just looked at");
    last.ended_at = Some(now);
    match outcome {
        Outcome::Done { message, output } => {
            last.message = cut(message, MESSAGE_CHARS_MAX);
            last.output = output.map(|output| cut(output, OUTPUT_CHARS_MAX));
            task.state = TaskState::Succeeded;
        }
        Outcome::Ended { reason, message, again } => {
            // Nobody cancelled it: the time of its run is over.
            let is_late = reason == EndReason::Cancelled && run.reason == Some(EndReason::TimedOut);
            let (reason, message) = if is_late { (EndReason::TimedOut, run.message.clone()) } else { (reason, message) };
            last.reason = Some(reason);
            last.message = cut(message, MESSAGE_CHARS_MAX);
            let wait = if again && run.reason.is_none() { next_try(task, reason, jitter) } else { None };
            match wait {
                Some(wait) => {
                    task.state = TaskState::Retrying;
                    task.not_before = Some(after(now, wait));
                }
                None => fail(task, reason),
            }
        }
    }
    settle(run, now);
    true
}

/// Has a run end: what waits is cancelled at once, what runs when its attempt ends. Answers whether anything changed.
pub(crate) fn cancel(run: &mut Run, reason: EndReason, message: &str, now: Timestamp) -> bool {
    if run.state.has_ended() || run.reason.is_some() {
        return false;
    }
    run.reason = Some(reason);
    message.clone_into(&mut run.message);
    for task in run.tasks.iter_mut().filter(|task| !task.state.has_ended() && task.state != TaskState::Running) {
        fail(task, reason);
    }
    if run.state == RunState::Queued {
        run.started_at = None;
    }
    settle(run, now);
    true
}

/// Makes a run that has ended run again.
pub(crate) fn again(run: &mut Run, which: Again) {
    run.generation += 1;
    run.lane = None;
    run.state = RunState::Queued;
    run.reason = None;
    run.message = String::new();
    run.started_at = None;
    run.ended_at = None;
    let mut anew: Vec<bool> = run.tasks.iter().map(|task| which == Again::All || task.state != TaskState::Succeeded).collect();
    for (at, before) in order(run).tasks {
        anew[at] |= before.into_iter().any(|before| anew[before]);
    }
    for (task, _) in run.tasks.iter_mut().zip(anew).filter(|(_, anew)| *anew) {
        task.state = TaskState::Waiting;
        task.reason = None;
        task.not_before = None;
    }
}

/// When there is something to do again that nobody will tell of: the next try.
pub(crate) fn wake_at(run: &Run) -> Option<Timestamp> {
    match run.state {
        RunState::Running if run.reason.is_none() => {
            let due = |task: &TaskRun| match task.state {
                TaskState::Queued => Some(Timestamp(0)),
                TaskState::Retrying => Some(task.not_before.unwrap_or_default()),
                _ => None,
            };
            run.tasks.iter().filter_map(due).min()
        }
        _ => None,
    }
}

/// When the run, or an attempt at a task that no process carries out, has taken too long.
pub(crate) fn deadline_at(run: &Run) -> Option<Timestamp> {
    if run.state != RunState::Running {
        return None;
    }
    let whole = run.spec.timeout.and_then(|timeout| Some(after(run.started_at?, timeout.0)));
    let whole = whole.filter(|_| run.reason.is_none());
    let child = |task: &TaskRun| {
        let waits = task.state == TaskState::Running && task.child.is_some();
        let begun = task.last().filter(|_| waits)?.started_at;
        Some(after(begun, task.spec.timeout?.0))
    };
    run.tasks.iter().filter_map(child).chain(whole).min()
}

/// Whether the run as a whole has taken too long.
pub(crate) fn is_late(run: &Run, now: Timestamp) -> bool {
    let ends = run.spec.timeout.and_then(|timeout| Some(after(run.started_at?, timeout.0)));
    run.state == RunState::Running && run.reason.is_none() && ends.is_some_and(|ends| ends <= now)
}

/// The task of a number.
pub(crate) fn place_of(run: &Run, task: &str) -> Option<usize> {
    run.tasks.iter().position(|found| found.spec.name == task)
}

/// `at` and `span` later.
pub(crate) fn after(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

fn fail(task: &mut TaskRun, reason: EndReason) {
    task.state = TaskState::Failed;
    task.reason = Some(reason);
    task.not_before = None;
}

/// How long to wait for the next try of a task whose last attempt just ended; `None` if there is none.
fn next_try(task: &TaskRun, reason: EndReason, jitter: f64) -> Option<Duration> {
    let generation = task.last()?.generation;
    let attempts = || task.attempts.iter().filter(|attempt| attempt.generation == generation);
    if attempts().count() >= ATTEMPTS_MAX {
        return None;
    }
    match reason {
        // Its own fault it was not; but what takes its process down each time waits longer each time.
        EndReason::LostProcess => {
            let lost = attempts().filter(|attempt| attempt.reason == Some(EndReason::LostProcess)).count();
            Some(match lost.saturating_sub(LOST_AT_ONCE) {
                0 => Duration::ZERO,
                more => Duration::from_secs(2 << more.min(8)),
            })
        }
        EndReason::Failed | EndReason::TimedOut => {
            let used = attempts().filter(|attempt| attempt.reason != Some(EndReason::LostProcess)).count();
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            (used <= task.spec.retries.count).then(|| backoff(task, used, jitter))
        }
        EndReason::Cancelled | EndReason::Upstream => None,
    }
}

/// The wait before retry number `retry`, from 1: twice as long each time, a fifth more or less.
fn backoff(task: &TaskRun, retry: u32, jitter: f64) -> Duration {
    let retries = &task.spec.retries;
    let doubled = retries.delay.0.saturating_mul(1 << (retry - 1).min(20));
    let wait = doubled.min(retries.delay_max.0.max(retries.delay.0)).min(WAIT_MAX);
    wait.mul_f64(1.0 + 0.2 * jitter.clamp(-1.0, 1.0))
}

/// Carries on what follows from the tasks' states: those that wait for ended ones, and the run itself.
fn settle(run: &mut Run, now: Timestamp) {
    if run.state == RunState::Running {
        for (at, before) in order(run).tasks {
            match becomes(run, at, &before) {
                None => {}
                Some(TaskState::Queued) => run.tasks[at].state = TaskState::Queued,
                Some(_) => fail(&mut run.tasks[at], EndReason::Upstream),
            }
        }
    }
    if run.state.has_ended() || !run.tasks.iter().all(|task| task.state.has_ended()) {
        return;
    }
    run.ended_at = Some(now);
    let failed = run.tasks.iter().find(|task| task.state == TaskState::Failed && task.reason != Some(EndReason::Upstream));
    let Some(failed) = failed.or(run.tasks.iter().find(|task| task.state == TaskState::Failed)) else {
        // Everything succeeded before the cancel reached it.
        run.state = RunState::Succeeded;
        run.reason = None;
        run.message = String::new();
        return;
    };
    run.state = RunState::Failed;
    if run.reason.is_none() {
        run.reason = failed.reason;
        let said = failed.last().map(|last| last.message.clone()).unwrap_or_default();
        run.message = cut(format!("task '{}': {said}", failed.spec.name), MESSAGE_CHARS_MAX);
    }
}

/// What a task becomes that waits and whose time has come.
fn becomes(run: &Run, at: usize, before: &[usize]) -> Option<TaskState> {
    let task = &run.tasks[at];
    if task.state != TaskState::Waiting {
        return None;
    }
    let before = || before.iter().map(|&before| run.tasks[before].state);
    let all_ended = before().all(TaskState::has_ended);
    let one_failed = before().any(|before| before == TaskState::Failed);
    match task.spec.waits {
        Waits::AllDone => all_ended.then_some(TaskState::Queued),
        Waits::AllSuccess if one_failed => Some(TaskState::Failed),
        Waits::AllSuccess => all_ended.then_some(TaskState::Queued),
    }
}

fn order(run: &Run) -> Order {
    Order::of(run.tasks.iter().map(|task| &task.spec))
}

/// Whether the scheduler itself does the task, without a place for it.
pub(crate) fn needs_no_place(work: &Work) -> bool {
    matches!(work, Work::Job { .. } | Work::Refused { .. })
}

fn cut(text: String, chars_max: usize) -> String {
    // Postgres has no place for it.
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}
