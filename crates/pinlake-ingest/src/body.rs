//! Reads a request's body under the limits: bytes are reserved before they are read.

use std::error::Error as _;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::http_server::BodyTimedOut;
use crate::limits::{Inflight, Permit, Refusal};

/// The whole body, and the permit to hold as long as its bytes are in use.
pub(crate) async fn read(
    inflight: &Inflight,
    bytes_max: usize,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, Permit), Refusal> {
    let mut permit = inflight.enter()?;
    let announced = announced_len(headers);
    if announced.is_some_and(|len| len > bytes_max) {
        return Err(Refusal::BodyTooLarge(bytes_max));
    }
    let mut reserved = announced.unwrap_or(0);
    permit.grow(reserved)?;
    let mut body = body;
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| why(&error))?.into_data() else { continue };
        let len = first.len().max(whole.len()) + data.len();
        if len > bytes_max {
            return Err(Refusal::BodyTooLarge(bytes_max));
        }
        if len > reserved {
            permit.grow(len - reserved)?;
            reserved = len;
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(reserved.max(len));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok((if whole.is_empty() { first } else { whole.freeze() }, permit))
}

fn announced_len(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Why a body can't be read on.
pub(crate) fn why(error: &axum::Error) -> Refusal {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<BodyTimedOut>() {
            return Refusal::BodyTooSlow;
        }
        cause = error.source();
    }
    Refusal::BodyCutOff
}
