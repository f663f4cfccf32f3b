//! A request's body that tells when the last of it has been read: what the client takes to send it is not the server's time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;

/// The same body, and what ends once it is read or dropped.
pub(super) fn until_read(body: Body) -> (Body, impl Future<Output = ()>) {
    let (rest, read) = oneshot::channel::<()>();
    let there = body.is_end_stream();
    let body = if there { body } else { Body::new(Watched { body, rest: Some(rest) }) };
    let read = async move {
        if !there {
            // Nothing is ever sent.
            let _ = read.await;
        }
    };
    (body, read)
}

struct Watched {
    body: Body,
    /// Dropped with the end of the body.
    rest: Option<oneshot::Sender<()>>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.rest = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
