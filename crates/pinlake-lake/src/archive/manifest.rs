//! The archive's manifest: which objects there are and what each holds, and where between them no record stands.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use futures::StreamExt;
use pinlake_core::{Clock, Error, Offset, Result, Timestamp, TopicId, TopicName, TopicPartition};
use serde_json::{Value, json};

use super::MANIFEST_DIR;
use crate::error;
use crate::live::{self, TableView};
use crate::maintain::{self, Part};
use crate::parquet_file::write_file;
use crate::runs::Run;
use crate::store::Store;
use crate::table::{Change, REMOVED_KEPT, Table, Vacuumed};

/// What the archive has of a stretch of a partition's offsets. The entries of a partition follow one another without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The object's path within the archive; `None` where these offsets hold no record, so that there is no object.
    pub object: Option<String>,
    /// The partition its records come from.
    pub of: TopicPartition,
    /// The first offset: that of the object's first record.
    pub first: Offset,
    /// The offset after the last, which need not be a record's.
    pub next: Offset,
    /// How many records there are.
    pub records: u64,
    /// The object's bytes.
    pub bytes: u64,
    /// The XXH3 digest of its bytes, 128 bits in hexadecimal digits.
    pub digest: String,
}

/// An entry with what an object's name and bytes do not say of each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedObject {
    /// The entry.
    pub entry: ManifestEntry,
    /// What stands at its offsets, in order.
    pub runs: Vec<Run>,
    /// The key of each record, in order, for topics where the key tells whose a record is.
    pub keys: Option<Vec<Option<Vec<u8>>>>,
}

impl ManifestEntry {
    /// Whether the offset lies in it.
    pub fn contains(&self, offset: Offset) -> bool {
        self.first <= offset && offset < self.next
    }
}

/// The columns of a [`ManifestEntry`]; the others grow with its records.
const ENTRY_COLUMNS: usize = 8;

/// The manifest's table and the position of every partition in it.
#[derive(Debug)]
pub(super) struct Manifest {
    table: Table,
    pub(super) positions: BTreeMap<TopicPartition, Offset>,
    /// Which of the topics that have had the name each partition is of, as far as that was noted.
    pub(super) topics: BTreeMap<TopicPartition, TopicId>,
    /// Topics that were deleted on purpose, and are not there again as far as is known.
    pub(super) deleted: BTreeSet<TopicName>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("object", DataType::Utf8View, true),
        Field::new("topic", DataType::Utf8View, true),
        Field::new("partition", DataType::Int32, true),
        Field::new("first_offset", DataType::Int64, true),
        Field::new("next_offset", DataType::Int64, true),
        Field::new("records", DataType::Int64, true),
        Field::new("bytes", DataType::Int64, true),
        Field::new("digest", DataType::Utf8View, true),
        Field::new("times", DataType::Binary, true),
        Field::new("keys", DataType::Binary, true),
    ]))
}

impl Manifest {
    pub(super) async fn open(store: Store, clock: Clock) -> Result<Manifest> {
        let table = Table::open(store, MANIFEST_DIR, schema(), clock).await?;
        let (positions, topics, deleted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut manifest = Manifest { table, positions, topics, deleted };
        manifest.positions = manifest.stored_positions().await?;
        manifest.topics = manifest.stored_topics().await?;
        manifest.deleted = manifest.stored_deleted().await?;
        Ok(manifest)
    }

    async fn stored_positions(&self) -> Result<BTreeMap<TopicPartition, Offset>> {
        let Some(info) = self.table.last_info().await? else { return Ok(BTreeMap::new()) };
        let corrupt = || Error::corrupt("the manifest's positions do not read");
        let positions = info.get("positions").and_then(|positions| positions.as_object()).ok_or_else(corrupt)?;
        let read = |(of, at): (&String, &serde_json::Value)| Ok((of.parse()?, Offset(at.as_i64().ok_or_else(corrupt)?)));
        positions.iter().map(read).collect()
    }

    async fn stored_topics(&self) -> Result<BTreeMap<TopicPartition, TopicId>> {
        let info = self.table.last_info().await?.unwrap_or_default();
        let corrupt = || Error::corrupt("the manifest's topics do not read");
        let topics: BTreeMap<String, TopicId> = match info.get("topics") {
            Some(topics) => serde_json::from_value(topics.clone()).map_err(|e| corrupt().with_source(e))?,
            None => BTreeMap::new(),
        };
        topics.into_iter().map(|(of, id)| Ok((of.parse()?, id))).collect()
    }

    async fn stored_deleted(&self) -> Result<BTreeSet<TopicName>> {
        let info = self.table.last_info().await?.unwrap_or_default();
        let deleted: Vec<String> = match info.get("deleted") {
            Some(deleted) => serde_json::from_value(deleted.clone())
                .map_err(|e| Error::corrupt("the manifest's deleted topics do not read").with_source(e))?,
            None => Vec::new(),
        };
        deleted.iter().map(|name| TopicName::new(name)).collect()
    }

    /// Notes that a topic was deleted on purpose, in a commit of its own.
    ///
    /// # Errors
    /// It is not noted then, or not known to be; asking again is safe.
    pub(super) async fn note_deleted(&mut self, topic: &TopicName) -> Result<()> {
        let mut deleted = self.deleted.clone();
        deleted.insert(topic.clone());
        let change = Change { data_change: true, info: Some(info(&self.positions, &self.topics, &deleted)), ..Change::default() };
        if let Err(error) = self.table.commit(change).await {
            self.table.reload().await?;
            if self.stored_deleted().await? != deleted {
                return Err(error);
            }
        }
        self.deleted = deleted;
        Ok(())
    }

    /// Enters objects. On success the positions stand behind them.
    ///
    /// # Errors
    /// On any error the objects are either all there or not at all; asking again with the same and more is safe.
    pub(super) async fn enter(&mut self, objects: &[DescribedObject], clock: &Clock) -> Result<()> {
        let stored = self.stored_positions().await?;
        if stored != self.positions {
            // The last try happened after all.
            self.table.reload().await?;
            self.positions = stored;
        }
        let mut positions = self.positions.clone();
        let is_new = |object: &&DescribedObject| {
            let entry = &object.entry;
            self.positions.get(&entry.of).is_none_or(|position| *position < entry.next)
        };
        let new: Vec<&DescribedObject> = objects.iter().filter(is_new).collect();
        for DescribedObject { entry, .. } in &new {
            if let Some(position) = positions.insert(entry.of.clone(), entry.next).filter(|position| *position > entry.first) {
                return Err(Error::conflict(format!(
                    "what is archived of {} from {} on begins before {position}, where the manifest stands: another process archives \
                     into this store",
                    entry.of, entry.first
                )));
            }
        }
        let Some(file) = write_file(self.table.store(), rows(&new)?, clock).await? else { return Ok(()) };
        let transactions = new.iter().map(|object| (object.entry.of.to_string(), positions[&object.entry.of].0));
        let transactions: BTreeMap<String, i64> = transactions.collect();
        let change = Change {
            add: vec![file],
            data_change: true,
            transactions: transactions.into_iter().collect(),
            info: Some(info(&positions, &self.topics, &self.deleted)),
            ..Change::default()
        };
        let done = self.table.commit(change).await;
        if let Err(error) = done {
            self.table.reload().await?;
            if self.stored_positions().await? != positions {
                return Err(error);
            }
        }
        self.positions = positions;
        self.compact().await;
        Ok(())
    }

    /// Puts small files together, when there are many. Failing is no harm: the next commit tries again.
    async fn compact(&mut self) {
        let Some(work) = maintain::compaction(Part::Rows, &self.table) else { return };
        let done = match work.await {
            Ok(compacted) => {
                let info = info(&self.positions, &self.topics, &self.deleted);
                maintain::replace_small(&mut self.table, compacted, Some(info)).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the manifest was not compacted");
        }
    }

    /// Removes files that no snapshot needs.
    pub(super) async fn vacuum(&mut self) {
        match self.remove_old().await {
            Ok(Vacuumed { files, .. }) => tracing::debug!(files, "removed old files of the manifest"),
            Err(error) => tracing::warn!(%error, "old files of the manifest were not removed"),
        }
    }

    async fn remove_old(&mut self) -> Result<Vacuumed> {
        let info = self.table.last_info().await?;
        self.table.vacuum(REMOVED_KEPT, info).await
    }

    /// All of it as it stands now.
    pub(super) fn view(&self) -> Result<TableView> {
        TableView::new(&self.table, Vec::new())
    }
}

/// The entries of a manifest in `store`, by partition and offset.
pub(super) async fn entries(store: &Store, manifest: TableView) -> Result<Vec<ManifestEntry>> {
    let schema = schema();
    let columns: Vec<&str> = schema.fields()[..ENTRY_COLUMNS].iter().map(|field| field.name().as_str()).collect();
    let mut rows = live::rows(store, manifest, Some(&columns)).await?;
    let mut entries = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| error::query("reading the manifest", e))?;
        for row in 0..batch.num_rows() {
            entries.push(entry_of(&batch, row)?);
        }
    }
    entries.sort_by(|a, b| (&a.of, a.first).cmp(&(&b.of, b.first)));
    Ok(entries)
}

/// The same with what is known of each record, of the topics that are `wanted`.
pub(super) async fn objects(
    store: &Store,
    manifest: TableView,
    wanted: impl Fn(&TopicName) -> bool,
) -> Result<Vec<DescribedObject>> {
    let mut rows = live::rows(store, manifest, None).await?;
    let mut objects = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| error::query("reading the manifest", e))?;
        let (runs, keys) = (batch.column(ENTRY_COLUMNS).as_binary::<i32>(), batch.column(ENTRY_COLUMNS + 1).as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let entry = entry_of(&batch, row)?;
            if wanted(&entry.of.topic) {
                let keys = keys.is_valid(row).then(|| decode_keys(keys.value(row)));
                objects.push(DescribedObject { entry, runs: decode_runs(runs.value(row)), keys });
            }
        }
    }
    objects.sort_by(|a, b| (&a.entry.of, a.entry.first).cmp(&(&b.entry.of, b.entry.first)));
    Ok(objects)
}

/// What a commit says of itself.
fn info(
    positions: &BTreeMap<TopicPartition, Offset>,
    topics: &BTreeMap<TopicPartition, TopicId>,
    deleted: &BTreeSet<TopicName>,
) -> Value {
    let positions: BTreeMap<String, i64> = positions.iter().map(|(of, at)| (of.to_string(), at.0)).collect();
    let topics: BTreeMap<String, TopicId> = topics.iter().map(|(of, id)| (of.to_string(), *id)).collect();
    let deleted: Vec<&str> = deleted.iter().map(TopicName::as_str).collect();
    json!({"positions": positions, "topics": topics, "deleted": deleted})
}

fn rows(objects: &[&DescribedObject]) -> Result<Vec<RecordBatch>> {
    let entries = || objects.iter().map(|object| &object.entry);
    let text = |of: fn(&ManifestEntry) -> &str| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(entries().map(of))) };
    let long = |of: fn(&ManifestEntry) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(entries().map(of))) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from_iter(entries().map(|entry| entry.object.as_deref()))),
        text(|entry| entry.of.topic.as_str()),
        Arc::new(Int32Array::from_iter_values(entries().map(|entry| entry.of.partition.0.cast_signed()))),
        long(|entry| entry.first.0),
        long(|entry| entry.next.0),
        long(|entry| entry.records.cast_signed()),
        long(|entry| entry.bytes.cast_signed()),
        text(|entry| &entry.digest),
        Arc::new(BinaryArray::from_iter_values(objects.iter().map(|object| encode_runs(&object.runs)))),
        Arc::new(BinaryArray::from_iter(objects.iter().map(|object| object.keys.as_deref().map(encode_keys)))),
    ];
    Ok(vec![RecordBatch::try_new(schema(), columns).map_err(|e| error::arrow("entering objects", e))?])
}

fn entry_of(batch: &RecordBatch, row: usize) -> Result<ManifestEntry> {
    let text = |at: usize| batch.column(at).as_string_view().value(row);
    let long = |at: usize| batch.column(at).as_primitive::<Int64Type>().value(row);
    let partition = batch.column(2).as_primitive::<Int32Type>().value(row);
    Ok(ManifestEntry {
        object: batch.column(0).is_valid(row).then(|| text(0).to_owned()),
        of: TopicName::new(text(1))?.partition(partition.cast_unsigned()),
        first: Offset(long(3)),
        next: Offset(long(4)),
        records: long(5).cast_unsigned(),
        bytes: long(6).cast_unsigned(),
        digest: text(7).to_owned(),
    })
}

/// Runs: count and milliseconds, four-byte and eight-byte little-endian numbers in turn. A count of zero stands for offsets without a record, and
/// the other number then says how many.
fn encode_runs(runs: &[Run]) -> Vec<u8> {
    let encode = |run: &Run| match *run {
        Run::Records(count, time) => (count, time.0),
        Run::Hole(count) => (0, count.cast_signed()),
    };
    runs.iter().map(encode).flat_map(|(count, number)| count.to_le_bytes().into_iter().chain(number.to_le_bytes())).collect()
}

fn decode_runs(bytes: &[u8]) -> Vec<Run> {
    let run = |run: &[u8]| {
        let (count, number) = run.split_at(4);
        let number = i64::from_le_bytes(number.try_into().expect("eight bytes"));
        match u32::from_le_bytes(count.try_into().expect("four bytes")) {
            0 => Run::Hole(number.cast_unsigned()),
            count => Run::Records(count, Timestamp(number)),
        }
    };
    bytes.chunks_exact(12).map(run).collect()
}

/// Keys one after another: a four-byte little-endian length plus one, or zero for no key, and the bytes.
fn encode_keys(keys: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let length = key.as_ref().map_or(0, |key| u32::try_from(key.len()).unwrap_or(u32::MAX - 1) + 1);
        out.extend(length.to_le_bytes());
        out.extend(key.iter().flatten());
    }
    out
}

fn decode_keys(mut bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut keys = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let Some((key, rest)) = rest.split_at_checked(length.saturating_sub(1)) else { break };
        keys.push((length > 0).then(|| key.to_vec()));
        bytes = rest;
    }
    keys
}
