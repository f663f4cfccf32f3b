//! The server over real sockets on loopback: keep-alive, limits, slow clients, shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pinlake_core::MemoryLog;
use pinlake_ingest::DoorSettings;
use pinlake_ingest::http_server::{HttpLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::concurrency::Gated;
use crate::setup::{doors, stored};

/// A test that hangs fails; nothing is measured by this.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<usize>,
}

pub(crate) async fn start(router: Router, limits: HttpLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, None, router, limits, async {
        let _ = stopped.await;
    }));
    Server { address, stop, served }
}

pub(crate) fn memory() -> (Arc<MemoryLog>, Router) {
    let log = Arc::new(MemoryLog::new());
    (log.clone(), doors(log, DoorSettings::default()).router())
}

pub(crate) fn request(body: &str) -> String {
    format!(
        "POST /prod/topics/a.pin HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.kafka.json.v2+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) const BODY: &str = r#"{"records":[{"value":{"index":1}}]}"#;

/// Reads one answer: head and as many bytes as it states.
pub(crate) async fn answer(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = async {
        loop {
            let found = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = found.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return found;
                }
            }
            let mut part = [0; 4096];
            let count = client.read(&mut part).await.unwrap();
            assert!(count > 0, "closed after {found:?}");
            text.extend_from_slice(&part[..count]);
        }
    };
    tokio::time::timeout(FOREVER, read).await.unwrap()
}

/// Everything until the server closes.
async fn until_closed(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is a close too.
    let _ = tokio::time::timeout(FOREVER, client.read_to_end(&mut text)).await.expect("the server closes");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let (log, router) = memory();
    let server = start(router, HttpLimits::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    for offset in 0..3 {
        client.write_all(request(BODY).as_bytes()).await.unwrap();
        let text = answer(&mut client).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains(&format!("\"offset\":{offset},")), "{text}");
    }
    assert_eq!(stored(&*log).await.len(), 3);
    server.stop.send(()).unwrap();
    assert_eq!(server.served.await.unwrap(), 0);
    assert_eq!(until_closed(&mut client).await, "", "an idle connection is closed at shutdown");
}

#[tokio::test]
async fn a_large_body_in_many_parts_arrives_whole() {
    let (log, router) = memory();
    let server = start(router, HttpLimits::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let value = "x".repeat(3 << 20);
    client.write_all(request(&format!("{{\"records\":[{{\"value\":\"{value}\"}}]}}")).as_bytes()).await.unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(stored(&*log).await, [format!("a.pin/0 - \"{value}\"")]);
    // The same without a stated length.
    let chunked = "POST /topics/a.pin HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.kafka.json.v2+json\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(format!("{chunked}10\r\n{}\r\n13\r\n{}\r\n0\r\n\r\n", &BODY[..16], &BODY[16..]).as_bytes()).await.unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(stored(&*log).await[1], "a.pin/0 - {\"index\":1}");
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_cut_off() {
    let limits = HttpLimits { header_read_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let server = start(memory().1, limits).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"POST /topics/a.pin HTTP/1.1\r\nhost:").await.unwrap();
    let text = until_closed(&mut client).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
}

#[tokio::test]
async fn a_client_that_never_ends_its_body_is_cut_off() {
    for limits in [
        HttpLimits { body_idle_timeout: Duration::from_millis(50), ..HttpLimits::default() },
        HttpLimits { body_read_timeout: Duration::from_millis(50), ..HttpLimits::default() },
    ] {
        let (log, router) = memory();
        let server = start(router, limits).await;
        let mut client = TcpStream::connect(server.address).await.unwrap();
        let whole = request(BODY);
        client.write_all(&whole.as_bytes()[..whole.len() - 5]).await.unwrap();
        let text = until_closed(&mut client).await;
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
        assert!(text.contains("\"error_code\":408"), "{text}");
        assert!(stored(&*log).await.is_empty());
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let limits = HttpLimits { write_stall_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let large = "x".repeat(64 << 20);
    let router = Router::new().fallback(async move || large.clone());
    let server = start(router, limits).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    client.read_u8().await.expect("the server begins to answer");
    server.stop.send(()).unwrap();
    let cut_off = tokio::time::timeout(FOREVER, server.served).await.expect("nothing holds the shutdown up").unwrap();
    assert_eq!(cut_off, 0, "the connection ended by itself, before the drain timeout");
    drop(client);
}

#[tokio::test]
async fn a_connection_over_the_cap_is_503() {
    let server = start(memory().1, HttpLimits { connections_max: 1, ..HttpLimits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(request(BODY).as_bytes()).await.unwrap();
    answer(&mut first).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let text = until_closed(&mut second).await;
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"), "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
    first.write_all(request(BODY).as_bytes()).await.unwrap();
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"), "the first goes on");
    drop(first);
    // The place comes back once the server has seen the close.
    let admitted = async {
        loop {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            if client.write_all(request(BODY).as_bytes()).await.is_err() {
                continue;
            }
            let mut start = [0; 12];
            if client.read_exact(&mut start).await.is_ok() && start == *b"HTTP/1.1 200" {
                return;
            }
        }
    };
    tokio::time::timeout(FOREVER, admitted).await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_shutdown_began() {
    let log = Gated::new();
    let server = start(doors(log.clone(), DoorSettings::default()).router(), HttpLimits::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(request(BODY).as_bytes()).await.unwrap();
    log.arrived(1).await;
    server.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(FOREVER, refused).await.expect("the listener is closed");
    log.gate.add_permits(1);
    let text = until_closed(&mut client).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert_eq!(server.served.await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_hangs_is_cut_off_at_the_drain_timeout() {
    let log = Gated::new();
    let limits = HttpLimits { drain_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let server = start(doors(log.clone(), DoorSettings::default()).router(), limits).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(request(BODY).as_bytes()).await.unwrap();
    log.arrived(1).await;
    server.stop.send(()).unwrap();
    assert_eq!(until_closed(&mut client).await, "");
    assert_eq!(server.served.await.unwrap(), 1);
}
