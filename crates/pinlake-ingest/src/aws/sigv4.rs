//! What a request says of who signed it, in its `Authorization` header or in its query, and whether that is so. Every refusal has AWS's own
//! words. It must not know which keys there are, nor what they may do.

#[cfg(test)]
mod tests;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use pinlake_core::Timestamp;

use super::error::AwsError;
use super::signing::{
    ALGORITHM, Canonical, Parameter, Scope, ScopeKey, TERMINATOR, UNSIGNED_PAYLOAD, canonical_path, canonical_query,
    canonical_value, parameters, parse_time, sha256_hex, time_text,
};

/// How far a request's clock may be off.
const SKEW_MS: i64 = 5 * 60_000;
/// The longest that a presigned request is good for: a week.
const EXPIRES_SECONDS_MAX: i64 = 604_800;
/// Characters of what a client sent that its refusal shows.
const SHOWN_MAX: usize = 1000;
/// The only parameter that is not signed.
const SIGNATURE: &str = "X-Amz-Signature";
const AMZ_DATE: &str = "x-amz-date";
const AMZ_TARGET: &str = "x-amz-target";
const AMZ_TOKEN: &str = "x-amz-security-token";
const AMZ_HASH: &str = "x-amz-content-sha256";

/// What a request says of its signature, in the text that it came in.
#[derive(Debug, PartialEq)]
pub(crate) struct Stated {
    algorithm: String,
    credential: String,
    signed_headers: String,
    signature: String,
    time: String,
    /// How it may be sent: at once, or for the stated seconds, if any are stated.
    sent: Sent,
    /// The session token.
    pub(crate) token: Option<String>,
    /// What stands for the body's hash.
    payload: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Sent {
    Signed,
    Presigned(Option<String>),
}

/// A credential, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    date: String,
    pub(crate) region: String,
    service: String,
    terminator: String,
}

/// Takes from a request what it says of its signature; `None` if it says nothing.
///
/// # Errors
/// What is missing, or said in two places.
pub(crate) fn read(parts: &Parts) -> Result<Option<Stated>, AwsError> {
    let query = Query::of(parts);
    let presigned = query.has("X-Amz-Algorithm");
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let header = headers.next();
    if header.is_some() && presigned {
        return Err(invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."));
    }
    if headers.next().is_some() {
        return Err(invalid("Found more than one 'Authorization' HTTP header."));
    }
    if presigned {
        return in_query(&query, parts).map(Some);
    }
    let header = header.map(|header| String::from_utf8_lossy(header.as_bytes()));
    header.filter(|header| header.trim().starts_with("AWS4-")).map(|header| in_header(&header, &parts.headers)).transpose()
}

fn in_header(header: &str, headers: &HeaderMap) -> Result<Stated, AwsError> {
    let is_between = |byte| matches!(byte, ' ' | ',');
    let mut words = header.split(is_between).filter(|word| !word.is_empty());
    let algorithm = words.next().unwrap_or_default().to_owned();
    let (mut credential, mut signature, mut signed_headers) = (String::new(), String::new(), String::new());
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(incomplete(format!(
                "'{}' not a valid key=value pair (missing equal-sign) in Authorization header: '{}'.",
                shown(word),
                shown(header)
            )));
        };
        match name {
            "Credential" => value.clone_into(&mut credential),
            "Signature" => value.clone_into(&mut signature),
            "SignedHeaders" => value.clone_into(&mut signed_headers),
            _ => {}
        }
    }
    let mut missing = String::new();
    for (name, value) in [("Credential", &credential), ("Signature", &signature), ("SignedHeaders", &signed_headers)] {
        if value.is_empty() {
            missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    let time = text(headers, AMZ_DATE).or_else(|| text(headers, header::DATE.as_str()));
    if time.is_none() {
        missing.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
    }
    match time {
        Some(time) if missing.is_empty() => Ok(Stated {
            algorithm,
            credential,
            signed_headers,
            signature,
            time,
            sent: Sent::Signed,
            token: text(headers, AMZ_TOKEN),
            payload: text(headers, AMZ_HASH),
        }),
        _ => Err(incomplete(format!("{missing}Authorization={}", shown(header)))),
    }
}

fn in_query(query: &Query<'_>, parts: &Parts) -> Result<Stated, AwsError> {
    let required = ["X-Amz-Algorithm", "X-Amz-Credential", SIGNATURE, "X-Amz-SignedHeaders", "X-Amz-Date"];
    let values = required.map(|name| query.get(name).unwrap_or_default());
    let without = required.iter().zip(&values).filter(|(_, value)| value.is_empty());
    let missing: String = without.map(|(name, _)| format!("AWS query-string parameters must include '{name}'. ")).collect();
    if !missing.is_empty() {
        return Err(incomplete(format!("{missing}Re-examine the query-string parameters.")));
    }
    let [algorithm, credential, signature, signed_headers, time] = values;
    Ok(Stated {
        algorithm,
        credential,
        signed_headers,
        signature,
        time,
        sent: Sent::Presigned(query.get("X-Amz-Expires")),
        token: query.get("X-Amz-Security-Token").or_else(|| text(&parts.headers, AMZ_TOKEN)),
        payload: query.get("X-Amz-Content-Sha256").or_else(|| text(&parts.headers, AMZ_HASH)),
    })
}

impl Stated {
    /// When it was signed.
    pub(crate) fn time(&self) -> Result<Timestamp, AwsError> {
        let in_full = |text: &str| {
            let time = jiff::fmt::rfc2822::parse(text).ok()?;
            Some(Timestamp(time.timestamp().as_millisecond()))
        };
        let time = parse_time(&self.time).or_else(|| in_full(&self.time).filter(|_| self.sent == Sent::Signed));
        time.ok_or_else(|| {
            let got = shown(&self.time);
            incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{got}'. See http://en.wikipedia.org/wiki/ISO_8601"))
        })
    }

    /// Whether it may be sent `now`.
    pub(crate) fn check_age(&self, now: Timestamp) -> Result<(), AwsError> {
        let time = self.time()?;
        let text = |at: i64| time_text(Timestamp(at)).unwrap_or_else(|| at.to_string());
        let lasts_ms = match &self.sent {
            Sent::Signed | Sent::Presigned(None) => SKEW_MS,
            Sent::Presigned(Some(expires)) => expires_ms(expires)?,
        };
        let (oldest, newest) = (now.0.saturating_sub(lasts_ms), now.0.saturating_add(SKEW_MS));
        let (at, today) = (text(time.0), text(now.0));
        if time.0 < oldest {
            let lasts =
                if lasts_ms % 60_000 == 0 { format!("{} min", lasts_ms / 60_000) } else { format!("{} sec", lasts_ms / 1000) };
            return Err(invalid(format!("Signature expired: {at} is now earlier than {} ({today} - {lasts}.)", text(oldest))));
        }
        if time.0 > newest {
            return Err(invalid(format!(
                "Signature not yet current: {at} is still later than {} ({today} + 5 min.)",
                text(newest)
            )));
        }
        Ok(())
    }

    /// Whether that is signed by which a request could be turned into another: to whom it goes, and what is to be done.
    pub(crate) fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), AwsError> {
        let is_signed = |wanted: &str| self.signed_headers.split(';').any(|name| name.eq_ignore_ascii_case(wanted));
        let unsigned = |what: &str| Err(invalid(format!("{what} must be a 'SignedHeader' in the AWS Authorization.")));
        match () {
            () if !is_signed(header::HOST.as_str()) && !is_signed(":authority") => unsigned("'Host' or ':authority'"),
            () if headers.contains_key(AMZ_TARGET) && !is_signed(AMZ_TARGET) => unsigned("'X-Amz-Target'"),
            () => Ok(()),
        }
    }

    /// The credential, if it is one of this algorithm.
    pub(crate) fn credential(&self) -> Result<Credential, AwsError> {
        if self.algorithm != ALGORITHM {
            let algorithm = shown(&self.algorithm);
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). ")));
        }
        let elements: Vec<&str> = self.credential.trim_end_matches('/').split('/').collect();
        let Ok([key_id, date, region, service, terminator]) = <[&str; 5]>::try_from(elements) else {
            let got = shown(&self.credential);
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{got}'"
            )));
        };
        let [key_id, date, region, service, terminator] = [key_id, date, region, service, terminator].map(str::to_owned);
        Ok(Credential { key_id, date, region, service, terminator })
    }

    /// Whether this key, of the credential's scope, has signed just this request.
    pub(crate) fn is_signed_with(&self, key: &ScopeKey, credential: &Credential, parts: &Parts, body: &[u8]) -> bool {
        let Some(text) = self.to_sign(credential, parts, body) else { return false };
        key.is_signature(&text, &self.signature)
    }

    /// The text that must have been signed; `None` if a header is said to be signed that is not there, or is no text.
    fn to_sign(&self, credential: &Credential, parts: &Parts, body: &[u8]) -> Option<String> {
        let names = self.signed_headers.split(';');
        let headers: Option<Vec<_>> = names.map(|name| Some((name, signed_value(parts, name)?))).collect();
        let query = Query::of(parts);
        let is_presigned = self.sent != Sent::Signed;
        let signed = query.0.iter().filter(|(name, _)| !is_presigned || **name != *SIGNATURE.as_bytes());
        let unsigned_body = self.payload.as_deref() == Some(UNSIGNED_PAYLOAD);
        let canonical = Canonical {
            method: parts.method.as_str(),
            path: &canonical_path(parts.uri.path()),
            query: &canonical_query(signed.map(|(name, value)| (name, value))),
            headers: &headers?,
            signed_headers: &self.signed_headers,
            payload: &if unsigned_body { UNSIGNED_PAYLOAD.to_owned() } else { sha256_hex(body) },
        };
        Some(canonical.to_sign(&time_text(self.time().ok()?)?, credential.scope()))
    }
}

impl Credential {
    /// What the key that signs is good for.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope { date: &self.date, region: &self.region, service: &self.service }
    }

    /// Whether the region is such that it may stand in names.
    pub(crate) fn check_region(&self) -> Result<(), AwsError> {
        if self.has_region() { Ok(()) } else { Err(invalid(self.no_region())) }
    }

    /// Whether it is for this day and service.
    pub(crate) fn check_scope(&self, time: Timestamp, service: &str) -> Result<(), AwsError> {
        let mut wrong = Vec::new();
        let time = time_text(time).unwrap_or_default();
        let day = time.get(..8).unwrap_or_default();
        if !self.has_region() {
            wrong.push(self.no_region());
        }
        if self.service != service {
            wrong.push(format!("Credential should be scoped to correct service: '{service}'."));
        }
        if self.terminator != TERMINATOR {
            let got = shown(&self.terminator);
            wrong.push(format!("Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{got}'."));
        }
        if self.date != day {
            let got = shown(&self.date);
            wrong.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{got}' != '{day}', from \
                 '{time}'."
            ));
        }
        if wrong.is_empty() { Ok(()) } else { Err(invalid(wrong.join(" "))) }
    }

    fn has_region(&self) -> bool {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=64).contains(&self.region.len()) && self.region.bytes().all(legal)
    }

    fn no_region(&self) -> String {
        format!("Credential should be scoped to a valid region, not '{}'.", shown(&self.region))
    }
}

/// A query's parameters.
struct Query<'a>(Vec<Parameter<'a>>);

impl<'a> Query<'a> {
    fn of(parts: &'a Parts) -> Self {
        Self(parameters(parts.uri.query().unwrap_or_default()).collect())
    }

    fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|(name, _)| **name == *wanted.as_bytes())
    }

    fn get(&self, wanted: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| **name == *wanted.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

/// All values of a header, as they are signed. Over HTTP/2 the host stands in the URI.
fn signed_value(parts: &Parts, name: &str) -> Option<String> {
    let values: Vec<_> = match name {
        ":authority" => Vec::new(),
        name => parts.headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes())).collect(),
    };
    if values.is_empty() {
        let is_host = name.eq_ignore_ascii_case(header::HOST.as_str()) || name == ":authority";
        return parts.uri.authority().filter(|_| is_host).map(|authority| authority.as_str().to_owned());
    }
    let values: Option<Vec<String>> = values.into_iter().map(|value| value.ok().map(canonical_value)).collect();
    Some(values?.join(","))
}

fn expires_ms(text: &str) -> Result<i64, AwsError> {
    let seconds: i64 = text.parse().map_err(|_| incomplete("X-Amz-Expires should be a number"))?;
    match seconds {
        ..0 => Err(incomplete("X-Amz-Expires must be non-negative")),
        0..=EXPIRES_SECONDS_MAX => Ok(seconds * 1000),
        _ => Err(incomplete(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

fn incomplete(message: impl Into<String>) -> AwsError {
    AwsError::new("IncompleteSignatureException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidSignatureException", message)
}
