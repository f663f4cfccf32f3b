//! `pinlake check`: everything that is wrong with a pipeline and a configuration, at once.

use std::sync::Arc;

use anyhow::{Result, bail};
use pinlake_core::pipeline::{self, Pipeline};
use pinlake_core::{Clock, Followers, MemoryLog};
use pinlake_lake::lake::Lake;
use pinlake_lake::rows::Recipe;
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;

use crate::cli::CheckArgs;
use crate::{config, pipeline_files, terminal};

/// Runs the command.
pub(crate) async fn run(args: CheckArgs) -> Result<()> {
    let mut problems = Vec::new();
    if let Err(error) = config::load(args.config.as_deref()) {
        problems.extend(format!("{error:#}").lines().map(str::to_owned));
    }
    let files = pipeline_files::files(args.pipeline.as_deref())?;
    match pipeline::parse(&files) {
        Ok(pipeline) => {
            problems.extend(sql_problems(&pipeline).await?);
            if problems.is_empty() {
                let (tables, questions) = (pipeline.tables.len(), pipeline.questions.len());
                terminal::line(format!("pipeline {} is good: {tables} tables, {questions} questions", pipeline.name));
            }
        }
        Err(found) => problems.extend(found.iter().map(ToString::to_string)),
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} problems\n{}", problems.len(), problems.join("\n"))
}

/// What is wrong with the SQL of the cleanings and, once they are good, of the questions.
async fn sql_problems(pipeline: &Pipeline) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for table in &pipeline.tables {
        if let Err(problem) = Recipe::compile(table).await {
            problems.push(problem.to_string());
        }
    }
    if !problems.is_empty() {
        return Ok(problems);
    }
    // Asked of empty tables, a question is planned as it is for full ones.
    let (log, store) = (Arc::new(MemoryLog::new()), Store::open("memory:///")?);
    let (followers, limits) = (Followers::default(), QueryLimits::default());
    let lake = Lake::start(log, &followers, Arc::new(pipeline.clone()), store, Clock::System, limits).await?;
    for question in &pipeline.questions {
        if let Err(error) = lake.query(&question.sql, 1).await {
            problems.push(format!("{}: {error:#}", question.path).replace('\n', " "));
        }
    }
    lake.stop().await?;
    Ok(problems)
}
