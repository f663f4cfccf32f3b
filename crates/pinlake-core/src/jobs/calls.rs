//! What is asked of the scheduler, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Interval, JobSpec, Order, Run, RunId, RunKind, RunState, RunSummary, TaskState};
use crate::clock::Timestamp;

/// A job and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number, which stays its own.
    pub id: i64,
    /// The definition that runs.
    pub spec: JobSpec,
    /// The first 12 hexadecimal digits of the definition's digest.
    pub version: String,
    /// Who defined it.
    pub origin: Origin,
    /// Whether nothing but a person starts it.
    pub paused: bool,
    /// When its schedule is due next; `None` if it has none or is paused.
    pub next_at: Option<Timestamp>,
    /// When it was first defined.
    pub created_at: Timestamp,
    /// Runs that wait to begin.
    pub queued: u64,
    /// Runs under way.
    pub running: u64,
    /// Its newest run.
    pub last: Option<RunSummary>,
    /// Texts that whoever defined it wants back, by name: a protocol's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

/// Who defined a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The pipeline's files: they alone change it.
    Pipeline,
    /// A call.
    Api,
}

/// A job, as a call names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKey {
    /// By its name.
    Name(String),
    /// By its number.
    Id(i64),
}

/// A job that a call defines, or defines anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The one that it takes the place of.
    pub id: Option<i64>,
    /// The definition.
    pub spec: JobSpec,
    /// Whether it is paused.
    pub paused: bool,
    /// See [`Job::notes`].
    pub notes: BTreeMap<String, String>,
}

/// A run that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Of this job.
    pub job: JobKey,
    /// What differs from the job's parameters. `Invalid` for one that the job does not have, unless `any_parameters`.
    pub parameters: BTreeMap<String, String>,
    /// Whether parameters that the job does not have are kept too.
    pub any_parameters: bool,
    /// The data that it stands for; by itself, the schedule's last whole interval.
    pub interval: Option<Interval>,
    /// Who asks.
    pub cause: String,
    /// The run of the job that was made with the same token is answered instead of a new one, also where a new one would be refused. Each door begins its tokens with
    /// a word of its own, so that none answers for another.
    pub token: Option<String>,
    /// See [`Run::notes`].
    pub notes: BTreeMap<String, String>,
}

/// Tasks that somebody hands in to be run once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// What is run, under the name that it is to have.
    pub spec: JobSpec,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
    /// Who asks.
    pub cause: String,
    /// What was handed in with the same token, or joined, is answered instead of a new run; see [`NewRun::token`].
    pub token: Option<String>,
    /// Whether a run of the same definition, parameters and cause that has not ended is answered instead of a new one.
    pub join: bool,
    /// See [`Run::notes`].
    pub notes: BTreeMap<String, String>,
}

/// Which runs are wanted, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Of this job.
    pub job: Option<JobKey>,
    /// In these states; in any if there are none.
    pub states: Vec<RunState>,
    /// Of these kinds; of any if there are none.
    pub kinds: Vec<RunKind>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made at this time or earlier.
    pub until: Option<Timestamp>,
    /// Older than this run.
    pub before: Option<RunId>,
    /// So many at most, and never more than [`RunFilter::LIMIT_MAX`].
    pub limit: usize,
}

/// Runs of a job for intervals that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// The job, which has a schedule.
    pub job: JobKey,
    /// All intervals of the schedule that begin at this time or later ...
    pub from: Timestamp,
    /// ... and end at this time or earlier.
    pub to: Timestamp,
    /// In which order.
    pub order: Order,
    /// How many at once; the job's own limit holds too.
    pub parallel: u32,
    /// Leave out the intervals whose newest run succeeded.
    pub only_failed: bool,
    /// Only say what would be run.
    pub preview: bool,
    /// What differs from the job's parameters.
    pub parameters: BTreeMap<String, String>,
    /// Who asks.
    pub cause: String,
}

/// What a backfill runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillPlan {
    /// Its number; `None` for a preview.
    pub id: Option<i64>,
    /// The intervals that run, in their order.
    pub intervals: Vec<PlannedInterval>,
    /// How many intervals are left out, because they succeeded or run.
    pub left_out: u64,
}

/// One interval of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInterval {
    /// The interval.
    pub interval: Interval,
    /// Its run; `None` in a preview.
    pub run: Option<RunId>,
    /// What the interval's newest run came to, if there was one.
    pub before: Option<RunState>,
}

/// What is run again of a run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The tasks that did not succeed, and those behind them.
    Failed,
    /// All tasks.
    All,
}

/// One line of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number in the attempt, from 1.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub text: String,
}

/// Some lines of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The attempt's number in its task.
    pub attempt: u32,
    /// Lines after the one that was named.
    pub lines: Vec<LogLine>,
    /// Whether no line will follow.
    pub ended: bool,
}

/// Something that changed, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The run as it is now.
    pub run: RunSummary,
    /// The task that changed.
    pub task: Option<TaskEvent>,
}

/// A task that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Its number.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: TaskState,
    /// The number of its last attempt; 0 if there was none.
    pub attempt: u32,
}

/// Something that somebody should look at, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about: the same text for the same thing, such as `job/daily/failed`.
    pub key: String,
    /// What is wrong, in words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was over; `None` while it is not.
    pub recovered_at: Option<Timestamp>,
}

/// How the scheduler itself is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerState {
    /// When it last looked for what is due; `None` before the first time.
    pub ticked_at: Option<Timestamp>,
    /// What is wrong with it and what it was given. Empty if nothing is.
    pub problems: Vec<SchedulerProblem>,
    /// Runs that wait to begin.
    pub queued: u64,
    /// Runs under way.
    pub running: u64,
}

/// Something that is wrong with the scheduler or with what it was given, for as long as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SchedulerProblem {
    /// What becomes of it.
    pub kind: ProblemKind,
    /// What is wrong, in words, with file and line where there are such.
    pub message: String,
}

/// What becomes of something that is wrong with the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A definition is wrong: the last good one runs on.
    Definition,
    /// Data that starts a job can't be looked at: it is tried again.
    Data,
    /// The scheduler came upon a defect of its own: it goes on, and somebody should report it.
    Defect,
}

impl RunFilter {
    /// Runs that one answer holds: a page of a thousand, and one more that says whether there are others.
    pub const LIMIT_MAX: usize = 1_001;
}

impl JobKey {
    /// A number, or else a name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

impl Run {
    /// The event of its change, and of one of its tasks.
    pub fn event(&self, at: Timestamp, task: Option<&str>) -> Event {
        let task = task.and_then(|name| self.task(name)).map(|task| TaskEvent {
            id: task.id,
            name: task.spec.name.clone(),
            state: task.state,
            attempt: task.last().map_or(0, |attempt| attempt.number),
        });
        Event { at, run: self.summary(), task }
    }
}
