//! The `tasks` of a job: their names, what each waits for, and an order in which none stands before one that it waits for.

use std::collections::HashSet;

use super::super::tree::{Fields, Problems, Tree};
use super::graph::{circle, in_order, nearest};
use super::rules::{self, NAME_RULE};
use super::work::{self, KINDS};
use super::{Known, is_name, retries, span};
use crate::jobs::{Retries, TaskSpec};

/// Most tasks of a job.
const TASKS_MAX: usize = 100;
/// What tasks of all kinds take.
const COMMON_KEYS: [&str; 6] = ["name", "after", "waits", "retries", "timeout", "pool"];

/// A task as it is written.
pub(super) struct Written<'a> {
    pub(super) name: String,
    pub(super) line: u64,
    /// The keys from the top down to it, joined by points.
    pub(super) path: String,
    pub(super) kind: &'static str,
    /// What stands behind the kind, unless it is nothing or `all`.
    pub(super) value: Option<&'a Tree>,
    /// Of a task that is more than a word.
    pub(super) fields: Option<Fields<'a>>,
}

/// The tasks as far as they can be read, with their lines.
pub(super) fn read(path: &str, tree: &Tree, all: Retries, known: &Known<'_>, problems: &mut Problems) -> Vec<(TaskSpec, u64)> {
    let Some(list) = problems.list(path, tree) else { return Vec::new() };
    if list.is_empty() {
        problems.add(tree.line, &format!("'{path}' takes one task at least"));
    }
    if list.len() > TASKS_MAX {
        problems.add(tree.line, &format!("'{path}' has {} tasks: a job takes {TASKS_MAX}", list.len()));
    }
    let list = &list[..list.len().min(TASKS_MAX)];
    let kinds: Vec<Option<&'static str>> = list.iter().map(|tree| kind_of(path, tree, problems)).collect();
    let names = names(path, list, &kinds, problems);
    let mut tasks = Vec::new();
    for (at, (tree, kind)) in list.iter().zip(kinds).enumerate() {
        let Some(name) = &names[at] else { continue };
        let Some(task) = kind.and_then(|kind| written(path, name, tree, kind, problems)) else { continue };
        let before = names[..at].iter().flatten().next_back();
        let after = after(&task, before, &names, problems);
        if let Some(task) = spec(&task, after, all, known, problems) {
            tasks.push((task, tree.line));
        }
    }
    in_their_order(tasks, problems)
}

/// The kind of a task: a word, or the one key of a mapping that is a kind.
fn kind_of(path: &str, tree: &Tree, problems: &mut Problems) -> Option<&'static str> {
    let kind = |word: &str| KINDS.into_iter().find(|kind| *kind == word);
    if let Some(word) = tree.as_text() {
        let found = kind(word);
        if found.is_none() {
            problems.add(tree.line, &format!("'{word}' is no kind of task{}", nearest(word, KINDS.into_iter())));
        }
        return found;
    }
    if !tree.is_mapping() {
        problems
            .add(tree.line, &format!("a task of '{path}' is a word such as 'check', or a mapping such as {{ rebuild: [pin] }}"));
        return None;
    }
    let fields = problems.mapping(path, tree)?;
    let found: Vec<&'static str> = fields.all().iter().filter_map(|(key, _)| kind(key)).collect();
    match found[..] {
        [one] => return Some(one),
        [] => {
            let own = fields.all().iter().map(|(key, _)| key.as_str()).find(|key| !COMMON_KEYS.contains(key));
            let near = own.map(|own| format!("; '{own}' is none{}", nearest(own, KINDS.into_iter()))).unwrap_or_default();
            problems.add(tree.line, &format!("a task of '{path}' takes one of {}{near}", KINDS.join(", ")));
        }
        [..] => {
            problems.add(tree.line, &format!("a task of '{path}' does one thing: {} are {}", found.join(" and "), found.len()));
        }
    }
    None
}

/// The name of each task: its own, or its kind's with a number from the second on. None for a task of which nothing is known.
fn names(path: &str, list: &[Tree], kinds: &[Option<&'static str>], problems: &mut Problems) -> Vec<Option<String>> {
    let mut taken = HashSet::new();
    let mut names: Vec<Option<String>> = Vec::new();
    for tree in list {
        let fields = if tree.is_mapping() { problems.mapping(path, tree) } else { None };
        let written = fields.as_ref().and_then(|fields| fields.get("name"));
        let own = written.and_then(|name| Some((name.line, problems.text(&format!("{path}.name"), name)?)));
        if let Some((line, name)) = &own {
            if !is_name(name) {
                problems.add(*line, &format!("task name '{name}' is not legal: {NAME_RULE}"));
            }
            if !taken.insert(name.clone()) {
                problems.add(*line, &format!("there are two tasks '{name}': give one of them another name"));
            }
        }
        names.push(own.map(|(_, name)| name));
    }
    for (name, kind) in names.iter_mut().zip(kinds) {
        if let (None, Some(kind)) = (&name, kind) {
            let mut free = std::iter::once((*kind).to_owned()).chain((2..).map(|number| format!("{kind}_{number}")));
            *name = free.find(|name| taken.insert(name.clone()));
        }
    }
    names
}

fn written<'a>(path: &str, name: &str, tree: &'a Tree, kind: &'static str, problems: &mut Problems) -> Option<Written<'a>> {
    let path = format!("{path}.{name}");
    let mut fields = None;
    if tree.is_mapping() {
        let keys: Vec<&str> = std::iter::once(kind).chain(work::keys_of(kind).iter().copied()).chain(COMMON_KEYS).collect();
        fields = Some(problems.fields(&path, tree, &keys)?);
    }
    let value = fields.as_ref().and_then(|fields| fields.get(kind)).filter(|value| value.as_text() != Some("all"));
    Some(Written { name: name.to_owned(), line: tree.line, path, kind, value, fields })
}

/// The tasks that a task waits for: by itself, the one before it.
fn after(task: &Written<'_>, before: Option<&String>, names: &[Option<String>], problems: &mut Problems) -> Vec<String> {
    let listed = task.fields.as_ref().and_then(|fields| fields.get("after"));
    let Some(tree) = listed else { return before.cloned().into_iter().collect() };
    let path = format!("{}.after", task.path);
    let read =
        if tree.as_text().is_some() { problems.text(&path, tree).map(|name| vec![name]) } else { problems.texts(&path, tree) };
    let mut after: Vec<String> = Vec::new();
    for name in read.unwrap_or_default() {
        if !names.iter().flatten().any(|known| *known == name) {
            let near = nearest(&name, names.iter().flatten().map(String::as_str).filter(|known| *known != task.name));
            problems.add(tree.line, &format!("task '{}' waits for '{name}', which is not there{near}", task.name));
        } else if !after.contains(&name) {
            after.push(name);
        }
    }
    after
}

fn spec(task: &Written<'_>, after: Vec<String>, all: Retries, known: &Known<'_>, problems: &mut Problems) -> Option<TaskSpec> {
    let work = work::read(task, known, problems);
    let mut spec = TaskSpec {
        name: task.name.clone(),
        work: crate::jobs::Work::Archive,
        after,
        waits: Default::default(),
        retries: all,
        timeout: None,
        pool: None,
    };
    if let Some(fields) = &task.fields {
        let waits = fields.get("waits").and_then(|tree| problems.read(&fields.path_of("waits"), tree));
        spec.waits = waits.unwrap_or_default();
        let own = fields.get("retries").map(|tree| retries(&fields.path_of("retries"), tree, all, problems));
        spec.retries = own.unwrap_or(all);
        spec.timeout = span(fields, "timeout", problems);
        spec.pool = fields.get("pool").and_then(|tree| {
            let pool = problems.text(&fields.path_of("pool"), tree)?;
            problems.add_all(tree.line, rules::pool_name(&pool));
            Some(pool)
        });
    }
    Some(TaskSpec { work: work?, ..spec })
}

/// Each behind those that it waits for. Tasks that wait for each other in a circle are a problem.
fn in_their_order(tasks: Vec<(TaskSpec, u64)>, problems: &mut Problems) -> Vec<(TaskSpec, u64)> {
    let place = |name: &String| tasks.iter().position(|(task, _)| task.name == *name);
    let waits_for: Vec<Vec<usize>> = tasks.iter().map(|(task, _)| task.after.iter().filter_map(place).collect()).collect();
    match in_order(&waits_for) {
        Ok(order) => {
            let mut tasks: Vec<Option<(TaskSpec, u64)>> = tasks.into_iter().map(Some).collect();
            order.into_iter().filter_map(|at| tasks[at].take()).collect()
        }
        Err(circles) => {
            for round in circles {
                let (first, line) = &tasks[round[0]];
                let names = round.iter().map(|at| tasks[*at].0.name.as_str());
                problems.add(*line, &format!("task '{}' waits for itself: {}", first.name, circle(names, "waits for")));
            }
            tasks
        }
    }
}
