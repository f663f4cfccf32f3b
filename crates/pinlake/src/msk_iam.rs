//! The token with which Amazon's managed Kafka lets in whoever has keys of AWS: a presigned request to connect, which is never sent as
//! one. As AWS's own signers make it (aws-msk-iam-sasl-signer), by version 4 of the signatures of AWS.

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, Error, Result, Timestamp};
use pinlake_lake::aws_keys::{AwsKey, AwsKeys};
use pinlake_log::kafka::{Token, TokenSource};
use ring::{digest, hmac};

/// How long a token is good for: the most that brokers take.
const EXPIRES: Duration = Duration::from_secs(900);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "kafka-cluster";
const USER_AGENT: &str = concat!("pinlake/", env!("CARGO_PKG_VERSION"));
/// What stays as it is in a signed query: RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

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
    let time = jiff::Timestamp::from_millisecond(at.0).map_err(|e| Error::internal("the clock is off").with_source(e))?;
    let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let host = format!("kafka.{region}.amazonaws.com");
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    // In the order of their names, as they are signed.
    let mut parameters = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", key.id)),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", EXPIRES.as_secs().to_string()),
    ];
    parameters.extend(key.session_token.as_ref().map(|token| ("X-Amz-Security-Token", token.expose().to_owned())));
    parameters.push(("X-Amz-SignedHeaders", "host".to_owned()));
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let query = query.join("&");
    let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{}", hex(digest::digest(&digest::SHA256, b"").as_ref()));
    let hashed = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
    let signature = hex(sign(signing_key(key.secret.expose(), date, region, SERVICE).as_ref(), &to_sign).as_ref());
    // Brokers log it; it is no part of what is signed.
    Ok(format!("https://{host}/?{query}&X-Amz-Signature={signature}&User-Agent={}", escaped(USER_AGENT)))
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> hmac::Tag {
    let first = sign(format!("AWS4{secret}").as_bytes(), date);
    [region, service, "aws4_request"].iter().fold(first, |key, part| sign(key.as_ref(), part))
}

fn sign(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
