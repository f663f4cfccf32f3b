//! Buckets and quotas over time.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// How many of `tries` requests at one moment come through.
fn taken(tries: usize, mut take: impl FnMut() -> bool) -> usize {
    (0..tries).filter(|_| take()).count()
}

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let mut bucket = Bucket::new(Throttle { rate: 2.0, burst: 5 }, Timestamp(0));
    assert_eq!(taken(9, || bucket.take(Timestamp(0))), 5);
    assert!(!bucket.take(Timestamp(499)));
    assert!(bucket.take(Timestamp(500)));
    assert!(!bucket.take(Timestamp(999)));
    assert_eq!(taken(9, || bucket.take(Timestamp(2000))), 3);
    assert_eq!(taken(9, || bucket.take(Timestamp(3_600_000))), 5);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing_for_long() {
    let mut bucket = Bucket::new(Throttle { rate: 1.0, burst: 1 }, Timestamp(3_600_000));
    assert!(bucket.take(Timestamp(3_600_000)));
    assert!(!bucket.take(Timestamp(0)));
    assert!(bucket.take(Timestamp(1000)));
}

#[test]
fn a_slow_rate_gathers() {
    let mut bucket = Bucket::new(Throttle { rate: 0.1, burst: 1 }, Timestamp(0));
    assert!(bucket.take(Timestamp(0)));
    let answers = (1..=20).map(|second| bucket.take(Timestamp(second * 1000)));
    assert_eq!(answers.filter(|taken| *taken).count(), 2);
}

#[test]
fn a_quota_is_for_its_period() {
    let cases = [
        (Period::Day, "2024-02-28T00:00:00Z", "2024-02-28T23:59:59.999Z", "2024-02-29T00:00:00Z"),
        // A Monday.
        (Period::Week, "2024-02-26T00:00:00Z", "2024-03-03T23:59:59.999Z", "2024-03-04T00:00:00Z"),
        (Period::Month, "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999Z", "2024-03-01T00:00:00Z"),
        (Period::Month, "2024-12-01T00:00:00Z", "2024-12-31T23:59:59.999Z", "2025-01-01T00:00:00Z"),
    ];
    for (period, first, last, next) in cases {
        let mut counter = Counter::new(Quota { limit: 3, period });
        assert_eq!(taken(2, || counter.take(at(first))), 2, "{period:?}");
        assert_eq!(taken(3, || counter.take(at(last))), 1, "{period:?}");
        assert_eq!(taken(5, || counter.take(at(next))), 3, "{period:?}");
    }
}

#[test]
fn a_quota_of_nothing_lets_nothing_through() {
    assert!(!Counter::new(Quota { limit: 0, period: Period::Day }).take(Timestamp(0)));
}

proptest! {
    /// Whenever requests come, no time sees more than the burst and what it brings by its rate.
    #[test]
    fn no_span_sees_more_than_burst_and_rate(rate in 0.1f64..50.0, burst in 1u32..20, waits in prop::collection::vec(0i64..500, 1..200)) {
        let mut bucket = Bucket::new(Throttle { rate, burst }, Timestamp(0));
        let mut now = 0;
        let mut let_in = Vec::new();
        for wait in waits {
            now += wait;
            if bucket.take(Timestamp(now)) {
                let_in.push(now);
            }
        }
        for (first, from) in let_in.iter().enumerate() {
            for (count, until) in let_in[first..].iter().enumerate() {
                let most = f64::from(burst) + rate * (until - from) as f64 / 1000.0;
                prop_assert!((count + 1) as f64 <= most + 1e-6);
            }
        }
    }
}
