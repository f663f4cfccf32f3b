//! Patterns of dates, in Joda letters.

use jiff::tz::TimeZone;

use super::*;

fn at(text: &str, zone: &str) -> Zoned {
    text.parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::get(zone).unwrap())
}

fn format(pattern: &str, time: &Zoned) -> String {
    Pattern::new(pattern).unwrap().format(time)
}

#[test]
fn letters_are_jodas() {
    let time = at("2024-01-05T15:04:09.0456Z", "Europe/Paris");
    for (pattern, expected) in [
        ("'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", "year=2024/month=01/day=05/hour=16"),
        ("yyyy-MM-dd", "2024-01-05"),
        ("yy YY y YYYYY", "24 24 2024 02024"),
        ("M MM MMM MMMM", "1 01 Jan January"),
        ("d dd D DDD", "5 05 5 005"),
        ("E EEE EEEE e", "Fri Fri Friday 5"),
        ("H HH h hh K k a", "16 16 4 04 4 16 PM"),
        ("mm ss S SSS SSSSSS", "04 09 0 045 045600"),
        ("xxxx-'W'ww", "2024-W01"),
        ("z Z ZZ ZZZ", "CET +0100 +01:00 Europe/Paris"),
        ("C G", "20 AD"),
        ("'it''s' '' yyyy", "it's ' 2024"),
        ("", ""),
        ("ü/_=:", "ü/_=:"),
    ] {
        assert_eq!(format(pattern, &time), expected, "{pattern}");
    }
    let midnight = at("2024-01-01T00:00:00Z", "UTC");
    assert_eq!(format("HH kk hh KK a", &midnight), "00 24 12 00 AM");
    let noon = at("2024-01-01T12:00:00Z", "UTC");
    assert_eq!(format("HH kk hh KK a", &noon), "12 12 12 00 PM");
    assert_eq!(format("xxxx-'W'ww-e", &at("2021-01-03T00:00:00Z", "UTC")), "2020-W53-7");
}

#[test]
fn what_stands_for_nothing_is_refused() {
    for (pattern, why) in [
        ("YYYY/bb", "Illegal pattern component: bb"),
        ("'year=YYYY", "no closing quote"),
        ("zzzz", "long names"),
        (&"y".repeat(21), "20 are the most"),
        (&"-".repeat(501), "500 are the most"),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}

#[test]
fn names_are_told_apart_from_numbers() {
    for (pattern, has_names) in
        [("YYYY/MM/dd/HH", false), ("MMM", true), ("E", true), ("hh a", true), ("'MMMM'", false), ("z Z", false)]
    {
        assert_eq!(Pattern::new(pattern).unwrap().has_names(), has_names, "{pattern}");
    }
}
