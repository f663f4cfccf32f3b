//! `pinlake emulate`: user posts as the classic emulator scripts send them.

use anyhow::Result;
use pinlake_core::secret::mask_url;
use pinlake_emulator::{EmulateOptions, Mode, emulate};

use crate::cli::{EmulateArgs, EmulateMode, Usage};
use crate::terminal::{self, Bar, count};

/// Runs the command.
pub(crate) async fn run(args: EmulateArgs) -> Result<()> {
    let wrong_to = || Usage(format!("'{}' is not a URL such as http://127.0.0.1:8082", mask_url(&args.to)));
    let to = args.to.parse().map_err(|_| wrong_to())?;
    let mode = match args.mode {
        EmulateMode::Batch => Mode::Batch,
        EmulateMode::Streaming => Mode::Streaming,
        EmulateMode::Both => Mode::Both,
    };
    let options = EmulateOptions {
        mode,
        source: args.source.parse().map_err(Usage::of)?,
        id: args.id,
        rate: args.rate,
        count: args.count,
        seed: args.seed,
        records_a_request: args.records_a_request,
        connections: args.connections,
        ..EmulateOptions::new(to)
    };
    options.validate().map_err(Usage::of)?;
    let stop = options.stop.clone();
    tokio::spawn(async move {
        if super::serve::asked_to_end().await.is_ok() {
            stop.cancel();
        }
    });
    let bar = Bar::counter("posting");
    let summary = emulate(&options, &|done, total| bar.set(done, total)).await;
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
