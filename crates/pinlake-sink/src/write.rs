//! Writes files into an object store, each once: what is there already must be the same. A store that fails is asked again for a while. It must
//! not know what is in a file.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use pinlake_core::{Error, Result};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::layout::File;
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
    trouble: Trouble,
}

/// What became of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// They are there.
    All,
    /// The store refused them all, so none is there, and they were given up.
    Nothing,
}

/// Why a file was not written.
enum Failed {
    /// The store may do it later.
    Now(object_store::Error),
    /// It never will.
    ForGood(Error),
}

impl Writer {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, retry: Retry, overwrite: bool, trouble: Trouble) -> Self {
        Self { store, retry, overwrite, places: Arc::new(Semaphore::new(AT_ONCE)), trouble }
    }

    /// Writes files. After an error some are there and some are not. What the store refuses is given up once `gives_up` says so, unless it, or
    /// others of them, may be there; `is_first` is whether nobody has tried to write them before.
    pub(crate) async fn write(&self, files: Vec<File>, is_first: bool, gives_up: watch::Receiver<bool>) -> Result<Wrote> {
        let count = files.len();
        let given_up = self.write_unless_refused(files, is_first, Some(gives_up)).await?;
        if count > 0 && given_up.len() == count {
            return Ok(Wrote::Nothing);
        }
        self.write_unless_refused(given_up, is_first, None).await?;
        Ok(Wrote::All)
    }

    /// Answers the files that were given up.
    async fn write_unless_refused(
        &self,
        files: Vec<File>,
        is_first: bool,
        gives_up: Option<watch::Receiver<bool>>,
    ) -> Result<Vec<File>> {
        let mut writes = JoinSet::new();
        for file in files {
            let place = self.places.clone().acquire_owned().await.map_err(|_| Error::internal("the task ends"))?;
            let (writer, gives_up) = (self.clone(), gives_up.clone());
            writes.spawn(async move {
                let wrote = writer.write_one(&file, is_first, gives_up).await;
                drop(place);
                wrote.map(|wrote| (wrote == Wrote::Nothing).then_some(file))
            });
        }
        let mut given_up = Vec::new();
        while let Some(done) = writes.join_next().await {
            given_up.extend(done.map_err(|error| Error::internal("writing an object failed").with_source(error))??);
        }
        Ok(given_up)
    }

    async fn write_one(&self, file: &File, is_first: bool, mut gives_up: Option<watch::Receiver<bool>>) -> Result<Wrote> {
        let File { path, content, is_of_errors } = file;
        let (began, mut pause, mut times) = (Instant::now(), self.retry.pause.max(PAUSE_MIN), 0);
        let mut troubled = None;
        loop {
            let error = match self.try_one(path, content).await {
                Ok(()) => return Ok(Wrote::All),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::Now(error)) => error,
            };
            let is_over = self.retry.at_least.is_some_and(|least| began.elapsed() >= least);
            if times >= self.retry.times && is_over {
                let text =
                    format!("object '{path}' can't be written, asked {} times: see to the store and restart the task", times + 1);
                return Err(Error::retry(text).with_source(error));
            }
            if times == 0 && *is_of_errors {
                tracing::error!(%path, %error, "records that could not be written as they should be can't even be written as errors, trying on");
            }
            times += 1;
            troubled
                .get_or_insert_with(|| self.trouble.begin())
                .says(&format!("object '{path}' can't be written: {}", shown(&error)));
            // Another try may have come to the store although its answer was lost.
            gives_up = gives_up.filter(|_| is_refusal(&error));
            tracing::warn!(%path, %error, ?pause, "an object can't be written, trying again");
            tokio::select! {
                () = sleep(pause) => {}
                () = told(&mut gives_up) => {
                    if self.is_away(path, is_first).await {
                        return Ok(Wrote::Nothing);
                    }
                    gives_up = None;
                }
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Whether an object that the store refuses is not there. One that an earlier run may have written is looked for; where that is refused too, it
    /// may be there.
    async fn is_away(&self, path: &Path, is_first: bool) -> bool {
        match within_time(self.store.head(path)).await {
            Ok(_) => false,
            Err(object_store::Error::NotFound { .. }) => true,
            Err(error) => is_first && is_refusal(&error),
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

/// What is wrong with a sink's store while it is asked again. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Troubles>>);

#[derive(Debug, Default)]
struct Troubles {
    /// Objects that are tried again.
    objects: usize,
    /// What was said of one of them last.
    last: Option<String>,
}

/// Held while an object is tried again.
struct Troubled<'a>(&'a Trouble);

impl Trouble {
    /// What is wrong, while it is so.
    pub(crate) fn what(&self) -> Option<String> {
        self.lock().last.clone()
    }

    fn begin(&self) -> Troubled<'_> {
        self.lock().objects += 1;
        Troubled(self)
    }

    fn lock(&self) -> MutexGuard<'_, Troubles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Troubled<'_> {
    fn says(&self, what: &str) {
        self.0.lock().last = Some(what.to_owned());
    }
}

impl Drop for Troubled<'_> {
    fn drop(&mut self) {
        let mut troubles = self.0.lock();
        troubles.objects -= 1;
        if troubles.objects == 0 {
            troubles.last = None;
        }
    }
}

async fn within_time<T>(answer: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
    timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| {
        let source = format!("the store did not answer within {ANSWER_MAX:?}").into();
        Err(object_store::Error::Generic { store: "sink", source })
    })
}

/// Waits until it is so; for ever if nobody says so.
async fn told(it: &mut Option<watch::Receiver<bool>>) {
    let told = match it {
        Some(it) => it.wait_for(|is_so| *is_so).await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}

/// Whether the store says by it that the object is not there and will not be.
fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    matches!(error, NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. })
}

/// What an API's caller is told of an error: without addresses, keys and answers of the store, which are for the server's log.
fn shown(error: &object_store::Error) -> &'static str {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    match error {
        NotFound { .. } => "the store says that the bucket is not there",
        PermissionDenied { .. } => "the store denies access",
        Unauthenticated { .. } => "the store does not accept the server's keys",
        _ => "the store fails, and the server's log says how",
    }
}

/// What no second try changes.
fn is_for_good(error: &object_store::Error) -> bool {
    use object_store::Error::{InvalidPath, NotImplemented, NotSupported, UnknownConfigurationKey};
    matches!(error, InvalidPath { .. } | NotImplemented { .. } | NotSupported { .. } | UnknownConfigurationKey { .. })
}
