//! What may go: whole sealed segments, the oldest first, by age and by size, and nothing that a follower still needs. Pure: the owner acts.

#[cfg(test)]
mod tests;

use std::time::Duration;

use pinlake_core::{Offset, Timestamp, TopicSpec};

use crate::segment::Extent;

/// How many of the oldest segments may go, of a partition that was trimmed to `start`. The last of `segments` is the active one and stays.
pub(crate) fn droppable(segments: &[Extent], now: Timestamp, spec: &TopicSpec, floor: Option<Offset>, start: Offset) -> usize {
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let sealed = segments.split_last().map_or(&[][..], |(_, sealed)| sealed);
    let may_go = |segment: &&Extent| {
        let needed = floor.is_some_and(|floor| segment.end > floor);
        // Dropping it must leave as much as the topic is to keep.
        let large = spec.retention_bytes.is_some_and(|most| bytes - segment.bytes >= most);
        bytes -= segment.bytes;
        segment.end <= start || (!needed && (large || is_expired(segment, now, spec)))
    };
    sealed.iter().take_while(may_go).count()
}

/// Whether all that the segment holds is older than the topic keeps.
pub(crate) fn is_expired(segment: &Extent, now: Timestamp, spec: &TopicSpec) -> bool {
    let Some(keep) = spec.retention_ms else { return false };
    segment.max_timestamp.is_some_and(|newest| newest.until(now) > Duration::from_millis(keep))
}

/// Whether the segment's first batch was appended so long ago that it should be sealed.
pub(crate) fn is_old(segment: &Extent, now: Timestamp, age: Duration) -> bool {
    segment.began.is_some_and(|began| began.until(now) >= age)
}
