//! The columns of a gold table: those of an answer as Delta stores them, and Pinlake's own behind them; and what an answer with others does
//! to a table. A column is never changed and never goes away.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use deltalake_core::kernel::StructField;
use pinlake_core::{Error, Result};

use super::GOLD_DIR;
use crate::schema::{delta_columns, timestamp};
use crate::sql::encode::type_name;

/// Our own columns, behind those of an answer.
pub(super) const OWN: [&str; 4] = ["_from", "_to", "_run", "_at"];
/// What a column's name must not hold in a table without a column mapping: Spark refuses it in Parquet.
const NOT_IN_NAMES: [char; 10] = [' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];
/// The most digits of a decimal.
const PRECISION_MAX: u8 = 38;

/// The columns of a gold table that `answer` makes by itself.
///
/// # Errors
/// `Invalid` for a column without a legal name, with the name of another or of ours, or of a type that Delta has not.
pub(super) fn of_answer(answer: &Schema) -> Result<SchemaRef> {
    let mut fields = Vec::new();
    let mut names = HashMap::new();
    for field in answer.fields() {
        let name = field.name();
        if name.is_empty() || name.contains(NOT_IN_NAMES) {
            return Err(Error::invalid(format!("column '{name}' has no name that a table can have: give it one with AS")));
        }
        if OWN.contains(&name.to_lowercase().as_str()) {
            return Err(Error::invalid(format!(
                "column '{name}' has the name of one of pinlake's own ({}): leave it out, or give it another with AS",
                OWN.join(", ")
            )));
        }
        if let Some(other) = names.insert(name.to_lowercase(), name) {
            return Err(Error::invalid(format!("columns '{other}' and '{name}' have the same name: give one another with AS")));
        }
        let data_type = stored(field.data_type()).ok_or_else(|| {
            Error::invalid(format!(
                "column '{name}' is of type {}, which a table can't hold: cast it to another",
                type_name(field.data_type())
            ))
        })?;
        fields.push(Field::new(name, data_type, true));
    }
    if fields.is_empty() {
        return Err(Error::invalid("the answer has no columns: a table needs one"));
    }
    fields.extend(own());
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns that a table with those that are `there` has when an answer with `schema` comes in; `None` if they stay the same.
///
/// # Errors
/// `Invalid` when a column's type changed, and when a column must have a value that the answer does not have.
pub(super) fn with_new(table: &str, there: &[StructField], schema: &Schema) -> Result<Option<Vec<StructField>>> {
    let remedy = format!("keep the answer into another table, or delete {GOLD_DIR}/{table} with its history");
    let known: HashMap<String, &StructField> = there.iter().map(|column| (column.name().to_lowercase(), column)).collect();
    let mut new = Vec::new();
    for column in delta_columns(schema)? {
        let name = column.name();
        match known.get(&name.to_lowercase()) {
            None => new.push(column),
            Some(known) if known.name() != name => {
                let known = known.name();
                return Err(Error::invalid(format!(
                    "column '{name}' is '{known}' in {GOLD_DIR}.{table}: give it that name with AS"
                )));
            }
            Some(known) if known.data_type() != column.data_type() => {
                let (was, is) = (known.data_type(), column.data_type());
                return Err(Error::invalid(format!(
                    "column '{name}' of {GOLD_DIR}.{table} is {was}, but {is} in the answer: cast it to {was}, {remedy}"
                )));
            }
            Some(_) => {}
        }
    }
    let missing = there.iter().find(|column| !column.is_nullable() && schema.field_with_name(column.name()).is_err());
    if let Some(missing) = missing {
        let name = missing.name();
        return Err(Error::invalid(format!(
            "{GOLD_DIR}.{table} must have a value of '{name}', which is not in the answer: {remedy}"
        )));
    }
    if new.is_empty() {
        return Ok(None);
    }
    // Ours stay the last.
    let own = there.iter().position(|column| column.name() == OWN[0]).unwrap_or(there.len());
    Ok(Some(there[..own].iter().cloned().chain(new).chain(there[own..].iter().cloned()).collect()))
}

fn own() -> [Field; 4] {
    let time = |name| Field::new(name, timestamp(), true);
    let [from, to, run, at] = OWN;
    [time(from), time(to), Field::new(run, DataType::Int64, true), time(at)]
}

/// The type that a table stores; `None` if there is none.
fn stored(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => data_type.clone(),
        DataType::Float32 | DataType::Float64 | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(..) => timestamp(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => {
            let is_delta = *digits <= PRECISION_MAX && (0..=digits.cast_signed()).contains(scale);
            return is_delta.then_some(DataType::Decimal128(*digits, *scale));
        }
        DataType::Dictionary(_, value) => stored(value.as_ref())?,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", stored(item.data_type())?, true)))
        }
        DataType::Struct(fields) if !fields.is_empty() => DataType::Struct(stored_fields(fields)?),
        _ => return None,
    })
}

fn stored_fields(fields: &Fields) -> Option<Fields> {
    let mut names = std::collections::BTreeSet::new();
    let field = |field: &Arc<Field>| {
        let name = field.name();
        let is_legal = !name.is_empty() && !name.contains(NOT_IN_NAMES) && names.insert(name.to_lowercase());
        is_legal.then_some(Field::new(name, stored(field.data_type())?, true))
    };
    fields.iter().map(field).collect()
}
