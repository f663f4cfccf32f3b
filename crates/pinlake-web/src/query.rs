//! SQL and questions. The answer comes encoded; this part only finds out what is asked and in which format.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::Error;
use serde::Deserialize;

use crate::Shared;
use crate::answers::Questions;
use crate::console::{Format, Query, QueryRequest};
use crate::extract::{Body, Params, Segments, in_range};
use crate::failure::Failure;

/// Rows of an answer unless the caller says otherwise.
const ROWS_DEFAULT: u64 = 10_000;
/// The most rows that a caller may ask for.
const ROWS_MAX: u64 = 1_000_000;
/// Says whether rows were left out.
const TRUNCATED: &str = "x-pinlake-truncated";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlBody {
    sql: String,
    format: Option<Format>,
    limit: Option<u64>,
    set: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerParams {
    format: Option<Format>,
    limit: Option<u64>,
    /// Choices, `name=value` each, separated by commas.
    set: Option<String>,
}

/// `POST /api/v1/sql`
pub(crate) async fn sql(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Body(body): Body<SqlBody>,
) -> Result<Response, Failure> {
    if body.sql.trim().is_empty() {
        return Err(Error::invalid("'sql' is empty: give one statement that reads, such as SELECT count(*) FROM pin").into());
    }
    let params = AnswerParams { format: body.format, limit: body.limit, set: body.set };
    answer(&shared, Query::Sql(body.sql), params, &headers).await
}

/// `GET /api/v1/questions`
pub(crate) async fn questions(State(shared): State<Shared>) -> Result<Json<Questions>, Failure> {
    Ok(Json(Questions { questions: shared.console.questions().await? }))
}

/// `GET /api/v1/questions/{name}`
pub(crate) async fn question(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Params(params): Params<AnswerParams>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    answer(&shared, Query::Question(name), params, &headers).await
}

async fn answer(shared: &Shared, query: Query, params: AnswerParams, headers: &HeaderMap) -> Result<Response, Failure> {
    let rows_max = in_range("limit", params.limit, ROWS_DEFAULT, 1, ROWS_MAX)?;
    let format = params.format.unwrap_or_else(|| accepted(headers));
    let set = params.set.unwrap_or_default();
    let choices = set.split(',').filter(|choice| !choice.is_empty()).map(str::to_owned).collect();
    let answer = shared.console.query(QueryRequest { query, format, rows_max, choices }).await?;
    let truncated = HeaderValue::from_static(if answer.truncated { "true" } else { "false" });
    let content_type = HeaderValue::from_static(format.content_type());
    let mut response = answer.body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(TRUNCATED, truncated);
    Ok(response)
}

/// The format that `Accept` prefers; JSON when it names none of ours.
fn accepted(headers: &HeaderMap) -> Format {
    let listed = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut best = (Format::default(), 0.0);
    for range in listed {
        let mut fields = range.split(';').map(str::trim);
        let name = fields.next().unwrap_or_default();
        let weight = fields.find_map(|field| field.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        let named = Format::ALL.into_iter().find(|format| name.eq_ignore_ascii_case(format.content_type()));
        match named {
            Some(format) if weight > best.1 => best = (format, weight),
            _ => {}
        }
    }
    best.0
}
