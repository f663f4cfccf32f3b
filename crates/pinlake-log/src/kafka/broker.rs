//! One broker and the connections to it, which are opened when they are needed. Answers come in the order of the requests, so what waits at the
//! broker has connections of its own: a produce or a metadata request is never behind a read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinlake_core::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::Failure;
use super::open::Opener;
use super::throttle::{Asked, Throttle};

const NO_HOLD: Duration = Duration::ZERO;

/// A broker by its address.
#[derive(Debug)]
pub(super) struct Broker {
    address: String,
    opener: Arc<Opener>,
    throttle: Arc<Throttle>,
    /// For what is asked and answered at once.
    main: Shared,
    /// For reads of what is there already: their answers are large.
    reads: Shared,
    /// For reads that wait at the broker, one a connection.
    polls: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// A connection that many use at once.
#[derive(Debug, Default)]
struct Shared {
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// When opening one failed last, and why.
    failed: Option<(Instant, Failure)>,
}

/// The right to wait at a broker.
#[derive(Debug)]
pub(super) struct Poll {
    broker: Arc<Broker>,
    _permit: OwnedSemaphorePermit,
}

impl Broker {
    pub(super) fn new(address: &str, opener: Arc<Opener>) -> Self {
        let polls = Arc::new(Semaphore::new(opener.options.polls_max));
        let (main, reads) = (Shared::default(), Shared::default());
        let throttle = Arc::new(Throttle::new(opener.options.throttle_max));
        Self { address: address.to_owned(), opener, throttle, main, reads, polls, idle: Mutex::default() }
    }

    /// Asks what is answered at once.
    pub(super) async fn call<R: Asked>(&self, request: &R) -> Result<R::Response, Failure> {
        self.ready().await?.call(request, NO_HOLD).await
    }

    /// The connection for what is answered at once, as soon as the broker wants to be asked.
    pub(super) async fn ready(&self) -> Result<Arc<Connection>, Failure> {
        self.throttle.hold().await;
        self.main().await
    }

    /// Asks for what is large and there already.
    pub(super) async fn call_for_records<R: Asked>(&self, request: &R) -> Result<R::Response, Failure> {
        self.throttle.hold().await;
        self.connection(&self.reads).await?.call(request, NO_HOLD).await
    }

    /// The connection for what is answered at once.
    pub(super) async fn main(&self) -> Result<Arc<Connection>, Failure> {
        self.connection(&self.main).await
    }

    /// The right to wait at the broker; none while too many do.
    pub(super) fn poll(self: &Arc<Self>) -> Option<Poll> {
        let permit = self.polls.clone().try_acquire_owned().ok()?;
        Some(Poll { broker: self.clone(), _permit: permit })
    }

    async fn connection(&self, shared: &Shared) -> Result<Arc<Connection>, Failure> {
        let began = Instant::now();
        let mut state = shared.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(connection.clone());
        }
        // Whoever waited for somebody else's attempt shares its outcome: a broker that is down must not be tried by one after the other.
        if let Some((_, failure)) = state.failed.as_ref().filter(|(at, _)| *at >= began) {
            return Err(failure.clone());
        }
        match self.opener.open(&self.address, &self.throttle).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *state = State { connection: Some(connection.clone()), failed: None };
                Ok(connection)
            }
            Err(failure) => {
                *state = State { connection: None, failed: Some((Instant::now(), failure.clone())) };
                Err(failure)
            }
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Connection::is_usable);
        idle.pop()
    }
}

impl Poll {
    /// Asks for what the broker may hold so long. Goes on when the caller goes away, so that the connection can be used again.
    pub(super) async fn call<R>(self, request: R, hold: Duration) -> Result<R::Response, Failure>
    where
        R: Asked + Send + Sync + 'static,
        R::Response: Send,
    {
        self.broker.throttle.hold().await;
        let task = tokio::spawn(async move {
            // All of it: the permit is held as long as the connection is used.
            let poll = self;
            let connection = match poll.broker.take_idle() {
                Some(connection) => connection,
                None => poll.broker.opener.open(&poll.broker.address, &poll.broker.throttle).await?,
            };
            let answer = connection.call(&request, hold).await;
            if connection.is_usable() {
                poll.broker.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            answer
        });
        task.await.unwrap_or_else(|_| Err(Failure::Unsent(Error::retry("a read was cut short"))))
    }
}
