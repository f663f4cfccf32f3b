//! The API of a running server, as the commands use it.

use anyhow::{Context, Result, bail};
use pinlake_core::TopicName;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What became of one record.
#[derive(Deserialize)]
pub(crate) struct Produced {
    /// Why it is not stored; nothing if it is.
    pub(crate) error: Option<String>,
}

#[derive(Deserialize)]
struct Offsets {
    offsets: Vec<Produced>,
}

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

    /// The answer to a GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(&self.text(Method::GET, path, None).await?)
    }

    /// The answer to a POST.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T> {
        read(&self.text(Method::POST, path, Some(body)).await?)
    }

    /// The text answer to a call; an error answer's own words become the error.
    pub(crate) async fn text(&self, method: Method, path: &str, body: Option<Value>) -> Result<String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let (status, text) = self.send(request).await?;
        if status.is_success() {
            return Ok(text);
        }
        let message = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|body| Some(body.get("error")?.get("message")?.as_str()?.to_owned()));
        bail!("{} ({status})", message.unwrap_or(text))
    }

    /// Appends records through the Kafka REST door. It answers 200 also where the log refused some of them, so each comes back
    /// with what became of it.
    pub(crate) async fn produce(&self, topic: &TopicName, body: Value) -> Result<Vec<Produced>> {
        let request =
            self.http.post(format!("{}/topics/{topic}", self.base)).header("Content-Type", "application/vnd.kafka.json.v2+json");
        let (status, text) = self.send(request.body(body.to_string())).await?;
        if !status.is_success() {
            bail!("{text} ({status})");
        }
        Ok(read::<Offsets>(&text)?.offsets)
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, String)> {
        let answer = request.send().await.map_err(|error| self.no_answer(error))?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(|error| self.no_answer(error))?))
    }

    fn no_answer(&self, error: reqwest::Error) -> anyhow::Error {
        let server = &self.base;
        let what = if error.is_connect() {
            format!("no server answers at {server}: start one with 'pinlake serve', or name it with --server")
        } else {
            format!("the connection to {server} broke before the whole answer was there: look whether the server still runs")
        };
        anyhow::Error::new(error.without_url()).context(what)
    }
}

/// Reads an answer in the form that the server gives it.
pub(crate) fn read<T: DeserializeOwned>(answer: &str) -> Result<T> {
    serde_json::from_str(answer).context("reading the server's answer")
}
