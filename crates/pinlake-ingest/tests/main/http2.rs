//! The server over HTTP/2 by prior knowledge: on the port of HTTP/1.1, with the same bounds. Clients that behave are hyper's; the others
//! write their frames themselves.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Version};
use axum::routing::get;
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::BodyExt;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinlake_ingest::DoorSettings;
use pinlake_ingest::http_server::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::concurrency::Gated;
use crate::server::{BODY, FOREVER, Server, answer, memory, request, start};
use crate::setup::{KAFKA_JSON, doors, stored};

async fn client(server: &Server) -> SendRequest<Body> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn post(body: Body) -> Request {
    Request::post("http://a.example:8080/topics/a.pin").header("content-type", KAFKA_JSON).body(body).unwrap()
}

async fn exchange(client: &mut SendRequest<Body>, request: Request) -> (StatusCode, Bytes) {
    let response = tokio::time::timeout(FOREVER, client.send_request(request)).await.unwrap().unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.version, Version::HTTP_2);
    (parts.status, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_at_once() {
    let log = Gated::new();
    let server = start(doors(log.clone(), DoorSettings::default()).router(), HttpLimits::default()).await;
    let client = client(&server).await;
    let mut clients = vec![client; 20];
    let answers = clients.iter_mut().map(|client| exchange(client, post(BODY.into())));
    let opened = async {
        log.arrived(1).await;
        log.gate.add_permits(20);
    };
    let (answers, ()) = futures::join!(join_all(answers), opened);
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK), "{answers:?}");
    assert_eq!(stored(&*log).await.len(), 20);
}

#[tokio::test]
async fn both_versions_are_served_on_one_port() {
    let (log, router) = memory();
    let server = start(router, HttpLimits::default()).await;
    assert_eq!(exchange(&mut client(&server).await, post(BODY.into())).await.0, StatusCode::OK);
    let mut other = TcpStream::connect(server.address).await.unwrap();
    // A method that begins as the preface does.
    other.write_all(b"P").await.unwrap();
    other.write_all(&request(BODY).as_bytes()[1..]).await.unwrap();
    assert!(answer(&mut other).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(stored(&*log).await.len(), 2);
}

#[tokio::test]
async fn a_request_is_as_that_of_the_other_version() {
    let router = Router::new().fallback(async |request: Request| {
        format!("{} {} {}", request.headers()["host"].to_str().unwrap(), request.uri().path(), request.uri().query().unwrap())
    });
    let server = start(router, HttpLimits::default()).await;
    let request = Request::get("http://a.example:8080/a?b=c").body(Body::empty()).unwrap();
    assert_eq!(exchange(&mut client(&server).await, request).await.1, "a.example:8080 /a b=c");
}

#[tokio::test]
async fn large_bodies_pass_whole_in_both_directions() {
    let router = Router::new().fallback(async |body: Body| body.collect().await.unwrap().to_bytes());
    let server = start(router, HttpLimits::default()).await;
    let large: Bytes = (0..3_u32 << 20).map(|at| (at % 251) as u8).collect();
    let mut client = client(&server).await;
    assert!(exchange(&mut client, post(Body::from(large.clone()))).await.1 == large);
    let parts = futures::stream::iter((0..100).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[7; 1000]))));
    assert_eq!(exchange(&mut client, post(Body::from_stream(parts))).await.1.len(), 100_000);
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_and_others_go_on() {
    let limits = HttpLimits { body_idle_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let (log, router) = memory();
    let server = start(router, limits).await;
    let mut client = client(&server).await;
    let stuck = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    assert_eq!(exchange(&mut client, post(stuck)).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(exchange(&mut client, post(BODY.into())).await.0, StatusCode::OK);
    assert_eq!(stored(&*log).await.len(), 1);
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_shutdown_began() {
    let log = Gated::new();
    let server = start(doors(log.clone(), DoorSettings::default()).router(), HttpLimits::default()).await;
    let mut client = client(&server).await;
    let waits = exchange(&mut client, post(BODY.into()));
    let shut_down = async {
        log.arrived(1).await;
        server.stop.send(()).unwrap();
        let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
        tokio::time::timeout(FOREVER, refused).await.expect("the listener is closed");
        log.gate.add_permits(1);
    };
    let ((status, _), ()) = futures::join!(waits, shut_down);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(server.served.await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_hangs_is_dropped_at_the_drain_timeout() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let router = Router::new().fallback(async move || {
        let (alive, dropped) = oneshot::channel::<()>();
        arrived.send(dropped).unwrap();
        std::future::pending::<()>().await;
        drop(alive);
    });
    let limits = HttpLimits { drain_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let server = start(router, limits).await;
    let mut client = client(&server).await;
    let hanging = tokio::spawn(async move { client.send_request(post(BODY.into())).await.is_err() });
    let dropped = arrivals.recv().await.unwrap();
    server.stop.send(()).unwrap();
    assert_eq!(server.served.await.unwrap(), 1);
    assert!(hanging.await.unwrap());
    assert!(tokio::time::timeout(FOREVER, dropped).await.expect("the request's task ends").is_err());
}

/// A client that writes its frames itself.
struct Raw {
    stream: TcpStream,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// `GET http://x/` by the static table.
const GET: &[u8] = b"\x82\x86\x84\x41\x01x";
/// `POST http://x/`.
const POST: &[u8] = b"\x83\x86\x84\x41\x01x";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Raw {
    /// With windows of this size for answers. The preface comes byte by byte.
    async fn connect(server: &Server, window: u32) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self { stream };
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            raw.stream.write_all(&[*byte]).await.unwrap();
        }
        raw.send(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat()).await;
        raw
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, content: &[u8]) {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame of this kind: its stream and what it holds; `None` if the connection ends before.
    async fn next(&mut self, kind: u8) -> Option<(u32, Vec<u8>)> {
        let next = async {
            loop {
                let mut head = [0; 9];
                self.stream.read_exact(&mut head).await.ok()?;
                let mut content = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                self.stream.read_exact(&mut content).await.ok()?;
                if head[3] == kind {
                    return Some((u32::from_be_bytes(head[5..].try_into().unwrap()), content));
                }
            }
        };
        tokio::time::timeout(FOREVER, next).await.unwrap()
    }
}

#[tokio::test]
async fn streams_over_the_cap_are_refused() {
    let server = start(memory().1, HttpLimits { streams_max: 1, ..HttpLimits::default() }).await;
    let mut client = Raw::connect(&server, 1 << 16).await;
    let (_, settings) = client.next(SETTINGS).await.unwrap();
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 1]), "{settings:?}");
    // Their bodies do not come.
    for stream in [1, 3] {
        client.send(HEADERS, END_HEADERS, stream, POST).await;
    }
    assert_eq!(client.next(RST_STREAM).await, Some((3, REFUSED_STREAM.to_vec())));
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let limits = HttpLimits {
        header_read_timeout: Duration::from_millis(50),
        drain_timeout: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let server = start(memory().1, limits).await;
    let mut client = Raw::connect(&server, 1 << 16).await;
    assert!(client.next(GOAWAY).await.is_some());
    assert_eq!(client.next(DATA).await, None, "a client that does not answer is cut off");
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"PRI * HT").await.unwrap();
    assert_eq!(tokio::time::timeout(FOREVER, silent.read(&mut [0; 100])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let limits = HttpLimits { write_stall_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let large = Bytes::from(vec![0; 1 << 20]);
    let router = Router::new().route("/", get(async move || large));
    let server = start(router, limits).await;
    // None of the answer is taken, and part of it.
    for window in [0, 1000] {
        let mut client = Raw::connect(&server, window).await;
        for stream in [1, 3] {
            client.send(HEADERS, END_HEADERS | END_STREAM, stream, GET).await;
            assert_eq!(client.next(RST_STREAM).await, Some((stream, CANCEL.to_vec())), "the connection goes on");
        }
    }
}

#[tokio::test]
async fn a_stream_that_has_nothing_to_say_yet_is_not_given_up() {
    let limits = HttpLimits { write_stall_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let (parts, taken) = mpsc::unbounded_channel::<Bytes>();
    let taken = Arc::new(Mutex::new(taken));
    let slow = async move || {
        Body::from_stream(futures::stream::poll_fn(move |context| {
            taken.lock().unwrap().poll_recv(context).map(|part| part.map(Ok::<_, Infallible>))
        }))
    };
    let large = Bytes::from(vec![0; 1 << 20]);
    let router = Router::new().route("/", get(async move || large)).route("/slow", get(slow));
    let server = start(router, limits).await;
    let mut client = client(&server).await;
    let response = client.send_request(Request::get("http://x/slow").body(Body::empty()).unwrap()).await.unwrap();
    parts.send(Bytes::from_static(b"first")).unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    // An answer that began to wait after it, and is given up, measures the time.
    let mut other = Raw::connect(&server, 0).await;
    other.send(HEADERS, END_HEADERS | END_STREAM, 1, GET).await;
    other.next(RST_STREAM).await.unwrap();
    parts.send(Bytes::from_static(b"last")).unwrap();
    drop(parts);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "last");
}
