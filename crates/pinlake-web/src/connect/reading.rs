//! Calls that change nothing.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use pinlake_core::ErrorKind;
use serde_json::{Map, Value, json};

use super::answers;
use super::bodies::{self, Body};
use super::failure::Failure;
use super::routes::Shared;

type Answer = Result<Json<Value>, Failure>;

/// `GET /connectors`, with `?expand=status` and `?expand=info` both as objects.
pub(super) async fn list(State(connectors): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let names = connectors.names().await?;
    let expanded: Vec<&str> = values(query.as_deref(), "expand").collect();
    if expanded.is_empty() {
        return Ok(Json(json!(names)));
    }
    let mut all = Map::new();
    for name in names {
        match expand(&connectors, &name, &expanded).await {
            Ok(of) => drop(all.insert(name, Value::Object(of))),
            // It was deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(Value::Object(all)))
}

async fn expand(connectors: &Shared, name: &str, expanded: &[&str]) -> pinlake_core::Result<Map<String, Value>> {
    let mut of = Map::new();
    for what in expanded {
        let value = match *what {
            "status" => answers::status(&**connectors, name).await?,
            "info" => answers::info(&**connectors, name).await?,
            // Connect passes over others.
            _ => continue,
        };
        of.insert((*what).to_owned(), value);
    }
    Ok(of)
}

/// `GET /connectors/{name}`
pub(super) async fn info(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(answers::info(&*connectors, &name).await?))
}

/// `GET /connectors/{name}/config`
pub(super) async fn config(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(json!(connectors.config(&name).await?)))
}

/// `GET /connectors/{name}/status`
pub(super) async fn status(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(answers::status(&*connectors, &name).await?))
}

/// `GET /connectors/{name}/tasks`
pub(super) async fn tasks(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    let (config, status) = (connectors.config(&name).await?, connectors.status(&name).await?);
    Ok(Json(answers::tasks(&name, &config, &status.tasks)))
}

/// `GET /connectors/{name}/tasks-config`
pub(super) async fn tasks_config(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    let (config, status) = (connectors.config(&name).await?, connectors.status(&name).await?);
    let tasks = status.tasks.iter().map(|task| (format!("{name}-{}", task.id), json!(config)));
    Ok(Json(Value::Object(tasks.collect())))
}

/// `GET /connectors/{name}/tasks/{task}/status`
pub(super) async fn task_status(State(connectors): State<Shared>, Path((name, task)): Path<(String, String)>) -> Answer {
    let status = connectors.status(&name).await?;
    let found = status.tasks.iter().find(|one| one.id.to_string() == task);
    let none = || Failure::new(StatusCode::NOT_FOUND, format!("No status found for task {name}-{task}"));
    Ok(Json(answers::task_status(found.ok_or_else(none)?, &connectors.about().worker_id)))
}

/// `GET /connectors/{name}/topics`
pub(super) async fn topics(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    let topics = connectors.topics(&name).await?;
    let topics: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
    Ok(Json(json!(BTreeMap::from([(name, json!({ "topics": topics }))]))))
}

/// `GET /connectors/{name}/offsets`
pub(super) async fn offsets(State(connectors): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(answers::offsets(&connectors.offsets(&name).await?)))
}

/// `GET /connector-plugins`, with `?connectorsOnly=false` converters too.
pub(super) async fn plugins(State(connectors): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let with_all = values(query.as_deref(), "connectorsOnly").any(|value| value == "false");
    let plugins = connectors.plugins();
    Ok(Json(plugins.iter().filter(|plugin| with_all || plugin.kind == "sink").map(answers::plugin).collect()))
}

/// `GET /connector-plugins/{plugin}/config`
pub(super) async fn definitions(State(connectors): State<Shared>, Path(plugin): Path<String>) -> Answer {
    Ok(Json(connectors.definitions(&plugin)?))
}

/// `PUT /connector-plugins/{plugin}/config/validate`
pub(super) async fn validate(
    State(connectors): State<Shared>,
    Path(plugin): Path<String>,
    Body(settings): Body<Map<String, Value>>,
) -> Answer {
    let config = bodies::patched(BTreeMap::new(), settings)?;
    // Both may be a class, or that without its package or ending.
    let class = config.get("connector.class").map(|class| class.trim()).unwrap_or_default();
    if !class.is_empty() && !is_same(class, &plugin) {
        let [class, plugin] = [class, &plugin].map(|name| name.chars().take(200).collect::<String>());
        return Err(Failure::invalid(format!("Included connector type {class} does not match request type {plugin}")));
    }
    Ok(Json(connectors.validate(&config)?))
}

/// Whether two names are of one plugin.
fn is_same(one: &str, other: &str) -> bool {
    fn last(name: &str) -> &str {
        let name = name.rsplit('.').next().unwrap_or(name);
        name.strip_suffix("Connector").unwrap_or(name)
    }
    last(one) == last(other)
}

/// The values of a parameter behind the `?`; none of them needs decoding.
pub(super) fn values<'a>(query: Option<&'a str>, name: &str) -> impl Iterator<Item = &'a str> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(found, _)| *found == name).map(|(_, value)| value)
}
