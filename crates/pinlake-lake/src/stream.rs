//! What a table has taken from the log and not yet committed: positions, counts, clean rows and quarantined records.
//! Plain state without I/O; the follower around it reads and commits.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{
    Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use pinlake_core::pipeline::{Route, Routed};
use serde::{Deserialize, Serialize};

use pinlake_core::{Batch, Offset, OffsetRange, RecordView, Result, Timestamp, TopicId, TopicPartition};

use crate::decode::Rejected;
use crate::error;
use crate::quarantine::QuarantineRows;
use crate::records::Unpacked;
use crate::rows::{Admitted, Counts, Prepared, Recipe};

/// Where a table stands in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The first offset the table ever took.
    pub start: Offset,
    /// The next offset it takes.
    pub position: Offset,
    /// What became of everything between the two.
    pub counts: Counts,
    /// Which of the topics that have had the name it was; `None` if that was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicId>,
}

/// Why a record of a shared topic is in quarantine that no table takes.
pub(crate) const UNCLAIMED: &str = "no table of the pipeline takes records with this key";

/// The value of a tombstone, for whoever needs bytes.
const TOMBSTONE: &[u8] = b"null";

/// Records that are prepared together: enough to keep a vectorised engine busy. A batch may unpack to many times as much.
const PART_RECORDS_MAX: usize = 100_000;
/// Their bytes; one record may be larger.
const PART_BYTES_MAX: usize = 4 << 20;

/// Offsets of one partition: their records decoded and cleaned, but not admitted yet.
#[derive(Debug)]
pub(crate) struct PreparedRead {
    pub(crate) of: TopicPartition,
    pub(crate) next: Offset,
    prepared: Prepared,
    /// Offset and time of each record that was prepared.
    places: Vec<(Offset, Timestamp)>,
    elsewhere: u64,
    without_record: u64,
    /// What goes to quarantine: reason, bytes and place.
    set_aside: Vec<(String, Vec<u8>, Offset, Timestamp)>,
}

/// What is to be prepared.
pub(crate) struct Work {
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) of: TopicPartition,
    pub(crate) route: Route,
    /// The offsets to account for: records outside are passed over, and offsets within that hold none are counted.
    pub(crate) offsets: OffsetRange,
    /// Batches that hold what there is of these offsets.
    pub(crate) batches: Vec<Batch>,
}

impl Work {
    /// Decodes and cleans, and hands on part by part until all offsets are accounted for or `hand_on` says that nobody wants more. Pure work,
    /// for a blocking thread.
    pub(crate) fn prepare(&self, mut hand_on: impl FnMut(PreparedRead) -> bool) -> Result<()> {
        let OffsetRange { start: mut from, end } = self.offsets;
        let mut batches = self.batches.iter();
        while from < end {
            let unpacked = unpack_some(&mut batches);
            let (first, to) = (from, unpacked.last().map_or(end, |last| last.end().min(end)));
            let records = unpacked.iter().flat_map(Unpacked::records);
            let mut records = records.filter(|record| first <= record.offset && record.offset < to).peekable();
            while from < to {
                let part = Part::fill(&mut records, &self.route);
                let next = records.peek().map_or(to, |record| record.offset);
                if !hand_on(part.prepare(self, OffsetRange { start: from, end: next })?) {
                    return Ok(());
                }
                from = next;
            }
        }
        Ok(())
    }
}

/// The next batches: one at least, and no further one once they take as much as a part may. None when there are no more.
fn unpack_some<'a>(batches: &mut impl Iterator<Item = &'a Batch>) -> Vec<Unpacked<'a>> {
    let (mut unpacked, mut bytes) = (Vec::new(), 0);
    while bytes < PART_BYTES_MAX {
        let Some(batch) = batches.next() else { break };
        let batch = Unpacked::of(batch);
        bytes += batch.bytes();
        unpacked.push(batch);
    }
    unpacked
}

/// Some records of one partition, by where they go.
#[derive(Default)]
struct Part<'a> {
    records: Vec<&'a [u8]>,
    places: Vec<(Offset, Timestamp)>,
    elsewhere: u64,
    unclaimed: Vec<(String, Vec<u8>, Offset, Timestamp)>,
}

impl<'a> Part<'a> {
    fn fill(from: &mut impl Iterator<Item = RecordView<'a>>, route: &Route) -> Self {
        let (mut part, mut count, mut bytes) = (Part::default(), 0, 0);
        while count < PART_RECORDS_MAX && bytes < PART_BYTES_MAX {
            let Some(record) = from.next() else { break };
            let value = record.value.unwrap_or(TOMBSTONE);
            count += 1;
            bytes += value.len();
            match route.of(record.key) {
                Routed::Here => {
                    part.records.push(value);
                    part.places.push((record.offset, record.timestamp));
                }
                Routed::Elsewhere => part.elsewhere += 1,
                Routed::Unclaimed => {
                    part.unclaimed.push((UNCLAIMED.to_owned(), value.to_vec(), record.offset, record.timestamp));
                }
            }
        }
        part
    }

    /// Decodes and cleans them; they are all there is at `offsets`.
    fn prepare(self, work: &Work, offsets: OffsetRange) -> Result<PreparedRead> {
        let Part { records, places, elsewhere, unclaimed } = self;
        let count = (records.len() + unclaimed.len()) as u64 + elsewhere;
        let prepared = work.recipe.prepare(&records)?;
        let of_rejected = |Rejected { record, reason }: &Rejected| {
            let (offset, time) = places[*record as usize];
            (reason.clone(), records[*record as usize].to_vec(), offset, time)
        };
        let mut set_aside: Vec<_> = prepared.rejected.iter().map(of_rejected).chain(unclaimed).collect();
        set_aside.sort_by_key(|(_, _, offset, _)| *offset);
        let without_record = offsets.len() - count;
        Ok(PreparedRead { of: work.of.clone(), next: offsets.end, prepared, places, elsewhere, without_record, set_aside })
    }
}

/// Everything that waits for the next commit.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Clean rows with Pinlake's own columns.
    pub(crate) rows: Vec<RecordBatch>,
    /// How many there are.
    pub(crate) row_count: u64,
    /// Bytes they take.
    pub(crate) bytes: u64,
    /// Quarantined records.
    pub(crate) quarantined: QuarantineRows,
    /// The time of the oldest record that was taken.
    pub(crate) oldest: Option<Timestamp>,
    /// Offsets taken.
    pub(crate) offsets: u64,
}

/// A table's state between two commits.
#[derive(Debug)]
pub(crate) struct Stream {
    schema: SchemaRef,
    /// Where the table stands with what is pending.
    pub(crate) standings: BTreeMap<TopicPartition, Standing>,
    /// Quarantine rows before these offsets are in the quarantine already, from a commit that came before a crash.
    pub(crate) quarantined_to: BTreeMap<TopicPartition, Offset>,
    pub(crate) pending: Pending,
}

impl Stream {
    /// The state of a table with these columns, at its committed positions.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, standings: BTreeMap::new(), quarantined_to: BTreeMap::new(), pending: Pending::default() }
    }

    /// Takes in what was read: the key rule has been applied by `admit`.
    pub(crate) fn take(&mut self, read: PreparedRead, admit: impl FnOnce(Prepared) -> Result<Admitted>) -> Result<Counts> {
        let standing = self.standings.entry(read.of.clone()).or_default();
        let admitted = admit(read.prepared)?;
        let mut counts = admitted.counts;
        counts.quarantined = read.set_aside.len() as u64;
        counts.elsewhere = read.elsewhere;
        counts.without_record = read.without_record;
        let known_to = self.quarantined_to.get(&read.of).copied().unwrap_or_default();
        for (reason, raw, offset, time) in &read.set_aside {
            if *offset >= known_to {
                self.pending.quarantined.push(reason, raw, &read.of, *offset, Some(*time));
            }
        }
        let first = read.places.first().map(|place| place.1).or(read.set_aside.first().map(|set_aside| set_aside.3));
        self.pending.oldest = self.pending.oldest.or(first);
        self.pending.offsets += counts.offsets();
        if admitted.rows.num_rows() > 0 {
            let places: Vec<_> = admitted.sources.iter().map(|source| read.places[*source as usize]).collect();
            let rows = with_places(&self.schema, &admitted.rows, &read.of, &places)?;
            self.pending.row_count += rows.num_rows() as u64;
            self.pending.bytes += rows.get_array_memory_size() as u64;
            self.pending.rows.push(rows);
        }
        standing.counts.add(&counts);
        standing.position = read.next;
        Ok(counts)
    }
}

/// Clean rows followed by where each came from. Text is copied out of the chunk it was decoded in, so that a few rows do not
/// keep a whole chunk in memory.
pub(crate) fn with_places(
    schema: &SchemaRef,
    rows: &RecordBatch,
    of: &TopicPartition,
    places: &[(Offset, Timestamp)],
) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = rows.columns().iter().map(compact).collect();
    let topic = StringViewArray::from_iter_values(std::iter::repeat_n(of.topic.as_str(), places.len()));
    let partition = Int32Array::from_value(of.partition.0.cast_signed(), places.len());
    let times = TimestampMicrosecondArray::from_iter_values(places.iter().map(|place| place.1.0.saturating_mul(1000)));
    columns.push(Arc::new(topic));
    columns.push(Arc::new(partition));
    columns.push(Arc::new(Int64Array::from_iter_values(places.iter().map(|place| place.0.0))));
    columns.push(Arc::new(times.with_timezone("UTC")));
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| error::arrow("placing clean rows", e))
}

fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => {
            let text = column.as_string_view();
            let held: usize = text.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if held > 2 * text.total_buffer_bytes_used() { Arc::new(text.gc()) } else { column.clone() }
        }
        _ => column.clone(),
    }
}
