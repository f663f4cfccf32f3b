//! How long requests took. Keeps each one, in microseconds, so that no percentile is an estimate.

#[cfg(test)]
mod tests;

use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
    is_sorted: bool,
}

impl Latencies {
    pub(crate) fn note(&mut self, took: Duration) {
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        self.is_sorted = false;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.is_sorted = false;
    }

    pub(crate) fn count(&self) -> usize {
        self.micros.len()
    }

    /// The latency in milliseconds that this share of requests did not exceed; `None` without requests.
    pub(crate) fn at_ms(&mut self, share: f64) -> Option<f64> {
        if !self.is_sorted {
            self.micros.sort_unstable();
            self.is_sorted = true;
        }
        let last = self.micros.len().checked_sub(1)?;
        let at = (self.micros.len() as f64 * share).ceil() as usize;
        Some(f64::from(self.micros[at.saturating_sub(1).min(last)]) / 1_000.0)
    }
}
