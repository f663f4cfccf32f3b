//! Where units end.

use std::time::Duration;

use jiff::tz::TimeZone;
use pinlake_core::{Batch, TopicName};

use super::*;
use crate::layout::Folders;
use crate::plan::{OnError, Retry, Start, Target, Topics};

const MINUTE: i64 = 60_000;

fn plan(rotation: Rotation) -> Arc<Plan> {
    Arc::new(Plan {
        topics: Topics::Named(Vec::new()),
        tasks: 1,
        target: Target::default(),
        start: Start::First,
        layout: Arc::new(Folders::lines("topics")),
        rotation,
        on_null: OnNull::Fail,
        on_error: OnError::default(),
        retry: Retry::default(),
        overwrite: false,
    })
}

fn of() -> TopicPartition {
    TopicName::new("t").unwrap().partition(0)
}

fn units(rotation: Rotation, intents: &[(i64, i64)], again_before: i64) -> Units {
    let intents = intents.iter().map(|(end, at)| Intent { end: Offset(*end), at: *at }).collect();
    Units::new(plan(rotation), of(), TopicId::of_name([1; 16]), Offset(0), intents, Offset(again_before))
}

/// Takes a record of ten bytes, with the byte of its headers; answers the ends of what it closes and of their intents.
fn take(units: &mut Units, offset: i64, now: i64) -> Vec<(i64, Option<i64>)> {
    let batch = Batch::of(&[pinlake_core::Record::of_value("123456789")], Timestamp(now)).unwrap().at(Offset(offset));
    let mut closed = Vec::new();
    units.take(&batch.records().next().unwrap().unwrap(), Timestamp(now), &mut closed).unwrap();
    ends(&closed)
}

fn ends(closed: &[Unit]) -> Vec<(i64, Option<i64>)> {
    closed.iter().map(|unit| (unit.end.0, unit.intent.map(|intent| intent.end.0))).collect()
}

fn schedule(minutes: u64, zone: &str) -> Schedule {
    Schedule { every: Duration::from_secs(60 * minutes), zone: TimeZone::get(zone).unwrap() }
}

#[test]
fn a_unit_ends_by_its_records_or_bytes() {
    let mut by_records = units(Rotation::by_records(2), &[], 0);
    assert_eq!([take(&mut by_records, 0, 0), take(&mut by_records, 1, 0)], [vec![], vec![(2, None)]]);
    let mut by_bytes = units(Rotation { bytes: 25, ..Rotation::by_records(100) }, &[], 0);
    assert_eq!(
        [take(&mut by_bytes, 0, 0), take(&mut by_bytes, 1, 0), take(&mut by_bytes, 5, 0)],
        [vec![], vec![], vec![(6, None)]]
    );
}

#[test]
fn what_is_noted_goes_before_clock_and_memory() {
    let rotation = Rotation { schedule: Some(schedule(1, "UTC")), ..Rotation::by_records(3) };
    let mut units = units(rotation, &[(2, 5), (5, 7)], 0);
    assert_eq!(take(&mut units, 0, MINUTE), []);
    let mut closed = Vec::new();
    units.tick(Timestamp(9 * MINUTE), &mut closed);
    units.close_early(&mut closed);
    assert!(closed.is_empty(), "its end is noted");
    assert_eq!(take(&mut units, 1, 10 * MINUTE), []);
    assert_eq!(take(&mut units, 2, 11 * MINUTE), [(2, None)]);
    assert_eq!(take(&mut units, 3, 12 * MINUTE), []);
    assert_eq!(take(&mut units, 4, 13 * MINUTE), [(5, None)], "by its records too, as it is noted");
    assert_eq!(take(&mut units, 5, 14 * MINUTE), []);
    units.pass_to(Offset(6), Timestamp(15 * MINUTE), &mut closed);
    assert_eq!(ends(&closed), [(6, Some(6))], "the clock counts again");
    assert_eq!(closed[0].intent.unwrap().at, 14 * MINUTE);
}

#[test]
fn a_noted_unit_that_ends_in_a_hole_ends_there() {
    let mut units = units(Rotation::by_records(10), &[(4, 0)], 0);
    take(&mut units, 1, 0);
    let mut closed = Vec::new();
    units.pass_to(Offset(3), Timestamp(0), &mut closed);
    assert!(closed.is_empty());
    units.pass_to(Offset(4), Timestamp(0), &mut closed);
    assert_eq!(ends(&closed), [(4, None)]);
}

#[test]
fn nothing_is_closed_early_where_an_earlier_run_may_have_come() {
    let mut units = units(Rotation::by_records(10), &[], 2);
    let mut closed = Vec::new();
    take(&mut units, 0, 0);
    units.close_early(&mut closed);
    assert!(closed.is_empty());
    take(&mut units, 1, 0);
    units.close_early(&mut closed);
    assert_eq!(ends(&closed), [(2, Some(2))]);
    units.close_early(&mut closed);
    assert_eq!(closed.len(), 1, "nothing is open");
}

#[test]
fn a_schedule_counts_from_midnight_of_its_zone() {
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let cases = [
        (10, "UTC", "2024-05-05T10:00:00Z", "2024-05-05T10:10:00Z"),
        (10, "UTC", "2024-05-05T10:09:59.999Z", "2024-05-05T10:10:00Z"),
        // Not a part of a day: the last of the day is short.
        (7 * 60, "UTC", "2024-05-05T21:30:00Z", "2024-05-06T00:00:00Z"),
        (60, "Asia/Kolkata", "2024-05-05T10:00:00Z", "2024-05-05T10:30:00Z"),
        // A day of 23 hours, and one of 25.
        (24 * 60, "Europe/Berlin", "2024-03-30T23:30:00Z", "2024-03-31T22:00:00Z"),
        (24 * 60, "Europe/Berlin", "2024-10-26T23:30:00Z", "2024-10-27T22:00:00Z"),
    ];
    for (minutes, zone, from, to) in cases {
        assert_eq!(schedule(minutes, zone).after(at(from)), at(to), "every {minutes} minutes of {zone} from {from}");
    }
    let far = Timestamp(i64::MAX - 3);
    assert!(schedule(10, "UTC").after(far) >= far);
}
