//! The pipeline definition: which topics feed which table, how each table is cleaned, the questions asked of them, and the jobs.
//!
//! Pure data. `parse` reads the files that a data engineer edits and reports every problem at once; what needs a query engine
//! (is the cleaning row-local? does it yield the key?) is checked in `pinlake-lake`.

mod choices;
mod jobs;
mod parse;
mod route;
mod tree;
pub mod units;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use choices::{Choice, Chosen};
pub use jobs::check_job;
pub use parse::{parse, parse_draft};
pub use route::{Pattern, Route, Routed, TopicRule};

use crate::jobs::JobSpec;
use crate::position::TopicName;

/// The files of a pipeline by path relative to its folder, e.g. `clean/pin.sql`.
pub type Files = BTreeMap<String, String>;

/// The file that names all others.
pub const PIPELINE_FILE: &str = "pipeline.yml";

/// A whole pipeline, checked as far as it can be without a query engine.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// How raw records are archived.
    pub archive: ArchiveSpec,
    /// Its tables, in the order of the file.
    pub tables: Vec<TableSpec>,
    /// Its questions, in the order of their `-- order:` or name.
    pub questions: Vec<Question>,
    /// What the questions leave to whoever asks.
    pub choices: Vec<Choice>,
    /// Its jobs, in the order of the file. Whether their schedules are any is for whoever runs them to say.
    pub jobs: Vec<JobSpec>,
    /// Where the schedules stand, by the names of their jobs.
    pub schedule_lines: BTreeMap<String, ScheduleLines>,
}

/// The lines of a job's schedule in [`PIPELINE_FILE`]; 0 if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleLines {
    /// Of its text.
    pub text: u64,
    /// Of its time zone, or of the text where that is left out.
    pub timezone: u64,
}

/// What could be read of a pipeline that may have problems.
#[derive(Debug, Default)]
pub struct Draft {
    /// The pipeline without the tables, and the tasks of jobs, that could not be read.
    pub pipeline: Pipeline,
    /// The names of those tables.
    pub tables_unread: Vec<String>,
    /// Every problem, in the order of the files.
    pub problems: Vec<Problem>,
}

/// How raw records become objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveSpec {
    /// When an object is closed.
    pub flush: Flush,
}

impl Default for ArchiveSpec {
    fn default() -> Self {
        Self { flush: Flush { records: 10_000, bytes: 64 << 20, age: Duration::from_secs(60) } }
    }
}

/// When something buffered is written: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flush {
    /// Records at most.
    pub records: u64,
    /// Bytes at most.
    pub bytes: u64,
    /// Age of the oldest record at most.
    pub age: Duration,
}

/// A table: a schema, a cleaning and a key.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its name in SQL.
    pub name: String,
    /// Which topics, and of shared topics which records, feed it.
    pub topics: TopicRule,
    /// The raw record's columns.
    pub schema: Vec<RawColumn>,
    /// Path of the cleaning SQL, for messages.
    pub clean_path: String,
    /// The cleaning SQL: one `SELECT ... FROM raw`.
    pub clean_sql: String,
    /// Columns of the clean row that identify it: the first row of a key wins.
    pub key: Vec<String>,
    /// When buffered rows are committed.
    pub commit: Flush,
}

/// One field of the raw JSON record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawColumn {
    /// The field's name in the JSON object.
    pub name: String,
    /// Its type; a value that does not fit sends the record to quarantine.
    pub kind: RawType,
}

/// The types that a raw field can be declared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawType {
    /// 64-bit signed integer.
    Bigint,
    /// 64-bit floating point number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Text; numbers and booleans are taken as their text.
    String,
}

/// A question: a name and the SQL that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name: the file's stem.
    pub name: String,
    /// Path of its file, for messages.
    pub path: String,
    /// What it asks, from the leading comment.
    pub description: String,
    /// The SQL.
    pub sql: String,
}

impl Pipeline {
    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&TableSpec> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Whether some table follows `topic`.
    pub fn follows(&self, topic: &TopicName) -> bool {
        self.tables.iter().any(|table| table.topics.follows(topic))
    }

    /// Which records of `topic` belong to the table at `index`; `None` if it does not follow the topic.
    pub fn route(&self, index: usize, topic: &TopicName) -> Option<Route> {
        let rule = &self.tables[index].topics;
        if rule.takes_all(topic) {
            return Some(Route::All);
        }
        if !rule.shares(topic) {
            return None;
        }
        let sharing = || self.tables.iter().enumerate().filter(|(_, table)| table.topics.shares(topic));
        let is_first = sharing().next().is_some_and(|(first, _)| first == index);
        let others = sharing().filter(|(other, _)| *other != index).flat_map(|(_, table)| table.topics.keys.clone()).collect();
        Some(Route::ByKey { own: rule.keys.clone(), others: if is_first { Some(others) } else { None } })
    }
}

/// Something wrong with a pipeline or configuration file, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the pipeline's folder.
    pub file: String,
    /// Its line from 1; 0 if no line is to blame.
    pub line: u64,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}
