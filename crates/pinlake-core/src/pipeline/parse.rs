//! From the files of a pipeline's folder to a [`Pipeline`], with all problems at once.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::units::{Bytes, Span};
use super::{
    ArchiveSpec, Files, Flush, PIPELINE_FILE, Pattern, Pipeline, Problem, Question, RawColumn, RawType, TableSpec, TopicRule,
};

/// Table columns that Pinlake adds; a cleaning must not use their names.
const RESERVED_PREFIX: char = '_';

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    pipeline: String,
    topics: Ordered<Spanned<RawTopics>>,
    #[serde(default)]
    archive: RawArchive,
    tables: Ordered<Spanned<RawTable>>,
    #[serde(default)]
    questions: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTopics {
    #[serde(rename = "match", default)]
    matches: Vec<String>,
    #[serde(default)]
    shared: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawArchive {
    format: ArchiveFormat,
    flush: RawFlush,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ArchiveFormat {
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlush {
    records: u64,
    bytes: Bytes,
    age: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    clean: Spanned<String>,
    key: Vec<String>,
    schema: Ordered<Spanned<String>>,
    #[serde(default)]
    commit: Option<RawFlush>,
}

impl Default for RawArchive {
    fn default() -> Self {
        let flush = RawFlush { records: 10_000, bytes: Bytes(64 << 20), age: Span(Duration::from_secs(60)) };
        Self { format: ArchiveFormat::Json, flush }
    }
}

/// How often a table commits unless its pipeline says otherwise: rows are visible in SQL at once, outside readers see them
/// this much later.
const COMMIT_DEFAULT: Flush = Flush { records: 250_000, bytes: 64 << 20, age: Duration::from_secs(10) };

/// Reads a pipeline from its files.
///
/// # Errors
/// Every problem that was found, in the order of the files.
pub fn parse(files: &Files) -> Result<Pipeline, Vec<Problem>> {
    match parse_good_parts(files) {
        (Some(pipeline), problems) if problems.is_empty() => Ok(pipeline),
        (_, problems) => Err(problems),
    }
}

/// The tables and questions of a pipeline that have no problems, and every problem of the others; no pipeline if its file can't
/// be read at all. For those who look for more problems.
pub fn parse_good_parts(files: &Files) -> (Option<Pipeline>, Vec<Problem>) {
    let mut problems = Problems { file: PIPELINE_FILE, found: Vec::new() };
    let Some(text) = files.get(PIPELINE_FILE) else {
        problems.add(0, "the file is missing; 'pinlake init' writes the built-in pipeline to start from");
        return (None, problems.found);
    };
    let raw: RawPipeline = match serde_saphyr::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            problems.add(line, &error.without_snippet().to_string());
            return (None, problems.found);
        }
    };
    let RawArchive { format: ArchiveFormat::Json, flush } = &raw.archive;
    let archive = ArchiveSpec { flush: flush_of(flush, 0, &mut problems) };
    let tables = tables(&raw, files, &mut problems);
    let questions = questions(raw.questions.as_ref(), files, &mut problems);
    (Some(Pipeline { name: raw.pipeline, archive, tables, questions }), problems.found)
}

fn tables(raw: &RawPipeline, files: &Files, problems: &mut Problems) -> Vec<TableSpec> {
    for (name, topics) in &raw.topics.0 {
        if !raw.tables.0.iter().any(|(table, _)| table == name) {
            problems.add(line_of(topics), &format!("topics '{name}' feed no table: add tables.{name} or remove them"));
        }
    }
    if raw.tables.0.is_empty() {
        problems.add(0, "a pipeline takes one table at least");
    }
    let good = |(name, table): &(String, Spanned<RawTable>)| {
        let before = problems.found.len();
        one_table(name, table, raw, files, problems).filter(|_| problems.found.len() == before)
    };
    raw.tables.0.iter().filter_map(good).collect()
}

fn one_table(
    name: &str,
    raw: &Spanned<RawTable>,
    whole: &RawPipeline,
    files: &Files,
    problems: &mut Problems,
) -> Option<TableSpec> {
    let line = line_of(raw);
    if !is_identifier(name) {
        problems.add(line, &format!("table name '{name}' is not legal: lower-case letters, digits and '_', a letter first"));
    }
    let topics = match whole.topics.0.iter().find(|(topics, _)| topics == name) {
        Some((_, topics)) => topic_rule(name, topics, problems),
        None => {
            problems.add(line, &format!("no topics feed table '{name}': add topics.{name}"));
            TopicRule::default()
        }
    };
    let table = &raw.value;
    if table.key.is_empty() {
        problems.add(line, &format!("table '{name}' takes one key column at least"));
    }
    let schema = schema(name, table, problems);
    let commit = table.commit.as_ref().map_or(COMMIT_DEFAULT, |flush| flush_of(flush, line, problems));
    let Some(clean_sql) = files.get(&table.clean.value) else {
        problems.add(line_of(&table.clean), &format!("cleaning '{}' of table '{name}' does not exist", table.clean.value));
        return None;
    };
    Some(TableSpec {
        name: name.to_owned(),
        topics,
        schema,
        clean_path: table.clean.value.clone(),
        clean_sql: clean_sql.clone(),
        key: table.key.clone(),
        commit,
    })
}

fn topic_rule(name: &str, topics: &Spanned<RawTopics>, problems: &mut Problems) -> TopicRule {
    let raw = &topics.value;
    if raw.matches.is_empty() && raw.shared.is_empty() {
        problems.add(line_of(topics), &format!("topics '{name}' match nothing: give 'match' a pattern such as \"*.{name}\""));
    }
    if raw.shared.is_empty() != raw.keys.is_empty() {
        problems.add(line_of(topics), &format!("topics '{name}': 'shared' and 'keys' go together"));
    }
    let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
    TopicRule { topics: patterns(&raw.matches), shared: patterns(&raw.shared), keys: patterns(&raw.keys) }
}

fn schema(name: &str, table: &RawTable, problems: &mut Problems) -> Vec<RawColumn> {
    if table.schema.0.is_empty() {
        problems.add(line_of(&table.clean), &format!("table '{name}' declares no raw column"));
    }
    let mut columns = Vec::new();
    for (column, kind) in &table.schema.0 {
        let kind_of = match kind.value.as_str() {
            "bigint" => RawType::Bigint,
            "double" => RawType::Double,
            "boolean" => RawType::Boolean,
            "string" => RawType::String,
            other => {
                let message = format!("column '{column}' has type '{other}'; the types are bigint, double, boolean and string");
                problems.add(line_of(kind), &message);
                continue;
            }
        };
        columns.push(RawColumn { name: column.clone(), kind: kind_of });
    }
    columns
}

fn flush_of(raw: &RawFlush, line: u64, problems: &mut Problems) -> Flush {
    if raw.records == 0 || raw.bytes.0 == 0 || raw.age.0.is_zero() {
        problems.add(line, "records, bytes and age of a flush are 1 at least");
    }
    Flush { records: raw.records, bytes: raw.bytes.0, age: raw.age.0 }
}

fn questions(pattern: Option<&Spanned<String>>, files: &Files, problems: &mut Problems) -> Vec<Question> {
    let Some(pattern) = pattern else { return Vec::new() };
    let matcher = Pattern::new(&pattern.value);
    let mut questions: Vec<(u32, Question)> =
        files.iter().filter(|(path, _)| matcher.matches(path)).map(|(path, sql)| (order_of(sql), question(path, sql))).collect();
    if questions.is_empty() {
        problems.add(line_of(pattern), &format!("no file matches '{}'", pattern.value));
    }
    for (_, question) in &questions {
        if !is_identifier(&question.name) {
            let found = Problem {
                file: question.path.clone(),
                line: 0,
                message: format!("question name '{}' is not legal", question.name),
            };
            problems.found.push(found);
        }
    }
    questions.sort_by(|(a_order, a), (b_order, b)| (a_order, &a.name).cmp(&(b_order, &b.name)));
    questions.into_iter().map(|(_, question)| question).collect()
}

fn question(path: &str, sql: &str) -> Question {
    let stem = path.rsplit('/').next().unwrap_or(path);
    let name = stem.strip_suffix(".sql").unwrap_or(stem).to_owned();
    let comments = sql.lines().map_while(|line| line.strip_prefix("--")).map(str::trim);
    let description = comments.filter(|line| !line.starts_with("order:")).collect::<Vec<_>>().join(" ");
    Question { name, path: path.to_owned(), description, sql: sql.to_owned() }
}

/// The number of a leading `-- order: N` line, which puts questions in the order people expect.
fn order_of(sql: &str) -> u32 {
    let number = |line: &str| line.strip_prefix("-- order:").and_then(|number| number.trim().parse().ok());
    sql.lines().find_map(number).unwrap_or(u32::MAX)
}

fn is_identifier(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.starts_with(RESERVED_PREFIX) && name.chars().next().is_some_and(|c| c.is_ascii_lowercase()) && name.chars().all(legal)
}

fn line_of<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line()
}

struct Problems {
    file: &'static str,
    found: Vec<Problem>,
}

impl Problems {
    fn add(&mut self, line: u64, message: &str) {
        self.found.push(Problem { file: self.file.to_owned(), line, message: message.to_owned() });
    }
}

/// A YAML mapping in the order it was written; a repeated key is an error.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("'{key}' is given twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}
