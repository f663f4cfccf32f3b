//! Goes along with runs: what changed since the last look, and the lines that were logged. It only looks; to end it ends no run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use pinlake_core::Timestamp;
use pinlake_core::jobs::{EndReason, RunId, RunKind, RunState, TaskState};
use pinlake_web::jobs::answers::{BackfillAnswer, LogAnswer, RunAnswer, RunList, RunSummary, TaskAnswer, word};
use pinlake_web::jobs::times;
use serde::de::DeserializeOwned;

use super::{path, shown};
use crate::client::Client;
use crate::terminal::{self, Bar};

/// Between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two looks at a backfill.
const LOOK_AT_BACKFILL_EVERY: Duration = Duration::from_secs(1);
/// How long one request for a line waits, milliseconds.
const WAIT_MS: &str = "5000";
/// A server that is away for a moment, such as at its restart, is tried again so often ...
const AWAY_TRIES: u32 = 30;
/// ... at this distance.
const AWAY_WAIT: Duration = Duration::from_secs(1);
/// Errors of an attempt that are remembered.
const ERRORS_MAX: usize = 100;
/// Runs that one request lists.
const RUNS_AT_ONCE: &str = "1000";

/// What was printed of a run.
pub(super) struct Follower {
    /// Whether changes of the run and its tasks are told, and all attempts from the first, rather than the logs from each task's last attempt on.
    tells: bool,
    /// The one task whose log is read; all if there is none.
    only: Option<String>,
    begun: bool,
    tasks: BTreeMap<String, (TaskState, usize)>,
    logs: BTreeMap<String, Place>,
    /// Errors of each task's attempt that were printed: its end does not say them again.
    errors: BTreeMap<String, Vec<String>>,
}

/// Something to print, and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// A place in a task's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) attempt: u32,
    /// The line that was read last.
    pub(super) after: i64,
    /// Whether the attempt's log was read to its end.
    pub(super) ended: bool,
}

impl Follower {
    /// Of everything about a run, from its beginning.
    pub(super) fn of_all() -> Self {
        Self { tells: true, only: None, begun: false, tasks: BTreeMap::new(), logs: BTreeMap::new(), errors: BTreeMap::new() }
    }

    /// Of the logs alone, of one task or of all.
    pub(super) fn of_logs(only: Option<String>) -> Self {
        Self { tells: false, only, ..Self::of_all() }
    }

    /// What is told once, before all else.
    pub(super) fn head(&mut self, run: &RunAnswer) -> Option<String> {
        if !self.tells || std::mem::replace(&mut self.begun, true) {
            return None;
        }
        let data = run.summary.data.as_ref();
        let data = data.map_or_else(String::new, |data| format!(", {}", times::readable_data(&data.0)));
        Some(format!("run {} of {}{data}", run.summary.id, shown::plain(&run.summary.name)))
    }

    /// What is to be told of a task if it is another than at the last look: before its lines if it runs, else behind them.
    pub(super) fn change(&mut self, task: &TaskAnswer) -> Option<Line> {
        let now = (task.state, task.attempts.len());
        if !self.tells || self.tasks.insert(task.name.clone(), now) == Some(now) {
            return None;
        }
        let attempt = task.attempts.last();
        let at = attempt
            .map(|attempt| if task.state == TaskState::Running { Some(attempt.started_at_ms) } else { attempt.ended_at_ms });
        // What had no attempt ended with others, which are told before.
        let at = at.flatten().unwrap_or(Timestamp(i64::MAX));
        let said =
            self.errors.get(&task.name).is_some_and(|errors| attempt.is_some_and(|attempt| says(errors, &attempt.message)));
        change(task, said).map(|text| Line { at, text })
    }

    /// Where to go on in a task's logs; `None` when all there is was read, or they are not wanted.
    pub(super) fn place(&mut self, task: &TaskAnswer) -> Option<Place> {
        if self.only.as_ref().is_some_and(|only| *only != task.name) {
            return None;
        }
        let new = |attempt| Place { attempt, after: 0, ended: false };
        let numbers = || task.attempts.iter().map(|attempt| attempt.number);
        let next = match self.logs.get(&task.name) {
            Some(place) if !place.ended => return Some(*place),
            Some(place) => numbers().find(|number| *number > place.attempt),
            None if self.tells => numbers().next(),
            None => numbers().next_back(),
        };
        next.map(new)
    }

    /// Takes what was read there, and says what to print of it.
    pub(super) fn took(&mut self, task: &str, place: Place, page: &LogAnswer) -> Vec<Line> {
        let after = page.lines.iter().map(|line| line.number).fold(place.after, i64::max);
        self.logs.insert(task.to_owned(), Place { after, ended: page.ended, ..place });
        let errors = self.errors.entry(task.to_owned()).or_default();
        if place.after == 0 {
            errors.clear();
        }
        let mut lines = Vec::new();
        for line in &page.lines {
            if line.level == "error" && self.tells {
                // How the attempt ended is told with the task's state.
                if is_end(&line.text) {
                    continue;
                }
                if errors.len() < ERRORS_MAX {
                    errors.push(line.text.clone());
                }
            }
            lines.push(Line { at: line.at_ms, text: shown::log_line(self.only.is_none().then_some(task), line) });
        }
        lines
    }
}

/// Whether a line is the one that the scheduler ends an attempt's log with.
fn is_end(text: &str) -> bool {
    let reasons = [EndReason::Failed, EndReason::TimedOut, EndReason::LostProcess, EndReason::Cancelled, EndReason::Upstream];
    text.split_once(": ").is_some_and(|(first, _)| reasons.iter().any(|reason| reason.as_str() == first))
}

/// Whether errors that were printed are all that a message says, which may be cut.
fn says(errors: &[String], message: &str) -> bool {
    !errors.is_empty() && errors.join("; ").starts_with(message.trim_end_matches('…'))
}

/// What is told of a task that changed, unless it was `said` why; its waiting is not.
fn change(task: &TaskAnswer, said: bool) -> Option<String> {
    let attempt = task.attempts.last();
    let name = shown::plain(&task.name);
    let message = attempt.map(|attempt| shown::first_line(&attempt.message)).filter(|message| !message.is_empty() && !said);
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    match task.state {
        TaskState::Waiting | TaskState::Queued => None,
        TaskState::Running => Some(match (attempt, task.child_run_id) {
            (_, Some(child)) => format!("{name} waits for run {child}"),
            (Some(attempt), None) if attempt.number > 1 => format!("{name} runs, attempt {}", attempt.number),
            _ => format!("{name} runs"),
        }),
        TaskState::Retrying => Some(format!("{name} is tried again{message}")),
        TaskState::Succeeded | TaskState::Failed => Some(format!("{name} {}{message}", shown::ended(task.state, task.reason))),
    }
}

/// Prints what happens until the run has ended, or one task of it; the answer is the run then.
pub(super) async fn to_end(client: &Client, id: RunId, follower: &mut Follower, task: Option<&str>) -> Result<RunAnswer> {
    loop {
        let run: RunAnswer = look(client, &path(&["runs", &id.to_string()], &[])).await?;
        lines(client, &run, follower).await?.into_iter().for_each(terminal::line);
        let task = task.and_then(|task| run.tasks.iter().find(|each| each.name == task));
        if run.summary.state.has_ended() || task.is_some_and(|task| task.state.has_ended()) {
            if follower.tells && run.summary.state == RunState::Succeeded {
                terminal::line(shown::end(&run.summary));
            }
            return Ok(run);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What happened since the last look, of all tasks, in the order in which it did.
async fn lines(client: &Client, run: &RunAnswer, follower: &mut Follower) -> Result<Vec<String>> {
    let head = follower.head(run);
    let mut all = Vec::new();
    for task in &run.tasks {
        let mut of_task = Vec::new();
        if task.state == TaskState::Running {
            of_task.extend(follower.change(task));
        }
        while let Some(place) = follower.place(task) {
            let page = page(client, run.summary.id, &task.name, place, "0").await?;
            of_task.extend(follower.took(&task.name, place, &page));
            if page.lines.is_empty() && !page.ended {
                break;
            }
        }
        if task.state != TaskState::Running {
            of_task.extend(follower.change(task));
        }
        all.push(of_task);
    }
    Ok(head.into_iter().chain(in_order(all)).collect())
}

/// The lines of tasks, each in its own order, by their times. At the same time those of tasks before come first, because others wait for them.
pub(super) fn in_order(tasks: Vec<Vec<Line>>) -> Vec<String> {
    let mut all = Vec::new();
    for mut lines in tasks {
        let mut latest = Timestamp(i64::MIN);
        for line in &mut lines {
            latest = latest.max(line.at);
            line.at = latest;
        }
        all.extend(lines);
    }
    all.sort_by_key(|line| line.at);
    all.into_iter().map(|line| line.text).collect()
}

/// Prints what the tasks have logged since the last look, a task after the other.
pub(super) async fn logs(client: &Client, run: &RunAnswer, follower: &mut Follower) -> Result<()> {
    for task in &run.tasks {
        while let Some(place) = follower.place(task) {
            let page = page(client, run.summary.id, &task.name, place, "0").await?;
            follower.took(&task.name, place, &page).into_iter().for_each(|line| terminal::line(line.text));
            if page.lines.is_empty() && !page.ended {
                break;
            }
        }
    }
    Ok(())
}

/// Prints the log of one attempt, and what comes to it.
pub(super) async fn attempt(client: &Client, run: RunId, task: &str, attempt: u32, goes_on: bool) -> Result<()> {
    let mut place = Place { attempt, after: 0, ended: false };
    loop {
        let page = page(client, run, task, place, if goes_on { WAIT_MS } else { "0" }).await?;
        for line in &page.lines {
            terminal::line(shown::log_line(None, line));
            place.after = place.after.max(line.number);
        }
        if page.ended || (page.lines.is_empty() && !goes_on) {
            return Ok(());
        }
    }
}

async fn page(client: &Client, run: RunId, task: &str, place: Place, wait_ms: &str) -> Result<LogAnswer> {
    let (run, attempt, after) = (run.to_string(), place.attempt.to_string(), place.after.to_string());
    let params = [("attempt", attempt.as_str()), ("after", &after), ("wait_ms", wait_ms)];
    look(client, &path(&["runs", &run, "tasks", task, "log"], &params)).await
}

/// Shows how far a backfill is until its runs have ended.
///
/// # Errors
/// Says how many failed.
pub(super) async fn backfill(client: &Client, job: &str, plan: &BackfillAnswer) -> Result<()> {
    let mut open: BTreeSet<RunId> = plan.intervals.iter().filter_map(|planned| planned.run_id).collect();
    let (total, mut failed) = (open.len(), 0);
    let bar = Bar::counter("backfill", Some(total as u64));
    loop {
        let going = going(client, job).await?;
        for id in open.difference(&going).copied().collect::<Vec<_>>() {
            let run: RunAnswer = look(client, &path(&["runs", &id.to_string()], &[])).await?;
            // Somebody had it run again since the list.
            if !run.summary.state.has_ended() {
                continue;
            }
            open.remove(&id);
            failed += usize::from(run.summary.state == RunState::Failed);
            bar.line(shown::end(&run.summary));
        }
        bar.set((total - open.len()) as u64);
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(LOOK_AT_BACKFILL_EVERY).await;
    }
    drop(bar);
    if failed > 0 {
        bail!(
            "{failed} of {} failed: 'pinlake jobs backfill {job} ... --only-failed' runs them again",
            terminal::count(total, "interval")
        );
    }
    Ok(())
}

/// The job's runs of backfills that have not ended.
async fn going(client: &Client, job: &str) -> Result<BTreeSet<RunId>> {
    let states = [RunState::Queued, RunState::Running].map(word).join(",");
    let kind = word(RunKind::Backfill);
    let (mut found, mut before) = (BTreeSet::new(), None);
    loop {
        let mut params = vec![("job", job), ("kind", &kind), ("state", &states), ("limit", RUNS_AT_ONCE)];
        let last = before.map(|id: RunId| id.to_string());
        params.extend(last.as_deref().map(|id| ("before", id)));
        let list: RunList = look(client, &path(&["runs"], &params)).await?;
        found.extend(list.runs.iter().map(|run: &RunSummary| run.id));
        before = list.next_before;
        if before.is_none() {
            return Ok(found);
        }
    }
}

/// The answer to a GET, also of a server that is away for a moment: its runs go on when it is back.
async fn look<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T> {
    let mut tries = 0;
    loop {
        match client.get(path).await {
            Err(error) if tries < AWAY_TRIES && is_away(&error) => {
                if tries == 0 {
                    terminal::warning(format!("{error}; trying again for {} s", AWAY_TRIES));
                }
                tries += 1;
                tokio::time::sleep(AWAY_WAIT).await;
            }
            answer => return answer,
        }
    }
}

/// Whether no answer came, rather than a bad one.
fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<reqwest::Error>())
}
