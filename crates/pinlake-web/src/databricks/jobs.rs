//! `jobs/create`, `get`, `list`, `update`, `reset` and `delete`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pinlake_core::ErrorKind;
use pinlake_core::jobs::{Job, JobKey, NewJob, Origin};
use serde_json::{Map, Value, json};

use super::args::{Args, Fields};
use super::failure::Failure;
use super::notebooks::Known;
use super::{Door, NOTE, definitions, shown};

/// Jobs of one answer unless the caller says otherwise.
const LIST_DEFAULT: i64 = 20;
/// The most that a caller may ask for.
const LIST_MAX: i64 = 100;
/// The furthest that anything can be skipped.
const OFFSET_MAX: i64 = 1_000_000;

pub(super) type Answer = Result<Json<Value>, Failure>;

/// `POST jobs/create`
pub(super) async fn create(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let id = define(&door, None, &args.fields()).await?;
    Ok(Json(json!({ "job_id": id })))
}

/// `GET jobs/get`
pub(super) async fn get(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let job = find(&door, fields.needed_number("job_id")?).await?;
    let from = offset(&fields, "page_token")?;
    Ok(Json(shown::job(&job, from, true)))
}

/// `GET jobs/list`, the newest first.
pub(super) async fn list(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let limit = match fields.number_in("limit", LIST_DEFAULT, 0, LIST_MAX)? {
        0 => LIST_MAX,
        limit => limit,
    };
    let limit = usize::try_from(limit).unwrap_or_default();
    let (with_tasks, name) = (fields.flag("expand_tasks")?, fields.text("name")?.filter(|name| !name.is_empty()));
    let skipped = offset(&fields, "offset")?;
    let before = fields.number("page_token")?;
    let mut jobs = door.jobs.jobs().await?;
    jobs.retain(|job| name.as_ref().is_none_or(|name| job.spec.name.to_lowercase() == name.to_lowercase()));
    jobs.retain(|job| before.is_none_or(|before| job.id < before));
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    // A token tells the last job, so that what is made or deleted meanwhile moves nothing.
    let skipped = if before.is_some() { 0 } else { skipped };
    let page: Vec<&Job> = jobs.iter().skip(skipped).take(limit).collect();
    let more = jobs.len() > skipped + page.len();
    let listed = page.iter().map(|job| shown::job(job, 0, with_tasks)).map(without_token);
    let mut answer = json!({ "jobs": listed.collect::<Vec<_>>(), "has_more": more });
    if let (true, Some(last)) = (more, page.last()) {
        answer["next_page_token"] = last.id.to_string().into();
    }
    Ok(Json(answer))
}

/// A job of a list says that it has more tasks, but only `jobs/get` goes on with them.
fn without_token(mut job: Value) -> Value {
    if let Value::Object(job) = &mut job {
        job.remove("next_page_token");
    }
    job
}

/// `POST jobs/reset`
pub(super) async fn reset(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let id = fields.needed_number("job_id")?;
    let settings = fields.object("new_settings")?.ok_or_else(|| fields.missing("new_settings"))?;
    let job = find(&door, id).await?;
    replace(&door, &job, &settings).await
}

/// `POST jobs/update`
pub(super) async fn update(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let job = find(&door, fields.needed_number("job_id")?).await?;
    let mut settings = shown::settings(&job);
    if let Some(new) = fields.object("new_settings")? {
        merge(&mut settings, new.all());
    }
    for name in fields.texts("fields_to_remove")? {
        remove(&mut settings, &name);
    }
    replace(&door, &job, &Fields::of(&settings)).await
}

/// `POST jobs/delete`
pub(super) async fn delete(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let id = args.fields().needed_number("job_id")?;
    let deleted = door.jobs.delete(&JobKey::Id(id)).await;
    deleted.map_err(|error| kept(Failure::of_job(&id.to_string()), error))?;
    Ok(Json(json!({})))
}

/// A job by its number.
pub(super) async fn find(door: &Door, id: i64) -> Result<Job, Failure> {
    door.jobs.job(&JobKey::Id(id)).await.map_err(Failure::of_job(&id.to_string()))
}

/// Where a list goes on.
pub(super) fn offset(fields: &Fields<'_>, name: &str) -> Result<usize, Failure> {
    Ok(usize::try_from(fields.number_in(name, 0, 0, OFFSET_MAX)?).unwrap_or_default())
}

async fn replace(door: &Door, job: &Job, settings: &Fields<'_>) -> Answer {
    if job.origin == Origin::Api {
        define(door, Some(job.id), settings).await?;
        return Ok(Json(json!({})));
    }
    // The pipeline's files alone change its jobs, but anybody may pause one.
    let (mut now, mut wanted) = (shown::settings(job), settings.all().clone());
    let paused = take_paused(&mut wanted);
    take_paused(&mut now);
    if now != wanted {
        let name = &job.spec.name;
        let message =
            format!("the pipeline's files define the job '{name}': change it there; here only its pause_status can be set");
        return Err(Failure::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message));
    }
    if let Some(paused) = paused {
        door.jobs.pause(&JobKey::Id(job.id), paused).await?;
    }
    Ok(Json(json!({})))
}

/// Takes out of settings whether they are paused.
fn take_paused(settings: &mut Map<String, Value>) -> Option<bool> {
    let mut found = None;
    for name in ["schedule", "trigger"] {
        if let Some(Value::Object(of)) = settings.get_mut(name) {
            found = of.remove("pause_status").map(|status| status == "PAUSED").or(found);
        }
    }
    found
}

async fn define(door: &Door, id: Option<i64>, settings: &Fields<'_>) -> Result<i64, Failure> {
    let jobs = door.jobs.jobs().await?;
    let (spec, paused) = definitions::job(settings, Known { jobs: &jobs, rules: &door.settings.notebooks, own: None })?;
    let mut kept = settings.all().clone();
    // Who may do what is not told here.
    kept.remove("access_control_list");
    kept.entry("name").or_insert_with(|| spec.name.clone().into());
    let notes = BTreeMap::from([(NOTE.to_owned(), Value::Object(kept).to_string())]);
    let taken = |error: pinlake_core::Error| match (error.kind(), id) {
        (ErrorKind::Conflict, None) => Failure::new(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXISTS", error.message()),
        (ErrorKind::NotFound, Some(id)) => Failure::of_job(&id.to_string())(error),
        _ => error.into(),
    };
    door.jobs.define(NewJob { id, spec, paused, notes }).await.map_err(taken)
}

fn kept(otherwise: impl Fn(pinlake_core::Error) -> Failure, error: pinlake_core::Error) -> Failure {
    match error.kind() {
        ErrorKind::Conflict => Failure::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", error.message()),
        _ => otherwise(error),
    }
}

/// Puts settings over others: fields take each other's place, and tasks and clusters those of the same key.
fn merge(settings: &mut Map<String, Value>, new: &Map<String, Value>) {
    for (name, value) in new {
        let key = match name.as_str() {
            "tasks" => "task_key",
            "job_clusters" => "job_cluster_key",
            _ => "",
        };
        match (settings.get_mut(name), value) {
            (_, Value::Null) => {}
            (Some(Value::Array(list)), Value::Array(new)) if !key.is_empty() => {
                for one in new {
                    match list.iter_mut().find(|old| old.get(key).is_some() && old.get(key) == one.get(key)) {
                        Some(old) => *old = one.clone(),
                        None => list.push(one.clone()),
                    }
                }
            }
            _ => drop(settings.insert(name.clone(), value.clone())),
        }
    }
}

/// Takes a field out of settings, or with `tasks/KEY` one of a list.
fn remove(settings: &mut Map<String, Value>, name: &str) {
    let Some((list, key)) = name.split_once('/') else {
        settings.remove(name);
        return;
    };
    if let Some(Value::Array(of)) = settings.get_mut(list) {
        let is = |one: &Value, field: &str| one.get(field).and_then(Value::as_str) == Some(key);
        of.retain(|one| !is(one, "task_key") && !is(one, "job_cluster_key"));
    }
}
