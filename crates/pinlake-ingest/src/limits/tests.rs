//! Permits are counted, refused and given back.

use super::*;

#[test]
fn requests_over_the_limit_are_refused_until_one_is_done() {
    let inflight = Inflight::new(2, 100);
    let first = inflight.enter().unwrap();
    let _second = inflight.enter().unwrap();
    for _ in 0..3 {
        assert_eq!(inflight.enter().err(), Some(Refusal::TooManyRequests));
    }
    drop(first);
    assert!(inflight.enter().is_ok());
}

#[test]
fn bytes_over_the_limit_are_refused_and_given_back() {
    let inflight = Inflight::new(10, 100);
    let mut first = inflight.enter().unwrap();
    first.grow(60).unwrap();
    let mut second = inflight.enter().unwrap();
    assert_eq!(second.grow(41), Err(Refusal::TooManyBytes));
    drop(second);
    first.grow(40).unwrap();
    drop(first);
    inflight.enter().unwrap().grow(100).unwrap();
}
