//! A request's body that fails when its next part, or the whole of it, takes too long. Costs nothing when the body is there
//! with its head.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// The client took too long to send a body.
#[derive(Debug)]
pub struct BodyTimedOut;

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body took too long to arrive")
    }
}

impl StdError for BodyTimedOut {}

pub(super) struct TimedBody {
    body: Incoming,
    idle: Duration,
    whole: Duration,
    waiting: Option<Waiting>,
}

/// From the first time that nothing was there.
struct Waiting {
    until: Instant,
    sleep: Pin<Box<Sleep>>,
    /// Whether the sleep counts for the part that is waited for now.
    armed: bool,
}

impl TimedBody {
    pub(super) fn new(body: Incoming, idle: Duration, whole: Duration) -> Self {
        Self { body, idle, whole, waiting: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if let Some(waiting) = &mut self.waiting {
                waiting.armed = false;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let (idle, whole) = (self.idle, self.whole);
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            until: Instant::now() + whole,
            sleep: Box::pin(tokio::time::sleep(idle)),
            armed: false,
        });
        if !waiting.armed {
            waiting.sleep.as_mut().reset((Instant::now() + idle).min(waiting.until));
            waiting.armed = true;
        }
        ready!(waiting.sleep.as_mut().poll(context));
        Poll::Ready(Some(Err(Box::new(BodyTimedOut))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
