//! `pinlake topics`: the log's topics and records.

use std::io::BufRead;

use anyhow::{Context, Result, anyhow};
use pinlake_core::TopicName;
use pinlake_core::pipeline::units::Span;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{TopicsArgs, TopicsCommand};
use crate::client::Client;
use crate::terminal::{self, count};

/// How long one request for new records waits.
const WAIT_MS: u64 = 5_000;
/// Records sent in one request.
const PRODUCE_AT_ONCE: usize = 100;

/// Runs the command.
pub(crate) async fn run(args: TopicsArgs) -> Result<()> {
    let client = Client::new(&args.server.server);
    match args.command {
        TopicsCommand::List => list(&client).await,
        TopicsCommand::Create { topic, partitions, retention } => {
            let mut spec = json!({});
            if let Some(partitions) = partitions {
                spec["partitions"] = partitions.into();
            }
            if let Some(Span(retention)) = retention {
                spec["retention_ms"] = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX).into();
            }
            let created = client.text(Method::POST, &format!("/api/v1/topics/{topic}"), Some(spec)).await?;
            let created: Value = serde_json::from_str(&created)?;
            terminal::line(format!("created {topic} with {}", count(created["partitions"].as_u64().unwrap_or(0), "partition")));
            Ok(())
        }
        TopicsCommand::Describe { topic } => {
            terminal::line(serde_json::to_string_pretty(&client.get(&format!("/api/v1/topics/{topic}")).await?)?);
            Ok(())
        }
        TopicsCommand::Delete { topic } => {
            client.text(Method::DELETE, &format!("/api/v1/topics/{topic}"), None).await?;
            terminal::line(format!("deleted {topic}"));
            Ok(())
        }
        TopicsCommand::Tail { topic, partition, offset, limit, follow } => {
            let from = match offset {
                Some(offset) => offset,
                None => last(&client, &topic, partition, limit).await?,
            };
            tail(&client, &topic, partition, from, limit, follow).await
        }
        TopicsCommand::Produce { topic } => produce(&client, &topic).await,
    }
}

async fn list(client: &Client) -> Result<()> {
    let answer = client.get("/api/v1/topics").await?;
    let topics = answer.as_array().or_else(|| answer.get("topics")?.as_array()).cloned().unwrap_or_default();
    let row = |topic: &Value| {
        let text = |field: &str| {
            topic.get(field).map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let tables: Vec<&str> =
            topic.get("tables").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        vec![text("name"), text("partitions"), text("records"), tables.join(", ")]
    };
    terminal::line(terminal::grid(&["topic", "partitions", "records", "tables"], &topics.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

async fn last(client: &Client, topic: &TopicName, partition: u32, limit: u64) -> Result<u64> {
    let answer = client.get(&format!("/api/v1/topics/{topic}")).await?;
    let of_partition = |offsets: &&Value| offsets.get("partition").and_then(Value::as_u64) == Some(u64::from(partition));
    let offsets = answer.get("offsets").and_then(Value::as_array).into_iter().flatten().find(of_partition);
    let field = |name: &str| offsets.and_then(|offsets| offsets.get(name)?.as_u64());
    let (start, end) = (field("start").unwrap_or(0), field("end").context("the partition does not exist")?);
    Ok(end.saturating_sub(limit).max(start))
}

async fn tail(client: &Client, topic: &TopicName, partition: u32, mut from: u64, limit: u64, follow: bool) -> Result<()> {
    loop {
        let wait = if follow { WAIT_MS } else { 0 };
        let path = format!("/api/v1/topics/{topic}/records?partition={partition}&offset={from}&limit={limit}&wait_ms={wait}");
        let answer = client.get(&path).await?;
        for record in answer.get("records").and_then(Value::as_array).into_iter().flatten() {
            if terminal::write_line(record).is_err() {
                return Ok(());
            }
        }
        from = answer.get("next_offset").and_then(Value::as_u64).unwrap_or(from);
        if !follow {
            return Ok(());
        }
    }
}

async fn produce(client: &Client, topic: &TopicName) -> Result<()> {
    let (mut sent, mut lines) = (0, 0);
    loop {
        let read = tokio::task::spawn_blocking(move || read_values(lines)).await.context("reading standard input")?;
        let stored = || format!("after {} stored", count(sent, "record"));
        let (values, read) = read.with_context(stored)?;
        lines = read;
        if values.is_empty() {
            break;
        }
        sent += send(client, topic, values).await.with_context(stored)?;
    }
    terminal::line(count(sent, "record"));
    Ok(())
}

/// The next JSON values of standard input, none at its end; and how many lines are read now, of which `before` were read before.
fn read_values(before: usize) -> Result<(Vec<Value>, usize)> {
    let (mut values, mut number) = (Vec::new(), before);
    for line in std::io::stdin().lock().lines() {
        let line = line.context("reading standard input")?;
        number += 1;
        if !line.trim().is_empty() {
            let value: Value = serde_json::from_str(&line).map_err(|_| anyhow!("line {number} is not JSON: {line}"))?;
            values.push(json!({"value": value}));
        }
        if values.len() == PRODUCE_AT_ONCE {
            break;
        }
    }
    Ok((values, number))
}

async fn send(client: &Client, topic: &TopicName, records: Vec<Value>) -> Result<usize> {
    let count = records.len();
    client.produce(topic, json!({"records": records})).await?;
    Ok(count)
}
