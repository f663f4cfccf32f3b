//! The batch path on a running lake: the same cleaning over the archive replaces a table in one commit, while streaming goes
//! on. The archive is brought up to the present first; what comes in during the rebuild is taken from the log at the seam.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path;
use pinlake_core::{Error, Offset, Result, TopicName, TopicPartition};

use super::{Lake, TABLES_DIR};
use crate::archive::{DescribedObject, ManifestEntry};
use crate::batch::QUARANTINE_DIR;
use crate::batch::{self, Built, Output, OutputFiles, Progress};
use crate::raw::RawObject;
use crate::rows::Counts;
use crate::stream::Standing;

/// What a rebuild did to one table.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// The table.
    pub table: String,
    /// The version that replaced its rows.
    pub version: u64,
    /// What became of the records of the archive.
    pub counts: Counts,
}

impl Lake {
    /// Rebuilds the table of that name.
    ///
    /// # Errors
    /// `Conflict` while another rebuild runs; what is wrong with the archive.
    pub async fn rebuild(&self, name: &str) -> Result<Rebuilt> {
        let _alone = self.rebuilding.try_lock().map_err(|_| Error::conflict("another rebuild is running"))?;
        let table = self.table(name)?;
        let index = self.index(name)?;
        let (into, quarantine) = (self.store.folder(TABLES_DIR).folder(name), self.store.folder(QUARANTINE_DIR).folder(name));
        let files = OutputFiles { rows: &into, quarantine: &quarantine, placed: true };
        let (built, bounds) = self.build(index, Some(files)).await?;
        let mut counts = Counts::default();
        built.counts.values().for_each(|partition| counts.add(partition));
        let standing = |(of, held): (&TopicPartition, &Held)| {
            let counts = built.counts.get(of).copied().unwrap_or_default();
            let without_record = held.next.since(held.first) - held.records;
            let counts = Counts { without_record, ..counts };
            (of.clone(), Standing { start: held.first, position: held.next, counts, topic: None })
        };
        let standings = bounds.iter().map(standing).collect();
        let version = table.replace(built, standings).await?;
        Ok(Rebuilt { table: name.to_owned(), version, counts })
    }

    /// Runs everything that is acknowledged now from the archive through a table's cleaning; and which offsets that was.
    pub(super) async fn build(&self, index: usize, files: Option<OutputFiles<'_>>) -> Result<(Built, Bounds)> {
        let ends = self.ends(Some(index)).await?;
        self.archive.flush(ends).await?;
        // Also those of topics that are deleted by now.
        let objects = self.archive.objects(|topic| self.pipeline.route(index, topic).is_some()).await?;
        let bounds = contiguous(objects.iter().map(|object| &object.entry))?;
        let objects = objects.into_iter().filter_map(DescribedObject::raw).collect();
        let route = |topic: &TopicName| self.pipeline.route(index, topic);
        let output = Output { recipe: &self.tables[index].recipe, files, route: &route };
        let built = batch::build(&self.store, objects, output, &self.clock, &Arc::new(Progress::default())).await?;
        Ok((built, bounds))
    }
}

/// What the archive has of each partition.
pub(super) type Bounds = BTreeMap<TopicPartition, Held>;

/// What the archive has of one partition, as its manifest says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    /// The first offset.
    pub(super) first: Offset,
    /// The offset after the last.
    pub(super) next: Offset,
    /// How many of these offsets are records.
    pub(super) records: u64,
}

/// What the entries of each partition come to, which must follow one another without a gap.
fn contiguous<'a>(entries: impl Iterator<Item = &'a ManifestEntry>) -> Result<Bounds> {
    let mut bounds = Bounds::new();
    for entry in entries {
        let held = bounds.entry(entry.of.clone()).or_insert(Held { first: entry.first, next: entry.first, records: 0 });
        if held.next != entry.first || entry.records > entry.next.since(entry.first) {
            return Err(Error::corrupt(format!("the archive of {} goes on at {} after {}", entry.of, entry.first, held.next)));
        }
        held.next = entry.next;
        held.records += entry.records;
    }
    Ok(bounds)
}

impl DescribedObject {
    /// The object as a raw lake has it; `None` if there is none.
    pub(crate) fn raw(self) -> Option<RawObject> {
        let DescribedObject { entry, runs, keys } = self;
        Some(RawObject {
            path: Path::from(entry.object?),
            size: entry.bytes,
            of: entry.of,
            start: entry.first,
            runs: Arc::from(runs),
            keys: Arc::from(keys.unwrap_or_default()),
        })
    }
}
