//! What a job is: tasks that wait for each other, and when they run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pipeline::units::Span;

/// A job as its definition says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Its name.
    pub name: String,
    /// When it runs by itself; `None` if only data or somebody starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What starts it beside the schedule: any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What becomes of the times that passed while nothing could run.
    #[serde(default)]
    pub missed: Missed,
    /// Its parameters with their defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// How long a run may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How many of its runs may be under way at once, 1 at least.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// A run that has not started this long after it was due is told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_within: Option<Span>,
    /// A run that takes longer than this is told of, but goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Span>,
    /// Its tasks, each behind those that it waits for.
    pub tasks: Vec<TaskSpec>,
}

/// Times at which a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// A cron pattern of five fields, `@daily` and the like, or `every 6h`.
    pub text: String,
    /// The time zone in which it is read, by its IANA name.
    pub timezone: String,
    /// Whose cron it is.
    #[serde(default)]
    pub form: CronForm,
}

/// The two dialects of cron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CronForm {
    /// Five fields, days of the week from Sunday = 0.
    #[default]
    Unix,
    /// Quartz's six or seven fields, seconds first, days of the week from Sunday = 1, `?` and `L`.
    Quartz,
}

/// New data that starts a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// So many new rows of a table.
    Rows {
        /// The table.
        table: String,
        /// How many, 1 at least.
        rows: u64,
    },
    /// A new version of a table.
    Version {
        /// The table.
        table: String,
    },
    /// So many new records of a topic.
    Records {
        /// The topic.
        topic: String,
        /// How many, 1 at least.
        records: u64,
    },
    /// A new object below a URL.
    Object {
        /// Where, e.g. `s3://bucket/folder/`.
        url: String,
    },
}

/// What becomes of times that passed while nothing could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// The last of them runs.
    #[default]
    Latest,
    /// Each of them runs, the oldest first.
    All,
}

/// The order in which a backfill takes its intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest first.
    #[default]
    Oldest,
    /// The newest first.
    Newest,
}

/// A task: one step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its name, unique in the job.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// The tasks that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What they must have come to.
    #[serde(default)]
    pub waits: Waits,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: Retries,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The pool of which it takes a place while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// What the tasks that a task waits for must have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// All have succeeded.
    #[default]
    AllSuccess,
    /// All have ended, however they did.
    AllDone,
}

/// How often a task is tried again, and when: `delay`, twice that, and so on up to `delay_max`, each a random part more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// How often, after the first attempt.
    pub count: u32,
    /// How long after the first failure.
    pub delay: Span,
    /// The longest wait.
    pub delay_max: Span,
}

impl Default for Retries {
    fn default() -> Self {
        Self { count: 0, delay: Span(Duration::from_secs(30)), delay_max: Span(Duration::from_secs(600)) }
    }
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Has the archive and the tables commit all that is acknowledged.
    Archive,
    /// Cleans the archive again and replaces tables.
    Rebuild {
        /// Which; all if there are none.
        tables: Vec<String>,
    },
    /// Queries that must answer no row.
    Check {
        /// Their SQL.
        queries: Vec<SqlText>,
    },
    /// Answers questions into gold tables.
    Questions {
        /// Which; all if there are none.
        names: Vec<String>,
    },
    /// Puts small files of tables together.
    Compact {
        /// Which; all if there are none.
        tables: Vec<String>,
    },
    /// Deletes files that no snapshot needs.
    Vacuum {
        /// Which; all if there are none.
        tables: Vec<String>,
        /// How long files stay for readers of older snapshots.
        keep: Span,
    },
    /// Answers a query, and keeps the answer if `into` says so.
    Sql {
        /// The query.
        query: SqlText,
        /// The gold table that takes the answer.
        into: Option<String>,
    },
    /// Sends a request.
    Http(HttpWork),
    /// Proves that nothing was lost or doubled.
    Prove {
        /// Whether archive and tables are counted again.
        deep: bool,
    },
    /// Runs another job to its end.
    Job {
        /// Its name.
        name: String,
        /// Its parameters.
        parameters: BTreeMap<String, String>,
    },
    /// Can't be done, and fails with the reason.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// A query and where it stands, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlText {
    /// What it is called: the file's stem or the task's name.
    pub name: String,
    /// The SQL.
    pub sql: String,
}

/// A request to send. `${from}`, `${to}`, `${run}`, `${begun}`, `${job}` and `${parameters.NAME}` stand for the run's own in all texts, `${env:NAME}` and `${file:PATH}` in the
/// headers for secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpWork {
    /// GET, POST and so on.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Its headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The statuses that are a success: any below 300 if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<u16>,
}

fn one() -> u32 {
    1
}

impl JobSpec {
    /// A job that nothing but a person starts, of one run at once and without other bounds.
    pub fn new(name: impl Into<String>, tasks: Vec<TaskSpec>) -> Self {
        Self {
            name: name.into(),
            schedule: None,
            triggers: Vec::new(),
            missed: Missed::default(),
            parameters: BTreeMap::new(),
            timeout: None,
            concurrency: one(),
            starts_within: None,
            expected: None,
            tasks,
        }
    }
}

impl Work {
    /// Its kind, in the word that a definition uses.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Rebuild { .. } => "rebuild",
            Self::Check { .. } => "check",
            Self::Questions { .. } => "questions",
            Self::Compact { .. } => "compact",
            Self::Vacuum { .. } => "vacuum",
            Self::Sql { .. } => "sql",
            Self::Http(_) => "http",
            Self::Prove { .. } => "prove",
            Self::Job { .. } => "job",
            Self::Refused { .. } => "refused",
        }
    }
}
