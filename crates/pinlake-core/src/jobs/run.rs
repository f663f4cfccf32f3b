//! What became of a job: a run, its tasks and their attempts. A run holds the definition that it was made from, so that its history explains itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{JobSpec, TaskSpec};
use crate::clock::Timestamp;

/// The number of a run, and of a task of a run: both are counted together, so that one number names one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The note of a run that says what of another system's lineage it is a part of: JSON with `namespace`, `name` and `run_id`, a UUID.
pub const PARENT_NOTE: &str = "openlineage.parent";

/// Which try of a whole run it is: 1, and one more each time that it is run again.
pub type Generation = u32;

/// The data that a run stands for, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// From this time on.
    pub from: Timestamp,
    /// Up to, and without, this time.
    pub to: Timestamp,
}

/// What a run came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Its job's schedule.
    Schedule,
    /// New data.
    Data,
    /// Somebody who asked for it.
    Manual,
    /// A backfill.
    Backfill,
    /// Another run's task.
    Job,
    /// Tasks that somebody handed in, of no job.
    Submit,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits until its job may run again.
    Queued,
    /// Its tasks run.
    Running,
    /// It has ended, and all is well.
    Succeeded,
    /// It has ended otherwise.
    Failed,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It waits for other tasks.
    Waiting,
    /// It may run as soon as there is a place.
    Queued,
    /// It failed, and waits to be tried again.
    Retrying,
    /// It runs.
    Running,
    /// It has ended, and all is well.
    Succeeded,
    /// It has ended otherwise.
    Failed,
}

/// Why something ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndReason {
    /// The work said so.
    Failed,
    /// It took too long.
    TimedOut,
    /// The process that did it is gone; it is tried again without using up a retry.
    LostProcess,
    /// Somebody cancelled it.
    Cancelled,
    /// What it waited for did not succeed.
    Upstream,
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cause {
    /// In words: `schedule`, `17 new rows of pin`, a principal's name.
    pub text: String,
    /// The task that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<(RunId, String)>,
    /// The backfill that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<i64>,
    /// Times of the schedule that were passed over before it.
    #[serde(default)]
    pub missed: u64,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Its own name, for those who gave one: the job's otherwise.
    pub name: String,
    /// The job's number; 0 for tasks that somebody handed in.
    pub job_id: i64,
    /// Its place among the runs of its job, from 1.
    pub sequence: i64,
    /// The job as it was when the run was made.
    pub spec: JobSpec,
    /// The first 12 hexadecimal digits of the definition's digest.
    pub version: String,
    /// What it came of.
    pub kind: RunKind,
    /// What started it.
    pub cause: Cause,
    /// The data that it stands for, where that is known.
    pub interval: Option<Interval>,
    /// The job's parameters with what was given.
    pub parameters: BTreeMap<String, String>,
    /// How far it is.
    pub state: RunState,
    /// Why it ended without success.
    pub reason: Option<EndReason>,
    /// What to know of its state, in words.
    pub message: String,
    /// Which try of the whole run it is.
    pub generation: Generation,
    /// Where this try of it goes, from its begin on. A run that began before there were lanes has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// When it was made: for a schedule, when it was due.
    pub created_at: Timestamp,
    /// When its first task could run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its tasks, in the definition's order.
    pub tasks: Vec<TaskRun>,
    /// Texts that whoever started it wants back, by name: a protocol's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

/// Where a try of a run goes, which names its effects: each is above all earlier ones of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// From 1: no two runs of a job that are under way have the same.
    pub number: i64,
    /// When the try began, in microseconds since the Unix epoch, or more: above that of every try that began before it, whatever its job.
    pub begun: i64,
}

/// One task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRun {
    /// Its number.
    pub id: RunId,
    /// The task as it was when the run was made.
    pub spec: TaskSpec,
    /// How far it is.
    pub state: TaskState,
    /// Why it ended without success.
    pub reason: Option<EndReason>,
    /// When it may be tried again.
    pub not_before: Option<Timestamp>,
    /// The run of another job that it waits for.
    pub child: Option<RunId>,
    /// Its attempts, the oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number in the task, from 1.
    pub number: u32,
    /// In which try of the whole run.
    pub generation: Generation,
    /// The process that made it.
    pub owner: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended without success; `None` if it runs or succeeded.
    pub reason: Option<EndReason>,
    /// What it came to, in words.
    pub message: String,
    /// What it came to, for whoever asks for the output.
    pub output: Option<String>,
}

/// A run without its tasks and definition, for lists.
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
    /// The data that it stands for.
    pub interval: Option<Interval>,
    /// How far it is.
    pub state: RunState,
    /// Why it ended without success.
    pub reason: Option<EndReason>,
    /// What to know of its state, in words.
    pub message: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first task could run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl RunState {
    /// Whether it has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl TaskState {
    /// Whether it has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Run {
    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&TaskRun> {
        self.tasks.iter().find(|task| task.spec.name == name)
    }

    /// The run without its tasks and definition.
    pub fn summary(&self) -> RunSummary {
        RunSummary {
            id: self.id,
            name: self.name.clone(),
            job_id: self.job_id,
            kind: self.kind,
            interval: self.interval,
            state: self.state,
            reason: self.reason,
            message: self.message.clone(),
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }
}

impl TaskRun {
    /// Its last attempt.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

impl EndReason {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::LostProcess => "LOST_PROCESS",
            Self::Cancelled => "CANCELLED",
            Self::Upstream => "UPSTREAM",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
