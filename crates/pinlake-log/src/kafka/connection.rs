//! One connection to a broker: requests are written as they come, and answers come in their order. It must not know what they mean.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::Request;
use pinlake_core::{Error, wire};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::Failure;
use super::frame;
use super::meters::Meters;
use super::options::ClusterOptions;
use super::throttle::{Asked, Throttle};
use super::versions::Versions;

/// A correlation id is all that an answer must have.
const ANSWER_BYTES_MIN: usize = 4;
const CLOSED: &str = "the broker closed it";
const GIVEN_UP: &str = "it was given up here";
/// What is said of a port that answers in another protocol.
pub(super) const OTHER_PORT: &str = "that port speaks";
/// How a peer begins that speaks TLS and did not understand: an alert of TLS.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// A connection and the task that owns its socket, which ends with it.
#[derive(Debug)]
pub(super) struct Connection {
    address: String,
    calls: mpsc::Sender<Call>,
    /// Why it is of no more use.
    ended: Arc<OnceLock<Error>>,
    task: JoinHandle<()>,
    correlation: AtomicI32,
    answer_timeout: Duration,
    throttle: Arc<Throttle>,
    /// What the broker speaks; nothing until it was asked.
    pub(super) versions: Versions,
    /// When another must take its place, because the login ends.
    pub(super) expires: Option<Instant>,
}

/// A request on its way to the socket.
#[derive(Debug)]
struct Call {
    frame: Bytes,
    waiting: Waiting,
}

/// Who waits for the next answer.
#[derive(Debug)]
struct Waiting {
    correlation: i32,
    /// How long its answer may take once it is the next.
    limit: Duration,
    answer: oneshot::Sender<Bytes>,
}

impl Connection {
    /// Takes a socket over.
    pub(super) fn start(
        address: &str,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        options: &ClusterOptions,
        meters: &Meters,
        throttle: &Arc<Throttle>,
    ) -> Self {
        let (calls, mut requests) = mpsc::channel(1);
        let ended = Arc::new(OnceLock::new());
        let (reader, writer) = tokio::io::split(stream);
        let (waiting, mut answered) = mpsc::channel(options.inflight_max);
        let (bytes_max, write_meters, read_meters) = (options.answer_bytes_max, meters.clone(), meters.clone());
        let (said, peer, held) = (ended.clone(), address.to_owned(), throttle.clone());
        let task = tokio::spawn(async move {
            let end = tokio::select! {
                end = write(writer, &mut requests, waiting, &write_meters) => end,
                end = read(reader, &mut answered, bytes_max, &held, &read_meters) => end,
            };
            // Those who wait are told by the end of these, and then ask why.
            let _ = said.set(Error::retry(format!("the connection to broker {peer} ended: {end}")));
            drop((requests, answered));
        });
        Self {
            address: address.to_owned(),
            calls,
            ended,
            task,
            correlation: AtomicI32::new(0),
            answer_timeout: options.answer_timeout,
            throttle: throttle.clone(),
            versions: Versions::default(),
            expires: None,
        }
    }

    /// Whether it takes requests.
    pub(super) fn is_usable(&self) -> bool {
        self.ended.get().is_none() && !self.calls.is_closed() && self.expires.is_none_or(|at| Instant::now() < at)
    }

    /// Sends a request in the newest version that both know and waits for its answer; `hold` is how long the broker is asked to hold it.
    pub(super) async fn call<R: Asked>(&self, request: &R, hold: Duration) -> Result<R::Response, Failure> {
        let version = self.versions.pick(R::KEY).map_err(Failure::Fatal)?;
        let answer = self.call_raw(request, version, hold).await?;
        // What it was that the broker did is not known.
        let answer = frame::decode::<R>(answer, version).map_err(Failure::Lost)?;
        self.throttle.note::<R>(&answer, version);
        Ok(answer)
    }

    /// The same in a version that the caller has chosen; the answer is not decoded. A broker takes the requests of a connection one by one, so
    /// the time for an answer begins with the answer before it: how long all of it may take is the caller's to say.
    pub(super) async fn call_raw<R: Request>(&self, request: &R, version: i16, hold: Duration) -> Result<Bytes, Failure> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(request, version, correlation).map_err(Failure::Fatal)?;
        let (answer, answered) = oneshot::channel();
        let limit = self.answer_timeout + hold;
        let place = match timeout(limit, self.calls.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Failure::Unsent(self.why())),
            Err(_) => return Err(Failure::Unsent(self.busy(limit))),
        };
        place.send(Call { frame, waiting: Waiting { correlation, limit, answer } });
        answered.await.map_err(|_| Failure::Lost(self.why()))
    }

    fn busy(&self, waited: Duration) -> Error {
        let text =
            format!("too many requests wait for broker {}: this one was not sent within {} ms", self.address, waited.as_millis());
        Error::retry(text)
    }

    fn why(&self) -> Error {
        self.ended.get().cloned().unwrap_or_else(|| Error::retry(format!("the connection to broker {} ended", self.address)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes what comes; answers why it ended.
async fn write(
    mut stream: impl AsyncWrite + Unpin,
    requests: &mut mpsc::Receiver<Call>,
    waiting: mpsc::Sender<Waiting>,
    meters: &Meters,
) -> String {
    while let Some(call) = requests.recv().await {
        meters.observe_request(call.frame.len());
        // Before it is written, so that its answer finds it.
        if waiting.send(call.waiting).await.is_err() {
            break;
        }
        let written = async {
            stream.write_all(&call.frame).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            return error.to_string();
        }
    }
    GIVEN_UP.to_owned()
}

/// Reads answers and gives each to whoever waits for it; answers why it ended.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    waiting: &mut mpsc::Receiver<Waiting>,
    bytes_max: usize,
    throttle: &Throttle,
    meters: &Meters,
) -> String {
    loop {
        let (body, next) = match read_next(&mut stream, waiting, bytes_max, throttle).await {
            Ok(read) => read,
            Err(end) => return end,
        };
        meters.observe_answer(body.len());
        let Some(next) = next.or_else(|| waiting.try_recv().ok()) else { return "it answered what was not asked".to_owned() };
        if body[..ANSWER_BYTES_MIN] != next.correlation.to_be_bytes() {
            return "its answers are out of order".to_owned();
        }
        // Whoever asked may have gone away.
        let _ = next.answer.send(body);
    }
}

/// The next answer and who waits for it, if that is known already. One that does not come ends the connection: those behind it can't come
/// either.
async fn read_next(
    stream: &mut (impl AsyncRead + Unpin),
    waiting: &mut mpsc::Receiver<Waiting>,
    bytes_max: usize,
    throttle: &Throttle,
) -> Result<(Bytes, Option<Waiting>), String> {
    let mut answer = pin!(read_answer(stream, bytes_max));
    let (mut next, mut due): (Option<Waiting>, _) = (None, Instant::now());
    loop {
        tokio::select! {
            answer = &mut answer => return answer.map(|answer| (answer, next)),
            came = waiting.recv(), if next.is_none() => {
                let came = came.ok_or_else(|| GIVEN_UP.to_owned())?;
                due = Instant::now() + came.limit;
                next = Some(came);
            }
            () = sleep_until(due), if next.is_some() => {
                let limit = next.as_ref().map_or(Duration::ZERO, |next| next.limit);
                // A broker reads nothing of a client that it wants to be quiet.
                let later = throttle.until().map_or(due, |until| until + limit);
                if later <= due {
                    return Err(format!("it has not answered within {} ms", limit.as_millis()));
                }
                due = later;
            }
        }
    }
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> Result<Bytes, String> {
    let length = match wire::frame::read_length(stream).await {
        Ok(Some(length)) => length,
        Ok(None) => return Err(CLOSED.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(CLOSED.to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if length[..2] == TLS_ALERT {
        return Err(format!("{OTHER_PORT} TLS: set log.kafka.security.tls"));
    }
    if length == *b"HTTP" {
        return Err(format!("{OTHER_PORT} HTTP: name the brokers' port for Kafka's protocol in log.kafka.brokers"));
    }
    let length = match usize::try_from(i32::from_be_bytes(length)) {
        Ok(length) if (ANSWER_BYTES_MIN..=bytes_max).contains(&length) => length,
        _ => return Err(format!("an answer's length, {length:?}, is out of range: is this Kafka's port?")),
    };
    wire::frame::read_body(stream, length).await.map_err(|error| error.to_string())
}
