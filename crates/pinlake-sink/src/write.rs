//! Writes files into an object store, each once: what is there already must be the same. A store that fails is asked again for a while. It must
//! not know what is in a file.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use pinlake_core::{Error, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::plan::Retry;

/// No pause between two tries is shorter, or the processor would do nothing else.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// No pause between two tries is longer.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A store that takes longer for one object does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Files that a task writes at a time.
const AT_ONCE: usize = 16;

/// The way of one task to its objects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    store: Arc<dyn ObjectStore>,
    retry: Retry,
    overwrite: bool,
    places: Arc<Semaphore>,
}

/// Why a file was not written.
enum Failed {
    /// The store may do it later.
    Now(object_store::Error),
    /// It never will.
    ForGood(Error),
}

impl Writer {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, retry: Retry, overwrite: bool) -> Self {
        Self { store, retry, overwrite, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Writes files. After an error some are there and some are not.
    pub(crate) async fn write(&self, files: Vec<(Path, Bytes)>) -> Result<()> {
        let mut writes = JoinSet::new();
        for (path, content) in files {
            let place = self.places.clone().acquire_owned().await.map_err(|_| Error::internal("the task ends"))?;
            let writer = self.clone();
            writes.spawn(async move {
                let written = writer.write_one(&path, &content).await;
                drop(place);
                written
            });
        }
        while let Some(done) = writes.join_next().await {
            done.map_err(|error| Error::internal("writing an object failed").with_source(error))??;
        }
        Ok(())
    }

    async fn write_one(&self, path: &Path, content: &Bytes) -> Result<()> {
        let (began, mut pause, mut times) = (Instant::now(), self.retry.pause.max(PAUSE_MIN), 0);
        loop {
            let error = match self.try_one(path, content).await {
                Ok(()) => return Ok(()),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::Now(error)) => error,
            };
            let is_over = self.retry.at_least.is_some_and(|least| began.elapsed() >= least);
            if times >= self.retry.times && is_over {
                let text =
                    format!("object '{path}' can't be written, asked {} times: see to the store and restart the task", times + 1);
                return Err(Error::retry(text).with_source(error));
            }
            times += 1;
            tracing::warn!(%path, %error, ?pause, "an object can't be written, trying again");
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    async fn try_one(&self, path: &Path, content: &Bytes) -> Result<(), Failed> {
        let mode = if self.overwrite { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(path, PutPayload::from(content.clone()), options);
        match within_time(put).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) if !self.overwrite => self.compare(path, content).await,
            Err(error) if is_for_good(&error) => {
                Err(Failed::ForGood(Error::invalid(format!("object '{path}' can't be written to this store")).with_source(error)))
            }
            Err(error) => Err(Failed::Now(error)),
        }
    }

    /// An object that is there must be what would have been written.
    async fn compare(&self, path: &Path, content: &Bytes) -> Result<(), Failed> {
        let found = within_time(async { self.store.get(path).await?.bytes().await }).await.map_err(Failed::Now)?;
        if found == *content {
            return Ok(());
        }
        Err(Failed::ForGood(Error::conflict(format!(
            "object '{path}' is there with other content ({} bytes, and not these {}), and nothing is written over: \
             remove it, choose another bucket or folder, or allow the sink to write over objects",
            found.len(),
            content.len()
        ))))
    }
}

async fn within_time<T>(answer: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
    timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| {
        let source = format!("the store did not answer within {ANSWER_MAX:?}").into();
        Err(object_store::Error::Generic { store: "sink", source })
    })
}

/// What no second try changes.
fn is_for_good(error: &object_store::Error) -> bool {
    use object_store::Error::{InvalidPath, NotImplemented, NotSupported, UnknownConfigurationKey};
    matches!(error, InvalidPath { .. } | NotImplemented { .. } | NotSupported { .. } | UnknownConfigurationKey { .. })
}
