//! `jobs/runs/get-output`: what a task came to, and its log.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use pinlake_core::jobs::{Run, RunId, TaskRun, TaskState, Work};
use serde_json::{Value, json};

use super::Door;
use super::args::Args;
use super::failure::Failure;
use super::jobs::Answer;
use super::runs::{address, find, job_note};
use super::shown::View;
use super::starts::is_missing;
use super::states;

/// The longest output and the longest log, bytes: as the service has it.
const OUTPUT_BYTES_MAX: usize = 5 << 20;
/// Attempts that are told of: the last ones.
const ATTEMPTS_MAX: usize = 20;

/// `GET jobs/runs/get-output`, of a task's run or a run of one task.
pub(super) async fn get(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let id = args.fields().needed_number("run_id")?;
    let run = find(&door, id).await?;
    let task = match (run.tasks.iter().find(|task| task.id == RunId(id)), &run.tasks[..]) {
        (Some(task), _) => task,
        (None, [task]) => task,
        (None, _) => {
            return Err(Failure::invalid(
                "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each individual task run instead.",
            ));
        }
    };
    let note = job_note(&door, &run).await?;
    let address = address(&door, &args);
    let metadata = View::of(&run, RunId(id), note.as_deref(), &address).answer(0, false);
    let (logs, logs_truncated) = logs(&door, task).await?;
    let (result, truncated) = cut(task.last().and_then(|last| last.output.clone()).unwrap_or_default());
    let mut answer = json!({
        "metadata": metadata,
        "notebook_output": { "result": result, "truncated": truncated },
        "logs": logs,
        "logs_truncated": logs_truncated,
    });
    if let (Work::Job { .. }, Some(child)) = (&task.spec.work, task.child) {
        answer["run_job_output"] = json!({ "run_id": child.0 });
    }
    if task.state == TaskState::Failed {
        answer["error"] = error(&door, &run, task).await?.into();
        answer["error_trace"] = trace(task).into();
    }
    Ok(Json(answer))
}

/// Why the task failed: its own words, or those of the run that it waited for.
async fn error(door: &Door, run: &Run, task: &TaskRun) -> Result<String, Failure> {
    let silent = task.last().is_none_or(|last| last.message.is_empty());
    if let (true, Some(child)) = (silent, task.child) {
        match door.jobs.run(child).await {
            Ok(child) => {
                let shown = states::of_run(&child).message;
                if !shown.is_empty() {
                    return Ok(shown);
                }
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(states::error_of(run, task))
}

/// What each attempt came to.
fn trace(task: &TaskRun) -> String {
    let mut trace = String::new();
    for attempt in task.attempts.iter().rev().take(ATTEMPTS_MAX).rev() {
        let reason = attempt.reason.map_or("SUCCEEDED", |reason| reason.as_str());
        // Writing to a string can't fail.
        let _ = writeln!(trace, "attempt {}: {reason}: {}", attempt.number, attempt.message);
    }
    trace
}

/// The log of the last attempt as far as there is one now, and whether it is cut off.
async fn logs(door: &Door, task: &TaskRun) -> Result<(String, bool), Failure> {
    let (mut text, mut after) = (String::new(), 0);
    loop {
        let page = match door.jobs.log(task.id, None, after, Duration::ZERO).await {
            Ok(page) => page,
            // No attempt yet, or its log is deleted.
            Err(error) if is_missing(&error) => return Ok((text, false)),
            Err(error) => return Err(error.into()),
        };
        let Some(last) = page.lines.last().map(|line| line.number).filter(|last| *last > after) else {
            return Ok((text, false));
        };
        for line in &page.lines {
            if text.len() + line.text.len() >= OUTPUT_BYTES_MAX {
                return Ok((text, true));
            }
            text.push_str(&line.text);
            text.push('\n');
        }
        after = last;
    }
}

fn cut(mut text: String) -> (Value, bool) {
    let long = text.len() > OUTPUT_BYTES_MAX;
    if long {
        let end = (0..=OUTPUT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
    }
    (text.into(), long)
}
