//! How often and how long a call is tried again, and who is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pinlake_core::{Error, Result};
use tokio::time::{Instant, timeout_at};

use super::error::Failure;
use super::meters::Meters;

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// What is tried again for so long is worth a word.
const TROUBLE_AGE: Duration = Duration::from_secs(2);
/// How often that is said at most, whatever fails and whoever asks.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// What fails in all calls to a cluster: counted, and said now and then.
#[derive(Debug)]
pub(super) struct Trouble {
    meters: Meters,
    said: Mutex<Option<Instant>>,
}

impl Trouble {
    pub(super) fn new(meters: &Meters) -> Self {
        Self { meters: meters.clone(), said: Mutex::default() }
    }

    /// Whether it is time to say something of a call that began at `began`.
    pub(super) fn is_to_be_said(&self, began: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let due = began.elapsed() >= TROUBLE_AGE && said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}

/// The attempts of one call: pauses that grow, and an end.
#[derive(Debug)]
pub(super) struct Attempts {
    began: Instant,
    time: Duration,
    pause: Duration,
    last: Option<Error>,
    trouble: Arc<Trouble>,
}

impl Attempts {
    /// A call that may take so long.
    pub(super) fn within(time: Duration, trouble: &Arc<Trouble>) -> Self {
        Self { began: Instant::now(), time, pause: PAUSE_FIRST, last: None, trouble: trouble.clone() }
    }

    /// When it must be over.
    pub(super) fn deadline(&self) -> Instant {
        self.began + self.time
    }

    /// What an attempt answers, if it does while there is time.
    ///
    /// # Errors
    /// The attempt's own; `Lost` once the time is over, with what the last attempt met.
    pub(super) async fn in_time<T>(&self, attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let late = || {
            let text = || format!("the brokers have not answered within {} ms", self.time.as_millis());
            Failure::Lost(self.last.clone().unwrap_or_else(|| Error::retry(text())))
        };
        timeout_at(self.deadline(), attempt).await.unwrap_or_else(|_| Err(late()))
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `error`, as one that may pass, if there is no time for another.
    pub(super) async fn pause_after(&mut self, error: Error) -> Result<()> {
        if self.trouble.is_to_be_said(self.began) {
            tracing::warn!(%error, "requests to the cluster fail and are tried again (said every {} s at most)", SAID_EVERY.as_secs());
        }
        if Instant::now() + self.pause >= self.deadline() {
            tracing::debug!(%error, "a request to the cluster is given up");
            return Err(Error::retry(error.to_string()));
        }
        self.trouble.meters.observe_retry();
        tracing::debug!(%error, pause_ms = self.pause.as_millis(), "a request to the cluster is tried again");
        self.last = Some(error);
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        Ok(())
    }
}
