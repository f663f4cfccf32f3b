//! What the code under test says in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};

/// Counts the lines of level WARN and above that its thread says while it lives.
#[derive(Debug)]
pub struct Warnings {
    count: Arc<AtomicUsize>,
    _here: DefaultGuard,
    /// All threads share what tracing has found out of each place that says something, and with one subscriber in the process the thread that comes
    /// there first decides it for all: with another, however idle, each subscriber is asked.
    _idle: Dispatch,
}

impl Warnings {
    /// Begins to count on this thread.
    pub fn of_this_thread() -> Self {
        let count = Arc::<AtomicUsize>::default();
        let idle = Dispatch::new(Counting(Arc::default()));
        Self { _here: tracing::subscriber::set_default(Counting(count.clone())), _idle: idle, count }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

struct Counting(Arc<AtomicUsize>);

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
