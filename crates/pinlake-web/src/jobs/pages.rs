//! Jobs: the list, one of them, and what changes one. Who defined a job and whether its definition is right is the scheduler's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts as RequestParts;
use pinlake_core::jobs::{Job, JobKey, JobSpec, NewJob, RunFilter};
use pinlake_core::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Jobs;
use super::answers::{JobDetail, JobList, JobSummary, RunSummary};
use crate::Shared;
use crate::extract::{Body, Segments};
use crate::failure::Failure;

/// The newest runs that a job is shown with.
const NEWEST_RUNS: usize = 20;
/// How often a definition is tried again that somebody else's overtook.
const DEFINE_AGAIN: u32 = 3;

/// The scheduler; a server without one refuses.
pub(crate) struct Scheduler(pub(crate) Arc<dyn Jobs>);

impl FromRequestParts<Shared> for Scheduler {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut RequestParts, shared: &Shared) -> Result<Self, Failure> {
        let none = || Error::not_found("this server runs no jobs: ask the one that has the scheduler");
        Ok(Self(shared.jobs.clone().ok_or_else(none)?))
    }
}

/// `GET /api/v1/jobs`
pub(crate) async fn list(Scheduler(jobs): Scheduler) -> Result<Json<JobList>, Failure> {
    let all = jobs.jobs().await?;
    Ok(Json(JobList { jobs: all.iter().map(JobSummary::from).collect(), scheduler: jobs.scheduler().into() }))
}

/// `GET /api/v1/jobs/{name}`
pub(crate) async fn describe(Scheduler(jobs): Scheduler, Segments(name): Segments<String>) -> Result<Json<JobDetail>, Failure> {
    let job = jobs.job(&JobKey::Name(name)).await?;
    Ok(Json(detail(&*jobs, job).await?))
}

async fn detail(jobs: &dyn Jobs, job: Job) -> Result<JobDetail, Error> {
    let newest = RunFilter { job: Some(JobKey::Id(job.id)), limit: NEWEST_RUNS, ..RunFilter::default() };
    let runs = jobs.runs(newest).await?.into_iter().map(RunSummary::from).collect();
    Ok(JobDetail { summary: JobSummary::from(&job), definition: job.spec, runs })
}

/// `PUT /api/v1/jobs/{name}`: makes the job if there is none. A paused one stays paused.
pub(crate) async fn define(
    Scheduler(jobs): Scheduler,
    Segments(name): Segments<String>,
    Body(given): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<JobDetail>), Failure> {
    let spec = definition(&name, given)?;
    let mut again = 0..DEFINE_AGAIN;
    loop {
        let before = match jobs.job(&JobKey::Name(name.clone())).await {
            Ok(job) => Some(job),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let (id, paused) = before.as_ref().map_or((None, false), |job| (Some(job.id), job.paused));
        // What another protocol noted told of the definition that goes.
        match jobs.define(NewJob { id, spec: spec.clone(), paused, notes: BTreeMap::new() }).await {
            Ok(defined) => {
                let status = if id.is_some() { StatusCode::OK } else { StatusCode::CREATED };
                let job = jobs.job(&JobKey::Id(defined)).await?;
                return Ok((status, Json(detail(&*jobs, job).await?)));
            }
            // Somebody else made or deleted it meanwhile.
            Err(error) if is_overtaken(&error, before.as_ref()) && again.next().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a definition failed because the job that it was to change is gone, or one that was to be made is there.
fn is_overtaken(error: &Error, before: Option<&Job>) -> bool {
    error.kind() == if before.is_some() { ErrorKind::NotFound } else { ErrorKind::Conflict }
}

/// The definition under the path's name, without fields that nobody would look at.
fn definition(name: &str, mut given: Map<String, Value>) -> Result<JobSpec, Error> {
    let named = given.insert("name".to_owned(), name.into());
    if let Some(other) = named.filter(|other| other.as_str() != Some(name)) {
        return Err(Error::invalid(format!("the definition's name is {other}, the path's '{name}': leave it out")));
    }
    let given = Value::Object(given);
    let wrong = |error| Error::invalid(format!("the definition is not right: {error}"));
    let spec = JobSpec::deserialize(&given).map_err(wrong)?;
    let kept = serde_json::to_value(&spec).map_err(|e| Error::internal("writing a definition").with_source(e))?;
    match unknown_field(&given, &kept) {
        Some(field) => Err(Error::invalid(format!("the definition is not right: unknown field '{field}'"))),
        None => Ok(spec),
    }
}

/// The first field of what was given that is not in what became of it. Empty ones may go: they say nothing.
fn unknown_field(given: &Value, kept: &Value) -> Option<String> {
    let below = |name: &str, given: &Value, kept: &Value| unknown_field(given, kept).map(|field| format!("{name}.{field}"));
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given.iter().find_map(|(name, value)| match kept.get(name) {
            Some(kept) => below(name, value, kept),
            None => (!is_empty(value)).then(|| name.clone()),
        }),
        (Value::Array(given), Value::Array(kept)) => {
            given.iter().zip(kept).enumerate().find_map(|(number, (given, kept))| below(&number.to_string(), given, kept))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// `DELETE /api/v1/jobs/{name}`
pub(crate) async fn delete(Scheduler(jobs): Scheduler, Segments(name): Segments<String>) -> Result<StatusCode, Failure> {
    jobs.delete(&JobKey::Name(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/jobs/{name}/pause`
pub(crate) async fn pause(Scheduler(jobs): Scheduler, Segments(name): Segments<String>) -> Result<StatusCode, Failure> {
    jobs.pause(&JobKey::Name(name), true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/jobs/{name}/resume`
pub(crate) async fn resume(Scheduler(jobs): Scheduler, Segments(name): Segments<String>) -> Result<StatusCode, Failure> {
    jobs.pause(&JobKey::Name(name), false).await?;
    Ok(StatusCode::NO_CONTENT)
}
