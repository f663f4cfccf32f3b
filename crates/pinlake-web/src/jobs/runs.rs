//! Runs: which there are, one of them, its logs, and what ends it, begins it again or forgets it.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use pinlake_core::jobs::{Again, JobKey, Run, RunFilter, RunId, TaskRun};
use pinlake_core::{Error, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{LogAnswer, RunAnswer, RunList, RunNumber, RunSummary};
use super::pages::Scheduler;
use super::times;
use crate::extract::{Body, Params, Segments, in_range};
use crate::failure::Failure;

/// Runs of an answer unless the caller says otherwise.
const RUNS_DEFAULT: u64 = 50;
/// The most runs that a caller may ask for.
const RUNS_MAX: u64 = 1_000;
/// The longest wait for a line of a log, milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsParams {
    job: Option<String>,
    state: Option<String>,
    kind: Option<String>,
    since: Option<String>,
    until: Option<String>,
    before: Option<RunId>,
    limit: Option<u64>,
}

/// `GET /api/v1/runs`
pub(crate) async fn list(Scheduler(jobs): Scheduler, Params(params): Params<RunsParams>) -> Result<Json<RunList>, Failure> {
    let limit = in_range("limit", params.limit, RUNS_DEFAULT, 1, RUNS_MAX)?;
    let limit = usize::try_from(limit).expect("it is at most RUNS_MAX");
    let filter = RunFilter {
        job: params.job.map(JobKey::Name),
        states: words("state", params.state.as_deref())?,
        kinds: words("kind", params.kind.as_deref())?,
        since: time("since", params.since.as_deref())?,
        until: time("until", params.until.as_deref())?,
        before: params.before,
        // One more says whether there are more.
        limit: limit + 1,
    };
    let mut runs: Vec<RunSummary> = jobs.runs(filter).await?.into_iter().map(RunSummary::from).collect();
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next_before = runs.last().filter(|_| more).map(|run| run.id);
    Ok(Json(RunList { runs, next_before }))
}

/// Words of one kind, separated by commas.
fn words<T: DeserializeOwned>(name: &str, given: Option<&str>) -> Result<Vec<T>, Error> {
    let word = |word: &str| {
        serde_json::from_value(Value::from(word)).map_err(|error| Error::invalid(format!("'{name}' is not right: {error}")))
    };
    given.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty()).map(word).collect()
}

fn time(name: &str, given: Option<&str>) -> Result<Option<Timestamp>, Error> {
    given.map(times::parse).transpose().map_err(|wrong| Error::invalid(format!("'{name}': {wrong}")))
}

/// `GET /api/v1/runs/{id}`
pub(crate) async fn show(Scheduler(jobs): Scheduler, Segments(id): Segments<RunId>) -> Result<Json<RunAnswer>, Failure> {
    Ok(Json(jobs.run(id).await?.into()))
}

/// `POST /api/v1/runs/{id}/cancel`
pub(crate) async fn cancel(
    Scheduler(jobs): Scheduler,
    Segments(id): Segments<RunId>,
) -> Result<(StatusCode, Json<RunNumber>), Failure> {
    jobs.cancel(id).await?;
    Ok((StatusCode::ACCEPTED, Json(RunNumber { run_id: id })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerunBody {
    tasks: Option<Again>,
}

/// `POST /api/v1/runs/{id}/rerun`
pub(crate) async fn rerun(
    Scheduler(jobs): Scheduler,
    Segments(id): Segments<RunId>,
    Body(body): Body<RerunBody>,
) -> Result<(StatusCode, Json<RunNumber>), Failure> {
    jobs.rerun(id, body.tasks.unwrap_or(Again::Failed)).await?;
    Ok((StatusCode::ACCEPTED, Json(RunNumber { run_id: id })))
}

/// `DELETE /api/v1/runs/{id}`
pub(crate) async fn forget(Scheduler(jobs): Scheduler, Segments(id): Segments<RunId>) -> Result<StatusCode, Failure> {
    jobs.forget(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogParams {
    attempt: Option<u32>,
    #[serde(default)]
    after: u32,
    wait_ms: Option<u64>,
}

/// `GET /api/v1/runs/{id}/tasks/{task}/log`
pub(crate) async fn log(
    Scheduler(jobs): Scheduler,
    Segments((id, task)): Segments<(RunId, String)>,
    Params(params): Params<LogParams>,
) -> Result<Json<LogAnswer>, Failure> {
    let wait = Duration::from_millis(in_range("wait_ms", params.wait_ms, 0, 0, WAIT_MS_MAX)?);
    if params.attempt == Some(0) {
        return Err(Error::invalid("attempts count from 1, 0 is none").into());
    }
    let run = jobs.run(id).await?;
    let task = task_of(&run, &task)?;
    let page = jobs.log(task.id, params.attempt, i64::from(params.after), wait).await?;
    Ok(Json(LogAnswer::of(&task.spec.name, page)))
}

/// The task of that name, or else of that number.
fn task_of<'r>(run: &'r Run, task: &str) -> Result<&'r TaskRun, Error> {
    let numbered = || task.parse().ok().and_then(|id: RunId| run.tasks.iter().find(|task| task.id == id));
    run.task(task).or_else(numbered).ok_or_else(|| {
        let names: Vec<&str> = run.tasks.iter().map(|task| task.spec.name.as_str()).collect();
        Error::not_found(format!("run {} has no task '{task}', it has {}", run.id, names.join(", ")))
    })
}
