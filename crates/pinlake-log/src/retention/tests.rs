//! What may go and what must stay.

use super::*;

fn segments(ends: &[i64]) -> Vec<Extent> {
    let extent = |(at, end): (usize, &i64)| Extent {
        end: Offset(*end),
        bytes: 100,
        began: None,
        max_timestamp: Some(Timestamp(at as i64 * 1000)),
    };
    ends.iter().enumerate().map(extent).collect()
}

fn spec(retention_ms: Option<u64>, retention_bytes: Option<u64>) -> TopicSpec {
    TopicSpec { retention_ms, retention_bytes, ..TopicSpec::default() }
}

#[test]
fn by_age_whole_sealed_segments_go() {
    let found = |now| droppable(&segments(&[10, 20, 30]), Timestamp(now), &spec(Some(500), None), None, Offset::ZERO);
    assert_eq!((found(500), found(501), found(1501), found(99_999)), (0, 1, 2, 2));
}

#[test]
fn by_size_as_much_stays_as_the_topic_keeps() {
    let found = |bytes| droppable(&segments(&[10, 20, 30]), Timestamp(0), &spec(None, Some(bytes)), None, Offset::ZERO);
    assert_eq!((found(300), found(299), found(200), found(150), found(100), found(0)), (0, 0, 1, 1, 2, 2));
}

#[test]
fn nothing_a_follower_needs_goes() {
    let found = |floor| {
        droppable(&segments(&[10, 20, 30]), Timestamp(99_999), &spec(Some(1), Some(0)), Some(Offset(floor)), Offset::ZERO)
    };
    assert_eq!((found(0), found(9), found(10), found(19), found(20), found(99)), (0, 0, 1, 1, 2, 2));
}

#[test]
fn an_old_segment_before_a_young_one_is_not_skipped() {
    let mut young_first = segments(&[10, 20, 30]);
    young_first[0].max_timestamp = Some(Timestamp(99_999));
    assert_eq!(droppable(&young_first, Timestamp(99_999), &spec(Some(1), None), None, Offset::ZERO), 0);
}

#[test]
fn an_empty_log_keeps_its_peace() {
    assert_eq!(droppable(&[], Timestamp(0), &spec(Some(0), Some(0)), None, Offset::ZERO), 0);
}

#[test]
fn what_was_trimmed_goes_whoever_needs_it() {
    let found = |start| droppable(&segments(&[10, 20, 30]), Timestamp(0), &spec(None, None), Some(Offset::ZERO), Offset(start));
    assert_eq!((found(0), found(9), found(10), found(19), found(20), found(30)), (0, 0, 1, 1, 2, 2));
}
