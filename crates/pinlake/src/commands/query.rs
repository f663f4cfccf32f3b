//! `pinlake query` and `pinlake questions`: SQL and the pipeline's questions, asked of a running server.

use anyhow::Result;
use pinlake_web::answers::{Column, QuestionSummary, Questions};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{OutputFormat, QueryArgs, QuestionsArgs};
use crate::client::{self, Client};
use crate::terminal;

/// Runs `pinlake query`.
pub(crate) async fn run(args: QueryArgs) -> Result<()> {
    let client = Client::new(&args.server.server);
    let format = if args.format == OutputFormat::Csv { "csv" } else { "json" };
    let answer = client.text(Method::POST, "/api/v1/sql", Some(json!({"sql": args.sql, "format": format}))).await?;
    show(&answer, args.format)
}

/// Runs `pinlake questions`.
pub(crate) async fn questions(args: QuestionsArgs) -> Result<()> {
    let client = Client::new(&args.server.server);
    let Some(name) = &args.name else {
        let Questions { questions } = client.get("/api/v1/questions").await?;
        for QuestionSummary { name, description, choices, .. } in questions {
            let choices: Vec<String> = choices.iter().map(|choice| format!(" --set {choice}")).collect();
            terminal::line(format!("{name:<44} {description}{}", choices.concat()));
        }
        return Ok(());
    };
    let format = if args.format == OutputFormat::Csv { "csv" } else { "json" };
    let path = format!("/api/v1/questions/{name}?format={format}&set={}", args.set.join(","));
    let answer = client.text(Method::GET, &path, None).await?;
    show(&answer, args.format)
}

fn show(answer: &str, format: OutputFormat) -> Result<()> {
    if format != OutputFormat::Table {
        terminal::line(answer.trim_end());
        return Ok(());
    }
    let answer: Answer = client::read(answer)?;
    terminal::line(answer.table(answer.rows.len()));
    let more = if answer.truncated { ", more were left out" } else { "" };
    terminal::line(format!("{} in {:.1} ms{more}", terminal::count(answer.rows.len(), "row"), answer.elapsed_ms));
    Ok(())
}

/// A query's answer as JSON.
#[derive(Deserialize)]
pub(super) struct Answer {
    columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
    elapsed_ms: f64,
    truncated: bool,
}

impl Answer {
    /// Its first rows, `rows` of them at most.
    pub(super) fn table(&self, rows: usize) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        terminal::table(&columns, &self.rows[..rows.min(self.rows.len())])
    }
}
