//! What holds for each part of a job, wherever its definition comes from: files and calls are told the same. Each rule answers what is wrong, if it is.

use std::time::Duration;

use super::super::parse::is_identifier;
use super::super::units::Span;
use super::graph::nearest;
use super::{DAY, is_name};
use crate::jobs::placeholders::{self, Piece, pieces};
use crate::jobs::{JobSpec, Retries};
use crate::position::TopicName;

/// Most parameters of a job.
const PARAMETERS_MAX: usize = 100;
/// Most triggers of a job.
pub(super) const TRIGGERS_MAX: usize = 20;
/// Most runs of a job at once.
const CONCURRENCY_MAX: u32 = 1000;
/// Most retries of a task.
const RETRIES_MAX: u32 = 1000;
/// Longest name of anything of a job, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 100;
/// What is legal as the name of a job of the files, one of its tasks, or a pool.
pub(super) const NAME_RULE: &str = "lower-case letters, digits, '_' and '-', a letter first, 100 at most";
/// What every run has by itself, in its queries and requests.
const OF_EVERY_RUN: [&str; 3] = ["from", "run", "to"];
/// How long anything may take that has a time.
pub(super) const TIMES: (Duration, Duration) = (Duration::from_millis(1), DAY.saturating_mul(366));
/// How long files of older snapshots stay.
pub(super) const KEEP_TIMES: (Duration, Duration) = (Duration::from_secs(3600), DAY.saturating_mul(366));

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Most headers of a request, and most statuses that are a success.
const HTTP_ENTRIES_MAX: usize = 100;

pub(super) fn table<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    is_there("table", name, known)
}

pub(super) fn question<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    is_there("question", name, known)
}

fn is_there<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let is_there = known.clone().any(|known| known == name);
    (!is_there).then(|| format!("{what} '{name}' is not there{}", nearest(name, known)))
}

pub(super) fn other_job<'a>(task: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let is_there = known.clone().any(|known| known == name);
    (!is_there).then(|| format!("task '{task}' runs job '{name}', which is not there{}", nearest(name, known)))
}

/// That a job has the parameter that a task gives it.
pub(super) fn given<'a>(job: &str, parameter: &str, takes: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let takes_it = takes.clone().any(|known| known == parameter);
    (!takes_it).then(|| format!("job '{job}' has no parameter '{parameter}'{}", nearest(parameter, takes)))
}

pub(super) fn parameter_name(name: &str) -> Option<String> {
    if !is_plain(name) {
        return Some(format!("parameter name '{name}' is not legal: letters, digits, '_' and '-', 100 at most"));
    }
    OF_EVERY_RUN
        .contains(&name)
        .then(|| format!("a parameter can't be named '{name}': every run has {} by itself", OF_EVERY_RUN.join(", ")))
}

pub(super) fn parameters(path: &str, count: usize) -> Option<String> {
    at_most(path, count, PARAMETERS_MAX)
}

pub(super) fn triggers(path: &str, count: usize) -> Option<String> {
    at_most(path, count, TRIGGERS_MAX)
}

pub(super) fn http_entries(path: &str, count: usize) -> Option<String> {
    at_most(path, count, HTTP_ENTRIES_MAX)
}

fn at_most(path: &str, count: usize, most: usize) -> Option<String> {
    (count > most).then(|| format!("'{path}' has {count} entries: {most} at most"))
}

/// The name of a task by a call, which other protocols write as they like.
pub(super) fn task_name(name: &str) -> Option<String> {
    (!is_plain(name)).then(|| format!("task name '{name}' is not legal: letters, digits, '_' and '-', 100 at most"))
}

fn is_plain(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(legal)
}

pub(super) fn pool_name(name: &str) -> Option<String> {
    (!is_name(name)).then(|| format!("pool name '{name}' is not legal: {NAME_RULE}"))
}

pub(super) fn concurrency(path: &str, number: u32) -> Option<String> {
    (!(1..=CONCURRENCY_MAX).contains(&number)).then(|| format!("'{path}' is a number from 1 to {CONCURRENCY_MAX}"))
}

pub(super) fn retries(path: &str, count: u32) -> Option<String> {
    (count > RETRIES_MAX).then(|| format!("'{path}' is {count}: {RETRIES_MAX} at most"))
}

pub(super) fn delays(path: &str, retries: &Retries) -> Option<String> {
    (retries.delay_max < retries.delay).then(|| format!("'{path}': 'delay_max' is shorter than 'delay'"))
}

pub(super) fn span(path: &str, span: Span, (least, most): (Duration, Duration)) -> Option<String> {
    (!(least..=most).contains(&span.0)).then(|| format!("'{path}' is a span from {} to {}", Span(least), days(most)))
}

/// humantime writes 366 days as a year and some hours.
fn days(span: Duration) -> String {
    format!("{}d", span.as_secs() / DAY.as_secs())
}

/// How many rows or records start a run.
pub(super) fn count(path: &str, count: u64) -> Option<String> {
    (count == 0).then(|| format!("'{path}' must be more than 0"))
}

pub(super) fn topic(path: &str, name: &str) -> Option<String> {
    TopicName::new(name).err().map(|error| format!("'{path}': {error}"))
}

pub(super) fn object(path: &str, url: &str) -> Option<String> {
    let is_url = url.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    (!is_url).then(|| format!("'{path}' is '{url}': it takes a URL such as s3://bucket/folder/"))
}

pub(super) fn query(path: &str, sql: &str) -> Option<String> {
    sql.trim().is_empty().then(|| format!("'{path}' is an empty query"))
}

pub(super) fn gold_table(path: &str, name: &str) -> Option<String> {
    let rule = "lower-case letters, digits and '_', a letter first";
    (!is_identifier(name)).then(|| format!("'{path}' is '{name}', which is no name of a table: {rule}"))
}

pub(super) fn method(path: &str, method: &str) -> Option<String> {
    (!METHODS.contains(&method)).then(|| format!("'{path}' is one of {}", METHODS.join(", ")))
}

/// A URL may begin with a parameter, whose value is not known yet.
pub(super) fn url(path: &str, url: &str) -> Option<String> {
    let starts = ["http://", "https://", "${"].iter().any(|start| url.starts_with(start));
    let is_url = starts && !url.contains(char::is_whitespace);
    (!is_url).then(|| format!("'{path}' is '{url}': it takes a URL such as http://127.0.0.1:8080/done"))
}

pub(super) fn header(name: &str, value: &str) -> Option<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let legal = !name.is_empty() && name.chars().all(token) && !value.contains(['\r', '\n', '\0']);
    (!legal).then(|| format!("header '{name}' is not legal: its value is one line, its name has no blank or ':'"))
}

/// That a text of a task's request names what every run of the job has, in headers secrets too; all that is wrong with it.
pub(super) fn placeholders(path: &str, text: &str, of: &JobSpec, is_header: bool) -> Vec<String> {
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(error) => return vec![format!("'{path}': {error}")],
    };
    let wrong = |piece: &Piece<'_>| {
        let Piece::Name(name) = piece else { return None };
        if let Some(parameter) = name.strip_prefix(placeholders::OF_PARAMETER) {
            return given(&of.name, parameter, of.parameters.keys().map(String::as_str)).map(|why| format!("'{path}': {why}"));
        }
        let is_secret = name.starts_with("env:") || name.starts_with("file:");
        if placeholders::OF_EVERY_RUN.contains(name) || is_secret && is_header {
            return None;
        }
        let known = placeholders::OF_EVERY_RUN.join(", ");
        let more = if is_secret { "; variables and files are for headers" } else { "" };
        Some(format!("'{path}': '${{{name}}}' is not known: there are {known}, parameters.NAME{more}"))
    };
    pieces.iter().filter_map(wrong).collect()
}

/// The statuses that are a success; none for those below 300.
pub(super) fn statuses(path: &str, statuses: &[u16]) -> Option<String> {
    let legal = statuses.iter().all(|status| (100..600).contains(status));
    (!legal).then(|| format!("'{path}' takes a list of statuses such as [200, 202]"))
}
