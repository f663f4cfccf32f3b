//! The steps of the check, each a command that a person may also run alone. They stop at the first one that fails.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tidy;

/// The test that kills the server.
const CRASH_TEST: &str = "crash::nothing_acknowledged_is_lost_or_doubled_by_kills";

/// Everything that a change must pass, the quickest first.
pub(crate) fn ci(root: &Path) -> Result<()> {
    tidy(root)?;
    fmt(root)?;
    deny(root)?;
    clippy(root, &[])?;
    // Last, so that the test runner's own summary ends the output.
    test(root, &[])
}

/// The project's own rules; see `tidy`.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    println!("== tidy");
    let report = tidy::check(root)?;
    for problem in &report.problems {
        println!("{problem}");
    }
    let errors = report.errors();
    println!("tidy: {} files, {errors} errors, {} warnings", report.files, report.problems.len() - errors);
    if errors > 0 {
        bail!("tidy found {errors} errors");
    }
    Ok(())
}

/// Formatting, without changing anything.
pub(crate) fn fmt(root: &Path) -> Result<()> {
    run(root, &["fmt", "--all", "--check"]).context("run 'cargo fmt --all' and look at what it changed")
}

/// Licences, bans and sources. The tool takes minutes to install, so without it the step is skipped and says so.
pub(crate) fn deny(root: &Path) -> Result<()> {
    if !is_installed("deny") {
        println!("== cargo deny: skipped, cargo-deny is not installed ('cargo install --locked cargo-deny')");
        return Ok(());
    }
    // Advisories need a database from the network; they are not a property of the change.
    run(root, &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])
}

/// Lints with warnings as errors, over the workspace unless `args` narrow it.
pub(crate) fn clippy(root: &Path, args: &[String]) -> Result<()> {
    let mut command = vec!["clippy", "--all-targets"];
    extend(&mut command, args);
    command.extend(["--", "-D", "warnings"]);
    run(root, &command)
}

/// The tests, over the workspace unless `args` narrow it.
pub(crate) fn test(root: &Path, args: &[String]) -> Result<()> {
    let mut command = match is_installed("nextest") {
        true => vec!["nextest", "run", "--profile", "ci"],
        false => vec!["test", "--no-fail-fast"],
    };
    extend(&mut command, args);
    run(root, &command)
}

/// Kills the server under load `kills` times and looks for lost and doubled records.
pub(crate) fn crash(root: &Path, kills: u64) -> Result<()> {
    println!("== {kills} kills under load");
    // The whole workspace is selected, so that the query engine is built with the features it has everywhere else. Not with
    // nextest, which would take a run of many kills for a hang.
    let args = ["test", "--workspace", "--test", "main", "--", "--exact", "--nocapture", CRASH_TEST];
    let status = cargo().args(args).env("PINLAKE_TEST_CRASH_KILLS", kills.to_string()).current_dir(root).status();
    if !status.context("can't start cargo")?.success() {
        bail!("the crash test failed");
    }
    Ok(())
}

fn extend<'a>(command: &mut Vec<&'a str>, args: &'a [String]) {
    if args.is_empty() {
        command.push("--workspace");
    }
    command.extend(args.iter().map(String::as_str));
}

fn is_installed(subcommand: &str) -> bool {
    let quiet = cargo().args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Runs cargo, which must succeed.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<()> {
    let line = format!("cargo {}", args.join(" "));
    println!("== {line}");
    let status = cargo().args(args).current_dir(root).status().with_context(|| format!("can't start '{line}'"))?;
    if !status.success() {
        bail!("'{line}' failed");
    }
    Ok(())
}

/// The cargo that runs this task, so that a toolchain chosen with `cargo +name` stays chosen.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says of this package is not for what it builds: a build script of the TLS library looks at it, and would build
    // the library and the whole query engine anew after each change between 'cargo xtask' and plain 'cargo'.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(name);
        }
    }
    command
}
