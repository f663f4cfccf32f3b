//! `jobs/runs/get`, `list`, `cancel`, `cancel-all` and `delete`. A task's number is taken for its run's where the whole run is meant.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pinlake_core::Timestamp;
use pinlake_core::jobs::{JobKey, Run, RunFilter, RunId, RunKind, RunState, RunSummary};
use serde_json::{Value, json};

use super::args::{Args, Fields, short};
use super::failure::Failure;
use super::jobs::{Answer, offset};
use super::shown::View;
use super::starts::is_missing;
use super::{Door, NOTE};

/// Runs of one answer unless the caller says otherwise.
const LIST_DEFAULT: i64 = 20;
/// The most that a caller may ask for.
const LIST_MAX: i64 = 100;
/// The furthest that runs can be skipped.
const SKIPPED_MAX: usize = 10_000;

/// `GET jobs/runs/get`
pub(super) async fn get(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let id = fields.needed_number("run_id")?;
    let (from, with_history) = (offset(&fields, "page_token")?, fields.flag("include_history")?);
    let run = find(&door, id).await?;
    let note = job_note(&door, &run).await?;
    let address = address(&door, &args);
    Ok(Json(View::of(&run, RunId(id), note.as_deref(), &address).answer(from, with_history)))
}

/// `GET jobs/runs/list`, the newest first.
pub(super) async fn list(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let limit = match fields.number_in("limit", LIST_DEFAULT, 0, LIST_MAX)? {
        0 => LIST_MAX,
        limit => limit,
    };
    let limit = usize::try_from(limit).unwrap_or_default();
    let before = fields.number("page_token")?;
    // The token goes on behind a run, wherever that is now.
    let skipped = if before.is_some() { 0 } else { offset(&fields, "offset")? };
    if skipped > SKIPPED_MAX {
        return Err(fields.invalid("offset", &format!("takes 0 to {SKIPPED_MAX}: go on with next_page_token")));
    }
    let with_tasks = fields.flag("expand_tasks")?;
    let Some(filter) = filter(&fields)? else { return Ok(Json(json!({ "runs": [], "has_more": false }))) };
    let filter = behind(&door, RunFilter { before: before.map(RunId), ..filter }, skipped).await?;
    let found = match filter {
        // One more says whether there are more.
        Some(filter) => door.jobs.runs(RunFilter { limit: limit + 1, ..filter }).await?,
        None => Vec::new(),
    };
    let page: Vec<&RunSummary> = found.iter().take(limit).collect();
    let more = found.len() > limit;
    let address = address(&door, &args);
    let mut runs = Vec::with_capacity(page.len());
    for summary in &page {
        match door.jobs.run(summary.id).await {
            Ok(run) => runs.push(listed(&run, &address, with_tasks)),
            // It was deleted meanwhile.
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut answer = json!({ "runs": runs, "has_more": more });
    if let (true, Some(last)) = (more, page.last()) {
        answer["next_page_token"] = last.id.to_string().into();
    }
    Ok(Json(answer))
}

/// `POST jobs/runs/cancel`
pub(super) async fn cancel(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let id = args.fields().needed_number("run_id")?;
    let run = find(&door, id).await?;
    door.jobs.cancel(run.id).await.map_err(Failure::of_run(id))?;
    Ok(Json(json!({})))
}

/// `POST jobs/runs/cancel-all`: those of a job, or with `all_queued_runs` those that wait.
pub(super) async fn cancel_all(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let (job, only_queued) = (fields.number("job_id")?, fields.flag("all_queued_runs")?);
    if job.is_none() && !only_queued {
        return Err(fields.missing("job_id"));
    }
    if let Some(id) = job {
        super::jobs::find(&door, id).await?;
    }
    let mut states = vec![RunState::Queued];
    states.extend((!only_queued).then_some(RunState::Running));
    let mut filter = RunFilter { job: job.map(JobKey::Id), states, limit: RunFilter::LIMIT_MAX, ..RunFilter::default() };
    // One page behind the other: what runs is in its state until its tasks have ended.
    loop {
        let runs = door.jobs.runs(filter.clone()).await?;
        let Some(last) = runs.last() else { return Ok(Json(json!({}))) };
        filter.before = Some(last.id);
        for run in runs {
            match door.jobs.cancel(run.id).await {
                Err(error) if !is_missing(&error) => return Err(error.into()),
                _ => {}
            }
        }
    }
}

/// `POST jobs/runs/delete`
pub(super) async fn delete(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let id = args.fields().needed_number("run_id")?;
    door.jobs.forget(RunId(id)).await.map_err(Failure::of_run(id))?;
    Ok(Json(json!({})))
}

/// A run by its number or one of its tasks'.
pub(super) async fn find(door: &Door, id: i64) -> Result<Run, Failure> {
    door.jobs.run(RunId(id)).await.map_err(Failure::of_run(id))
}

/// Where this client's browser finds the server.
pub(super) fn address(door: &Door, args: &Args) -> String {
    let address = door.settings.address.trim_end_matches('/');
    let (scheme, authority) = address.split_once("://").unwrap_or(("http", address));
    let authority = args.host.as_deref().unwrap_or(authority);
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let by_tls = port.is_some() && port == door.settings.tls_port;
    format!("{}://{authority}", if by_tls { "https" } else { scheme })
}

/// What was sent for the run's job, if a call made it and it is there still.
pub(super) async fn job_note(door: &Door, run: &Run) -> Result<Option<String>, Failure> {
    if run.kind == RunKind::Submit {
        return Ok(None);
    }
    match door.jobs.job(&JobKey::Id(run.job_id)).await {
        Ok(mut job) => Ok(job.notes.remove(NOTE)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A run of a list, which says whether `jobs/runs/get` has more tasks.
fn listed(run: &Run, address: &str, with_tasks: bool) -> Value {
    let view = View::of(run, run.id, None, address);
    if !with_tasks {
        return Value::Object(view.head());
    }
    let mut answer = view.answer(0, false);
    if let Value::Object(answer) = &mut answer
        && answer.remove("next_page_token").is_some()
    {
        answer.insert("has_more".to_owned(), true.into());
    }
    answer
}

/// What goes on behind the first runs that are asked for; `None` if there are no more.
async fn behind(door: &Door, mut filter: RunFilter, skipped: usize) -> Result<Option<RunFilter>, Failure> {
    let mut left = skipped;
    while left > 0 {
        filter.limit = left.min(RunFilter::LIMIT_MAX);
        let passed = door.jobs.runs(filter.clone()).await?;
        let Some(last) = passed.last() else { return Ok(None) };
        filter.before = Some(last.id);
        left = left.saturating_sub(passed.len());
    }
    Ok(Some(filter))
}

/// Which runs are asked for, or none if there can't be any.
fn filter(fields: &Fields<'_>) -> Result<Option<RunFilter>, Failure> {
    let states = match (fields.flag("active_only")?, fields.flag("completed_only")?) {
        (true, true) => return Err(fields.invalid("active_only", "and 'completed_only' can't both be true")),
        (true, false) => vec![RunState::Queued, RunState::Running],
        (false, true) => vec![RunState::Succeeded, RunState::Failed],
        (false, false) => Vec::new(),
    };
    let kinds = match fields.text("run_type")?.as_deref() {
        None | Some("") => Vec::new(),
        Some("SUBMIT_RUN") => vec![RunKind::Submit],
        Some("JOB_RUN") => {
            vec![RunKind::Schedule, RunKind::Data, RunKind::Manual, RunKind::Backfill, RunKind::Job]
        }
        // Those that notebooks start; there are none here.
        Some("WORKFLOW_RUN") => return Ok(None),
        Some(other) => {
            return Err(fields.invalid("run_type", &format!("takes JOB_RUN, SUBMIT_RUN or WORKFLOW_RUN, not {}", short(other))));
        }
    };
    let [since, until] = ["start_time_from", "start_time_to"].map(|name| fields.number(name).map(|at| at.map(Timestamp)));
    let job = fields.number("job_id")?.map(JobKey::Id);
    Ok(Some(RunFilter { job, states, kinds, since: since?, until: until?, before: None, limit: 0 }))
}
