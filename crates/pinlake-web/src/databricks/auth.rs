//! Who may call: whoever brings one of the tokens, as a bearer token or as a password. How long the check takes says nothing of the tokens: digests are
//! compared, all of them and to their ends.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::secret::Secret;
use ring::digest::{Digest, SHA256, digest};

use super::failure::Failure;

/// The tokens, of which only digests are held.
#[derive(Clone)]
pub(super) struct Known(Arc<[Digest]>);

impl Known {
    pub(super) fn new(tokens: &[Secret]) -> Self {
        Self(tokens.iter().map(|token| digest(&SHA256, token.expose().as_bytes())).collect())
    }
}

/// Lets a call through that brings a token.
pub(super) async fn guard(State(known): State<Known>, request: Request, next: Next) -> Response {
    match check(&known, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn check(known: &Known, headers: &HeaderMap) -> Result<(), Failure> {
    if known.0.is_empty() {
        return Ok(());
    }
    let refused = |message| Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
    let Some(sent) = sent(headers) else {
        return Err(refused("this server takes calls with a token: as a bearer token, or as a password with any user name"));
    };
    let sent = digest(&SHA256, &sent);
    let is_known = known.0.iter().fold(false, |found, token| found | is_same(token.as_ref(), sent.as_ref()));
    if is_known { Ok(()) } else { Err(refused("the token is none of this server's")) }
}

fn sent(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let blank = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..blank], value[blank..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}
