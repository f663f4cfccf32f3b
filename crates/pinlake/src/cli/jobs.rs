//! `pinlake jobs`: its commands, their options and an example of each.

use std::num::NonZeroU32;

use clap::{Args, Subcommand, ValueEnum, value_parser};
use pinlake_core::Timestamp;
use pinlake_core::jobs::{Order, RunId, RunState};

use super::{Server, values};

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List all jobs with their next and last runs
    #[command(after_help = "Example:\n  pinlake jobs list")]
    List {
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one job: its tasks and its newest runs
    #[command(after_help = "Example:\n  pinlake jobs describe daily")]
    Describe {
        /// Its name
        #[arg(value_parser = values::job)]
        job: String,
        /// Print the server's answer, with the whole definition, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start a run now
    #[command(after_help = "Example:\n  pinlake jobs run daily --set category=art --from 2026-03-01 --to 2026-03-02 --wait")]
    Run(RunArgs),
    /// Run a job for intervals that are over
    #[command(
        after_help = "Example:\n  pinlake jobs backfill daily --from 2026-01-01 --to 2026-02-01 --order newest --parallel 4"
    )]
    Backfill(BackfillArgs),
    /// List runs, the newest first
    #[command(after_help = "Example:\n  pinlake jobs runs daily --state failed --limit 10")]
    Runs {
        /// Of this job (default: of all)
        #[arg(value_parser = values::job)]
        job: Option<String>,
        /// In this state; may be repeated
        #[arg(long, value_enum)]
        state: Vec<State>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=1_000))]
        limit: u64,
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one run: its tasks, their attempts, how long each took and why it ended
    #[command(after_help = "Example:\n  pinlake jobs show 17")]
    Show {
        /// Its number
        run: RunId,
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what the tasks of a run logged
    #[command(after_help = "Example:\n  pinlake jobs logs 17 rebuild --follow")]
    Logs {
        /// The run's number
        run: RunId,
        /// The task (default: all)
        #[arg(value_parser = values::job)]
        task: Option<String>,
        /// Of this attempt (default: the last)
        #[arg(long, value_name = "N", requires = "task")]
        attempt: Option<NonZeroU32>,
        /// Go on as lines come in, until it has ended
        #[arg(long)]
        follow: bool,
    },
    /// Have a run end
    #[command(after_help = "Example:\n  pinlake jobs cancel 17")]
    Cancel {
        /// Its number
        run: RunId,
    },
    /// Run a run again that has ended: the tasks that did not succeed, and those behind them
    #[command(after_help = "Example:\n  pinlake jobs rerun 17")]
    Rerun {
        /// Its number
        run: RunId,
        /// All its tasks
        #[arg(long)]
        all: bool,
    },
    /// List what somebody should look at, and what is over
    #[command(after_help = "Example:\n  pinlake jobs alerts --open")]
    Alerts {
        /// Only what is not over
        #[arg(long)]
        open: bool,
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have nothing but a person start a job
    #[command(after_help = "Example:\n  pinlake jobs pause daily")]
    Pause {
        /// Its name
        #[arg(value_parser = values::job)]
        job: String,
    },
    /// Let a paused job go on
    #[command(after_help = "Example:\n  pinlake jobs resume daily")]
    Resume {
        /// Its name
        #[arg(value_parser = values::job)]
        job: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The job
    #[arg(value_parser = values::job)]
    pub(crate) job: String,
    /// A parameter that differs from the job's; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::parameter)]
    pub(crate) set: Vec<(String, String)>,
    /// The data's begin: a date (midnight UTC), RFC 3339 or milliseconds (default: the schedule's last whole interval)
    #[arg(long, value_name = "TIME", value_parser = values::time, requires = "to")]
    pub(crate) from: Option<Timestamp>,
    /// The data's end, which is left out
    #[arg(long, value_name = "TIME", value_parser = values::time, requires = "from")]
    pub(crate) to: Option<Timestamp>,
    /// A word that makes this safe to repeat: the same one names the same run
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Print its log until it ends; status 1 if it fails. To end this ends nothing of the run
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// The job, which has a schedule
    #[arg(value_parser = values::job)]
    pub(crate) job: String,
    /// All intervals that begin at this time or later: a date (midnight UTC), RFC 3339 or milliseconds
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) from: Timestamp,
    /// All intervals that end at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) to: Timestamp,
    /// Which first
    #[arg(long, value_enum, default_value = "oldest")]
    pub(crate) order: First,
    /// How many at once; the job's own limit holds too
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) parallel: u32,
    /// Leave out the intervals whose newest run succeeded
    #[arg(long)]
    pub(crate) only_failed: bool,
    /// Only show what would be run
    #[arg(long, conflicts_with = "wait")]
    pub(crate) preview: bool,
    /// A parameter that differs from the job's; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::parameter)]
    pub(crate) set: Vec<(String, String)>,
    /// Show how far it is until all runs have ended; status 1 if one fails
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum First {
    /// The oldest interval first
    Oldest,
    /// The newest interval first
    Newest,
}

impl From<First> for Order {
    fn from(first: First) -> Self {
        match first {
            First::Oldest => Self::Oldest,
            First::Newest => Self::Newest,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Waits to begin
    Queued,
    /// Runs
    Running,
    /// Has ended well
    Succeeded,
    /// Has ended otherwise
    Failed,
}

impl From<State> for RunState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
        }
    }
}
