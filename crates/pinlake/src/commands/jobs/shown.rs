//! Jobs and runs as people read them: tables, lines, times in UTC. Text of tasks may come from records, so no control character of it is printed.

use std::fmt::Write;
use std::time::Duration;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{EndReason, JobSpec, Missed, ProblemKind, Retries, RunId, SchedulerProblem, TaskSpec, Trigger, Waits};
use pinlake_core::pipeline::units::Span;
use pinlake_core::secret::mask_url;
use pinlake_web::jobs::answers::{
    AlertAnswer, AttemptAnswer, BackfillAnswer, Data, JobDetail, JobSummary, LogLineAnswer, RunAnswer, RunSummary,
    SchedulerAnswer, TaskAnswer, word,
};
use pinlake_web::jobs::times;
use serde::Serialize;

use crate::terminal::{count, grid};

/// Characters of a message that a table shows; `--json` shows all.
const MESSAGE_CHARS_MAX: usize = 120;
/// Intervals of a backfill that are listed.
const INTERVALS_MAX: usize = 500;
/// Shorter than this is shown with tenths of a second.
const TENTHS_BELOW: Duration = Duration::from_secs(10);

/// All jobs.
pub(super) fn jobs(jobs: &[JobSummary]) -> String {
    let row = |job: &JobSummary| {
        let schedule = job.schedule.as_ref().map(|schedule| format!("{} {}", schedule.text, schedule.timezone));
        let last = job.last.as_ref().map(|run| format!("{} {}", run.id, ended(run.state, run.reason)));
        let (queued, running) = (job.queued.to_string(), job.running.to_string());
        vec![plain(&job.name), plain(&schedule.unwrap_or_default()), next(job), last.unwrap_or_default(), queued, running]
    };
    grid(&["job", "schedule", "next run, UTC", "last run", "queued", "running"], &jobs.iter().map(row).collect::<Vec<_>>())
}

fn next(job: &JobSummary) -> String {
    if job.paused { "paused".to_owned() } else { job.next_at_ms.map(times::readable).unwrap_or_default() }
}

/// How the scheduler is, in a line.
pub(super) fn scheduler(state: &SchedulerAnswer) -> String {
    let ticked =
        state.ticked_at_ms.map_or_else(|| "it has not begun".to_owned(), |at| format!("it last looked at {}", at_second(at)));
    format!("scheduler: {} queued, {} running; {ticked}", state.queued, state.running)
}

/// One job.
pub(super) fn job(job: &JobDetail) -> String {
    let summary = &job.summary;
    let mut text = format!("{}, version {}, of the {}", plain(&summary.name), summary.version, word(summary.origin));
    if let Some(schedule) = &summary.schedule {
        let _ = write!(text, "\nruns {} {}", plain(&schedule.text), plain(&schedule.timezone));
    }
    let next = next(summary);
    if !next.is_empty() {
        let _ = write!(text, "\nnext run: {next}");
    }
    let _ = write!(text, "{}", rules(&job.definition));
    let tasks: Vec<Vec<String>> = job
        .definition
        .tasks
        .iter()
        .map(|task| {
            let timeout = task.timeout.map(|span| span.to_string()).unwrap_or_default();
            vec![
                plain(&task.name),
                does(task.work.kind()),
                after(task),
                retries(&task.retries),
                timeout,
                task.pool.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let _ = write!(text, "\n\n{}", grid(&["task", "does", "after", "retries", "timeout", "pool"], &tasks));
    if !job.runs.is_empty() {
        let _ = write!(text, "\n\n{}", runs(&job.runs));
    }
    text
}

/// What starts a job beside its schedule, and the bounds of its runs, a line each.
fn rules(job: &JobSpec) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = write!(text, "\n{name}: {value}");
    };
    for trigger in &job.triggers {
        line("runs on", trigger_text(trigger));
    }
    if job.schedule.is_some() {
        let missed = match job.missed {
            Missed::Skip => "passed over",
            Missed::Latest => "the last one runs",
            Missed::All => "each of them runs",
        };
        line("missed times", missed.to_owned());
    }
    line("runs at once", job.concurrency.to_string());
    let spans = [("timeout", job.timeout), ("expected within", job.expected), ("alert if not begun within", job.starts_within)];
    for (name, span) in spans.into_iter().filter_map(|(name, span)| Some((name, span?))) {
        line(name, span.to_string());
    }
    if !job.parameters.is_empty() {
        line("parameters", parameters(&job.parameters));
    }
    text
}

fn trigger_text(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Rows { table, rows } => format!("{rows} new rows of table {}", plain(table)),
        Trigger::Version { table } => format!("a new version of table {}", plain(table)),
        Trigger::Records { topic, records } => format!("{records} new records of topic {}", plain(topic)),
        Trigger::Object { url } => format!("a new object below {}", plain(&mask_url(url))),
    }
}

/// The tasks that a task waits for, and whether it goes on though they fail.
fn after(task: &TaskSpec) -> String {
    let names = plain(&task.after.join(", "));
    if task.waits == Waits::AllDone && !names.is_empty() { format!("{names} (all done)") } else { names }
}

/// `2 after 30s to 10m`
fn retries(retries: &Retries) -> String {
    if retries.count == 0 {
        return String::new();
    }
    let (delay, longest) = (retries.delay, retries.delay_max);
    let upto = if delay == longest { String::new() } else { format!(" to {longest}") };
    format!("{} after {delay}{upto}", retries.count)
}

/// Runs, a line each.
pub(super) fn runs(runs: &[RunSummary]) -> String {
    let row = |run: &RunSummary| {
        vec![
            run.id.to_string(),
            plain(&run.name),
            word(run.kind),
            run.data.as_ref().map(between).unwrap_or_default(),
            ended(run.state, run.reason),
            at_second(run.created_at_ms),
            took(run.started_at_ms, run.ended_at_ms),
            brief(&run.message),
        ]
    };
    let head = ["run", "job", "came of", "data, UTC", "state", "made", "took", "message"];
    grid(&head, &runs.iter().map(row).collect::<Vec<_>>())
}

/// One run with its tasks and each of their attempts.
pub(super) fn run(run: &RunAnswer) -> String {
    let summary = &run.summary;
    let mut text = head(summary);
    if let Some(data) = &summary.data {
        let _ = write!(text, "\n{}", times::readable_data(&data.0));
    }
    let _ = write!(text, "\nmade {} UTC by {}", at_second(summary.created_at_ms), plain(&run.cause.text));
    if let Some(parent) = &run.cause.parent {
        let _ = write!(text, ", for task {} of run {}", plain(&parent.task), parent.run_id);
    }
    if run.cause.missed > 0 {
        let _ = write!(text, ", {} of the schedule passed over", count(run.cause.missed, "time"));
    }
    let lasted = took(summary.started_at_ms, summary.ended_at_ms);
    if !lasted.is_empty() {
        let _ = write!(text, ", took {lasted}");
    }
    if run.generation > 1 {
        let _ = write!(text, ", try {}", run.generation);
    }
    if !run.parameters.is_empty() {
        let _ = write!(text, "\nparameters: {}", parameters(&run.parameters));
    }
    let rows: Vec<Vec<String>> = run.tasks.iter().flat_map(task).collect();
    let _ = write!(text, "\n\n{}", grid(&["task", "does", "state", "attempt", "began", "took", "ended by", "message"], &rows));
    text
}

/// A row for each attempt; the task's own state stands at the last.
fn task(task: &TaskAnswer) -> Vec<Vec<String>> {
    let state = match (task.reason, task.child_run_id) {
        (Some(reason), _) => format!("{} ({reason})", word(task.state)),
        (None, Some(child)) if !task.state.has_ended() => format!("{}, waits for run {child}", word(task.state)),
        (None, _) => word(task.state),
    };
    let mut rows: Vec<Vec<String>> = task.attempts.iter().map(|attempt| attempt_row(task, attempt)).collect();
    if rows.is_empty() {
        let mut row = vec![String::new(); 8];
        (row[0], row[1]) = (plain(&task.name), does(&task.kind));
        rows.push(row);
    }
    if let Some(last) = rows.last_mut() {
        last[2] = state;
    }
    rows
}

fn attempt_row(task: &TaskAnswer, attempt: &AttemptAnswer) -> Vec<String> {
    vec![
        plain(&task.name),
        does(&task.kind),
        String::new(),
        attempt.number.to_string(),
        at_second(attempt.started_at_ms),
        took(Some(attempt.started_at_ms), attempt.ended_at_ms),
        attempt.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        first_line(&attempt.message),
    ]
}

/// What a task does, for people: one that can't be run says so, and why stands in its message.
fn does(kind: &str) -> String {
    if kind == "refused" { "nothing: it can't be run here".to_owned() } else { plain(kind) }
}

/// What a backfill runs.
pub(super) fn intervals(plan: &BackfillAnswer) -> String {
    let rows: Vec<Vec<String>> = plan
        .intervals
        .iter()
        .take(INTERVALS_MAX)
        .map(|planned| {
            let run = planned.run_id.map(|run: RunId| run.to_string());
            vec![between(&planned.data), run.unwrap_or_default(), planned.before.map(word).unwrap_or_default()]
        })
        .collect();
    let mut text = grid(&["data, UTC", "run", "before"], &rows);
    if plan.intervals.len() > INTERVALS_MAX {
        let _ = write!(text, "\nand {} more", plan.intervals.len() - INTERVALS_MAX);
    }
    text
}

/// What a run came to, with its data.
pub(super) fn end(run: &RunSummary) -> String {
    let data = run.data.as_ref().map_or_else(String::new, |data| format!(", {}", times::readable_data(&data.0)));
    let lasted = took(run.started_at_ms, run.ended_at_ms);
    let after = if lasted.is_empty() { String::new() } else { format!(" after {lasted}") };
    format!("{}{after}{data}", head(run))
}

/// The same, for whoever has read what every task said: the run's own words are left out if a task said them.
pub(super) fn end_told(run: &RunAnswer) -> String {
    let mut summary = run.summary.clone();
    let said = |task: &TaskAnswer| summary.message.starts_with(&format!("task '{}': ", task.name));
    if run.tasks.iter().any(said) {
        summary.message.clear();
    }
    end(&summary)
}

fn head(run: &RunSummary) -> String {
    let message = if run.message.is_empty() { String::new() } else { format!(": {}", first_line(&run.message)) };
    format!("run {} of {} {}{message}", run.id, plain(&run.name), ended(run.state, run.reason))
}

/// A line of a log, with the task's name where there are several.
pub(super) fn log_line(task: Option<&str>, line: &LogLineAnswer) -> String {
    let task = task.map_or_else(String::new, |task| format!("{}: ", plain(task)));
    let level = if line.level == "info" { String::new() } else { format!("{}: ", plain(&line.level)) };
    let text: Vec<String> = line.text.lines().map(plain).collect();
    format!("{} {task}{level}{}", at_second(line.at_ms), text.join("\n    "))
}

/// What is wrong with the scheduler or with what it was given.
pub(super) fn problem(problem: &SchedulerProblem) -> String {
    let text = plain(&problem.message);
    match problem.kind {
        ProblemKind::Definition => format!("the last good definition runs on: {text}"),
        ProblemKind::Data | ProblemKind::Defect => text,
    }
}

/// Alerts, each in a row.
pub(super) fn alerts(alerts: &[AlertAnswer]) -> String {
    if alerts.is_empty() {
        return "nothing is wrong".to_owned();
    }
    let row = |alert: &AlertAnswer| {
        let over = alert.recovered_at_ms.map_or_else(|| "open".to_owned(), |at| format!("over since {}", at_second(at)));
        vec![plain(&alert.key), over, at_second(alert.since_ms), first_line(&alert.message)]
    };
    grid(&["alert", "state", "began, UTC", "message"], &alerts.iter().map(row).collect::<Vec<_>>())
}

/// A state, and why it was not the good end.
pub(super) fn ended(state: impl Serialize, reason: Option<EndReason>) -> String {
    let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("{}{why}", word(state))
}

/// Text of somebody else in a line: control characters as their escapes.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The first line of a message.
pub(super) fn first_line(text: &str) -> String {
    plain(text.lines().next().unwrap_or_default())
}

/// The first line of a message, as much as a list has room for.
pub(super) fn brief(text: &str) -> String {
    let line = first_line(text);
    match line.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn parameters(parameters: &std::collections::BTreeMap<String, String>) -> String {
    let each = parameters.iter().map(|(name, value)| format!("{}={}", plain(name), brief(value)));
    each.collect::<Vec<_>>().join(", ")
}

fn between(data: &Data) -> String {
    format!("{} to {}", times::readable(data.0.from), times::readable(data.0.to))
}

/// `2026-03-01 00:00:05`
fn at_second(at: Timestamp) -> String {
    let mut text = times::readable(at);
    if text.matches(':').count() == 1 {
        text += ":00";
    }
    text
}

fn took(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => span(from.until(to)),
        _ => String::new(),
    }
}

fn span(lasted: Duration) -> String {
    if lasted < TENTHS_BELOW {
        format!("{:.1}s", lasted.as_secs_f64())
    } else {
        Span(Duration::from_secs(lasted.as_secs())).to_string()
    }
}
