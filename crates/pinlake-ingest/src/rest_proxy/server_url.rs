//! The server's own address as a client reaches it: as the server is told to say, else as the client or the proxies before the server
//! say.

#[cfg(test)]
mod tests;

use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The server's address without a `/` at its end. `advertised` is what it is set to, if it is; `door` is the first segment of the door's
/// paths.
pub(super) fn of(parts: &Parts, advertised: Option<&str>, door: &str) -> String {
    advertised.map_or_else(|| server_of(parts, door), |url| url.trim_end_matches('/').to_owned())
}

/// A name as a part of a path.
pub(super) fn part(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

/// Where the client reaches the doors: scheme, host, and what stands before the door in the path.
fn server_of(parts: &Parts, door: &str) -> String {
    let proto = header_of(parts, &FORWARDED_PROTO).filter(|proto| *proto == "https").unwrap_or("http");
    let forwarded = header_of(parts, &FORWARDED_HOST);
    let host = forwarded.or_else(|| header_of(parts, &header::HOST)).or_else(|| parts.uri.host()).unwrap_or("localhost");
    let port = header_of(parts, &FORWARDED_PORT).filter(|port| port.parse::<u16>().is_ok_and(|port| !is_default(proto, port)));
    let port = port.filter(|_| !has_port(host)).map_or_else(String::new, |port| format!(":{port}"));
    let prefix = header_of(parts, &FORWARDED_PREFIX).unwrap_or_default().trim_matches('/');
    let stage = parts.uri.path().split('/').find(|segment| !segment.is_empty()).filter(|first| *first != door);
    let mut server = format!("{proto}://{host}{port}");
    for part in [Some(prefix), stage].into_iter().flatten().filter(|part| !part.is_empty()) {
        server.push('/');
        server.push_str(part);
    }
    server
}

/// A header's first value, if it is such as an address may hold.
fn header_of<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    let value = parts.headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]/%".contains(&byte);
    (!value.is_empty() && value.bytes().all(is_plain)).then_some(value)
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_default(proto: &str, port: u16) -> bool {
    port == if proto == "https" { 443 } else { 80 }
}
