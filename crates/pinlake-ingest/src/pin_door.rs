//! The oldest clients' door: `POST /pin/` takes one plain JSON pin, appends it to a configured topic and echoes it.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind};

use crate::doors::Call;
use crate::json::{self, Scanner, Value};
use crate::limits::Refusal;
use crate::partitioner::Partitioning;
use crate::records::Records;

type Refused = (StatusCode, String);

/// Answers `/pin...`.
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    match post(call, body).await {
        Ok(row) => (json, row).into_response(),
        Err((status, detail)) => {
            let mut body = "{\"detail\":".to_owned();
            json::push_string(&mut body, &detail);
            body.push('}');
            let response = (status, json, body).into_response();
            let may_be_tried_again = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if may_be_tried_again { call.try_again_later(response) } else { response }
        }
    }
}

async fn post(call: &Call<'_>, body: Body) -> Result<Vec<u8>, Refused> {
    if !call.segments.as_slice().is_empty() {
        return Err((StatusCode::NOT_FOUND, "there is nothing behind /pin/: POST /pin/ takes one pin".to_owned()));
    }
    if call.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "POST /pin/ takes one pin as a JSON object".to_owned()));
    }
    let (body, _permit) = call.shared.read(call.parts, body).await.map_err(refused)?;
    let row = row(&body)?;
    let mut records = Records::over(body.clone());
    let value = row.span(&mut records);
    records.push(None, Some(value), None);
    let topic = call.open(call.shared.settings.pin_topic.as_str(), &records).await.map_err(|error| of(&error))?;
    let placed = call.produce(&topic, &records, Partitioning::Kafka).await.map_err(|error| of(&error))?;
    placed[0].offset.as_ref().map_err(of)?;
    Ok(records.bytes(value).to_vec())
}

/// The body's one JSON object.
fn row(body: &[u8]) -> Result<Value<'_>, Refused> {
    let not_json = |error: &dyn Display| (StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| not_json(&error))?;
    let mut scanner = Scanner::new(text);
    let row = scanner.value().and_then(|row| scanner.end().map(|()| row)).map_err(|error| not_json(&error))?;
    if !row.text().starts_with('{') {
        return Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            "the body is not a JSON object: send one pin as {\"index\":...}".to_owned(),
        ));
    }
    Ok(row)
}

fn of(error: &Error) -> Refused {
    let status = match error.kind() {
        ErrorKind::Retry => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.message().to_owned())
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too many requests are under way".to_owned()),
        Refusal::TooManyBytes => (StatusCode::SERVICE_UNAVAILABLE, "too many bytes are under way".to_owned()),
        Refusal::BodyTooLarge(limit) => (StatusCode::PAYLOAD_TOO_LARGE, format!("a body takes at most {limit} bytes")),
        Refusal::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive".to_owned()),
        Refusal::BodyCompressed => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the body uncompressed".to_owned()),
        Refusal::BodyCharset => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type states another charset than utf-8, and the body holds more than ASCII: send UTF-8".to_owned(),
        ),
        Refusal::BodyCutOff => (StatusCode::BAD_REQUEST, "the body ended early".to_owned()),
    }
}
