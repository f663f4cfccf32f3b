//! What begins a run: `jobs/run-now`, `jobs/runs/submit` and `jobs/runs/repair`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pinlake_core::ErrorKind;
use pinlake_core::jobs::{Again, Job, JobKey, NewRun, PARENT_NOTE, RunId, Submission};
use serde_json::{Value, json};

use super::args::{Args, Fields};
use super::failure::Failure;
use super::jobs::Answer;
use super::notebooks::Known;
use super::{Door, NOTE, definitions};

/// The longest token that tells repeated calls, characters.
const TOKEN_MAX: usize = 64;
/// Parameters by name: later ones take the place of earlier ones.
const NAMED: [&str; 4] = ["sql_params", "python_named_params", "notebook_params", "job_parameters"];
/// Parameters without names.
const UNNAMED: [&str; 3] = ["jar_params", "python_params", "spark_submit_params"];

/// `POST jobs/run-now`, by `job_id` or `job_name`.
pub(super) async fn run_now(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let (key, what) = match (fields.number("job_id")?, fields.text("job_name")?) {
        (Some(id), _) => (JobKey::Id(id), id.to_string()),
        (None, Some(name)) => (JobKey::Name(name.clone()), name),
        (None, None) => return Err(fields.missing("job_id")),
    };
    if !fields.list("only")?.is_empty() {
        return Err(fields.invalid("only", "is not here: a run has all of its job's tasks"));
    }
    let run = NewRun {
        job: key,
        parameters: parameters(&fields)?,
        any_parameters: true,
        interval: None,
        cause: args.caller.0.clone(),
        token: token(&fields)?,
        notes: notes(&fields),
    };
    let id = door.jobs.start(run).await.map_err(Failure::of_job(&what))?;
    Ok(started(id))
}

/// `POST jobs/runs/submit`
pub(super) async fn submit(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let jobs: Vec<Job> = door.jobs.jobs().await?;
    let known = Known { jobs: &jobs, rules: &door.settings.notebooks, own: None };
    let submission = Submission {
        spec: definitions::submission(&fields, known)?,
        parameters: BTreeMap::new(),
        cause: args.caller.0.clone(),
        token: token(&fields)?,
        join: door.settings.join_equal,
        notes: notes(&fields),
    };
    Ok(started(door.jobs.submit(submission).await?))
}

/// `POST jobs/runs/repair`: the tasks that did not succeed and those behind them run again.
pub(super) async fn repair(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    let id = fields.needed_number("run_id")?;
    if !fields.list("rerun_tasks")?.is_empty() {
        return Err(fields.invalid("rerun_tasks", "is not here: give 'rerun_all_failed_tasks'"));
    }
    if !fields.flag("rerun_all_failed_tasks")? {
        return Err(fields.missing("rerun_all_failed_tasks"));
    }
    let before = door.jobs.run(RunId(id)).await.map_err(Failure::of_run(id))?;
    // Airflow sends those again that the run had.
    if parameters(&fields)?.iter().any(|(name, value)| before.parameters.get(name) != Some(value)) {
        return Err(Failure::invalid("a repaired run keeps its parameters: start a new one for others"));
    }
    door.jobs.rerun(before.id, Again::Failed).await.map_err(Failure::of_run(id))?;
    Ok(Json(json!({ "repair_id": before.generation.max(1) + 1 })))
}

fn started(id: RunId) -> Json<Value> {
    Json(json!({ "run_id": id.0, "number_in_job": id.0 }))
}

fn parameters(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for name in UNNAMED {
        let texts = fields.texts(name)?;
        if !texts.is_empty() {
            all.insert(definitions::ARGUMENTS.to_owned(), Value::from(texts).to_string());
        }
    }
    for name in NAMED {
        all.extend(fields.dictionary(name)?);
    }
    Ok(all)
}

fn token(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let token = fields.text("idempotency_token")?.filter(|token| !token.is_empty());
    if token.as_ref().is_some_and(|token| token.chars().nth(TOKEN_MAX).is_some()) {
        return Err(fields.invalid("idempotency_token", &format!("takes up to {TOKEN_MAX} characters")));
    }
    // Those of Pinlake's own API are others.
    Ok(token.map(|token| format!("databricks/{token}")))
}

/// What was sent, to be given back.
fn notes(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut kept = fields.all().clone();
    for name in ["idempotency_token", "access_control_list"] {
        kept.remove(name);
    }
    let parent = kept.values().find_map(lineage_parent);
    let parent = parent.map(|parent| (PARENT_NOTE.to_owned(), parent));
    [(NOTE.to_owned(), Value::Object(kept).to_string())].into_iter().chain(parent).collect()
}

/// What a request's settings for Spark say that its runs are a part of, as OpenLineage's integration with Spark reads it
/// (`spark.openlineage.parentRunId` and so on, openlineage.io/docs/integrations/spark/configuration/spark_conf), and as Airflow's sends it.
fn lineage_parent(value: &Value) -> Option<String> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(values) => return values.iter().find_map(lineage_parent),
        _ => return None,
    };
    let text = |name: &str| fields.get(&format!("spark.openlineage.parent{name}"))?.as_str();
    match (text("JobNamespace"), text("JobName"), text("RunId")) {
        (Some(namespace), Some(name), Some(run_id)) => {
            Some(json!({ "namespace": namespace, "name": name, "run_id": run_id }).to_string())
        }
        _ => fields.values().find_map(lineage_parent),
    }
}

/// Whether an error says that something is not there.
pub(super) fn is_missing(error: &pinlake_core::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
