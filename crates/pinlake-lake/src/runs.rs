//! What stands at the offsets of an object: records, in runs of one time, and holes between them. It tells a line its offset and time.

#[cfg(test)]
mod tests;

use std::iter;

use pinlake_core::{Offset, Timestamp};

/// Offsets that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// So many records of one time.
    Records(u32, Timestamp),
    /// So many offsets without a record.
    Hole(u64),
}

/// Offset and time of each line of an object whose first stands at `start`. Lines behind the runs go on without holes, at times that nobody
/// knows.
pub fn places(start: Offset, runs: &[Run]) -> impl Iterator<Item = (Offset, Option<Timestamp>)> {
    let mut next = start;
    let mut known = runs.iter().flat_map(move |run| {
        let (first, count, time) = match *run {
            Run::Records(count, time) => (next, u64::from(count), Some(time)),
            Run::Hole(count) => {
                next = next.plus(count);
                (next, 0, None)
            }
        };
        next = first.plus(count);
        (0..count).map(move |line| (first.plus(line), time))
    });
    let mut unknown = end(start, runs);
    iter::from_fn(move || {
        known.next().or_else(|| {
            let place = (unknown, None);
            unknown = unknown.plus(1);
            Some(place)
        })
    })
}

/// The offset after the runs.
fn end(start: Offset, runs: &[Run]) -> Offset {
    runs.iter().fold(start, |end, run| match run {
        Run::Records(count, _) => end.plus(u64::from(*count)),
        Run::Hole(count) => end.plus(*count),
    })
}
