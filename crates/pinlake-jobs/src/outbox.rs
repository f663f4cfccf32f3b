//! What is told to others, alerts and lineage: written with what it tells of, and then sent until it came. Whoever receives it knows by its number that it came twice,
//! which a death between the sending and the writing down can bring about. Must not know when something is told.

mod letter;
mod mail;
mod webhook;

use std::time::Duration;

use pinlake_core::secret::Secret;
use pinlake_core::{Clock, Result, Timestamp};
use tokio_util::sync::CancellationToken;

pub use letter::{Notice, NoticeState};
pub use mail::Mail;

use crate::progress;
use crate::store::{Letter, Store};

/// Letters for one receiver that wait; the next is lost, which is logged.
pub(crate) const WAITING_MAX: i64 = 10_000;
/// Letters that are sent together.
const PARCEL_MAX: usize = 50;
/// How long a letter waits for others to go with it.
const GATHER: Duration = Duration::from_secs(2);
/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a parcel is its sender's: longer than any sending takes.
const TAKEN_FOR: Duration = Duration::from_secs(60);
/// The first wait after a failure, and the longest.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// A letter that could not be delivered for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3_600);

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name, unique.
    pub name: String,
    /// How it is told.
    pub way: Way,
}

/// How somebody is told.
#[derive(Debug, Clone)]
pub enum Way {
    /// A request with JSON of our own, signed as Standard Webhooks has it if there is a secret.
    Webhook {
        /// Where to. It may hold a secret.
        url: Secret,
        /// What it is signed with.
        secret: Option<Secret>,
    },
    /// A request in the form that Slack's incoming webhooks take.
    Slack {
        /// Where to. It is a secret.
        url: Secret,
    },
    /// A mail.
    Mail(Box<Mail>),
    /// OpenLineage events, one a request.
    Lineage {
        /// The server: events go to `/api/v1/lineage` below.
        url: Secret,
        /// What is sent as a bearer token.
        token: Option<Secret>,
    },
}

/// Sends what waits for the receivers.
pub(crate) struct Sender {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) client: reqwest::Client,
}

impl Sender {
    /// Sends until it is stopped: each receiver for itself, so that none waits for another.
    pub(crate) async fn serve(&self, stop: &CancellationToken) {
        let each = self.receivers.iter().map(async |receiver| {
            while !stop.is_cancelled() {
                if let Err(error) = self.send_due(receiver).await {
                    tracing::warn!(%error, receiver = receiver.name, "what is to be told can't be read or written: it is tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        });
        futures::future::join_all(each).await;
    }

    /// Sends a receiver's next parcel, if one is due; answers whether there was one.
    ///
    /// # Errors
    /// Those of the database; that the receiver does not answer is none.
    pub(crate) async fn send_due(&self, receiver: &Receiver) -> Result<bool> {
        let now = self.clock.now();
        let Some(parcel) = self.next_parcel(receiver, now).await? else { return Ok(false) };
        let sent = self.send(receiver, &parcel).await;
        let mut change = self.store.change().await?;
        match sent {
            Ok(()) => {
                count("delivered", parcel.letters.len());
                change.delivered(&parcel.letters).await?;
            }
            Err(why) if parcel.oldest().until(now) >= GIVE_UP => {
                tracing::error!(receiver = receiver.name, why, "{} could not be told for days: given up", parcel.letters.len());
                count("given_up", parcel.letters.len());
                change.delivered(&parcel.letters).await?;
            }
            Err(why) => {
                tracing::warn!(receiver = receiver.name, why, "a receiver could not be told: it is tried again");
                count("failed", parcel.letters.len());
                let tries = parcel.letters.first().map_or(0, |letter| letter.tries);
                let wait = WAIT.saturating_mul(1 << tries.clamp(0, 16)).min(WAIT_MAX);
                change.try_later(&parcel.letters, progress::after(self.clock.now(), wait)).await?;
            }
        }
        change.commit().await?;
        Ok(true)
    }

    /// What is sent next: what was tried before as it was, or else what has gathered.
    async fn next_parcel(&self, receiver: &Receiver, now: Timestamp) -> Result<Option<Parcel>> {
        let one = matches!(receiver.way, Way::Lineage { .. });
        let most = if one { 1 } else { PARCEL_MAX };
        let mut letters = self.store.letters(&receiver.name, i64::try_from(most).unwrap_or(1)).await?;
        let Some(first) = letters.first().cloned() else { return Ok(None) };
        if first.next_at > now {
            return Ok(None);
        }
        let name = match first.parcel {
            Some(name) => {
                letters.retain(|letter| letter.parcel.as_ref() == Some(&name));
                name
            }
            None if letters.len() < most && first.made_at.until(now) < GATHER => return Ok(None),
            None => {
                letters.retain(|letter| letter.parcel.is_none());
                format!("pinlake-{}", uuid::Uuid::new_v4().simple())
            }
        };
        // Before it is sent, so that it is the same when it is sent again, and that no other process sends it meanwhile.
        let mut change = self.store.change().await?;
        if !change.take(&letters, &name, progress::after(now, TAKEN_FOR)).await? {
            return Ok(None);
        }
        change.commit().await?;
        Ok(Some(Parcel { name, letters }))
    }

    async fn send(&self, receiver: &Receiver, parcel: &Parcel) -> std::result::Result<(), String> {
        match &receiver.way {
            Way::Webhook { url, secret } => webhook::generic(&self.client, url, secret.as_ref(), parcel, self.clock.now()).await,
            Way::Slack { url } => webhook::slack(&self.client, url, parcel).await,
            Way::Lineage { url, token } => webhook::lineage(&self.client, url, token.as_ref(), parcel).await,
            Way::Mail(mail) => mail.send(parcel).await,
        }
    }
}

/// Letters that are sent together, under one name however often that takes.
pub(crate) struct Parcel {
    name: String,
    letters: Vec<Letter>,
}

impl Parcel {
    fn oldest(&self) -> Timestamp {
        self.letters.first().map_or(Timestamp(0), |letter| letter.made_at)
    }

    fn notices(&self) -> Vec<Notice> {
        self.letters.iter().filter_map(|letter| serde_json::from_str(&letter.body).ok()).collect()
    }
}

fn count(outcome: &'static str, letters: usize) {
    metrics::counter!("pinlake_notices_total", "outcome" => outcome).increment(letters as u64);
}
