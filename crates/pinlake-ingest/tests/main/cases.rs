//! Requests and what must come of them, from the files in `cases/`. Adding a test is adding an entry:
//!
//!     # what is shown
//!     topic NAME PARTITIONS            (before the request, any number)
//!     METHOD /path
//!     header: value
//!     (blank line and body, up to the answer)
//!     => STATUS
//!     header: value                    (must be there)
//!     = the whole body
//!     ~ text that the body holds
//!     then                             (another request to the same log)
//!     stored TOPIC/PARTITION KEY VALUE (after all requests; all that is in the log)
//!     ---
//!
//! `CLUSTER` stands for the cluster's id.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use pinlake_core::{Log, TopicName, TopicSpec};
use pinlake_ingest::DoorSettings;

use crate::setup::{open, send, stored};

#[tokio::test]
async fn kafka_rest() {
    run(include_str!("cases/kafka_rest.txt")).await;
}

#[tokio::test(start_paused = true)]
async fn consumers() {
    run(include_str!("cases/consumers.txt")).await;
}

#[tokio::test]
async fn kafka_rest_v3() {
    run(include_str!("cases/kafka_rest_v3.txt")).await;
}

#[tokio::test]
async fn kinesis_gateway() {
    run(include_str!("cases/kinesis_gateway.txt")).await;
}

#[tokio::test]
async fn pin() {
    run(include_str!("cases/pin.txt")).await;
}

async fn run(file: &str) {
    let cases: Vec<Case> = file.split("\n---\n").filter(|text| !text.trim().is_empty()).map(Case::parse).collect();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(case.run().await);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[derive(Default)]
struct Case {
    title: String,
    topics: Vec<(String, u32)>,
    steps: Vec<Step>,
    stored: Vec<String>,
}

#[derive(Default)]
struct Step {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    answer_headers: Vec<(String, String)>,
    whole: Option<String>,
    parts: Vec<String>,
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Self::default();
        let mut lines = text.lines().filter(|line| !line.starts_with("## ")).peekable();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("# ") {
                case.title = title.to_owned();
            } else if let Some(topic) = line.strip_prefix("topic ") {
                let (name, partitions) = topic.split_once(' ').unwrap();
                case.topics.push((name.to_owned(), partitions.parse().unwrap()));
            } else if let Some(record) = line.strip_prefix("stored ") {
                case.stored.push(record.to_owned());
            } else if let Some((method, path)) = line.split_once(" /") {
                let mut step = Step { method: method.to_owned(), path: format!("/{path}"), ..Step::default() };
                step.parse(&mut lines);
                case.steps.push(step);
            } else {
                assert!(line.trim().is_empty(), "what is {line:?} in '{}'?", case.title);
            }
        }
        assert!(!case.steps.is_empty(), "no request in {text:?}");
        case
    }

    async fn run(&self) -> Vec<String> {
        let (log, router) = open(DoorSettings::default());
        for (name, partitions) in &self.topics {
            log.create_topic(&TopicName::new(name).unwrap(), TopicSpec::with_partitions(*partitions)).await.unwrap();
        }
        let cluster = cluster(&router).await;
        let mut wrong = Vec::new();
        for step in &self.steps {
            let mut request = Request::builder().method(step.method.as_str()).uri(step.path.replace("CLUSTER", &cluster));
            for (name, value) in &step.headers {
                request = request.header(name, value);
            }
            let (status, headers, body) = send(&router, request.body(Body::from(step.body.clone())).unwrap()).await;
            let body = body.replace(&cluster, "CLUSTER");
            let mut say = |problem: String| {
                wrong.push(format!("{}: {} {}: {problem}\n  status {status}, body {body}", self.title, step.method, step.path));
            };
            if status.as_u16() != step.status {
                say(format!("status is not {}", step.status));
            }
            for (name, value) in &step.answer_headers {
                if headers.get(name).is_none_or(|found| found != value) {
                    say(format!("header {name} is {:?}, not {value}", headers.get(name)));
                }
            }
            if step.whole.as_ref().is_some_and(|whole| *whole != body) {
                say(format!("body is not {}", step.whole.as_ref().unwrap()));
            }
            for part in step.parts.iter().filter(|part| !body.contains(part.as_str())) {
                say(format!("body does not hold {part}"));
            }
            let mut values = serde_json::Deserializer::from_str(&body).into_iter::<serde_json::Value>();
            if let Some(Err(error)) = values.find(Result::is_err) {
                say(format!("body is not JSON: {error}"));
            }
            if step.method != "HEAD" && body.is_empty() != (status == 204) {
                say("a body is there unless the status is 204".to_owned());
            }
        }
        let found = stored(&*log).await;
        if found != self.stored {
            wrong.push(format!("{}: stored is\n  {}\nnot\n  {}", self.title, found.join("\n  "), self.stored.join("\n  ")));
        }
        wrong
    }
}

/// The cluster's id, which differs from log to log.
async fn cluster(router: &Router) -> String {
    let (_, _, body) = send(router, Request::get("/v3/clusters").body(Body::empty()).unwrap()).await;
    let clusters: serde_json::Value = serde_json::from_str(&body).unwrap();
    clusters["data"][0]["cluster_id"].as_str().unwrap().to_owned()
}

impl Step {
    fn parse<'a>(&mut self, lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) {
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        while let Some(found) = lines.peek().and_then(|line| if line.starts_with("=> ") { None } else { header(line) }) {
            self.headers.push(found);
            lines.next();
        }
        let mut body = Vec::new();
        for line in lines.by_ref() {
            if let Some(status) = line.strip_prefix("=> ") {
                self.status = status.parse().unwrap();
                break;
            }
            body.push(line);
        }
        self.body = body.join("\n").trim_start_matches('\n').to_owned();
        while let Some(line) = lines.next_if(|line| !line.starts_with("stored ")) {
            if line == "then" {
                break;
            } else if let Some(whole) = line.strip_prefix("= ") {
                self.whole = Some(whole.to_owned());
            } else if let Some(part) = line.strip_prefix("~ ") {
                self.parts.push(part.to_owned());
            } else {
                self.answer_headers.push(header(line).unwrap_or_else(|| panic!("what is {line:?} in an answer?")));
            }
        }
    }
}
