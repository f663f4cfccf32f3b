//! `pinlake emulate`: user posts as the classic emulator scripts send them.

use anyhow::{Context, Result};
use pinlake_emulator::{EmulateOptions, Mode, emulate};

use crate::cli::{EmulateArgs, EmulateMode};
use crate::terminal::{self, Bar};

/// Runs the command.
pub(crate) async fn run(args: EmulateArgs) -> Result<()> {
    let to = args.to.parse().with_context(|| format!("'{}' is not a URL such as http://127.0.0.1:8082", args.to))?;
    let mode = match args.mode {
        EmulateMode::Batch => Mode::Batch,
        EmulateMode::Streaming => Mode::Streaming,
        EmulateMode::Both => Mode::Both,
    };
    let options = EmulateOptions {
        mode,
        source: args.source.parse()?,
        id: args.id,
        rate: args.rate,
        count: args.count,
        seed: args.seed,
        records_a_request: args.records_a_request,
        connections: args.connections,
        ..EmulateOptions::new(to)
    };
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
        "{} posts, {} records in {} requests ({} tried again), {:.1} s",
        summary.posts, summary.records, summary.requests, summary.retried, summary.seconds
    ));
    Ok(())
}
