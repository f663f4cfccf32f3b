//! What clients send, read and checked. Parameters come behind the `?` or as a JSON object in the body, whatever the method: some clients send a GET's in
//! its body. Numbers and booleans come as text too. Fields that nobody asks for are passed over, and `null` is the same as nothing, as the service has it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::failure::Failure;
use crate::BODY_BYTES_MAX;

/// A value is shown in a message up to so many characters.
const SHOWN_MAX: usize = 200;

/// A call's parameters.
#[derive(Debug)]
pub(super) struct Args {
    all: Map<String, Value>,
    /// The server's name and port, as the client knows them.
    pub(super) host: Option<String>,
    /// Who calls.
    pub(super) caller: Caller,
}

impl<S: Send + Sync> FromRequest<S> for Args {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let behind = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let Query(behind) = behind.map_err(|_| Failure::malformed("the parameters behind the '?' can't be read"))?;
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| host.parse::<Authority>().is_ok()).map(str::to_owned);
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        let bytes = Bytes::from_request(request, state).await.map_err(|refused| match refused.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::new(status, "MAX_REQUEST_SIZE_EXCEEDED", format!("the body is larger than {BODY_BYTES_MAX} bytes"))
            }
            status => Failure::new(status, "MALFORMED_REQUEST", "the body can't be read"),
        })?;
        let mut all = object_of(&bytes)?;
        all.extend(behind.into_iter().map(|(name, value)| (name, Value::String(value))));
        Ok(Self { all, host, caller })
    }
}

fn object_of(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(all)) => Ok(all),
        // What `json=None` becomes in some clients.
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Failure::malformed("the body takes a JSON object")),
        Err(e) => Err(Failure::malformed(format!("the body is not JSON: {e}"))),
    }
}

impl Args {
    /// The parameters, to be read.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields { all: &self.all, at: String::new() }
    }
}

/// An object's fields, which know where in the request they stand.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    all: &'a Map<String, Value>,
    at: String,
}

impl<'a> Fields<'a> {
    /// The fields of an object that was not sent just now.
    pub(super) fn of(all: &'a Map<String, Value>) -> Self {
        Self { all, at: String::new() }
    }

    /// The object itself.
    pub(super) fn all(&self) -> &'a Map<String, Value> {
        self.all
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.all.get(name).filter(|value| !value.is_null())
    }

    /// Text; a number or boolean is taken as its text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(other) => Err(self.wrong(name, "text", other)),
        }
    }

    /// Text that must be there and not be empty.
    pub(super) fn needed_text(&self, name: &str) -> Result<String, Failure> {
        self.text(name)?.filter(|text| !text.trim().is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A whole number, or its text; empty text is no number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let wrong = |value| self.wrong(name, "a whole number", value);
        match self.get(name) {
            None => Ok(None),
            Some(value @ Value::Number(number)) => Ok(Some(number.as_i64().ok_or_else(|| wrong(value))?)),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(value @ Value::String(text)) => Ok(Some(text.trim().parse().map_err(|_| wrong(value))?)),
            Some(other) => Err(wrong(other)),
        }
    }

    /// A whole number that must be there.
    pub(super) fn needed_number(&self, name: &str) -> Result<i64, Failure> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number in a range.
    pub(super) fn number_in(&self, name: &str, default: i64, least: i64, most: i64) -> Result<i64, Failure> {
        match self.number(name)?.unwrap_or(default) {
            number if (least..=most).contains(&number) => Ok(number),
            number => Err(self.invalid(name, &format!("takes {least} to {most}, not {number}"))),
        }
    }

    /// A boolean, or its text in any case; `false` if it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let wrong = |value| self.wrong(name, "true or false", value);
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value @ Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" | "" => Ok(false),
                _ => Err(wrong(value)),
            },
            Some(other) => Err(wrong(other)),
        }
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(all)) => Ok(Some(Fields { all, at: self.path(name) })),
            Some(other) => Err(self.wrong(name, "an object", other)),
        }
    }

    /// A list; an empty one if it is not there.
    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Failure> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(self.wrong(name, "a list", other)),
        }
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>, Failure> {
        let one = |(number, value): (usize, &'a Value)| match value {
            Value::Object(all) => Ok(Fields { all, at: format!("{}[{number}]", self.path(name)) }),
            other => Err(self.wrong(&format!("{name}[{number}]"), "an object", other)),
        };
        self.list(name)?.iter().enumerate().map(one).collect()
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        let one = |value: &Value| plain(value).ok_or_else(|| self.wrong(name, "a list of texts", value));
        self.list(name)?.iter().map(one).collect()
    }

    /// An object of texts: numbers and booleans as their text, null as an empty one.
    pub(super) fn dictionary(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let Some(object) = self.object(name)? else { return Ok(BTreeMap::new()) };
        let one = |(key, value): (&String, &Value)| match value {
            Value::Null => Ok((key.clone(), String::new())),
            value => Ok((key.clone(), plain(value).ok_or_else(|| object.wrong(key, "text", value))?)),
        };
        object.all.iter().map(one).collect()
    }

    /// A field that should be there.
    pub(super) fn missing(&self, name: &str) -> Failure {
        Failure::invalid(format!("Missing required field: {}", self.path(name)))
    }

    /// A field that is wrong: `problem` goes on behind its name.
    pub(super) fn invalid(&self, name: &str, problem: &str) -> Failure {
        Failure::invalid(format!("'{}' {problem}", self.path(name)))
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Value) -> Failure {
        self.invalid(name, &format!("takes {wanted}, not {}", short(&value.to_string())))
    }

    fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }
}

/// What was sent, short enough for a message.
pub(super) fn short(text: &str) -> String {
    if text.chars().nth(SHOWN_MAX).is_none() {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain("...".chars()).collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
