//! A run, its tasks and their attempts as they are answered.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{self, EndReason, Generation, JobSpec, RunId, RunKind, RunState, TaskState};
use serde::{Deserialize, Serialize};

use super::Data;

/// A run as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its number.
    pub id: RunId,
    /// The job's name, or its own.
    pub name: String,
    /// The job's number; 0 for tasks that somebody handed in.
    pub job_id: i64,
    /// What it came of.
    pub kind: RunKind,
    /// The data that it stands for, where that is known.
    pub data: Option<Data>,
    /// How far it is.
    pub state: RunState,
    /// Why it ended without success.
    pub reason: Option<EndReason>,
    /// What to know of its state, in words.
    pub message: String,
    /// When it was made: for a schedule, when it was due.
    pub created_at_ms: Timestamp,
    /// When its first task could run.
    pub started_at_ms: Option<Timestamp>,
    /// When it ended.
    pub ended_at_ms: Option<Timestamp>,
}

impl From<jobs::RunSummary> for RunSummary {
    fn from(run: jobs::RunSummary) -> Self {
        Self {
            id: run.id,
            name: run.name,
            job_id: run.job_id,
            kind: run.kind,
            data: run.interval.map(Data),
            state: run.state,
            reason: run.reason,
            message: run.message,
            created_at_ms: run.created_at,
            started_at_ms: run.started_at,
            ended_at_ms: run.ended_at,
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAnswer {
    /// What lists show too.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// What started it.
    pub cause: CauseAnswer,
    /// The job's parameters with what was given.
    pub parameters: BTreeMap<String, String>,
    /// Which try of the whole run it is, from 1.
    pub generation: Generation,
    /// The first 12 hexadecimal digits of the definition's digest.
    pub version: String,
    /// The job as it was when the run was made.
    pub definition: JobSpec,
    /// Its tasks, in the definition's order.
    pub tasks: Vec<TaskAnswer>,
}

impl From<jobs::Run> for RunAnswer {
    fn from(run: jobs::Run) -> Self {
        // A run keeps each task's definition with the task.
        let tasks = run.tasks.iter().map(|task| task.spec.clone()).collect();
        Self {
            summary: run.summary().into(),
            cause: run.cause.into(),
            parameters: run.parameters,
            generation: run.generation,
            version: run.version,
            definition: JobSpec { tasks, ..run.spec },
            tasks: run.tasks.into_iter().map(TaskAnswer::from).collect(),
        }
    }
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseAnswer {
    /// In words.
    pub text: String,
    /// The task that waits for the run.
    pub parent: Option<ParentTask>,
    /// The backfill that the run belongs to.
    pub backfill_id: Option<i64>,
    /// Times of the schedule that were passed over before it.
    pub missed: u64,
}

/// A task that waits for a run of another job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentTask {
    /// Its run.
    pub run_id: RunId,
    /// Its name.
    pub task: String,
}

impl From<jobs::Cause> for CauseAnswer {
    fn from(cause: jobs::Cause) -> Self {
        let parent = cause.parent.map(|(run_id, task)| ParentTask { run_id, task });
        Self { text: cause.text, parent, backfill_id: cause.backfill, missed: cause.missed }
    }
}

/// One task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAnswer {
    /// Its number.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// What it does, in the word that a definition uses.
    pub kind: String,
    /// The tasks that it waits for.
    pub after: Vec<String>,
    /// How far it is.
    pub state: TaskState,
    /// Why it ended without success.
    pub reason: Option<EndReason>,
    /// When it may be tried again.
    pub not_before_ms: Option<Timestamp>,
    /// The run of another job that it waits for.
    pub child_run_id: Option<RunId>,
    /// Its attempts, the oldest first.
    pub attempts: Vec<AttemptAnswer>,
}

impl From<jobs::TaskRun> for TaskAnswer {
    fn from(task: jobs::TaskRun) -> Self {
        Self {
            id: task.id,
            kind: task.spec.work.kind().to_owned(),
            name: task.spec.name,
            after: task.spec.after,
            state: task.state,
            reason: task.reason,
            not_before_ms: task.not_before,
            child_run_id: task.child,
            attempts: task.attempts.into_iter().map(AttemptAnswer::from).collect(),
        }
    }
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptAnswer {
    /// Its number in the task, from 1.
    pub number: u32,
    /// In which try of the whole run.
    pub generation: Generation,
    /// The process that made it.
    pub owner: String,
    /// When it began.
    pub started_at_ms: Timestamp,
    /// When it ended.
    pub ended_at_ms: Option<Timestamp>,
    /// Why it ended without success; `null` if it runs or succeeded.
    pub reason: Option<EndReason>,
    /// What it came to, in words.
    pub message: String,
    /// What it came to, for whoever asks for the output.
    pub output: Option<String>,
}

impl From<jobs::Attempt> for AttemptAnswer {
    fn from(attempt: jobs::Attempt) -> Self {
        let jobs::Attempt { number, generation, owner, started_at, ended_at, reason, message, output } = attempt;
        Self { number, generation, owner, started_at_ms: started_at, ended_at_ms: ended_at, reason, message, output }
    }
}
