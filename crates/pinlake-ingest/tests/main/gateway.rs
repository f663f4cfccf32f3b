//! What stands before the doors: API keys, usage plans, CORS and the time limit, in a gateway's own words.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::StreamExt;
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, MemoryLog};
use pinlake_ingest::{
    AccessMode, AccessSettings, ApiKey, DoorSettings, Doors, GatewaySettings, KinesisSettings, Period, Quota, Throttle, UsagePlan,
};

use crate::concurrency::Gated;
use crate::setup::{KAFKA_JSON, NOW, auto_create, doors, groups, open, send, stored, streams};

fn key(name: &str, key: &str, plan: Option<&str>) -> ApiKey {
    ApiKey { name: name.to_owned(), key: Secret::new(key), plan: plan.map(str::to_owned) }
}

fn behind(gateway: GatewaySettings) -> DoorSettings {
    DoorSettings { gateway, ..DoorSettings::default() }
}

fn put(key: Option<&str>) -> Request<Body> {
    let request = Request::put("/prod/streams/streaming-a/record");
    let request = key.into_iter().fold(request, |request, key| request.header("X-Api-Key", key));
    request.body(Body::from(r#"{"Data":1,"PartitionKey":"k"}"#)).unwrap()
}

/// Status, `x-amzn-ErrorType` and the message.
async fn answer(router: &Router, request: Request<Body>) -> (u16, String, String) {
    let (status, headers, body) = send(router, request).await;
    let kind = headers.get("x-amzn-errortype").map_or("", |kind| kind.to_str().unwrap());
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    (status.as_u16(), kind.to_owned(), body["message"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, kind: &str, message: &str) -> (u16, String, String) {
    (status, kind.to_owned(), message.to_owned())
}

#[tokio::test]
async fn without_a_known_api_key_every_door_is_closed() {
    let keys = vec![key("a", "first-key", None), key("b", "second-key", None)];
    let (log, router) = open(behind(GatewaySettings { keys, ..GatewaySettings::default() }));
    let forbidden = refused(403, "ForbiddenException", "Forbidden");
    for sent in [None, Some(""), Some("first-ke"), Some("first-key2"), Some("FIRST-KEY")] {
        assert_eq!(answer(&router, put(sent)).await, forbidden, "{sent:?}");
    }
    for path in ["/topics", "/stage/brokers", "/consumers/g", "/v3/clusters", "/streams", "/pin/"] {
        assert_eq!(answer(&router, Request::get(path).body(Body::empty()).unwrap()).await, forbidden, "{path}");
    }
    assert!(stored(&*log).await.is_empty());
    for sent in ["first-key", "second-key"] {
        assert_eq!(answer(&router, put(Some(sent))).await.0, 200);
    }
    assert_eq!(stored(&*log).await.len(), 2);
}

/// Doors whose clock the test has.
fn with_clock(gateway: GatewaySettings) -> (Clock, Router) {
    let log = Arc::new(MemoryLog::new());
    let clock = Clock::manual(NOW);
    let doors = Doors::new(log.clone(), clock.clone(), behind(gateway), auto_create(), groups(log.clone()), streams(log));
    (clock, doors.router())
}

#[tokio::test]
async fn each_key_has_its_plans_rate_and_quota_for_itself() {
    let throttle = Some(Throttle { rate: 1.0, burst: 2 });
    let plan = UsagePlan { name: "small".to_owned(), throttle, quota: Some(Quota { limit: 4, period: Period::Day }) };
    let keys = vec![key("a", "a", Some("small")), key("b", "b", Some("small")), key("c", "c", None)];
    let (clock, router) = with_clock(GatewaySettings { keys, plans: vec![plan], ..GatewaySettings::default() });
    let status = async |key| answer(&router, put(Some(key))).await.0;
    assert_eq!([status("a").await, status("a").await], [200, 200]);
    let throttled = refused(429, "TooManyRequestsException", "Too Many Requests");
    assert_eq!(answer(&router, put(Some("a"))).await, throttled);
    assert_eq!(send(&router, put(Some("a"))).await.1["retry-after"], "1");
    assert_eq!([status("b").await, status("b").await, status("b").await], [200, 200, 429]);
    for _ in 0..9 {
        assert_eq!(status("c").await, 200, "without a plan");
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!([status("a").await, status("a").await], [200, 200], "what was refused by the rate is not counted");
    clock.advance(Duration::from_secs(2));
    assert_eq!(answer(&router, put(Some("a"))).await, refused(429, "LimitExceededException", "Limit Exceeded"));
    clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(status("a").await, 200);
}

#[tokio::test]
async fn all_requests_together_have_a_rate_too() {
    let throttle = Some(Throttle { rate: 0.5, burst: 1 });
    let (clock, router) = with_clock(GatewaySettings { throttle, ..GatewaySettings::default() });
    let status = async || answer(&router, put(None)).await.0;
    assert_eq!([status().await, status().await], [200, 429]);
    clock.advance(Duration::from_secs(2));
    assert_eq!([status().await, status().await], [200, 429]);
}

#[tokio::test]
async fn pages_of_allowed_origins_are_told_so() {
    let gateway = GatewaySettings {
        keys: vec![key("a", "a", None)],
        cors: vec!["https://app.example".to_owned()],
        ..GatewaySettings::default()
    };
    let (_, router) = open(behind(gateway));
    let preflight = Request::options("/topics/a.pin").header("origin", "https://app.example");
    let preflight = preflight.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
    let (status, headers, _) = send(&router, preflight).await;
    assert_eq!((status.as_u16(), &headers["access-control-allow-methods"]), (204, &"POST".parse().unwrap()), "without a key");
    for (sent, expected) in [(Some("a"), 200), (None, 403)] {
        let mut request = put(sent);
        request.headers_mut().insert("origin", "https://app.example".parse().unwrap());
        let (status, headers, _) = send(&router, request).await;
        assert_eq!(status, expected);
        assert_eq!(headers["access-control-allow-origin"], "https://app.example");
    }
}

/// A body whose last part comes after some time.
fn slow(body: &'static str, seconds: u64) -> Body {
    let (first, rest) = body.split_at(1);
    let rest = async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(Bytes::from(rest))
    };
    let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(first))]);
    Body::from_stream(first.chain(futures::stream::once(rest)))
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_504() {
    let log = Gated::new();
    let router = doors(log.clone(), DoorSettings::default()).router();
    let kafka = |body| Request::post("/topics/a.pin").header("content-type", KAFKA_JSON).body(body).unwrap();
    let timed_out = refused(504, "InternalServerErrorException", "Endpoint request timed out");
    let late = async |request| {
        let started = tokio::time::Instant::now();
        assert_eq!(answer(&router, request).await, timed_out);
        started.elapsed().as_secs()
    };
    assert_eq!(late(put(None)).await, 29);
    assert_eq!(late(kafka(Body::from(r#"{"records":[{}]}"#))).await, 29);
    assert_eq!(late(Request::post("/pin/").body(Body::from("{}")).unwrap()).await, 29);
    assert_eq!(late(kafka(slow(r#"{"records":[{}]}"#, 100))).await, 129, "what the client takes to send it is not counted");
    log.gate.add_permits(1000);
    assert_eq!(answer(&router, put(None)).await.0, 200, "the door works on");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_answer_may_be_unlimited() {
    let log = Gated::new();
    let gateway = GatewaySettings { timeout: Duration::ZERO, ..GatewaySettings::default() };
    let router = doors(log.clone(), behind(gateway)).router();
    let waiting = tokio::spawn(async move { answer(&router, put(None)).await });
    log.arrived(1).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(!waiting.is_finished());
    log.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().0, 200);
}

/// They have signatures of their own.
#[tokio::test]
async fn awss_own_protocols_ask_for_a_signature_and_for_no_api_key() {
    let asks = || {
        let request = Request::post("/").header("x-amz-target", "Kinesis_20131202.ListStreams");
        request.header("content-type", "application/x-amz-json-1.1").body(Body::from("{}")).unwrap()
    };
    let kinesis = |mode| KinesisSettings { access: AccessSettings { mode, keys: Vec::new() }, ..KinesisSettings::default() };
    let gateway = GatewaySettings { keys: vec![key("a", "a", None)], ..GatewaySettings::default() };
    for (mode, kind) in [
        (AccessMode::Signed, Some("MissingAuthenticationTokenException")),
        (AccessMode::Closed, Some("AccessDeniedException")),
        (AccessMode::Open, None),
    ] {
        let (_, router) = open(DoorSettings { kinesis: kinesis(mode), ..behind(gateway.clone()) });
        let (status, _, body) = send(&router, asks()).await;
        let refused = kind.is_some_and(|kind| status == 400 && body.starts_with(&format!("{{\"__type\":\"{kind}\"")));
        let let_in = kind.is_none() && !body.contains("MissingAuthentication") && !body.contains("Denied");
        assert!((refused || let_in) && !body.contains("Forbidden"), "{mode:?}: {status} {body}");
    }
}
