//! A server in a process of its own, which dies with the test.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a server may take until it listens: far more than it ever needs, so that a hang has a name.
const START_WAIT: Duration = Duration::from_secs(120);

/// A running `pinlake serve`.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// The lines before.
    pub(crate) shown: Vec<String>,
}

/// Any port for Kafka's clients.
const ANYWHERE: &str = "127.0.0.1:0";

/// The process of a server that may not listen yet; `args` are further arguments of `pinlake serve`.
pub(crate) fn spawn(data: &Path, listen: &str, args: &[&str]) -> Child {
    spawn_at(data, listen, ANYWHERE, args)
}

/// The same with Kafka's clients at an address of their own.
pub(crate) fn spawn_at(data: &Path, listen: &str, kafka: &str, args: &[&str]) -> Child {
    // Another build may be looked at in the same way.
    let program = std::env::var_os("PINLAKE_TEST_SERVER").unwrap_or_else(|| env!("CARGO_BIN_EXE_pinlake").into());
    Command::new(program)
        .args(["serve", "--data-dir"])
        .arg(data)
        .args(args)
        .env("PINLAKE_HTTP_LISTEN", listen)
        .env("PINLAKE_KAFKA_LISTEN", kafka)
        .env("RUST_LOG", "warn,buoyant_kernel=off,delta_kernel=off,deltalake_core=off")
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Server {
    /// Starts it on `data`; `listen` is an address, port 0 for any.
    pub(crate) async fn start(data: &Path, listen: &str) -> Server {
        Self::start_with(data, listen, &[]).await
    }

    /// Starts it with further arguments.
    pub(crate) async fn start_with(data: &Path, listen: &str, args: &[&str]) -> Server {
        Self::start_at(data, listen, ANYWHERE, args).await
    }

    /// Starts it with Kafka's clients at an address of their own.
    pub(crate) async fn start_at(data: &Path, listen: &str, kafka: &str, args: &[&str]) -> Server {
        let mut child = spawn_at(data, listen, kafka, args);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut shown = Vec::new();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(rest) = line.strip_prefix("Pinlake listens on ") {
                    return Some(rest.split(' ').next().unwrap().to_owned());
                }
                shown.push(line);
            }
            None
        };
        match tokio::time::timeout(START_WAIT, listens).await {
            Ok(Some(url)) => Server { child, url, shown },
            Ok(None) => panic!("the server ended before it listened: {:?}, after {shown:?}", child.wait().await),
            Err(_) => panic!("the server hangs at its start: it does not listen after {START_WAIT:?}, only {shown:?}"),
        }
    }

    /// Returns once it says that it is ready: the scheduler's first look may come after it listens.
    pub(crate) async fn until_ready(&self) {
        let asked = async { while !reqwest::get(format!("{}/readyz", self.url)).await.unwrap().status().is_success() {} };
        tokio::time::timeout(START_WAIT, asked).await.expect("the server does not become ready");
    }

    /// Where Kafka's clients find it.
    pub(crate) fn kafka(&self) -> &str {
        let told = self.shown.iter().find_map(|line| line.strip_prefix("Kafka clients connect to "));
        told.unwrap_or_else(|| panic!("no Kafka clients are served: {:?}", self.shown))
    }

    /// What it holds in memory.
    pub(crate) fn resident_mib(&self) -> u64 {
        let id = self.child.id().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Asks it to end, as `kill -TERM` does.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("the server runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(asked.success(), "the server runs");
    }

    /// How it ended.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(START_WAIT, self.child.wait()).await.expect("the server hangs at its end").unwrap()
    }

    /// Kills it as `kill -9` does; answers whether it still ran.
    pub(crate) async fn kill(mut self) -> bool {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap().code().is_none()
    }

    /// The JSON answer to a GET.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// The JSON answer to a POST.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = reqwest::Client::new().post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The rows of a query.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        let answer = self.post("/api/v1/sql", serde_json::json!({"sql": sql, "limit": 1_000_000})).await;
        answer["rows"].as_array().unwrap().clone()
    }
}
