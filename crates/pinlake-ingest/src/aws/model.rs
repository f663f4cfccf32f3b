//! What operations take, as tables, and their inputs read by them.

use std::ops::Deref;

use bytes::Bytes;
use pinlake_core::Timestamp;

use super::value::Value;

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
