//! A server in a process of its own, which dies with the test.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running `pinlake serve`.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Server {
    /// Starts it on `data`; `listen` is an address, port 0 for any.
    pub(crate) async fn start(data: &Path, listen: &str) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinlake"))
            .args(["serve", "--data-dir"])
            .arg(data)
            .env("PINLAKE_HTTP_LISTEN", listen)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(rest) = line.strip_prefix("Pinlake listens on ") {
                let url = rest.split(' ').next().unwrap().to_owned();
                return Server { child, url };
            }
        }
        panic!("the server ended before it listened: {:?}", child.wait().await);
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
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
