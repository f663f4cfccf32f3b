//! Health, readiness and metrics, for whatever watches the server.

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use pinlake_core::jobs::SchedulerState;
use pinlake_core::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::Shared;
use crate::answers::{Part, Readiness};

/// How long the scheduler may take between two looks at what is due; it looks each second.
const LOOKS_WITHIN: Duration = Duration::from_secs(30);

/// `GET /healthz`: the server answers, whatever its parts do.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /readyz`: 200 when every part works, else 503 with what each waits for.
pub(crate) async fn readiness(State(shared): State<Shared>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness_of(&shared).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// How every part is, the scheduler last.
pub(crate) async fn readiness_of(shared: &Shared) -> Readiness {
    let mut readiness = shared.console.readiness().await;
    let scheduler = shared.jobs.as_ref().map(|jobs| scheduler(&jobs.scheduler(), Clock::System.now()));
    readiness.parts.extend(scheduler);
    Readiness::of(readiness.parts)
}

/// The scheduler works while it looks for what is due. What is wrong beside that is told, but keeps it from nothing.
fn scheduler(state: &SchedulerState, now: Timestamp) -> Part {
    let name = "scheduler";
    let part = match state.ticked_at {
        None => Part::waiting(name, "its first look at what is due"),
        Some(at) if at.until(now) > LOOKS_WITHIN => {
            let problem = format!("its database: it has not looked at what is due for {} s", at.until(now).as_secs());
            Part::waiting(name, problem)
        }
        Some(_) => Part::ready(name),
    };
    Part { warnings: state.problems.iter().map(|problem| problem.message.clone()).collect(), ..part }
}

/// `GET /metrics`: Prometheus text.
pub(crate) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render())
}
