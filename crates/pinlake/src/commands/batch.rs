//! `pinlake batch`: a raw lake to tables and answers, without a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use pinlake_core::Clock;
use pinlake_lake::batch::{self, Progress};
use pinlake_lake::store::Store;

use crate::cli::BatchArgs;
use crate::pipeline_files;
use crate::terminal::{self, Bar};

/// Runs the command.
pub(crate) async fn run(args: BatchArgs) -> Result<()> {
    let pipeline = pipeline_files::load(args.pipeline.as_deref())?;
    let raw = Store::open_existing(&args.raw).context("opening the raw lake")?;
    let out = Store::open(&args.out).context("opening the output")?;
    let progress = Arc::new(Progress::default());
    let shown = progress.clone();
    let bar =
        Bar::bytes("cleaning", move || (shown.bytes_done.load(Ordering::Relaxed), shown.bytes_total.load(Ordering::Relaxed)));
    let done = batch::run(&raw, &out, &pipeline, &Clock::System, &progress).await;
    drop(bar);
    let summary = done?;
    for table in &summary.tables {
        let counts = table.counts;
        terminal::line(format!(
            "{}: {} records, {} rows, {} duplicates, {} conflicts, {} quarantined",
            table.name,
            counts.total(),
            counts.rows,
            counts.duplicates,
            counts.conflicts,
            counts.quarantined
        ));
    }
    terminal::line(format!("{} answers in {}", summary.answers.len(), batch::ANSWERS_FILE));
    Ok(())
}
