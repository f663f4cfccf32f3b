//! Jobs and runs as tests have them: plain ones, of which a test says only what it is about.

use std::collections::BTreeMap;

use crate::Timestamp;
use crate::jobs::{Attempt, Cause, JobSpec, Retries, Run, RunId, RunKind, RunState, TaskRun, TaskSpec, TaskState, Waits, Work};

/// A job without schedule and bounds, of one run at once.
pub fn job(name: &str, tasks: Vec<TaskSpec>) -> JobSpec {
    JobSpec::new(name, tasks)
}

/// A task that waits for no other and is tried once.
pub fn task(name: &str, work: Work) -> TaskSpec {
    TaskSpec {
        name: name.to_owned(),
        work,
        after: Vec::new(),
        waits: Waits::default(),
        retries: Retries::default(),
        timeout: None,
        pool: None,
    }
}

/// A run that a person has just started; its tasks have the numbers behind its own.
pub fn run(id: i64, spec: JobSpec) -> Run {
    Run {
        id: RunId(id),
        name: spec.name.clone(),
        job_id: 1,
        sequence: 1,
        tasks: (id + 1..).zip(&spec.tasks).map(|(id, task)| task_run(id, task.clone())).collect(),
        parameters: spec.parameters.clone(),
        spec,
        version: "0123456789ab".to_owned(),
        kind: RunKind::Manual,
        cause: Cause::default(),
        interval: None,
        state: RunState::Queued,
        reason: None,
        message: String::new(),
        generation: 1,
        lane: None,
        created_at: Timestamp(0),
        started_at: None,
        ended_at: None,
        notes: BTreeMap::new(),
    }
}

/// A task of a run that waits for its turn.
pub fn task_run(id: i64, spec: TaskSpec) -> TaskRun {
    let (state, reason, not_before, child) = (TaskState::Waiting, None, None, None);
    TaskRun { id: RunId(id), spec, state, reason, not_before, child, attempts: Vec::new() }
}

/// An attempt that runs since then.
pub fn attempt(number: u32, started_at: Timestamp) -> Attempt {
    let (owner, message) = ("here".to_owned(), String::new());
    Attempt { number, generation: 1, owner, started_at, ended_at: None, reason: None, message, output: None }
}
