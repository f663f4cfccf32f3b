//! The command line: every command, its options and an example of each.

mod jobs;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use pinlake_core::TopicName;
use pinlake_core::log::PARTITIONS_MAX;
use pinlake_core::pipeline::units::Span;
use pinlake_emulator::posts::POSTS_MAX;

pub(crate) use self::jobs::{BackfillArgs, JobsArgs, JobsCommand, RunArgs};
pub(crate) use self::values::{Usage, with_scheme};
use crate::config::variables;

/// Where commands find a running server.
const SERVER: &str = "http://127.0.0.1:8082";

/// The whole Pinterest data pipeline in one binary: from an HTTP post to an answered question.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole pipeline on this machine: post, store, clean, answer, prove
    #[command(after_help = "Example:\n  pinlake demo --exit")]
    Demo(DemoArgs),
    /// Run the server
    #[command(after_help = "Example:\n  pinlake serve --data-dir /var/lib/pinlake")]
    Serve(ServeArgs),
    /// Clean the archive again and replace a table in one commit, while streaming goes on
    #[command(after_help = "Example:\n  pinlake rebuild pin")]
    Rebuild(RebuildArgs),
    /// Write an editable copy of the built-in pipeline and configuration
    #[command(after_help = "Example:\n  pinlake init my-pipeline && pinlake check my-pipeline")]
    Init(InitArgs),
    /// Validate a pipeline and a configuration; all problems at once, with file and line
    #[command(after_help = "Example:\n  pinlake check my-pipeline --config my-pipeline/pinlake.yml")]
    Check(CheckArgs),
    /// Run the pipeline's own tests in memory: given records, expected rows
    #[command(after_help = "Example:\n  pinlake test my-pipeline")]
    Test(TestArgs),
    /// Send user posts as the classic emulator scripts do
    #[command(after_help = "Example:\n  pinlake emulate --to http://127.0.0.1:8082 --mode both --count 1000")]
    Emulate(EmulateArgs),
    /// Write a raw lake, or a MySQL dump of the three classic tables, for tests and benchmarks
    #[command(after_help = "Example:\n  pinlake generate raw --posts 10000")]
    Generate(GenerateArgs),
    /// Clean a raw lake into Delta tables and answer the questions; needs no server
    #[command(after_help = "Example:\n  pinlake generate raw --posts 10000 && pinlake batch raw out && head out/answers.json")]
    Batch(BatchArgs),
    /// Ask a running server in SQL
    #[command(
        after_help = "Example:\n  pinlake query 'SELECT country, count(*) AS posts FROM geo GROUP BY country ORDER BY posts DESC LIMIT 5'"
    )]
    Query(QueryArgs),
    /// List the pipeline's questions, or answer one
    #[command(after_help = "Example:\n  pinlake questions top_user_by_country --set ties=first")]
    Questions(QuestionsArgs),
    /// Prove that nothing was lost or doubled: the ledger of every source partition, counted again
    #[command(after_help = "Example:\n  pinlake prove")]
    Prove(ProveArgs),
    /// Show where one record went
    #[command(after_help = "Example:\n  pinlake trace 0a1b2c3d4e5f.pin 0 42")]
    Trace(TraceArgs),
    /// Look after the log's topics
    #[command(after_help = "Example:\n  pinlake topics tail 0a1b2c3d4e5f.pin --limit 3")]
    Topics(TopicsArgs),
    /// Run jobs, look after their runs, and fill in what is missing
    #[command(after_help = "Example:\n  pinlake jobs run daily --wait")]
    Jobs(JobsArgs),
    /// Check this machine and the setup, and say what to do
    #[command(after_help = "Example:\n  pinlake doctor --data-dir /var/lib/pinlake")]
    Doctor(SetupArgs),
    /// Show the merged configuration
    #[command(after_help = "Example:\n  PINLAKE_HTTP_LISTEN=127.0.0.1:9999 pinlake config")]
    Config(ConfigArgs),
}

impl Command {
    /// Whether it speaks to a running server rather than reading a configuration.
    pub(crate) fn asks_a_server(&self) -> bool {
        matches!(
            self,
            Command::Rebuild(_)
                | Command::Query(_)
                | Command::Questions(_)
                | Command::Prove(_)
                | Command::Trace(_)
                | Command::Topics(_)
                | Command::Jobs(_)
        )
    }
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The running server
    #[arg(long, value_name = "URL", default_value = SERVER, env = variables::SERVER, global = true, value_parser = values::server)]
    pub(crate) server: String,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep everything here (default: a new temporary folder)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How many user posts
    #[arg(long, default_value_t = 11_000, value_parser = value_parser!(u64).range(1..=POSTS_MAX))]
    pub(crate) posts: u64,
    /// Posts a second at most
    #[arg(long, value_parser = values::rate)]
    pub(crate) rate: Option<f64>,
    /// Seed of the emulated posts
    #[arg(long, default_value_t = 100)]
    pub(crate) seed: u64,
    /// End after the answers; status 0 only if every question is answered and the ledger closes
    #[arg(long)]
    pub(crate) exit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) setup: SetupArgs,
    /// Let POST /moto-api/reset delete all streams, for tests of clients; only on loopback
    #[arg(long)]
    pub(crate) allow_reset: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep everything here
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// The table, or `all`
    #[arg(value_parser = values::name)]
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to write; must be empty or new
    #[arg(default_value = "pipeline")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The pipeline's folder (default: what the configuration names, or the built-in pipeline)
    pub(crate) pipeline: Option<PathBuf>,
    /// Configuration file (default: pinlake.yml in the pipeline's folder)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The pipeline's folder (default: the built-in pipeline)
    pub(crate) pipeline: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EmulateMode {
    /// The Kafka REST door
    Batch,
    /// The Kinesis gateway door
    Streaming,
    /// Both by turns
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// The server, with a stage segment or without
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Through which door
    #[arg(long, value_enum, default_value = "batch")]
    pub(crate) mode: EmulateMode,
    /// builtin, mysql://user:password@host/pinterest_data, or a folder of JSON lines
    #[arg(long, default_value = "builtin")]
    pub(crate) source: String,
    /// What topics and streams are named after
    #[arg(long, default_value = pinlake_emulator::emulate::DEFAULT_ID)]
    pub(crate) id: String,
    /// Posts a second at most
    #[arg(long, value_parser = values::rate)]
    pub(crate) rate: Option<f64>,
    /// Posts in all
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// Seed of the built-in source
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Records a request
    #[arg(long, default_value_t = 1)]
    pub(crate) records_a_request: usize,
    /// Requests under way at once
    #[arg(long, default_value_t = 8)]
    pub(crate) connections: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GenerateFormat {
    /// A raw lake, as the S3 sink writes it
    Lake,
    /// A dump of the MySQL database pinterest_data
    Mysql,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Folder of the lake, or file of the dump
    pub(crate) out: PathBuf,
    /// How many posts
    #[arg(long, default_value_t = 11_000, value_parser = value_parser!(u64).range(1..=POSTS_MAX))]
    pub(crate) posts: u64,
    /// Seed of the generator
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Which share of the posts repeats an earlier one (lake only)
    #[arg(long, default_value_t = 0.1, value_parser = values::share)]
    pub(crate) duplicates: f64,
    /// Records an object (lake only)
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    pub(crate) flush: u64,
    /// Partitions a topic (lake only)
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) partitions: u32,
    /// What the topics' names begin with (lake only)
    #[arg(long, default_value = "u0")]
    pub(crate) prefix: String,
    /// Compress the objects (lake only)
    #[arg(long)]
    pub(crate) gzip: bool,
    /// What to write
    #[arg(long, value_enum, default_value = "lake")]
    pub(crate) format: GenerateFormat,
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
    /// What a question means where the pipeline leaves a choice, such as ties=first; may be repeated
    #[arg(long, value_name = "CHOICE=VALUE", value_parser = values::choice)]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// The server's JSON answer
    Json,
    /// Comma-separated values
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// One statement that reads
    pub(crate) sql: String,
    /// How to show the answer
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct QuestionsArgs {
    /// The question; without it all are listed
    #[arg(value_parser = values::name)]
    pub(crate) name: Option<String>,
    /// What it means where the pipeline leaves a choice, such as ties=first; may be repeated
    #[arg(long, value_name = "CHOICE=VALUE", value_parser = values::choice, requires = "name")]
    pub(crate) set: Vec<String>,
    /// How to show the answer
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: OutputFormat,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// Print the ledger as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The record's topic
    pub(crate) topic: TopicName,
    /// Its partition
    pub(crate) partition: u32,
    /// Its offset
    pub(crate) offset: u64,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    pub(crate) command: TopicsCommand,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// List all topics
    #[command(after_help = "Example:\n  pinlake topics list")]
    List,
    /// Create a topic
    #[command(after_help = "Example:\n  pinlake topics create 0a1b2c3d4e5f.pin --partitions 3 --retention 30d")]
    Create {
        /// Its name
        topic: TopicName,
        /// How many partitions (default: the server's log.partitions)
        #[arg(long, value_parser = value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
        partitions: Option<u32>,
        /// How long it keeps records, such as 30d (default: the server's log.retention)
        #[arg(long, value_name = "SPAN", value_parser = values::span)]
        retention: Option<Span>,
    },
    /// Show one topic
    #[command(after_help = "Example:\n  pinlake topics describe 0a1b2c3d4e5f.pin")]
    Describe {
        /// Its name
        topic: TopicName,
    },
    /// Delete a topic and its records
    #[command(after_help = "Example:\n  pinlake topics delete 0a1b2c3d4e5f.pin")]
    Delete {
        /// Its name
        topic: TopicName,
    },
    /// Print the records of a partition
    #[command(after_help = "Example:\n  pinlake topics tail 0a1b2c3d4e5f.pin --limit 3")]
    Tail {
        /// The topic
        topic: TopicName,
        /// The partition
        #[arg(long, default_value_t = 0)]
        partition: u32,
        /// From this offset (default: the last records)
        #[arg(long)]
        offset: Option<u64>,
        /// How many records at most
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=10_000))]
        limit: u64,
        /// Go on as records come in
        #[arg(long)]
        follow: bool,
    },
    /// Append JSON values to a topic, one a line of standard input
    #[command(after_help = "Example:\n  echo '{\"index\":1}' | pinlake topics produce 0a1b2c3d4e5f.pin")]
    Produce {
        /// The topic
        topic: TopicName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
