//! What starts runs of a job: a call for one, and a backfill for many.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use pinlake_core::jobs::{Backfill, Interval, JobKey, NewRun, Order};
use pinlake_core::{Error, Timestamp};
use serde::{Deserialize, Deserializer, de};

use super::answers::{BackfillAnswer, RunNumber};
use super::pages::Scheduler;
use super::times;
use crate::extract::{Body, Segments, in_range};
use crate::failure::Failure;

/// Who asks, for the history of a run.
const CAUSE: &str = "a call of the API";
/// The longest token that makes a call safe to repeat, bytes.
const TOKEN_BYTES_MAX: usize = 128;
/// Runs of a backfill that may be under way at once.
const PARALLEL_MAX: u64 = 100;

/// A time in a request's body.
struct When(Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a time is text such as 2026-03-01 or 2026-03-01T06:00:00Z, or milliseconds")]
        enum Written {
            Millis(i64),
            Text(String),
        }
        let time = match Written::deserialize(deserializer)? {
            Written::Millis(number) => times::of_millis(number).ok_or_else(|| format!("{number} ms lie outside the calendar")),
            Written::Text(text) => times::parse(&text),
        };
        time.map(Self).map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunBody {
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    from: Option<When>,
    to: Option<When>,
    token: Option<String>,
}

/// `POST /api/v1/jobs/{name}/run`
pub(crate) async fn run(
    Scheduler(jobs): Scheduler,
    Segments(name): Segments<String>,
    Body(body): Body<RunBody>,
) -> Result<(StatusCode, Json<RunNumber>), Failure> {
    let interval = match (body.from, body.to) {
        (Some(from), Some(to)) => Some(interval(&from, &to)?),
        (None, None) => None,
        _ => return Err(Error::invalid("give 'from' and 'to' together, or neither for the schedule's last interval").into()),
    };
    if body.token.as_ref().is_some_and(|token| token.is_empty() || token.len() > TOKEN_BYTES_MAX) {
        return Err(Error::invalid(format!("'token' takes 1 to {TOKEN_BYTES_MAX} bytes")).into());
    }
    let run = NewRun {
        job: JobKey::Name(name),
        parameters: body.parameters,
        any_parameters: false,
        interval,
        cause: CAUSE.to_owned(),
        token: body.token.map(|token| format!("api/{token}")),
        notes: BTreeMap::new(),
    };
    Ok((StatusCode::ACCEPTED, Json(RunNumber { run_id: jobs.start(run).await? })))
}

fn interval(from: &When, to: &When) -> Result<Interval, Error> {
    if from.0 < to.0 {
        return Ok(Interval { from: from.0, to: to.0 });
    }
    Err(Error::invalid(format!("'to' must lie behind 'from', {} does not: the end is left out", times::rfc3339(to.0))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackfillBody {
    from: When,
    to: When,
    #[serde(default)]
    order: Order,
    parallel: Option<u64>,
    #[serde(default)]
    only_failed: bool,
    #[serde(default)]
    preview: bool,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// `POST /api/v1/jobs/{name}/backfill`: 200 for a preview, else 202.
pub(crate) async fn backfill(
    Scheduler(jobs): Scheduler,
    Segments(name): Segments<String>,
    Body(body): Body<BackfillBody>,
) -> Result<(StatusCode, Json<BackfillAnswer>), Failure> {
    let Interval { from, to } = interval(&body.from, &body.to)?;
    let parallel = in_range("parallel", body.parallel, 1, 1, PARALLEL_MAX)?;
    let backfill = Backfill {
        job: JobKey::Name(name),
        from,
        to,
        order: body.order,
        parallel: u32::try_from(parallel).expect("it is at most PARALLEL_MAX"),
        only_failed: body.only_failed,
        preview: body.preview,
        parameters: body.parameters,
        cause: CAUSE.to_owned(),
    };
    let status = if body.preview { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(jobs.backfill(backfill).await?.into())))
}
