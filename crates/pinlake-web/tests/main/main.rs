//! The API from outside: requests into the router over a console that a test can see into and break.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod connect;
mod daily;
mod databricks;
mod document;
mod fake;
mod fake_jobs;
mod jobs;
mod statements;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use pinlake_web::Parts;
use serde_json::Value;
use tower::ServiceExt;

use fake::FakeConsole;
use fake_jobs::FakeJobs;

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is an error in the API's form.
    #[track_caller]
    fn is_error(&self, status: u16, kind: &str, message: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["error"]["kind"], kind);
        let found = body["error"]["message"].as_str().unwrap();
        assert!(found.contains(message), "{found:?} does not hold {message:?}");
    }
}

fn router(console: &Arc<FakeConsole>) -> Router {
    pinlake_web::router(Parts { jobs: Some(Arc::new(FakeJobs::daily())), ..parts(console) })
}

/// A server without connectors and jobs.
fn parts(console: &Arc<FakeConsole>) -> Parts {
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    Parts { console: console.clone(), connectors: None, jobs: None, metrics }
}

async fn send(router: Router, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8082");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn get(path: &str) -> Answer {
    send(router(&Arc::default()), "GET", path, &[], "").await
}

async fn post(path: &str, body: &'static str) -> Answer {
    send(router(&Arc::default()), "POST", path, &[], body).await
}
