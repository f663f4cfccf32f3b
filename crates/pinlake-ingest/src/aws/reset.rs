//! `POST /moto-api/reset`: what the services of AWS keep goes, so that tests begin with nothing. Only where the server's start allows it; to
//! all others there is no such path. What a service keeps, it deletes itself.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::AwsError;
use super::value::Value;
use crate::doors::Doors;
use crate::firehose;
use crate::kinesis::streams::changes::Place;
use crate::kinesis::wording::Words;

const PATH: &str = "/moto-api/reset";

/// Whether a request asks for it.
pub(crate) fn is_for(parts: &Parts) -> bool {
    parts.method == Method::POST && parts.uri.path() == PATH
}

/// Does it.
pub(crate) async fn answer(doors: &Doors) -> Response {
    let (status, body) = match reset(doors).await {
        Ok(()) => (StatusCode::OK, Value::map([("status", "ok".into())])),
        Err(error) => (error.status, error.body()),
    };
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_json()).into_response()
}

/// Each service in turn; first what reads from streams.
async fn reset(doors: &Doors) -> Result<(), AwsError> {
    let words = Words::of(&doors.shared().settings.kinesis, None);
    firehose::operations::reset(doors, &words).await?;
    Place::of(doors, words).reset().await
}
