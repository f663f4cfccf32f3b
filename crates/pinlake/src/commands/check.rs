//! `pinlake check`: everything that is wrong with a pipeline and a configuration, at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use pinlake_core::jobs::{SqlText, Work};
use pinlake_core::pipeline::{self, Files, PIPELINE_FILE, Pipeline, Problem};
use pinlake_core::{Clock, Followers, MemoryLog};
use pinlake_lake::clean::line_in;
use pinlake_lake::lake::Lake;
use pinlake_lake::rows::Recipe;
use pinlake_lake::sql::parameters::{Parameter, Parameters};
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;

use super::init::CONFIG_FILE;
use crate::cli::CheckArgs;
use crate::places::local_folder;
use crate::terminal::{self, count};
use crate::{config, pipeline_files};

/// Runs the command.
pub(crate) async fn run(args: CheckArgs) -> Result<()> {
    let file = args.config.or_else(|| config_in(args.pipeline.as_deref()?));
    let draft = config::draft(file.as_deref());
    let mut problems = draft.problems;
    let store = draft.config.store_location();
    // A folder is the server's to make; a URL can be judged before.
    if let (None, Err(error)) = (local_folder(&store), Store::open(&store)) {
        problems.push(format!("store: {:#}", anyhow::Error::from(error)));
    }
    let folder = args.pipeline.as_deref().or(draft.config.pipeline_folder());
    let good = match pipeline_files::files(folder) {
        Ok(files) => {
            let (pipeline, found) = pipeline_problems(&files).await?;
            problems.extend(found.iter().map(ToString::to_string));
            let (tables, questions) = (count(pipeline.tables.len(), "table"), count(pipeline.questions.len(), "question"));
            format!("pipeline {} is good: {tables}, {questions}, {}", pipeline.name, count(pipeline.jobs.len(), "job"))
        }
        Err(error) => {
            problems.push(format!("{error:#}"));
            String::new()
        }
    };
    if !problems.is_empty() {
        bail!("{}\n{}", count(problems.len(), "problem"), problems.join("\n"));
    }
    if let Some(file) = file {
        terminal::line(format!("configuration {} is good", file.display()));
    }
    terminal::line(good);
    Ok(())
}

/// The configuration that `pinlake init` puts beside a pipeline, if it is there.
fn config_in(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(CONFIG_FILE);
    file.is_file().then_some(file)
}

/// What is good of a pipeline, and all that is not.
async fn pipeline_problems(files: &Files) -> Result<(Pipeline, Vec<Problem>)> {
    let pipeline::Draft { mut pipeline, tables_unread: mut missing, mut problems } = pipeline::parse_draft(files);
    let mut good = Vec::new();
    for table in std::mem::take(&mut pipeline.tables) {
        match Recipe::compile(&table).await {
            Ok(_) => good.push(table),
            Err(mut problem) => {
                if problem.line == 0 {
                    problem.line = line_of(&problem.message, &table.clean_sql);
                }
                problems.push(problem);
                missing.push(table.name);
            }
        }
    }
    pipeline.tables = good;
    problems.extend(pinlake_jobs::schedule::problems(&pipeline));
    // Without a single name of a table, nothing can be said about the questions.
    if !pipeline.tables.is_empty() || !missing.is_empty() {
        problems.extend(sql_problems(&pipeline, &missing).await?);
    }
    Ok((pipeline, problems))
}

/// What is wrong with the SQL of questions and jobs. That one of the `missing` tables is not there is no fault of theirs.
async fn sql_problems(pipeline: &Pipeline, missing: &[String]) -> Result<Vec<Problem>> {
    // Asked of empty tables, a query is planned as it is for full ones.
    let (log, store) = (Arc::new(MemoryLog::new()), Store::open("memory:///")?);
    let (followers, limits) = (Followers::default(), QueryLimits::default());
    let lake = Lake::start(log, &followers, Arc::new(pipeline.clone()), store, Clock::System, limits).await?;
    let mut problems = Vec::new();
    for question in &pipeline.questions {
        if let Some(message) = wrong(&lake, &question.sql, Parameters::new(), missing).await {
            problems.push(Problem { file: question.path.clone(), line: line_of(&message, &question.sql), message });
        }
    }
    for job in &pipeline.jobs {
        for task in &job.tasks {
            for query in queries(&task.work) {
                let given = job.parameters.iter().map(|(name, value)| (name.clone(), Parameter::Text(value.clone()))).collect();
                let Some(message) = wrong(&lake, &query.sql, given, missing).await else { continue };
                let message = format!("job '{}', task '{}', {}: {message}", job.name, task.name, query.name);
                problems.push(Problem { file: PIPELINE_FILE.to_owned(), line: 0, message });
            }
        }
    }
    lake.stop().await?;
    Ok(problems)
}

/// The queries of a task.
fn queries(work: &Work) -> &[SqlText] {
    match work {
        Work::Check { queries } => queries,
        Work::Sql { query, .. } => std::slice::from_ref(query),
        _ => &[],
    }
}

/// What is wrong with a query, but for tables whose own files are wrong, and gold tables, which come with their first answer.
async fn wrong(lake: &Lake, sql: &str, parameters: Parameters, missing: &[String]) -> Option<String> {
    let error = lake.query_with(sql, parameters, 1).await.err()?;
    let message = format!("{:#}", anyhow::Error::from(error)).replace('\n', " ");
    let is_missing = missing.iter().any(|table| message.contains(&format!("table '{table}' does not exist")));
    let is_to_come = message.contains("'gold.");
    (!is_missing && !is_to_come).then_some(message)
}

/// What stands in a message before the name, or the SQL's own word, that it complains of.
const NAMED_AFTER: [&str; 13] = [
    "No field named ",
    "Invalid function '",
    "no function ",
    "table '",
    "question '",
    "Function '",
    "unqualified field ",
    "column \"",
    "expression \"",
    "SQL type ",
    "it has a ",
    "it has an ",
    "not repeatable: ",
];

/// The line of `sql` that a message is about: the one it ends with, else the first that has the name it complains of; 0 if
/// there is none.
fn line_of(message: &str, sql: &str) -> u64 {
    if let line @ 1.. = line_in(message) {
        return line;
    }
    let inside = NAMED_AFTER.iter().find_map(|before| Some(message.split_once(before)?.1));
    let Some(rest) = message.strip_prefix("column '").or(inside) else { return 0 };
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let whole = rest.trim_start_matches('"').split(|c| !in_name(c) && c != '.').next().unwrap_or_default();
    let name = whole.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let code = |line: &str| {
        line.split("--").next().unwrap_or_default().split(|c| !in_name(c)).any(|word| word.eq_ignore_ascii_case(name))
    };
    (1..).zip(sql.lines()).find(|(_, line)| code(line)).map_or(0, |(number, _)| number)
}
