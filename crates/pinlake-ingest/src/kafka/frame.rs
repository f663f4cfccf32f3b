//! Frames as a server has them: requests with their header, answers with theirs. It must not know what a request means.
//!
//! Source: the Kafka protocol guide, "Request Header" and "Response Header".

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::answer::{Answer, Pieces};
use super::shape::REQUESTS;
use super::versions::{self, Api};

/// What an answer's room is set aside for at first.
const ANSWER_BYTES: usize = 512;

/// A request as it came in: which API, and its body still encoded.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) api: &'static Api,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) client_id: String,
    pub(super) body: Bytes,
}

/// Reads a request's header and checks its body's shape.
///
/// # Errors
/// What is wrong with it: nobody can tell where to answer, so the connection ends.
pub(super) fn parse(mut frame: Bytes) -> Result<Request, String> {
    if frame.len() < 8 {
        return Err(format!("a request of {} bytes has no header", frame.len()));
    }
    let key = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
    let api = versions::find(key).ok_or_else(|| format!("API {key} is not served"))?;
    if !api.serves(version) {
        // Clients ask with their newest version first, and are told which there are.
        if api.key == ApiKey::ApiVersions {
            return Ok(Request { api, version, correlation, client_id: String::new(), body: Bytes::new() });
        }
        return Err(format!("{:?} of version {version} is not served", api.key));
    }
    let header = RequestHeader::decode(&mut frame, api.key.request_header_version(version));
    let header = header.map_err(|error| format!("the header of a request does not decode: {error}"))?;
    let client_id = header.client_id.map(|id| id.as_str().to_owned()).unwrap_or_default();
    if !REQUESTS.holds(key, version, frame.chunk()) {
        return Err(format!(
            "a {:?} request of version {version} by client '{}' does not decode",
            api.key,
            client_id.escape_debug()
        ));
    }
    Ok(Request { api, version, correlation, client_id, body: frame })
}

impl Request {
    /// The body, decoded.
    pub(super) fn decode<R: Decodable>(&self) -> Result<R, String> {
        let mut body = self.body.clone();
        R::decode(&mut body, self.version).map_err(|error| format!("a {:?} request does not decode: {error}", self.api.key))
    }

    /// The body, decoded, and not kept: its bytes belong to who holds a part of what was decoded.
    pub(super) fn take<R: Decodable>(&mut self) -> Result<R, String> {
        let decoded = self.decode();
        self.body = Bytes::new();
        decoded
    }

    /// The frame that answers it.
    pub(super) fn answer(&self, response: &impl Encodable) -> Result<Bytes, String> {
        encode(self.api.key, self.version, self.version, self.correlation, response)
    }

    /// The frame whose body is gathered already.
    pub(super) fn answer_with(&self, body: Pieces) -> Result<Answer, String> {
        let mut head = BytesMut::zeroed(4);
        let header = ResponseHeader::default().with_correlation_id(self.correlation);
        let encoded = header.encode(&mut head, self.api.key.response_header_version(self.version));
        encoded.map_err(|error| format!("the header of an answer does not encode: {error}"))?;
        let length = length_of(self.api.key, head.len() + body.len())?;
        head[..4].copy_from_slice(&length);
        Ok(body.behind(head.freeze()))
    }

    /// The frame that answers it in another version of the same API.
    pub(super) fn answer_in(&self, version: i16, response: &impl Encodable) -> Result<Bytes, String> {
        // The response's header goes by the request's version, but for ApiVersions, where it never changes.
        encode(self.api.key, self.version, version, self.correlation, response)
    }
}

fn encode(api: ApiKey, header_of: i16, version: i16, correlation: i32, response: &impl Encodable) -> Result<Bytes, String> {
    let failed = |error| format!("an answer to {api:?} does not encode: {error}");
    let size = response.compute_size(version).unwrap_or(ANSWER_BYTES);
    let mut out = BytesMut::with_capacity(size + 16);
    out.extend_from_slice(&[0; 4]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut out, api.response_header_version(header_of.max(0))).map_err(failed)?;
    response.encode(&mut out, version).map_err(failed)?;
    let length = length_of(api, out.len())?;
    out[..4].copy_from_slice(&length);
    Ok(out.freeze())
}

/// What a frame of so many bytes begins with.
fn length_of(api: ApiKey, frame: usize) -> Result<[u8; 4], String> {
    let length = i32::try_from(frame - 4).map_err(|_| format!("an answer to {api:?} is over 2 GiB"))?;
    Ok(length.to_be_bytes())
}
