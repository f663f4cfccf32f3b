//! What is answered, in Connect's form.

use pinlake_core::{Offset, Result, TopicPartition};
use serde_json::{Value, json};

use super::{About, Config, Connectors, Plugin, Status, TaskStatus};

/// What the server says of itself.
pub(crate) fn about(about: &About) -> Value {
    json!({ "version": about.version, "commit": about.commit, "kafka_cluster_id": about.cluster_id })
}

pub(super) fn plugin(plugin: &Plugin) -> Value {
    json!({ "class": plugin.class, "type": plugin.kind, "version": plugin.version })
}

/// A connector's name, configuration and tasks.
pub(super) async fn info(connectors: &dyn Connectors, name: &str) -> Result<Value> {
    let (config, status) = (connectors.config(name).await?, connectors.status(name).await?);
    let tasks: Vec<Value> = status.tasks.iter().map(|task| task_id(name, task.id)).collect();
    Ok(json!({ "name": name, "config": config, "tasks": tasks, "type": "sink" }))
}

/// How a connector and its tasks are.
pub(super) async fn status(connectors: &dyn Connectors, name: &str) -> Result<Value> {
    let Status { state, trace, tasks } = connectors.status(name).await?;
    let worker = connectors.about().worker_id;
    let tasks: Vec<Value> = tasks.iter().map(|task| task_status(task, &worker)).collect();
    let mut connector = json!({ "state": state, "worker_id": worker });
    add_trace(&mut connector, trace);
    Ok(json!({ "name": name, "connector": connector, "tasks": tasks, "type": "sink" }))
}

pub(super) fn task_status(task: &TaskStatus, worker_id: &str) -> Value {
    let mut status = json!({ "id": task.id, "state": task.state, "worker_id": worker_id });
    add_trace(&mut status, task.trace.clone());
    status
}

/// Tasks with their configurations, each the connector's own.
pub(super) fn tasks(name: &str, config: &Config, tasks: &[TaskStatus]) -> Value {
    tasks.iter().map(|task| json!({ "id": task_id(name, task.id), "config": config })).collect()
}

pub(super) fn offsets(offsets: &[(TopicPartition, Offset)]) -> Value {
    let one = |(of, offset): &(TopicPartition, Offset)| {
        json!({
            "partition": { "kafka_topic": of.topic.as_str(), "kafka_partition": of.partition.0 },
            "offset": { "kafka_offset": offset.0 },
        })
    };
    json!({ "offsets": offsets.iter().map(one).collect::<Vec<_>>() })
}

fn task_id(name: &str, task: u32) -> Value {
    json!({ "connector": name, "task": task })
}

fn add_trace(status: &mut Value, trace: Option<String>) {
    if let Some(trace) = trace {
        status["trace"] = Value::String(trace);
    }
}
