//! The pauses.

use super::*;

#[test]
fn pauses_double_up_to_a_limit_and_begin_anew_when_the_store_is_back() {
    let mut backoff = Backoff::default();
    let pauses: Vec<u128> = (0..40).map(|_| backoff.failed().as_millis()).collect();
    assert_eq!(pauses[..6], [500, 1000, 2000, 4000, 8000, 10_000]);
    assert!(pauses[6..].iter().all(|pause| *pause == 10_000));
    backoff.worked();
    assert_eq!(backoff.failed().as_millis(), 500);
}
