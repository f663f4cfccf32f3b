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

/// Who calls, in words that tell the holders of different tokens apart.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) String);

impl Default for Caller {
    fn default() -> Self {
        Self("databricks".to_owned())
    }
}

/// Lets a call through that brings a token, and says whose it is.
pub(super) async fn guard(State(known): State<Known>, mut request: Request, next: Next) -> Response {
    match check(&known, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

fn check(known: &Known, headers: &HeaderMap) -> Result<Caller, Failure> {
    if known.0.is_empty() {
        return Ok(Caller::default());
    }
    let refused = |message| Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
    let Some(sent) = sent(headers) else {
        return Err(refused("this server takes calls with a token: as a bearer token, or as a password with any user name"));
    };
    let sent = digest(&SHA256, &sent);
    let numbered = (1..).zip(known.0.iter());
    // The whole list, wherever the token is in it.
    let found =
        numbered.fold(0_usize, |found, (number, token)| if is_same(token.as_ref(), sent.as_ref()) { number } else { found });
    match (found, known.0.len()) {
        (0, _) => Err(refused("the token is none of this server's")),
        (_, 1) => Ok(Caller::default()),
        (number, _) => Ok(Caller(format!("databricks token {number}"))),
    }
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
