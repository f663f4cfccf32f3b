//! Kafka REST v3 (Confluent's, the part that administers topics, produces records and shows groups): `/v3/clusters/...`. Finds what a
//! path means; what it means is in `v3/`, one file a family.

mod configs;
mod groups;
mod record;
mod records;
mod resources;
mod splitter;
mod topics;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pinlake_core::{Error, ErrorKind, Reason};
use serde_json::{Value, json};

use super::content_type::{answer_type, check_body_type};
use super::error::{KAFKA_BAD_REQUEST, KAFKA_ERROR, NOT_AUTHORISED, RETRIABLE, RestError};
use super::server_url;
use crate::doors::Call;
use crate::kafka::{NODE_ID as BROKER_ID, cluster_id};
use crate::path;
use resources::Cluster;

/// Kafka does not have the topic.
const UNKNOWN_TOPIC: u16 = 40403;

/// `/v3...`
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    let segments: Vec<_> = call.segments.as_slice().iter().map(|segment| path::decode(segment)).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    route(call, &segments, body).await.unwrap_or_else(|error| error.answer(call))
}

async fn route(call: &Call<'_>, segments: &[&str], body: Body) -> Result<Response, RestError> {
    answer_type(&call.parts.headers)?;
    let id = cluster_id(&call.shared.groups).await.map_err(|error| of_log(&error))?;
    let advertised = call.shared.consumers.settings().advertised_url.as_deref();
    let cluster = Cluster::new(&server_url::of(call.parts, advertised, "v3"), id);
    match segments {
        ["clusters"] => get(call, || Ok(cluster.list_of_all(vec![described(&cluster)]))),
        ["clusters", named, ..] if *named != cluster.id => {
            let text = format!("HTTP 404 Not Found: the only cluster is {}", cluster.id);
            Err(RestError::new(404, text))
        }
        ["clusters", _] => get(call, || Ok(described(&cluster))),
        ["clusters", _, "brokers"] => {
            get(call, || Ok(cluster.list("KafkaBrokerList", "/brokers", vec![broker_of(call, &cluster)])))
        }
        ["clusters", _, "brokers", id] => get(call, || check_broker(id).map(|()| broker_of(call, &cluster))),
        ["clusters", _, "topics", of @ ..] => topics_route(call, &cluster, of, body).await,
        ["clusters", _, "consumer-groups", of @ ..] => groups_route(call, &cluster, of).await,
        _ => Err(RestError::no_path(call.parts)),
    }
}

async fn topics_route(call: &Call<'_>, cluster: &Cluster, of: &[&str], body: Body) -> Result<Response, RestError> {
    match (call.method, of) {
        (&Method::GET, []) => shown(StatusCode::OK, &topics::list(call, cluster).await?),
        (&Method::POST, []) => shown(StatusCode::CREATED, &topics::create(call, cluster, &read(call, body).await?).await?),
        (&Method::GET, [topic]) => shown(StatusCode::OK, &topics::describe(call, cluster, topic).await?),
        (&Method::PATCH, [topic]) => {
            shown(StatusCode::OK, &topics::change(call, cluster, topic, &read(call, body).await?).await?)
        }
        (&Method::DELETE, [topic]) => done(topics::delete(call, topic).await),
        (&Method::GET, [topic, "configs"]) => shown(StatusCode::OK, &configs::list(call, cluster, topic).await?),
        (&Method::POST, [topic, "configs:alter"]) => done(configs::alter_many(call, topic, &read(call, body).await?).await),
        (&Method::GET, [topic, "configs", name]) => shown(StatusCode::OK, &configs::describe(call, cluster, topic, name).await?),
        (&Method::PUT, [topic, "configs", name]) => done(configs::put(call, topic, name, &read(call, body).await?).await),
        (&Method::DELETE, [topic, "configs", name]) => done(configs::reset(call, topic, name).await),
        (&Method::GET, [topic, "partitions"]) => shown(StatusCode::OK, &topics::partitions(call, cluster, topic).await?),
        (&Method::GET, [topic, "partitions", partition]) => {
            shown(StatusCode::OK, &topics::partition(call, cluster, topic, partition).await?)
        }
        (&Method::GET, [topic, "partitions", partition, "replicas"]) => {
            shown(StatusCode::OK, &topics::replicas(call, cluster, topic, partition).await?)
        }
        (&Method::GET, [topic, "partitions", partition, "replicas", broker]) => {
            shown(StatusCode::OK, &topics::replica(call, cluster, topic, partition, broker).await?)
        }
        (&Method::POST, [topic, "records"]) => {
            check_body_type(&call.parts.headers)?;
            records::stream(call, cluster.id.clone(), topic, body).await
        }
        (&Method::POST, [topic, "records:batch"]) => records::batch(call, &cluster.id, topic, &read(call, body).await?).await,
        (_, of) => Err(topics_methods(of).map_or_else(
            || RestError::no_path(call.parts),
            |allow| {
                RestError::method(call.parts, allow, "GET shows, POST makes and produces, PUT and PATCH change, DELETE deletes")
            },
        )),
    }
}

/// The methods of a path below `topics`; `None` if there is no such path.
fn topics_methods(of: &[&str]) -> Option<&'static str> {
    Some(match of {
        [] => "GET, POST",
        [_] => "GET, PATCH, DELETE",
        [_, "configs:alter" | "records" | "records:batch"] => "POST",
        [_, "configs", _] => "GET, PUT, DELETE",
        [_, "configs"] | [_, "partitions"] | [_, "partitions", _] => "GET",
        [_, "partitions", _, "replicas"] | [_, "partitions", _, "replicas", _] => "GET",
        _ => return None,
    })
}

async fn groups_route(call: &Call<'_>, cluster: &Cluster, of: &[&str]) -> Result<Response, RestError> {
    let is_path = matches!(
        of,
        [] | [_]
            | [_, "consumers" | "lags" | "lag-summary"]
            | [_, "consumers", _]
            | [_, "consumers", _, "assignments"]
            | [_, "lags", _, "partitions", _]
    );
    if !is_path {
        return Err(RestError::no_path(call.parts));
    }
    if call.method != Method::GET {
        return Err(RestError::method(call.parts, "GET", "GET shows groups; consumers make them"));
    }
    let found = match of {
        [] => Ok(groups::list(call, cluster)),
        [group] => groups::describe(call, cluster, group),
        [group, "consumers"] => groups::consumers(call, cluster, group),
        [group, "consumers", id] => groups::consumer(call, cluster, group, id),
        [group, "consumers", id, _] => groups::assignments(call, cluster, group, id),
        [group, "lags"] => groups::lags(call, cluster, group).await,
        [group, "lags", topic, _, partition] => groups::lag(call, cluster, group, topic, partition).await,
        [group, ..] => groups::lag_summary(call, cluster, group).await,
    };
    shown(StatusCode::OK, &found?)
}

fn get(call: &Call<'_>, make: impl FnOnce() -> Result<Value, RestError>) -> Result<Response, RestError> {
    if call.method != Method::GET {
        return Err(RestError::method(call.parts, "GET", "GET shows it"));
    }
    shown(StatusCode::OK, &make()?)
}

fn shown(status: StatusCode, answer: &Value) -> Result<Response, RestError> {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((status, json, answer.to_string()).into_response())
}

fn done(outcome: Result<(), RestError>) -> Result<Response, RestError> {
    outcome.map(|()| StatusCode::NO_CONTENT.into_response())
}

async fn read(call: &Call<'_>, body: Body) -> Result<Bytes, RestError> {
    check_body_type(&call.parts.headers)?;
    // What is made of it is small, so its room can go already.
    call.shared.read(call.parts, body).await.map(|(body, _)| body).map_err(RestError::refused)
}

fn described(cluster: &Cluster) -> Value {
    cluster.resource(
        "KafkaCluster",
        "",
        json!({
            "controller": cluster.related(&format!("/brokers/{BROKER_ID}")),
            "brokers": cluster.related("/brokers"),
            "topics": cluster.related("/topics"),
            "consumer_groups": cluster.related("/consumer-groups"),
        }),
    )
}

/// The one broker. Where its wire protocol listens is not this door's to know, so it names the host that the client has come to.
fn broker_of(call: &Call<'_>, cluster: &Cluster) -> Value {
    let host = call.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    cluster.resource(
        "KafkaBroker",
        &format!("/brokers/{BROKER_ID}"),
        json!({"broker_id": BROKER_ID, "host": host, "port": null, "rack": null}),
    )
}

fn check_broker(id: &str) -> Result<(), RestError> {
    if id == BROKER_ID.to_string() {
        return Ok(());
    }
    Err(RestError::new(404, format!("HTTP 404 Not Found: the only broker is {BROKER_ID}")))
}

fn unknown_topic(text: &str) -> RestError {
    RestError::new(UNKNOWN_TOPIC, format!("This server does not host this topic-partition: {text}"))
}

/// What the log said, in v3's codes.
fn of_log(error: &Error) -> RestError {
    match error.kind() {
        _ if error.reason() == Some(Reason::OwnTopic) => RestError::new(NOT_AUTHORISED, error.message()),
        ErrorKind::NotFound => unknown_topic(error.message()),
        ErrorKind::Invalid | ErrorKind::Conflict => RestError::new(KAFKA_BAD_REQUEST, error.message()),
        ErrorKind::Retry => RestError::new(RETRIABLE, error.message()),
        ErrorKind::Corrupt | ErrorKind::Internal => RestError::new(KAFKA_ERROR, error.message()),
    }
}
