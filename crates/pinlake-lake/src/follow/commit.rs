//! One commit of a table: the quarantine's rows first, then rows, positions and counts together; and what to do when the
//! store does not say whether a commit happened.

use std::collections::BTreeMap;

use deltalake_core::kernel::Add;
use pinlake_core::{Error, ErrorKind, Offset, OffsetRange, ReadLimit, Result, TopicPartition};

use super::owner::Owner;
use super::start::{Stand, Standings};
use crate::batch::Built;
use crate::maintain::{self, Compacted, Part};
use crate::parquet_file::write_file;
use crate::readers;
use crate::stream::{Standing, Stream};
use crate::table::{Change, Table};

/// Times a commit is tried when somebody else's commit came first.
const TRIES_MAX: usize = 5;

impl Owner {
    /// Commits everything that is pending. On error nothing is lost: what was pending still is, behind the snapshot that does not have it,
    /// whether the commit happened or not.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let committed = Stand { standings: self.status.borrow().committed.clone(), rebuilds: self.rebuilds };
        if committed.standings == self.stream.standings {
            return Ok(());
        }
        let mut table = self.table.clone();
        if self.unknown {
            // The last try may have happened after all.
            table.reload().await?;
            self.quarantine.reload().await?;
        }
        self.commit_quarantine().await?;
        let pending = &self.stream.pending;
        let rows = pending.rows.clone();
        let add = write_file(table.store(), rows, &self.settings.clock).await?;
        let stand = Stand { standings: self.stream.standings.clone(), rebuilds: self.rebuilds };
        commit_until_known(&mut table, add.as_ref(), &committed, &stand).await?;
        self.table = table;
        self.committed();
        Ok(())
    }

    /// Replaces the table by rebuilt files, which stand for `standings`; records that came since are taken from the log, so
    /// that the table's positions never go back.
    pub(super) async fn replace(&mut self, built: Built, standings: Standings) -> Result<u64> {
        self.commit_for_caller().await?;
        let reached = std::mem::replace(&mut self.stream, Stream::new(self.table.schema().clone()));
        let index = std::mem::replace(&mut self.index, built.index);
        self.stream.standings = standings;
        // A partition of which the archive holds nothing is taken from the log, from where the table began; one that the
        // pipeline no longer feeds to the table is left behind.
        for (of, standing) in &reached.standings {
            if !self.feeds(of) {
                continue;
            }
            let begin = Standing { start: standing.start, position: standing.start, ..Standing::default() };
            self.stream.standings.entry(of.clone()).or_insert(begin).topic = standing.topic;
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

    async fn replace_by(&mut self, mut rows: Vec<Add>, mut quarantined: Vec<Add>, reached: &Stream) -> Result<u64> {
        for (of, standing) in &reached.standings {
            if self.feeds(of) {
                self.catch_up(of, standing.position).await?;
            }
        }
        let tail = self.stream.pending.quarantined.batches()?;
        quarantined.extend(write_file(self.quarantine.store(), tail, &self.settings.clock).await?);
        rows.extend(write_file(self.table.store(), self.stream.pending.rows.clone(), &self.settings.clock).await?);
        let stand = Stand { standings: self.stream.standings.clone(), rebuilds: self.rebuilds + 1 };
        let done = self.replace_both(rows, quarantined, &reached.standings, &stand).await;
        if let Err(error) = done {
            let stays = |e| Error::internal("a rebuild failed, and the next start finds out how far it came").with_source(e);
            self.table.reload().await.map_err(stays)?;
            if Stand::of(&self.table).await.map_err(stays)? != stand {
                self.quarantined = put_back(&mut self.quarantine, self.rebuilds).await.map_err(stays)?;
                return Err(error);
            }
        }
        self.rebuilds = stand.rebuilds;
        self.quarantined = stand;
        Ok(self.table.version())
    }

    async fn replace_both(&mut self, rows: Vec<Add>, quarantined: Vec<Add>, reached: &Standings, stand: &Stand) -> Result<()> {
        let moved_there = moved(&self.quarantined.standings, &stand.standings);
        commit_replacing(&mut self.quarantine, quarantined, moved_there, stand).await?;
        commit_replacing(&mut self.table, rows, moved(reached, &stand.standings), stand).await
    }

    /// Commits a compaction, unless its files were replaced meanwhile.
    pub(super) async fn replace_small(&mut self, compacted: Compacted) -> Result<usize> {
        let committed = || Stand { standings: self.status.borrow().committed.clone(), rebuilds: self.rebuilds };
        let (table, stand) = match compacted.part {
            Part::Rows => (&mut self.table, committed()),
            Part::Quarantine => (&mut self.quarantine, self.quarantined.clone()),
        };
        maintain::replace_small(table, compacted, Some(stand.info()?)).await
    }

    pub(super) fn feeds(&self, of: &TopicPartition) -> bool {
        self.settings.pipeline.route(self.settings.index, &of.topic).is_some()
    }

    async fn catch_up(&mut self, of: &TopicPartition, to: Offset) -> Result<()> {
        loop {
            let from = self.stream.standings.get(of).copied().unwrap_or_default().position;
            if from >= to {
                return Ok(());
            }
            let batches = readers::surely_decided(&*self.log, of, from, ReadLimit::default().bytes).await?;
            let Some(last) = batches.last() else {
                return Err(Error::internal(format!("the log of {of} ends before {to}")));
            };
            let offsets = OffsetRange { start: from, end: last.offsets().end.min(to) };
            let mut parts = self.prepare(of, offsets, batches);
            while let Some(part) = parts.next().await? {
                self.take_part(part)?;
            }
        }
    }

    async fn commit_quarantine(&mut self) -> Result<()> {
        if self.stream.pending.quarantined.is_empty() {
            return Ok(());
        }
        let rows = self.stream.pending.quarantined.batches()?;
        let add = write_file(self.quarantine.store(), rows, &self.settings.clock).await?;
        let stand = Stand { standings: self.stream.standings.clone(), rebuilds: self.rebuilds };
        commit_until_known(&mut self.quarantine, add.as_ref(), &self.quarantined, &stand).await?;
        self.quarantined = stand;
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
            status.committed_at = Some(self.settings.clock.now());
            status.committed.clone_from(&self.stream.standings);
            status.pending_rows = 0;
            status.files = files.len();
            status.bytes = files.iter().filter_map(|file| u64::try_from(file.size).ok()).sum();
        });
    }
}

/// Adds files, and finds out what happened when the store does not say: the commit is ours if the table stands where we want it.
async fn commit_until_known(table: &mut Table, add: Option<&Add>, built_on: &Stand, wanted: &Stand) -> Result<()> {
    let mut failed = None;
    for _ in 0..TRIES_MAX {
        if failed.is_some() {
            table.reload().await?;
        }
        let there = Stand::of(table).await?;
        if there == *wanted {
            return Ok(());
        }
        if there != *built_on {
            return Err(Error::conflict("another process commits to the table: run one server on this store, and restart it"));
        }
        let change = Change {
            add: add.cloned().into_iter().collect(),
            data_change: true,
            transactions: moved(&built_on.standings, &wanted.standings),
            info: Some(wanted.info()?),
            ..Change::default()
        };
        match table.commit(change).await {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Retry) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    let error = failed.expect("the loop ran");
    Err(Error::retry(format!("the commit failed {TRIES_MAX} times")).with_source(error))
}

/// Replaces all files. Tried once: the files it removes are those of the snapshot it was made for.
async fn commit_replacing(table: &mut Table, add: Vec<Add>, transactions: Vec<(String, i64)>, wanted: &Stand) -> Result<()> {
    let (remove, info) = (table.files()?, Some(wanted.info()?));
    let change = Change { add, remove, data_change: true, replace: true, transactions, info, ..Change::default() };
    if let Err(error) = table.commit(change).await {
        table.reload().await?;
        if Stand::of(table).await? != *wanted {
            return Err(error);
        }
    }
    Ok(())
}

/// Takes back what a rebuild made of the quarantine when it never came to replace the table, which was rebuilt `rebuilds`
/// times. Returns where the quarantine stands.
pub(super) async fn put_back(quarantine: &mut Table, rebuilds: u64) -> Result<Stand> {
    quarantine.reload().await?;
    let ahead = Stand::of(quarantine).await?;
    if ahead.rebuilds <= rebuilds {
        return Ok(ahead);
    }
    let mut before = quarantine.previous().await?;
    while let Some(table) = before.take() {
        let info = table.own_info().await?;
        // The first version has no commit of ours: it is an empty table.
        let stand = if table.version() == 0 { Some(Stand::default()) } else { info.map(Stand::read).transpose()? };
        if let Some(stand) = stand.filter(|stand| stand.rebuilds <= rebuilds) {
            let transactions = moved(&ahead.standings, &stand.standings);
            commit_replacing(quarantine, table.files()?, transactions, &stand).await?;
            return Ok(stand);
        }
        before = table.previous().await?;
    }
    Err(Error::corrupt("the quarantine belongs to a rebuild that its table never saw, and its older versions are gone"))
}

/// The positions that moved, as transaction ids.
fn moved(before: &Standings, now: &Standings) -> Vec<(String, i64)> {
    let has_moved =
        |(of, standing): &(&TopicPartition, &Standing)| before.get(of).is_none_or(|before| before.position != standing.position);
    now.iter().filter(has_moved).map(|(of, standing)| (of.to_string(), standing.position.0)).collect()
}

fn positions(standings: &Standings) -> BTreeMap<TopicPartition, Offset> {
    standings.iter().map(|(of, standing)| (of.clone(), standing.position)).collect()
}
