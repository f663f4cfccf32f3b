//! A server that is told of alerts, and answers as a test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use pinlake_core::secret::Secret;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::outbox::{Receiver, Way};
use crate::scheduler::lock;

/// What has come, and what is answered.
#[derive(Default)]
pub(super) struct Mailbox {
    /// The bodies by the id that each came with: the same id is the same parcel.
    pub(super) parcels: Mutex<HashMap<String, String>>,
    /// How often something came.
    pub(super) times: Mutex<usize>,
    pub(super) headers: Mutex<Vec<HeaderMap>>,
    pub(super) came: tokio::sync::Notify,
    refusals: Mutex<usize>,
    /// What it refuses for good: a body that holds this.
    hated: Mutex<Option<String>>,
}

impl Mailbox {
    /// A running server, and where it is.
    pub(super) async fn open() -> (Arc<Mailbox>, String) {
        let mailbox = Arc::new(Mailbox::default());
        let router = Router::new().route("/hook", post(take)).route("/api/v1/lineage", post(take)).with_state(mailbox.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (mailbox, url)
    }

    /// Answers so many requests with an error.
    pub(super) fn refuse(&self, times: usize) {
        *lock(&self.refusals) = times;
    }

    /// Answers 400 to whatever holds this text; to everything, if it is empty.
    pub(super) fn hate(&self, text: Option<&str>) {
        *lock(&self.hated) = text.map(str::to_owned);
    }

    /// The changes of state that were told, in the order of their keys and times.
    pub(super) fn told(&self) -> Vec<String> {
        let parcels = lock(&self.parcels);
        let alerts = parcels.values().flat_map(|body| {
            let body: Value = serde_json::from_str(body).unwrap();
            body["alerts"].as_array().cloned().unwrap_or_default()
        });
        let mut told: Vec<(i64, String)> = alerts
            .map(|alert| {
                (
                    alert["at_ms"].as_i64().unwrap(),
                    format!("{} {}", alert["key"].as_str().unwrap(), alert["state"].as_str().unwrap()),
                )
            })
            .collect();
        told.sort();
        told.into_iter().map(|(_, told)| told).collect()
    }
}

async fn take(State(mailbox): State<Arc<Mailbox>>, headers: HeaderMap, body: String) -> StatusCode {
    *lock(&mailbox.times) += 1;
    let mut refusals = lock(&mailbox.refusals);
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if lock(&mailbox.hated).as_ref().is_some_and(|hated| body.contains(hated)) {
        return StatusCode::BAD_REQUEST;
    }
    let number = lock(&mailbox.times).to_string();
    let id = headers.get("webhook-id").map_or(number, |id| id.to_str().unwrap().to_owned());
    lock(&mailbox.headers).push(headers);
    let before = lock(&mailbox.parcels).insert(id, body.clone());
    assert!(before.is_none_or(|before| before == body), "another body under the same id");
    mailbox.came.notify_one();
    StatusCode::OK
}

/// A receiver of signed requests.
pub(super) fn hook(url: &str) -> Receiver {
    let way = Way::Webhook { url: Secret::new(format!("{url}/hook")), secret: Some(Secret::new("whsec_c2VjcmV0")) };
    Receiver { name: "ops".to_owned(), way }
}

/// A mail server that takes one mail a connection; answers where it is and what comes.
pub(super) async fn mail_server() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, mails) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            let (mut mail, mut in_mail) = (String::new(), false);
            writer.write_all(b"220 mail.example\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                if in_mail && line != "." {
                    mail = format!("{mail}{line}\n");
                    continue;
                }
                let answer: &[u8] = match line.split([' ', ':']).next().unwrap() {
                    "." => {
                        in_mail = false;
                        b"250 taken\r\n"
                    }
                    "DATA" => {
                        in_mail = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 good\r\n",
                };
                writer.write_all(answer).await.unwrap();
                if line == "." {
                    sender.send(std::mem::take(&mut mail)).unwrap();
                }
            }
        }
    });
    (url, mails)
}
