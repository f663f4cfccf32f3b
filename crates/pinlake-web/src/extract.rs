//! Parts of a request as types. What does not fit is refused in the API's own form; unknown fields are the types' business.

use axum::RequestPartsExt;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use pinlake_core::Error;
use serde::de::DeserializeOwned;

use crate::BODY_BYTES_MAX;
use crate::failure::Failure;

/// The JSON body. An empty one is `{}`; the content type is not looked at, so that plain `curl -d` works.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| match refused.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::refused(status, format!("the request body is larger than {BODY_BYTES_MAX} bytes"))
            }
            status => Failure::refused(status, "the request body can't be read"),
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // A list would be taken for the fields in their order.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(Error::invalid("the request body is not right: it takes a JSON object, uncompressed").into());
        }
        let body = serde_json::from_slice(text).map_err(|e| Error::invalid(format!("the request body is not right: {e}")))?;
        Ok(Self(body))
    }
}

/// The parameters behind the `?`.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(refused) => Err(Error::invalid(format!("the parameters are not right: {}", refused.body_text())).into()),
        }
    }
}

/// The variable segments of the path.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match parts.extract::<Path<T>>().await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(refused) => Err(Error::invalid(format!("the path is not right: {}", refused.body_text())).into()),
        }
    }
}

/// A number that a caller may leave out, and that must lie in a range.
pub(crate) fn in_range(name: &str, given: Option<u64>, default: u64, least: u64, most: u64) -> Result<u64, Error> {
    let value = given.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(format!("'{name}' takes {least} to {most}, not {value}")))
}
