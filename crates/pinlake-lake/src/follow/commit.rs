//! One commit of a table: the quarantine's rows first, then rows, positions and counts together; and what to do when the
//! store does not say whether a commit happened.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use deltalake_core::kernel::Add;
use pinlake_core::{Error, ErrorKind, Offset, ReadLimit, Result, TopicPartition};

use super::owner::Owner;
use super::start::{CommitInfo, standings};
use crate::batch::Built;
use crate::maintain::Compacted;
use crate::parquet_file::{DataFile, FileWriter};
use crate::readers::Read;
use crate::store::Store;
use crate::stream::{Standing, Stream};
use crate::table::{Change, Table};

/// Times a commit is tried when somebody else's commit came first.
const TRIES_MAX: usize = 5;

impl Owner {
    /// Commits everything that is pending. On error nothing is lost: what was pending still is, unless the table says that the
    /// commit happened after all.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let committed = &self.status.borrow().committed.clone();
        if *committed == self.stream.standings {
            return Ok(());
        }
        if self.unknown {
            // The last try may have happened after all.
            self.table.reload().await?;
            self.quarantine.reload().await?;
        }
        self.commit_quarantine().await?;
        let pending = &self.stream.pending;
        let rows = pending.rows.clone();
        let add = write_file(self.table.store(), rows, &self.settings).await?;
        let change = || -> Result<Change> {
            Ok(Change {
                add: add.iter().map(|file| file.add.clone()).collect(),
                data_change: true,
                transactions: moved(committed, &self.stream.standings),
                info: Some(CommitInfo::of(&self.stream.standings)?),
                ..Change::default()
            })
        };
        commit_until_known(&mut self.table, change, committed, &self.stream.standings).await?;
        self.committed();
        Ok(())
    }

    /// Replaces the table by rebuilt files, which stand for `standings`; records that came since are taken from the log, so
    /// that the table's positions never go back.
    pub(super) async fn replace(&mut self, built: Built, standings: BTreeMap<TopicPartition, Standing>) -> Result<u64> {
        self.commit().await?;
        let reached = std::mem::replace(&mut self.stream, Stream::new(self.table.schema().clone()));
        let index = std::mem::replace(&mut self.index, built.index);
        self.stream.standings = standings;
        // A partition of which the archive holds nothing is taken from the log, from where the table began.
        for (of, standing) in &reached.standings {
            let begin = Standing { start: standing.start, position: standing.start, ..Standing::default() };
            self.stream.standings.entry(of.clone()).or_insert(begin);
        }
        let done = self.replace_by(built.rows, built.quarantined, &reached).await;
        if done.is_err() {
            self.stream = reached;
            self.index = index;
        } else {
            self.committed();
        }
        self.restart_readers();
        done
    }

    /// Commits a compaction, unless its files were replaced meanwhile.
    pub(super) async fn replace_small(&mut self, compacted: Compacted) -> Result<usize> {
        let files = self.table.files()?;
        let is_there = |file: &Add| files.iter().any(|there| there.path == file.path);
        if !compacted.from.iter().all(is_there) {
            return Ok(0);
        }
        let replaced = compacted.from.len();
        let info = CommitInfo::of(&self.status.borrow().committed)?;
        let change = Change { add: vec![compacted.to.add], remove: compacted.from, info: Some(info), ..Change::default() };
        let done = self.table.commit(change).await;
        if done.is_err() {
            self.table.reload().await?;
        }
        done.map(|_| replaced)
    }

    async fn replace_by(&mut self, rows: Vec<DataFile>, quarantined: Vec<DataFile>, reached: &Stream) -> Result<u64> {
        for (of, standing) in &reached.standings {
            self.catch_up(of, standing.position).await?;
        }
        let before = self.quarantined.clone();
        let pending = self.stream.pending.quarantined.batches()?;
        let tail = write_file(self.quarantine.store(), pending, &self.settings).await?;
        let remove = self.quarantine.files()?;
        let change = || -> Result<Change> {
            Ok(Change {
                add: quarantined.iter().chain(&tail).map(|file| file.add.clone()).collect(),
                remove: remove.clone(),
                data_change: true,
                replace: true,
                transactions: moved(&before, &self.stream.standings),
                info: Some(CommitInfo::of(&self.stream.standings)?),
            })
        };
        commit_replacing(&mut self.quarantine, change).await?;
        self.quarantined.clone_from(&self.stream.standings);
        let tail = write_file(self.table.store(), self.stream.pending.rows.clone(), &self.settings).await?;
        let remove = self.table.files()?;
        let change = || -> Result<Change> {
            Ok(Change {
                add: rows.iter().chain(&tail).map(|file| file.add.clone()).collect(),
                remove: remove.clone(),
                data_change: true,
                replace: true,
                transactions: moved(&reached.standings, &self.stream.standings),
                info: Some(CommitInfo::of(&self.stream.standings)?),
            })
        };
        commit_replacing(&mut self.table, change).await
    }

    async fn catch_up(&mut self, of: &TopicPartition, to: Offset) -> Result<()> {
        loop {
            let from = self.stream.standings.get(of).copied().unwrap_or_default().position;
            if from >= to {
                return Ok(());
            }
            let mut batches = self.log.read(of, from, ReadLimit::default(), Duration::ZERO).await?;
            // Batches are taken whole, and the table stood at the end of one.
            batches.retain(|batch| batch.base_offset() < to);
            if batches.is_empty() {
                return Err(Error::internal(format!("the log of {of} ends before {to}")));
            }
            self.prepare_and_take(Read { of: of.clone(), from, batches }).await?;
        }
    }

    async fn commit_quarantine(&mut self) -> Result<()> {
        if self.stream.pending.quarantined.is_empty() {
            return Ok(());
        }
        let rows = self.stream.pending.quarantined.batches()?;
        let add = write_file(self.quarantine.store(), rows, &self.settings).await?;
        let before = self.quarantined.clone();
        let change = || -> Result<Change> {
            Ok(Change {
                add: add.iter().map(|file| file.add.clone()).collect(),
                data_change: true,
                transactions: moved(&before, &self.stream.standings),
                info: Some(CommitInfo::of(&self.stream.standings)?),
                ..Change::default()
            })
        };
        commit_until_known(&mut self.quarantine, change, &before, &self.stream.standings).await?;
        self.quarantined.clone_from(&self.stream.standings);
        self.stream.pending.quarantined.clear();
        self.stream.quarantined_to = positions(&self.stream.standings);
        Ok(())
    }

    /// Everything pending is in the table now.
    fn committed(&mut self) {
        let pending = std::mem::take(&mut self.stream.pending);
        let table = self.recipe.name.to_string();
        metrics::counter!("pinlake_committed_rows_total", "table" => table.clone()).increment(pending.row_count);
        if let Some(oldest) = pending.oldest {
            let age = oldest.until(self.settings.clock.now());
            metrics::gauge!("pinlake_freshness_seconds", "table" => table).set(age.as_secs_f64());
        }
        for (of, standing) in &self.stream.standings {
            self.followers.report(&self.recipe.name, of, standing.position);
        }
        let files = self.table.files().unwrap_or_default();
        self.status.send_modify(|status| {
            status.version = self.table.version();
            status.committed.clone_from(&self.stream.standings);
            status.pending_rows = 0;
            status.files = files.len();
            status.bytes = files.iter().filter_map(|file| u64::try_from(file.size).ok()).sum();
        });
    }
}

/// Commits, and finds out what happened when the store does not say: the commit is ours if the table stands where we want it.
async fn commit_until_known(
    table: &mut Table,
    change: impl Fn() -> Result<Change>,
    built_on: &BTreeMap<TopicPartition, Standing>,
    wanted: &BTreeMap<TopicPartition, Standing>,
) -> Result<()> {
    let mut failed = None;
    for _ in 0..TRIES_MAX {
        if failed.is_some() {
            table.reload().await?;
        }
        let there = standings(table).await?;
        if there == *wanted {
            return Ok(());
        }
        if there != *built_on {
            return Err(Error::conflict("another process commits to the table: run one server on this store, and restart it"));
        }
        match table.commit(change()?).await {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Retry) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    let error = failed.expect("the loop ran");
    Err(Error::retry(format!("the commit failed {TRIES_MAX} times")).with_source(error))
}

/// A replacing commit is tried once: the files it removes are those of the snapshot it was made for.
async fn commit_replacing(table: &mut Table, change: impl Fn() -> Result<Change>) -> Result<u64> {
    let change = change()?;
    let first = change.add.first().map(|file| file.path.clone());
    match table.commit(change).await {
        Ok(version) => Ok(version),
        Err(error) => {
            table.reload().await?;
            let happened = first.is_some_and(|path| table.files().is_ok_and(|files| files.iter().any(|file| file.path == path)));
            if happened { Ok(table.version()) } else { Err(error) }
        }
    }
}

/// The positions that moved, as transaction ids.
fn moved(before: &BTreeMap<TopicPartition, Standing>, now: &BTreeMap<TopicPartition, Standing>) -> Vec<(String, i64)> {
    let has_moved =
        |(of, standing): &(&TopicPartition, &Standing)| before.get(of).is_none_or(|before| before.position != standing.position);
    now.iter().filter(has_moved).map(|(of, standing)| (of.to_string(), standing.position.0)).collect()
}

fn positions(standings: &BTreeMap<TopicPartition, Standing>) -> BTreeMap<TopicPartition, Offset> {
    standings.iter().map(|(of, standing)| (of.clone(), standing.position)).collect()
}

/// Writes `rows` into one file; none if there are no rows.
async fn write_file(store: &Store, rows: Vec<RecordBatch>, settings: &super::FollowSettings) -> Result<Vec<DataFile>> {
    let rows: Vec<RecordBatch> = rows.into_iter().filter(|rows| rows.num_rows() > 0).collect();
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let schema = first.schema();
    let objects = store.objects();
    let write = move || {
        let mut writer = FileWriter::start(objects, &rows[0])?;
        rows.iter().try_for_each(|rows| writer.write(rows))?;
        writer.close()
    };
    let closing = tokio::task::spawn_blocking(write).await.map_err(|e| Error::internal("encoding stopped").with_source(e))??;
    Ok(vec![closing.finish(&schema, &settings.clock).await?])
}
