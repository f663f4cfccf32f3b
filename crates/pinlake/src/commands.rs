//! One file a command; this one only says which.

mod batch;
mod check;
mod config;
mod demo;
mod doctor;
mod emulate;
mod generate;
mod init;
mod jobs;
mod prove;
mod query;
mod rebuild;
mod serve;
mod test;
mod topics;
mod trace;

use anyhow::Result;

use crate::cli::{Cli, Command};

/// Runs the command that the command line names.
pub(crate) async fn run(cli: Cli) -> Result<()> {
    if cli.command.asks_a_server() {
        crate::config::variables::check()?;
    }
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(args).await,
        Command::Test(args) => test::run(args).await,
        Command::Emulate(args) => emulate::run(args).await,
        Command::Generate(args) => generate::run(args).await,
        Command::Batch(args) => batch::run(args).await,
        Command::Query(args) => query::run(args).await,
        Command::Questions(args) => query::questions(args).await,
        Command::Prove(args) => prove::run(args).await,
        Command::Trace(args) => trace::run(args).await,
        Command::Topics(args) => topics::run(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Config(args) => config::run(&args),
    }
}
