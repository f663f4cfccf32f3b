//! Runs the fuzz targets of `fuzz/`, one after another and each for a bounded time. What they find is written to `fuzz/artifacts`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Each target, and the most that one of its allocations and the whole process may take, MiB. A batch may unpack to 64 MiB, in room that
/// grows by doubling, with a window of 128 MiB beside it; other limits are set low by what the targets run.
const TARGETS: [(&str, u32, u32); 6] = [
    ("batch", 136, 512),
    ("connection", 136, 512),
    ("requests", 136, 512),
    ("http", 16, 512),
    ("aws", 16, 512),
    ("state", 16, 512),
];
/// The longest input, bytes.
const INPUT_BYTES_MAX: u32 = 16 << 10;
const TOOLCHAIN: &str = "nightly";

/// Runs every target, or the one that is named, for so many seconds.
pub(crate) fn run(root: &Path, seconds: u64, only: Option<&str>) -> Result<()> {
    check_tools()?;
    let targets: Vec<_> = TARGETS.into_iter().filter(|(target, ..)| only.is_none_or(|only| only == *target)).collect();
    if targets.is_empty() {
        bail!("there is no such target: use one of {}", TARGETS.map(|(target, ..)| target).join(", "));
    }
    for (target, allocation_mib, process_mib) in targets {
        println!("== {target}, {seconds} s");
        let seeds = root.join("fuzz/target/seeds").join(target);
        let corpus = root.join("fuzz/corpus").join(target);
        for folder in [&seeds, &corpus] {
            std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
        }
        let mut command = tool();
        command.args(["cargo", "fuzz", "run", target]).args([&corpus, &seeds]).arg("--");
        command.args([format!("-max_total_time={seconds}"), format!("-max_len={INPUT_BYTES_MAX}")]);
        command.args([format!("-malloc_limit_mb={allocation_mib}"), format!("-rss_limit_mb={process_mib}")]);
        command.args(["-timeout=20", "-print_final_stats=1"]).env("PINLAKE_FUZZ_SEEDS", &seeds).current_dir(root);
        if !command.status().context("can't start cargo-fuzz")?.success() {
            bail!(
                "target '{target}' failed: the lines above say on which input; once it is mended, put the input where a test replays it"
            );
        }
    }
    Ok(())
}

/// Says what is missing, and how to get it.
fn check_tools() -> Result<()> {
    if !quiet(&["rustc", "--version"]) {
        bail!("fuzzing needs the nightly toolchain: run 'rustup toolchain install {TOOLCHAIN}'");
    }
    if !quiet(&["cargo", "fuzz", "--version"]) {
        bail!("fuzzing needs cargo-fuzz: run 'cargo install --locked cargo-fuzz'");
    }
    Ok(())
}

fn quiet(args: &[&str]) -> bool {
    tool().args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What runs a command of the other toolchain.
fn tool() -> Command {
    let mut command = Command::new("rustup");
    // What cargo says of this toolchain and package is not for the other one.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(name);
        }
    }
    command.args(["run", TOOLCHAIN]);
    command
}
