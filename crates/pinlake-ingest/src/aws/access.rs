//! Who may use the services that speak `X-Amz-Target`: for now everybody.

use axum::http::request::Parts;
use bytes::Bytes;
use pinlake_core::Timestamp;

use super::error::AwsError;
use crate::settings::KinesisSettings;

/// Who may do what.
pub(crate) struct Access {
    region: String,
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The key that signed; `None` if the request is not signed.
    pub(crate) key_id: Option<String>,
    /// The region that the caller means, or else the server's own.
    pub(crate) region: String,
}

impl Access {
    pub(crate) fn new(settings: &KinesisSettings) -> Self {
        Self { region: settings.region.clone() }
    }

    /// Whether `caller` may do `action`, such as `kinesis:PutRecord`, to this stream; without one, to all of them together.
    ///
    /// # Errors
    /// `AccessDeniedException` if not.
    pub(crate) fn may(&self, _caller: &Caller, _action: &str, _stream: Option<&str>) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Finds out who sent a request, and whether they may use this operation at all.
///
/// # Errors
/// In AWS's own words.
pub(crate) fn check(
    access: &Access,
    _now: Timestamp,
    _parts: &Parts,
    _service: &str,
    _operation: &str,
    _body: &Bytes,
) -> Result<Caller, AwsError> {
    Ok(Caller { key_id: None, region: access.region.clone() })
}
