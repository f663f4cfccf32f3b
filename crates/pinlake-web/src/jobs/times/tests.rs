//! Times read and shown.

use super::*;

#[test]
fn a_time_is_read_in_each_of_its_forms() {
    for (text, ms) in [
        ("2026-03-01", 1_772_323_200_000),
        (" 2026-03-01T00:00:00Z ", 1_772_323_200_000),
        ("2026-03-01T01:00:00+01:00", 1_772_323_200_000),
        ("2026-03-01T00:00:00.25Z", 1_772_323_200_250),
        ("1772323200000", 1_772_323_200_000),
        ("1969-12-31", -86_400_000),
        ("-1", -1),
    ] {
        assert_eq!(parse(text), Ok(Timestamp(ms)), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_what_would_be_right() {
    for text in
        ["", "now", "2026-02-30", "2026-3-1", "2026-03-01T00:00:00", "01.03.2026", "2026-03-01Z", "9223372036854775807", "١٢٣٤٥"]
    {
        let wrong = parse(text).unwrap_err();
        assert!(wrong.contains("is no time: give a date such as 2026-03-01"), "{text}: {wrong}");
    }
}

#[test]
fn times_are_shown_in_utc() {
    let at = parse("2026-03-01T06:00:00Z").unwrap();
    assert_eq!((rfc3339(at), readable(at)), ("2026-03-01T06:00:00Z".to_owned(), "2026-03-01 06:00".to_owned()));
    assert_eq!(readable(Timestamp(at.0 + 5_000)), "2026-03-01 06:00:05");
    assert_eq!(readable(Timestamp(-1_000)), "1969-12-31 23:59:59");
    let day = Interval { from: parse("2026-03-01").unwrap(), to: parse("2026-03-02").unwrap() };
    assert_eq!(readable_data(&day), "data from 2026-03-01 00:00 to 2026-03-02 00:00 UTC");
    assert_eq!(rfc3339(Timestamp(i64::MAX)), jiff::Timestamp::MAX.to_string());
    assert!(rfc3339(Timestamp(i64::MIN)).starts_with("-009999"));
}
