//! Serves a router over HTTP/1.1, and over HTTP/2 to clients that begin with it, with everything bounded: connections, the time for heads
//! and bodies, the time a client may let an answer wait. Knows nothing of what is served.

mod http2;
mod stall;
#[cfg(test)]
mod tests;
mod timed_body;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

pub use timed_body::BodyTimedOut;

use crate::tls::Tls;

pub(crate) use stall::StallGuard;
use timed_body::TimedBody;

/// Limits of one listener.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Connections at once; one more is answered 503 and closed. Default 1,024.
    pub connections_max: usize,
    /// Requests at once of one connection over HTTP/2; one more is refused, and its client tries again. Default 100.
    pub streams_max: u32,
    /// The time for a request's head, and how long a connection may stay idle between requests. Default 60 s.
    pub header_read_timeout: Duration,
    /// The longest pause within a body. Default 20 s.
    pub body_idle_timeout: Duration,
    /// The time for a whole body. Default 5 min.
    pub body_read_timeout: Duration,
    /// How long a client may take nothing of an answer. Default 30 s.
    pub write_stall_timeout: Duration,
    /// How long requests under way may go on after the shutdown began. Default 20 s.
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            streams_max: 100,
            header_read_timeout: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(20),
            body_read_timeout: Duration::from_secs(300),
            write_stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

const OVER_THE_CAP: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n\
content-length: 80\r\n\r\n{\"error_code\":503,\"message\":\"as many connections as may be are open, try later\"}";

/// How long to wait after an accept failed: whatever is missing, file handles, memory or the network, needs time to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener`, encrypted if there is a certificate, until `shutdown` is there; then takes no more connections, lets
/// requests under way finish within the drain timeout and cuts off the rest. Answers how many connections were cut off.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, _) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted(|| listener.accept()) => accepted,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            // If the few bytes don't fit an empty send buffer, the client is told by the close alone.
            if tls.is_none() {
                let _ = stream.try_write(OVER_THE_CAP);
            }
            continue;
        };
        let connection = connection(stream, tls.clone(), router.clone(), limits.clone(), closing.subscribe());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(limits.drain_timeout, drained).await.is_ok();
    let cut_off = if in_time { 0 } else { connections.len() };
    connections.shutdown().await;
    cut_off
}

/// What `accept` takes in, however often it fails before: no error is the listener's own. Most are what Linux knows of a connection that
/// is gone already, among them errors of the network and of a firewall.
pub(crate) async fn accepted<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("no connection can be taken now: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<Tls>, router: Router, limits: HttpLimits, mut closing: watch::Receiver<bool>) {
    // Answers are small and wait for nothing else.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        let (reader, writer) = stream.into_split();
        return requests(reader, writer, router, limits, closing).await;
    };
    let encrypted = tokio::select! {
        encrypted = tokio::time::timeout(limits.header_read_timeout, tls.acceptor.accept(stream)) => encrypted,
        () = closed(&mut closing) => return,
    };
    match encrypted {
        Ok(Ok(stream)) => {
            let (reader, writer) = tokio::io::split(stream);
            requests(reader, writer, router, limits, closing).await;
        }
        Ok(Err(error)) => tracing::debug!("a connection could not be encrypted: {error}"),
        Err(_) => tracing::debug!("a connection was not encrypted in time"),
    }
}

/// Serves the requests of one connection, in the version of HTTP that it begins with.
async fn requests<R, W>(mut reader: R, writer: W, router: Router, limits: HttpLimits, mut closing: watch::Receiver<bool>)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let first = tokio::select! {
        first = tokio::time::timeout(limits.header_read_timeout, first_bytes(&mut reader)) => first,
        () = closed(&mut closing) => return,
    };
    let Ok(Ok(first)) = first else { return };
    let is_http2 = first == http2::PREFACE;
    let whole = tokio::io::join(io::Cursor::new(first).chain(reader), writer);
    let io = TokioIo::new(StallGuard::new(whole, limits.write_stall_timeout));
    let served = if is_http2 {
        http2::connection(io, router, &limits, &mut closing).await
    } else {
        http1_connection(io, router, &limits, &mut closing).await
    };
    if let Err(error) = served {
        tracing::debug!("connection ended: {error}");
    }
}

/// What a connection begins with: all of HTTP/2's preface, or as much as was read until it was seen to be none.
async fn first_bytes<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(http2::PREFACE.len());
    while first.len() < http2::PREFACE.len() && http2::PREFACE.starts_with(&first) {
        let missing = http2::PREFACE.len() - first.len();
        if (&mut *stream).take(missing as u64).read_buf(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}

async fn http1_connection<S: AsyncRead + AsyncWrite + Unpin>(
    io: TokioIo<S>,
    router: Router,
    limits: &HttpLimits,
    closing: &mut watch::Receiver<bool>,
) -> hyper::Result<()> {
    let (idle, whole) = (limits.body_idle_timeout, limits.body_read_timeout);
    let answer = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let request: Request = request.map(|body| Body::new(TimedBody::new(body, idle, whole)));
        // A router is always ready, so it can be called at once.
        router.clone().call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_read_timeout);
    let mut serving = std::pin::pin!(http.serve_connection(io, answer));
    tokio::select! {
        served = &mut serving => return served,
        () = closed(closing) => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Whether an accept failed by the connection that was taken, and the next may be there already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
