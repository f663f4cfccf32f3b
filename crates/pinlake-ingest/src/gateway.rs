//! What an API Gateway's stage does before a request comes to what is behind it: CORS, API keys, usage plans, a time limit. It must not know
//! what the doors do, nor read a body.

mod condition;
mod cors;
mod plan;
mod until_read;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use pinlake_core::{Clock, Timestamp};
use ring::hmac;
use uuid::Uuid;

use crate::settings::{ApiKey, DoorSettings, GatewaySettings, UsagePlan};

pub(crate) use condition::Condition;
use cors::Cors;
use plan::{Bucket, Counter};
use until_read::until_read;

const API_KEY: &str = "x-api-key";

/// Stands before the doors. What it counts is in memory: a restart begins all quotas anew.
pub(crate) struct Gateway {
    clock: Clock,
    /// `None` if nobody is asked for a key.
    keys: Option<Keys>,
    /// For all requests together.
    stage: Option<Mutex<Bucket>>,
    cors: Cors,
    /// Zero: answers may take as long as they will.
    timeout: Duration,
    retry_after: HeaderValue,
}

/// The API keys, by their MACs under a key that nobody knows: how long it takes to find one tells nothing about it.
struct Keys {
    mac: hmac::Key,
    limits: HashMap<Vec<u8>, Mutex<Limits>>,
}

/// What one API key may still use.
#[derive(Default)]
struct Limits {
    bucket: Option<Bucket>,
    counter: Option<Counter>,
}

/// Why a request does not come through, and what to do.
type Refused = (Condition, &'static str);

impl Gateway {
    pub(crate) fn new(settings: &DoorSettings, clock: Clock) -> Self {
        let GatewaySettings { keys, plans, throttle, cors, timeout } = &settings.gateway;
        let now = clock.now();
        Self {
            clock,
            keys: (!keys.is_empty()).then(|| Keys::new(keys, plans, now)),
            stage: throttle.map(|throttle| Mutex::new(Bucket::new(throttle, now))),
            cors: Cors::new(cors),
            timeout: *timeout,
            retry_after: HeaderValue::from(settings.retry_after.as_secs()),
        }
    }

    /// Answers a request: as `door` does, if it comes through. One that is `open_ended` may take its time.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        parts: &Parts,
        body: Body,
        open_ended: bool,
        door: impl FnOnce(Body) -> F,
    ) -> Response {
        if let Some(answer) = self.cors.preflight(parts) {
            return answer;
        }
        let mut response = match self.admit(parts) {
            Err((condition, hint)) => self.refuse(condition, hint),
            Ok(()) if open_ended || self.timeout.is_zero() => door(body).await,
            Ok(()) => self.in_time(body, door).await,
        };
        self.cors.allow(&parts.headers, response.headers_mut());
        response
    }

    /// Whether a request may go on. What is refused by a rate is not counted in a quota.
    fn admit(&self, parts: &Parts) -> Result<(), Refused> {
        let now = self.clock.now();
        let limits = self.keys.as_ref().map(|keys| keys.limits_of(parts)).transpose()?;
        let mut limits = limits.map(|limits| limits.lock().unwrap_or_else(PoisonError::into_inner));
        let own = limits.as_mut().and_then(|limits| limits.bucket.as_mut());
        if own.is_some_and(|bucket| !bucket.take(now)) {
            return Err((
                Condition::TooManyRequests,
                "this API key's usage plan allows fewer requests a second, try again later",
            ));
        }
        let mut stage = self.stage.as_ref().map(|stage| stage.lock().unwrap_or_else(PoisonError::into_inner));
        if stage.as_mut().is_some_and(|bucket| !bucket.take(now)) {
            return Err((Condition::TooManyRequests, "more requests a second come in than gateway.rate allows, try again later"));
        }
        let counter = limits.as_mut().and_then(|limits| limits.counter.as_mut());
        if counter.is_some_and(|counter| !counter.take(now)) {
            return Err((
                Condition::QuotaExceeded,
                "this API key has used its usage plan's quota, which begins anew with the next period",
            ));
        }
        Ok(())
    }

    fn refuse(&self, condition: Condition, hint: &str) -> Response {
        let mut response = condition.answer(hint);
        if condition == Condition::TooManyRequests {
            response.headers_mut().insert(header::RETRY_AFTER, self.retry_after.clone());
        }
        response
    }

    async fn in_time<F: Future<Output = Response>>(&self, body: Body, door: impl FnOnce(Body) -> F) -> Response {
        let (body, read) = until_read(body);
        let answered = pin!(door(body));
        let late = async {
            read.await;
            tokio::time::sleep(self.timeout).await;
        };
        tokio::select! {
            biased;
            response = answered => response,
            () = late => Condition::TimedOut.answer("no answer in gateway.timeout; what was sent may be stored nevertheless"),
        }
    }
}

impl Keys {
    fn new(keys: &[ApiKey], plans: &[UsagePlan], now: Timestamp) -> Self {
        let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let limits = keys.iter().map(|key| {
            let plan = plans.iter().find(|plan| Some(&plan.name) == key.plan.as_ref());
            let limits = plan.map_or_else(Limits::default, |plan| Limits {
                bucket: plan.throttle.map(|throttle| Bucket::new(throttle, now)),
                counter: plan.quota.map(Counter::new),
            });
            (hmac::sign(&mac, key.key.expose().as_bytes()).as_ref().to_vec(), Mutex::new(limits))
        });
        Self { limits: limits.collect(), mac }
    }

    fn limits_of(&self, parts: &Parts) -> Result<&Mutex<Limits>, Refused> {
        let Some(sent) = parts.headers.get(API_KEY) else {
            return Err((Condition::Forbidden, "send an API key of this server in the header x-api-key"));
        };
        let known = self.limits.get(hmac::sign(&self.mac, sent.as_bytes()).as_ref());
        known.ok_or((Condition::Forbidden, "the API key in the header x-api-key is none of this server's"))
    }
}
