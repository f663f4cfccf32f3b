//! What changes now, as server-sent events, and what somebody should look at.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream, StreamExt};

use super::answers::{AlertAnswer, AlertList, EventAnswer};
use super::pages::Scheduler;
use crate::failure::Failure;

/// How often a quiet stream says that it is there, so that proxies keep it.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// `GET /api/v1/events`: every change from now on. It ends when the caller is too slow for it, who then looks at the whole and comes again.
pub(crate) async fn events(Scheduler(jobs): Scheduler) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Taken before the answer begins: what changes after the caller has seen it begin is not missed.
    let changes = jobs.events().map(|event| {
        let event = EventAnswer::from(event);
        Event::default().event("run").json_data(event).expect("plain data has a JSON form without line ends")
    });
    let greeting = stream::iter([Event::default().retry(AGAIN_AFTER)]);
    Sse::new(greeting.chain(changes).map(Ok)).keep_alive(KeepAlive::new().interval(ALIVE_EVERY).text("alive"))
}

/// `GET /api/v1/alerts`
pub(crate) async fn alerts(Scheduler(jobs): Scheduler) -> Result<Json<AlertList>, Failure> {
    Ok(Json(AlertList { alerts: jobs.alerts().await?.into_iter().map(AlertAnswer::from).collect() }))
}
