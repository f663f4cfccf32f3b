//! Requests that tell something. Signatures are those of Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp` and `webhook-signature`, an
//! HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64 behind `v1,`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::Timestamp;
use pinlake_core::secret::Secret;
use reqwest::{Client, RequestBuilder};
use ring::hmac;
use serde_json::json;

use super::{Notice, Parcel, Refusal};
use crate::store::Letter;

/// How long a receiver has to answer: less than [`super::SENDING_MAX`].
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// What the secrets of Standard Webhooks begin with, whose rest is base64.
const SECRET_PREFIX: &str = "whsec_";

/// What clients' errors may be otherwise next time: a timeout, one that came too early, too many requests.
const FOR_NOW: [u16; 3] = [408, 425, 429];

type Sent = Result<(), Refusal>;

pub(super) async fn generic(client: &Client, url: &Secret, secret: Option<&Secret>, parcel: &Parcel, now: Timestamp) -> Sent {
    let body = json!({ "id": parcel.name, "type": "pinlake.alerts", "alerts": parcel.notices() }).to_string();
    let mut request = client.post(url.expose()).header("content-type", "application/json").header("webhook-id", &parcel.name);
    let seconds = now.0.div_euclid(1000).to_string();
    if let Some(secret) = secret {
        request = request.header("webhook-signature", signature(secret, &parcel.name, &seconds, &body));
    }
    answered(request.header("webhook-timestamp", seconds).body(body)).await
}

pub(super) async fn slack(client: &Client, url: &Secret, parcel: &Parcel) -> Sent {
    let text: Vec<String> = parcel.notices().iter().map(Notice::line).collect();
    // Slack reads these three as its own.
    let text = text.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let request = client.post(url.expose()).header("content-type", "application/json");
    answered(request.header("webhook-id", &parcel.name).body(json!({ "text": text }).to_string())).await
}

pub(super) async fn lineage(client: &Client, url: &Secret, token: Option<&Secret>, letter: &Letter) -> Sent {
    let mut request = client.post(format!("{}/api/v1/lineage", url.expose().trim_end_matches('/')));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    answered(request.header("content-type", "application/json").body(letter.body.clone())).await
}

async fn answered(request: RequestBuilder) -> Sent {
    let answer = request.timeout(ANSWER_WITHIN).send().await;
    let answer = answer.map_err(|error| Refusal { why: error.without_url().to_string(), for_good: false })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let for_good = status.is_client_error() && !FOR_NOW.contains(&status.as_u16());
    Err(Refusal { why: format!("it was answered {status}"), for_good })
}

fn signature(secret: &Secret, id: &str, seconds: &str, body: &str) -> String {
    let given = secret.expose();
    let key =
        given.strip_prefix(SECRET_PREFIX).and_then(|key| STANDARD.decode(key).ok()).unwrap_or_else(|| given.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}
