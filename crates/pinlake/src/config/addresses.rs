//! Addresses and URLs as a configuration writes them. It must not look anything up: a name stays a name.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// One address.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    address_of(&Value::deserialize(deserializer)?, 8082).map_err(de::Error::custom)
}

/// One address; nothing for an empty text.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let written = Value::deserialize(deserializer)?;
    if written == "" {
        return Ok(None);
    }
    address_of(&written, 8443).map(Some).map_err(de::Error::custom)
}

/// One address, or a list of them.
pub(super) fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let written = match Value::deserialize(deserializer)? {
        Value::Array(several) => several,
        one => vec![one],
    };
    written.iter().map(|one| address_of(one, 9092).map_err(de::Error::custom)).collect()
}

fn address_of(written: &Value, port: u16) -> Result<SocketAddr, String> {
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    text.parse().map_err(|_| format!("'{text}' is no IP address with a port, such as 127.0.0.1:{port}; a name won't do"))
}

/// A URL without its last slash; nothing for an empty text.
pub(super) fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let is_http = reqwest::Url::parse(&text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    if is_http {
        return Ok(Some(text.trim_end_matches('/').to_owned()));
    }
    Err(de::Error::custom(format!("'{text}' is no URL such as https://lake.example/prod")))
}

/// Host and port; nothing for an empty text.
pub(super) fn advertised<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(String, u16)>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let pair = host_and_port(&text).map(Some);
    pair.ok_or_else(|| de::Error::custom(format!("'{text}' is not HOST:PORT, such as broker.example:9092")))
}

pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let is_name = !host.is_empty() && !host.contains(['/', '@', ' ']);
    is_name.then_some((host, port))
}
