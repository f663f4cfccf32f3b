//! The doors alone, on a log in memory, at the address that the first argument says: to try clients, and to measure what a door costs
//! without disk, tables and queries. `bare` as the second argument reads requests to their end and answers each with nothing, which is what
//! the HTTP server costs by itself.
#![allow(clippy::unwrap_used, reason = "an example ends by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Clock, MemoryLog, TopicName};
use pinlake_ingest::groups::GroupSettings;
use pinlake_ingest::http_server::{HttpLimits, serve};
use pinlake_ingest::{DoorSettings, Doors, Groups, Streams};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8082".to_owned());
    let is_bare = arguments.next().is_some_and(|argument| argument == "bare");
    let router = if is_bare { Router::new().fallback(async |body: Bytes| drop(body)) } else { doors().await };
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    serve(TcpListener::bind(&address).await.unwrap(), None, router, HttpLimits::default(), std::future::pending()).await;
}

async fn doors() -> Router {
    let (log, clock) = (Arc::new(MemoryLog::new()), Clock::System);
    let groups = Groups::open(log.clone(), clock.clone(), GroupSettings::default()).await.unwrap();
    let streams = TopicName::new(OwnTopics::OF_DISK.streams).unwrap();
    let streams = Streams::open(log.clone(), clock.clone(), &streams).await.unwrap();
    Doors::new(log, clock, DoorSettings::default(), Arc::new(|_| None), groups, streams).router()
}
