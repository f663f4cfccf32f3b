//! The pipeline's files, read again while the server runs: jobs are taken over at once, what is wrong is told and the last good definition runs on. Everything
//! but jobs is taken at the next start.

use std::path::PathBuf;
use std::time::Duration;

use pinlake_core::pipeline::{self, Files, Pipeline, Problem};
use pinlake_jobs::{Scheduler, schedule};

use crate::pipeline_files;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Follows the files of a folder, for as long as it is let.
pub(super) async fn follow(folder: PathBuf, scheduler: Scheduler) {
    let mut known: Option<Files> = None;
    let mut unreadable = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let from = folder.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || pipeline_files::files(Some(&from))).await else { continue };
        let files = match read {
            Ok(files) => files,
            Err(error) => {
                if !unreadable {
                    tell(&scheduler, &[format!("{error:#}")]);
                }
                unreadable = true;
                continue;
            }
        };
        if known.as_ref() == Some(&files) && !unreadable {
            continue;
        }
        unreadable = false;
        // The first time too: they may have changed since the start.
        if take(&scheduler, &files, known.is_some()).await {
            known = Some(files);
        }
    }
}

/// Takes over the jobs that changed; `false` if that is to be tried again.
async fn take(scheduler: &Scheduler, files: &Files, changed: bool) -> bool {
    let pipeline = match pipeline::parse(files) {
        Ok(pipeline) => pipeline,
        Err(problems) => {
            tell(scheduler, &lines(&problems));
            return true;
        }
    };
    let problems = problems_of(&pipeline);
    match scheduler.install(&pipeline.jobs, problems.clone()).await {
        Ok(()) if problems.is_empty() && !changed => {}
        Ok(()) if problems.is_empty() => tracing::info!("the pipeline's files changed: its jobs are taken over"),
        Ok(()) => tell(scheduler, &problems),
        Err(error) => {
            tracing::warn!(%error, "the pipeline's files changed, and its jobs can't be taken over yet");
            return false;
        }
    }
    true
}

/// What is wrong with schedules, with file and line.
pub(super) fn problems_of(pipeline: &Pipeline) -> Vec<String> {
    lines(&schedule::problems(pipeline))
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Says loudly what is wrong.
fn tell(scheduler: &Scheduler, problems: &[String]) {
    for problem in problems {
        tracing::error!(problem, "the pipeline's files are wrong: its jobs go on as they were last good");
    }
    scheduler.report(problems.to_vec());
}
