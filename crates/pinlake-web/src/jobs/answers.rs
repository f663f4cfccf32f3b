//! What the API answers about jobs and runs, as plain data that also the command line reads. `_ms` is milliseconds since the Unix epoch, UTC; what a run
//! stands for is `data`, from and to in RFC 3339. Notes of other protocols are not shown.

mod run;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{self, Interval, JobSpec, Origin, RunId, RunState, Schedule, SchedulerProblem};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use run::{AttemptAnswer, CauseAnswer, ParentTask, RunAnswer, RunSummary, TaskAnswer};

use super::times;

/// The word that answers have for a state, a kind or the like, for people.
pub fn word(of: impl Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The data that a run stands for, half-open; `{"from": "2026-03-01T00:00:00Z", "to": ...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data(pub Interval);

#[derive(Serialize, Deserialize)]
struct WrittenData {
    from: String,
    to: String,
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenData { from: times::rfc3339(self.0.from), to: times::rfc3339(self.0.to) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenData { from, to } = WrittenData::deserialize(deserializer)?;
        let time = |text: &str| times::parse(text).map_err(de::Error::custom);
        Ok(Self(Interval { from: time(&from)?, to: time(&to)? }))
    }
}

/// All jobs, and how the scheduler is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// The jobs, sorted by name.
    pub jobs: Vec<JobSummary>,
    /// The scheduler.
    pub scheduler: SchedulerAnswer,
}

/// How the scheduler is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerAnswer {
    /// When it last looked for what is due; `null` before the first time.
    pub ticked_at_ms: Option<Timestamp>,
    /// What is wrong with it and what it was given.
    pub problems: Vec<SchedulerProblem>,
    /// Runs that wait to begin.
    pub queued: u64,
    /// Runs under way.
    pub running: u64,
}

impl From<jobs::SchedulerState> for SchedulerAnswer {
    fn from(state: jobs::SchedulerState) -> Self {
        let jobs::SchedulerState { ticked_at, problems, queued, running } = state;
        Self { ticked_at_ms: ticked_at, problems, queued, running }
    }
}

/// A job and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its number, which stays its own.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The first 12 hexadecimal digits of the definition's digest.
    pub version: String,
    /// Who defined it.
    pub origin: Origin,
    /// Whether nothing but a person starts it.
    pub paused: bool,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// When its schedule is due next; `null` if it has none or is paused.
    pub next_at_ms: Option<Timestamp>,
    /// When it was first defined.
    pub created_at_ms: Timestamp,
    /// Runs that wait to begin.
    pub queued: u64,
    /// Runs under way.
    pub running: u64,
    /// Its newest run.
    pub last: Option<RunSummary>,
}

impl From<&jobs::Job> for JobSummary {
    fn from(job: &jobs::Job) -> Self {
        Self {
            id: job.id,
            name: job.spec.name.clone(),
            version: job.version.clone(),
            origin: job.origin,
            paused: job.paused,
            schedule: job.spec.schedule.clone(),
            next_at_ms: job.next_at,
            created_at_ms: job.created_at,
            queued: job.queued,
            running: job.running,
            last: job.last.clone().map(RunSummary::from),
        }
    }
}

/// A job with its definition and its newest runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDetail {
    /// What lists show too.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// The definition that runs.
    pub definition: JobSpec,
    /// Its newest runs, the newest first.
    pub runs: Vec<RunSummary>,
}

/// Runs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// What to ask for as `before` to see older ones; `null` if there are none.
    pub next_before: Option<RunId>,
}

/// The run that a call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNumber {
    /// Its number.
    pub run_id: RunId,
}

/// What a backfill runs, or would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillAnswer {
    /// Its number; `null` for a preview.
    pub backfill_id: Option<i64>,
    /// The intervals that run, in their order.
    pub intervals: Vec<BackfillInterval>,
    /// How many intervals are left out, because they succeeded or run.
    pub left_out: u64,
}

/// One interval of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillInterval {
    /// The data that its run stands for.
    pub data: Data,
    /// Its run; `null` in a preview.
    pub run_id: Option<RunId>,
    /// What the interval's newest run came to before; `null` if there was none.
    pub before: Option<RunState>,
}

impl From<jobs::BackfillPlan> for BackfillAnswer {
    fn from(plan: jobs::BackfillPlan) -> Self {
        let interval = |planned: jobs::PlannedInterval| BackfillInterval {
            data: Data(planned.interval),
            run_id: planned.run,
            before: planned.before,
        };
        Self { backfill_id: plan.id, intervals: plan.intervals.into_iter().map(interval).collect(), left_out: plan.left_out }
    }
}

/// Some lines of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// The task's name.
    pub task: String,
    /// The attempt's number in the task.
    pub attempt: u32,
    /// The lines, in order.
    pub lines: Vec<LogLineAnswer>,
    /// Whether no line will follow these.
    pub ended: bool,
}

/// One line of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLineAnswer {
    /// Its number in the attempt, from 1: the `after` that asks for what follows.
    pub number: i64,
    /// When.
    pub at_ms: Timestamp,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub text: String,
}

impl LogAnswer {
    /// Lines of the log of the task of that name.
    pub fn of(task: &str, page: jobs::LogPage) -> Self {
        let line =
            |line: jobs::LogLine| LogLineAnswer { number: line.number, at_ms: line.at, level: line.level, text: line.text };
        let lines = page.lines.into_iter().map(line).collect();
        Self { task: task.to_owned(), attempt: page.attempt, lines, ended: page.ended }
    }
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAnswer {
    /// When.
    pub at_ms: Timestamp,
    /// The run as it is now.
    pub run: RunSummary,
    /// The task that changed, if one did.
    pub task: Option<jobs::TaskEvent>,
}

impl From<jobs::Event> for EventAnswer {
    fn from(event: jobs::Event) -> Self {
        Self { at_ms: event.at, run: event.run.into(), task: event.task }
    }
}

/// Alerts, open ones first, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertList {
    /// The alerts.
    pub alerts: Vec<AlertAnswer>,
}

/// Something that somebody should look at, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertAnswer {
    /// What it is about: the same text for the same thing.
    pub key: String,
    /// What is wrong, in words.
    pub message: String,
    /// Since when.
    pub since_ms: Timestamp,
    /// When it was over; `null` while it is not.
    pub recovered_at_ms: Option<Timestamp>,
}

impl From<jobs::Alert> for AlertAnswer {
    fn from(alert: jobs::Alert) -> Self {
        let jobs::Alert { key, message, since, recovered_at } = alert;
        Self { key, message, since_ms: since, recovered_at_ms: recovered_at }
    }
}
