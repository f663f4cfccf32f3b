//! What is told of an alert, and its words.

use pinlake_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Characters of a line that are told: a parcel of them is shorter than what Slack and mail take.
const LINE_CHARS_MAX: usize = 500;

/// A change of an alert's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about, such as `job/daily/failed`.
    pub key: String,
    /// What it came to.
    pub state: NoticeState,
    /// What is wrong, or was, in words.
    pub message: String,
    /// Since when it is, or was.
    pub since_ms: Timestamp,
    /// When the state changed.
    pub at_ms: Timestamp,
}

/// What an alert came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// Something is wrong.
    Open,
    /// It is no longer.
    Recovered,
}

impl Notice {
    /// The notice in one line, which is not too long for any receiver.
    pub(super) fn line(&self) -> String {
        let line = match self.state {
            NoticeState::Open => format!("ALERT {}: {}", self.key, self.message),
            NoticeState::Recovered => {
                let minutes = self.since_ms.until(self.at_ms).as_secs().div_ceil(60);
                format!("recovered {} after {minutes} min: {}", self.key, self.message)
            }
        };
        let line = line.replace(['\r', '\n'], " ");
        match line.char_indices().nth(LINE_CHARS_MAX) {
            Some((end, _)) => format!("{} ...", &line[..end]),
            None => line,
        }
    }
}
