//! Every path of Connect's API, in one table, and the calls that change something.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post, put};
use axum::{Json, Router};
use pinlake_core::ErrorKind;
use serde_json::{Map, Value, json};

use super::bodies::{self, Body, Creation, Offsets};
use super::failure::Failure;
use super::{Connectors, Restart, Wanted, answers, reading};
use crate::BODY_BYTES_MAX;

/// What else is below these paths is nobody's.
const UNKNOWN: [&str; 4] = [
    "/connectors/{name}/{call}",
    "/connectors/{name}/{call}/{*rest}",
    "/connector-plugins/{plugin}",
    "/connector-plugins/{plugin}/{*rest}",
];

pub(super) type Shared = Arc<dyn Connectors>;

fn table() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![
        ("/connectors", get(reading::list).post(create)),
        ("/connectors/{name}", get(reading::info).delete(delete)),
        ("/connectors/{name}/config", get(reading::config).put(put_config).patch(patch_config)),
        ("/connectors/{name}/status", get(reading::status)),
        ("/connectors/{name}/tasks", get(reading::tasks)),
        ("/connectors/{name}/tasks-config", get(reading::tasks_config)),
        ("/connectors/{name}/tasks/{task}/status", get(reading::task_status)),
        ("/connectors/{name}/tasks/{task}/restart", post(restart_task)),
        ("/connectors/{name}/restart", post(restart)),
        ("/connectors/{name}/pause", put(pause)),
        ("/connectors/{name}/resume", put(resume)),
        ("/connectors/{name}/stop", put(stop)),
        ("/connectors/{name}/topics", get(reading::topics)),
        ("/connectors/{name}/topics/reset", put(forget_topics)),
        ("/connectors/{name}/offsets", get(reading::offsets).patch(alter_offsets).delete(reset_offsets)),
        ("/connector-plugins", get(reading::plugins)),
        ("/connector-plugins/{plugin}/config", get(reading::definitions)),
        ("/connector-plugins/{plugin}/config/validate", put(reading::validate)),
    ]
}

/// All paths with their rules; a slash at a path's end does not matter.
pub(super) fn router(connectors: Shared) -> Router {
    let mut router = Router::new();
    for (path, methods) in table() {
        let methods = methods.fallback(wrong_method);
        router = router.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    for path in UNKNOWN {
        router = router.route(path, any(unknown_path));
    }
    router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(connectors)
}

async fn wrong_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed")
}

async fn unknown_path() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}

/// `POST /connectors`
async fn create(State(connectors): State<Shared>, Body(body): Body<Creation>) -> Result<Response, Failure> {
    let (name, config, state) = body.read()?;
    connectors.create(&name, config, state).await?;
    created(&connectors, &name).await
}

/// The answer for a connector that was made just now.
async fn created(connectors: &Shared, name: &str) -> Result<Response, Failure> {
    let mut response = (StatusCode::CREATED, Json(answers::info(&**connectors, name).await?)).into_response();
    // A name that a header can't hold has no place either.
    if let Ok(place) = HeaderValue::from_str(&format!("/connectors/{name}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `DELETE /connectors/{name}`
async fn delete(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    connectors.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /connectors/{name}/config`, which makes the connector if there is none.
async fn put_config(
    State(connectors): State<Shared>,
    Path(name): Path<String>,
    Body(settings): Body<Map<String, Value>>,
) -> Result<Response, Failure> {
    let config = bodies::config(&name, settings)?;
    match connectors.alter(&name, config.clone()).await {
        Ok(()) => Ok(Json(answers::info(&*connectors, &name).await?).into_response()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            connectors.create(&name, config, Wanted::Running).await?;
            created(&connectors, &name).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `PATCH /connectors/{name}/config`
async fn patch_config(
    State(connectors): State<Shared>,
    Path(name): Path<String>,
    Body(changes): Body<Map<String, Value>>,
) -> Result<Json<Value>, Failure> {
    let config = bodies::patched(connectors.config(&name).await?, changes)?;
    let settings = config.into_iter().map(|(setting, value)| (setting, Value::String(value))).collect();
    connectors.alter(&name, bodies::config(&name, settings)?).await?;
    Ok(Json(answers::info(&*connectors, &name).await?))
}

/// `POST /connectors/{name}/restart`, with `?includeTasks` and `?onlyFailed`.
async fn restart(
    State(connectors): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let is_set = |name: &str| reading::values(query.as_deref(), name).any(|value| value.eq_ignore_ascii_case("true"));
    let (with_tasks, only_failed) = (is_set("includeTasks"), is_set("onlyFailed"));
    if !with_tasks && !only_failed {
        connectors.restart(&name, Restart::Connector).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    connectors.restart(&name, Restart::All { with_tasks, only_failed }).await?;
    Ok((StatusCode::ACCEPTED, Json(answers::status(&*connectors, &name).await?)).into_response())
}

/// `POST /connectors/{name}/tasks/{task}/restart`
async fn restart_task(
    State(connectors): State<Shared>,
    Path((name, task)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let task = task.parse().map_err(|_| Failure::new(StatusCode::NOT_FOUND, "HTTP 404 Not Found"))?;
    connectors.restart(&name, Restart::Task(task)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /connectors/{name}/pause`
async fn pause(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    connectors.want(&name, Wanted::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `PUT /connectors/{name}/resume`
async fn resume(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    connectors.want(&name, Wanted::Running).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `PUT /connectors/{name}/stop`
async fn stop(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    connectors.want(&name, Wanted::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /connectors/{name}/topics/reset`
async fn forget_topics(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    connectors.forget_topics(&name).await?;
    Ok(StatusCode::OK)
}

/// `PATCH /connectors/{name}/offsets`
async fn alter_offsets(
    State(connectors): State<Shared>,
    Path(name): Path<String>,
    Body(offsets): Body<Offsets>,
) -> Result<Json<Value>, Failure> {
    connectors.alter_offsets(&name, offsets.read()?).await?;
    Ok(Json(json!({ "message": "The offsets for this connector have been altered successfully" })))
}

/// `DELETE /connectors/{name}/offsets`
async fn reset_offsets(State(connectors): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    connectors.reset_offsets(&name).await?;
    Ok(Json(json!({ "message": "The offsets for this connector have been reset successfully" })))
}
