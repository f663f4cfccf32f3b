//! Delivery streams in memory that deliver nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use pinlake_core::{Error, Result};

use crate::firehose::DeliveryStreams;

/// Keeps definitions, and refuses changes if it is told to.
#[derive(Debug, Default)]
pub struct MemoryDeliveryStreams {
    definitions: Mutex<BTreeMap<String, String>>,
    refusal: Mutex<Option<Error>>,
}

impl MemoryDeliveryStreams {
    /// What changes are answered from now on; `None` if they are done.
    pub fn refuse(&self, refusal: Option<Error>) {
        *self.refusal.lock().unwrap() = refusal;
    }

    fn change(&self) -> Result<MutexGuard<'_, BTreeMap<String, String>>> {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)?;
        Ok(self.definitions.lock().unwrap())
    }
}

#[async_trait]
impl DeliveryStreams for MemoryDeliveryStreams {
    fn names(&self) -> Vec<String> {
        self.definitions.lock().unwrap().keys().cloned().collect()
    }

    fn definition(&self, name: &str) -> Option<String> {
        self.definitions.lock().unwrap().get(name).cloned()
    }

    async fn create(&self, name: &str, definition: String) -> Result<()> {
        if self.change()?.insert(name.to_owned(), definition).is_some() { Err(Error::conflict("it is there")) } else { Ok(()) }
    }

    async fn alter(&self, name: &str, definition: String) -> Result<()> {
        match self.change()?.get_mut(name) {
            Some(kept) => *kept = definition,
            None => return Err(Error::not_found("it is not there")),
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.change()?.remove(name).map(drop).ok_or_else(|| Error::not_found("it is not there"))
    }

    /// One whose name begins with `stuck` does not deliver.
    fn failure(&self, name: &str) -> Option<String> {
        name.starts_with("stuck").then(|| "the bucket does not answer".to_owned())
    }
}
