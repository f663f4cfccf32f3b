//! The API of a running server, as the commands use it.

use anyhow::{Context, Result, bail};
use pinlake_core::TopicName;
use reqwest::{Method, Response};
use serde_json::Value;

/// A running server.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// The server at `base`, e.g. `http://127.0.0.1:8082`.
    pub(crate) fn new(base: &str) -> Client {
        Client { http: reqwest::Client::new(), base: base.trim_end_matches('/').to_owned() }
    }

    /// The JSON answer to a GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.json().await.context("reading the server's answer")
    }

    /// The JSON answer to a POST.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.json().await.context("reading the server's answer")
    }

    /// The text answer to a call; an error answer's own words become the error.
    pub(crate) async fn text(&self, method: Method, path: &str, body: Option<Value>) -> Result<String> {
        self.call(method, path, body).await?.text().await.context("reading the server's answer")
    }

    /// Appends records through the Kafka REST door.
    pub(crate) async fn produce(&self, topic: &TopicName, body: Value) -> Result<()> {
        let request =
            self.http.post(format!("{}/topics/{topic}", self.base)).header("Content-Type", "application/vnd.kafka.json.v2+json");
        let answer =
            request.body(body.to_string()).send().await.with_context(|| format!("no server answers at {}", self.base))?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        if !status.is_success() {
            bail!("{text} ({status})");
        }
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let unreachable =
            || format!("no server answers at {}: start one with 'pinlake serve', or name it with --server", self.base);
        let answer = request.send().await.with_context(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let message = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|body| Some(body.get("error")?.get("message")?.as_str()?.to_owned()));
        bail!("{} ({status})", message.unwrap_or(text))
    }
}
