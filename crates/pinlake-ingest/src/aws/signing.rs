//! Version 4 of AWS's signatures (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>): what of a
//! request is signed, and with which key. Serves whoever signs and whoever verifies; it must not know whose keys there are.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use pinlake_core::Timestamp;
use pinlake_core::secret::Secret;
use ring::{digest, hmac};

/// The one algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential's scope.
pub const TERMINATOR: &str = "aws4_request";
/// What stands for the body's hash if the body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// What stays as it is in a signed path or query: RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const TIME: &str = "%Y%m%dT%H%M%SZ";
const TIME_LEN: usize = "20130524T000000Z".len();
/// A SHA-256 in hexadecimal.
const SIGNATURE_LEN: usize = 64;

/// What a key is good for: one day, region and service.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `YYYYMMDD`.
    pub date: &'a str,
    /// Such as `eu-west-1`.
    pub region: &'a str,
    /// Such as `kinesis`.
    pub service: &'a str,
}

/// A request in the form that is signed.
#[derive(Debug, Clone, Copy)]
pub struct Canonical<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As [`canonical_path`] makes it.
    pub path: &'a str,
    /// As [`canonical_query`] makes it.
    pub query: &'a str,
    /// Names in small letters, and what [`canonical_value`] makes of the values.
    pub headers: &'a [(&'a str, String)],
    /// The headers' names with `;` between them.
    pub signed_headers: &'a str,
    /// The hash of the body, or [`UNSIGNED_PAYLOAD`].
    pub payload: &'a str,
}

impl Canonical<'_> {
    /// The text that is signed, for a request of `time` ([`time_text`]).
    pub fn to_sign(&self, time: &str, scope: Scope<'_>) -> String {
        let Self { method, path, query, headers, signed_headers, payload } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}");
        format!("{ALGORITHM}\n{time}\n{}\n{}", scope.text(), sha256_hex(request.as_bytes()))
    }
}

impl Scope<'_> {
    /// As it stands in a credential behind the key's id.
    pub fn text(&self) -> String {
        let Self { date, region, service } = self;
        format!("{date}/{region}/{service}/{TERMINATOR}")
    }

    /// The signature of `text`, in hexadecimal.
    pub fn sign(&self, secret: &Secret, text: &str) -> String {
        hex(hmac::sign(&self.key(secret), text.as_bytes()).as_ref())
    }

    /// The key of this scope. It takes four signatures to make, and signs as long as the scope is the same.
    pub(crate) fn derive(&self, secret: &Secret) -> ScopeKey {
        ScopeKey(self.key(secret))
    }

    fn key(&self, secret: &Secret) -> hmac::Key {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let first = key(format!("AWS4{}", secret.expose()).as_bytes());
        let parts = [self.date, self.region, self.service, TERMINATOR];
        parts.iter().fold(first, |last, part| key(hmac::sign(&last, part.as_bytes()).as_ref()))
    }
}

/// The key of a scope. Not to be shown.
#[derive(Clone)]
pub(crate) struct ScopeKey(hmac::Key);

impl ScopeKey {
    /// Whether `signature` is that of `text`; takes the same time wherever it is wrong.
    pub(crate) fn is_signature(&self, text: &str, signature: &str) -> bool {
        unhex(signature).is_some_and(|signature| hmac::verify(&self.0, text.as_bytes(), &signature).is_ok())
    }
}

/// A path as it is signed: without empty and dot segments, each segment as it goes over the wire escaped once more, as all services
/// but S3 have it.
pub fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical: String = segments.iter().map(|segment| format!("/{}", escaped(segment.as_bytes()))).collect();
    if canonical.is_empty() || path.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Parameters as they are signed: escaped, and in the order of their escaped names and values.
pub fn canonical_query<N: AsRef<[u8]>, V: AsRef<[u8]>>(parameters: impl IntoIterator<Item = (N, V)>) -> String {
    let pair = |(name, value): (N, V)| (escaped(name.as_ref()), escaped(value.as_ref()));
    let mut pairs: Vec<(String, String)> = parameters.into_iter().map(pair).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Name and value of a query's parameter, without their escapes.
pub(crate) type Parameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The parameters of a query as it goes over the wire.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescaped(name), unescaped(value))
    })
}

/// A header's value as it is signed.
pub fn canonical_value(value: &str) -> String {
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The SHA-256 of some bytes in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A time as it is signed, `YYYYMMDDTHHMMSSZ`; `None` before the year 0 and past 9999.
pub fn time_text(at: Timestamp) -> Option<String> {
    let text = jiff::Timestamp::from_millisecond(at.0).ok()?.strftime(TIME).to_string();
    (text.len() == TIME_LEN).then_some(text)
}

/// The time that such a text states.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    // The parser takes signs, spaces and missing zeros too.
    let bytes = text.as_bytes();
    let shaped = bytes.len() == TIME_LEN
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 => *byte == b'T',
            15 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !shaped {
        return None;
    }
    let time = jiff::civil::DateTime::strptime(TIME, text).ok()?;
    Some(Timestamp(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond()))
}

/// Bytes with all but unreserved characters escaped.
pub fn escaped(bytes: &[u8]) -> String {
    percent_encode(bytes, ESCAPED).to_string()
}

/// What is escaped in a query, where a `+` is a space.
fn unescaped(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a signature, which has small letters alone.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != SIGNATURE_LEN || !text.bytes().all(digits) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
