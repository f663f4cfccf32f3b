//! A delivery stream's definition, as JSON in AWS's spelling: an S3 destination with what stands around it. It must not decide what any of it
//! means; what is not read here is passed over.

use pinlake_core::{Error, Result};
use serde::Deserialize;

/// The longest definition, bytes.
const LEN_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    #[serde(rename = "DeliveryStreamName")]
    pub(super) name: String,
    #[serde(rename = "DeliveryStreamType")]
    pub(super) kind: Kind,
    /// Where its records are.
    pub(super) topic: String,
    /// ms.
    pub(super) create_timestamp: i64,
    /// ms.
    pub(super) delivery_start_timestamp: Option<i64>,
    #[serde(rename = "VersionId")]
    pub(super) version: u64,
    pub(super) destination: Destination,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    DirectPut,
    KinesisStreamAsSource,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Destination {
    #[serde(rename = "BucketARN")]
    pub(super) bucket_arn: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) prefix: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) error_output_prefix: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) buffering_hints: BufferingHints,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) compression_format: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) file_extension: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) custom_time_zone: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) s3_backup_mode: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) processing_configuration: Processing,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) dynamic_partitioning_configuration: DynamicPartitioning,
    pub(super) data_format_conversion_configuration: Option<Conversion>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct BufferingHints {
    #[serde(rename = "SizeInMBs")]
    pub(super) size_mb: Option<u64>,
    #[serde(rename = "IntervalInSeconds")]
    pub(super) interval_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Processing {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) enabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) processors: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Step {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameter {
    #[serde(rename = "ParameterName")]
    pub(super) name: String,
    #[serde(rename = "ParameterValue")]
    pub(super) value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DynamicPartitioning {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) enabled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Conversion {
    pub(super) enabled: Option<bool>,
    #[serde(rename = "SchemaConfiguration", default, deserialize_with = "or_default")]
    pub(super) schema: Schema,
    #[serde(rename = "InputFormatConfiguration", default, deserialize_with = "or_default")]
    pub(super) input: Input,
    #[serde(rename = "OutputFormatConfiguration", default, deserialize_with = "or_default")]
    pub(super) output: Output,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Schema {
    pub(super) catalog_id: Option<String>,
    pub(super) database_name: Option<String>,
    pub(super) table_name: Option<String>,
    pub(super) region: Option<String>,
    pub(super) version_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) deserializer: Deserializer,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Deserializer {
    #[serde(rename = "OpenXJsonSerDe")]
    pub(super) open_x: Option<OpenX>,
    #[serde(rename = "HiveJsonSerDe")]
    pub(super) hive: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OpenX {
    pub(super) case_insensitive: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) column_to_json_key_mappings: std::collections::BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) convert_dots_in_json_keys_to_underscores: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) serializer: Serializer,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Serializer {
    #[serde(rename = "ParquetSerDe")]
    pub(super) parquet: Option<ParquetSerDe>,
    #[serde(rename = "OrcSerDe")]
    pub(super) orc: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParquetSerDe {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) compression: String,
}

/// Reads a definition.
///
/// # Errors
/// `Invalid` if it is none.
pub(super) fn read(text: &str) -> Result<Definition> {
    if text.len() > LEN_MAX {
        return Err(Error::invalid(format!("the definition has {} bytes, {LEN_MAX} are the most", text.len())));
    }
    serde_json::from_str(text).map_err(|e| Error::invalid(format!("the definition can't be read: {e}")))
}

/// What is null is not there.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Conversion {
    /// It is on unless it says that it is off.
    pub(super) fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

impl Step {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value.as_str())
    }
}
