//! The token with which Amazon's managed Kafka lets in whoever has keys of AWS: a presigned request to connect, which is never sent as
//! one. As AWS's own signers make it (aws-msk-iam-sasl-signer), by version 4 of the signatures of AWS.

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, Error, Result, Timestamp};
use pinlake_ingest::signing::{self, Canonical, Scope};
use pinlake_lake::aws_keys::{AwsKey, AwsKeys};
use pinlake_log::kafka::{Token, TokenSource};

/// How long a token is good for: the most that brokers take.
const EXPIRES: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
const USER_AGENT: &str = concat!("pinlake/", env!("CARGO_PKG_VERSION"));

/// Signs tokens for the clusters of one region.
pub(crate) struct MskIam {
    keys: AwsKeys,
    region: String,
    clock: Clock,
}

impl MskIam {
    /// With the keys of this process.
    pub(crate) fn new(region: &str, clock: Clock) -> Result<Self> {
        Ok(Self { keys: AwsKeys::of_environment(region)?, region: region.to_owned(), clock })
    }
}

#[async_trait]
impl TokenSource for MskIam {
    async fn token(&self) -> Result<Token> {
        let key = self.keys.now().await?;
        let at = self.clock.now();
        let url = signed_url(&key, &self.region, at)?;
        let lasts = i64::try_from(EXPIRES.as_millis()).unwrap_or(i64::MAX);
        Ok(Token { value: Secret::new(URL_SAFE_NO_PAD.encode(url)), expires: Timestamp(at.0 + lasts) })
    }
}

/// The request to connect, signed at `at`.
fn signed_url(key: &AwsKey, region: &str, at: Timestamp) -> Result<String> {
    let time = signing::time_text(at).ok_or_else(|| Error::internal("the clock is off"))?;
    let host = format!("kafka.{region}.amazonaws.com");
    let scope = Scope { date: &time[..8], region, service: SERVICE };
    let mut parameters = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", signing::ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{}", key.id, scope.text())),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", EXPIRES.as_secs().to_string()),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ];
    parameters.extend(key.session_token.as_ref().map(|token| ("X-Amz-Security-Token", token.expose().to_owned())));
    let query = signing::canonical_query(parameters);
    let request = Canonical {
        method: "GET",
        path: "/",
        query: &query,
        headers: &[("host", host.clone())],
        signed_headers: "host",
        payload: &signing::sha256_hex(b""),
    };
    let signature = scope.sign(&key.secret, &request.to_sign(&time, scope));
    // Brokers log it; it is no part of what is signed.
    let agent = signing::escaped(USER_AGENT.as_bytes());
    Ok(format!("https://{host}/?{query}&X-Amz-Signature={signature}&User-Agent={agent}"))
}
