//! SubscribeToShard over sockets, with the server's own limits and in a time that passes by itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinlake_core::MemoryLog;
use pinlake_ingest::http_server::HttpLimits;
use pinlake_ingest::{DoorSettings, Doors, KinesisSettings};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::server::start;
use crate::setup::{doors_with, groups, send, streams};

const CBOR: &str = "application/x-amz-cbor-1.1";

/// A message: its headers as text, and what it carries.
type Message = (String, Vec<u8>);

fn call(operation: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("http://127.0.0.1/")
        .header("host", "127.0.0.1")
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

async fn json(router: &Router, operation: &str, body: Value) -> Value {
    let (status, _, answer) = send(router, call(operation, "application/x-amz-json-1.1", body.to_string())).await;
    assert_eq!(status, 200, "{operation}: {answer}");
    serde_json::from_str(&answer).unwrap_or_default()
}

/// Doors with a stream `s` and a consumer of it, whose ARN is answered.
async fn stream_and_doors() -> (Doors, Router, String) {
    let kinesis = KinesisSettings { transition: Duration::ZERO, ..KinesisSettings::default() };
    let log = Arc::new(MemoryLog::new());
    let settings = DoorSettings { kinesis, ..DoorSettings::default() };
    let doors = doors_with(log.clone(), settings, groups(log.clone()), streams(log));
    let router = doors.router();
    json(&router, "CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
    let consumer = json(&router, "RegisterStreamConsumer", json!({"StreamARN": arn, "ConsumerName": "c"})).await;
    (doors, router, consumer["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned())
}

async fn stream() -> (Router, String) {
    let (_, router, consumer) = stream_and_doors().await;
    (router, consumer)
}

fn subscribe(consumer: &str) -> Value {
    json!({"ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "TRIM_HORIZON"}})
}

/// Takes the messages off what has come of an answer.
fn messages(bytes: &mut Vec<u8>) -> Vec<Message> {
    let mut found = Vec::new();
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    while bytes.len() >= 16 && bytes.len() >= number(bytes, 0) {
        let rest = bytes.split_off(number(bytes, 0));
        let message = std::mem::replace(bytes, rest);
        let head = 12 + number(&message, 4);
        let headers = String::from_utf8_lossy(&message[12..head]).replace(|letter: char| letter.is_control(), "");
        found.push((headers, message[head..message.len() - 4].to_vec()));
    }
    found
}

/// Reads an answer to its end; the time that each message came at.
async fn read(mut body: Incoming) -> Vec<(Duration, Message)> {
    let (begin, mut bytes, mut found) = (Instant::now(), Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        found.extend(messages(&mut bytes).into_iter().map(|message| (begin.elapsed(), message)));
    }
    assert!(bytes.is_empty(), "whole messages");
    found
}

/// Checks an answer of five minutes to a client that got one record.
fn check(found: &[(Duration, Message)]) {
    let (_, (headers, body)) = &found[0];
    assert!(headers.contains(":event-type") && headers.contains("initial-response"), "{headers}");
    assert_eq!(body, b"{}");
    let (_, (headers, body)) = &found[1];
    assert!(headers.contains("SubscribeToShardEvent") && headers.contains("application/json"), "{headers}");
    let event: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&event["Records"][0]["Data"], &event["MillisBehindLatest"]), (&json!("AP8="), &json!(0)));
    let (last, (_, body)) = found.last().unwrap();
    assert!(body.starts_with(b"{\"Records\":[],\"ContinuationSequenceNumber\":\""), "{}", String::from_utf8_lossy(body));
    assert!(*last >= Duration::from_secs(280) && *last < Duration::from_secs(330), "{last:?}");
    assert!(found.len() > 55, "{}", found.len());
}

#[tokio::test]
async fn no_limit_of_the_server_cuts_one_off_in_either_version_of_http() {
    for is_http2 in [false, true] {
        let (router, consumer) = stream().await;
        json(&router, "PutRecord", json!({"StreamName": "s", "Data": "AP8=", "PartitionKey": "a"})).await;
        let server = start(router, HttpLimits::default()).await;
        let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let request = call("SubscribeToShard", "application/x-amz-json-1.1", subscribe(&consumer).to_string());
        let response = if is_http2 {
            let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            client.send_request(request).await.unwrap()
        } else {
            let (mut client, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            client.send_request(request).await.unwrap()
        };
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].as_bytes()),
            (200, &b"application/vnd.amazon.eventstream"[..])
        );
        tokio::time::pause();
        check(&read(response.into_body()).await);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn the_end_of_the_server_ends_it_at_once() {
    let (doors, router, consumer) = stream_and_doors().await;
    let server = start(router, HttpLimits::default()).await;
    let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut client, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = call("SubscribeToShard", "application/x-amz-json-1.1", subscribe(&consumer).to_string());
    let response = client.send_request(request).await.unwrap();
    server.stop.send(()).unwrap();
    doors.close().await;
    assert_eq!(read(response.into_body()).await[0].1.1, b"{}");
    assert_eq!(server.served.await.unwrap(), 0, "nobody had to be cut off");
}

#[tokio::test]
async fn events_have_the_codec_of_their_call() {
    let (router, consumer) = stream().await;
    json(&router, "PutRecord", json!({"StreamName": "s", "Data": "AP8=", "PartitionKey": "a"})).await;
    // Maps of 3 and of 1 members; what is said here is shorter than 256 bytes.
    let text = |text: &str| [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let start = [vec![0xa1], text("Type"), text("TRIM_HORIZON")].concat();
    let body =
        [vec![0xa3], text("ConsumerARN"), text(&consumer), text("ShardId"), text("shardId-0"), text("StartingPosition"), start];
    let mut body = router.oneshot(call("SubscribeToShard", CBOR, body.concat())).await.unwrap().into_body();
    let mut found = Vec::new();
    while found.len() < 2 {
        let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
        found.extend(messages(&mut part.to_vec()));
    }
    assert!(found[0].0.contains(CBOR) && found[0].1 == b"\xa0", "{found:?}");
    let (headers, event) = &found[1];
    assert!(headers.contains("SubscribeToShardEvent") && headers.contains(CBOR), "{headers}");
    let holds = |wanted: &[u8]| event.windows(wanted.len()).any(|part| part == wanted);
    assert!(holds(b"\x64Data\x42\x00\xff"), "bytes as they are");
    assert!(holds(b"\x78\x1bApproximateArrivalTimestamp\xc1\x1b"), "milliseconds behind a tag");
}

#[tokio::test]
async fn what_is_refused_is_no_stream() {
    let (router, consumer) = stream().await;
    let body = subscribe(&consumer.replace("/c:", "/other:")).to_string();
    let (status, headers, body) = send(&router, call("SubscribeToShard", "application/x-amz-json-1.1", body)).await;
    assert_eq!((status.as_u16(), headers["content-type"].as_bytes()), (400, &b"application/x-amz-json-1.1"[..]));
    assert!(body.starts_with("{\"__type\":\"ResourceNotFoundException\""), "{body}");
}
