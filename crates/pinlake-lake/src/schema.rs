//! Arrow types and Delta types: every clean column is stored in a type that any Delta reader understands.

use std::sync::Arc;

pub use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{StructField, StructType};
use pinlake_core::{Error, Result};

/// The field as it is stored: text as views in memory, times in microseconds UTC (a time without a zone means UTC), all
/// nullable.
pub(crate) fn storable(field: &Field) -> Field {
    Field::new(field.name(), storable_type(field.data_type()), true)
}

fn storable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(..) => timestamp(),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(list_item(storable_type(item.data_type())))
        }
        DataType::Dictionary(_, value) => storable_type(value),
        other => other.clone(),
    }
}

fn list_item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("element", data_type, true))
}

/// The type of every time in a table.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The clean columns followed by Pinlake's own.
pub fn with_meta(clean: &Schema) -> SchemaRef {
    let mut fields: Vec<FieldRef> = clean.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_topic", DataType::Utf8View, true)));
    fields.push(Arc::new(Field::new("_partition", DataType::Int32, true)));
    fields.push(Arc::new(Field::new("_offset", DataType::Int64, true)));
    fields.push(Arc::new(Field::new("_ingested_at", timestamp(), true)));
    Arc::new(Schema::new(fields))
}

/// The Delta columns of an Arrow schema.
pub(crate) fn delta_columns(schema: &Schema) -> Result<Vec<StructField>> {
    let plain = Schema::new(schema.fields().iter().map(|field| plain_field(field)).collect::<Vec<_>>());
    let delta: StructType = (&plain)
        .try_into_kernel()
        .map_err(|error| Error::invalid("a column's type can't be stored in a Delta table").with_source(error))?;
    Ok(delta.fields().cloned().collect())
}

/// Views are a form in memory only.
fn plain_field(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(Arc::new(plain_field(item))),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}
