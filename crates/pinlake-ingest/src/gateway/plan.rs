//! How fast requests may come, and how many. Pure: the time is handed in.

#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use pinlake_core::Timestamp;

use crate::settings::{Period, Quota, Throttle};

const DAY_MS: i64 = 24 * 3_600_000;
/// What many small gains lose or win by rounding.
const ROUNDING: f64 = 1e-9;

/// A token bucket: full at first, it gives a token to each request and gains `rate` of them a second, up to `burst`.
pub(super) struct Bucket {
    throttle: Throttle,
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn new(throttle: Throttle, now: Timestamp) -> Self {
        Self { throttle, tokens: f64::from(throttle.burst), at: now }
    }

    /// Whether one more request may come.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let gained = self.at.until(now).as_secs_f64() * self.throttle.rate;
        self.tokens = (self.tokens + gained).min(f64::from(self.throttle.burst));
        // A clock that was set back gives nothing, and goes on from there.
        self.at = now;
        let there = self.tokens >= 1.0 - ROUNDING;
        if there {
            self.tokens = (self.tokens - 1.0).max(0.0);
        }
        there
    }
}

/// Requests of the present period.
pub(super) struct Counter {
    quota: Quota,
    period: i64,
    used: u64,
}

impl Counter {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, period: 0, used: 0 }
    }

    /// Whether one more request may come.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let period = number(self.quota.period, now);
        if period != self.period {
            (self.period, self.used) = (period, 0);
        }
        let there = self.used < self.quota.limit;
        if there {
            self.used += 1;
        }
        there
    }
}

/// Which of its periods a time is in.
fn number(period: Period, at: Timestamp) -> i64 {
    let day = at.0.div_euclid(DAY_MS);
    match period {
        Period::Day => day,
        // The epoch was a Thursday.
        Period::Week => (day + 3).div_euclid(7),
        Period::Month => jiff::Timestamp::from_millisecond(at.0).map_or(0, |time| {
            let date = time.to_zoned(TimeZone::UTC).date();
            i64::from(date.year()) * 12 + i64::from(date.month())
        }),
    }
}
