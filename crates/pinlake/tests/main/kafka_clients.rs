//! Kafka's clients, as their users install them, do with the server what they do with a broker: the scripts of
//! `conformance/kafka/clients`. Every client brings a key to the same partition.
//!
//! `PINLAKE_TEST_KAFKA_PYTHON` names a python that has the libraries of that folder's `requirements.txt`; kafkajs is installed
//! there by `npm ci`; kcat and node are on the path.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pinlake_core::testing::held_port::HeldPort;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::server::Server;

/// Names the python.
pub(crate) const PYTHON: &str = "PINLAKE_TEST_KAFKA_PYTHON";
/// As many partitions as the topic of the partitioner's keys has: kcat can't say how many it wants.
const CONFIG: &str = "log: { auto_create: all, partitions: 7 }\n";
/// How long a group may take to its first assignment. The scripts' own bound of three seconds is for a machine that does nothing else.
const FIRST_ASSIGNMENT_S: &str = "20";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/kafka/clients")
}

#[expect(clippy::print_stderr, reason = "for whoever reads the test's output")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Runs a script against a server of its own; `args` stand behind the server's address. All its checks must pass.
async fn check(program: OsString, script: &str, args: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yml");
    std::fs::write(&config, CONFIG).unwrap();
    let server = Server::start_with(&folder.path().join("data"), "127.0.0.1:0", &["--config", config.to_str().unwrap()]).await;
    let mut command = Command::new(program);
    command.arg(scripts().join(script)).arg(server.kafka()).args(args).kill_on_drop(true);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("FIRST_ASSIGNMENT_S", FIRST_ASSIGNMENT_S);
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{complaints}");
    let expected = std::fs::read_to_string(scripts().join("partitions.txt")).unwrap();
    let found = said.lines().find_map(|line| line.strip_prefix("partitions: "));
    assert_eq!(found, Some(expected.trim()), "{script} brings each key to the partition where the others bring it");
}

async fn check_with_python(script: &str) {
    match std::env::var_os(PYTHON) {
        Some(python) => check(python, script, &[]).await,
        None => say(&format!("skipped: {PYTHON} names no python that has conformance/kafka/clients/requirements.txt")),
    }
}

/// Whether a program can be started; says so where not, and the test is skipped.
pub(crate) async fn is_there(program: &str, version: &str) -> bool {
    let asked = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let found = asked.is_ok();
    if !found {
        say(&format!("skipped: there is no {program}"));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_kafka_finds_a_broker() {
    check_with_python("with_confluent_kafka.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_python_finds_a_broker() {
    check_with_python("with_kafka_python.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiokafka_finds_a_broker() {
    check_with_python("with_aiokafka.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkajs_finds_a_broker() {
    if !is_there("node", "--version").await {
        return;
    }
    if !scripts().join("node_modules/kafkajs").exists() {
        return say("skipped: run 'npm ci' in conformance/kafka/clients first");
    }
    check("node".into(), "with_kafkajs.js", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_finds_a_broker() {
    if is_there("kcat", "-V").await {
        check("bash".into(), "with_kcat.sh", &["kcat", "seven"]).await;
    }
}

/// How often the server is killed under a client's work.
const KILLS: u64 = 8;
/// Records that are acknowledged between two kills.
const ACKED_BETWEEN: u64 = 50;

/// An idempotent producer, a transactional one and a group, all librdkafka's: what they were told holds after any number of kills.
#[tokio::test(flavor = "multi_thread")]
async fn what_clients_were_told_holds_after_kills() {
    let Some(python) = std::env::var_os(PYTHON) else {
        return say(&format!("skipped: {PYTHON} names no python that has conformance/kafka/clients/requirements.txt"));
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = HeldPort::new();
    let kafka = port.address().to_string();
    let start = async || Server::start_at(&data, "127.0.0.1:0", &kafka, &[]).await;
    let mut server = start().await;
    let mut command = Command::new(python);
    command.arg(scripts().join("through_kills.py")).arg(&kafka).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let working = script.stdin.take().unwrap();
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut acked = 0;
    for kill in 0..KILLS {
        let enough = acked + ACKED_BETWEEN;
        while acked < enough {
            let line = lines.next_line().await.unwrap().expect("the script works until it is told to stop");
            acked = line.parse().unwrap_or(acked);
        }
        // A moment is the point of the test, not a wait for something.
        tokio::time::sleep(Duration::from_millis(kill * 61 % 400)).await;
        assert!(server.kill().await, "it ran until it was killed");
        server = start().await;
    }
    drop(working);
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said = format!("{said}{line}\n");
    }
    assert!(script.wait().await.unwrap().success(), "{said}");
    assert!(said.ends_with("7 passed, 0 failed\n"), "{said}");
}
