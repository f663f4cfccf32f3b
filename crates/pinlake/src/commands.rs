//! One file a command; this one only says which.

mod batch;

use anyhow::Result;

use crate::cli::{Cli, Command};

/// Runs the command that the command line names.
pub(crate) async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Batch(args) => batch::run(args).await,
    }
}
