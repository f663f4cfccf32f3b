//! What a task does, kind by kind. SQL is taken as text: whether it can be answered is for a query engine to say.

use std::time::Duration;

use super::super::route::Pattern;
use super::super::tree::{Problems, Tree};
use super::super::units::Span;
use super::graph::nearest;
use super::tasks::Written;
use super::{DAY, Known, parameters, rules, span_within};
use crate::jobs::{HttpWork, SqlText, Work};

/// The kinds of tasks.
pub(super) const KINDS: [&str; 10] =
    ["archive", "rebuild", "check", "questions", "compact", "vacuum", "sql", "http", "prove", "job"];

/// Where checks are, unless a task says otherwise.
const CHECKS: &str = "checks/*.sql";
/// How long files of older snapshots stay, unless a task says otherwise.
const KEEP_DEFAULT: Duration = DAY.saturating_mul(7);

/// What tasks of a kind take beside the kind and what all take.
pub(super) fn keys_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "vacuum" => &["keep"],
        "sql" => &["into"],
        "job" => &["parameters"],
        _ => &[],
    }
}

/// What a task does.
pub(super) fn read(task: &Written<'_>, known: &Known<'_>, problems: &mut Problems) -> Option<Work> {
    Some(match task.kind {
        "archive" => {
            if let Some(value) = task.value {
                problems.add(value.line, &format!("task '{}': 'archive' takes nothing", task.name));
            }
            Work::Archive
        }
        "rebuild" => Work::Rebuild { tables: tables(task, known, problems)? },
        "compact" => Work::Compact { tables: tables(task, known, problems)? },
        "vacuum" => {
            let keep = task.fields.as_ref().and_then(|fields| span_within(fields, "keep", rules::KEEP_TIMES, problems));
            Work::Vacuum { tables: tables(task, known, problems)?, keep: keep.unwrap_or(Span(KEEP_DEFAULT)) }
        }
        "check" => Work::Check { queries: checks(task, known, problems)? },
        "questions" => {
            let names = all_or_some(task, problems)?;
            let known = known.pipeline.questions.iter().map(|question| question.name.as_str());
            problems.add_all(line_of(task), names.iter().filter_map(|name| rules::question(name, known.clone())));
            Work::Questions { names }
        }
        "sql" => sql(task, known, problems)?,
        "http" => Work::Http(http(task, problems)?),
        "prove" => match task.value.map(|value| value.as_text()) {
            None => Work::Prove { deep: false },
            Some(Some("deep")) => Work::Prove { deep: true },
            Some(_) => {
                problems.add(line_of(task), &format!("'{}.prove' takes nothing or 'deep'", task.path));
                return None;
            }
        },
        _ => {
            let name = needed(task, "the name of a job", problems)?;
            let name = problems.text(&format!("{}.job", task.path), name)?;
            let parameters = task.fields.as_ref().map(|fields| parameters(fields, problems)).unwrap_or_default();
            Work::Job { name, parameters }
        }
    })
}

/// That there is such a table.
pub(super) fn check_table(table: &str, line: u64, known: &Known<'_>, problems: &mut Problems) {
    let read = known.pipeline.tables.iter().map(|table| table.name.as_str());
    let all = read.chain(known.tables_unread.iter().map(String::as_str));
    problems.add_all(line, rules::table(table, all));
}

/// The line of what stands behind the kind.
fn line_of(task: &Written<'_>) -> u64 {
    task.value.map_or(task.line, |value| value.line)
}

/// What stands behind the kind, which must be something.
fn needed<'a>(task: &Written<'a>, what: &str, problems: &mut Problems) -> Option<&'a Tree> {
    if task.value.is_none() {
        problems.add(task.line, &format!("task '{}': '{}' takes {what}", task.name, task.kind));
    }
    task.value
}

/// A name or a list of names; none for all.
fn all_or_some(task: &Written<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let Some(value) = task.value else { return Some(Vec::new()) };
    let path = format!("{}.{}", task.path, task.kind);
    if value.as_text().is_some() {
        return Some(vec![problems.text(&path, value)?]);
    }
    let names = problems.texts(&path, value)?;
    if names.is_empty() {
        problems.add(value.line, &format!("'{path}' is empty: list one at least, or write 'all'"));
        return None;
    }
    Some(names)
}

fn tables(task: &Written<'_>, known: &Known<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let tables = all_or_some(task, problems)?;
    for table in &tables {
        check_table(table, line_of(task), known, problems);
    }
    Some(tables)
}

/// The SQL of the files that match; each once.
fn checks(task: &Written<'_>, known: &Known<'_>, problems: &mut Problems) -> Option<Vec<SqlText>> {
    let mut patterns = all_or_some(task, problems)?;
    if patterns.is_empty() {
        patterns.push(CHECKS.to_owned());
    }
    let mut paths: Vec<&String> = Vec::new();
    for pattern in &patterns {
        let matcher = Pattern::new(pattern);
        let found: Vec<&String> = known.files.keys().filter(|path| path.ends_with(".sql") && matcher.matches(path)).collect();
        if found.is_empty() {
            problems.add(line_of(task), &format!("no file matches '{pattern}': a check is a query that answers no row"));
        }
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    let stem = |path: &str| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".sql").to_owned();
    Some(paths.into_iter().map(|path| SqlText { name: stem(path), sql: known.files[path].clone() }).collect())
}

fn sql(task: &Written<'_>, known: &Known<'_>, problems: &mut Problems) -> Option<Work> {
    let into = task.fields.as_ref().and_then(|fields| {
        let tree = fields.get("into")?;
        let into = problems.text(&fields.path_of("into"), tree)?;
        problems.add_all(tree.line, rules::gold_table(&fields.path_of("into"), &into));
        Some(into)
    });
    let value = needed(task, "a query or { file: sql/top.sql }", problems)?;
    let path = format!("{}.sql", task.path);
    let sql = if value.is_mapping() {
        let fields = problems.fields(&path, value, &["file"])?;
        let file = fields.need("file", problems)?;
        let name = problems.text(&fields.path_of("file"), file)?;
        let Some(sql) = known.files.get(&name) else {
            let near = nearest(&name, known.files.keys().map(String::as_str).filter(|file| file.ends_with(".sql")));
            problems.add(file.line, &format!("file '{name}' does not exist{near}"));
            return None;
        };
        sql.clone()
    } else {
        problems.text(&path, value)?
    };
    problems.add_all(value.line, rules::query(&path, &sql));
    Some(Work::Sql { query: SqlText { name: task.name.clone(), sql }, into })
}

fn http(task: &Written<'_>, problems: &mut Problems) -> Option<HttpWork> {
    let value = needed(task, "a URL or { method, url, headers, body, expect }", problems)?;
    let path = format!("{}.http", task.path);
    if !value.is_mapping() {
        let url = problems.text(&path, value)?;
        problems.add_all(value.line, rules::url(&path, &url));
        return Some(HttpWork { method: "GET".to_owned(), url, headers: Default::default(), body: None, expect: Vec::new() });
    }
    let fields = problems.fields(&path, value, &["method", "url", "headers", "body", "expect"])?;
    let method = fields.get("method").map(|tree| {
        let method = problems.text(&fields.path_of("method"), tree).unwrap_or_default().to_ascii_uppercase();
        problems.add_all(tree.line, rules::method(&fields.path_of("method"), &method));
        method
    });
    let url = fields.need("url", problems).and_then(|tree| {
        let url = problems.text(&fields.path_of("url"), tree)?;
        problems.add_all(tree.line, rules::url(&fields.path_of("url"), &url));
        Some(url)
    });
    let headers = fields.get("headers").and_then(|tree| {
        let headers = problems.texts_by_name(&fields.path_of("headers"), tree)?;
        problems.add_all(tree.line, headers.iter().filter_map(|(name, value)| rules::header(name, value)));
        problems.add_all(tree.line, rules::http_entries(&fields.path_of("headers"), headers.len()));
        Some(headers)
    });
    let body = fields.get("body").and_then(|tree| problems.text(&fields.path_of("body"), tree));
    let expect = fields.get("expect").and_then(|tree| {
        let statuses: Vec<u16> = problems.read(&fields.path_of("expect"), tree)?;
        // None at all is a slip: who leaves it out means those below 300.
        let written = if statuses.is_empty() { &[0][..] } else { &statuses };
        problems.add_all(tree.line, rules::statuses(&fields.path_of("expect"), written));
        problems.add_all(tree.line, rules::http_entries(&fields.path_of("expect"), statuses.len()));
        Some(statuses)
    });
    let method = method.unwrap_or_else(|| if body.is_some() { "POST".to_owned() } else { "GET".to_owned() });
    Some(HttpWork { method, url: url?, headers: headers.unwrap_or_default(), body, expect: expect.unwrap_or_default() })
}
