//! Settings of jobs and submitted runs as definitions of jobs. What Pinlake has no use for, such as clusters, is only kept to be given back. Must not ask
//! for anything: the jobs that there are come with the call.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinlake_core::jobs::{JobSpec, Retries, TaskSpec, Waits, Work};
use pinlake_core::pipeline::units::Span;
use serde_json::Value;

use super::args::{Fields, short};
use super::failure::Failure;
use super::notebooks::{self, Known};
use super::schedules;

/// Tasks of one job.
const TASKS_MAX: usize = 1000;
/// The longest name, characters.
const NAME_MAX: usize = 255;
/// The longest key of a task, characters.
const TASK_KEY_MAX: usize = 100;
/// The longest time that can be asked for, seconds.
const SECONDS_MAX: i64 = 366 * 86_400;
/// Tries for who wants them without end (`-1`).
const RETRIES_MAX: i64 = 1000;
/// Runs at once.
const CONCURRENCY_MAX: i64 = 1000;
/// The name of what has none.
const UNNAMED: &str = "Untitled";
/// Under which a task hears arguments that have no names, as a JSON list.
pub(super) const ARGUMENTS: &str = "arguments";

/// What a task may be. The order is that of a search.
const KINDS: [&str; 19] = [
    "notebook_task",
    "spark_python_task",
    "python_wheel_task",
    "spark_jar_task",
    "sql_task",
    "run_job_task",
    "condition_task",
    "for_each_task",
    "dbt_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "pipeline_task",
    "spark_submit_task",
    "clean_rooms_notebook_task",
    "dashboard_task",
    "power_bi_task",
    "gen_ai_compute_task",
    "alert_task",
    "python_operator_task",
];

/// A job's definition, and whether it is to be paused.
pub(super) fn job(settings: &Fields<'_>, known: Known<'_>) -> Result<(JobSpec, bool), Failure> {
    let name = name(settings, "name")?;
    let known = Known { own: Some(&name), ..known };
    let mut spec = base(&name, settings, known)?;
    spec.concurrency = u32::try_from(settings.number_in("max_concurrent_runs", 1, 1, CONCURRENCY_MAX)?).unwrap_or(1);
    for parameter in settings.objects("parameters")? {
        let default = parameter.text("default")?.unwrap_or_default();
        spec.parameters.insert(parameter.needed_text("name")?, default);
    }
    let paused = schedules::read(settings, &mut spec)?;
    Ok((spec, paused))
}

/// What is to be run once.
pub(super) fn submission(request: &Fields<'_>, known: Known<'_>) -> Result<JobSpec, Failure> {
    let name = name(request, "run_name")?;
    let mut spec = base(&name, request, known)?;
    // Submitted runs have no job whose runs would wait for each other.
    spec.concurrency = u32::try_from(CONCURRENCY_MAX).unwrap_or(u32::MAX);
    Ok(spec)
}

/// The key of the one task of what has no list of tasks: the run's name, as far as a key may have it.
pub(super) fn single_key(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    name.chars().take(TASK_KEY_MAX).map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

fn name(fields: &Fields<'_>, field: &str) -> Result<String, Failure> {
    let name = fields.text(field)?.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| UNNAMED.to_owned());
    if name.chars().nth(NAME_MAX).is_some() {
        return Err(fields.invalid(field, &format!("takes up to {NAME_MAX} characters")));
    }
    Ok(name)
}

fn base(name: &str, fields: &Fields<'_>, known: Known<'_>) -> Result<JobSpec, Failure> {
    let given = fields.objects("tasks")?;
    if given.len() > TASKS_MAX {
        return Err(fields.invalid("tasks", &format!("takes up to {TASKS_MAX} tasks, not {}", given.len())));
    }
    let tasks = if given.is_empty() {
        if KINDS.iter().all(|kind| fields.get(kind).is_none()) {
            return Err(fields.missing("tasks"));
        }
        vec![TaskSpec { after: Vec::new(), timeout: None, ..task(single_key(name), fields, known)? }]
    } else {
        let one = |fields: &Fields<'_>| task(task_key(fields)?, fields, known);
        in_order(fields, given.iter().map(one).collect::<Result<_, _>>()?)?
    };
    Ok(JobSpec { timeout: seconds(fields, "timeout_seconds")?, ..JobSpec::new(name, tasks) })
}

fn task_key(fields: &Fields<'_>) -> Result<String, Failure> {
    let key = fields.needed_text("task_key")?;
    if single_key(&key) == key {
        return Ok(key);
    }
    let rule = format!("takes up to {TASK_KEY_MAX} letters, digits, '_' and '-', not '{}'", short(&key));
    Err(fields.invalid("task_key", &rule))
}

fn task(key: String, fields: &Fields<'_>, known: Known<'_>) -> Result<TaskSpec, Failure> {
    let after = fields.objects("depends_on")?.iter().map(|on| on.needed_text("task_key")).collect::<Result<_, _>>()?;
    let waits = match fields.text("run_if")?.as_deref() {
        None | Some("ALL_SUCCESS") => Waits::AllSuccess,
        Some("ALL_DONE") => Waits::AllDone,
        Some(other) => {
            return Err(fields.invalid("run_if", &format!("takes ALL_SUCCESS or ALL_DONE here, not {}", short(other))));
        }
    };
    let count = match fields.number_in("max_retries", 0, -1, RETRIES_MAX)? {
        -1 => RETRIES_MAX,
        count => count,
    };
    let delay = fields.number_in("min_retry_interval_millis", 0, 0, SECONDS_MAX * 1000)?;
    let delay = Span(Duration::from_millis(u64::try_from(delay).unwrap_or_default()));
    let work = work(fields, known)?;
    // What can't be done now can't be done later.
    let count = if matches!(work, Work::Refused { .. }) { 0 } else { count };
    let retries = Retries { count: u32::try_from(count).unwrap_or_default(), delay, delay_max: delay };
    let timeout = seconds(fields, "timeout_seconds")?;
    Ok(TaskSpec { name: key, work, after, waits, retries, timeout, pool: None })
}

/// Zero is no limit.
fn seconds(fields: &Fields<'_>, name: &str) -> Result<Option<Span>, Failure> {
    let seconds = u64::try_from(fields.number_in(name, 0, 0, SECONDS_MAX)?).unwrap_or_default();
    Ok((seconds > 0).then(|| Span(Duration::from_secs(seconds))))
}

fn work(fields: &Fields<'_>, known: Known<'_>) -> Result<Work, Failure> {
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.get(kind).is_some()).collect();
    let [kind] = kinds[..] else {
        let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        return Err(Failure::invalid(format!("a task is exactly one of {}, not {found}", KINDS[..6].join(", "))));
    };
    let Some(of) = fields.object(kind)? else { return Err(fields.missing(kind)) };
    match kind {
        "notebook_task" => Ok(standing_for(&of.needed_text("notebook_path")?, of.dictionary("base_parameters")?, known)),
        "spark_python_task" => Ok(standing_for(&of.needed_text("python_file")?, arguments(&of)?, known)),
        "python_wheel_task" => {
            let path = format!("{}/{}", of.needed_text("package_name")?, of.needed_text("entry_point")?);
            let mut parameters = arguments(&of)?;
            parameters.extend(of.dictionary("named_parameters")?);
            Ok(standing_for(&path, parameters, known))
        }
        "spark_jar_task" => Ok(standing_for(&of.needed_text("main_class_name")?.replace('.', "/"), arguments(&of)?, known)),
        "sql_task" => match of.object("file")? {
            Some(file) => Ok(standing_for(&file.needed_text("path")?, of.dictionary("parameters")?, known)),
            None => Ok(refused(
                "a sql_task is run here if it has a file, whose name stands for a job; stored queries, dashboards and alerts of a workspace are not here",
            )),
        },
        "run_job_task" => run_job(&of, known),
        other => {
            Ok(refused(&format!("a {other} can't be run here: make it a job of the pipeline, and run that with a notebook_task")))
        }
    }
}

fn standing_for(path: &str, parameters: BTreeMap<String, String>, known: Known<'_>) -> Work {
    match notebooks::job_of(path, known) {
        Ok(name) => Work::Job { name, parameters },
        Err(reason) => Work::Refused { reason },
    }
}

fn run_job(of: &Fields<'_>, known: Known<'_>) -> Result<Work, Failure> {
    let id = of.needed_number("job_id")?;
    let mut parameters = of.dictionary("notebook_params")?;
    parameters.extend(of.dictionary("python_named_params")?);
    parameters.extend(of.dictionary("job_parameters")?);
    Ok(match known.jobs.iter().find(|job| job.id == id) {
        Some(job) if known.own == Some(job.spec.name.as_str()) => refused("a job can't run itself"),
        Some(job) => Work::Job { name: job.spec.name.clone(), parameters },
        None => refused(&format!("the job {id}, which run_job_task names, does not exist")),
    })
}

fn refused(reason: &str) -> Work {
    Work::Refused { reason: reason.to_owned() }
}

/// Arguments without names, as one parameter.
fn arguments(of: &Fields<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let all = of.texts("parameters")?;
    Ok(if all.is_empty() { BTreeMap::new() } else { [(ARGUMENTS.to_owned(), Value::from(all).to_string())].into() })
}

/// The tasks, each behind those that it waits for, and otherwise as they were.
fn in_order(fields: &Fields<'_>, tasks: Vec<TaskSpec>) -> Result<Vec<TaskSpec>, Failure> {
    let mut keys = BTreeSet::new();
    if let Some(twice) = tasks.iter().find(|task| !keys.insert(task.name.clone())) {
        return Err(fields.invalid("tasks", &format!("has the task_key '{}' twice", twice.name)));
    }
    for task in &tasks {
        if let Some(unknown) = task.after.iter().find(|after| !keys.contains(*after)) {
            let problem = format!("has no task '{}', on which '{}' depends", short(unknown), task.name);
            return Err(fields.invalid("tasks", &problem));
        }
    }
    let (mut done, mut ordered, mut left) = (BTreeSet::new(), Vec::with_capacity(tasks.len()), tasks);
    while !left.is_empty() {
        let before = left.len();
        let mut waiting = Vec::new();
        for task in left {
            if task.after.iter().all(|after| done.contains(after)) {
                done.insert(task.name.clone());
                ordered.push(task);
            } else {
                waiting.push(task);
            }
        }
        left = waiting;
        if left.len() == before {
            let circle: Vec<&str> = left.iter().map(|task| task.name.as_str()).take(10).collect();
            return Err(fields.invalid("tasks", &format!("has tasks that wait for each other: {}", circle.join(", "))));
        }
    }
    Ok(ordered)
}
