//! Kafka REST (Confluent's REST proxy): v2 with produce, topics, brokers and consumers, and v3. It must not know how records are batched.

pub(crate) mod consumers;
mod content_type;
mod envelope;
mod error;
mod produce;
mod server_url;
mod topics;
pub(crate) mod v3;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

use crate::doors::Call;
use crate::path;
use content_type::{Answer, answer_type};
use error::RestError;

/// `/topics...`
pub(crate) async fn topics(call: &Call<'_>, body: Body) -> Response {
    let segments: Vec<_> = call.segments.as_slice().iter().map(|segment| path::decode(segment)).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    answer(call, async || {
        let producer = &call.shared.producer;
        match (call.method, segments.as_slice()) {
            (&Method::POST, [topic]) => produce::produce(call, topic, None, body).await,
            (&Method::POST, [topic, "partitions", partition]) => {
                produce::produce(call, topic, Some(topics::partition_number(topic, partition)?), body).await
            }
            (&Method::GET, []) => topics::list(producer).await,
            (&Method::GET, [topic]) => topics::describe(producer, topic).await,
            (&Method::GET, [topic, "partitions"]) => topics::partitions(producer, topic).await,
            (&Method::GET, [topic, "partitions", partition]) => topics::partition(producer, topic, partition).await,
            (&Method::GET, [topic, "partitions", partition, "offsets"]) => topics::offsets(producer, topic, partition).await,
            (_, []) => Err(RestError::method(call.parts, "GET", "POST /topics/TOPIC produces records, GET /topics lists topics")),
            (_, [_] | [_, "partitions", _]) => {
                Err(RestError::method(call.parts, "GET, POST", "POST produces records, GET describes"))
            }
            (_, [_, "partitions"] | [_, "partitions", _, "offsets"]) => Err(RestError::method(call.parts, "GET", "GET reads")),
            _ => Err(RestError::no_path(call.parts)),
        }
    })
    .await
}

/// `/brokers`
pub(crate) fn brokers(call: &Call<'_>) -> Response {
    let answered = match (call.method, call.segments.as_slice()) {
        (&Method::GET, []) => answer_type(&call.parts.headers).map(|accepted| (accepted, r#"{"brokers":[1]}"#.to_owned())),
        (_, []) => Err(RestError::method(call.parts, "GET", "GET lists the brokers")),
        _ => Err(RestError::no_path(call.parts)),
    };
    answered.map_or_else(|error| error.answer(call), |(accepted, body)| ok(accepted, body))
}

/// A path that no door has.
pub(crate) fn no_such_path(parts: &Parts) -> Response {
    RestError::no_path(parts).response()
}

async fn answer(call: &Call<'_>, make: impl AsyncFnOnce() -> Result<String, RestError>) -> Response {
    let answered = match answer_type(&call.parts.headers) {
        Ok(accepted) => make().await.map(|body| ok(accepted, body)),
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| error.answer(call))
}

fn ok(accepted: Answer, body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(accepted.content_type()))], body).into_response()
}
