//! The columns that JSON objects have together, and the objects as these columns take them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::{Map, Value};

/// The most columns of a file, those within structs and lists counted too.
pub const COLUMNS_MAX: usize = 1000;
/// The column of the fields for which there are too many columns.
pub const REST: &str = "_rest";
/// How deep objects and lists lie within each other; what is deeper is text.
const DEPTH_MAX: usize = 20;

/// What kind of values a column has.
#[derive(Debug, Default)]
enum Kind {
    #[default]
    Null,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Kind>),
    Object(Columns),
}

/// Fields in the order in which they first appeared.
#[derive(Debug, Default)]
struct Columns {
    kinds: Vec<(String, Kind)>,
    places: HashMap<String, usize>,
}

/// The columns of objects that were looked at.
#[derive(Debug, Default)]
pub(super) struct Shape {
    columns: Columns,
    count: usize,
    has_rest: bool,
}

impl Shape {
    /// Looks at an object.
    pub(super) fn take(&mut self, row: &Value) {
        for (name, value) in row.as_object().into_iter().flatten() {
            if name == REST || !self.columns.places.contains_key(name) && self.count >= COLUMNS_MAX {
                self.has_rest = true;
                continue;
            }
            self.columns.kind(name, &mut self.count).take(value, 1, &mut self.count);
        }
    }

    /// The schema of all that were looked at.
    pub(super) fn schema(&self) -> Schema {
        // Rows need a column to be counted by.
        let has_rest = self.has_rest || self.columns.kinds.is_empty();
        let rest = has_rest.then(|| Field::new(REST, DataType::Utf8, true));
        Schema::new(self.columns.fields().iter().cloned().chain(rest.map(Into::into)).collect::<Fields>())
    }

    /// An object that was looked at, as the schema takes it.
    pub(super) fn fit(&self, row: Value) -> Value {
        let Value::Object(fields) = row else { return row };
        let (known, rest): (Map<String, Value>, Map<String, Value>) =
            fields.into_iter().partition(|(name, _)| self.columns.places.contains_key(name));
        let mut fitted = self.columns.fit(known);
        if !rest.is_empty() {
            fitted.insert(REST.to_owned(), Value::String(Value::Object(rest).to_string()));
        }
        Value::Object(fitted)
    }
}

impl Columns {
    /// The kind of a field, which may be a new one.
    fn kind(&mut self, name: &str, count: &mut usize) -> &mut Kind {
        let at = self.places.get(name).copied().unwrap_or_else(|| {
            *count += 1;
            self.places.insert(name.to_owned(), self.kinds.len());
            self.kinds.push((name.to_owned(), Kind::Null));
            self.kinds.len() - 1
        });
        &mut self.kinds[at].1
    }

    /// An object's kind with one more in it.
    fn with(mut self, fields: &Map<String, Value>, depth: usize, count: &mut usize) -> Kind {
        for (name, value) in fields {
            if !self.places.contains_key(name) && *count >= COLUMNS_MAX {
                return Kind::Text;
            }
            self.kind(name, count).take(value, depth + 1, count);
        }
        Kind::Object(self)
    }

    fn fields(&self) -> Fields {
        self.kinds.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()
    }

    fn fit(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let fit = |(name, value): (String, Value)| {
            let kind = &self.kinds[*self.places.get(&name)?].1;
            Some((name, kind.fit(value)))
        };
        fields.into_iter().filter_map(fit).collect()
    }
}

impl Kind {
    /// Takes one more value in; `count` is how many columns there are in all.
    fn take(&mut self, value: &Value, depth: usize, count: &mut usize) {
        let kind = std::mem::take(self);
        *self = match (kind, value) {
            (kind, Value::Null) => kind,
            (Self::Null | Self::Bool, Value::Bool(_)) => Self::Bool,
            (Self::Null | Self::Int, Value::Number(number)) if number.is_i64() => Self::Int,
            (Self::Null | Self::Int | Self::Float, Value::Number(_)) => Self::Float,
            (kind @ (Self::Null | Self::List(_)), Value::Array(elements)) if depth < DEPTH_MAX => {
                let mut of = if let Self::List(of) = kind { of } else { Box::default() };
                for element in elements {
                    of.take(element, depth + 1, count);
                }
                Self::List(of)
            }
            (kind @ (Self::Null | Self::Object(_)), Value::Object(fields)) if depth < DEPTH_MAX => {
                let columns = if let Self::Object(columns) = kind { columns } else { Columns::default() };
                columns.with(fields, depth, count)
            }
            _ => Self::Text,
        };
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::List(of) => DataType::List(Field::new("element", of.data_type(), true).into()),
            Self::Object(columns) if !columns.kinds.is_empty() => DataType::Struct(columns.fields()),
            // Parquet has no structs without fields.
            Self::Null | Self::Text | Self::Object(_) => DataType::Utf8,
        }
    }

    fn fit(&self, value: Value) -> Value {
        match (self, value) {
            (_, value @ (Value::Null | Value::String(_))) => value,
            (Self::List(of), Value::Array(elements)) => elements.into_iter().map(|element| of.fit(element)).collect(),
            (Self::Object(columns), Value::Object(fields)) if !columns.kinds.is_empty() => Value::Object(columns.fit(fields)),
            (Self::Bool | Self::Int | Self::Float, value) => value,
            (_, value) => Value::String(value.to_string()),
        }
    }
}
