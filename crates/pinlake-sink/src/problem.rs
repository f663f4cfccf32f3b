//! Why a record can't be written: data, not a failure. It must not decide what becomes of the record.

use std::fmt;

/// Why one record can't be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was being done with it.
    pub stage: Stage,
    /// Who found it, in the words of whoever described the sink (Kafka Connect: a class).
    pub found_by: &'static str,
    /// What it is, in the same words (Kafka Connect: an exception's class).
    pub class: &'static str,
    /// What is wrong with the record.
    pub message: String,
}

/// What is done with a record, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its batch is unpacked.
    Read,
    /// Its key is understood.
    Key,
    /// Its value is understood.
    Value,
    /// Its headers are understood.
    Headers,
    /// Its object is found, and it is put there.
    Put,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
