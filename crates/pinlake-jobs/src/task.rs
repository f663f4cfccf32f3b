//! What the scheduler asks of whoever carries out tasks, and the log that an attempt writes.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pinlake_core::jobs::{Lane, LogLine, Run, TaskRun, Trigger};
use pinlake_core::{Clock, Result};
use tokio_util::sync::CancellationToken;

/// Lines of one attempt's log that are kept.
const LINES_MAX: i64 = 10_000;
/// Characters of a line that are kept.
const LINE_CHARS_MAX: usize = 2_000;

/// Carries out tasks, and knows how much data there is.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Does what a task says. Its effects must be the same however often it is called for one [`Effect`]: an attempt may die after its work and before it is
    /// told of. It is dropped some seconds after `cancel` if it does not end by itself.
    ///
    /// # Errors
    /// Any is the attempt's end; the task says whether another follows.
    async fn run(&self, call: TaskCall) -> Result<Done>;

    /// How far it is with what a trigger looks at: rows, a version, records, the time of the newest object. It only grows, but where something is made anew.
    /// It is asked for each second, beside everything else, and dropped after 30 s; what fails is asked for again after 10 s, and after 5 minutes at most.
    ///
    /// # Errors
    /// `NotFound` while there is nothing of that name.
    async fn standing(&self, of: &Trigger) -> Result<i64>;

    /// What is wrong now beside jobs: tables that are not fresh, a ledger that does not close. Each stays an alert until it is no longer there.
    ///
    /// # Errors
    /// Any leaves the alerts as they are.
    async fn conditions(&self) -> Result<Vec<Condition>>;
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is about, such as `table/pin/fresh`.
    pub key: String,
    /// What is wrong, in words.
    pub message: String,
}

/// A task to carry out.
#[derive(Debug, Clone)]
pub struct TaskCall {
    /// The run, as it was when the attempt began.
    pub run: Arc<Run>,
    /// Which of its tasks.
    pub place: usize,
    /// The number of the attempt.
    pub attempt: u32,
    /// What tells the scheduler's database from any other.
    pub installation: Arc<str>,
    /// Takes lines for whoever watches.
    pub log: AttemptLog,
    /// Says that the attempt should end.
    pub cancel: CancellationToken,
}

/// What a finished task came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// In words, in one line.
    pub message: String,
    /// For whoever asks for the output.
    pub output: Option<String>,
}

/// What names the effect of a task in a run: its attempts share it, another run or a run again has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The task, and the run's lane, so that runs which overlap do not hide each other.
    pub app: String,
    /// Above that of every effect of the same app before it. It grows with time: also where the database was put back to what it was.
    pub version: i64,
}

/// Places that runs took in turn before there were lanes.
const PLACES: i64 = 4096;
/// Tries of a whole run that were told apart then.
const GENERATIONS_MAX: i64 = 1024;

impl TaskCall {
    /// The task.
    pub fn task(&self) -> &TaskRun {
        &self.run.tasks[self.place]
    }

    /// What names its effect.
    pub fn effect(&self) -> Effect {
        let run = &self.run;
        // A database that is lost is followed by another, with lanes of its own.
        let app = format!("jobs/{}/{}/{}", self.installation, run.job_id, self.task().spec.name);
        if let Some(Lane { number, begun }) = run.lane {
            return Effect { app: format!("{app}/lane/{number}"), version: begun };
        }
        // It may have had its effect before there were lanes, under this name.
        let (sequence, generation) = (run.sequence, i64::from(run.generation).min(GENERATIONS_MAX - 1));
        Effect { app: format!("{app}/{}", sequence % PLACES), version: sequence * GENERATIONS_MAX + generation }
    }
}

/// The log of an attempt. A clone is the same.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    clock: Clock,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    count: i64,
    waiting: Vec<LogLine>,
}

impl AttemptLog {
    /// An empty log.
    pub fn new(clock: Clock) -> Self {
        Self { clock, lines: Arc::default() }
    }

    /// Something to know.
    pub fn info(&self, text: impl Into<String>) {
        self.line("info", text.into());
    }

    /// Something that may be wrong.
    pub fn warn(&self, text: impl Into<String>) {
        self.line("warn", text.into());
    }

    /// Something that is wrong.
    pub fn error(&self, text: impl Into<String>) {
        self.line("error", text.into());
    }

    /// The lines that are not written yet.
    pub(crate) fn waiting(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).waiting.clone()
    }

    /// Says that the lines up to this number are written.
    pub(crate) fn written(&self, last: i64) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).waiting.retain(|line| line.number > last);
    }

    fn line(&self, level: &str, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.count > LINES_MAX {
            return;
        }
        lines.count += 1;
        let last = lines.count > LINES_MAX;
        let text = if last { format!("more than {LINES_MAX} lines: the rest is left out") } else { shorten(text) };
        let line = LogLine { number: lines.count, at: self.clock.now(), level: level.to_owned(), text };
        lines.waiting.push(line);
    }
}

fn shorten(text: String) -> String {
    // Postgres has no place for it.
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}
