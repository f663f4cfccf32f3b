//! Outside suites against the binary, as far as they take too long for every change: Java's clients and librdkafka's own tests.
//! What they find stands in `conformance/kafka/RESULT.md`, so that a change there is seen in review.
//!
//! It must not judge: each suite's script does, by what it prints last.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::steps;

const RESULT: &str = "conformance/kafka/RESULT.md";
const HEAD: &str = "\
# What Kafka's outside suites find

Written by `cargo xtask conformance`, which runs them against the debug binary. What is left out of librdkafka's suite, and why, stands in
[librdkafka/FINDINGS.md](librdkafka/FINDINGS.md).

| suite | version | passed | failed | left out |
|---|---|---|---|---|
";

/// One suite in one version: its script's arguments, with `ADDRESS` for the broker's.
struct Suite {
    name: &'static str,
    version: &'static str,
    command: &'static [&'static str],
}

const SUITES: [Suite; 3] = [
    Suite { name: "Java's clients", version: "3.9.2", command: &["conformance/kafka/java/run.sh", ADDRESS, "3.9.2"] },
    Suite { name: "Java's clients", version: "4.2.1", command: &["conformance/kafka/java/run.sh", ADDRESS, "4.2.1"] },
    Suite { name: "librdkafka's own tests", version: "2.12.1", command: &["conformance/kafka/librdkafka/run.sh", ADDRESS] },
];
const ADDRESS: &str = "ADDRESS";
/// A server that asks for a login, with the password that librdkafka's tests use.
const WITH_LOGIN: &str = "conformance/kafka/librdkafka/sasl.yml";
const PASSWORD: &str = "secret";

/// Runs all suites, writes what they found, and fails if one of them does.
pub(crate) fn run(root: &Path) -> Result<()> {
    steps::run(root, &["build", "--workspace"])?;
    let mut text = HEAD.to_owned();
    let mut failures = String::new();
    for suite in &SUITES {
        println!("== {} {}", suite.name, suite.version);
        let said = run_suite(root, suite)?;
        let counts = said.lines().rev().find_map(Counts::parse);
        let counts = counts.with_context(|| format!("{} {} did not come to its end", suite.name, suite.version))?;
        let Counts { passed, failed, skipped } = counts;
        writeln!(text, "| {} | {} | {passed} | {failed} | {skipped} |", suite.name, suite.version)?;
        for line in said.lines().filter_map(|line| line.strip_prefix("FAIL ")) {
            // What follows the name differs from run to run.
            let name = line.split(' ').next().unwrap_or(line);
            writeln!(failures, "- {} {}: {name}", suite.name, suite.version)?;
        }
    }
    if !failures.is_empty() {
        write!(text, "\nFailed:\n\n{failures}")?;
    }
    std::fs::write(root.join(RESULT), &text).with_context(|| format!("can't write {RESULT}"))?;
    println!("{text}\nwritten to {RESULT}");
    if !failures.is_empty() {
        bail!("some of the suites failed; the lines above say which tests");
    }
    Ok(())
}

/// What a suite printed against servers of its own, passed on line by line.
fn run_suite(root: &Path, suite: &Suite) -> Result<String> {
    let server = Server::start(root, "all", &[])?;
    let of_made_topics = Server::start(root, "none", &[])?;
    let with_login = Server::start(root, "all", &["--config", WITH_LOGIN])?;
    let arguments =
        suite.command[1..].iter().map(|&argument| if argument == ADDRESS { server.address.as_str() } else { argument });
    let mut command = Command::new(root.join(suite.command[0]));
    command.args(arguments).current_dir(root).stdout(Stdio::piped());
    command.env("LIBRDKAFKA_NOAUTOCREATE", &of_made_topics.address).env("LIBRDKAFKA_SASL", &with_login.address);
    let mut child = command.spawn().with_context(|| format!("can't start {}", suite.command[0]))?;
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().context("its output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    // Its status says no more than its last line.
    child.wait()?;
    Ok(said)
}

/// What a suite's last line counts.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    /// Of `20 passed, 1 failed` or `20 passed, 1 failed, 2 skipped`.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(", ");
        let mut next = |what: &str| parts.next()?.strip_suffix(what)?.trim_end().parse().ok();
        Some(Self { passed: next("passed")?, failed: next("failed")?, skipped: next("skipped").unwrap_or(0) })
    }
}

/// A server on free ports. Ends with its value.
struct Server {
    child: Child,
    address: String,
    /// Ends with it.
    _data: Data,
}

/// A folder of its own for a server's data.
struct Data(PathBuf);

impl Server {
    /// A server that creates these topics by their first record (`all` or `none`), with four partitions.
    fn start(root: &Path, auto_create: &str, args: &[&str]) -> Result<Self> {
        let data = Data::new(root)?;
        let mut command = Command::new(root.join("target/debug/pinlake"));
        command.args(["serve", "--data-dir"]).arg(&data.0).args(args).current_dir(root);
        let listens = [("PINLAKE_HTTP_LISTEN", "127.0.0.1:0"), ("PINLAKE_KAFKA_LISTEN", "127.0.0.1:0")];
        command.envs(listens).envs([("PINLAKE_LOG_AUTO_CREATE", auto_create), ("PINLAKE_LOG_PARTITIONS", "4")]);
        command.env("TESTS_PASSWORD", PASSWORD).env("RUST_LOG", "warn");
        let mut child = command.stdout(Stdio::piped()).spawn().context("can't start the server")?;
        let lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let mut server = Self { child, address: String::new(), _data: data };
        for line in lines {
            let line = line?;
            if let Some(address) = line.strip_prefix("Kafka clients connect to ") {
                address.clone_into(&mut server.address);
            }
            if line.starts_with("Pinlake listens on ") {
                return Ok(server);
            }
        }
        bail!("the server ended before it listened: {}", server.child.wait()?)
    }
}

impl Data {
    fn new(root: &Path) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("target/conformance/data-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // What stays is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody needs its data: it need not end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
