//! A broker that is none of ours, as its users install it: noida-db, beside the python that `PINLAKE_TEST_KAFKA_PYTHON` names. It keeps what
//! it was told when it ends well, and not all of it when it is killed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pinlake_core::testing::held_port::HeldPort;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::kafka_clients::{PYTHON, say};

/// Prints where the program itself is: the command beside python is a script around it, which outlives a kill.
const WHERE: &str =
    "import os, importlib.resources as r; p = str(r.files('noida_db').joinpath('noida-db')); os.chmod(p, 0o755); print(p)";
/// How long it may take to listen.
const START_WAIT: Duration = Duration::from_secs(60);

/// A running broker.
pub(crate) struct Noida {
    program: PathBuf,
    data: PathBuf,
    port: HeldPort,
    child: Child,
}

impl Noida {
    /// Starts one; says why not, where it is not installed.
    pub(crate) async fn start(data: &Path) -> Option<Noida> {
        let Some(python) = std::env::var_os(PYTHON) else {
            say(&format!("skipped: {PYTHON} names no python that has conformance/kafka/clients/requirements.txt"));
            return None;
        };
        let Some(program) = program(python).await else {
            say(
                "skipped: there is no noida-db beside the python of the tests: install conformance/kafka/clients/requirements.txt",
            );
            return None;
        };
        let port = HeldPort::new();
        let child = run(&program, data, port.address()).await;
        Some(Noida { program, data: data.to_owned(), port, child })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// Ends it; what it was told lasts.
    pub(crate) async fn end(&mut self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success(), "it runs");
        self.child.wait().await.unwrap();
    }

    /// Kills it, and starts one that knows nothing at the same address.
    pub(crate) async fn lose_all(&mut self) {
        self.child.kill().await.unwrap();
        std::fs::remove_dir_all(&self.data).unwrap();
        self.start_again().await;
    }

    /// Starts it again, at the same address.
    pub(crate) async fn start_again(&mut self) {
        self.child = run(&self.program, &self.data, self.port.address()).await;
    }
}

async fn program(python: OsString) -> Option<PathBuf> {
    let asked = Command::new(python).args(["-c", WHERE]).stderr(Stdio::null()).output().await.ok()?;
    let path = String::from_utf8(asked.stdout).ok()?;
    asked.status.success().then(|| PathBuf::from(path.trim()))
}

async fn run(program: &Path, data: &Path, address: SocketAddr) -> Child {
    let mut command = Command::new(program);
    command.args(["start", "--only", "kafka", "--kafka-port", &address.port().to_string(), "--data-dir"]).arg(data);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the broker ended");
            // It says nothing when it listens.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_WAIT, listens).await.expect("the broker does not listen");
    child
}
