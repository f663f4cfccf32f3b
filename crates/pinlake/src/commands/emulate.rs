//! `pinlake emulate`: user posts as the classic emulator scripts send them.

use std::sync::Arc;

use anyhow::Result;
use pinlake_core::secret::mask_url;
use pinlake_emulator::{EmulateOptions, Mode, emulate};
use tokio::sync::mpsc;

use crate::cli::{EmulateArgs, EmulateMode, Usage, with_scheme};
use crate::terminal::{self, Bar, count};

/// Runs the command.
pub(crate) async fn run(args: EmulateArgs) -> Result<()> {
    let wrong_to =
        || Usage(format!("'{}' is no server: give a URL such as http://127.0.0.1:8082, or HOST:PORT", mask_url(&args.to)));
    let to = with_scheme(&args.to).parse().map_err(|_| wrong_to())?;
    let mode = match args.mode {
        EmulateMode::Batch => Mode::Batch,
        EmulateMode::Streaming => Mode::Streaming,
        EmulateMode::Both => Mode::Both,
    };
    let (unanswered, waits) = mpsc::channel(1);
    let options = EmulateOptions {
        mode,
        source: args.source.parse().map_err(Usage::of)?,
        id: args.id,
        rate: args.rate,
        count: args.count,
        seed: args.seed,
        records_a_request: args.records_a_request,
        connections: args.connections,
        unanswered: Some(unanswered),
        ..EmulateOptions::new(to)
    };
    options.validate().map_err(Usage::of)?;
    let stop = options.stop.clone();
    let asked = super::serve::asked_to_end()?;
    tokio::spawn(async move {
        asked.await;
        stop.cancel();
    });
    let bar = Arc::new(Bar::counter("posting", options.count));
    let warning = tokio::spawn(warn_once(waits, mask_url(options.to.as_str()), bar.clone()));
    let summary = emulate(&options, &|done, _| bar.set(done)).await;
    warning.abort();
    // It holds the bar, which must be gone before anything else is printed.
    let _ = warning.await;
    drop(bar);
    let summary = summary?;
    terminal::line(format!(
        "{}, {} in {} ({} tried again), {:.1} s",
        count(summary.posts, "post"),
        count(summary.records, "record"),
        count(summary.requests, "request"),
        summary.retried,
        summary.seconds
    ));
    Ok(())
}

/// Says why nothing happens while requests are tried again.
async fn warn_once(mut waits: mpsc::Receiver<String>, server: String, bar: Arc<Bar>) {
    if let Some(reason) = waits.recv().await {
        bar.warning(format!("{server} can't be reached and is tried again for about a minute: {reason}"));
    }
}
