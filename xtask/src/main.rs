//! The one entry point of the checks, for continuous integration and for people: `cargo xtask ci`.
//!
//! It must compile in seconds, so it depends on no crate of the product.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks to a person")]
#![allow(clippy::disallowed_methods, reason = "it reads the project's files; nothing of it is in the product")]

mod conformance;
mod fuzz;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

const USAGE: &str = "\
usage: cargo xtask STEP [ARGS...]

  ci                all of the following, in this order; the same check that guards the main branch
  tidy              rules on the project's own files: crate edges, sizes, words, links (seconds)
  fmt               cargo fmt --check
  deny              licences, bans and sources of the dependencies, if cargo-deny is installed
  clippy [ARGS...]  cargo clippy, warnings are errors; ARGS such as -p pinlake-log narrow it
  test   [ARGS...]  cargo nextest if it is installed, else cargo test; ARGS such as -p pinlake-log narrow it
  crash  [N]        kill a loaded server N times (300 by default) at starts, in rebuilds, in ends, while transactions end, and look for
                    lost and doubled records; not part of ci, whose tests kill 30 times
  fuzz [SECONDS] [TARGET]
                    feed every fuzz target (or one) for SECONDS (60 by default); not part of ci, whose tests replay what was found.
                    Needs the nightly toolchain and cargo-fuzz
  conformance       run the Kafka suites that take long (Java's clients, librdkafka's own tests) against the binary, and write
                    conformance/kafka/RESULT.md; not part of ci. Needs a JDK, C and C++ compilers; the suites are fetched
";

/// How long `cargo xtask fuzz` runs each target unless it says otherwise.
const FUZZ_SECONDS: u64 = 60;

/// Kills of `cargo xtask crash` unless it says otherwise.
const KILLS: u64 = 300;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    let root = project_root()?;
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("ci") if rest.is_empty() => steps::ci(&root)?,
        Some("tidy") if rest.is_empty() => steps::tidy(&root)?,
        Some("fmt") if rest.is_empty() => steps::fmt(&root)?,
        Some("deny") if rest.is_empty() => steps::deny(&root)?,
        Some("clippy") => steps::clippy(&root, rest)?,
        Some("test") => steps::test(&root, rest)?,
        Some("crash") if rest.len() < 2 => {
            let kills = rest.first().map_or(Ok(KILLS), |kills| kills.parse());
            steps::crash(&root, kills.context("give how many kills, such as 'cargo xtask crash 1000'")?)?;
        }
        Some("fuzz") if rest.len() < 3 => {
            let seconds = rest.first().map_or(Ok(FUZZ_SECONDS), |seconds| seconds.parse());
            let seconds = seconds.context("give how many seconds, such as 'cargo xtask fuzz 600'")?;
            fuzz::run(&root, seconds, rest.get(1).map(String::as_str))?;
        }
        Some("conformance") if rest.is_empty() => conformance::run(&root)?,
        Some("help" | "--help" | "-h") => println!("{USAGE}"),
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The workspace's root: the folder above this crate's.
fn project_root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("xtask lies in the workspace's root")?.to_owned())
}
