//! librdkafka's mock cluster: brokers that fail as they are told, by `conformance/kafka/mock_cluster.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{python, say};

/// A running mock cluster, which ends with this.
pub(super) struct Mock {
    /// The addresses of its brokers, 1 to n.
    pub(super) brokers: String,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Mock {
    /// Starts one, if the python and its library are there.
    pub(super) fn start(brokers: u32) -> Option<Self> {
        let python = python()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/kafka/mock_cluster.py");
        let mut command = Command::new(&python);
        command.arg(script).arg(brokers.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let commands = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut brokers = String::new();
        answers.read_line(&mut brokers).unwrap();
        if brokers.is_empty() {
            say(&format!("{} has no confluent-kafka with librdkafka's mock cluster", python.display()));
            process.wait().unwrap();
            return None;
        }
        Some(Self { brokers: brokers.trim().to_owned(), process, commands, answers })
    }

    /// Gives a command and waits until it is done.
    pub(super) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ok", "{command}");
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
