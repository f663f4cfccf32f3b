//! The `jobs` of a pipeline: from YAML to what is run and when. Must not judge schedules and SQL: what they mean is not known here.

mod check;
mod graph;
mod rules;
mod tasks;
mod triggers;
mod work;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::graph::{circle, in_order};
use self::rules::{NAME_BYTES_MAX, NAME_RULE};
use super::tree::{Fields, Problems, Tree};
use super::units::Span;
use super::{Files, Pipeline, ScheduleLines};
use crate::jobs::{CronForm, JobSpec, Retries, Schedule, Work};

pub use check::check_job;

/// Most jobs of a pipeline.
const JOBS_MAX: usize = 1000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What jobs may name.
pub(super) struct Known<'a> {
    pub(super) files: &'a Files,
    /// With its tables and questions.
    pub(super) pipeline: &'a Pipeline,
    /// Tables that are there, though not in the pipeline.
    pub(super) tables_unread: &'a [String],
}

/// The jobs as far as they can be read, and where their schedules stand.
pub(super) fn read(tree: &Tree, known: &Known<'_>, problems: &mut Problems) -> (Vec<JobSpec>, BTreeMap<String, ScheduleLines>) {
    let (mut jobs, mut lines) = (Vec::new(), BTreeMap::new());
    let Some(named) = problems.mapping("jobs", tree) else { return (Vec::new(), lines) };
    if named.all().len() > JOBS_MAX {
        problems.add(tree.line, &format!("there are {} jobs: a pipeline takes {JOBS_MAX}", named.all().len()));
    }
    for (name, tree) in named.all().iter().take(JOBS_MAX) {
        if !is_name(name) {
            problems.add(tree.line, &format!("job name '{name}' is not legal: {NAME_RULE}"));
        }
        let Some(job) = one_job(name, tree, known, problems) else { continue };
        if let Some(schedule) = &job.schedule_lines {
            lines.insert(name.clone(), *schedule);
        }
        jobs.push(job);
    }
    check_jobs_that_run_jobs(&jobs, &named, problems);
    (jobs.into_iter().map(|job| job.spec).collect(), lines)
}

/// A job, and what a message about it needs.
struct ReadJob {
    spec: JobSpec,
    line: u64,
    schedule_lines: Option<ScheduleLines>,
    /// The line of each task, in the order of the tasks.
    task_lines: Vec<u64>,
}

const JOB_KEYS: [&str; 11] = [
    "schedule",
    "timezone",
    "triggers",
    "missed",
    "parameters",
    "timeout",
    "concurrency",
    "starts_within",
    "expected",
    "retries",
    "tasks",
];

fn one_job(name: &str, tree: &Tree, known: &Known<'_>, problems: &mut Problems) -> Option<ReadJob> {
    let job = problems.fields(&format!("jobs.{name}"), tree, &JOB_KEYS)?;
    let retries = job.get("retries").map(|tree| retries(&job.path_of("retries"), tree, Retries::default(), problems));
    let (schedule, schedule_lines) = schedule(&job, problems).unzip();
    let tasks = job.need("tasks", problems).map(|tree| {
        let path = job.path_of("tasks");
        tasks::read(&path, tree, retries.unwrap_or_default(), known, problems)
    });
    let (tasks, task_lines): (_, Vec<u64>) = tasks.unwrap_or_default().into_iter().unzip();
    let missed = job.get("missed").and_then(|tree| problems.read(&job.path_of("missed"), tree));
    let triggers = job.get("triggers").map(|tree| triggers::read(&job.path_of("triggers"), tree, known, problems));
    let concurrency = job.get("concurrency").and_then(|tree| {
        let path = job.path_of("concurrency");
        let number: u32 = problems.read(&path, tree)?;
        problems.add_all(tree.line, rules::concurrency(&path, number));
        Some(number)
    });
    let spec = JobSpec {
        name: name.to_owned(),
        schedule,
        triggers: triggers.unwrap_or_default(),
        missed: missed.unwrap_or_default(),
        parameters: parameters(&job, problems),
        timeout: span(&job, "timeout", problems),
        concurrency: concurrency.unwrap_or(1),
        starts_within: span(&job, "starts_within", problems),
        expected: span(&job, "expected", problems),
        tasks,
    };
    check_requests(&spec, &task_lines, problems);
    Some(ReadJob { spec, line: tree.line, schedule_lines, task_lines })
}

/// That the texts of requests name what every run of the job has.
fn check_requests(spec: &JobSpec, task_lines: &[u64], problems: &mut Problems) {
    for (task, line) in spec.tasks.iter().zip(task_lines) {
        let Work::Http(http) = &task.work else { continue };
        let path = format!("jobs.{}.tasks.{}.http", spec.name, task.name);
        problems.add_all(*line, rules::placeholders(&format!("{path}.url"), &http.url, spec, false));
        for (name, value) in &http.headers {
            problems.add_all(*line, rules::placeholders(&format!("{path}.headers.{name}"), value, spec, true));
        }
        let body = http.body.as_deref().unwrap_or_default();
        problems.add_all(*line, rules::placeholders(&format!("{path}.body"), body, spec, false));
    }
}

fn schedule(job: &Fields<'_>, problems: &mut Problems) -> Option<(Schedule, ScheduleLines)> {
    let timezone = job.get("timezone");
    let Some(text) = job.get("schedule") else {
        if let Some(timezone) = timezone {
            let message = format!("'{}' is for a schedule: add '{}'", job.path_of("timezone"), job.path_of("schedule"));
            problems.add(timezone.line, &message);
        }
        return None;
    };
    let lines = ScheduleLines { text: text.line, timezone: timezone.map_or(text.line, |tree| tree.line) };
    let timezone = timezone.map(|tree| problems.text(&job.path_of("timezone"), tree));
    let text = problems.text(&job.path_of("schedule"), text)?;
    let timezone = timezone.unwrap_or_else(|| Some("UTC".to_owned()))?;
    Some((Schedule { text, timezone, form: CronForm::Unix }, lines))
}

/// The parameters of a job, or those that a task gives to another.
fn parameters(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(tree) = fields.get("parameters") else { return BTreeMap::new() };
    let path = fields.path_of("parameters");
    let read = problems.texts_by_name(&path, tree).unwrap_or_default();
    problems.add_all(tree.line, rules::parameters(&path, read.len()));
    problems.add_all(tree.line, read.keys().filter_map(|name| rules::parameter_name(name)));
    read
}

/// `retries: 2` or `retries: { count: 2, delay: 30s, delay_max: 10m }`; what is left out is as in `base`.
fn retries(path: &str, tree: &Tree, base: Retries, problems: &mut Problems) -> Retries {
    let mut retries = base;
    let count = if tree.is_mapping() {
        let Some(fields) = problems.fields(path, tree, &["count", "delay", "delay_max"]) else { return base };
        retries.delay = span(&fields, "delay", problems).unwrap_or(base.delay);
        let delay_max = span(&fields, "delay_max", problems);
        retries.delay_max = delay_max.unwrap_or(base.delay_max.max(retries.delay));
        problems.add_all(tree.line, rules::delays(path, &retries));
        fields.need("count", problems).map(|tree| (fields.path_of("count"), tree))
    } else {
        Some((path.to_owned(), tree))
    };
    let Some((path, tree)) = count else { return base };
    if let Some(count) = problems.read::<u32>(&path, tree) {
        problems.add_all(tree.line, rules::retries(&path, count));
        retries.count = count;
    }
    retries
}

/// A span of time, more than none and a year at most.
fn span(fields: &Fields<'_>, key: &str, problems: &mut Problems) -> Option<Span> {
    span_within(fields, key, rules::TIMES, problems)
}

fn span_within(fields: &Fields<'_>, key: &str, times: (Duration, Duration), problems: &mut Problems) -> Option<Span> {
    let tree = fields.get(key)?;
    let path = fields.path_of(key);
    let span: Span = problems.read(&path, tree)?;
    let wrong = rules::span(&path, span, times);
    let is_good = wrong.is_none();
    problems.add_all(tree.line, wrong);
    is_good.then_some(span)
}

/// Whether it is legal as the name of a job, a task or a pool.
fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(legal)
}

/// That the jobs which tasks run are there, take the parameters, and do not run each other for ever.
fn check_jobs_that_run_jobs(jobs: &[ReadJob], named: &Fields<'_>, problems: &mut Problems) {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for job in jobs {
        let mut others = Vec::new();
        for (task, line) in job.spec.tasks.iter().zip(&job.task_lines) {
            let Work::Job { name, parameters } = &task.work else { continue };
            let Some(at) = jobs.iter().position(|other| other.spec.name == *name) else {
                let written = named.all().iter().map(|(name, _)| name.as_str());
                problems.add_all(*line, rules::other_job(&task.name, name, written));
                continue;
            };
            let takes = jobs[at].spec.parameters.keys().map(String::as_str);
            problems.add_all(*line, parameters.keys().filter_map(|parameter| rules::given(name, parameter, takes.clone())));
            others.push(at);
        }
        runs.push(others);
    }
    for round in in_order(&runs).err().into_iter().flatten() {
        let first = &jobs[round[0]];
        let names = round.iter().map(|at| jobs[*at].spec.name.as_str());
        problems.add(first.line, &format!("job '{}' runs itself: {}", first.spec.name, circle(names, "runs")));
    }
}
