//! Requests that tasks send. Secrets are put into headers just before, and are in no message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use pinlake_core::jobs::{HttpWork, Run};
use pinlake_core::{Error, Result};
use pinlake_jobs::{AttemptLog, Done};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use super::placeholders;

/// How long a request may take, unless its task ends it before.
const TIME_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends the request of a task.
pub(super) async fn send(client: &Client, work: &HttpWork, run: &Arc<Run>, log: &AttemptLog) -> Result<Done> {
    let wrong = |what: &str, why: String| Error::invalid(format!("the request's {what} is not right: {why}"));
    let url: Url = placeholders::in_url(&work.url, run)?.parse().map_err(|error| wrong("URL", format!("{error}")))?;
    let method: Method = work.method.to_ascii_uppercase().parse().map_err(|_| wrong("method", work.method.clone()))?;
    let mut request = client.request(method.clone(), url.clone()).headers(headers(work, run).await?).timeout(TIME_MAX);
    if let Some(body) = &work.body {
        request = request.body(placeholders::of_run(body, run, in_json)?);
    }
    let place = pinlake_core::secret::mask_url(url.as_str());
    log.info(format!("{method} {place}"));
    let answer = request.send().await.map_err(|error| no_answer(&place, error))?;
    let status = answer.status();
    let text = first_of(answer).await.map_err(|error| no_answer(&place, error))?;
    log.info(format!("{status}, {} bytes", text.len()));
    let good = if work.expect.is_empty() { status.is_success() } else { work.expect.contains(&status.as_u16()) };
    if !good {
        let said: String = text.chars().take(500).collect();
        return Err(Error::retry(format!("{method} {place} was answered {status}: {said}")));
    }
    Ok(Done { message: format!("{method} {place} was answered {status}"), output: Some(text) })
}

/// The headers, with their secrets: a disk that does not answer holds up this task alone, until its time is over.
async fn headers(work: &HttpWork, run: &Arc<Run>) -> Result<HeaderMap> {
    let (written, run) = (work.headers.clone(), run.clone());
    let read = tokio::task::spawn_blocking(move || headers_of(&written, &run));
    read.await.map_err(|error| Error::internal(format!("the task that reads secrets ended: {error}")))?
}

fn headers_of(written: &BTreeMap<String, String>, run: &Run) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let named: HeaderName = name.parse().map_err(|_| Error::invalid(format!("'{name}' is no header's name")))?;
        let value = placeholders::with_secrets(value, run)?;
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| Error::invalid(format!("header '{name}' can't have this value")))?;
        value.set_sensitive(true);
        headers.insert(named, value);
    }
    Ok(headers)
}

/// What is kept of an answer, however long it is.
async fn first_of(answer: reqwest::Response) -> reqwest::Result<String> {
    let mut kept = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.try_next().await? {
        let room = ANSWER_BYTES_MAX - kept.len();
        kept.extend_from_slice(&part[..part.len().min(room)]);
        if kept.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// A value inside of a JSON text's quotes; bodies of another form take it so too.
fn in_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn no_answer(place: &str, error: reqwest::Error) -> Error {
    Error::retry(format!("{place} does not answer")).with_source(error.without_url())
}
