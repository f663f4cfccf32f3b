//! `pinlake topics`: the log's topics and records.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result, anyhow, bail};
use pinlake_core::TopicName;
use pinlake_core::pipeline::units::Span;
use pinlake_web::answers::{GroupPosition, Records, Topic, Topics};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{TopicsArgs, TopicsCommand};
use crate::client::Client;
use crate::terminal::{self, count};

/// How long one request for new records waits.
const WAIT_MS: u64 = 5_000;
/// Records sent in one request.
const PRODUCE_AT_ONCE: usize = 100;

/// Groups of a topic that are listed.
const GROUPS_MAX: usize = 5;

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
            let created: Topic = client.post(&format!("/api/v1/topics/{topic}"), spec).await?;
            terminal::line(format!("created {topic} with {}", count(created.partitions, "partition")));
            Ok(())
        }
        TopicsCommand::Describe { topic } => {
            let described: Topic = client.get(&format!("/api/v1/topics/{topic}")).await?;
            terminal::line(serde_json::to_string_pretty(&described)?);
            Ok(())
        }
        TopicsCommand::Delete { topic } => {
            client.text(Method::DELETE, &format!("/api/v1/topics/{topic}"), None).await?;
            terminal::line(format!("deleted {topic}"));
            Ok(())
        }
        TopicsCommand::Tail { topic, partition, offset, limit, follow } => {
            tail(&client, &topic, partition, offset, limit, follow).await
        }
        TopicsCommand::Produce { topic } => produce(&client, &topic).await,
    }
}

async fn list(client: &Client) -> Result<()> {
    let Topics { topics } = client.get("/api/v1/topics").await?;
    let row = |topic: &Topic| {
        let (name, partitions, records) = (topic.name.to_string(), topic.partitions.to_string(), topic.records.to_string());
        vec![name, partitions, records, topic.tables.join(", "), lags(&topic.groups)]
    };
    let head = ["topic", "partitions", "records", "tables", "groups: records behind"];
    terminal::line(terminal::grid(&head, &topics.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

/// How many records each group is behind, those that are furthest behind first.
fn lags(groups: &[GroupPosition]) -> String {
    let mut lags: BTreeMap<&str, u64> = BTreeMap::new();
    for position in groups {
        let lag = lags.entry(&position.group).or_default();
        *lag = lag.saturating_add(position.lag);
    }
    let mut lags: Vec<_> = lags.into_iter().collect();
    lags.sort_by_key(|(_, lag)| std::cmp::Reverse(*lag));
    let shown = lags.iter().take(GROUPS_MAX).map(|(group, lag)| format!("{group}: {lag}"));
    let more = (lags.len() > GROUPS_MAX).then(|| format!("{} more", lags.len() - GROUPS_MAX));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

/// Prints records from an offset on, or the last ones.
async fn tail(client: &Client, topic: &TopicName, partition: u32, offset: Option<u64>, limit: u64, follow: bool) -> Result<()> {
    let wait = if follow { WAIT_MS } else { 0 };
    let path = format!("/api/v1/topics/{topic}/records?partition={partition}&limit={limit}&wait_ms={wait}");
    let mut from = offset.map_or_else(String::new, |offset| format!("&offset={offset}"));
    loop {
        let Records { records, next_offset, .. } = client.get(&format!("{path}{from}")).await?;
        for record in records {
            if terminal::write_line(serde_json::to_string(&record)?).is_err() {
                return Ok(());
            }
        }
        if !follow {
            return Ok(());
        }
        from = format!("&offset={next_offset}");
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
        let produced = client.produce(topic, json!({"records": &values})).await.with_context(stored)?;
        let refused: Vec<String> = produced.into_iter().filter_map(|record| record.error).collect();
        sent += values.len() - refused.len();
        if let Some(reason) = refused.first() {
            bail!("after {} stored: {} not stored: {reason}", count(sent, "record"), count(refused.len(), "record"));
        }
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
