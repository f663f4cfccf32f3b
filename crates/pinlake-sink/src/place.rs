//! Which object a record belongs to: by its partition, by fields of its value, or by a time. A place is a part of the objects' names. The same
//! record gets the same place again, but for [`TimeOf::Clock`]. Must not know how objects are named beside their place.

pub mod pattern;
mod time;

#[cfg(test)]
mod tests;

use pinlake_core::{PartitionId, Timestamp};
use serde_json::{Map, Value};

use crate::convert::{Converted, Datum};

pub use pattern::Pattern;
pub use time::{TimePlaces, zone};

/// How places are chosen.
#[derive(Debug, Clone)]
pub enum Placement {
    /// `partition=N`, the record's own partition.
    Partition,
    /// `FIELD=VALUE` for each field.
    Fields {
        /// The fields, at least one.
        fields: Vec<FieldPath>,
        /// What stands between them.
        delimiter: String,
    },
    /// By a time, see [`TimePlaces`].
    Time(TimePlaces),
}

/// Where a record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The part of the objects' names.
    pub name: String,
    /// The time by which it was chosen; the record's own if it was not chosen by one.
    pub time: Timestamp,
}

/// Which time of a record counts.
#[derive(Debug, Clone)]
pub enum TimeOf {
    /// The time of the day when it is placed, which is another when it is placed again.
    Clock,
    /// The record's own.
    Record,
    /// A field of its value: milliseconds since 1970, or ISO 8601.
    Field(FieldPath),
}

/// A field of a value, or one within others: `a.b`. A name with dots stands in quotes: `"a.b".c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    names: Vec<String>,
}

impl Placement {
    /// The place of a record of `partition` that is placed at `now`.
    ///
    /// # Errors
    /// Why the record does not say where it belongs.
    pub fn place(&self, record: &Converted<'_>, partition: PartitionId, now: Timestamp) -> Result<Place, String> {
        match self {
            Self::Partition => Ok(Place { name: format!("partition={partition}"), time: record.timestamp }),
            Self::Fields { fields, delimiter } => {
                let value = object(record)?;
                let each = fields.iter().map(|field| Ok(format!("{}={}", field.text, plain(field.find(&value)?, field)?)));
                let names: Vec<String> = each.collect::<Result<_, String>>()?;
                Ok(Place { name: names.join(delimiter), time: record.timestamp })
            }
            Self::Time(places) => places.place(record, now),
        }
    }

    /// Whether the same records would get other places if they were placed again later.
    pub fn goes_by_clock(&self) -> bool {
        matches!(self, Self::Time(places) if matches!(places.time, TimeOf::Clock))
    }

    /// For places that go by the clock: until when (exclusive) records that are placed from `at` on have the same place.
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Time(places) if matches!(places.time, TimeOf::Clock) => places.until(at),
            _ => None,
        }
    }
}

impl FieldPath {
    /// Takes `a.b` apart; `None` if a name in it is empty.
    pub fn new(text: &str) -> Option<Self> {
        let (mut names, mut name, mut in_quotes) = (Vec::new(), String::new(), false);
        for c in text.chars() {
            match c {
                '"' => in_quotes = !in_quotes,
                '.' if !in_quotes => names.push(std::mem::take(&mut name)),
                c => name.push(c),
            }
        }
        names.push(name);
        let is_whole = !in_quotes && names.iter().all(|name| !name.is_empty());
        is_whole.then(|| Self { text: text.to_owned(), names })
    }

    /// The field's value, which is not null.
    fn find<'a>(&self, value: &'a Map<String, Value>) -> Result<&'a Value, String> {
        let (first, rest) = self.names.split_first().expect("a path has a name");
        let found = rest.iter().try_fold(value.get(first), |value, name| Some(value?.as_object()?.get(name)));
        match found.flatten() {
            None => Err(format!("the value has no field '{}' by which it is placed", self.text)),
            Some(Value::Null) => Err(format!("the field '{}' by which the record is placed is null", self.text)),
            Some(value) => Ok(value),
        }
    }
}

/// A record's value as the JSON object that it must be if its fields are asked for.
fn object(record: &Converted<'_>) -> Result<Map<String, Value>, String> {
    let parsed = match &record.value {
        Datum::Json(text) => serde_json::from_str(text).map_err(|e| format!("the value can't be read: {e}"))?,
        _ => None,
    };
    match parsed {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Err("the value is no JSON object, so it has no fields by which it could be placed".to_owned()),
    }
}

/// A field's value as a part of a name: whole numbers, texts and booleans have such.
fn plain(value: &Value, field: &FieldPath) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(is) => Ok(is.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => {
            let text = "by which the record is placed is no whole number, text or boolean";
            Err(format!("the field '{}' {text}", field.text))
        }
    }
}
