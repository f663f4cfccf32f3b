//! What can't be delivered as it should be, as a line of an object of errors. It must not decide which records those are.
//!
//! Fields: "Handle failure in data transformation" and "Handling errors for data format conversion" in the Data Firehose guide.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{RecordView, Timestamp};
use serde_json::{Value, json};

use super::definition::Schema;

/// What kind of error: a folder of the errors.
pub(super) const PROCESSING: &str = "processing-failed";
pub(super) const CONVERSION: &str = "format-conversion-failed";

/// Why a record, or a part of one, can't be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// [`PROCESSING`] or [`CONVERSION`].
    pub(super) kind: &'static str,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn processing(code: &'static str, message: String) -> Self {
        Self { kind: PROCESSING, code, message }
    }

    pub(super) fn conversion(code: &'static str, message: String) -> Self {
        Self { kind: CONVERSION, code, message }
    }

    /// The line for `raw`, which is the part of that number of `record`, found at `at`. `schema` is the table of a conversion.
    pub(super) fn line(
        &self,
        record: &RecordView<'_>,
        raw: &[u8],
        part: usize,
        at: Timestamp,
        schema: Option<&Schema>,
    ) -> Vec<u8> {
        let is_conversion = self.kind == CONVERSION;
        let (code, message) = if is_conversion { ("lastErrorCode", "lastErrorMessage") } else { ("errorCode", "errorMessage") };
        let mut line = json!({
            "attemptsMade": 1,
            "arrivalTimestamp": record.timestamp.0,
            code: self.code,
            message: self.message,
            // The unit's, which a second run has too; records may come after that.
            "attemptEndingTimestamp": at.max(record.timestamp).0,
            "rawData": STANDARD.encode(raw),
        });
        if is_conversion {
            line["sequenceNumber"] = Value::from(record.offset.to_string());
            line["subSequenceNumber"] = Value::from(part);
            line["dataCatalogTable"] = schema.map_or(Value::Null, |schema| {
                json!({
                    "catalogId": schema.catalog_id,
                    "databaseName": schema.database_name,
                    "tableName": schema.table_name,
                    "region": schema.region,
                    "versionId": schema.version_id,
                })
            });
        }
        let mut line = line.to_string().into_bytes();
        line.push(b'\n');
        line
    }
}
