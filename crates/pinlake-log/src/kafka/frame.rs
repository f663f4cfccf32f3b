//! Frames as a client has them: requests with their header, answers with theirs. It must not know what they mean.
//!
//! Source: the Kafka protocol guide, "Request Header" and "Response Header".

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use pinlake_core::{Error, Result};

use super::shape::ANSWERS;

const CLIENT: &str = "pinlake";
/// What a header takes, and a length.
const HEADER_BYTES: usize = 64;

/// A whole request, its length first.
pub(super) fn encode<R: Request>(request: &R, version: i16, correlation: i32) -> Result<Bytes> {
    let wrong = |error: &dyn std::fmt::Display| Error::invalid(format!("a request can't be written for the cluster: {error}"));
    let size = request.compute_size(version).map_err(|error| wrong(&error))?;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT)));
    let mut frame = BytesMut::with_capacity(size + HEADER_BYTES);
    frame.extend_from_slice(&[0; 4]);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| wrong(&error))?;
    request.encode(&mut frame, version).map_err(|error| wrong(&error))?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| Error::invalid("a request over 2 GiB can't be sent"))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Reads an answer's body, if that is what it claims to be: the codec believes what an array says of its length.
pub(super) fn decode<R: Request>(mut frame: Bytes, version: i16) -> Result<R::Response> {
    let wrong = |error: &dyn std::fmt::Display| {
        let api = ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
        Error::internal(format!("the broker's answer to {api} of version {version} does not decode: {error}"))
    };
    ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(|error| wrong(&error))?;
    if !ANSWERS.holds(R::KEY, version, &frame) {
        return Err(wrong(&"it is not as long as it says"));
    }
    R::Response::decode(&mut frame, version).map_err(|error| wrong(&error))
}
