//! A broker in one program, `noida-db`, that stands for Kafka 3.8.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pinlake_core::testing::held_port::HeldPort;
use pinlake_core::{Clock, Log};
use pinlake_log::kafka::{ClusterOptions, KafkaLog};
use tempfile::TempDir;

use super::{options, python, say};

/// Finds the program in the python that it is installed in: the command of its name starts it as a child of its own, which would be left.
const FIND: &str = "\
import os, importlib.resources
program = str(importlib.resources.files('noida_db').joinpath('noida-db'))
os.chmod(program, 0o755)
print(program)";

/// A running broker, which ends with this.
pub(super) struct Noida {
    pub(super) address: String,
    process: Child,
    _folder: TempDir,
    _port: HeldPort,
}

impl Noida {
    /// Starts one, if the program is there.
    pub(super) fn start() -> Option<Self> {
        let python = python()?;
        let found = Command::new(&python).args(["-c", FIND]).stderr(Stdio::null()).output().unwrap();
        if !found.status.success() {
            say(&format!("{} has no noida-db", python.display()));
            return None;
        }
        let program = String::from_utf8(found.stdout).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = HeldPort::new();
        let mut command = Command::new(program.trim());
        command
            .args(["start", "--only", "kafka", "--kafka-port", &port.address().port().to_string(), "--data-dir"])
            .arg(folder.path());
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { address: port.address().to_string(), process, _folder: folder, _port: port })
    }

    /// The broker as a log without topics.
    pub(super) async fn empty(&self) -> KafkaLog {
        let options = ClusterOptions { request_timeout: Duration::from_secs(60), ..options(&self.address) };
        let log = KafkaLog::connect(options, Clock::System).await.unwrap();
        for topic in log.topics().await.unwrap() {
            log.delete_topic(&topic.name).await.unwrap();
        }
        log
    }
}

impl Drop for Noida {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
