//! `pinlake check`: everything that is wrong with a pipeline and a configuration, at once.

use anyhow::{Result, bail};
use pinlake_core::pipeline;
use pinlake_lake::rows::Recipe;

use crate::cli::CheckArgs;
use crate::{config, pipeline_files, terminal};

/// Runs the command.
pub(crate) async fn run(args: CheckArgs) -> Result<()> {
    let mut problems = Vec::new();
    if let Err(error) = config::load(args.config.as_deref()) {
        problems.push(format!("{error:#}"));
    }
    let files = pipeline_files::files(args.pipeline.as_deref())?;
    match pipeline::parse(&files) {
        Ok(pipeline) => {
            for table in &pipeline.tables {
                if let Err(problem) = Recipe::compile(table).await {
                    problems.push(problem.to_string());
                }
            }
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
