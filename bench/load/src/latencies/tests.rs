//! Percentiles are of what was noted, in whatever order.

use std::time::Duration;

use super::Latencies;

#[test]
fn a_percentile_is_the_latency_that_the_share_did_not_exceed() {
    let (mut some, mut others) = (Latencies::default(), Latencies::default());
    for ms in (1..=50).rev() {
        some.note(Duration::from_millis(ms));
        others.note(Duration::from_millis(ms + 50));
    }
    others.add(some);
    assert_eq!(others.count(), 100);
    assert_eq!(others.at_ms(0.5), Some(50.0));
    assert_eq!(others.at_ms(0.99), Some(99.0));
    assert_eq!(others.at_ms(1.0), Some(100.0));
    assert_eq!(others.at_ms(0.0), Some(1.0));
}

#[test]
fn there_is_no_percentile_of_nothing() {
    assert_eq!(Latencies::default().at_ms(0.5), None);
}
