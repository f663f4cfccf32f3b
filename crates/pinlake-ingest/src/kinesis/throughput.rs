//! What a shard of AWS's takes and gives in a second, for tests of clients that must live with it. Pure: the time is its caller's, and what is
//! said of it too.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pinlake_core::Timestamp;

/// Records that a shard takes in a second.
const RECORDS_IN: i64 = 1000;
/// Bytes of data and keys that it takes.
const BYTES_IN: i64 = 1 << 20;
/// Reads that it answers.
const READS_OUT: i64 = 5;
/// Bytes that it answers. One read may take more, and those behind it wait until that is made up for.
const BYTES_OUT: i64 = 2 << 20;

/// The shards of one stream, by number: as many as somebody has used.
#[derive(Default)]
pub(crate) struct Meters(Mutex<Vec<Meter>>);

#[derive(Clone, Default)]
struct Meter {
    records_in: Bucket<RECORDS_IN>,
    bytes_in: Bucket<BYTES_IN>,
    reads_out: Bucket<READS_OUT>,
    bytes_out: Bucket<BYTES_OUT>,
}

/// What was used of so many units a second. As many at once too; a unit more than that, such as a large record, needs all of it and is made up for
/// later.
#[derive(Clone, Default)]
struct Bucket<const A_SECOND: i64> {
    /// Thousandths of a unit.
    used: i64,
    at: Timestamp,
}

impl Meters {
    /// Whether the shard takes a record of this size now; counts it if so.
    pub(crate) fn takes_record(&self, shard: u32, bytes: usize, now: Timestamp) -> bool {
        let mut shards = self.lock();
        let meter = meter(&mut shards, shard);
        let takes = meter.records_in.has(1, now) && meter.bytes_in.has(units(bytes), now);
        if takes {
            meter.records_in.use_up(1);
            meter.bytes_in.use_up(units(bytes));
        }
        takes
    }

    /// Whether the shard answers a read now; counts it if so.
    pub(crate) fn answers_read(&self, shard: u32, now: Timestamp) -> bool {
        let mut shards = self.lock();
        let meter = meter(&mut shards, shard);
        let answers = meter.bytes_out.has(1, now) && meter.reads_out.has(1, now);
        if answers {
            meter.reads_out.use_up(1);
        }
        answers
    }

    /// Counts what a read has answered.
    pub(crate) fn answered(&self, shard: u32, bytes: usize) {
        meter(&mut self.lock(), shard).bytes_out.use_up(units(bytes));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The meter of a shard that is there.
fn meter(shards: &mut Vec<Meter>, shard: u32) -> &mut Meter {
    let at = shard as usize;
    if shards.len() <= at {
        shards.resize(at + 1, Meter::default());
    }
    &mut shards[at]
}

fn units(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl<const A_SECOND: i64> Bucket<A_SECOND> {
    fn has(&mut self, units: i64, now: Timestamp) -> bool {
        let passed_ms = i64::try_from(self.at.until(now).as_millis()).unwrap_or(i64::MAX);
        self.used = self.used.saturating_sub(passed_ms.saturating_mul(A_SECOND)).max(0);
        self.at = now;
        self.used + units.min(A_SECOND) * 1000 <= A_SECOND * 1000
    }

    fn use_up(&mut self, units: i64) {
        self.used = self.used.saturating_add(units.saturating_mul(1000));
    }
}
