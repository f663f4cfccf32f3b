//! New runs: of a schedule that is due, of new data, of somebody who asks.

use std::collections::BTreeMap;

use pinlake_core::jobs::{Cause, Interval, JobSpec, Run, RunId, RunKind, RunState, TaskRun, TaskSpec, TaskState};
use pinlake_core::{Result, Timestamp};

use crate::store::{Change, StoredJob};

/// Whose run it is to be.
pub(super) struct Owner<'a> {
    pub(super) job_id: i64,
    pub(super) sequence: i64,
    pub(super) spec: &'a JobSpec,
    pub(super) version: &'a str,
}

/// What else there is to say of a new run.
pub(super) struct Particulars {
    pub(super) kind: RunKind,
    pub(super) cause: Cause,
    pub(super) interval: Option<Interval>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) notes: BTreeMap<String, String>,
    pub(super) at: Timestamp,
}

impl<'a> Owner<'a> {
    /// The next run of a job.
    pub(super) fn next(job: &'a StoredJob) -> Self {
        Owner { job_id: job.id, sequence: job.sequence + 1, spec: &job.spec, version: &job.version }
    }
}

/// A new run, which waits to begin. It is not written yet.
pub(super) async fn run(change: &mut Change, owner: Owner<'_>, of: Particulars) -> Result<Run> {
    let spec = owner.spec;
    let count = i64::try_from(spec.tasks.len()).unwrap_or(i64::MAX - 1);
    let id = change.numbers("run", count + 1).await?;
    let task = |(number, spec): (i64, &TaskSpec)| TaskRun {
        id: RunId(number),
        spec: spec.clone(),
        state: TaskState::Waiting,
        reason: None,
        not_before: None,
        child: None,
        attempts: Vec::new(),
    };
    let mut parameters = spec.parameters.clone();
    parameters.extend(of.parameters);
    // The tasks hold what they do: once is enough.
    let spec_of_run = JobSpec { tasks: Vec::new(), ..spec.clone() };
    Ok(Run {
        id: RunId(id),
        name: spec.name.clone(),
        job_id: owner.job_id,
        sequence: owner.sequence,
        tasks: (id + 1..).zip(&spec.tasks).map(task).collect(),
        spec: spec_of_run,
        version: owner.version.to_owned(),
        kind: of.kind,
        cause: of.cause,
        interval: of.interval,
        parameters,
        state: RunState::Queued,
        reason: None,
        message: String::new(),
        generation: 1,
        lane: None,
        created_at: of.at,
        started_at: None,
        ended_at: None,
        notes: of.notes,
    })
}

/// The first 12 hexadecimal digits of a definition's digest.
pub(super) fn version_of(spec: &JobSpec) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, crate::store::to_json(spec).as_bytes());
    digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
