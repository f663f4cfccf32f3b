//! Which door a path leads to: directly or behind any one stage segment, empty segments and trailing slashes passed over.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The most segments that a path of some door has.
const SEGMENTS_MAX: usize = 8;

/// First segments that belong to other parts of the server and so are no stage.
const NOT_STAGES: [&str; 8] = ["api", "ui", "connectors", "connector-plugins", "metrics", "healthz", "readyz", "favicon.ico"];

/// The doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Kafka REST v2: `/topics...`.
    Topics,
    /// Kafka REST v2: `/brokers`.
    Brokers,
    /// Kafka REST v2: `/consumers...`.
    Consumers,
    /// Kafka REST v3: `/v3...`.
    V3,
    /// Kinesis gateway: `/streams...`.
    Streams,
    /// The services of AWS: `/`, by other signs than the path.
    Aws,
    /// The plain pin: `/pin`.
    Pin,
}

impl Door {
    fn named(segment: &str) -> Option<Self> {
        Some(match segment {
            "topics" => Self::Topics,
            "brokers" => Self::Brokers,
            "consumers" => Self::Consumers,
            "v3" => Self::V3,
            "streams" => Self::Streams,
            "pin" => Self::Pin,
            _ => return None,
        })
    }
}

/// The segments behind a door's own, still percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segments<'a> {
    parts: [&'a str; SEGMENTS_MAX],
    count: usize,
}

impl<'a> Segments<'a> {
    /// No segments.
    pub(crate) const NONE: Self = Self { parts: [""; SEGMENTS_MAX], count: 0 };

    /// The segments in order.
    pub(crate) fn as_slice(&self) -> &[&'a str] {
        &self.parts[..self.count]
    }
}

/// The door and what is behind it; `None` if no door has such a path.
pub(crate) fn door_of(path: &str) -> Option<(Door, Segments<'_>)> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let first = segments.next()?;
    let door = match Door::named(first) {
        Some(door) => door,
        None if NOT_STAGES.contains(&first) => return None,
        None => Door::named(segments.next()?)?,
    };
    let mut rest = Segments::NONE;
    for segment in segments {
        *rest.parts.get_mut(rest.count)? = segment;
        rest.count += 1;
    }
    Some((door, rest))
}

/// A segment without its percent-encoding; what does not decode to UTF-8 gets replacement characters.
pub(crate) fn decode(segment: &str) -> Cow<'_, str> {
    if segment.contains('%') { percent_decode_str(segment).decode_utf8_lossy() } else { Cow::Borrowed(segment) }
}

/// The value of a query parameter, decoded.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
