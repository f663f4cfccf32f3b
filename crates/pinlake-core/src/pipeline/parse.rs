//! From the files of a pipeline's folder to a [`Pipeline`], with all problems at once.

use std::time::Duration;

use super::jobs::{self, Known};
use super::tree::{Fields, Problems, Tree};
use super::units::{Bytes, Span};
use super::{
    ArchiveSpec, Choice, Draft, Files, Flush, PIPELINE_FILE, Pattern, Pipeline, Problem, Question, RawColumn, RawType, TableSpec,
    TopicRule,
};

/// How often a table commits unless its pipeline says otherwise: rows are visible in SQL at once, outside readers see them
/// this much later.
const COMMIT_DEFAULT: Flush = Flush { records: 250_000, bytes: 64 << 20, age: Duration::from_secs(10) };

/// Reads a pipeline from its files.
///
/// # Errors
/// Every problem that was found, in the order of the files.
pub fn parse(files: &Files) -> Result<Pipeline, Vec<Problem>> {
    let draft = parse_draft(files);
    if draft.problems.is_empty() { Ok(draft.pipeline) } else { Err(draft.problems) }
}

/// Reads what can be read of a pipeline, for whoever looks for further problems in it.
pub fn parse_draft(files: &Files) -> Draft {
    let mut problems = Problems { file: PIPELINE_FILE, found: Vec::new() };
    let mut draft = Draft::default();
    match files.get(PIPELINE_FILE).map(|text| Tree::parse(text)) {
        None => problems.add(0, "the file is missing; 'pinlake init' writes the built-in pipeline to start from"),
        Some(Err((line, message))) => problems.add(line, &message),
        Some(Ok(tree)) => {
            let known = ["pipeline", "topics", "archive", "tables", "questions", "choices", "jobs"];
            if let Some(whole) = problems.fields("", &tree, &known) {
                read(&whole, files, &mut draft, &mut problems);
            }
        }
    }
    draft.problems = problems.found;
    draft.problems.sort_by_key(|problem| (problem.file != PIPELINE_FILE, problem.line));
    draft
}

fn read(whole: &Fields<'_>, files: &Files, draft: &mut Draft, problems: &mut Problems) {
    let name = whole.need("pipeline", problems).and_then(|name| problems.text("pipeline", name));
    draft.pipeline.name = name.unwrap_or_default();
    if let Some(flush) = whole.get("archive").and_then(|tree| archive(tree, problems)) {
        draft.pipeline.archive = ArchiveSpec { flush };
    }
    let topics = whole.need("topics", problems).and_then(|topics| problems.mapping("topics", topics));
    let tables = whole.need("tables", problems).and_then(|tables| problems.mapping("tables", tables));
    if let (Some(topics), Some(tables)) = (&topics, &tables) {
        for (name, unused) in topics.all().iter().filter(|(name, _)| !tables.all().iter().any(|(table, _)| table == name)) {
            problems.add(unused.line, &format!("topics '{name}' feed no table: add tables.{name} or remove them"));
        }
    }
    if tables.as_ref().is_some_and(|tables| tables.all().is_empty()) {
        problems.add(0, "a pipeline takes one table at least");
    }
    for (name, table) in tables.iter().flat_map(Fields::all) {
        match one_table(name, table, topics.as_ref(), files, problems) {
            Some(table) => draft.pipeline.tables.push(table),
            None => draft.tables_unread.push(name.clone()),
        }
    }
    draft.pipeline.questions = questions(whole.get("questions"), files, problems);
    draft.pipeline.choices = whole.get("choices").map(|tree| choices(tree, problems)).unwrap_or_default();
    if let Some(tree) = whole.get("jobs") {
        let known = Known { files, pipeline: &draft.pipeline, tables_unread: &draft.tables_unread };
        let (jobs, schedule_lines) = jobs::read(tree, &known, problems);
        (draft.pipeline.jobs, draft.pipeline.schedule_lines) = (jobs, schedule_lines);
    }
}

fn archive(tree: &Tree, problems: &mut Problems) -> Option<Flush> {
    let archive = problems.fields("archive", tree, &["format", "flush"])?;
    let format = archive.get("format").map(|format| (format.line, problems.text("archive.format", format)));
    if let Some((line, Some(format))) = format.filter(|(_, format)| format.as_deref() != Some("json")) {
        problems.add(line, &format!("'archive.format' is '{format}'; the one format is json"));
    }
    flush("archive.flush", archive.get("flush")?, problems)
}

/// A table as far as its SQL can be judged.
fn one_table(name: &str, tree: &Tree, topics: Option<&Fields<'_>>, files: &Files, problems: &mut Problems) -> Option<TableSpec> {
    let legal = is_identifier(name);
    if !legal {
        problems.add(tree.line, &format!("table name '{name}' is not legal: lower-case letters, digits and '_', a letter first"));
    }
    let rule = match topics.map(|topics| topics.all().iter().find(|(topics, _)| topics == name)) {
        Some(Some((_, topics))) => topic_rule(name, topics, problems),
        Some(None) => {
            problems.add(tree.line, &format!("no topics feed table '{name}': add topics.{name}"));
            TopicRule::default()
        }
        None => TopicRule::default(),
    };
    let path = format!("tables.{name}");
    let table = problems.fields(&path, tree, &["clean", "key", "schema", "commit"])?;
    let clean =
        table.need("clean", problems).and_then(|clean| Some((clean.line, problems.text(&table.path_of("clean"), clean)?)));
    let key = table.need("key", problems).and_then(|key| problems.texts(&table.path_of("key"), key));
    if key.as_ref().is_some_and(Vec::is_empty) {
        problems.add(tree.line, &format!("table '{name}' takes one key column at least"));
    }
    let schema = table.need("schema", problems).and_then(|tree| schema(name, tree, problems));
    let commit = table.get("commit").and_then(|tree| flush(&table.path_of("commit"), tree, problems));
    let (line, clean_path) = clean?;
    let Some(clean_sql) = files.get(&clean_path) else {
        problems.add(line, &format!("cleaning '{clean_path}' of table '{name}' does not exist"));
        return None;
    };
    let spec = TableSpec {
        name: name.to_owned(),
        topics: rule,
        schema: schema?,
        clean_path,
        clean_sql: clean_sql.clone(),
        key: key.filter(|key| !key.is_empty())?,
        commit: commit.unwrap_or(COMMIT_DEFAULT),
    };
    legal.then_some(spec)
}

fn topic_rule(name: &str, tree: &Tree, problems: &mut Problems) -> TopicRule {
    let path = format!("topics.{name}");
    let Some(topics) = problems.fields(&path, tree, &["match", "shared", "keys"]) else { return TopicRule::default() };
    let before = problems.found.len();
    let mut patterns = |key: &str| -> Vec<Pattern> {
        let given = topics.get(key).and_then(|tree| problems.texts(&topics.path_of(key), tree));
        given.unwrap_or_default().iter().map(|text| Pattern::new(text)).collect()
    };
    let rule = TopicRule { topics: patterns("match"), shared: patterns("shared"), keys: patterns("keys") };
    // A list that can't be read is no empty list.
    if problems.found.len() == before {
        if rule.topics.is_empty() && rule.shared.is_empty() {
            problems.add(tree.line, &format!("topics '{name}' match nothing: give 'match' a pattern such as \"*.{name}\""));
        }
        if rule.shared.is_empty() != rule.keys.is_empty() {
            problems.add(tree.line, &format!("topics '{name}': 'shared' and 'keys' go together"));
        }
    }
    rule
}

/// The declared columns; none if one of them can't be read.
fn schema(name: &str, tree: &Tree, problems: &mut Problems) -> Option<Vec<RawColumn>> {
    let path = format!("tables.{name}.schema");
    let declared = problems.mapping(&path, tree)?;
    if declared.all().is_empty() {
        problems.add(tree.line, &format!("table '{name}' declares no raw column"));
        return None;
    }
    let mut column = |(column, kind): &(String, Tree)| {
        let line = kind.line;
        let kind = match problems.text(&declared.path_of(column), kind)?.as_str() {
            "bigint" => RawType::Bigint,
            "double" => RawType::Double,
            "boolean" => RawType::Boolean,
            "string" => RawType::String,
            other => {
                let message = format!("column '{column}' has type '{other}'; the types are bigint, double, boolean and string");
                problems.add(line, &message);
                return None;
            }
        };
        Some(RawColumn { name: column.clone(), kind })
    };
    // All are looked at before the first wrong one counts.
    let columns: Vec<Option<RawColumn>> = declared.all().iter().map(&mut column).collect();
    columns.into_iter().collect()
}

fn flush(path: &str, tree: &Tree, problems: &mut Problems) -> Option<Flush> {
    let fields = problems.fields(path, tree, &["records", "bytes", "age"])?;
    let (records, bytes, age) = (fields.need("records", problems), fields.need("bytes", problems), fields.need("age", problems));
    let before = problems.found.len();
    let records: Option<u64> = records.and_then(|tree| problems.read(&fields.path_of("records"), tree));
    let bytes: Option<Bytes> = bytes.and_then(|tree| problems.read(&fields.path_of("bytes"), tree));
    let age: Option<Span> = age.and_then(|tree| problems.read(&fields.path_of("age"), tree));
    let least = |key: &str, good: bool, problems: &mut Problems| {
        if !good {
            let line = fields.get(key).map_or(tree.line, |tree| tree.line);
            problems.add(line, &format!("'{}' must be more than 0", fields.path_of(key)));
        }
    };
    least("records", records != Some(0), problems);
    least("bytes", bytes != Some(Bytes(0)), problems);
    least("age", age.is_none_or(|age| !age.0.is_zero()), problems);
    let flush = Flush { records: records?, bytes: bytes?.0, age: age?.0 };
    (problems.found.len() == before).then_some(flush)
}

fn questions(pattern: Option<&Tree>, files: &Files, problems: &mut Problems) -> Vec<Question> {
    let Some((line, pattern)) = pattern.and_then(|tree| Some((tree.line, problems.text("questions", tree)?))) else {
        return Vec::new();
    };
    let matcher = Pattern::new(&pattern);
    let mut questions: Vec<(u32, Question)> =
        files.iter().filter(|(path, _)| matcher.matches(path)).map(|(path, sql)| (order_of(sql), question(path, sql))).collect();
    if questions.is_empty() {
        problems.add(line, &format!("no file matches '{pattern}'"));
    }
    for (at, (_, question)) in questions.iter().enumerate() {
        let (file, name) = (question.path.clone(), &question.name);
        if !is_identifier(name) {
            problems.found.push(Problem { file, line: 0, message: format!("question name '{name}' is not legal") });
        } else if let Some((_, first)) = questions[..at].iter().find(|(_, first)| first.name == *name) {
            let message = format!("question '{name}' is in '{}' already: rename one of the files", first.path);
            problems.found.push(Problem { file, line: 0, message });
        }
    }
    questions.sort_by(|(a_order, a), (b_order, b)| (a_order, &a.name).cmp(&(b_order, &b.name)));
    questions.into_iter().map(|(_, question)| question).collect()
}

fn choices(tree: &Tree, problems: &mut Problems) -> Vec<Choice> {
    let Some(named) = problems.mapping("choices", tree) else { return Vec::new() };
    let mut choices = Vec::new();
    for (name, tree) in named.all() {
        let Some(values) = problems.texts(&named.path_of(name), tree) else { continue };
        if !is_identifier(name) {
            problems.add(tree.line, &format!("choice '{name}' is not legal: lower-case letters, digits and '_', a letter first"));
        }
        let plain = |value: &String| is_identifier(value);
        if values.is_empty() || !values.iter().all(plain) {
            problems.add(
                tree.line,
                &format!("choice '{name}' takes a list of lower-case words: the first holds unless told otherwise"),
            );
        }
        choices.push(Choice { name: name.clone(), values });
    }
    choices
}

fn question(path: &str, sql: &str) -> Question {
    let stem = path.rsplit('/').next().unwrap_or(path);
    let name = stem.strip_suffix(".sql").unwrap_or(stem).to_owned();
    let lines = comments(sql).map(|line| line["--".len()..].trim());
    let description = lines.filter(|line| !line.starts_with("order:")).collect::<Vec<_>>().join(" ");
    Question { name, path: path.to_owned(), description, sql: sql.to_owned() }
}

/// The lines of comment that a file begins with.
fn comments(sql: &str) -> impl Iterator<Item = &str> {
    sql.lines().take_while(|line| line.starts_with("--"))
}

/// The number of a leading `-- order: N` line, which puts questions in the order people expect.
fn order_of(sql: &str) -> u32 {
    let number = |line: &str| line.strip_prefix("-- order:").and_then(|number| number.trim().parse().ok());
    comments(sql).find_map(number).unwrap_or(u32::MAX)
}

/// Whether it can stand in SQL without quotes.
pub(super) fn is_identifier(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.chars().next().is_some_and(|c| c.is_ascii_lowercase()) && name.chars().all(legal)
}
