//! How often and how long a call is tried again.

use std::time::Duration;

use pinlake_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::meters::Meters;

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The attempts of one call: pauses that grow, and an end.
#[derive(Debug)]
pub(super) struct Attempts {
    deadline: Instant,
    pause: Duration,
    meters: Meters,
}

impl Attempts {
    /// A call that may take so long.
    pub(super) fn within(time: Duration, meters: &Meters) -> Self {
        Self { deadline: Instant::now() + time, pause: PAUSE_FIRST, meters: meters.clone() }
    }

    /// When it must be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `error`, as one that may pass, if there is no time for another.
    pub(super) async fn pause_after(&mut self, error: Error) -> Result<()> {
        if Instant::now() + self.pause >= self.deadline {
            let text = format!("{error}; that was the last of several attempts");
            return Err(Error::new(ErrorKind::Retry, text));
        }
        self.meters.observe_retry();
        tracing::debug!(%error, pause_ms = self.pause.as_millis(), "a request to the cluster is tried again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        Ok(())
    }
}
