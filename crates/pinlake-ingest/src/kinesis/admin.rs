//! Stream administration in the API-Gateway form: list, describe, create, delete. A body on GET is taken as parameters. What is made or
//! deleted here is so at once: scripts do not wait for states on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::{DoorError, Gateway};
use super::operations::{self, Context};
use super::streams::changes::NewStream;
use super::streams::state::Mode;
use super::wording::constraint;
use crate::aws::value::Value as Answer;
use crate::doors::Call;
use crate::path::query_value;

/// The most that can be asked for.
const LIST_MAX: i64 = 10_000;
/// The largest body that is read into a tree, bytes; none that means something comes near it.
const BODY_BYTES_MAX: usize = 64 << 10;

/// ListStreams.
pub(super) async fn list(call: &Call<'_>, body: &Bytes) -> Result<Answer, DoorError> {
    let parameters = Parameters::of(call, body);
    let input = Answer::map([
        ("Limit", parameters.limit()?.into()),
        ("ExclusiveStartStreamName", parameters.text("ExclusiveStartStreamName").into()),
        ("NextToken", parameters.text("NextToken").into()),
    ]);
    Ok(operations::serve(&Context::of(call), "ListStreams", &input).await?)
}

/// DescribeStream.
pub(super) async fn describe(call: &Call<'_>, stream: &str, body: &Bytes) -> Result<Answer, DoorError> {
    let parameters = Parameters::of(call, body);
    let input = Answer::map([
        ("StreamName", stream.into()),
        ("Limit", parameters.limit()?.into()),
        ("ExclusiveStartShardId", parameters.text("ExclusiveStartShardId").into()),
    ]);
    Ok(operations::serve(&Context::of(call), "DescribeStream", &input).await?)
}

/// CreateStream.
pub(super) async fn create(call: &Call<'_>, stream: &str, body: &Bytes) -> Result<Answer, DoorError> {
    let settings = &call.shared.settings.kinesis;
    let parameters = Parameters::of_body(body)?;
    if parameters.has_record() {
        return Err(DoorError::kinesis(
            "ValidationException",
            format!(
                "this body holds records, and POST /streams/{stream} creates a stream: send it to PUT /streams/{stream}/record or /records"
            ),
        ));
    }
    let shards = match parameters.0.get("ShardCount") {
        None | Some(Value::Null) => settings.shards_default,
        Some(given) => shard_count(given)?,
    };
    let new = NewStream {
        name: operations::streams::topic_name(stream)?,
        shards,
        mode: Mode::Provisioned,
        tags: BTreeMap::new(),
        record_kib_max: None,
        retention_ms: None,
        shards_max: settings.shards_max,
        transition: Duration::ZERO,
    };
    Context::of(call).place().create(new).await?;
    Ok(Answer::map([]))
}

fn shard_count(given: &Value) -> Result<u32, DoorError> {
    let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    match text.parse::<u32>() {
        Ok(count) if count >= 1 => Ok(count),
        _ => Err(constraint(Some(&text), "shardCount", "have value greater than or equal to 1").into()),
    }
}

/// DeleteStream.
pub(super) async fn delete(call: &Call<'_>, stream: &str) -> Result<Answer, DoorError> {
    let name = operations::streams::topic_name(stream)?;
    Context::of(call).place().delete(name, Duration::ZERO, false).await?;
    Ok(Answer::map([]))
}

/// What a call asks for, from the query or else from the body.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// The query's parameters and the body's; a body on GET that is no object says nothing.
    fn of(call: &Call<'_>, body: &Bytes) -> Self {
        let mut parameters = Self::of_body(body).unwrap_or_else(|_| Self(Map::new()));
        for name in ["Limit", "limit", "ExclusiveStartStreamName", "ExclusiveStartShardId", "NextToken"] {
            if let Some(value) = query_value(call.parts.uri.query(), name) {
                parameters.0.insert(name.to_owned(), Value::String(value));
            }
        }
        parameters
    }

    fn of_body(body: &Bytes) -> Result<Self, DoorError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        if body.len() > BODY_BYTES_MAX {
            let hint =
                format!("a body here takes at most {BODY_BYTES_MAX} bytes; records go to /streams/STREAM/record or /records");
            return Err(DoorError::gateway(Gateway::BodyTooLarge, hint));
        }
        let parsed = serde_json::from_slice(body);
        parsed
            .map(Self)
            .map_err(|error| DoorError::gateway(Gateway::InvalidBody, format!("the body is not a JSON object: {error}")))
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// How much to list, if that is said.
    fn limit(&self) -> Result<Option<i64>, DoorError> {
        let Some(given) = self.text("Limit").or_else(|| self.text("limit")) else { return Ok(None) };
        let broken = |must: &str| Err(constraint(Some(&given), "limit", must).into());
        match given.parse::<i64>() {
            Ok(limit) if (1..=LIST_MAX).contains(&limit) => Ok(Some(limit)),
            Ok(limit) if limit > LIST_MAX => broken("have value less than or equal to 10000"),
            _ => broken("have value greater than or equal to 1"),
        }
    }

    fn has_record(&self) -> bool {
        ["Data", "Records", "records"].iter().any(|field| self.0.contains_key(*field))
    }
}
