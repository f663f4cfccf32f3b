//! The queries of MetadataExtraction that are served: an object of paths, `{customer: .customer.id, first: .list[0]}`. It must not grow into jq:
//! what is no path is refused.

use std::collections::BTreeMap;

use pinlake_core::{Error, Result};
use serde_json::Value;

/// The longest query, bytes.
const LEN_MAX: usize = 10 << 10;
/// The most keys, as in Firehose.
const KEYS_MAX: usize = 50;

/// A query, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    keys: Vec<(String, Path)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    steps: Vec<Step>,
    /// Whether anything is made text.
    to_string: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    /// From the end if it is below 0.
    Index(i64),
}

impl Query {
    /// # Errors
    /// `Invalid` with what is wrong, or not served.
    pub(super) fn new(text: &str) -> Result<Self> {
        let parsed = if text.len() > LEN_MAX { Err(format!("it has more than {LEN_MAX} bytes")) } else { parse(text) };
        parsed.map_err(|why| {
            let served = "an object of paths is served, such as {customer: .customer.id, first: .list[0], all: .n | tostring}";
            Error::invalid(format!("MetadataExtractionQuery can't be used: {why}; {served}"))
        })
    }

    /// The names of its keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| key.as_str())
    }

    /// The keys of a record.
    ///
    /// # Errors
    /// Which key it does not have.
    pub(super) fn evaluate(&self, record: &Value) -> Result<BTreeMap<String, String>, String> {
        let of = |(key, path): &(String, Path)| Ok((key.clone(), path.text(record).map_err(|why| format!("key '{key}' {why}"))?));
        self.keys.iter().map(of).collect()
    }
}

impl Path {
    fn text(&self, record: &Value) -> Result<String, String> {
        let mut value = record;
        for step in &self.steps {
            value = match (step, value) {
                (_, Value::Null) => &Value::Null,
                (Step::Field(name), Value::Object(fields)) => fields.get(name).unwrap_or(&Value::Null),
                (Step::Index(at), Value::Array(items)) => {
                    let at = if *at < 0 { i64::try_from(items.len()).unwrap_or(i64::MAX) + at } else { *at };
                    usize::try_from(at).ok().and_then(|at| items.get(at)).unwrap_or(&Value::Null)
                }
                (Step::Field(name), _) => return Err(format!("has no object of which '{name}' could be a field")),
                (Step::Index(_), _) => return Err("has no array where one is indexed".to_owned()),
            };
        }
        match value {
            Value::Null if !self.to_string => Err("is null or not there".to_owned()),
            Value::String(text) if text.is_empty() => Err("is empty".to_owned()),
            Value::String(text) => Ok(text.clone()),
            Value::Array(_) | Value::Object(_) if !self.to_string => Err("is no text, number or boolean".to_owned()),
            value => Ok(value.to_string()),
        }
    }
}

/// What is left of a query.
struct Rest<'a>(&'a str);

fn parse(text: &str) -> Result<Query, String> {
    let mut rest = Rest(text);
    rest.expect('{')?;
    let mut keys: Vec<(String, Path)> = Vec::new();
    loop {
        let key = rest.key()?;
        if keys.iter().any(|(other, _)| *other == key) {
            return Err(format!("key '{key}' is there twice"));
        }
        if keys.len() >= KEYS_MAX {
            return Err(format!("there are more than {KEYS_MAX} keys"));
        }
        let path = if rest.takes(':') {
            rest.path()?
        } else {
            // As in jq, `{a}` is `{a: .a}`.
            Path { steps: vec![Step::Field(key.clone())], to_string: false }
        };
        keys.push((key, path));
        if !rest.takes(',') {
            break;
        }
    }
    rest.expect('}')?;
    if !rest.0.trim().is_empty() {
        return Err(format!("'{}' stands behind its object", shown(rest.0)));
    }
    Ok(Query { keys })
}

impl Rest<'_> {
    fn takes(&mut self, c: char) -> bool {
        let taken = self.0.trim_start().strip_prefix(c);
        self.0 = taken.unwrap_or(self.0);
        taken.is_some()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.takes(c) { Ok(()) } else { Err(format!("'{c}' is missing before '{}'", shown(self.0))) }
    }

    /// A name, or text in quotes.
    fn key(&mut self) -> Result<String, String> {
        self.0 = self.0.trim_start();
        match self.0.starts_with('"') {
            true => self.quoted(),
            false => self.name().ok_or_else(|| format!("no key stands before '{}'", shown(self.0))),
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        let is_name = name.starts_with(|c: char| is_part(c) && !c.is_ascii_digit());
        is_name.then(|| {
            self.0 = rest;
            name.to_owned()
        })
    }

    /// A JSON string.
    fn quoted(&mut self) -> Result<String, String> {
        let mut strings = serde_json::Deserializer::from_str(self.0).into_iter::<String>();
        let text = strings.next().and_then(Result::ok).ok_or_else(|| format!("'{}' begins with no text", shown(self.0)))?;
        let end = strings.byte_offset();
        self.0 = &self.0[end..];
        Ok(text)
    }

    fn path(&mut self) -> Result<Path, String> {
        if self.takes('(') {
            let path = self.path()?;
            return self.expect(')').map(|()| path);
        }
        self.0 = self.0.trim_start();
        if !self.0.starts_with('.') {
            return Err(format!("'{}' is no path", shown(self.0)));
        }
        let mut steps = Vec::new();
        loop {
            if let Some(rest) = self.0.strip_prefix('[') {
                self.0 = rest.trim_start();
                steps.push(self.index()?);
            } else if let Some(rest) = self.0.strip_prefix('.') {
                self.0 = rest;
                let field = match self.0.chars().next() {
                    Some('[') => continue,
                    Some('"') => self.quoted()?,
                    _ => self.name().ok_or_else(|| format!("no field stands before '{}'", shown(self.0)))?,
                };
                steps.push(Step::Field(field));
            } else {
                break;
            }
        }
        let mut path = Path { steps, to_string: false };
        while self.takes('|') {
            self.0 = self.0.trim_start();
            match self.name().as_deref() {
                Some("tostring") => path.to_string = true,
                Some(other) => return Err(format!("'| {other}' is not served")),
                None => return Err(format!("'| {}' is not served", shown(self.0))),
            }
        }
        Ok(path)
    }

    /// What stands in brackets.
    fn index(&mut self) -> Result<Step, String> {
        let step = if self.0.starts_with('"') {
            Step::Field(self.quoted()?)
        } else {
            let end = self.0.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            let index = digits.parse().map_err(|_| format!("'[{}' is no index", shown(self.0)))?;
            self.0 = rest;
            Step::Index(index)
        };
        self.expect(']')?;
        Ok(step)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
