//! Whether a definition that no file holds may be run over a pipeline: a call's is held to the same rules as a file's. Must not judge schedules and the order
//! of tasks, which whoever runs them does, and not the forms of names, which other protocols choose.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use super::graph::circle;
use super::{Pipeline, rules};
use crate::jobs::{HttpWork, JobSpec, TaskSpec, Trigger, Work};

/// What is wrong with a job over this pipeline, beside these other jobs; empty if nothing is.
pub fn check_job(spec: &JobSpec, pipeline: &Pipeline, others: &[JobSpec]) -> Vec<String> {
    let mut found = Vec::new();
    let times = [("timeout", spec.timeout), ("starts_within", spec.starts_within), ("expected", spec.expected)];
    for (name, span) in times.into_iter().filter_map(|(name, span)| Some((name, span?))) {
        found.extend(rules::span(name, span, rules::TIMES));
    }
    found.extend(rules::concurrency("concurrency", spec.concurrency));
    found.extend(rules::parameters("parameters", spec.parameters.len()));
    found.extend(spec.parameters.keys().filter_map(|name| rules::parameter_name(name)));
    found.extend(rules::triggers("triggers", spec.triggers.len()));
    for started in &spec.triggers {
        trigger(started, pipeline, &mut found);
    }
    for one in &spec.tasks {
        task(one, pipeline, &mut found);
    }
    other_jobs(spec, others, &mut found);
    found
}

fn trigger(trigger: &Trigger, pipeline: &Pipeline, found: &mut Vec<String>) {
    match trigger {
        Trigger::Version { table } => found.extend(rules::table(table, tables(pipeline))),
        Trigger::Rows { table, rows } => {
            found.extend(rules::table(table, tables(pipeline)));
            found.extend(rules::count("triggers.rows", *rows));
        }
        Trigger::Records { topic, records } => {
            found.extend(rules::topic("triggers.topic", topic));
            found.extend(rules::count("triggers.records", *records));
        }
        Trigger::Object { url } => found.extend(rules::object("triggers.object", url)),
    }
}

fn task(task: &TaskSpec, pipeline: &Pipeline, found: &mut Vec<String>) {
    let path = |key: &str| format!("tasks.{}.{key}", task.name);
    found.extend(rules::task_name(&task.name));
    found.extend(task.timeout.and_then(|timeout| rules::span(&path("timeout"), timeout, rules::TIMES)));
    found.extend(task.pool.as_deref().and_then(rules::pool_name));
    found.extend(rules::retries(&path("retries"), task.retries.count));
    found.extend(rules::delays(&path("retries"), &task.retries));
    match &task.work {
        Work::Rebuild { tables: named } | Work::Compact { tables: named } => {
            found.extend(named.iter().filter_map(|name| rules::table(name, tables(pipeline))));
        }
        Work::Vacuum { tables: named, keep } => {
            found.extend(named.iter().filter_map(|name| rules::table(name, tables(pipeline))));
            found.extend(rules::span(&path("keep"), *keep, rules::KEEP_TIMES));
        }
        Work::Questions { names } => {
            let known = pipeline.questions.iter().map(|question| question.name.as_str());
            found.extend(names.iter().filter_map(|name| rules::question(name, known.clone())));
        }
        Work::Check { queries } => {
            if queries.is_empty() {
                found.push(format!("'{}' is empty: list one at least", path("check")));
            }
            found.extend(queries.iter().filter_map(|query| rules::query(&path("check"), &query.sql)));
        }
        Work::Sql { query, into } => {
            found.extend(rules::query(&path("sql"), &query.sql));
            found.extend(into.as_deref().and_then(|name| rules::gold_table(&path("into"), name)));
        }
        Work::Http(work) => http(&path("http"), work, found),
        Work::Archive | Work::Prove { .. } | Work::Job { .. } | Work::Refused { .. } => {}
    }
}

fn http(path: &str, work: &HttpWork, found: &mut Vec<String>) {
    found.extend(rules::method(&format!("{path}.method"), &work.method.to_ascii_uppercase()));
    found.extend(rules::url(&format!("{path}.url"), &work.url));
    found.extend(work.headers.iter().filter_map(|(name, value)| rules::header(name, value)));
    found.extend(rules::http_entries(&format!("{path}.headers"), work.headers.len()));
    found.extend(rules::statuses(&format!("{path}.expect"), &work.expect));
    found.extend(rules::http_entries(&format!("{path}.expect"), work.expect.len()));
}

/// That the jobs which tasks run are there and do not come back to this one. Parameters are not looked at: clients of other protocols give more than a job
/// takes.
fn other_jobs(spec: &JobSpec, others: &[JobSpec], found: &mut Vec<String>) {
    let known: BTreeMap<&str, &JobSpec> = others.iter().chain([spec]).map(|job| (job.name.as_str(), job)).collect();
    for task in &spec.tasks {
        let Work::Job { name, .. } = &task.work else { continue };
        found.extend(rules::other_job(&task.name, name, known.keys().copied()));
    }
    if let Some(round) = way_back(spec, &known) {
        found.push(format!("job '{}' runs itself: {}", spec.name, circle(round.into_iter(), "runs")));
    }
}

/// The jobs over which a job runs itself, the first one it.
fn way_back<'a>(spec: &'a JobSpec, known: &BTreeMap<&'a str, &'a JobSpec>) -> Option<Vec<&'a str>> {
    let (mut seen, mut ways) = (HashSet::new(), vec![vec![spec.name.as_str()]]);
    while let Some(way) = ways.pop() {
        let runs = way.last().and_then(|last| known.get(last)).into_iter().flat_map(|job| &job.tasks);
        for task in runs {
            match &task.work {
                Work::Job { name, .. } if *name == spec.name => return Some(way),
                Work::Job { name, .. } if seen.insert(name.as_str()) => {
                    ways.push(way.iter().copied().chain([name.as_str()]).collect());
                }
                _ => {}
            }
        }
    }
    None
}

fn tables(pipeline: &Pipeline) -> impl Iterator<Item = &str> + Clone {
    pipeline.tables.iter().map(|table| table.name.as_str())
}
