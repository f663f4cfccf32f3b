//! A connection over HTTP/2: requests at once, each a stream with a task of its own, bounded as connections of HTTP/1.1 are. What bounds
//! those by the socket alone, that nobody takes the answer or sends anything, is seen to here for each stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::Service;

use super::HttpLimits;
use super::timed_body::TimedBody;

/// What a client begins with that speaks HTTP/2 without asking (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client may send of one body, and of all of a connection, before it is read; bytes.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// The largest head of a request, bytes.
const HEAD_BYTES_MAX: u32 = 32 << 10;
/// How often a client is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
/// An answer is handed on in portions of this many bytes, so that what a client does not take waits here, where it is seen.
const PORTION: usize = 32 << 10;

tokio::task_local! {
    /// Of the stream whose task this is.
    static WAIT: Arc<Wait>;
}

pub(super) async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    io: TokioIo<S>,
    router: Router,
    limits: &HttpLimits,
    closing: &mut watch::Receiver<bool>,
) -> hyper::Result<()> {
    let (idle, whole) = (limits.body_idle_timeout, limits.body_read_timeout);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let request = with_host(request).map(|body| Body::new(TimedBody::new(body, idle, whole)));
        // A router is always ready, so it can be called at once.
        let answer = router.clone().call(request);
        async move {
            let response: Response = answer.await?;
            let wait = WAIT.try_with(Arc::clone).unwrap_or_default();
            Ok::<_, Infallible>(response.map(|body| Portions { body, rest: Bytes::new(), wait }))
        }
    });
    let streams = Streams::new(limits.write_stall_timeout);
    let mut active = streams.active.subscribe();
    let _ends_with_the_connection = EndOfStreams(streams.tasks.clone());
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_send_buf_size(PORTION)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    let mut serving = std::pin::pin!(http.serve_connection(io, answer));
    tokio::select! {
        served = &mut serving => return served,
        () = super::closed(closing) => {
            serving.as_mut().graceful_shutdown();
            return serving.await;
        }
        () = idled(&mut active, limits.header_read_timeout) => serving.as_mut().graceful_shutdown(),
    }
    // A client that does not take its leave, loses the connection.
    tokio::time::timeout(limits.drain_timeout, serving).await.unwrap_or(Ok(()))
}

/// The request as HTTP/1.1 has it: with the authority as a header.
fn with_host(mut request: Request<Incoming>) -> Request<Incoming> {
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

/// Returns once no stream has been there for this long.
async fn idled(active: &mut watch::Receiver<usize>, after: Duration) {
    loop {
        // The sender lives as long as the connection.
        let _ = active.wait_for(|active| *active == 0).await;
        if tokio::time::timeout(after, active.wait_for(|active| *active > 0)).await.is_err() {
            return;
        }
    }
}

/// The tasks of a connection's streams.
#[derive(Clone)]
struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    active: watch::Sender<usize>,
    /// How long a client may take nothing of an answer.
    stall: Duration,
}

impl Streams {
    fn new(stall: Duration) -> Self {
        Self { tasks: Arc::default(), active: watch::Sender::new(0), stall }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let wait = Arc::new(Wait::default());
        let active = Active::new(self.active.clone());
        let watched = watched(stream, wait.clone(), self.stall);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(WAIT.scope(wait, async move {
            watched.await;
            drop(active);
        }));
    }
}

/// Ends all streams when dropped. Their tasks hold the set themselves, so it would not go with the connection alone.
struct EndOfStreams(Arc<Mutex<JoinSet<()>>>);

impl Drop for EndOfStreams {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

/// Counts a stream as long as it is there.
struct Active(watch::Sender<usize>);

impl Active {
    fn new(count: watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Since when a part of a stream's answer waits for its client.
#[derive(Default)]
struct Wait(Mutex<Option<Instant>>);

impl Wait {
    fn begin(&self) {
        self.set(Some(Instant::now()));
    }

    fn end(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a stream, and gives it up once its client has taken nothing for `stall`.
async fn watched(stream: impl Future<Output = ()>, wait: Arc<Wait>, stall: Duration) {
    let mut stream = std::pin::pin!(stream);
    let mut sleep = std::pin::pin!(tokio::time::sleep(stall));
    std::future::poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = wait.since() else { return Poll::Pending };
        if sleep.deadline() != since + stall {
            sleep.as_mut().reset(since + stall);
        }
        sleep.as_mut().poll(context)
    })
    .await;
}

/// An answer's body in portions. A portion waits for the client until the next is asked for.
struct Portions {
    body: Body,
    rest: Bytes,
    wait: Arc<Wait>,
}

impl HttpBody for Portions {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.wait.end();
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let portion = self.rest.len().min(PORTION);
        let portion = self.rest.split_to(portion);
        self.wait.begin();
        Poll::Ready(Some(Ok(Frame::data(portion))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::new() }
    }
}
