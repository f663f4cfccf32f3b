//! Who may change a transactional id, and who appends for it: one caller changes it at a time, and while a transaction is ended nobody
//! appends to it. Nothing here decides about a transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

use super::calls::TransactionalId;

/// The desks of all transactional ids that somebody asks for.
#[derive(Default)]
pub(crate) struct Desks(Mutex<HashMap<TransactionalId, Desk>>);

/// One transactional id's. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    changing: Arc<AsyncMutex<Tries>>,
    appending: Arc<RwLock<()>>,
}

/// The tries to end the transaction that failed.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    pub(crate) failed: u32,
    pub(crate) next_at: Option<Instant>,
}

/// Nobody else changes the id while this is held.
pub(crate) struct Alone {
    pub(crate) id: TransactionalId,
    pub(crate) tries: OwnedMutexGuard<Tries>,
    desk: Desk,
}

/// What an append holds: the transaction that it belongs to is not ended before it is dropped.
#[derive(Debug)]
pub struct Admission(#[expect(dead_code, reason = "held, not read")] Option<OwnedRwLockReadGuard<()>>);

impl Desks {
    /// The desk of an id; only for ids whose number is bounded.
    pub(crate) fn of(&self, id: &TransactionalId) -> Desk {
        self.lock().entry(id.clone()).or_default().clone()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Lets go of desks that nobody is at, but for those of ids that `are_there`.
    pub(crate) fn clear(&self, are_there: impl Fn(&TransactionalId) -> bool) {
        // Desks are handed out under this lock only.
        self.lock().retain(|id, desk| !desk.is_idle() || are_there(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TransactionalId, Desk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Waits until nobody else changes the id.
    pub(crate) async fn enter(self, id: &TransactionalId) -> Alone {
        let tries = self.changing.clone().lock_owned().await;
        Alone { id: id.clone(), tries, desk: self }
    }

    /// Enters unless somebody is there: they know better.
    pub(crate) fn try_enter(self, id: &TransactionalId) -> Option<Alone> {
        let tries = self.changing.clone().try_lock_owned().ok()?;
        Some(Alone { id: id.clone(), tries, desk: self })
    }

    /// Waits while a transaction is being ended, and keeps the next one from it.
    pub(crate) async fn begin_append(&self) -> Admission {
        Admission(Some(self.appending.clone().read_owned().await))
    }

    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.changing) == 1 && Arc::strong_count(&self.appending) == 1
    }
}

impl Alone {
    /// Waits for the appends that have begun, and keeps others from beginning.
    pub(crate) async fn hold_appends(&self) -> OwnedRwLockWriteGuard<()> {
        self.desk.appending.clone().write_owned().await
    }
}

impl Admission {
    /// For a batch that belongs to no transaction.
    pub(crate) fn outside() -> Self {
        Self(None)
    }
}
