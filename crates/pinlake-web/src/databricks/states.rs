//! How far a run or a task is, in Databricks' words: the one table. A client raises an error at a `life_cycle_state` that it does not know, so no other
//! words than these may be answered.

#[cfg(test)]
mod tests;

use pinlake_core::jobs::{EndReason, Run, RunState, TaskRun, TaskState, Work};
use serde_json::{Value, json};

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// `life_cycle_state`.
    pub(super) life: &'static str,
    /// `status.state` of version 2.2, whose words are a few others.
    now: &'static str,
    /// `result_state`, at the end only.
    pub(super) result: Option<&'static str>,
    /// What to know of it, in words.
    pub(super) message: String,
}

const QUEUED: &str = "QUEUED";
const PENDING: &str = "PENDING";
const BLOCKED: &str = "BLOCKED";
const RUNNING: &str = "RUNNING";
const RETRYING: &str = "WAITING_FOR_RETRY";
/// The same in `status`.
const WAITING: &str = "WAITING";
const TERMINATING: &str = "TERMINATING";
const TERMINATED: &str = "TERMINATED";
const SKIPPED: &str = "SKIPPED";
/// What could not be begun at all.
const INTERNAL_ERROR: &str = "INTERNAL_ERROR";

/// How far a run is.
pub(super) fn of_run(run: &Run) -> Shown {
    match run.state {
        RunState::Queued => queued(run.message.clone()),
        RunState::Running if is_ending(run) => going(TERMINATING, run.message.clone()),
        RunState::Running if run.started_at.is_none() => going(PENDING, run.message.clone()),
        RunState::Running => going(RUNNING, run.message.clone()),
        RunState::Succeeded => ended(TERMINATED, "SUCCESS", run.message.clone()),
        RunState::Failed => {
            let (life, result) = end(run.reason, was_refused(run));
            ended(life, result, failure(run))
        }
    }
}

/// How far a task of a run is.
pub(super) fn of_task(run: &Run, task: &TaskRun) -> Shown {
    match task.state {
        TaskState::Running if is_ending(run) => going(TERMINATING, String::new()),
        TaskState::Running => going(RUNNING, String::new()),
        TaskState::Waiting => going(BLOCKED, String::new()),
        TaskState::Queued if run.state == RunState::Queued => queued(String::new()),
        TaskState::Queued => going(PENDING, String::new()),
        TaskState::Retrying => going(RETRYING, message_of(task).unwrap_or_default()),
        TaskState::Succeeded => ended(TERMINATED, "SUCCESS", String::new()),
        TaskState::Failed => {
            let (life, result) = end(task.reason, refusal(task).is_some());
            ended(life, result, error_of(run, task))
        }
    }
}

/// Why a task did not succeed, in words that are never empty.
pub(super) fn error_of(run: &Run, task: &TaskRun) -> String {
    let said = message_of(task).or_else(|| refusal(task)).or_else(|| Some(run.message.clone()).filter(|text| !text.is_empty()));
    said.unwrap_or_else(|| format!("the task '{}' ended: {}", task.spec.name, task.reason.unwrap_or(EndReason::Failed)))
}

impl Shown {
    /// `state`.
    pub(super) fn state(&self) -> Value {
        let mut state = json!({ "life_cycle_state": self.life });
        if let Some(result) = self.result {
            state["result_state"] = result.into();
        }
        state["state_message"] = self.message.as_str().into();
        state["user_cancelled_or_timedout"] = matches!(self.result, Some("CANCELED" | "TIMEDOUT")).into();
        state
    }

    /// `status`, which version 2.2 has beside `state`.
    pub(super) fn status(&self) -> Value {
        let Some(result) = self.result else { return json!({ "state": self.now }) };
        let (code, kind) = match (self.life, result) {
            (_, "SUCCESS") => ("SUCCESS", "SUCCESS"),
            (INTERNAL_ERROR, _) => ("INVALID_RUN_CONFIGURATION", "CLIENT_ERROR"),
            (_, "CANCELED") => ("USER_CANCELED", "CLIENT_ERROR"),
            (SKIPPED, _) => ("SKIPPED", "CLIENT_ERROR"),
            _ => ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
        };
        let details = json!({ "code": code, "type": kind, "message": self.message });
        json!({ "state": self.now, "termination_details": details })
    }
}

/// Whether somebody or the time ended it, and its tasks have not noticed yet.
fn is_ending(run: &Run) -> bool {
    run.state == RunState::Running && matches!(run.reason, Some(EndReason::Cancelled | EndReason::TimedOut))
}

/// The oldest clients do not know `QUEUED`, all know `PENDING`.
fn queued(message: String) -> Shown {
    Shown { life: PENDING, now: QUEUED, result: None, message }
}

fn going(life: &'static str, message: String) -> Shown {
    let now = if life == RETRYING { WAITING } else { life };
    Shown { life, now, result: None, message }
}

fn ended(life: &'static str, result: &'static str, message: String) -> Shown {
    Shown { life, now: TERMINATED, result: Some(result), message }
}

fn end(reason: Option<EndReason>, refused: bool) -> (&'static str, &'static str) {
    match reason {
        Some(EndReason::TimedOut) => (TERMINATED, "TIMEDOUT"),
        Some(EndReason::Cancelled) => (TERMINATED, "CANCELED"),
        Some(EndReason::Upstream) => (SKIPPED, "UPSTREAM_FAILED"),
        _ if refused => (INTERNAL_ERROR, "FAILED"),
        Some(EndReason::Failed | EndReason::LostProcess) | None => (TERMINATED, "FAILED"),
    }
}

/// Whether nothing failed but what could not be begun.
fn was_refused(run: &Run) -> bool {
    let mut failed =
        run.tasks.iter().filter(|task| task.state == TaskState::Failed && task.reason != Some(EndReason::Upstream)).peekable();
    failed.peek().is_some() && failed.all(|task| refusal(task).is_some())
}

fn refusal(task: &TaskRun) -> Option<String> {
    match &task.spec.work {
        Work::Refused { reason } => Some(reason.clone()),
        _ => None,
    }
}

fn message_of(task: &TaskRun) -> Option<String> {
    task.last().map(|attempt| attempt.message.clone()).filter(|message| !message.is_empty())
}

/// Why a run failed: its own words, or those of the first task that did.
fn failure(run: &Run) -> String {
    let failed = || run.tasks.iter().find(|task| task.state == TaskState::Failed && task.reason != Some(EndReason::Upstream));
    match failed() {
        Some(task) if run.message.is_empty() || was_refused(run) => error_of(run, task),
        _ => run.message.clone(),
    }
}
