//! Requests to `POST /` and their answers, in the form and the order of checks of AWS: method, body, content type, target, caller, types
//! and constraints, and only then what the operation says. Which form an answer has is the request's choice, errors too.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Builder;

use super::access::{self, Caller};
use super::error::AwsError;
use super::event_stream;
use super::model::{Model, Operation};
use super::read::{self, Node};
use super::value::Value;
use super::{Answer, Context, Events};
use crate::doors::Call;
use crate::kinesis::plain::{self, Plain};
use crate::{firehose, kinesis};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ID_2: HeaderName = HeaderName::from_static("x-amz-id-2");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date");
/// How long a browser may keep what it was told about an origin, seconds.
const CORS_AGE: HeaderValue = HeaderValue::from_static("172800");

const NO_OPERATION: &str = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                            authorized</Message>\n</AccessDeniedException>\n";
const NOT_THIS_FORM: &str = "<UnknownOperationException/>\n";

/// A service that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Kinesis,
    Firehose,
}

impl Service {
    /// By what targets begin with.
    fn of(prefix: &str) -> Option<Self> {
        match prefix {
            "Kinesis_20131202" => Some(Self::Kinesis),
            "Firehose_20150804" => Some(Self::Firehose),
            _ => None,
        }
    }

    /// As credentials and actions call it.
    fn name(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
        }
    }

    fn model(self) -> &'static Model {
        match self {
            Self::Kinesis => &kinesis::MODEL,
            Self::Firehose => &firehose::MODEL,
        }
    }
}

/// The service that a request is to; Kinesis, if it names none that is served.
pub(crate) fn service_of(headers: &HeaderMap) -> Service {
    Target::of(headers).service.and_then(Service::of).unwrap_or(Service::Kinesis)
}

/// Bytes of a target that the log repeats.
const TARGET_SHOWN_MAX: usize = 100;

/// Whether a request without a path is one to a service of AWS. A page's question whether it may send one is one too.
pub(crate) fn is_for(parts: &Parts) -> bool {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    parts.uri.path().bytes().all(|byte| byte == b'/')
        && (parts.headers.contains_key(TARGET)
            || text(header::CONTENT_TYPE).starts_with("application/x-amz-")
            || text(header::AUTHORIZATION).starts_with("AWS4-")
            || parts.uri.query().is_some_and(|query| query.contains("X-Amz-Algorithm"))
            || text(header::ACCESS_CONTROL_REQUEST_HEADERS).to_ascii_lowercase().contains("x-amz-"))
}

/// Answers a request.
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    let (request_id, id_2) = ids();
    let asked = &call.parts.headers;
    let from_page = asked.contains_key(header::ORIGIN);
    let preflight = from_page && call.parts.method == Method::OPTIONS;
    let mut response = if preflight { preflight_answer(asked) } else { respond(call, body).await };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id);
    if !preflight {
        headers.insert(ID_2, id_2);
    }
    if from_page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if !preflight {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    response
}

/// What a request is called by, to be found again: a UUID, and 72 bytes in base64.
fn ids() -> (HeaderValue, HeaderValue) {
    let mut random = [0; 16 + 72];
    SystemRandom::new().fill(&mut random).expect("the system has random bytes");
    let (first, second) = random.split_first_chunk::<16>().expect("16 of 88");
    let value = |text: String| HeaderValue::try_from(text).expect("plain ASCII");
    (value(Builder::from_random_bytes(*first).into_uuid().to_string()), value(STANDARD.encode(second)))
}

/// Allows what a page asks for; what it may do is for its signature to say.
fn preflight_answer(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    for (asked_by, told_by) in [
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
    ] {
        if let Some(value) = asked.get(asked_by) {
            headers.insert(told_by, value.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, CORS_AGE);
    response
}

async fn respond(call: &Call<'_>, body: Body) -> Response {
    if call.parts.method != Method::POST {
        return xml(StatusCode::FORBIDDEN, NO_OPERATION);
    }
    let form = Form::of(&call.parts.headers);
    let target = Target::of(&call.parts.headers);
    let read = call.shared.read_at_most(call.shared.settings.aws_body_bytes_max, call.parts, body).await;
    let (body, mut permit) = match read {
        Ok(read) => read,
        Err(refusal) => return form.refuse(call, &AwsError::refused(refusal)),
    };
    // Texts and blobs of an input are copies of what the body holds, or decoded from it.
    if let Err(refusal) = permit.grow(body.len()) {
        return form.refuse(call, &AwsError::refused(refusal));
    }
    let operation = target.operation();
    if body.is_empty() {
        let error = operation.map_or_else(AwsError::unknown_operation, |_| AwsError::bare("SerializationException"));
        return form.refuse(call, &error);
    }
    if form == Form::Other {
        let named = target.service.is_some() && target.operation.is_some();
        return if named { xml(StatusCode::NOT_FOUND, NOT_THIS_FORM) } else { xml(StatusCode::FORBIDDEN, NO_OPERATION) };
    }
    if form == Form::Json
        && let Some((Service::Kinesis, operation)) = operation
        && let Some(put) = plain::read(operation.name(), &body)
    {
        return form.answer(call, operation.name(), run_plain(call, operation.name(), put, &body).await);
    }
    let Some(node) = form.read(&body) else { return form.refuse(call, &AwsError::bare("SerializationException")) };
    let Some(operation) = operation.filter(|_| form != Form::Plain) else {
        target.say_what_is_missing(call);
        return form.refuse(call, &AwsError::unknown_operation());
    };
    form.answer(call, operation.1.name(), run(call, operation, node, &body).await)
}

async fn run(
    call: &Call<'_>,
    (service, operation): (Service, &Operation),
    node: Node<'_>,
    body: &Bytes,
) -> Result<Answer, AwsError> {
    let name = operation.name();
    let asked = Context { call, caller: check(call, service, name, body)? };
    let input = operation.read(node)?;
    match service {
        Service::Kinesis => kinesis::operations::run(&asked, name, input).await,
        Service::Firehose => firehose::operations::run(&asked, name, input).await.map(Answer::Value),
    }
}

async fn run_plain(call: &Call<'_>, operation: &str, put: Plain, body: &Bytes) -> Result<Answer, AwsError> {
    let asked = Context { call, caller: check(call, Service::Kinesis, operation, body)? };
    kinesis::operations::run_plain(&asked, operation, put).await
}

fn check(call: &Call<'_>, service: Service, operation: &str, body: &Bytes) -> Result<Caller, AwsError> {
    access::check(&call.shared.access, call.shared.producer.now(), call.parts, service.name(), operation, body)
}

/// What a request is for, as far as it says so: `Kinesis_20131202.PutRecord`.
struct Target<'a> {
    service: Option<&'a str>,
    operation: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let stated = headers.get(TARGET).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (service, operation) = stated.split_once('.').unwrap_or((stated, ""));
        let there = |text: &'a str| (!text.is_empty()).then_some(text);
        Self { service: there(service), operation: there(operation) }
    }

    fn operation(&self) -> Option<(Service, &'static Operation)> {
        let service = Service::of(self.service?)?;
        Some((service, service.model().operation(self.operation?)?))
    }

    /// Says it in the log, because AWS's answer has no place for it.
    fn say_what_is_missing(&self, call: &Call<'_>) {
        let Some(service) = self.service else { return };
        let (service, operation) = (shown(service), shown(self.operation.unwrap_or_default()));
        let hint = "of AWS's services this version has Kinesis, without channels and queues, and Firehose";
        call.metrics.warn(format_args!("'{service}.{operation}' is not served: {hint}"));
    }
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(TARGET_SHOWN_MAX)]
}

/// The form of a request, by its content type, and so of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Cbor,
    /// `application/json`, in which no operation is served.
    Plain,
    /// Any other; what is said before the content type matters is said in CBOR, as AWS does.
    Other,
}

const JSON_TYPE: &str = "application/x-amz-json-1.1";
const CBOR_TYPE: &str = "application/x-amz-cbor-1.1";
const PLAIN_TYPE: &str = "application/json";

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = stated.split(';').next().unwrap_or_default().trim();
        let known = [(JSON_TYPE, Self::Json), (CBOR_TYPE, Self::Cbor), (PLAIN_TYPE, Self::Plain)];
        known.iter().find(|(name, _)| essence.eq_ignore_ascii_case(name)).map_or(Self::Other, |(_, form)| *form)
    }

    /// The body; `None` if it is neither a structure nor a list.
    fn read(self, body: &Bytes) -> Option<Node<'_>> {
        let node = if self == Self::Cbor { read::cbor(body) } else { read::json(body) };
        node.filter(|node| matches!(node, Node::Map(_) | Node::List(_)))
    }

    fn answer(self, call: &Call<'_>, operation: &'static str, outcome: Result<Answer, AwsError>) -> Response {
        match outcome {
            Ok(Answer::Value(value)) => self.print(StatusCode::OK, &value),
            Ok(Answer::Json(body)) => printed(StatusCode::OK, JSON_TYPE, body),
            Ok(Answer::Events(events)) => self.stream(events),
            Err(error) => {
                call.metrics.failed(operation, &error.kind);
                self.refuse(call, &error)
            }
        }
    }

    fn print(self, status: StatusCode, value: &Value) -> Response {
        let (name, body) = match self {
            // What an operation without an output answers.
            Self::Json | Self::Plain if *value == Value::Null => (JSON_TYPE, Vec::new()),
            Self::Cbor | Self::Other if *value == Value::Null => (CBOR_TYPE, Vec::new()),
            Self::Json => (JSON_TYPE, value.to_json()),
            Self::Plain => (PLAIN_TYPE, value.to_json()),
            Self::Cbor | Self::Other => (CBOR_TYPE, value.to_cbor()),
        };
        printed(status, name, body)
    }

    /// An answer of events, each as soon as it is there and the client takes it.
    fn stream(self, Events { name, events }: Events) -> Response {
        let (content, encode): (_, fn(&Value) -> Vec<u8>) = match self {
            Self::Json | Self::Plain => (PLAIN_TYPE, Value::to_json),
            Self::Cbor | Self::Other => (CBOR_TYPE, Value::to_cbor),
        };
        let first = event_stream::event("initial-response", content, &encode(&Value::map([])));
        let events = events.map(move |event| match event {
            Ok(event) => event_stream::event(name, content, &encode(&event)),
            Err(error) => event_stream::exception(&error, content, &encode(&error.body())),
        });
        let frames = stream::once(future::ready(first)).chain(events).map(Ok::<_, Infallible>);
        let kind = HeaderValue::from_static(event_stream::CONTENT_TYPE);
        ([(header::CONTENT_TYPE, kind)], Body::from_stream(frames)).into_response()
    }

    /// An error's answer. The log is told if the server is at fault.
    fn refuse(self, call: &Call<'_>, error: &AwsError) -> Response {
        if error.status.is_server_error() {
            call.metrics.warn(error.message.as_deref().unwrap_or(&error.kind));
        }
        let response = match self {
            Self::Plain => {
                let unknown = error.kind == "UnknownOperationException";
                let output = Value::map([("__type", format!("com.amazon.coral.service#{}", error.kind).into())]);
                let status = if unknown { StatusCode::NOT_FOUND } else { error.status };
                self.print(status, &Value::map([("Output", output), ("Version", "1.0".into())]))
            }
            _ => self.print(error.status, &error.body()),
        };
        if error.status == StatusCode::SERVICE_UNAVAILABLE { call.try_again_later(response) } else { response }
    }
}

fn printed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

fn xml(status: StatusCode, body: &'static str) -> Response {
    let mut response = (status, body).into_response();
    // AWS does not say what this is.
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}
