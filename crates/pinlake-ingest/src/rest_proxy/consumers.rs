//! Kafka REST v2's consumers: `/consumers/GROUP...`. Finds the instance of a path, reads what is asked of it and words its answer. What an
//! instance does is its own business:
//!
//! ```text
//! consumers -> registry -> instance (one task each) -> member (Groups), reading (Log)
//! ```

mod assignor;
mod bodies;
mod instance;
mod member;
mod messages;
mod pattern;
mod reading;
mod registry;
mod settings;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pinlake_core::TopicPartition;
use tokio::time::Instant;

use super::content_type::{answer_type, check_body_type, records_type};
use super::error::RestError;
use super::{ok, server_url, topics};
use crate::doors::Call;
use crate::groups::calls::GroupId;
use crate::path;
pub(super) use assignor::assigned;
use messages::{Message, ReadRequest, Reply, SeekTo};
pub(crate) use registry::Consumers;
use settings::InstanceSettings;

/// `/consumers...`
pub(crate) async fn answer(call: &Call<'_>, body: Body) -> Response {
    let segments: Vec<_> = call.segments.as_slice().iter().map(|segment| path::decode(segment)).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let answered = match segments.as_slice() {
        [group] if call.method == Method::POST => create(call, group, body).await,
        [_] => Err(RestError::method(call.parts, "POST", "POST makes a consumer instance")),
        [group, "instances", name, of @ ..] => {
            let instance = Instance { call, group, name };
            instance.answer(of, body).await
        }
        _ => Err(RestError::no_path(call.parts)),
    };
    answered.unwrap_or_else(|error| error.answer(call))
}

async fn create(call: &Call<'_>, group: &str, body: Body) -> Result<Response, RestError> {
    let accepted = answer_type(&call.parts.headers)?;
    let (body, _permit) = read(call, body).await?;
    let id = group_id(group)?;
    let settings = InstanceSettings::parse(&body)?;
    let name = settings.name.clone();
    let consumers = &call.shared.consumers;
    let server = server_url::of(call.parts, consumers.settings().advertised_url.as_deref(), "consumers");
    let uri = format!("{server}/consumers/{}/instances/{}", server_url::part(group), server_url::part(&name));
    consumers.create(id, settings)?;
    Ok(ok(accepted, serde_json::json!({"instance_id": name, "base_uri": uri}).to_string()))
}

/// An instance as a path names it.
struct Instance<'a> {
    call: &'a Call<'a>,
    group: &'a str,
    name: &'a str,
}

impl Instance<'_> {
    async fn answer(&self, of: &[&str], body: Body) -> Result<Response, RestError> {
        let method = self.call.method;
        match (method, of) {
            (&Method::DELETE, []) => self.done(Message::Close).await,
            (_, []) => Err(self.no_method("DELETE", "DELETE closes the instance")),
            (_, ["subscription"]) => self.subscription(body).await,
            (_, ["assignments"]) => self.assignments(body).await,
            (_, ["offsets"]) => self.offsets(body).await,
            (&Method::POST, ["positions"]) => {
                let targets = bodies::positions(&self.read(body).await?)?;
                self.done(|reply| Message::Seek(targets, reply)).await
            }
            (&Method::POST, ["positions", "beginning"]) => self.seek(body, SeekTo::Beginning).await,
            (&Method::POST, ["positions", "end"]) => self.seek(body, SeekTo::End).await,
            (_, ["positions"] | ["positions", "beginning" | "end"]) => Err(self.no_method("POST", "POST moves positions")),
            // A HEAD has no answer to take, and must not read past what it would hold.
            (&Method::GET, ["records"]) if self.call.parts.method == Method::GET => self.records().await,
            (_, ["records"]) => Err(self.no_method("GET", "GET reads records, POST /topics/TOPIC produces them")),
            _ => Err(RestError::no_path(self.call.parts)),
        }
    }

    async fn subscription(&self, body: Body) -> Result<Response, RestError> {
        match *self.call.method {
            Method::POST => {
                let wish = bodies::subscription(&self.read(body).await?)?;
                self.done(|reply| Message::Subscribe(wish, reply)).await
            }
            Method::GET => {
                let accepted = answer_type(&self.call.parts.headers)?;
                Ok(ok(accepted, bodies::topics_answer(&self.ask(Message::Subscription).await?)))
            }
            Method::DELETE => self.done(Message::Unsubscribe).await,
            _ => Err(self.no_method("GET, POST, DELETE", "POST subscribes, GET shows, DELETE ends the subscription")),
        }
    }

    async fn assignments(&self, body: Body) -> Result<Response, RestError> {
        match *self.call.method {
            Method::POST => {
                let partitions = bodies::partitions(&self.read(body).await?)?;
                self.check_there(&partitions).await?;
                self.done(|reply| Message::Assign(partitions.into_iter().collect(), reply)).await
            }
            Method::GET => {
                let accepted = answer_type(&self.call.parts.headers)?;
                Ok(ok(accepted, bodies::partitions_answer(&self.ask(Message::Assignment).await?)))
            }
            _ => Err(self.no_method("GET, POST", "POST assigns partitions, GET shows them")),
        }
    }

    async fn offsets(&self, body: Body) -> Result<Response, RestError> {
        let accepted = answer_type(&self.call.parts.headers)?;
        match *self.call.method {
            Method::POST => {
                let offsets = bodies::commit(&self.read(body).await?)?;
                let is_async = path::query_value(self.call.parts.uri.query(), "async").is_some_and(|value| value == "true");
                if is_async {
                    self.call.shared.consumers.tell(&self.id()?, self.name, |reply| Message::Commit(offsets, reply)).await?;
                } else {
                    self.ask(|reply| Message::Commit(offsets, reply)).await?;
                }
                Ok(ok(accepted, "[]".to_owned()))
            }
            Method::GET => {
                let body = self.read(body).await?;
                let partitions = if body.trim_ascii().is_empty() { None } else { Some(bodies::partitions(&body)?) };
                let committed = self.ask(|reply| Message::Committed(partitions, reply)).await?;
                Ok(ok(accepted, bodies::offsets_answer(&committed)))
            }
            _ => Err(self.no_method("GET, POST", "POST commits offsets, GET shows what is committed")),
        }
    }

    async fn seek(&self, body: Body, to: SeekTo) -> Result<Response, RestError> {
        let partitions = bodies::partitions(&self.read(body).await?)?;
        let targets = partitions.into_iter().map(|of| (of, to)).collect();
        self.done(|reply| Message::Seek(targets, reply)).await
    }

    async fn records(&self) -> Result<Response, RestError> {
        let (call, consumers) = (self.call, &self.call.shared.consumers);
        let id = self.id()?;
        let settings = consumers.settings_of(&id, self.name)?;
        let accepted = records_type(&call.parts.headers, settings.format)?;
        let number = |name: &str| match path::query_value(call.parts.uri.query(), name) {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                // Confluent's word for no limit.
                Ok(-1) => Ok(None),
                Ok(number) => u64::try_from(number).map(Some).map_err(|_| number_wanted(name)),
                Err(_) => Err(number_wanted(name)),
            },
        };
        let until = Instant::now() + settings.wait_of(number("timeout")?);
        let most = consumers.settings().response_bytes_max;
        let bytes_max = number("max_bytes")?.map_or(most, |bytes| usize::try_from(bytes).unwrap_or(most).min(most));
        let permit = call.shared.enter().map_err(RestError::refused)?;
        let request = ReadRequest { until, bytes_max, permit };
        let answer = consumers.ask(&id, self.name, |reply| Message::Read(request, reply)).await?;
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(accepted))], Body::from(answer.into_bytes())).into_response())
    }

    /// Refuses partitions that are not there.
    async fn check_there(&self, partitions: &[TopicPartition]) -> Result<(), RestError> {
        for of in partitions {
            topics::existing_partition(&self.call.shared.producer, of.topic.as_str(), &of.partition.to_string()).await?;
        }
        Ok(())
    }

    async fn read(&self, body: Body) -> Result<Bytes, RestError> {
        // What is made of it is small and bounded, so its room can go already.
        read(self.call, body).await.map(|(body, _)| body)
    }

    fn id(&self) -> Result<GroupId, RestError> {
        group_id(self.group)
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, RestError> {
        self.call.shared.consumers.ask(&self.id()?, self.name, message).await
    }

    /// Asks for what is answered 204.
    async fn done(&self, message: impl FnOnce(Reply<()>) -> Message) -> Result<Response, RestError> {
        answer_type(&self.call.parts.headers)?;
        self.ask(message).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn no_method(&self, allow: &'static str, hint: &str) -> RestError {
        RestError::method(self.call.parts, allow, hint)
    }
}

async fn read(call: &Call<'_>, body: Body) -> Result<(Bytes, crate::limits::Permit), RestError> {
    let read = call.shared.read(call.parts, body).await.map_err(RestError::refused)?;
    if !read.0.is_empty() {
        check_body_type(&call.parts.headers)?;
    }
    Ok(read)
}

fn group_id(group: &str) -> Result<GroupId, RestError> {
    GroupId::new(group).map_err(|error| RestError::of_group(&error))
}

fn number_wanted(name: &str) -> RestError {
    RestError::new(400, format!("'{name}' takes a number from 0 on, or -1 for no limit"))
}
