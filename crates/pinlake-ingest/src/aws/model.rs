//! What operations take, as tables, and inputs read by them: types first, then all constraints. What an operation means beyond that
//! is not known here.

mod constraints;
mod parse;
#[cfg(test)]
mod tests;
mod typed;

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use pinlake_core::Timestamp;
use regex::bytes::Regex;

use super::error::AwsError;
use super::read::Node;
use super::value::Value;

/// The operations of a service.
#[derive(Debug)]
pub(crate) struct Model {
    operations: Vec<Operation>,
}

impl Model {
    /// Reads a table; `kinesis/model.txt` says how one is written. The error names the line.
    pub(crate) fn parse(table: &'static str) -> Result<Self, String> {
        parse::model(table)
    }

    /// All operations, in the order of the table.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of this name.
    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.0.name == name)
    }
}

/// An operation: what it takes.
#[derive(Debug)]
pub(crate) struct Operation(Structure);

impl Operation {
    pub(crate) fn name(&self) -> &'static str {
        self.0.name
    }

    /// Reads the body of a call.
    pub(crate) fn read(&self, body: Node<'_>) -> Result<Input, AwsError> {
        let value = typed::structure(&self.0, body)?;
        let problems = constraints::broken(&self.0, &value);
        if problems.is_empty() { Ok(Input(value)) } else { Err(AwsError::validation(&problems)) }
    }
}

/// What a value may be.
#[derive(Debug)]
enum Shape {
    Text {
        length: Bounds,
        pattern: Option<Pattern>,
    },
    Enum(Vec<&'static str>),
    Int(Bounds),
    Flag,
    Time,
    Blob(Bounds),
    List {
        length: Bounds,
        item: Arc<Shape>,
    },
    Map {
        length: Bounds,
        key: Arc<Shape>,
        value: Arc<Shape>,
    },
    Structure(Structure),
    /// A structure that is not looked into: it belongs to what is not served.
    Other,
}

/// The least and the most of a number or of a length, each if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    min: Option<i64>,
    max: Option<i64>,
}

#[derive(Debug)]
struct Pattern {
    text: &'static str,
    /// Matches a whole value.
    regex: Regex,
    /// What a value must not begin with: `(?!...)`, which the regex crate has not.
    unless: Option<Regex>,
}

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes()) && !self.unless.as_ref().is_some_and(|unless| unless.is_match(text.as_bytes()))
    }
}

#[derive(Debug)]
struct Structure {
    name: &'static str,
    /// How AWS prints a value of it.
    shown: String,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: &'static str,
    shape: Arc<Shape>,
    required: bool,
    /// Whether the service model says the same of `required`.
    as_aws: bool,
}

/// An operation's input as its model has it: types and constraints hold, members stand in the model's order, others are not there,
/// nor are nulls. Always a map, and read by its functions: `input.text("StreamName")`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input(Value);

impl Input {
    /// An input that nobody has checked, for tests of operations.
    #[cfg(test)]
    pub(crate) fn unchecked<const N: usize>(members: [(&'static str, Value); N]) -> Self {
        Self(Value::map(members))
    }

    /// A member that the model requires. So are the next, each for its type.
    pub(crate) fn required_text(&self, name: &str) -> &str {
        self.text(name).expect("the model requires it")
    }

    pub(crate) fn required_int(&self, name: &str) -> i64 {
        self.int(name).expect("the model requires it")
    }

    pub(crate) fn required_blob(&self, name: &str) -> &Bytes {
        self.blob(name).expect("the model requires it")
    }

    pub(crate) fn required_time(&self, name: &str) -> Timestamp {
        self.time(name).expect("the model requires it")
    }
}

impl Deref for Input {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}
