//! Produce over Kafka REST v2: reads the body, has it appended, answers one entry a record.

use axum::body::Body;

use super::content_type::format_of;
use super::envelope;
use super::error::{self, RestError};
use crate::doors::Call;
use crate::json;
use crate::partitioner::Partitioning;
use crate::produce::Placed;

/// Answers a produce request; `partition` is the path's.
pub(super) async fn produce(call: &Call<'_>, topic: &str, partition: Option<u32>, body: Body) -> Result<String, RestError> {
    let settings = &call.shared.settings;
    let format = format_of(&call.parts.headers, topic, settings.accept_plain_json)?;
    let read = call.shared.read(call.parts, body).await;
    let (body, _permit) = read.map_err(RestError::refused)?;
    let records = envelope::parse(&body, format, partition, settings.request_records_max)?;
    call.check_partitions(topic, &records).await.map_err(|error| RestError::of_partition(&error))?;
    let topic = call.open(topic, &records).await.map_err(|error| RestError::of(&error))?;
    let placed = call.produce(&topic, &records, Partitioning::Kafka).await;
    let placed = placed.map_err(|error| RestError::of_partition(&error))?;
    Ok(answer(&placed))
}

fn answer(placed: &[Placed]) -> String {
    let mut out = String::with_capacity(96 + placed.len() * 72);
    out.push_str("{\"offsets\":[");
    for (at, record) in placed.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match &record.offset {
            Ok(offset) => {
                out.push_str("{\"partition\":");
                json::push_number(&mut out, record.partition);
                out.push_str(",\"offset\":");
                json::push_number(&mut out, offset.0);
                out.push_str(",\"error_code\":null,\"error\":null}");
            }
            Err(error) => {
                out.push_str("{\"partition\":null,\"offset\":null,\"error_code\":");
                json::push_number(&mut out, error::record_code(error));
                out.push_str(",\"error\":");
                json::push_string(&mut out, error.message());
                out.push('}');
            }
        }
    }
    out.push_str("],\"key_schema_id\":null,\"value_schema_id\":null}");
    out
}
