//! The `pinlake` binary: parses the command line and runs one command. Exit status: 0 done, 1 the work failed, 2 wrong usage.

mod address;
mod app;
mod cli;
mod client;
mod cluster;
mod commands;
mod config;
mod connectors;
mod console;
mod delivery_streams;
mod followed_log;
mod jobs;
mod measures;
mod memory;
#[cfg(feature = "kafka")]
mod msk_iam;
mod own_certificate;
mod pipeline_files;
mod places;
mod server_log;
mod small_file;
mod telemetry;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use pinlake_lake::sql::STACK_BYTES;

/// The exit status of wrong usage, which is also clap's.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    memory::bound_allocator();
    let cli = cli::Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            if error.is::<cli::Usage>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Commands plan queries too.
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("starting the runtime")?;
    // On a worker thread, which has the large stack.
    let done = runtime.block_on(async { tokio::spawn(commands::run(cli)).await.context("the command stopped")? });
    // Commands end what they start; what may still run is the planning of a query that nobody waits for.
    runtime.shutdown_background();
    done.and_then(|()| terminal::check_output())
}
