//! `kinesis`: streams as AWS's clients know them, and who may use them. Plain data; secrets are named here, and read once the server starts.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use pinlake_core::Timestamp;
use pinlake_core::log::PARTITIONS_MAX;
use pinlake_core::pipeline::units::{Bytes, Span};
use pinlake_ingest::{AccessKey, AccessMode, AccessSettings, Grant, KinesisSettings};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{SecretRef, Senseless};

/// More keys than anybody hands out by a file.
const KEYS_MAX: usize = 1000;
const ACCOUNT_LEN: usize = 12;
const ID_LEN_MAX: usize = 128;
const REGION_LEN_MAX: usize = 64;

const ACCESS_MODE: &str = "kinesis.access.mode";
const ACCESS_KEYS: &str = "kinesis.access.keys";

/// Streams, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KinesisConfig {
    #[serde(deserialize_with = "number_as_text")]
    account: String,
    region: String,
    shards_default: u32,
    shards_max: u32,
    transition: Span,
    record_max: Bytes,
    shard_limits: bool,
    errors_as_200: bool,
    access: AccessConfig,
}

/// Who may use the services that speak `X-Amz-Target`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessConfig {
    mode: Mode,
    keys: Vec<KeyConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Open on loopback, closed elsewhere.
    Auto,
    Open,
    Signed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyConfig {
    id: String,
    secret: SecretRef,
    #[serde(default)]
    session_token: Option<SecretRef>,
    #[serde(default, deserialize_with = "time")]
    expires: Option<Timestamp>,
    allow: Vec<GrantConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantConfig {
    actions: Vec<String>,
    streams: Vec<String>,
}

impl KinesisConfig {
    /// For a server that listens there; reads the secrets.
    pub(crate) fn settings(&self, listen: SocketAddr) -> Result<KinesisSettings> {
        Ok(KinesisSettings {
            account: self.account.clone(),
            region: self.region.clone(),
            shards_default: self.shards_default,
            shards_max: self.shards_max,
            transition: self.transition.0,
            record_bytes_max: usize::try_from(self.record_max.0).unwrap_or(usize::MAX),
            shard_limits: self.shard_limits,
            errors_as_200: self.errors_as_200,
            access: AccessSettings {
                mode: self.mode(listen),
                keys: self.access.keys.iter().map(KeyConfig::resolve).collect::<Result<_>>()?,
            },
            ..KinesisSettings::default()
        })
    }

    /// What to do on a server that listens there and so lets nobody in; `None` if it is not so.
    pub(crate) fn closed(&self, listen: SocketAddr) -> Option<&'static str> {
        (self.mode(listen) == AccessMode::Closed).then_some(
            "AWS's own protocols are refused, because http.listen is open to the network and nobody says who may use them: set \
             kinesis.access.mode to signed and give kinesis.access.keys, or set it to open if everybody may",
        )
    }

    fn mode(&self, listen: SocketAddr) -> AccessMode {
        match self.access.mode {
            Mode::Signed => AccessMode::Signed,
            Mode::Open => AccessMode::Open,
            Mode::Auto if listen.ip().is_loopback() => AccessMode::Open,
            Mode::Auto => AccessMode::Closed,
        }
    }

    /// Settings with which nothing could work.
    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let keys = &self.access.keys;
        let is_signed = self.access.mode == Mode::Signed;
        let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let region = (1..=REGION_LEN_MAX).contains(&self.region.len()) && self.region.bytes().all(is_region);
        let account = self.account.len() == ACCOUNT_LEN && self.account.bytes().all(|byte| byte.is_ascii_digit());
        let mut ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        let own = ids.windows(2).all(|pair| pair[0] != pair[1]) && ids.iter().all(|id| is_id(id));
        let granted = keys.iter().flat_map(|key| &key.allow).all(|grant| !grant.actions.is_empty() && !grant.streams.is_empty());
        let rules: [(&'static str, Option<&'static str>, bool, String); 10] = [
            ("kinesis.account", None, account, format!("{ACCOUNT_LEN} digits")),
            ("kinesis.region", None, region, "a region such as eu-west-1".to_owned()),
            (
                "kinesis.shards_default",
                None,
                (1..=PARTITIONS_MAX).contains(&self.shards_default),
                format!("1 to {PARTITIONS_MAX}"),
            ),
            ("kinesis.shards_max", None, self.shards_max >= 1, "1 at least".to_owned()),
            ("kinesis.record_max", None, (1 << 10..=10 << 20).contains(&self.record_max.0), "1KiB to 10MiB".to_owned()),
            (
                ACCESS_KEYS,
                Some(ACCESS_MODE),
                is_signed || keys.is_empty(),
                "nothing, unless kinesis.access.mode is signed".to_owned(),
            ),
            (
                ACCESS_KEYS,
                Some(ACCESS_MODE),
                !is_signed || !keys.is_empty(),
                "a key, for kinesis.access.mode is signed".to_owned(),
            ),
            (ACCESS_KEYS, None, keys.len() <= KEYS_MAX, format!("{KEYS_MAX} at most")),
            (ACCESS_KEYS, None, own, format!("an id of its own for each: 1 to {ID_LEN_MAX} characters of a-z A-Z 0-9 . _ -")),
            (
                ACCESS_KEYS,
                None,
                granted,
                "actions and streams in all of allow, such as { actions: [\"*\"], streams: [\"*\"] }".to_owned(),
            ),
        ];
        rules.into_iter().filter(|(_, _, holds, _)| !holds).map(|(key, beside, _, takes)| (key, beside, takes)).collect()
    }
}

impl KeyConfig {
    fn resolve(&self) -> Result<AccessKey> {
        let secret = |what: &str, place: &SecretRef| place.resolve().with_context(|| format!("the {what} of key '{}'", self.id));
        let grant = |grant: &GrantConfig| Grant { actions: grant.actions.clone(), streams: grant.streams.clone() };
        Ok(AccessKey {
            id: self.id.clone(),
            secret: secret("secret", &self.secret)?,
            session_token: self.session_token.as_ref().map(|place| secret("session token", place)).transpose()?,
            expires: self.expires,
            allow: self.allow.iter().map(grant).collect(),
        })
    }
}

fn is_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(legal)
}

/// An account without quotes is a number.
fn number_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let written = Value::deserialize(deserializer)?;
    Ok(written.as_str().map_or_else(|| written.to_string(), str::to_owned))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let time = text.parse::<jiff::Timestamp>();
    let time = time.map_err(|_| de::Error::custom(format!("'{text}' is no time such as 2030-01-31T00:00:00Z")))?;
    Ok(Some(Timestamp(time.as_millisecond())))
}
