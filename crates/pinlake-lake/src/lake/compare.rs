//! The proof that both paths agree: what a rebuild from the archive would make of a table, beside the rows that are in it.
//!
//! Both sides are compared by key and by a 32-bit digest of the clean columns, in about 21 bytes a key and side. Where the same
//! key came through two partitions with other content, the stream kept the row that came first and a rebuild keeps the row
//! whose topic sorts first: such rows are `differing`, and there are never more of them than the ledger has conflicts.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use futures::StreamExt;
use pinlake_core::{Offset, Result, TopicName, TopicPartition};

use super::Lake;
use super::rebuild::{Bounds, Held};
use crate::error;
use crate::follow::{Committed, Ends};
use crate::keys::{Admission, KeyIndex, digests_of, keys_of};
use crate::live::{self, TableView};
use crate::rows::{Counts, Recipe};

/// How a table and its rebuild from the archive compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows that a rebuild would make of the archive.
    pub rebuilt: u64,
    /// Rows that are the same on both sides.
    pub same: u64,
    /// Rows with the same key and other content.
    pub differing: u64,
    /// Rows that a rebuild would make and that are not in the table.
    pub missing: u64,
    /// Rows of the table that the archive holds the record of and that a rebuild would not make.
    pub extra: u64,
    /// Rows of the table whose key is there once already.
    pub doubled: u64,
}

/// A table's two sides, counted from what was stored.
pub(super) struct Proof {
    pub(super) comparison: Comparison,
    /// Records of each partition that were read from the archive, and what its manifest says it has.
    pub(super) archived: BTreeMap<TopicPartition, (u64, Held)>,
    /// The table as it was compared.
    pub(super) committed: Committed,
}

impl Lake {
    /// Runs the archive through the cleaning of the table at `index` and compares what comes out with the table.
    pub(super) async fn compare(&self, index: usize) -> Result<Proof> {
        // One at a time: each reads the whole archive and holds two indexes of keys.
        let _alone = self.proving.lock().await;
        let (built, bounds) = self.build(index, None).await?;
        let ends: Ends = bounds.iter().map(|(of, held)| (of.clone(), held.next)).collect();
        let follower = &self.tables[index];
        let committed = follower.account(ends).await?;
        let comparison = self.compare_rows(&follower.recipe, committed.rows.clone(), &built.index, &bounds).await?;
        let read = |of| built.counts.get(of).map_or(0, Counts::total);
        let archived = bounds.iter().map(|(of, held)| (of.clone(), (read(of), *held))).collect();
        Ok(Proof { comparison, archived, committed })
    }

    async fn compare_rows(&self, recipe: &Recipe, rows: TableView, rebuilt: &KeyIndex, bounds: &Bounds) -> Result<Comparison> {
        let failed = |e| error::query("reading the table to compare it", e);
        let mut rows = live::rows(&self.store, rows, None).await?;
        let mut comparison = Comparison { rebuilt: rebuilt.len() as u64, ..Comparison::default() };
        let (mut seen, mut common) = (recipe.new_index(), 0);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(failed)?;
            let columns = recipe.schema().fields().len();
            let (keys, digests) = (keys_of(&batch, recipe.key())?, digests_of(&batch, columns)?);
            let mut first = vec![true; batch.num_rows()];
            seen.admit(&keys, &digests, |row, admission| first[row] = admission == Admission::New)?;
            let is_archived = archived_rows(&batch, columns, bounds)?;
            rebuilt.find(&keys, &digests, |row, found| match found {
                _ if !first[row] => comparison.doubled += 1,
                Some(same) => {
                    common += 1;
                    *(if same { &mut comparison.same } else { &mut comparison.differing }) += 1;
                }
                None => comparison.extra += u64::from(is_archived[row]),
            })?;
        }
        comparison.missing = comparison.rebuilt - common;
        Ok(comparison)
    }
}

/// Which rows come from records that the archive held when it was read.
fn archived_rows(batch: &RecordBatch, meta: usize, bounds: &Bounds) -> Result<Vec<bool>> {
    let topics = batch.column(meta).as_string_view();
    let (partitions, offsets) =
        (batch.column(meta + 1).as_primitive::<Int32Type>(), batch.column(meta + 2).as_primitive::<Int64Type>());
    let mut last: Option<(TopicPartition, Option<Held>)> = None;
    let mut archived = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (topic, partition) = (topics.value(row), partitions.value(row).cast_unsigned());
        let known = last.as_ref().is_some_and(|(of, _)| of.topic.as_str() == topic && of.partition.0 == partition);
        if !known {
            let of = TopicName::new(topic)?.partition(partition);
            let held = bounds.get(&of).copied();
            last = Some((of, held));
        }
        let held = last.as_ref().and_then(|(_, held)| *held);
        archived.push(held.is_some_and(|held| (held.first..held.next).contains(&Offset(offsets.value(row)))));
    }
    Ok(archived)
}
