//! `pinlake test`: the pipeline's own tests, given records and expected rows, in memory.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use pinlake_core::pipeline::{self, Pipeline};
use pinlake_core::{Batch, Clock, Followers, Log, MemoryLog, Record, TopicName, TopicSpec};
use pinlake_lake::lake::Lake;
use pinlake_lake::sql::encode;
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::TestArgs;
use crate::{pipeline_files, terminal};

/// Where a pipeline keeps its tests.
const TESTS_DIR: &str = "tests/";
/// Rows of one answer that are looked at.
const ROWS_MAX: usize = 10_000;

/// One test file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    /// Records in the order in which they come.
    given: Vec<Given>,
    /// What is then found: the name of a table, `quarantine.TABLE` or `question.NAME`, with the rows it must hold in any order.
    /// A row names the columns that matter.
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    topic: TopicName,
    #[serde(default)]
    key: Option<String>,
    /// A mapping is sent as JSON, text as it is.
    value: Value,
}

/// Runs the command.
pub(crate) async fn run(args: TestArgs) -> Result<()> {
    let files = pipeline_files::files(args.pipeline.as_deref())?;
    let pipeline = pipeline::parse(&files).map_err(|problems| anyhow::anyhow!(pipeline_files::describe(&problems)))?;
    let pipeline = Arc::new(pipeline);
    let tests: Vec<_> = files.iter().filter(|(path, _)| path.starts_with(TESTS_DIR)).collect();
    if tests.is_empty() {
        bail!("the pipeline has no tests: put files such as {TESTS_DIR}my_case.yml beside pipeline.yml");
    }
    let mut failed = 0;
    for (path, text) in &tests {
        let done = match serde_saphyr::from_str(text) {
            Ok(test) => one(&pipeline, &test).await,
            Err(error) => Err(anyhow!("{}", error.without_snippet())),
        };
        let problems = done.unwrap_or_else(|error| vec![format!("{error:#}")]);
        terminal::line(format!("{} {path}", if problems.is_empty() { "✓" } else { "✗" }));
        problems.iter().for_each(|problem| terminal::line(format!("    {problem}")));
        failed += usize::from(!problems.is_empty());
    }
    terminal::line(format!("{} passed, {failed} failed", tests.len() - failed));
    if failed == 0 { Ok(()) } else { bail!("{failed} of the pipeline's tests failed") }
}

/// Runs one test; answers what was not as expected.
async fn one(pipeline: &Arc<Pipeline>, test: &Test) -> Result<Vec<String>> {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
    for given in &test.given {
        if log.topic(&given.topic).await.is_err() {
            log.create_topic(&given.topic, TopicSpec::default()).await?;
        }
        let value = match &given.value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let record = Record { key: given.key.clone().map(Into::into), value: Some(value.into()), headers: Vec::new() };
        log.append(&given.topic.partition(0), Batch::of(&[record], Clock::System.now())?).await?;
    }
    let store = Store::open("memory:///")?;
    let lake = Lake::start(log, &Followers::default(), pipeline.clone(), store, Clock::System, QueryLimits::default()).await?;
    lake.flush().await?;
    let mut problems = Vec::new();
    for (name, expected) in &test.expect {
        match rows(&lake, name).await {
            Ok(found) => problems.extend(compare(name, expected, found)),
            Err(error) => problems.push(format!("{name}: {error:#}")),
        }
    }
    lake.stop().await?;
    Ok(problems)
}

async fn rows(lake: &Lake, name: &str) -> Result<Vec<Map<String, Value>>> {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    let result = lake.query(&format!("SELECT * FROM {schema}.\"{table}\""), ROWS_MAX).await?;
    let names: Vec<&String> = result.schema.fields().iter().map(|field| field.name()).collect();
    let mut rows = Vec::new();
    for batch in &result.batches {
        let values = encode::rows_of(batch)?;
        rows.extend(values.into_iter().map(|row| names.iter().map(|name| (*name).clone()).zip(row).collect::<Map<_, _>>()));
    }
    Ok(rows)
}

/// Matches each expected row with one found row, in any order.
fn compare(name: &str, expected: &Value, found: Vec<Map<String, Value>>) -> Vec<String> {
    let Some(expected) = expected.as_array() else { return vec![format!("{name}: expected rows are a list")] };
    let mut problems = Vec::new();
    let mut pairs = Pairs { fits: Vec::new(), taken: vec![None; found.len()] };
    for row in expected {
        let Some(columns) = row.as_object() else {
            problems.push(format!("{name}: {row} is no row: give its columns as {{column: value}}"));
            continue;
        };
        let fits = |found: &Map<String, Value>| columns.iter().all(|(column, value)| found.get(column) == Some(value));
        pairs.fits.push((0..found.len()).filter(|at| fits(&found[*at])).collect());
        if !pairs.place(pairs.fits.len() - 1, &mut vec![false; found.len()]) {
            problems.push(format!("{name}: no row like {row}"));
        }
    }
    let unexpected = found.into_iter().zip(&pairs.taken).filter(|(_, by)| by.is_none());
    problems.extend(unexpected.map(|(row, _)| format!("{name}: unexpected row {}", Value::Object(row))));
    problems
}

/// Which expected row has which found row. A row that names few columns may fit many, so it gives way to one that names more.
struct Pairs {
    /// The found rows that fit each expected one.
    fits: Vec<Vec<usize>>,
    /// The expected row that has each found one.
    taken: Vec<Option<usize>>,
}

impl Pairs {
    /// Finds a place for an expected row, where need be by moving others; `seen` are the found rows that were tried.
    fn place(&mut self, row: usize, seen: &mut [bool]) -> bool {
        for at in self.fits[row].clone() {
            if !std::mem::replace(&mut seen[at], true) && self.taken[at].is_none_or(|other| self.place(other, seen)) {
                self.taken[at] = Some(row);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
