//! `pinlake check`: everything that is wrong with a pipeline and a configuration, at once.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use pinlake_core::pipeline::{self, Pipeline};
use pinlake_core::{Clock, Followers, MemoryLog};
use pinlake_lake::lake::Lake;
use pinlake_lake::rows::Recipe;
use pinlake_lake::sql::query::{self, QueryLimits};
use pinlake_lake::store::Store;

use super::init::CONFIG_FILE;
use crate::cli::CheckArgs;
use crate::{config, pipeline_files, terminal};

/// Runs the command.
pub(crate) async fn run(args: CheckArgs) -> Result<()> {
    let beside = args.pipeline.as_ref().map(|folder| folder.join(CONFIG_FILE)).filter(|file| file.is_file());
    let file = args.config.or(beside);
    let mut problems = config::unknown_variables();
    let mut folder = args.pipeline;
    match config::load(file.as_deref()) {
        Ok(config) => folder = folder.or_else(|| config.pipeline_folder().map(PathBuf::from)),
        Err(error) => problems.extend(format!("{error:#}").lines().map(str::to_owned)),
    }
    let files = pipeline_files::files(folder.as_deref())?;
    let (pipeline, found) = pipeline::parse_good_parts(&files);
    let whole = found.is_empty();
    problems.extend(found.iter().map(ToString::to_string));
    if let Some(pipeline) = pipeline {
        let summary = format!(
            "pipeline {} is good: {} tables, {} questions",
            pipeline.name,
            pipeline.tables.len(),
            pipeline.questions.len()
        );
        problems.extend(sql_problems(pipeline, whole).await?);
        if problems.is_empty() {
            terminal::line(summary);
        }
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("1 problem\n{}", problems.join("\n")),
        count => bail!("{count} problems\n{}", problems.join("\n")),
    }
}

/// What is wrong with the SQL of the cleanings and of the questions. Questions about a table that has a problem itself are
/// left for when that is mended; `whole` says that no table is missing yet.
async fn sql_problems(mut pipeline: Pipeline, whole: bool) -> Result<Vec<String>> {
    let (mut problems, mut good) = (Vec::new(), Vec::new());
    for table in pipeline.tables {
        match Recipe::compile(&table).await {
            Ok(_) => good.push(table),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    let whole = whole && problems.is_empty();
    pipeline.tables = good;
    let known = |(schema, name): &query::TableName| schema == "public" && pipeline.table(name).is_some();
    let askable = |sql: &str| whole || query::tables_of(sql).is_ok_and(|tables| tables.iter().all(known));
    // Asked of empty tables, a question is planned as it is for full ones.
    let (log, store) = (Arc::new(MemoryLog::new()), Store::open("memory:///")?);
    let (followers, limits) = (Followers::default(), QueryLimits::default());
    let lake = Lake::start(log, &followers, Arc::new(pipeline.clone()), store, Clock::System, limits).await?;
    for question in pipeline.questions.iter().filter(|question| askable(&question.sql)) {
        if let Err(error) = lake.query(&question.sql, 1).await {
            problems.push(format!("{}: {error:#}", question.path).replace('\n', " "));
        }
    }
    lake.stop().await?;
    Ok(problems)
}
