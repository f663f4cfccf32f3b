//! Cuts what is taken of one partition into units. Pure: it is told the records and the time, and must not read or write.
//!
//! Where a unit ends depends on its records alone, or else stands in the notes before anything of the unit is written: so a second run makes the
//! same units. What is told in the notes goes before the rules, and before the clock.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use pinlake_core::{Error, Offset, RecordView, Result, Timestamp, TopicId, TopicPartition};

use crate::layout::{File, Layout, Object, Placed, Row};
use crate::notes::Intent;
use crate::plan::{OnNull, Plan, Rotation, Schedule};
use crate::problem::Problem;

/// One partition on its way into units.
#[derive(Debug)]
pub(crate) struct Units {
    plan: Arc<Plan>,
    of: TopicPartition,
    topic: TopicId,
    next: Offset,
    open: Option<Unit>,
    /// Units of an earlier run whose ends were noted.
    intents: VecDeque<Intent>,
    /// An earlier run may have written units up to here: none is closed before its rules say so.
    again_before: Offset,
}

/// Records that are written together; a range of offsets.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The offset after its last.
    pub(crate) end: Offset,
    /// What must be noted before it is written.
    pub(crate) intent: Option<Intent>,
    /// Whether no earlier run can have begun to write it.
    pub(crate) is_first: bool,
    pub(crate) records: u64,
    /// Bytes, as the layout counts them.
    pub(crate) bytes: u64,
    topic: TopicId,
    objects: BTreeMap<String, OpenObject>,
    /// The wall clock's time by which its records are placed.
    at: Timestamp,
    /// Its first record's.
    time: Timestamp,
    folder: String,
    /// When the wall clock closes it.
    due: Option<Timestamp>,
}

/// Why a unit is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its rules say so.
    Rules,
    /// The notes say so.
    Noted,
    /// Somebody asked for it.
    Early,
}

#[derive(Debug)]
struct OpenObject {
    first: Offset,
    schema: u64,
    time: Timestamp,
    rows: Row,
}

impl Units {
    /// From `position` on, where an earlier run may have come to `again_before`.
    pub(crate) fn new(
        plan: Arc<Plan>,
        of: TopicPartition,
        topic: TopicId,
        position: Offset,
        intents: VecDeque<Intent>,
        again_before: Offset,
    ) -> Self {
        let again_before = if plan.by_wall_clock() { Offset::ZERO } else { again_before };
        Self { plan, of, topic, next: position, open: None, intents, again_before }
    }

    /// The next offset that it takes.
    pub(crate) fn next(&self) -> Offset {
        self.next
    }

    /// Whether records wait for the end of their unit.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Bytes of what waits.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |unit| unit.bytes)
    }

    /// Takes a record; what it closes goes to `closed`. One that can't be written is not taken.
    pub(crate) fn take(&mut self, record: &RecordView<'_>, now: Timestamp, closed: &mut Vec<Unit>) -> Result<(), Problem> {
        let at = self.pass_to_record(record, now, closed);
        let placed = self.plan.layout.place(&self.of, record, at)?;
        if placed.is_empty() && self.plan.on_null == OnNull::Fail {
            return Err(self.plan.layout.no_value());
        }
        self.put(record, placed, at, closed);
        Ok(())
    }

    /// Takes a batch that can't be unpacked, as one record, if anything is written of such.
    pub(crate) fn take_unreadable(
        &mut self,
        batch: &RecordView<'_>,
        error: &Error,
        now: Timestamp,
        closed: &mut Vec<Unit>,
    ) -> Result<(), Problem> {
        let at = self.pass_to_record(batch, now, closed);
        let placed = self.plan.layout.place_unreadable(&self.of, batch, error, at)?;
        // It was taken already where a unit ended within its batch.
        if batch.offset >= self.next {
            self.put(batch, placed, at, closed);
        }
        Ok(())
    }

    /// Comes to a record; answers the time by which it is placed.
    fn pass_to_record(&mut self, record: &RecordView<'_>, now: Timestamp, closed: &mut Vec<Unit>) -> Timestamp {
        self.pass_to(record.offset, now, closed);
        let at = self.open.as_ref().map(|unit| unit.at);
        at.or_else(|| self.intents.front().map(|intent| Timestamp(intent.at))).unwrap_or(now)
    }

    /// Puts what became of a record into a unit.
    fn put(&mut self, record: &RecordView<'_>, placed: Vec<Placed>, at: Timestamp, closed: &mut Vec<Unit>) {
        let Some(first) = placed.first() else {
            self.next = record.offset.plus(1);
            return;
        };
        if self.open.as_ref().is_some_and(|unit| unit.ends_before(first, &placed, &self.plan.rotation)) {
            self.close(record.offset, Why::Rules, closed);
        }
        let unit = match &mut self.open {
            Some(unit) => unit,
            none => none.insert(Unit::new(&self.plan, self.topic, at, first, !self.intents.is_empty())),
        };
        unit.push(record.offset, placed);
        self.next = record.offset.plus(1);
        // What is noted ended where the note says so, by whatever rules there were then.
        let noted = self.intents.front().filter(|_| self.plan.by_wall_clock());
        if unit.is_full(&self.plan.rotation) && noted.is_none_or(|intent| intent.end <= self.next) {
            self.close(self.next, Why::Rules, closed);
        }
    }

    /// There is nothing more before `offset`.
    pub(crate) fn pass_to(&mut self, offset: Offset, now: Timestamp, closed: &mut Vec<Unit>) {
        while let Some(intent) = self.intents.pop_front_if(|intent| intent.end <= offset) {
            self.next = self.next.max(intent.end);
            self.close(intent.end, Why::Noted, closed);
        }
        self.tick(now, closed);
        self.next = self.next.max(offset);
    }

    /// Closes what the wall clock says.
    pub(crate) fn tick(&mut self, now: Timestamp, closed: &mut Vec<Unit>) {
        if self.open.as_ref().is_some_and(|unit| unit.due.is_some_and(|due| due <= now)) {
            self.close(self.next, Why::Rules, closed);
        }
    }

    /// Whether everything is behind that an earlier run may have begun to write.
    pub(crate) fn is_past_again(&self) -> bool {
        self.intents.is_empty() && self.next >= self.again_before
    }

    /// Whether what is open may be closed before its rules say so.
    pub(crate) fn may_close_early(&self) -> bool {
        self.is_open() && self.is_past_again()
    }

    /// Closes what is open, if it may.
    pub(crate) fn close_early(&mut self, closed: &mut Vec<Unit>) {
        if self.may_close_early() {
            self.close(self.next, Why::Early, closed);
        }
    }

    fn close(&mut self, end: Offset, why: Why, closed: &mut Vec<Unit>) {
        let Some(mut unit) = self.open.take() else { return };
        unit.end = end;
        let must_note = match why {
            Why::Rules => self.plan.by_wall_clock() && self.intents.front().is_none_or(|intent| intent.end != end),
            Why::Noted => false,
            Why::Early => true,
        };
        unit.intent = must_note.then_some(Intent { end, at: unit.at.0 });
        unit.is_first = unit.intent.is_some() || (!self.plan.by_wall_clock() && end > self.again_before);
        closed.push(unit);
    }
}

impl Unit {
    fn new(plan: &Plan, topic: TopicId, at: Timestamp, first: &Placed, is_noted: bool) -> Self {
        Self {
            end: Offset::ZERO,
            intent: None,
            is_first: false,
            records: 0,
            bytes: 0,
            topic,
            objects: BTreeMap::new(),
            at,
            time: first.time,
            folder: first.folder.clone(),
            due: if is_noted { None } else { plan.due(at) },
        }
    }

    /// Whether a record belongs in the next unit.
    fn ends_before(&self, first: &Placed, placed: &[Placed], rotation: &Rotation) -> bool {
        let by_time = rotation
            .record_time
            .is_some_and(|most| first.folder != self.folder || self.time < first.time && self.time.until(first.time) >= most);
        let is_other = |placed: &Placed| self.objects.get(&placed.folder).is_some_and(|object| object.schema != placed.schema);
        let new = placed.iter().map(|placed| placed.folder.as_str()).filter(|folder| !self.objects.contains_key(*folder));
        let new = new.collect::<BTreeSet<_>>().len();
        let by_object = placed.iter().any(is_other) || new > 0 && self.objects.len() + new > rotation.objects;
        by_time || by_object
    }

    fn is_full(&self, rotation: &Rotation) -> bool {
        self.records >= rotation.records || self.bytes >= rotation.bytes
    }

    fn push(&mut self, offset: Offset, placed: Vec<Placed>) {
        for Placed { folder, time, schema, bytes, row } in placed {
            let open = || OpenObject { first: offset, schema, time, rows: Row::default() };
            let object = self.objects.entry(folder).or_insert_with(open);
            object.time = object.time.min(time);
            object.rows.push(row);
            self.bytes += bytes;
        }
        self.records += 1;
    }

    /// Its files, as they are written. May compute for long.
    pub(crate) fn files(self, of: &TopicPartition, layout: &dyn Layout) -> Result<Vec<File>> {
        let (end, topic) = (self.end, self.topic);
        let mut files = Vec::with_capacity(self.objects.len());
        for (folder, OpenObject { first, time, rows, .. }) in self.objects {
            files.extend(layout.files(Object { of, topic, folder: &folder, first, end, time, rows })?);
        }
        Ok(files)
    }
}

impl Plan {
    /// Whether units end, or records are placed, by the wall clock.
    pub(crate) fn by_wall_clock(&self) -> bool {
        self.layout.by_wall_clock() || self.rotation.age.is_some() || self.rotation.schedule.is_some()
    }

    /// When the wall clock closes a unit that was opened `at`.
    fn due(&self, at: Timestamp) -> Option<Timestamp> {
        let scheduled = self.rotation.schedule.as_ref().map(|schedule| schedule.after(at));
        let clock = self.layout.by_wall_clock();
        let place = clock.then(|| self.layout.until(at)).flatten();
        let span = self.rotation.record_time.filter(|_| clock);
        let after = |span: Duration| Timestamp(at.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
        [scheduled, place, span.map(after), self.rotation.age.map(after)].into_iter().flatten().min()
    }
}

impl Schedule {
    /// The next of its times after `at`: so often from midnight on, and at the next midnight.
    fn after(&self, at: Timestamp) -> Timestamp {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let Some((midnight, next_midnight)) = self.day_of(at) else { return Timestamp(at.0.saturating_add(every)) };
        let passed = at.0.saturating_sub(midnight).div_euclid(every).saturating_add(1);
        Timestamp(midnight.saturating_add(passed.saturating_mul(every)).min(next_midnight))
    }

    /// The midnights around `at`, ms; `None` for times that no calendar has.
    fn day_of(&self, at: Timestamp) -> Option<(i64, i64)> {
        let day = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone()).start_of_day().ok()?;
        let next = day.checked_add(1.day()).ok()?.start_of_day().ok()?;
        Some((day.timestamp().as_millisecond(), next.timestamp().as_millisecond()))
    }
}
