//! How many requests and bytes may be under way at once. What is over a limit is refused at once, never queued.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;

/// Why a request is refused before any door looks into it. Each door has its own words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many requests as may be are under way.
    TooManyRequests,
    /// As many bytes as may be are under way.
    TooManyBytes,
    /// The body is over the limit (bytes) by itself.
    BodyTooLarge(usize),
    /// The client took too long to send the body.
    BodyTooSlow,
    /// The client broke off the body.
    BodyCutOff,
    /// The body is compressed, which is not read.
    BodyCompressed,
    /// The body is in another charset than UTF-8, so that its text would be misread.
    BodyCharset,
}

/// Requests and bytes under way. Cheap to clone; clones share one state.
#[derive(Clone)]
pub(crate) struct Inflight {
    inner: Arc<Inner>,
}

struct Inner {
    requests: AtomicUsize,
    requests_max: usize,
    bytes: AtomicUsize,
    bytes_max: usize,
    gauge: Gauge,
}

impl Inflight {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        metrics::describe_gauge!("pinlake_inflight_bytes", metrics::Unit::Bytes, "bytes of requests that are under way");
        let gauge = metrics::gauge!("pinlake_inflight_bytes");
        let inner = Inner { requests: AtomicUsize::new(0), requests_max, bytes: AtomicUsize::new(0), bytes_max, gauge };
        Self { inner: Arc::new(inner) }
    }

    /// A place for one request, without bytes yet.
    pub(crate) fn enter(&self) -> Result<Permit, Refusal> {
        let permit = Permit { inner: self.inner.clone(), bytes: 0 };
        let before = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        if before >= self.inner.requests_max { Err(Refusal::TooManyRequests) } else { Ok(permit) }
    }
}

/// One request's place and bytes; given back when dropped.
pub(crate) struct Permit {
    inner: Arc<Inner>,
    bytes: usize,
}

impl Permit {
    /// Takes `more` bytes.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let before = self.inner.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.inner.gauge.set((before + more) as f64);
        if before + more > self.inner.bytes_max { Err(Refusal::TooManyBytes) } else { Ok(()) }
    }
}

impl Permit {
    /// Gives `less` bytes back.
    pub(crate) fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        let before = self.inner.bytes.fetch_sub(less, Ordering::Relaxed);
        self.inner.gauge.set((before - less) as f64);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.inner.requests.fetch_sub(1, Ordering::Relaxed);
        if self.bytes > 0 {
            let before = self.inner.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.inner.gauge.set((before - self.bytes) as f64);
        }
    }
}
