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
use crate::store::{Change, Letter, Store};

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
/// How long one message may take that is being sent, at most: nobody who stops waits for more.
pub(crate) const SENDING_MAX: Duration = Duration::from_secs(30);
/// The first wait after a failure, and the longest.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// A letter that could not be delivered for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3_600);
/// How often a letter is sent by itself that is refused for what it is, before it is given up: some minutes, in which a wrong address can be mended.
const REFUSALS_MAX: i64 = 10;
/// How long one parcel of lineage goes on to its next event. With the last answer that is less than it is taken for.
const SEND_FOR: Duration = Duration::from_secs(30);
/// What the names of letters begin with that are sent by themselves and hold up no other: [`Store::letters`] knows it too.
const ALONE: &str = "pinlake-alone-";

/// What was to be told before this time is given up.
pub(crate) fn given_up_before(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(GIVE_UP.as_millis()).unwrap_or(i64::MAX)))
}

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
    /// When it ends: after the message that is being sent.
    pub(crate) stop: CancellationToken,
}

impl Sender {
    /// Sends until it is stopped: each receiver for itself, so that none waits for another.
    pub(crate) async fn serve(&self) {
        let stop = &self.stop;
        let each = self.receivers.iter().map(async |receiver| {
            while !stop.is_cancelled() {
                match self.send_due(receiver).await {
                    // There may be more.
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, receiver = receiver.name, "what is to be told can't be read or written: it is tried again");
                    }
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
        let Sent { came, refusal } = self.send(receiver, &parcel).await;
        let now = self.clock.now();
        let (came, rest) = parcel.letters.split_at(came.min(parcel.letters.len()));
        // What was not tried goes next.
        let (tried, untried) = match &refusal {
            None => (&rest[..0], rest),
            Some(_) if receiver.is_told_one_by_one() => rest.split_at(rest.len().min(1)),
            Some(_) => (rest, &rest[..0]),
        };
        let mut change = self.store.change().await?;
        count("delivered", came.len());
        change.delivered(came).await?;
        for letter in untried {
            change.put_back(&Letter { next_at: now, ..letter.clone() }).await?;
        }
        if let (Some(refusal), Some(first)) = (refusal, tried.first()) {
            self.put_off(&mut change, receiver, (first, tried), &refusal, now).await?;
        }
        change.commit().await?;
        Ok(true)
    }

    /// What becomes of letters that did not come: they are tried again, each by itself if they were refused for what they are, or given up.
    async fn put_off(
        &self,
        change: &mut Change,
        receiver: &Receiver,
        (first, tried): (&Letter, &[Letter]),
        Refusal { why, for_good }: &Refusal,
        now: Timestamp,
    ) -> Result<()> {
        let is_alone = first.parcel.as_ref().is_some_and(|name| name.starts_with(ALONE));
        let refused_often = *for_good && is_alone && first.tries + 1 >= REFUSALS_MAX;
        if refused_often || first.made_at.until(now) >= GIVE_UP {
            tracing::error!(receiver = receiver.name, why, "{} could not be told: given up", tried.len());
            count("given_up", tried.len());
            return change.delivered(tried).await;
        }
        tracing::warn!(receiver = receiver.name, why, "a receiver could not be told: it is tried again");
        count("failed", tried.len());
        if *for_good && !is_alone {
            // Those that are not at fault come at once.
            for letter in tried {
                let parcel = Some(format!("{ALONE}{}", uuid::Uuid::new_v4().simple()));
                change.put_back(&Letter { parcel, tries: 0, next_at: now, ..letter.clone() }).await?;
            }
            return Ok(());
        }
        let wait = WAIT.saturating_mul(1 << first.tries.clamp(0, 16)).min(WAIT_MAX);
        for letter in tried {
            let (tries, next_at) = (letter.tries + 1, progress::after(now, wait));
            change.put_back(&Letter { tries, next_at, ..letter.clone() }).await?;
        }
        Ok(())
    }

    /// What is sent next: what was tried before as it was, or else what has gathered.
    async fn next_parcel(&self, receiver: &Receiver, now: Timestamp) -> Result<Option<Parcel>> {
        let mut letters = self.store.letters(&receiver.name, now, i64::try_from(PARCEL_MAX).unwrap_or(1)).await?;
        let Some(first) = letters.first().cloned() else { return Ok(None) };
        if first.next_at > now {
            return Ok(None);
        }
        let name = match first.parcel {
            Some(name) => {
                letters.retain(|letter| letter.parcel.as_ref() == Some(&name));
                name
            }
            None if letters.len() < PARCEL_MAX && first.made_at.until(now) < GATHER && !receiver.is_told_one_by_one() => {
                return Ok(None);
            }
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

    async fn send(&self, receiver: &Receiver, parcel: &Parcel) -> Sent {
        let sent = match &receiver.way {
            Way::Webhook { url, secret } => webhook::generic(&self.client, url, secret.as_ref(), parcel, self.clock.now()).await,
            Way::Slack { url } => webhook::slack(&self.client, url, parcel).await,
            Way::Mail(mail) => mail.send(parcel).await,
            Way::Lineage { url, token } => return self.send_lineage(url, token.as_ref(), parcel).await,
        };
        match sent {
            Ok(()) => Sent { came: parcel.letters.len(), refusal: None },
            Err(refusal) => Sent { came: 0, refusal: Some(refusal) },
        }
    }

    /// Sends events, each in a request of its own, until one does not come, or it is to end.
    async fn send_lineage(&self, url: &Secret, token: Option<&Secret>, parcel: &Parcel) -> Sent {
        let begun = tokio::time::Instant::now();
        for (came, letter) in parcel.letters.iter().enumerate() {
            if begun.elapsed() >= SEND_FOR || self.stop.is_cancelled() {
                return Sent { came, refusal: None };
            }
            if let Err(refusal) = webhook::lineage(&self.client, url, token, letter).await {
                return Sent { came, refusal: Some(refusal) };
            }
        }
        Sent { came: parcel.letters.len(), refusal: None }
    }
}

impl Receiver {
    /// Whether a parcel is not one message, so that a part of it may come.
    fn is_told_one_by_one(&self) -> bool {
        matches!(self.way, Way::Lineage { .. })
    }
}

/// How far a parcel came.
struct Sent {
    /// Letters that came, the first ones.
    came: usize,
    /// Why the others did not; `None` if there was no time for them.
    refusal: Option<Refusal>,
}

/// Why something did not come, without what may be a secret.
struct Refusal {
    why: String,
    /// Whether it is for what the letters are, or how they are addressed: the same again would be refused again.
    for_good: bool,
}

/// Letters that are sent together, under one name however often that takes.
pub(crate) struct Parcel {
    name: String,
    letters: Vec<Letter>,
}

impl Parcel {
    fn notices(&self) -> Vec<Notice> {
        self.letters.iter().filter_map(|letter| serde_json::from_str(&letter.body).ok()).collect()
    }
}

fn count(outcome: &'static str, letters: usize) {
    metrics::counter!("pinlake_notices_total", "outcome" => outcome).increment(letters as u64);
}
