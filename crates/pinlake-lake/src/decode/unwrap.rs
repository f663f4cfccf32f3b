//! Payloads that were wrapped on their way: a JSON string that holds JSON, base64 of JSON, up to three deep.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How many wrappings are taken off.
const DEPTH_MAX: usize = 3;

/// The JSON object inside `record`, or why there is none.
pub(super) fn object(record: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let mut current = Cow::Borrowed(trim(record));
    for _ in 0..=DEPTH_MAX {
        let inner = match current.first() {
            Some(b'{') => return Ok(current),
            Some(b'"') => serde_json::from_slice::<String>(&current)
                .map(String::into_bytes)
                .map_err(|error| format!("not JSON: {error}"))?,
            Some(b'[') => return Err("a JSON array, not an object".to_owned()),
            None => return Err("empty".to_owned()),
            Some(_) => match STANDARD.decode(&current) {
                Ok(inner) if !is_scalar(&current) => inner,
                _ => return Err(why_not(&current)),
            },
        };
        current = Cow::Owned(trim(&inner).to_vec());
    }
    Err(format!("wrapped more than {DEPTH_MAX} deep"))
}

/// Why `record`, which the decoder refused, is not one object of the declared columns.
pub(super) fn why_not(record: &[u8]) -> String {
    match serde_json::from_slice::<Value>(record) {
        Err(error) => format!("not JSON: {error}"),
        Ok(Value::Object(fields)) => {
            let nested = fields.iter().find(|(_, value)| value.is_array() || value.is_object());
            nested.map_or_else(
                || "does not fit the declared columns".to_owned(),
                |(name, _)| format!("{name} is nested, not a plain value"),
            )
        }
        Ok(value) => format!("a JSON {}, not an object", kind(&value)),
    }
}

/// Whether it is a bare JSON value, which short base64 text can look like (`true`, `1234`).
fn is_scalar(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}
