//! `pinlake query` and `pinlake questions`: SQL and the pipeline's questions, asked of a running server.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{OutputFormat, QueryArgs, QuestionsArgs};
use crate::client::Client;
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
        let answer = client.get("/api/v1/questions").await?;
        let questions = answer.as_array().or_else(|| answer.get("questions")?.as_array()).cloned().unwrap_or_default();
        for question in &questions {
            let text = |field: &str| question.get(field).and_then(Value::as_str).unwrap_or_default();
            let choices = question.get("choices").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let choices: Vec<String> = choices.map(|choice| format!(" --set {choice}")).collect();
            terminal::line(format!("{:<44} {}{}", text("name"), text("description"), choices.concat()));
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
    let answer: Value = serde_json::from_str(answer).context("reading the server's answer")?;
    terminal::line(terminal::table(&answer));
    let rows = answer.get("row_count").and_then(Value::as_u64).unwrap_or_default();
    let more = if answer.get("truncated").and_then(Value::as_bool).unwrap_or_default() { ", more were left out" } else { "" };
    terminal::line(format!(
        "{} in {:.1} ms{more}",
        terminal::count(rows, "row"),
        answer.get("elapsed_ms").and_then(Value::as_f64).unwrap_or_default()
    ));
    Ok(())
}
