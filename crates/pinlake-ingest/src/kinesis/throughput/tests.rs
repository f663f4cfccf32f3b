//! Rates by a clock that is moved by hand.

use super::*;

const BEGIN: i64 = 1_600_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp(BEGIN + ms)
}

#[test]
fn a_shard_takes_a_thousand_records_a_second() {
    let meters = Meters::default();
    let taken = |ms| (0..2000).filter(|_| meters.takes_record(3, 1, at(ms))).count();
    assert_eq!(taken(0), 1000);
    assert_eq!(taken(0), 0);
    assert_eq!(taken(10), 10);
    assert_eq!(taken(1010), 1000);
    assert_eq!(taken(60_000), 1000, "what was not used is not kept for later");
    assert_eq!(taken(0), 0, "a clock that was set back gives nothing");
    assert_eq!(taken(100), 100);
    assert!(meters.takes_record(2, 1, at(0)), "another shard");
}

#[test]
fn a_shard_takes_a_mebibyte_a_second() {
    let meters = Meters::default();
    let (half, third) = (1 << 19, 350_000);
    assert!(meters.takes_record(0, half, at(0)) && meters.takes_record(0, third, at(0)));
    assert!(!meters.takes_record(0, third, at(0)));
    assert!(meters.takes_record(0, 1000, at(0)), "a smaller one has room");
    assert!(meters.takes_record(0, third, at(500)));
    // As large as may be, on a stream that allows it: ten seconds' worth.
    assert!(!meters.takes_record(0, 10 << 20, at(1000)));
    assert!(meters.takes_record(0, 10 << 20, at(2000)));
    assert!(!meters.takes_record(0, 1, at(10_999)));
    assert!(meters.takes_record(0, 1, at(11_001)));
}

#[test]
fn a_shard_answers_five_reads_and_two_mebibytes_a_second() {
    let meters = Meters::default();
    let reads = |ms| (0..10).filter(|_| meters.answers_read(0, at(ms))).count();
    assert_eq!((reads(0), reads(199), reads(200), reads(1200)), (5, 0, 1, 5));
    assert!(meters.answers_read(0, at(10_000)));
    meters.answered(0, 10 << 20);
    assert!(!meters.answers_read(0, at(10_000)));
    assert!(!meters.answers_read(0, at(13_999)), "ten mebibytes are five seconds' worth, of which one may be used at once");
    assert!(meters.answers_read(0, at(14_001)));
}
