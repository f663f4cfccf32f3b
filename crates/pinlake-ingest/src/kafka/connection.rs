//! One client's connection: requests in, answers out in the order of the requests. Produce requests are appended while the next ones are
//! read; everything else is done one at a time, as Kafka does. It must not know what a request means.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use kafka_protocol::messages::ApiKey;
use pinlake_core::wire;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::answer::Answer;
use super::api::{self, produce};
use super::broker::Broker;
use super::frame::{self, Request};
use super::lanes::Lanes;
use super::metrics;
use super::room::Held;
use super::session::{STRANGERS_BYTES_MAX, Session};

/// Requests that are read ahead of the one that is worked on.
const READ_AHEAD: usize = 4;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// A request and the room it takes.
struct Arrived {
    request: Request,
    at: Instant,
    room: OwnedSemaphorePermit,
}

/// Why a connection ends.
enum End {
    /// Nobody is to blame.
    Closed,
    /// The client sent what can't be answered.
    Refused(&'static str, String),
}

/// Serves one connection until it ends, or until `closing` and all its requests are answered.
pub(super) async fn serve<S>(stream: S, broker: Arc<Broker>, ends: Ends, closing: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let session = Arc::new(Session::new(broker.settings.principals.is_some()));
    let (reader, writer) = tokio::io::split(stream);
    let (sender, requests) = mpsc::channel(READ_AHEAD);
    // Told, and then closed, when nothing more comes from the client.
    let (gone, is_gone) = oneshot::channel();
    let reading = {
        let (broker, session) = (broker.clone(), session.clone());
        tokio::spawn(async move {
            let end = read_requests(reader, &broker, &session, &sender).await;
            let _ = gone.send(());
            end
        })
    };
    let answering = Answering { broker, ends, session, writer, pending: FuturesOrdered::new(), lanes: Lanes::default() };
    let answered = answering.run(requests, is_gone, closing).await;
    // It holds the other half of the stream: the client sees the end when both are gone.
    reading.abort();
    let reading_ended = reading.await.ok();
    for end in [Some(answered), reading_ended].into_iter().flatten() {
        if let End::Refused(reason, text) = end {
            metrics::observe_refusal(reason);
            tracing::info!(peer = %ends.peer, reason, "connection cut off: {text}");
        }
    }
}

/// Reads requests until the client closes, sends what is none, or nobody takes them.
async fn read_requests<S: AsyncRead>(
    mut stream: ReadHalf<S>,
    broker: &Broker,
    session: &Session,
    to: &mpsc::Sender<Arrived>,
) -> End {
    let settings = &broker.settings;
    loop {
        let (idle, most) = if session.is_known() {
            (settings.idle_timeout, settings.produce_bytes_max)
        } else {
            (settings.handshake_timeout, STRANGERS_BYTES_MAX)
        };
        let length = match timeout(idle, wire::frame::read_length(&mut stream)).await {
            Ok(Ok(Some(length))) => length,
            Ok(Ok(None) | Err(_)) => return End::Closed,
            Err(_) => return End::Refused("idle", "the connection was idle".to_owned()),
        };
        let length = i32::from_be_bytes(length);
        let Ok(length) = usize::try_from(length) else {
            return End::Refused("bad_frame", format!("a request of {length} bytes can't be"));
        };
        if length > most {
            return End::Refused("too_large", format!("a request of {length} bytes is over the limit of {most}"));
        }
        let most = broker.settings.inflight_bytes_max;
        let room = u32::try_from(length.min(most)).unwrap_or(u32::MAX);
        let Ok(room) = broker.room.clone().acquire_many_owned(room).await else { return End::Closed };
        let body =
            match timeout(broker.settings.read_timeout.max(slowest(length)), wire::frame::read_body(&mut stream, length)).await {
                Ok(Ok(body)) => body,
                Ok(Err(_)) => return End::Closed,
                Err(_) => return End::Refused("slow", format!("a request of {length} bytes took too long to arrive")),
            };
        let request = match frame::parse(body) {
            Ok(request) => request,
            Err(text) => return End::Refused("bad_request", text),
        };
        let most = broker.settings.request_bytes_max;
        if request.api.key != ApiKey::Produce && length > most {
            return End::Refused(
                "too_large",
                format!("a {:?} request of {length} bytes is over the limit of {most}", request.api.key),
            );
        }
        if to.send(Arrived { request, at: Instant::now(), room }).await.is_err() {
            return End::Closed;
        }
    }
}

async fn ended(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// The time that a request may take to arrive: 64 KiB a second at least.
fn slowest(length: usize) -> std::time::Duration {
    std::time::Duration::from_secs(length as u64 >> 16)
}

/// An answer on its way: `None` where the client wants none.
type Pending = BoxFuture<'static, Result<Option<Answer>, String>>;

struct Answering<S> {
    broker: Arc<Broker>,
    ends: Ends,
    session: Arc<Session>,
    writer: WriteHalf<S>,
    /// Produce requests that are being appended.
    pending: FuturesOrdered<Pending>,
    /// Their order by partition.
    lanes: Lanes,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Answering<S> {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Arrived>,
        mut gone: oneshot::Receiver<()>,
        mut closing: watch::Receiver<bool>,
    ) -> End {
        loop {
            let arrived = tokio::select! {
                biased;
                Some(answer) = self.pending.next() => match self.write(answer).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                arrived = requests.recv(), if self.pending.len() < self.broker.settings.pipelined_max => arrived,
                () = ended(&mut closing) => None,
            };
            let Some(arrived) = arrived else { return self.drain().await.err().unwrap_or(End::Closed) };
            let key = arrived.request.api.key;
            if !self.session.allows(key) {
                return End::Refused("not_authenticated", format!("a {key:?} request came before its client said who it is"));
            }
            let done = if key == ApiKey::Produce {
                self.start_produce(arrived)
            } else {
                self.answer(arrived, &mut gone, &mut closing).await
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn start_produce(&mut self, arrived: Arrived) -> Result<(), End> {
        let Arrived { mut request, at, room } = arrived;
        let decoded = request.take().map_err(|text| End::Refused("bad_request", text))?;
        if self.pending.is_empty() {
            self.lanes.clear();
        }
        let turns = self.lanes.enter(produce::partitions(&decoded));
        let broker = self.broker.clone();
        self.pending.push_back(Box::pin(async move {
            let answer = produce::answer(&broker, &request, decoded, turns).await;
            metrics::observe_request(request.api, at.elapsed());
            drop(room);
            answer.map(|answer| answer.map(Answer::from))
        }));
        Ok(())
    }

    /// Answers a request once all before it are answered. A client that goes away, or the server's end, cuts short what waits.
    async fn answer(
        &mut self,
        arrived: Arrived,
        gone: &mut oneshot::Receiver<()>,
        closing: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        self.drain().await?;
        let held = Held::default();
        let call =
            api::Call { broker: &self.broker, request: &arrived.request, ends: self.ends, session: &self.session, held: &held };
        let answer = tokio::select! {
            biased;
            answer = api::answer(&call) => answer,
            _ = gone => return Err(End::Closed),
            () = ended(closing) => return Err(End::Closed),
        };
        metrics::observe_request(arrived.request.api, arrived.at.elapsed());
        self.write(answer.map(Some)).await
    }

    async fn drain(&mut self) -> Result<(), End> {
        while let Some(answer) = self.pending.next().await {
            self.write(answer).await?;
        }
        Ok(())
    }

    async fn write(&mut self, answer: Result<Option<Answer>, String>) -> Result<(), End> {
        match answer {
            Ok(None) => Ok(()),
            Ok(Some(mut frame)) => self.writer.write_all_buf(&mut frame).await.map_err(|_| End::Closed),
            Err(text) => Err(End::Refused("no_answer", text)),
        }
    }
}
