//! `GET /`: a browser gets a plain page with the state and links, a client that asks for JSON what Kafka Connect says of itself, anything
//! else `{}`, as a Kafka REST proxy answers.
//!
//! The page holds no script; text from records never reaches it, and names are escaped all the same.

use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use pinlake_core::Error;
use pinlake_core::jobs::Job;
use serde_json::json;

use crate::Shared;
use crate::answers::{QuestionSummary, Readiness, TableSummary, Topic};
use crate::connect;
use crate::jobs::{answers, times};

/// The most topics, tables, jobs and questions that the page lists.
const LISTED_MAX: usize = 100;
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pinlake</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.15rem 1.2rem .15rem 0;text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}h2{font-size:1.1rem;margin:1.5rem 0 0}</style></head><body><h1>Pinlake</h1>";
const LINKS: &str = "<p><a href=\"/api/v1/ledger\">ledger</a> · <a href=\"/api/v1/tables\">tables</a> · \
<a href=\"/api/v1/topics\">topics</a> · <a href=\"/readyz\">readiness</a> · <a href=\"/metrics\">metrics</a> · \
<a href=\"/api/v1/openapi.json\">the API's description</a></p>";

/// `GET /`
pub(crate) async fn home(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains("text/html") {
        let connectors = shared.connectors.as_ref().filter(|_| accept.contains("application/json"));
        return Json(connectors.map_or_else(|| json!({}), |connectors| connect::about(&connectors.about()))).into_response();
    }
    let page = page(&shared).await;
    ([(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

async fn page(shared: &Shared) -> String {
    let mut page = HEAD.to_owned();
    page += LINKS;
    page += &parts(&crate::state::readiness_of(shared).await);
    page +=
        &section("Tables", &["table", "version", "#rows", "#in the tail", "#quarantined"], shared.console.tables().await, table);
    page += &section("Topics", &["topic", "#partitions", "#records"], shared.console.topics().await, topic);
    if let Some(jobs) = &shared.jobs {
        page += &section("Jobs", &["job", "next run, UTC", "last run"], jobs.jobs().await, job);
    }
    page += &section("Questions", &["question", "asks"], shared.console.questions().await, question);
    page += "</body></html>\n";
    page
}

fn parts(readiness: &Readiness) -> String {
    let waiting = readiness.parts.iter().filter(|part| !part.ready);
    let mut html = format!("<p>{}</p>", if readiness.ready { "Every part is ready." } else { "Not ready yet:" });
    for part in waiting {
        let waits_for = part.waits_for.as_deref().unwrap_or("an unnamed reason");
        html += &format!("<p>{} waits for {}</p>", escaped(&part.name), escaped(waits_for));
    }
    for (part, warning) in readiness.parts.iter().flat_map(|part| part.warnings.iter().map(move |warning| (part, warning))) {
        html += &format!("<p>{}: {}</p>", escaped(&part.name), escaped(warning));
    }
    html
}

/// A heading and a table of what was found; a column whose name starts with `#` holds numbers.
fn section<T>(heading: &str, columns: &[&str], found: Result<Vec<T>, Error>, row: impl Fn(&T) -> Vec<String>) -> String {
    let mut html = format!("<h2>{heading}</h2>");
    let items = match found {
        Ok(items) => items,
        Err(error) => return html + &format!("<p>{}</p>", escaped(&error.to_string())),
    };
    let class = |column: &str| if column.starts_with('#') { " class=\"n\"" } else { "" };
    html += "<table><tr>";
    for column in columns {
        html += &format!("<th{}>{}</th>", class(column), column.trim_start_matches('#'));
    }
    html += "</tr>";
    for item in items.iter().take(LISTED_MAX) {
        html += "<tr>";
        for (column, cell) in columns.iter().zip(row(item)) {
            html += &format!("<td{}>{cell}</td>", class(column));
        }
        html += "</tr>";
    }
    html += "</table>";
    if items.len() > LISTED_MAX {
        html += &format!("<p>and {} more</p>", items.len() - LISTED_MAX);
    }
    html
}

fn table(table: &TableSummary) -> Vec<String> {
    let [rows, tail] = [table.rows, table.tail_records].map(|number| number.to_string());
    let quarantined = match table.quarantined {
        0 => "0".to_owned(),
        some => link(&["quarantine", &table.name], &some.to_string()),
    };
    vec![link(&["tables", &table.name], &table.name), table.version.to_string(), rows, tail, quarantined]
}

fn topic(topic: &Topic) -> Vec<String> {
    let records = link(&["topics", topic.name.as_str(), "records"], &topic.records.to_string());
    vec![link(&["topics", topic.name.as_str()], topic.name.as_str()), topic.partitions.to_string(), records]
}

fn question(question: &QuestionSummary) -> Vec<String> {
    vec![link(&["questions", &question.name], &question.name), escaped(&question.description)]
}

fn job(job: &Job) -> Vec<String> {
    let next = match (job.paused, job.next_at) {
        (true, _) => "paused".to_owned(),
        (false, next) => next.map(times::readable).unwrap_or_default(),
    };
    let last = job.last.as_ref().map(|run| {
        let why = run.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        link(&["runs", &run.id.to_string()], &format!("{}{why}", answers::word(run.state)))
    });
    vec![link(&["jobs", &job.spec.name], &job.spec.name), next, last.unwrap_or_default()]
}

/// A link below `/api/v1` to the path of these segments.
fn link(segments: &[&str], text: &str) -> String {
    let mut path = "/api/v1".to_owned();
    for byte in segments.iter().flat_map(|segment| [b"/", segment.as_bytes()]).flatten() {
        match byte {
            b'/' | b'-' | b'_' | b'.' => path.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => path.push(char::from(*byte)),
            byte => write!(path, "%{byte:02X}").expect("text takes any text"),
        }
    }
    format!("<a href=\"{path}\">{}</a>", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}
