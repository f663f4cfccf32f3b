//! `sql/statements` and `sql/sessions`. A session is only a name: there is one catalog, and nothing that a session could set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::bound::{self, Parameter};
use super::{Order, Progress, metadata};
use crate::databricks::Door;
use crate::databricks::args::{Args, Fields, short};
use crate::databricks::failure::Failure;
use crate::databricks::workspace::{WAREHOUSE, known_warehouse};

/// Rows of an answer, unless the caller asks for fewer.
const ROWS_MAX: i64 = 1_000_000;
/// The longest answer that can be asked for, bytes.
const BYTES_MAX: i64 = 1 << 40;
/// The most parameters.
const PARAMETERS_MAX: usize = 1000;
/// How long a call waits for the statement's end unless it says so, seconds.
const WAIT_S: u64 = 10;
/// How long it may wait.
const WAITS_S: std::ops::RangeInclusive<u64> = 5..=50;

type Answer = Result<Response, Failure>;

/// `POST sql/statements`
pub(in crate::databricks) async fn execute(State(door): State<Arc<Door>>, args: Args) -> Answer {
    let fields = args.fields();
    known_warehouse(&fields.text("warehouse_id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| WAREHOUSE.to_owned()))?;
    known_places(&fields)?;
    let statement = fields.needed_text("statement")?;
    let parameters = parameters(&fields)?;
    let wait = wait_timeout(&fields)?;
    let cancels = one_of(&fields, "on_wait_timeout", &["CONTINUE", "CANCEL"])? == "CANCEL";
    if cancels && wait.is_zero() {
        return Err(fields.invalid("on_wait_timeout", "must be CONTINUE where wait_timeout is 0s"));
    }
    one_of(&fields, "disposition", &["INLINE", "EXTERNAL_LINKS", "INLINE_OR_EXTERNAL_LINKS"])?;
    let format = one_of(&fields, "format", &["JSON_ARRAY", "ARROW_STREAM"])?;
    let rows_max = fields.number_in("row_limit", ROWS_MAX, 1, i64::MAX)?.min(ROWS_MAX);
    let bytes_max = match fields.number("byte_limit")? {
        Some(_) => usize::try_from(fields.number_in("byte_limit", 0, 1, BYTES_MAX)?).ok(),
        None => None,
    };
    let sql = match metadata::translated(&statement) {
        Some(sql) => Ok(sql),
        None => bound::bind(&statement, &parameters),
    };
    let sql = match sql {
        Ok(sql) => sql,
        // What is wrong with a statement is a statement's end, not a call's.
        Err(error) => {
            let id = door.statements.refuse(error.to_string());
            return Ok(shown(id, &door.statements.progress(id).unwrap_or(Progress::Closed)));
        }
    };
    let rows_max = u64::try_from(rows_max).unwrap_or_default();
    // The SQL connector asks for Arrow, takes JSON, and then looks at the first chunk only.
    let order = Order { sql, rows_max, bytes_max, in_chunks: format != "ARROW_STREAM" };
    let id = door.statements.begin(order)?;
    let progress = if wait.is_zero() { door.statements.progress(id) } else { door.statements.wait(id, wait).await };
    let progress = match progress {
        Some(Progress::Running) if cancels => {
            door.statements.cancel(id);
            door.statements.progress(id)
        }
        progress => progress,
    };
    Ok(shown(id, &progress.unwrap_or(Progress::Closed)))
}

/// `GET sql/statements/{id}`
pub(in crate::databricks) async fn get(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Answer {
    let (id, progress) = find(&door, &id)?;
    Ok(shown(id, &progress))
}

/// `GET sql/statements/{id}/result/chunks/{chunk}`
pub(in crate::databricks) async fn chunk(State(door): State<Arc<Door>>, Path((id, number)): Path<(String, String)>) -> Answer {
    let (id, progress) = find(&door, &id)?;
    let Progress::Succeeded(answered) = progress else {
        return Err(Failure::wrong_state(format!("the statement {id} has no answer: its state is {}", state(&progress))));
    };
    let found = number.parse().ok().and_then(|number| answered.chunk(&id.to_string(), number));
    let found = found.ok_or_else(|| Failure::invalid(format!("the statement {id} has no chunk '{}'", short(&number))))?;
    Ok(json_text(found))
}

/// `POST sql/statements/{id}/cancel`
pub(in crate::databricks) async fn cancel(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Answer {
    let (id, _) = find(&door, &id)?;
    door.statements.cancel(id);
    Ok(Json(json!({})).into_response())
}

/// `DELETE sql/statements/{id}`: one that is not known is as well as closed.
pub(in crate::databricks) async fn close(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Answer {
    if let Ok(id) = id.parse() {
        door.statements.close(id);
    }
    Ok(Json(json!({})).into_response())
}

/// `POST sql/sessions`
pub(in crate::databricks) async fn open_session(args: Args) -> Answer {
    let fields = args.fields();
    known_warehouse(&fields.text("warehouse_id")?.unwrap_or_else(|| WAREHOUSE.to_owned()))?;
    known_places(&fields)?;
    Ok(Json(json!({ "session_id": Uuid::new_v4().to_string() })).into_response())
}

/// `DELETE sql/sessions/{id}`
pub(in crate::databricks) async fn close_session(Path(_): Path<String>) -> Answer {
    Ok(Json(json!({})).into_response())
}

fn find(door: &Door, id: &str) -> Result<(Uuid, Progress), Failure> {
    let found = id.parse().ok().and_then(|id| Some((id, door.statements.progress(id)?)));
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("The statement {} was not found.", short(id)));
    found.ok_or_else(unknown)
}

fn known_places(fields: &Fields<'_>) -> Result<(), Failure> {
    for name in ["catalog", "schema"] {
        if let Some(place) = fields.text(name)?.filter(|place| !metadata::is_ours(place)) {
            let problem =
                format!("takes no '{}': {}; other schemas stand before a table's name", short(&place), metadata::ours());
            return Err(fields.invalid(name, &problem));
        }
    }
    Ok(())
}

fn parameters(fields: &Fields<'_>) -> Result<BTreeMap<String, Parameter>, Failure> {
    let given = fields.objects("parameters")?;
    if given.len() > PARAMETERS_MAX {
        return Err(fields.invalid("parameters", &format!("takes up to {PARAMETERS_MAX}, not {}", given.len())));
    }
    let mut all = BTreeMap::new();
    for one in given {
        let (name, kind) = (one.needed_text("name")?, one.text("type")?.unwrap_or_default());
        let parameter = Parameter { value: one.text("value")?, kind };
        if all.insert(name.clone(), parameter).is_some() {
            return Err(fields.invalid("parameters", &format!("has '{}' twice", short(&name))));
        }
    }
    Ok(all)
}

fn wait_timeout(fields: &Fields<'_>) -> Result<Duration, Failure> {
    let Some(text) = fields.text("wait_timeout")?.filter(|text| !text.is_empty()) else { return Ok(Duration::from_secs(WAIT_S)) };
    let seconds = text.trim().strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    match seconds.filter(|seconds| *seconds == 0 || WAITS_S.contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(fields.invalid("wait_timeout", &format!("takes 0s, or 5s to 50s, not {}", short(&text)))),
    }
}

/// One of some words, the first unless it is given.
fn one_of<'a>(fields: &Fields<'_>, name: &str, words: &[&'a str]) -> Result<&'a str, Failure> {
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else { return Ok(words[0]) };
    let found = words.iter().find(|word| **word == text);
    found.copied().ok_or_else(|| fields.invalid(name, &format!("takes {}, not {}", words.join(" or "), short(&text))))
}

fn state(progress: &Progress) -> &'static str {
    match progress {
        Progress::Running => "RUNNING",
        Progress::Succeeded(_) => "SUCCEEDED",
        Progress::Failed { .. } => "FAILED",
        Progress::Cancelled => "CANCELED",
        Progress::Closed => "CLOSED",
    }
}

/// A statement as it is answered, with the first chunk of its answer.
fn shown(id: Uuid, progress: &Progress) -> Response {
    let id = id.to_string();
    let mut status = json!({ "state": state(progress) });
    if let Progress::Failed { code, message } = progress {
        status["error"] = json!({ "error_code": code, "message": message });
    }
    let head = json!({ "statement_id": id, "status": status });
    let Progress::Succeeded(answered) = progress else { return Json(head).into_response() };
    let result = answered.chunk(&id, 0).unwrap_or_else(|| Value::Null.to_string());
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    json_text(format!("{head},\"manifest\":{},\"result\":{result}}}", answered.manifest()))
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
