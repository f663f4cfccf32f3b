//! Runs, tasks and jobs as they are answered. Times are milliseconds since 1970; what lasts still has an end of 0.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Job, Run, RunId, RunKind, TaskRun, TaskSpec, Waits, Work};
use serde_json::{Map, Value, json};

use super::{NOTE, schedules, states};

/// Tasks of one answer; further ones are asked for with `next_page_token`.
pub(super) const TASKS_PAGE: usize = 100;
/// The cluster of what names none.
pub(super) const CLUSTER: &str = "pinlake";
/// Which keys of a submitted task the run itself answers.
const TASK_OWN: [&str; 2] = ["task_key", "run_id"];
/// What belongs to the one task of what has no list of tasks.
const SINGLE: [&str; 3] = ["existing_cluster_id", "new_cluster", "libraries"];

/// A run, or one of its tasks as a run of its own.
pub(super) struct View<'a> {
    run: &'a Run,
    /// The task, if its number was asked for.
    task: Option<&'a TaskRun>,
    /// What was sent for the run's definition.
    sent: Map<String, Value>,
    /// Where browsers find the server.
    address: &'a str,
}

impl<'a> View<'a> {
    /// The run of a number, which is its own or one of its tasks'. `job_note` is what was sent for its job, if a call made that.
    pub(super) fn of(run: &'a Run, id: RunId, job_note: Option<&str>, address: &'a str) -> Self {
        let task = run.tasks.iter().find(|task| task.id == id && run.id != id);
        let sent = match run.kind {
            RunKind::Submit => note_of(&run.notes),
            _ => job_note.map(object_of).unwrap_or_default(),
        };
        Self { run, task, sent, address }
    }

    /// The whole answer, with tasks from number `from` on.
    pub(super) fn answer(&self, from: usize, with_history: bool) -> Value {
        let mut answer = self.head();
        let tasks: Vec<&TaskRun> = self.task.map_or_else(|| self.run.tasks.iter().collect(), |task| vec![task]);
        let sent = self.sent_tasks();
        let page = tasks.iter().skip(from).take(TASKS_PAGE).map(|task| self.task_answer(task, sent.get(&task.spec.name)));
        answer.insert("tasks".to_owned(), page.collect());
        if from + TASKS_PAGE < tasks.len() {
            answer.insert("next_page_token".to_owned(), (from + TASKS_PAGE).to_string().into());
        }
        if with_history {
            answer.insert("repair_history".to_owned(), self.history());
        }
        Value::Object(answer)
    }

    /// The run without its tasks.
    pub(super) fn head(&self) -> Map<String, Value> {
        let run = self.run;
        let id = self.task.map_or(run.id, |task| task.id);
        let state = self.task.map_or_else(|| states::of_run(run), |task| states::of_task(run, task));
        let name = self.task.map_or(&run.name, |task| &task.spec.name);
        let (started, ended) = self.task.map_or((run.started_at, run.ended_at), |task| times(run, task));
        let mut head = Map::new();
        let mut add = |name: &str, value: Value| drop(head.insert(name.to_owned(), value));
        add("job_id", run.job_id.into());
        add("run_id", id.0.into());
        add("number_in_job", id.0.into());
        add("original_attempt_run_id", id.0.into());
        add("creator_user_name", run.cause.text.as_str().into());
        add("state", state.state());
        add("status", state.status());
        add("run_name", name.as_str().into());
        add("run_page_url", page(self.address, run.id).into());
        add("run_type", run_type(run.kind).into());
        add("trigger", trigger(run).into());
        add("format", if self.is_single() { "SINGLE_TASK" } else { "MULTI_TASK" }.into());
        add("attempt_number", self.task.map_or(0, attempt).into());
        // A task does not wait for a place as a run does: it begins with its attempt.
        let created = self.task.and(started).unwrap_or(run.created_at);
        for (name, value) in durations(created, started, ended) {
            add(name, value.into());
        }
        if self.task.is_some() {
            add("job_run_id", run.id.0.into());
            add("parent_run_id", run.id.0.into());
        }
        if let Some((parent, _)) = &run.cause.parent {
            add("parent_run_id", parent.0.into());
        }
        let cluster = self.cluster();
        add("cluster_instance", json!({ "cluster_id": cluster, "spark_context_id": "0" }));
        add("cluster_spec", json!({ "existing_cluster_id": cluster }));
        let parameters = run.parameters.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        add("job_parameters", parameters.collect());
        add("job_clusters", self.sent.get("job_clusters").cloned().unwrap_or_else(|| json!([])));
        add("overriding_parameters", overriding(&note_of(&run.notes)));
        head
    }

    fn task_answer(&self, task: &TaskRun, sent: Option<&Map<String, Value>>) -> Value {
        let run = self.run;
        let state = states::of_task(run, task);
        let mut answer = spec_of(&task.spec);
        for (name, value) in sent.into_iter().flatten() {
            if !TASK_OWN.contains(&name.as_str()) {
                answer.insert(name.clone(), value.clone());
            }
        }
        let cluster = answer.get("existing_cluster_id").and_then(Value::as_str).map_or_else(|| self.cluster(), str::to_owned);
        let mut add = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
        add("run_id", task.id.0.into());
        add("attempt_number", attempt(task).into());
        add("state", state.state());
        add("status", state.status());
        add("run_page_url", page(self.address, run.id).into());
        add("cluster_instance", json!({ "cluster_id": cluster, "spark_context_id": "0" }));
        let (started, ended) = times(run, task);
        for (name, value) in durations(started.unwrap_or(run.created_at), started, ended) {
            add(name, value.into());
        }
        if let Some(child) = task.child
            && let Some(Value::Object(of)) = answer.get_mut("run_job_task")
        {
            of.insert("run_id".to_owned(), child.0.into());
        }
        Value::Object(answer)
    }

    /// The tasks as they were sent, by their keys.
    fn sent_tasks(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut tasks = BTreeMap::new();
        for task in self.sent.get("tasks").and_then(Value::as_array).into_iter().flatten() {
            if let (Value::Object(task), Some(key)) = (task, task.get("task_key").and_then(Value::as_str)) {
                tasks.insert(key.to_owned(), task.clone());
            }
        }
        if let ([task], true) = (&self.run.tasks[..], tasks.is_empty()) {
            let mut single = self.sent.clone();
            single.retain(|name, _| name.ends_with("_task") || SINGLE.contains(&name.as_str()));
            tasks.insert(task.spec.name.clone(), single);
        }
        tasks
    }

    fn cluster(&self) -> String {
        self.sent.get("existing_cluster_id").and_then(Value::as_str).unwrap_or(CLUSTER).to_owned()
    }

    fn is_single(&self) -> bool {
        self.run.kind == RunKind::Submit && !self.sent.contains_key("tasks")
    }

    /// The first try, and the repairs after it.
    fn history(&self) -> Value {
        let run = self.run;
        let state = states::of_run(run);
        let one = |generation: u32| {
            let attempts = run.tasks.iter().flat_map(|task| &task.attempts);
            let ours: Vec<_> = attempts.filter(|attempt| attempt.generation == generation).collect();
            let started = ours.iter().map(|attempt| attempt.started_at).min().unwrap_or(run.created_at);
            let ended = ours.iter().filter_map(|attempt| attempt.ended_at).max().map_or(0, |at| at.0);
            let kind = if generation <= 1 { "ORIGINAL" } else { "REPAIR" };
            let mut one = json!({ "type": kind, "start_time": started.0, "end_time": ended });
            if generation > 1 {
                one["id"] = generation.into();
            }
            if generation == run.generation {
                (one["state"], one["status"]) = (state.state(), state.status());
            }
            one
        };
        (1..=run.generation.clamp(1, 1000)).map(one).collect()
    }
}

/// A job with its settings, tasks from number `from` on.
pub(super) fn job(job: &Job, from: usize, with_tasks: bool) -> Value {
    let mut settings = settings(job);
    let mut more = None;
    for name in ["tasks", "job_clusters"] {
        if !with_tasks {
            settings.remove(name);
        } else if let Some(Value::Array(list)) = settings.get_mut(name) {
            if from + TASKS_PAGE < list.len() {
                more = Some((from + TASKS_PAGE).to_string());
            }
            *list = std::mem::take(list).into_iter().skip(from).take(TASKS_PAGE).collect();
        }
    }
    let mut answer = json!({
        "job_id": job.id,
        "creator_user_name": "pinlake",
        "run_as_user_name": "pinlake",
        "created_time": job.created_at.0,
        "settings": settings,
    });
    if let Some(token) = more {
        answer["has_more"] = true.into();
        answer["next_page_token"] = token.into();
    }
    answer
}

/// A job's settings: those that were sent, or what its definition says in their words.
pub(super) fn settings(job: &Job) -> Map<String, Value> {
    if let Some(note) = job.notes.get(NOTE) {
        let mut settings = object_of(note);
        schedules::show_paused(job.paused, &mut settings);
        return settings;
    }
    let spec = &job.spec;
    let mut settings = Map::new();
    let mut add = |name: &str, value: Value| drop(settings.insert(name.to_owned(), value));
    add("name", spec.name.as_str().into());
    add("timeout_seconds", spec.timeout.map_or(0, |span| span.0.as_secs()).into());
    add("max_concurrent_runs", spec.concurrency.into());
    add("format", "MULTI_TASK".into());
    let parameters = spec.parameters.iter().map(|(name, default)| json!({ "name": name, "default": default }));
    add("parameters", parameters.collect());
    add("tasks", spec.tasks.iter().map(|task| Value::Object(spec_of(task))).collect());
    schedules::show(job, &mut settings);
    settings
}

/// Where a run is looked at: its whole state with what every task said, which any browser shows.
pub(super) fn page(address: &str, run: RunId) -> String {
    format!("{address}/api/v1/runs/{run}")
}

/// An object of text that was kept.
pub(super) fn object_of(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn note_of(notes: &BTreeMap<String, String>) -> Map<String, Value> {
    notes.get(NOTE).map(|note| object_of(note)).unwrap_or_default()
}

fn overriding(sent: &Map<String, Value>) -> Value {
    const NAMES: [&str; 7] = [
        "jar_params",
        "notebook_params",
        "python_params",
        "python_named_params",
        "spark_submit_params",
        "sql_params",
        "dbt_commands",
    ];
    let found = NAMES.into_iter().filter_map(|name| sent.get(name).map(|value| (name.to_owned(), value.clone())));
    Value::Object(found.collect())
}

/// A task as its definition says.
fn spec_of(task: &TaskSpec) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut add = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    add("task_key", task.name.as_str().into());
    if !task.after.is_empty() {
        add("depends_on", task.after.iter().map(|after| json!({ "task_key": after })).collect());
    }
    add(
        "run_if",
        match task.waits {
            Waits::AllSuccess => "ALL_SUCCESS",
            Waits::AllDone => "ALL_DONE",
        }
        .into(),
    );
    add("timeout_seconds", task.timeout.map_or(0, |span| span.0.as_secs()).into());
    add("max_retries", task.retries.count.into());
    add("min_retry_interval_millis", u64::try_from(task.retries.delay.0.as_millis()).unwrap_or(u64::MAX).into());
    add(
        "description",
        match &task.work {
            Work::Job { name, .. } => format!("job {name}"),
            other => other.kind().to_owned(),
        }
        .into(),
    );
    answer
}

/// Which try of the task the last was, from 0.
fn attempt(task: &TaskRun) -> u64 {
    task.attempts.len().saturating_sub(1) as u64
}

/// When a task's last attempt began and ended.
fn times(run: &Run, task: &TaskRun) -> (Option<Timestamp>, Option<Timestamp>) {
    let last = task.last();
    let ended = last.and_then(|last| last.ended_at).or(run.ended_at);
    (last.map(|last| last.started_at), ended.filter(|_| task.state.has_ended()))
}

fn durations(created: Timestamp, started: Option<Timestamp>, ended: Option<Timestamp>) -> [(&'static str, i64); 7] {
    let between = |from: Timestamp, to: Timestamp| to.0.saturating_sub(from.0).max(0);
    let setup = started.map_or(0, |started| between(created, started));
    let execution = started.zip(ended).map_or(0, |(started, ended)| between(started, ended));
    let whole = ended.map_or(0, |ended| between(created, ended));
    [
        ("start_time", created.0),
        ("setup_duration", setup),
        ("execution_duration", execution),
        ("cleanup_duration", 0),
        ("end_time", ended.map_or(0, |ended| ended.0)),
        ("run_duration", whole),
        ("queue_duration", setup),
    ]
}

fn run_type(kind: RunKind) -> &'static str {
    if kind == RunKind::Submit { "SUBMIT_RUN" } else { "JOB_RUN" }
}

fn trigger(run: &Run) -> &'static str {
    match run.kind {
        RunKind::Schedule => "PERIODIC",
        RunKind::Data => "TABLE",
        RunKind::Job => "RUN_JOB_TASK",
        RunKind::Manual | RunKind::Backfill | RunKind::Submit => "ONE_TIME",
    }
}
