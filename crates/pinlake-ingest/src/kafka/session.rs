//! Who a connection's client is, and how far it has come in saying so. Shared by the reader, which takes small requests alone from
//! strangers, and the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use kafka_protocol::messages::ApiKey;

use super::sasl::Exchange;

/// The largest request of a client that has not said who it is: no login is larger.
pub(super) const STRANGERS_BYTES_MAX: usize = 64 << 10;

/// One connection's.
#[derive(Debug)]
pub(super) struct Session {
    known: AtomicBool,
    exchange: Mutex<Option<Exchange>>,
}

impl Session {
    /// Of a client that must say who it is, or need not.
    pub(super) fn new(must_log_in: bool) -> Self {
        Self { known: AtomicBool::new(!must_log_in), exchange: Mutex::default() }
    }

    /// Whether the client may ask for everything.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Whether a client that is not known yet may ask for this.
    pub(super) fn allows(&self, key: ApiKey) -> bool {
        self.is_known() || matches!(key, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)
    }

    /// The client is let in.
    pub(super) fn let_in(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// The exchange under way, to take out or put in.
    pub(super) fn exchange(&self) -> std::sync::MutexGuard<'_, Option<Exchange>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
