//! The partitioners, also over a summer time's ends.

use std::borrow::Cow;

use pinlake_core::Offset;

use super::*;

fn record(value: &str, time: i64) -> Converted<'_> {
    Converted {
        offset: Offset(0),
        timestamp: Timestamp(time),
        key: Datum::Null,
        value: Datum::Json(Cow::Borrowed(value)),
        headers: Vec::new(),
        schema: 0,
    }
}

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn by_fields(names: &[&str]) -> Placement {
    let fields = names.iter().map(|name| FieldPath::new(name).unwrap()).collect();
    Placement::Fields { fields, delimiter: "/".to_owned() }
}

fn by_time(time: TimeOf, pattern: &str, duration_ms: i64, zone_name: &str) -> Placement {
    let (pattern, zone) = (Pattern::new(pattern).unwrap(), zone(zone_name).unwrap());
    Placement::Time(TimePlaces { time, duration_ms, pattern, zone })
}

fn place(placement: &Placement, record: &Converted<'_>) -> Result<String, String> {
    placement.place(record, PartitionId(3), Timestamp(0)).map(|place| place.name)
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const HOURS: &str = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH";

#[test]
fn by_partition() {
    assert_eq!(place(&Placement::Partition, &record("1", 0)).unwrap(), "partition=3");
}

#[test]
fn by_fields_also_nested_ones_and_several() {
    let value = r#"{"a":{"b":7,"c.d":"x y"},"t":true,"s":"Ü","big":18446744073709551615,"f":1.5,"n":null,"o":{}}"#;
    let record = record(value, 0);
    for (names, expected) in [
        (&["a.b"][..], "a.b=7"),
        (&["s", "t", "a.b"], "s=Ü/t=true/a.b=7"),
        (&["a.\"c.d\""], "a.\"c.d\"=x y"),
        (&["big"], "big=18446744073709551615"),
    ] {
        assert_eq!(place(&by_fields(names), &record).unwrap(), expected);
    }
    for (name, why) in
        [("x", "no field 'x'"), ("a.x", "no field"), ("s.x", "no field"), ("f", "no whole"), ("o", "no whole"), ("n", "is null")]
    {
        let problem = place(&by_fields(&[name]), &record).unwrap_err();
        assert!(problem.contains(why), "{problem}");
    }
}

#[test]
fn a_path_takes_names_only() {
    assert_eq!(FieldPath::new("a.\"b.c\".d").unwrap().names, ["a", "b.c", "d"]);
    for wrong in ["", ".", "a.", ".a", "a..b", "\"a"] {
        assert_eq!(FieldPath::new(wrong), None, "{wrong}");
    }
}

#[test]
fn a_value_without_fields_has_no_place_by_them() {
    for value in ["1", "[]", "\"x\""] {
        assert!(place(&by_fields(&["a"]), &record(value, 0)).unwrap_err().contains("no JSON object"));
    }
    let text = Converted { value: Datum::Text(Cow::Borrowed("{\"a\":1}")), ..record("1", 0) };
    assert!(place(&by_fields(&["a"]), &text).is_err());
}

#[test]
fn by_the_records_time_in_a_zone_before_within_and_after_changes_of_its_clocks() {
    let berlin = by_time(TimeOf::Record, HOURS, HOUR_MS, "Europe/Berlin");
    for (time, expected) in [
        // Clocks go from 2 to 3 in March.
        ("2024-03-31T00:59:59.999Z", "year=2024/month=03/day=31/hour=01"),
        ("2024-03-31T01:00:00Z", "year=2024/month=03/day=31/hour=03"),
        // In October the hour from 2 to 3 is there twice.
        ("2024-10-27T00:30:00Z", "year=2024/month=10/day=27/hour=02"),
        ("2024-10-27T01:30:00Z", "year=2024/month=10/day=27/hour=02"),
        ("2024-10-27T02:00:00Z", "year=2024/month=10/day=27/hour=03"),
        ("2024-12-31T23:30:00Z", "year=2025/month=01/day=01/hour=00"),
    ] {
        assert_eq!(place(&berlin, &record("1", ms(time))).unwrap(), expected, "{time}");
    }
    let days = |zone| by_time(TimeOf::Record, "YYYY-MM-dd HH:mm Z", DAY_MS, zone);
    // A day whose midnight the clocks skipped begins at one.
    assert_eq!(place(&days("America/Sao_Paulo"), &record("1", ms("2018-11-04T15:00:00Z"))).unwrap(), "2018-11-04 01:00 -0200");
    assert_eq!(place(&days("Asia/Kathmandu"), &record("1", ms("2024-05-01T18:15:00Z"))).unwrap(), "2024-05-02 00:00 +0545");
    assert_eq!(place(&days("-03:30"), &record("1", ms("2024-05-01T03:29:00Z"))).unwrap(), "2024-04-30 00:00 -0330");
}

#[test]
fn durations_are_floored_also_before_1970() {
    let placement = by_time(TimeOf::Record, "YYYY-MM-dd'T'HH:mm:ss.SSS", 600_000, "UTC");
    for (time, expected) in [
        ("2024-05-01T12:39:59.999Z", "2024-05-01T12:30:00.000"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:50:00.000"),
    ] {
        assert_eq!(place(&placement, &record("1", ms(time))).unwrap(), expected);
    }
    for time in [i64::MIN, i64::MAX] {
        assert!(place(&placement, &record("1", time)).unwrap_err().contains("the years -9999 to 9999"));
    }
    let eternal = by_time(TimeOf::Record, "YYYY", i64::MAX, "UTC");
    assert_eq!(place(&eternal, &record("1", 5)).unwrap(), "1970");
    assert!(place(&eternal, &record("1", -5)).is_err());
}

#[test]
fn by_a_field_that_is_a_number_or_a_text() {
    let placement = by_time(TimeOf::Field(FieldPath::new("a.t").unwrap()), "YYYY-MM-dd'T'HH:mm", 60_000, "UTC");
    for (value, expected) in [
        ("1714567890123", "2024-05-01T12:51"),
        ("1714567890123.9", "2024-05-01T12:51"),
        ("\"2024-05-01T12:51:30.123Z\"", "2024-05-01T12:51"),
        ("\"2024-05-01T14:51:30+02:00\"", "2024-05-01T12:51"),
        ("\"2024-05-01T12:51:30\"", "2024-05-01T12:51"),
        ("\"2024-05-01 12:51:30\"", "2024-05-01T12:51"),
        ("\"2024-05-01\"", "2024-05-01T00:00"),
    ] {
        assert_eq!(place(&placement, &record(&format!("{{\"a\":{{\"t\":{value}}}}}"), 0)).unwrap(), expected, "{value}");
    }
    for value in ["\"yesterday\"", "true", "[]", "1e300", "\"\""] {
        let problem = place(&placement, &record(&format!("{{\"a\":{{\"t\":{value}}}}}"), 0)).unwrap_err();
        assert!(problem.contains("'a.t' by which the record is placed is no time"), "{problem}");
    }
    let time = placement.place(&record(r#"{"a":{"t":61000}}"#, 0), PartitionId(0), Timestamp(9)).unwrap().time;
    assert_eq!(time, Timestamp(61_000));
}

#[test]
fn by_the_clock_it_is_the_time_that_is_given() {
    let placement = by_time(TimeOf::Clock, HOURS, HOUR_MS, "UTC");
    assert!(placement.goes_by_clock());
    let place = placement.place(&record("1", 0), PartitionId(0), Timestamp(ms("2024-05-01T12:51:30Z"))).unwrap();
    assert_eq!(place.name, "year=2024/month=05/day=01/hour=12");
}

#[test]
fn by_the_clock_a_place_ends_or_the_clocks_change_first() {
    let berlin = by_time(TimeOf::Clock, HOURS, HOUR_MS, "Europe/Berlin");
    let quarters = by_time(TimeOf::Clock, "HH:mm", HOUR_MS / 4, "Europe/Berlin");
    let days = by_time(TimeOf::Clock, "YYYY-MM-dd", DAY_MS, "Europe/Berlin");
    for (placement, at, until) in [
        (&berlin, "2024-05-01T12:51:30Z", "2024-05-01T13:00:00Z"),
        (&berlin, "2024-05-01T12:00:00Z", "2024-05-01T13:00:00Z"),
        (&berlin, "2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z"),
        (&berlin, "2024-03-31T00:30:00Z", "2024-03-31T01:00:00Z"),
        (&quarters, "2024-10-27T00:50:00Z", "2024-10-27T01:00:00Z"),
        (&days, "2024-06-01T12:00:00Z", "2024-06-01T22:00:00Z"),
        (&days, "2024-03-31T12:00:00Z", "2024-03-31T22:00:00Z"),
    ] {
        assert_eq!(placement.until(Timestamp(ms(at))), Some(Timestamp(ms(until))), "{at}");
    }
    assert_eq!(Placement::Partition.until(Timestamp(0)), None);
    assert_eq!(by_time(TimeOf::Record, HOURS, HOUR_MS, "UTC").until(Timestamp(0)), None);
}

#[test]
fn zones_are_names_or_offsets() {
    for name in ["UTC", "Europe/Paris", "+01:00", "-0330", "+14"] {
        assert!(zone(name).is_ok(), "{name}");
    }
    for name in ["", "Mars/Olympus", "+1", "+25:00", "+01:60", "+ä1", "+01:0", "-"] {
        assert!(zone(name).is_err(), "{name}");
    }
}
