//! Tables: what they hold, what changes them, and the proofs about them.

use axum::Json;
use axum::extract::State;
use pinlake_core::{Error, Offset, TopicName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::answers::{Flushed, Ledger, Quarantine, RebuiltTables, TableDetail, Trace};
use crate::console::Rebuild;
use crate::extract::{Params, Segments, in_range};
use crate::failure::Failure;

/// Records of a quarantine unless the caller says otherwise.
const QUARANTINE_DEFAULT: u64 = 100;
/// The most records of a quarantine that a caller may ask for.
const QUARANTINE_MAX: u64 = 1_000;

/// `GET /api/v1/tables`
pub(crate) async fn list(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({ "tables": shared.console.tables().await? })))
}

/// `GET /api/v1/tables/{name}`
pub(crate) async fn describe(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<TableDetail>, Failure> {
    Ok(Json(shared.console.table(&name).await?))
}

/// `POST /api/v1/tables/{name}/rebuild`
pub(crate) async fn rebuild(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<RebuiltTables>, Failure> {
    let which = if name == "all" { Rebuild::All } else { Rebuild::Table(name) };
    Ok(Json(RebuiltTables { tables: shared.console.rebuild(which).await? }))
}

/// `POST /api/v1/flush`
pub(crate) async fn flush(State(shared): State<Shared>) -> Result<Json<Flushed>, Failure> {
    Ok(Json(shared.console.flush().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerParams {
    #[serde(default)]
    deep: bool,
}

/// `GET /api/v1/ledger`
pub(crate) async fn ledger(State(shared): State<Shared>, Params(params): Params<LedgerParams>) -> Result<Json<Ledger>, Failure> {
    Ok(Json(shared.console.ledger(params.deep).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuarantineParams {
    limit: Option<u64>,
}

/// `GET /api/v1/quarantine/{table}`
pub(crate) async fn quarantine(
    State(shared): State<Shared>,
    Segments(table): Segments<String>,
    Params(params): Params<QuarantineParams>,
) -> Result<Json<Quarantine>, Failure> {
    let limit = in_range("limit", params.limit, QUARANTINE_DEFAULT, 1, QUARANTINE_MAX)?;
    let limit = usize::try_from(limit).expect("it is at most QUARANTINE_MAX");
    Ok(Json(shared.console.quarantine(&table, limit).await?))
}

/// `GET /api/v1/trace/{topic}/{partition}/{offset}`
pub(crate) async fn trace(
    State(shared): State<Shared>,
    Segments((topic, partition, offset)): Segments<(String, u32, i64)>,
) -> Result<Json<Trace>, Failure> {
    if offset < 0 {
        return Err(Error::invalid(format!("offsets count from 0, {offset} is none")).into());
    }
    Ok(Json(shared.console.trace(&TopicName::new(&topic)?.partition(partition), Offset(offset)).await?))
}
