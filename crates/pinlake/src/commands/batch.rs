//! `pinlake batch`: a raw lake to tables and answers, without a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use pinlake_core::Clock;
use pinlake_core::secret::mask_url;
use pinlake_lake::batch::{self, Progress, Summary};
use pinlake_lake::raw::OBJECT_FORM;
use pinlake_lake::store::Store;

use crate::cli::{BatchArgs, Usage};
use crate::pipeline_files;
use crate::places::{local_folder, overlap, remove_if_empty};
use crate::terminal::{self, Bar, count};

/// Names that a warning shows.
const SHOWN_MAX: usize = 3;

/// Runs the command.
pub(crate) async fn run(args: BatchArgs) -> Result<()> {
    if overlap(&args.raw, &args.out) {
        let (raw, out) = (mask_url(&args.raw), mask_url(&args.out));
        bail!(Usage(format!("'{out}' and the raw lake '{raw}' are one inside the other: write the tables beside the lake")));
    }
    let pipeline = pipeline_files::load(args.pipeline.as_deref())?;
    let chosen = pipeline.choose(args.set.iter().map(String::as_str))?;
    if let Some(folder) = local_folder(&args.raw).filter(|folder| !folder.is_dir()) {
        bail!("there is no folder '{}': 'pinlake generate' writes a raw lake to start from", folder.display());
    }
    let raw = Store::open(&args.raw).context("opening the raw lake")?;
    let made = local_folder(&args.out).filter(|folder| !folder.exists());
    let out = Store::open(&args.out).context("opening the output")?;
    let progress = Arc::new(Progress::default());
    let shown = progress.clone();
    let bar =
        Bar::bytes("cleaning", move || (shown.bytes_done.load(Ordering::Relaxed), shown.bytes_total.load(Ordering::Relaxed)));
    let done = batch::run(&raw, &out, (&pipeline, &chosen), &Clock::System, &progress).await;
    drop(bar);
    if let (Err(_), Some(folder)) = (&done, made) {
        remove_if_empty(&folder);
    }
    let summary = done?;
    for table in &summary.tables {
        let counts = table.counts;
        terminal::line(format!(
            "{}: {}, {}, {}, {}, {} quarantined",
            table.name,
            count(counts.total(), "record"),
            count(counts.rows, "row"),
            count(counts.duplicates, "duplicate"),
            count(counts.conflicts, "conflict"),
            counts.quarantined
        ));
    }
    terminal::line(format!("{} in {}", count(summary.answers.len(), "answer"), batch::ANSWERS_FILE));
    if summary.tables.iter().any(|table| table.counts.quarantined > 0) {
        terminal::line(format!("the quarantined records, with reasons, are in {}/{}", args.out, batch::QUARANTINE_DIR));
    }
    tell_what_was_left_out(&summary);
    if summary.tables.iter().all(|table| table.counts.total() == 0) {
        bail!("no record of '{}' feeds a table: look at the pipeline's topics", args.raw);
    }
    Ok(())
}

/// A record that nobody reads must not go unnoticed.
fn tell_what_was_left_out(summary: &Summary) {
    let some = |names: &mut dyn Iterator<Item = String>| names.take(SHOWN_MAX).collect::<Vec<_>>().join(", ");
    if !summary.passed_over.is_empty() {
        let shown = some(&mut summary.passed_over.iter().map(ToString::to_string));
        let files = count(summary.passed_over.len(), "file");
        terminal::warning(format!("{files} passed over, such as {shown}: raw objects are named {OBJECT_FORM}"));
    }
    if !summary.unfed.is_empty() {
        let shown = some(&mut summary.unfed.iter().map(ToString::to_string));
        let topics = count(summary.unfed.len(), "topic");
        terminal::warning(format!(
            "{topics} passed over that no table follows, such as {shown}: name them in the pipeline's topics"
        ));
    }
}
