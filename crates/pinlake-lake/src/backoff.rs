//! How long to wait before a store that failed is asked again.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// No pause is longer: a store that is back must not be waited for.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pauses that double from failure to failure.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Takes note of a failure; answers how long to wait now.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(u32::BITS - 2)).min(PAUSE_MAX);
        self.failures += 1;
        pause
    }

    /// Takes note that the store does its work.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }
}
