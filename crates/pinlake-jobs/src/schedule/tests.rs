//! Which times a schedule has: tables of texts, zones and times, a slow but plain reckoning to compare with, and properties.

use std::collections::BTreeSet;

use expect_test::expect;
use jiff::tz::TimeZone;
use pinlake_core::jobs::JobSpec;
use pinlake_core::pipeline::ScheduleLines;
use pinlake_core::testing;
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Zones whose clocks do something special.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe", // changes by half an hour
    "Asia/Kathmandu",      // 5:45 from UTC
    "Africa/Cairo",        // changes at midnight
    "America/Sao_Paulo",   // changed at midnight
    "America/Havana",      // repeats the hour from midnight on
    "Pacific/Apia",        // had no 30 December 2011
    "Africa/Casablanca",   // four changes a year
    "America/Nuuk",        // changes on the evening of a Saturday
    "Africa/Monrovia",     // was 44:30 behind until 1972
];

fn schedule(text: &str, timezone: &str, form: CronForm) -> Schedule {
    Schedule { text: text.to_owned(), timezone: timezone.to_owned(), form }
}

fn times(text: &str, timezone: &str) -> Times {
    Times::parse(&schedule(text, timezone, CronForm::Unix)).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn show(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap().to_string()
}

/// The times from `from` on, as clocks in the zone show them.
fn fires(times: &Times, timezone: &str, from: &str, count: usize) -> Vec<String> {
    let zone = TimeZone::get(timezone).unwrap();
    let local = |at: Timestamp| {
        let local = jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(zone.clone());
        local.strftime("%a %F %H:%M:%S %:z").to_string().replace(":00 ", " ")
    };
    times.between(at(from), Timestamp(i64::MAX)).take(count).map(local).collect()
}

fn table(form: CronForm, cases: &[(&str, &str, &str, usize)]) -> String {
    let mut lines = String::new();
    for (text, timezone, from, count) in cases {
        let times = Times::parse(&schedule(text, timezone, form)).unwrap();
        let fires = fires(&times, timezone, from, *count).join(" | ");
        lines.push_str(&format!("{text} in {timezone}: {fires}\n"));
    }
    lines
}

#[test]
fn texts_are_taken_as_people_write_them() {
    let from = "2023-12-30T10:10:00Z";
    let cases = [
        ("0 6 * * *", "UTC", from, 2),
        ("*/20 9-10 * * MON-FRI", "UTC", from, 4),
        ("  0\t0  1,15 * * ", "UTC", from, 3),
        ("0 0 * jan-mar,DEC sun", "UTC", from, 2),
        ("0 0 * * 7", "UTC", from, 2),
        ("0 0 * * FRI-MON", "UTC", from, 5),
        ("0 22-2/2 * * *", "UTC", from, 4),
        ("0 0 13 * FRI", "UTC", from, 4),
        ("0 0 */10 2 ?", "UTC", from, 4),
        ("0 0 31 * *", "UTC", from, 4),
        ("0 0 L * *", "UTC", from, 4),
        ("0 0 29 2 *", "UTC", from, 2),
        ("0 0 LW * *", "UTC", from, 4),
        ("0 0 15W * *", "UTC", from, 4),
        ("0 0 * * 5L", "UTC", from, 2),
        ("0 0 * * MON#2", "UTC", from, 2),
        ("@yearly", "UTC", from, 2),
        ("@annually", "UTC", from, 1),
        ("@Monthly", "UTC", from, 2),
        ("@weekly", "UTC", from, 2),
        ("@daily", "Asia/Kathmandu", from, 2),
        ("@midnight", "UTC", from, 1),
        ("@hourly", "UTC", from, 2),
    ];
    expect![[r#"
        0 6 * * * in UTC: Sun 2023-12-31 06:00 +00:00 | Mon 2024-01-01 06:00 +00:00
        */20 9-10 * * MON-FRI in UTC: Mon 2024-01-01 09:00 +00:00 | Mon 2024-01-01 09:20 +00:00 | Mon 2024-01-01 09:40 +00:00 | Mon 2024-01-01 10:00 +00:00
          0	0  1,15 * *  in UTC: Mon 2024-01-01 00:00 +00:00 | Mon 2024-01-15 00:00 +00:00 | Thu 2024-02-01 00:00 +00:00
        0 0 * jan-mar,DEC sun in UTC: Sun 2023-12-31 00:00 +00:00 | Sun 2024-01-07 00:00 +00:00
        0 0 * * 7 in UTC: Sun 2023-12-31 00:00 +00:00 | Sun 2024-01-07 00:00 +00:00
        0 0 * * FRI-MON in UTC: Sun 2023-12-31 00:00 +00:00 | Mon 2024-01-01 00:00 +00:00 | Fri 2024-01-05 00:00 +00:00 | Sat 2024-01-06 00:00 +00:00 | Sun 2024-01-07 00:00 +00:00
        0 22-2/2 * * * in UTC: Sat 2023-12-30 22:00 +00:00 | Sun 2023-12-31 00:00 +00:00 | Sun 2023-12-31 02:00 +00:00 | Sun 2023-12-31 22:00 +00:00
        0 0 13 * FRI in UTC: Fri 2024-01-05 00:00 +00:00 | Fri 2024-01-12 00:00 +00:00 | Sat 2024-01-13 00:00 +00:00 | Fri 2024-01-19 00:00 +00:00
        0 0 */10 2 ? in UTC: Thu 2024-02-01 00:00 +00:00 | Sun 2024-02-11 00:00 +00:00 | Wed 2024-02-21 00:00 +00:00 | Sat 2025-02-01 00:00 +00:00
        0 0 31 * * in UTC: Sun 2023-12-31 00:00 +00:00 | Wed 2024-01-31 00:00 +00:00 | Sun 2024-03-31 00:00 +00:00 | Fri 2024-05-31 00:00 +00:00
        0 0 L * * in UTC: Sun 2023-12-31 00:00 +00:00 | Wed 2024-01-31 00:00 +00:00 | Thu 2024-02-29 00:00 +00:00 | Sun 2024-03-31 00:00 +00:00
        0 0 29 2 * in UTC: Thu 2024-02-29 00:00 +00:00 | Tue 2028-02-29 00:00 +00:00
        0 0 LW * * in UTC: Wed 2024-01-31 00:00 +00:00 | Thu 2024-02-29 00:00 +00:00 | Fri 2024-03-29 00:00 +00:00 | Tue 2024-04-30 00:00 +00:00
        0 0 15W * * in UTC: Mon 2024-01-15 00:00 +00:00 | Thu 2024-02-15 00:00 +00:00 | Fri 2024-03-15 00:00 +00:00 | Mon 2024-04-15 00:00 +00:00
        0 0 * * 5L in UTC: Fri 2024-01-26 00:00 +00:00 | Fri 2024-02-23 00:00 +00:00
        0 0 * * MON#2 in UTC: Mon 2024-01-08 00:00 +00:00 | Mon 2024-02-12 00:00 +00:00
        @yearly in UTC: Mon 2024-01-01 00:00 +00:00 | Wed 2025-01-01 00:00 +00:00
        @annually in UTC: Mon 2024-01-01 00:00 +00:00
        @Monthly in UTC: Mon 2024-01-01 00:00 +00:00 | Thu 2024-02-01 00:00 +00:00
        @weekly in UTC: Sun 2023-12-31 00:00 +00:00 | Sun 2024-01-07 00:00 +00:00
        @daily in Asia/Kathmandu: Sun 2023-12-31 00:00 +05:45 | Mon 2024-01-01 00:00 +05:45
        @midnight in UTC: Sun 2023-12-31 00:00 +00:00
        @hourly in UTC: Sat 2023-12-30 11:00 +00:00 | Sat 2023-12-30 12:00 +00:00
    "#]].assert_eq(&table(CronForm::Unix, &cases));
}

#[test]
fn spans_begin_at_midnight_if_they_divide_a_day_and_at_the_epoch_otherwise() {
    let from = "2023-12-30T10:10:00Z";
    let cases = [
        ("every 6h", "UTC", from, 3),
        ("every 6h", "Europe/Berlin", from, 3),
        ("every 90m", "UTC", from, 2),
        ("Every 1h 30m", "UTC", from, 1),
        ("every 30 min", "Asia/Kathmandu", from, 2),
        ("every 1d", "America/New_York", from, 2),
        ("every 1s", "UTC", from, 2),
        ("every 7h", "Europe/Berlin", "1970-01-01T00:00:00Z", 3),
        ("every 2d", "Europe/Berlin", "1970-01-01T00:00:00Z", 3),
        ("every 1w", "UTC", from, 2),
        ("every 366d", "UTC", "1970-01-01T00:00:00Z", 2),
    ];
    expect![[r#"
        every 6h in UTC: Sat 2023-12-30 12:00 +00:00 | Sat 2023-12-30 18:00 +00:00 | Sun 2023-12-31 00:00 +00:00
        every 6h in Europe/Berlin: Sat 2023-12-30 12:00 +01:00 | Sat 2023-12-30 18:00 +01:00 | Sun 2023-12-31 00:00 +01:00
        every 90m in UTC: Sat 2023-12-30 10:30 +00:00 | Sat 2023-12-30 12:00 +00:00
        Every 1h 30m in UTC: Sat 2023-12-30 10:30 +00:00
        every 30 min in Asia/Kathmandu: Sat 2023-12-30 16:00 +05:45 | Sat 2023-12-30 16:30 +05:45
        every 1d in America/New_York: Sun 2023-12-31 00:00 -05:00 | Mon 2024-01-01 00:00 -05:00
        every 1s in UTC: Sat 2023-12-30 10:10 +00:00 | Sat 2023-12-30 10:10:01 +00:00
        every 7h in Europe/Berlin: Thu 1970-01-01 01:00 +01:00 | Thu 1970-01-01 08:00 +01:00 | Thu 1970-01-01 15:00 +01:00
        every 2d in Europe/Berlin: Thu 1970-01-01 01:00 +01:00 | Sat 1970-01-03 01:00 +01:00 | Mon 1970-01-05 01:00 +01:00
        every 1w in UTC: Thu 2024-01-04 00:00 +00:00 | Thu 2024-01-11 00:00 +00:00
        every 366d in UTC: Thu 1970-01-01 00:00 +00:00 | Sat 1971-01-02 00:00 +00:00
    "#]]
    .assert_eq(&table(CronForm::Unix, &cases));
}

#[test]
fn quartz_counts_seconds_and_begins_the_week_with_sunday_as_1() {
    let from = "2023-12-30T10:10:00Z";
    let cases = [
        ("0 0 6 * * ?", "UTC", from, 2),
        ("30 0/15 * * * ?", "UTC", from, 2),
        ("*/20 0 6 ? * *", "UTC", from, 4),
        ("0 0 6 ? * 1", "UTC", from, 2),
        ("0 0 6 ? * MON-FRI", "UTC", from, 3),
        ("0 0 6 ? * SAT-SUN", "UTC", from, 3),
        ("0 0 6 ? * 7-1", "UTC", from, 3),
        ("0 0 6 ? * L", "UTC", from, 2),
        ("0 0 6 ? * 6L", "UTC", from, 2),
        ("0 0 6 ? * 2#1", "UTC", from, 2),
        ("0 0 6 ? * 2/2", "UTC", from, 3),
        ("0 0 6 L * ?", "UTC", from, 2),
        ("0 0 6 1W * ?", "UTC", from, 2),
        ("0 0 6 LW 1/3 ?", "UTC", from, 2),
        ("0 0 22-2 * * ?", "UTC", from, 4),
        ("0 0 6 1 1 ? 2030-2040/5", "UTC", from, 4),
        ("0 0 6 1 1 ? *", "UTC", from, 1),
        ("0 30 1 * * ?", "Europe/London", "2026-03-28T12:00:00Z", 2),
    ];
    expect![[r#"
        0 0 6 * * ? in UTC: Sun 2023-12-31 06:00 +00:00 | Mon 2024-01-01 06:00 +00:00
        30 0/15 * * * ? in UTC: Sat 2023-12-30 10:15:30 +00:00 | Sat 2023-12-30 10:30:30 +00:00
        */20 0 6 ? * * in UTC: Sun 2023-12-31 06:00 +00:00 | Sun 2023-12-31 06:00:20 +00:00 | Sun 2023-12-31 06:00:40 +00:00 | Mon 2024-01-01 06:00 +00:00
        0 0 6 ? * 1 in UTC: Sun 2023-12-31 06:00 +00:00 | Sun 2024-01-07 06:00 +00:00
        0 0 6 ? * MON-FRI in UTC: Mon 2024-01-01 06:00 +00:00 | Tue 2024-01-02 06:00 +00:00 | Wed 2024-01-03 06:00 +00:00
        0 0 6 ? * SAT-SUN in UTC: Sun 2023-12-31 06:00 +00:00 | Sat 2024-01-06 06:00 +00:00 | Sun 2024-01-07 06:00 +00:00
        0 0 6 ? * 7-1 in UTC: Sun 2023-12-31 06:00 +00:00 | Sat 2024-01-06 06:00 +00:00 | Sun 2024-01-07 06:00 +00:00
        0 0 6 ? * L in UTC: Sat 2024-01-06 06:00 +00:00 | Sat 2024-01-13 06:00 +00:00
        0 0 6 ? * 6L in UTC: Fri 2024-01-26 06:00 +00:00 | Fri 2024-02-23 06:00 +00:00
        0 0 6 ? * 2#1 in UTC: Mon 2024-01-01 06:00 +00:00 | Mon 2024-02-05 06:00 +00:00
        0 0 6 ? * 2/2 in UTC: Mon 2024-01-01 06:00 +00:00 | Wed 2024-01-03 06:00 +00:00 | Fri 2024-01-05 06:00 +00:00
        0 0 6 L * ? in UTC: Sun 2023-12-31 06:00 +00:00 | Wed 2024-01-31 06:00 +00:00
        0 0 6 1W * ? in UTC: Mon 2024-01-01 06:00 +00:00 | Thu 2024-02-01 06:00 +00:00
        0 0 6 LW 1/3 ? in UTC: Wed 2024-01-31 06:00 +00:00 | Tue 2024-04-30 06:00 +00:00
        0 0 22-2 * * ? in UTC: Sat 2023-12-30 22:00 +00:00 | Sat 2023-12-30 23:00 +00:00 | Sun 2023-12-31 00:00 +00:00 | Sun 2023-12-31 01:00 +00:00
        0 0 6 1 1 ? 2030-2040/5 in UTC: Tue 2030-01-01 06:00 +00:00 | Mon 2035-01-01 06:00 +00:00 | Sun 2040-01-01 06:00 +00:00
        0 0 6 1 1 ? * in UTC: Mon 2024-01-01 06:00 +00:00
        0 30 1 * * ? in Europe/London: Sun 2026-03-29 02:00 +01:00 | Mon 2026-03-30 01:30 +01:00
    "#]].assert_eq(&table(CronForm::Quartz, &cases));
}

#[test]
fn what_a_clock_leaves_out_fires_after_the_gap_and_what_it_shows_twice_fires_once() {
    let cases = [
        ("30 1 * * *", "Europe/London", "2026-03-28T00:00:00Z", 3),
        ("30 1 * * *", "Europe/London", "2026-10-24T00:00:00Z", 3),
        ("15,45 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", 3),
        ("15,45 1 * * *", "Europe/London", "2026-10-24T12:00:00Z", 4),
        ("30 1 * * SUN", "Europe/London", "2026-03-28T00:00:00Z", 2),
        ("0 2 * * *", "Europe/London", "2026-03-28T12:00:00Z", 2),
        ("30 1,13 * * *", "Europe/London", "2026-03-28T14:00:00Z", 3),
        ("*/30 * * * *", "Europe/London", "2026-03-29T00:00:00Z", 4),
        ("*/30 * * * *", "Europe/London", "2026-10-25T00:00:00Z", 6),
        ("0 * * * *", "Europe/London", "2026-10-24T23:30:00Z", 4),
        ("every 1h", "Europe/London", "2026-10-24T23:30:00Z", 4),
        ("every 6h", "Europe/London", "2026-10-24T23:30:00Z", 4),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
        ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", 6),
        ("*/15 * * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", 4),
        ("@daily", "Africa/Cairo", "2026-04-23T00:00:00Z", 2),
        ("@daily", "Africa/Cairo", "2026-10-29T00:00:00Z", 3),
        ("@hourly", "Africa/Cairo", "2026-10-29T20:00:00Z", 3),
        ("@daily", "America/Havana", "2026-10-31T12:00:00Z", 2),
        ("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 4),
        ("0 9 * * FRI", "Pacific/Apia", "2011-12-20T00:00:00Z", 3),
        ("@daily", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
        ("0 */1 * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", 3),
        ("30 23 * * SAT", "America/Nuuk", "2026-03-25T00:00:00Z", 2),
        ("30 1 * * *", "Europe/London", "2150-03-28T12:00:00Z", 2),
    ];
    expect![[r#"
        30 1 * * * in Europe/London: Sat 2026-03-28 01:30 +00:00 | Sun 2026-03-29 02:00 +01:00 | Mon 2026-03-30 01:30 +01:00
        30 1 * * * in Europe/London: Sat 2026-10-24 01:30 +01:00 | Sun 2026-10-25 01:30 +01:00 | Mon 2026-10-26 01:30 +00:00
        15,45 1 * * * in Europe/London: Sun 2026-03-29 02:00 +01:00 | Mon 2026-03-30 01:15 +01:00 | Mon 2026-03-30 01:45 +01:00
        15,45 1 * * * in Europe/London: Sun 2026-10-25 01:15 +01:00 | Sun 2026-10-25 01:45 +01:00 | Mon 2026-10-26 01:15 +00:00 | Mon 2026-10-26 01:45 +00:00
        30 1 * * SUN in Europe/London: Sun 2026-03-29 02:00 +01:00 | Sun 2026-04-05 01:30 +01:00
        0 2 * * * in Europe/London: Sun 2026-03-29 02:00 +01:00 | Mon 2026-03-30 02:00 +01:00
        30 1,13 * * * in Europe/London: Sun 2026-03-29 02:00 +01:00 | Sun 2026-03-29 13:30 +01:00 | Mon 2026-03-30 01:30 +01:00
        */30 * * * * in Europe/London: Sun 2026-03-29 00:00 +00:00 | Sun 2026-03-29 00:30 +00:00 | Sun 2026-03-29 02:00 +01:00 | Sun 2026-03-29 02:30 +01:00
        */30 * * * * in Europe/London: Sun 2026-10-25 01:00 +01:00 | Sun 2026-10-25 01:30 +01:00 | Sun 2026-10-25 01:00 +00:00 | Sun 2026-10-25 01:30 +00:00 | Sun 2026-10-25 02:00 +00:00 | Sun 2026-10-25 02:30 +00:00
        0 * * * * in Europe/London: Sun 2026-10-25 01:00 +01:00 | Sun 2026-10-25 01:00 +00:00 | Sun 2026-10-25 02:00 +00:00 | Sun 2026-10-25 03:00 +00:00
        every 1h in Europe/London: Sun 2026-10-25 01:00 +01:00 | Sun 2026-10-25 01:00 +00:00 | Sun 2026-10-25 02:00 +00:00 | Sun 2026-10-25 03:00 +00:00
        every 6h in Europe/London: Sun 2026-10-25 06:00 +00:00 | Sun 2026-10-25 12:00 +00:00 | Sun 2026-10-25 18:00 +00:00 | Mon 2026-10-26 00:00 +00:00
        15 2 * * * in Australia/Lord_Howe: Sun 2026-10-04 02:30 +11:00 | Mon 2026-10-05 02:15 +11:00
        45 1 * * * in Australia/Lord_Howe: Sun 2026-04-05 01:45 +11:00 | Mon 2026-04-06 01:45 +10:30
        */15 * * * * in Australia/Lord_Howe: Sun 2026-04-05 01:30 +11:00 | Sun 2026-04-05 01:45 +11:00 | Sun 2026-04-05 01:30 +10:30 | Sun 2026-04-05 01:45 +10:30 | Sun 2026-04-05 02:00 +10:30 | Sun 2026-04-05 02:15 +10:30
        */15 * * * * in Australia/Lord_Howe: Sun 2026-10-04 01:30 +10:30 | Sun 2026-10-04 01:45 +10:30 | Sun 2026-10-04 02:30 +11:00 | Sun 2026-10-04 02:45 +11:00
        @daily in Africa/Cairo: Fri 2026-04-24 01:00 +03:00 | Sat 2026-04-25 00:00 +03:00
        @daily in Africa/Cairo: Fri 2026-10-30 00:00 +02:00 | Sat 2026-10-31 00:00 +02:00 | Sun 2026-11-01 00:00 +02:00
        @hourly in Africa/Cairo: Thu 2026-10-29 23:00 +03:00 | Thu 2026-10-29 23:00 +02:00 | Fri 2026-10-30 00:00 +02:00
        @daily in America/Havana: Sun 2026-11-01 00:00 -04:00 | Mon 2026-11-02 00:00 -05:00
        0 9 * * * in Pacific/Apia: Thu 2011-12-29 09:00 -10:00 | Sat 2011-12-31 00:00 +14:00 | Sat 2011-12-31 09:00 +14:00 | Sun 2012-01-01 09:00 +14:00
        0 9 * * FRI in Pacific/Apia: Fri 2011-12-23 09:00 -10:00 | Sat 2011-12-31 00:00 +14:00 | Fri 2012-01-06 09:00 +14:00
        @daily in Pacific/Apia: Thu 2011-12-29 00:00 -10:00 | Sat 2011-12-31 00:00 +14:00 | Sun 2012-01-01 00:00 +14:00
        0 */1 * * * in Pacific/Apia: Thu 2011-12-29 23:00 -10:00 | Sat 2011-12-31 00:00 +14:00 | Sat 2011-12-31 01:00 +14:00
        30 23 * * SAT in America/Nuuk: Sun 2026-03-29 00:00 -01:00 | Sat 2026-04-04 23:30 -01:00
        30 1 * * * in Europe/London: Sun 2150-03-29 02:00 +01:00 | Mon 2150-03-30 01:30 +01:00
    "#]].assert_eq(&table(CronForm::Unix, &cases));
}

const WRONG: &[&str] = &[
    "",
    "0 6 * *",
    "0 0 6 * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "MON * * * *",
    "* * * MON *",
    "* * 1- * *",
    "*/0 * * * *",
    "*/x * * * *",
    "5/15 * * * *",
    "1,,2 * * * *",
    "? * * * *",
    "* * L-3 * *",
    "* * * * L",
    "* * * * 5#6",
    "* * * * 9#1",
    "* * 32W * *",
    "0 0 30 2 *",
    "0 0 31 4,6 *",
    "-1 * * * *",
    "+1 * * * *",
    "１ * * * *",
    "@fortnightly",
    "@daily 5",
    "@reboot",
    "every",
    "every day",
    "every 0s",
    "every 1500ms",
    "every 367d",
    "every 1month",
    "every 60",
    "every -1h",
    "every 999999999999999999999h",
    "hourly",
];

const WRONG_QUARTZ: &[&str] = &[
    "0 6 * * *",
    "@daily",
    "every 6h",
    "0 0 6 * * ? 2030 1",
    "0 0 6 ? * ?",
    "0 0 6 1 * MON",
    "0 0 6 ? * 0",
    "0 0 6 ? * 8",
    "0 0 6 1 1 ? 1969",
    "0 0 6 1 1 ? 2040-2030",
    "0 0 6 30 2 ?",
    "0 0 6 29 2 ? 2023",
    "0 0 6 L-3 * ?",
];

#[test]
fn what_is_no_schedule_is_refused_with_the_reason_and_an_example() {
    let forms = WRONG.iter().map(|text| (*text, CronForm::Unix)).chain(WRONG_QUARTZ.iter().map(|text| (*text, CronForm::Quartz)));
    let refused = forms.map(|(text, form)| {
        let error = Times::parse(&schedule(text, "UTC", form)).map(|_| text).unwrap_err();
        assert_eq!(error.kind(), pinlake_core::ErrorKind::Invalid);
        let message = error.message().replace(EXAMPLES, "UNIX").replace(QUARTZ_EXAMPLE, "QUARTZ");
        format!("{message}\n")
    });
    expect![[r#"
        '' is no schedule: it has 0 fields; there are minute, hour, day of the month, month, day of the week; UNIX
        '0 6 * *' is no schedule: it has 4 fields; there are minute, hour, day of the month, month, day of the week; UNIX
        '0 0 6 * * *' is no schedule: it has 6 fields; there are minute, hour, day of the month, month, day of the week; UNIX
        '60 * * * *' is no schedule: '60' is no minute: there are 0 to 59; UNIX
        '* 24 * * *' is no schedule: '24' is no hour: there are 0 to 23; UNIX
        '* * 0 * *' is no schedule: '0' is no day of the month: there are 1 to 31; UNIX
        '* * * 13 *' is no schedule: '13' is no month: there are 1 to 12 and JAN to DEC; UNIX
        '* * * * 8' is no schedule: '8' is no day of the week: there are 0 to 7 and SUN to SAT; UNIX
        'MON * * * *' is no schedule: 'MON' is no minute: there are 0 to 59; UNIX
        '* * * MON *' is no schedule: 'MON' is no month: there are 1 to 12 and JAN to DEC; UNIX
        '* * 1- * *' is no schedule: '1-' is no day of the month: there are 1 to 31; UNIX
        '*/0 * * * *' is no schedule: '*/0' is no minute: a step is a number from 1 on; UNIX
        '*/x * * * *' is no schedule: '*/x' is no minute: a step is a number from 1 on; UNIX
        '5/15 * * * *' is no schedule: '5/15' is no minute: a step takes a range, such as 5-59/15; UNIX
        '1,,2 * * * *' is no schedule: '' is no minute: there are 0 to 59; UNIX
        '? * * * *' is no schedule: '?' is no minute: there are 0 to 59; UNIX
        '* * L-3 * *' is no schedule: 'L-3' is no day of the month: days before the last one are not supported; UNIX
        '* * * * L' is no schedule: 'L' is no day of the week: the last Friday of a month is 5L; UNIX
        '* * * * 5#6' is no schedule: '5#6' is no day of the week: behind '#' stands which of the month it is, 1 to 5; UNIX
        '* * * * 9#1' is no schedule: '9#1' is no day of the week: there are 0 to 7 and SUN to SAT; UNIX
        '* * 32W * *' is no schedule: '32W' is no day of the month: there are 1 to 31; UNIX
        '0 0 30 2 *' is no schedule: it never comes true between 1970 and 2200; UNIX
        '0 0 31 4,6 *' is no schedule: it never comes true between 1970 and 2200; UNIX
        '-1 * * * *' is no schedule: '-1' is no minute: there are 0 to 59; UNIX
        '+1 * * * *' is no schedule: '+1' is no minute: there are 0 to 59; UNIX
        '１ * * * *' is no schedule: '１' is no minute: there are 0 to 59; UNIX
        '@fortnightly' is no schedule: there are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; UNIX
        '@daily 5' is no schedule: there are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; UNIX
        '@reboot' is no schedule: there are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; UNIX
        'every' is no schedule: '' is not a time span such as 60s; UNIX
        'every day' is no schedule: 'day' is not a time span such as 60s; UNIX
        'every 0s' is no schedule: a span is whole seconds, from 1s to 366d; UNIX
        'every 1500ms' is no schedule: 'ms' is no unit of a span: there are s, m, h, d and w; UNIX
        'every 367d' is no schedule: a span is whole seconds, from 1s to 366d; UNIX
        'every 1month' is no schedule: 'month' is no unit of a span: there are s, m, h, d and w; UNIX
        'every 60' is no schedule: '60' has no unit: a time span is written as 60s, 60m, 60h or 60d; UNIX
        'every -1h' is no schedule: '-1h' is not a time span such as 60s; UNIX
        'every 999999999999999999999h' is no schedule: '999999999999999999999h' is not a time span such as 60s; UNIX
        'hourly' is no schedule: it has 1 fields; there are minute, hour, day of the month, month, day of the week; UNIX
        '0 6 * * *' is no schedule: it has 5 fields; there are second, minute, hour, day of the month, month, day of the week, year, which may be left out; QUARTZ
        '@daily' is no schedule: Quartz has no nicknames; QUARTZ
        'every 6h' is no schedule: it has 2 fields; there are second, minute, hour, day of the month, month, day of the week, year, which may be left out; QUARTZ
        '0 0 6 * * ? 2030 1' is no schedule: it has 8 fields; there are second, minute, hour, day of the month, month, day of the week, year, which may be left out; QUARTZ
        '0 0 6 ? * ?' is no schedule: only one of the day of the month and the day of the week can be '?'; QUARTZ
        '0 0 6 1 * MON' is no schedule: of the day of the month and the day of the week, one must be '?'; QUARTZ
        '0 0 6 ? * 0' is no schedule: '0' is no day of the week: there are 1 to 7 and SUN to SAT; QUARTZ
        '0 0 6 ? * 8' is no schedule: '8' is no day of the week: there are 1 to 7 and SUN to SAT; QUARTZ
        '0 0 6 1 1 ? 1969' is no schedule: '1969' is no year: there are 1970 to 2200; QUARTZ
        '0 0 6 1 1 ? 2040-2030' is no schedule: '2040-2030' is no year: the range ends before it begins; QUARTZ
        '0 0 6 30 2 ?' is no schedule: it never comes true between 1970 and 2200; QUARTZ
        '0 0 6 29 2 ? 2023' is no schedule: it never comes true between 1970 and 2200; QUARTZ
        '0 0 6 L-3 * ?' is no schedule: 'L-3' is no day of the month: days before the last one are not supported; QUARTZ
    "#]].assert_eq(&refused.collect::<String>());
}

#[test]
fn a_long_text_is_not_read() {
    let error = Times::parse(&schedule(&"1,".repeat(200), "UTC", CronForm::Unix)).unwrap_err();
    assert_eq!(error.message(), format!("the schedule has over 256 bytes: {EXAMPLES}"));
}

#[test]
fn an_unknown_zone_is_refused_with_the_nearest_known_one() {
    let unknown =
        ["", "London", "Europe/Londn", "new york", "+02:00", "Xyzzy", "../../etc/passwd", "right/Europe/London", "Etc/Unknown"];
    let messages = unknown.map(|zone| {
        let error = Times::parse(&schedule("@daily", zone, CronForm::Unix)).map(|_| zone).unwrap_err();
        format!("{}\n", error.message())
    });
    expect![[r#"
        time zone '' is unknown: write an IANA name such as Europe/London or UTC
        time zone 'London' is unknown: did you mean Europe/London?
        time zone 'Europe/Londn' is unknown: did you mean Europe/London?
        time zone 'new york' is unknown: did you mean America/New_York?
        time zone '+02:00' is unknown: write an IANA name such as Europe/London or UTC
        time zone 'Xyzzy' is unknown: write an IANA name such as Europe/London or UTC
        time zone '../../etc/passwd' is unknown: write an IANA name such as Europe/London or UTC
        time zone 'right/Europe/London' is unknown: did you mean Europe/London?
        time zone 'Etc/Unknown' is unknown: did you mean Etc/UTC?
    "#]]
    .assert_eq(&messages.concat());
    assert!(Times::parse(&schedule("@daily", "europe/LONDON", CronForm::Unix)).is_ok());
    assert!(Times::parse(&schedule("@daily", &"x".repeat(65), CronForm::Unix)).is_err());
}

#[test]
fn an_interval_reaches_from_one_time_to_the_next() {
    let daily = times("30 1 * * *", "Europe/London");
    let interval = daily.interval_ending_at(at("2026-03-29T01:00:00Z"));
    assert_eq!((show(interval.from), show(interval.to)), ("2026-03-28T01:30:00Z".to_owned(), "2026-03-29T01:00:00Z".to_owned()));
    let next = daily.interval_ending_at(daily.next_after(interval.to).unwrap());
    assert_eq!(next.from, interval.to, "the gap's own time begins the next one");
    let once = Times::parse(&schedule("0 0 12 1 6 ? 2024", "UTC", CronForm::Quartz)).unwrap();
    let only = once.next_after(Timestamp(0)).unwrap();
    assert_eq!(once.interval_ending_at(only), Interval { from: Timestamp(0), to: only });
    assert_eq!(once.next_after(only), None);
    assert_eq!(once.last_at_or_before(Timestamp(i64::MAX)), Some(only));
    assert_eq!(once.last_at_or_before(Timestamp(only.0 - 1)), None);
}

#[test]
fn a_backfill_takes_whole_intervals_alone() {
    let daily = times("@daily", "UTC");
    let within = |from: &str, to: &str| {
        let found = daily.intervals_within(at(from), at(to));
        found.map(|interval| format!("{}..{}", &show(interval.from)[8..13], &show(interval.to)[8..13])).collect::<Vec<_>>()
    };
    assert_eq!(within("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"), ["01T00..02T00", "02T00..03T00"]);
    assert_eq!(within("2026-01-01T00:00:01Z", "2026-01-04T12:00:00Z"), ["02T00..03T00", "03T00..04T00"]);
    assert!(within("2026-01-01T00:00:01Z", "2026-01-02T12:00:00Z").is_empty());
    assert!(within("2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z").is_empty());
    assert_eq!(daily.intervals_within(Timestamp(0), Timestamp(i64::MAX)).take(3).count(), 3);
    let last = daily.intervals_within(at("2200-12-30T00:00:00Z"), Timestamp(i64::MAX)).last().unwrap();
    assert_eq!(show(last.to), "2200-12-31T00:00:00Z");
}

#[test]
fn parts_of_a_second_and_the_ends_of_time_are_kept_to() {
    let each = times("every 1s", "UTC");
    assert_eq!(each.next_after(Timestamp(999)), Some(Timestamp(1000)));
    assert_eq!(each.next_after(Timestamp(1000)), Some(Timestamp(2000)));
    assert_eq!(each.last_at_or_before(Timestamp(1999)), Some(Timestamp(1000)));
    for text in ["every 1s", "every 7h", "@daily", "0 0 29 2 *", "*/5 * * * *"] {
        for zone in ZONES {
            let times = times(text, zone);
            let first = times.next_after(Timestamp(i64::MIN)).unwrap();
            assert!(first >= Timestamp(0) && times.last_at_or_before(Timestamp(first.0 - 1)).is_none(), "{text} {zone}");
            let last = times.last_at_or_before(Timestamp(i64::MAX)).unwrap();
            assert_eq!((times.next_after(last), times.next_after(Timestamp(i64::MAX))), (None, None), "{text} {zone}");
            assert_eq!(times.last_at_or_before(Timestamp(i64::MIN)), None);
            let _ = times.interval_ending_at(Timestamp(i64::MIN));
        }
    }
    let years = times("@yearly", "UTC").between(Timestamp(i64::MIN), Timestamp(i64::MAX)).count();
    assert_eq!(years, 231, "1970 to 2200");
}

#[test]
fn a_year_of_a_thousand_schedules_is_counted() {
    let mut fired = 0;
    for number in 0..1000 {
        let zone = ZONES[number % ZONES.len()];
        let times = times(&format!("{} {} * * *", number % 60, number % 24), zone);
        fired += times.between(at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")).count();
    }
    // Those that fire at the turn of the year in their zone may have one more or less.
    assert!((364_000..=366_000).contains(&fired), "{fired}");
}

#[test]
fn schedules_of_a_pipeline_are_judged_where_they_stand() {
    let job = |name: &str, text: &str, timezone: &str| JobSpec {
        schedule: Some(schedule(text, timezone, CronForm::Unix)),
        ..testing::jobs::job(name, Vec::new())
    };
    let pipeline = Pipeline {
        jobs: vec![job("good", "@daily", "UTC"), job("text", "daily", "UTC"), job("both", "0 0 30 2 *", "Mars")],
        schedule_lines: [("text", 12, 12), ("both", 20, 21)]
            .map(|(name, text, timezone)| (name.to_owned(), ScheduleLines { text, timezone }))
            .into(),
        ..Pipeline::default()
    };
    let found: Vec<String> = problems(&pipeline).iter().map(|problem| format!("{problem}\n")).collect();
    expect![[r#"
        pipeline.yml:12: job 'text': 'daily' is no schedule: it has 1 fields; there are minute, hour, day of the month, month, day of the week; write five cron fields such as '0 6 * * *', '@daily' or 'every 6h'
        pipeline.yml:21: job 'both': time zone 'Mars' is unknown: write an IANA name such as Europe/London or UTC
        pipeline.yml:20: job 'both': '0 0 30 2 *' is no schedule: it never comes true between 1970 and 2200; write five cron fields such as '0 6 * * *', '@daily' or 'every 6h'
    "#]].assert_eq(&found.concat());
}

/// Times within `days` of `from`, reckoned minute by minute: what a clock shows is compared with the minutes and hours that are wanted.
fn reckoned(minutes: &BTreeSet<i64>, hours: &BTreeSet<i64>, zone: &TimeZone, from: i64, days: i64) -> BTreeSet<i64> {
    let shown = |at: i64| at + i64::from(zone.to_offset(jiff::Timestamp::from_second(at).unwrap()).seconds());
    let wanted = |wall: i64| {
        hours.contains(&(wall.rem_euclid(86_400) / 3600)) && minutes.contains(&(wall.rem_euclid(3600) / 60)) && wall % 60 == 0
    };
    // Offsets of whole half minutes are as fine as zones have them since 1970.
    let steps = (from - 2 * 86_400..from + days * 86_400).step_by(30);
    let found: BTreeSet<i64> = if hours.len() == 24 {
        steps.filter(|at| wanted(shown(*at))).collect()
    } else {
        // Each wanted reading counts when the clock first shows it or a later one.
        let (mut found, mut reached) = (BTreeSet::new(), shown(from - 2 * 86_400));
        for at in steps {
            let now = shown(at);
            if (reached + 1..=now).any(|wall| wall % 60 == 0 && wanted(wall)) {
                found.insert(at);
            }
            reached = reached.max(now);
        }
        found
    };
    found.into_iter().filter(|at| *at >= from).collect()
}

/// A zone, and a time in it about which its clock changes, or any.
fn moments() -> impl Strategy<Value = (&'static str, i64)> {
    let near = prop_oneof![-30 * 3600..4 * 3600i64, -3600..7200i64];
    (0..ZONES.len(), 10 * 86_400..7_250_000_000i64, near, 0..8u8).prop_map(|(zone, from, near, choice)| {
        let zone = ZONES[zone];
        // Apia has left out one day once.
        let from = if zone == "Pacific/Apia" && choice < 4 { at("2011-12-29T00:00:00Z").0 / 1000 } else { from };
        let found = TimeZone::get(zone).unwrap();
        let change =
            found.following(jiff::Timestamp::from_second(from).unwrap()).next().map(|change| change.timestamp().as_second());
        (zone, change.filter(|_| choice > 0).unwrap_or(from) + near)
    })
}

fn texts() -> impl Strategy<Value = String> {
    let fixed = [
        "@daily",
        "@weekly",
        "@monthly",
        "@yearly",
        "@hourly",
        "*/7 * * * *",
        "30 1 * * *",
        "*/15 0-3 * * *",
        "0 0 31 * *",
        "0 0 L * *",
        "30 2 29 2 *",
        "0 0 13 * FRI",
        "every 6h",
        "every 90m",
        "every 7h",
        "every 45m",
        "every 1d",
        "every 11d",
        "59 23 * * *",
    ];
    prop_oneof![
        (0..fixed.len()).prop_map(move |at| fixed[at].to_owned()),
        (0..60u8, 0..24u8, 1..29u8).prop_map(|(minute, hour, day)| format!("{minute} {hour} {day},15 * *")),
        (1..60u32).prop_map(|minutes| format!("every {minutes}m")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn times_are_those_that_plain_reckoning_finds(
        minutes in prop::collection::btree_set(0..60i64, 1..4), hours in prop::collection::btree_set(0..24i64, 1..5), hourly in any::<bool>(),
        (zone, from) in moments(),
    ) {
        let hours = if hourly { (0..24).collect() } else { hours };
        let list = |numbers: &BTreeSet<i64>| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let text = format!("{} {} * * *", list(&minutes), if hourly { "*".to_owned() } else { list(&hours) });
        let times = times(&text, zone);
        let from = from - from.rem_euclid(60);
        let expected = reckoned(&minutes, &hours, &TimeZone::get(zone).unwrap(), from, 3);
        let end = from + 3 * 86_400;
        let found: BTreeSet<i64> = times.between(timestamp(from), timestamp(end)).map(|at| at.0 / 1000).collect();
        prop_assert_eq!(&found, &expected, "{} in {}", text, zone);
        // Backwards they are the same.
        let mut backwards = BTreeSet::new();
        let mut last = times.last_at_or_before(Timestamp(end * 1000 - 1));
        while let Some(at) = last.filter(|at| at.0 >= from * 1000) {
            backwards.insert(at.0 / 1000);
            last = times.last_at_or_before(Timestamp(at.0 - 1));
        }
        prop_assert_eq!(&backwards, &expected, "{} in {}, backwards", text, zone);
    }

    #[test]
    fn times_go_up_and_their_intervals_leave_nothing_out(text in texts(), (zone, from) in moments(), part in 0..1000i64) {
        let times = times(&text, zone);
        let from = Timestamp(from * 1000 + part);
        let mut at = from;
        for _ in 0..20 {
            let Some(next) = times.next_after(at) else { break };
            prop_assert!(next > at);
            prop_assert_eq!(times.last_at_or_before(next), Some(next));
            let last = times.last_at_or_before(Timestamp(next.0 - 1));
            prop_assert!(last <= Some(at), "nothing lies between a time and the next");
            if at != from {
                prop_assert_eq!(times.interval_ending_at(next), Interval { from: at, to: next });
            }
            at = next;
        }
        let intervals: Vec<Interval> = times.intervals_within(from, at).collect();
        prop_assert!(intervals.windows(2).all(|pair| pair[0].to == pair[1].from));
        prop_assert!(intervals.iter().all(|interval| from <= interval.from && interval.from < interval.to && interval.to <= at));
        prop_assert!(intervals.is_empty() || intervals[intervals.len() - 1].to == at);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-0-9*/,?LW#A-Za-z@ ]{0,40}", quartz in any::<bool>()) {
        let form = if quartz { CronForm::Quartz } else { CronForm::Unix };
        if let Ok(times) = Times::parse(&schedule(&text, "Europe/London", form)) {
            prop_assert!(times.next_after(Timestamp(0)).is_some());
        }
    }
}

#[test]
fn a_day_has_as_many_times_as_its_clock_has_hours() {
    for (day, hours) in [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)] {
        let zone = TimeZone::get("Europe/London").unwrap();
        let midnight: jiff::Zoned = format!("{day}T00:00[Europe/London]").parse().unwrap();
        let (from, to) = (midnight.timestamp().as_millisecond(), midnight.tomorrow().unwrap().timestamp().as_millisecond());
        for text in ["@hourly", "every 1h", "17 * * * *"] {
            assert_eq!(
                times(text, "Europe/London").between(Timestamp(from), Timestamp(to)).count(),
                hours,
                "{text} on {day} in {zone:?}"
            );
        }
        assert_eq!(to - from, hours as i64 * HOUR);
        assert_eq!(times("30 1 * * *", "Europe/London").between(Timestamp(from), Timestamp(to)).count(), 1);
    }
    assert_eq!(times("every 11d", "UTC").next_after(Timestamp(0)), Some(Timestamp(11 * DAY)));
}
