//! The command line: every command, its options and an example of each.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The whole Pinterest data pipeline in one binary: from an HTTP post to an answered question.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Clean a raw lake into Delta tables and answer the questions; needs no server
    #[command(after_help = "Example:\n  pinlake generate raw --posts 10000 && pinlake batch raw out && head out/answers.json")]
    Batch(BatchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// Folder or URL that holds topics/<topic>/partition=<n>/*.json[.gz]
    pub(crate) raw: String,
    /// Folder or URL for the tables and answers.json; tables that are there already are replaced
    pub(crate) out: String,
    /// The pipeline's folder (default: the built-in pipeline)
    #[arg(long, value_name = "DIR")]
    pub(crate) pipeline: Option<PathBuf>,
}
