//! Records that hold several: those of the Kinesis Producer Library, and JSON or delimited ones in a row. It must not look at what a part means.

use serde_json::value::RawValue;

use super::aggregated;
use super::failure::Failure;

/// The most records that one record may hold.
pub(super) const PARTS_MAX: usize = 10_000;
const CODE: &str = "RecordDeAggregation.Failed";

/// How records are taken apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Whether what the Kinesis Producer Library put together is taken apart first.
    pub(super) aggregated: bool,
    pub(super) rest: Option<Rest>,
}

/// How what is left is taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// JSON values one behind the other, or in an array.
    Json,
    /// What stands between these bytes.
    Delimited(Vec<u8>),
}

impl Parts {
    /// The records in a record; itself if there are no others.
    ///
    /// # Errors
    /// Why it can't be taken apart.
    pub(super) fn of<'a>(&self, value: &'a [u8]) -> Result<Vec<&'a [u8]>, Failure> {
        let failed = |why: String| Failure::processing(CODE, why);
        let whole = match self.aggregated.then(|| aggregated::data_of(value, PARTS_MAX)).flatten() {
            Some(data) => data.map_err(failed)?,
            None => vec![value],
        };
        let Some(rest) = &self.rest else { return Ok(whole) };
        let mut parts = Vec::new();
        for value in whole {
            rest.split(value, &mut parts).map_err(failed)?;
        }
        Ok(parts)
    }
}

impl Rest {
    fn split<'a>(&self, value: &'a [u8], parts: &mut Vec<&'a [u8]>) -> Result<(), String> {
        let mut push = |part: &'a [u8]| {
            if parts.len() >= PARTS_MAX {
                return Err(format!("the record holds more than {PARTS_MAX} records"));
            }
            parts.push(part);
            Ok(())
        };
        match self {
            Self::Json => {
                let wrong = |e: serde_json::Error| format!("the record holds no JSON: {e}");
                for one in serde_json::Deserializer::from_slice(value).into_iter::<&RawValue>() {
                    let text = one.map_err(wrong)?.get();
                    if !text.starts_with('[') {
                        push(text.as_bytes())?;
                        continue;
                    }
                    for item in serde_json::from_str::<Vec<&RawValue>>(text).map_err(wrong)? {
                        push(item.get().as_bytes())?;
                    }
                }
            }
            Self::Delimited(delimiter) => {
                let mut rest = value;
                while let Some(at) = find(rest, delimiter) {
                    push(&rest[..at])?;
                    rest = &rest[at + delimiter.len()..];
                }
                if !rest.is_empty() {
                    push(rest)?;
                }
            }
        }
        Ok(())
    }
}

/// Where `wanted`, which is not empty, stands first.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
