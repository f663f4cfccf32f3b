//! An object store in memory that fails as it is told: one process's way to objects that outlive it.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The put fails and nothing is written.
    PutBefore,
    /// The put happens, and its answer is lost.
    PutAfter,
    /// The conditional put happens, and answers that the object exists: a client that tried again after a lost answer.
    ConditionLost,
    /// The process dies before the put.
    DeathBefore,
    /// The process dies after the put.
    DeathAfter,
    /// The put happens, its answer is lost, and the next gets and listings fail too.
    Outage,
    /// The get fails.
    Get,
    /// The listing fails.
    List,
}

/// Passes everything on to the objects, but for the fault.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    objects: Arc<InMemory>,
    fault: Option<(Fault, u64)>,
    /// The folder in which it strikes.
    within: &'static str,
    /// Operations of the fault's kind so far.
    steps: AtomicU64,
    hit: Mutex<Option<String>>,
    dead: AtomicBool,
    /// Gets and listings that an outage still strikes.
    outage: AtomicU64,
    /// A folder in which nothing works.
    closed: Mutex<Option<String>>,
    /// A folder in which puts happen and answer nothing.
    unheard: Mutex<Option<String>>,
}

/// Gets and listings that an outage strikes: enough for a commit that looks for what became of it, and for the look after that.
const OUTAGE_STEPS: u64 = 2;

impl FaultyStore {
    /// Fails at the `step`th operation (from 1) that the fault can strike.
    pub(crate) fn new(objects: Arc<InMemory>, fault: Fault, step: u64) -> Self {
        Self { fault: Some((fault, step)), ..Self::sound(objects) }
    }

    /// Counts and fails only what is done in `folder`.
    pub(crate) fn within(self, folder: &'static str) -> Self {
        Self { within: folder, ..self }
    }

    /// Never fails, until it is killed.
    pub(crate) fn sound(objects: Arc<InMemory>) -> Self {
        Self {
            objects,
            fault: None,
            within: "",
            steps: AtomicU64::new(0),
            hit: Mutex::default(),
            dead: AtomicBool::new(false),
            outage: AtomicU64::new(0),
            closed: Mutex::default(),
            unheard: Mutex::default(),
        }
    }

    /// From now on nothing works in `folder`.
    pub(crate) fn close(&self, folder: &str) {
        *self.closed.lock().unwrap() = Some(folder.to_owned());
    }

    /// From now on the answers of puts in `folder` are lost.
    pub(crate) fn lose_answers(&self, folder: &str) {
        *self.unheard.lock().unwrap() = Some(folder.to_owned());
    }

    /// The process is gone: whatever of it still runs reaches nothing.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// The end of an outage, of a folder too.
    pub(crate) fn recover(&self) {
        self.outage.store(0, Ordering::SeqCst);
        *self.closed.lock().unwrap() = None;
        *self.unheard.lock().unwrap() = None;
    }

    /// What the fault struck.
    pub(crate) fn hit(&self) -> Option<String> {
        self.hit.lock().unwrap().clone()
    }

    fn alive(&self) -> Result<()> {
        if self.dead.load(Ordering::SeqCst) { Err(silent()) } else { Ok(()) }
    }

    /// Fails in a folder that is closed.
    fn opens(&self, location: &Path) -> Result<()> {
        let closed = self.closed.lock().unwrap();
        if closed.as_ref().is_some_and(|folder| location.as_ref().starts_with(folder)) { Err(silent()) } else { Ok(()) }
    }

    /// Fails while an outage lasts.
    fn answers(&self, location: &Path) -> Result<()> {
        self.opens(location)?;
        let left = self.outage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(silent()))
    }

    /// The fault, if it strikes this operation.
    fn strikes(&self, may: impl Fn(Fault) -> bool, what: &Path) -> Option<Fault> {
        let (fault, step) = self.fault.filter(|(fault, _)| may(*fault) && what.as_ref().starts_with(self.within))?;
        let strikes = self.steps.fetch_add(1, Ordering::SeqCst) + 1 == step;
        strikes.then(|| {
            *self.hit.lock().unwrap() = Some(what.to_string());
            fault
        })
    }

    fn get_strikes(&self, location: &Path) -> Result<()> {
        self.alive()?;
        self.answers(location)?;
        self.strikes(|fault| fault == Fault::Get, location).map_or(Ok(()), |_| Err(silent()))
    }

    fn list_strikes(&self, prefix: Option<&Path>) -> Result<()> {
        self.alive()?;
        let prefix = prefix.cloned().unwrap_or_default();
        self.answers(&prefix)?;
        self.strikes(|fault| fault == Fault::List, &prefix).map_or(Ok(()), |_| Err(silent()))
    }
}

fn silent() -> Error {
    Error::Generic { store: "faulty", source: "the store does not answer".into() }
}

fn can_strike_put(fault: Fault, conditional: bool) -> bool {
    match fault {
        Fault::PutBefore | Fault::PutAfter | Fault::Outage | Fault::DeathBefore | Fault::DeathAfter => true,
        Fault::ConditionLost => conditional,
        Fault::Get | Fault::List => false,
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.alive()?;
        self.opens(location)?;
        let conditional = opts.mode == PutMode::Create;
        let put = || self.objects.put_opts(location, payload, opts);
        let Some(fault) = self.strikes(|fault| can_strike_put(fault, conditional), location) else {
            let done = put().await;
            let unheard = self.unheard.lock().unwrap();
            let is_lost = unheard.as_ref().is_some_and(|folder| location.as_ref().starts_with(folder));
            return if is_lost { Err(silent()) } else { done };
        };
        match fault {
            Fault::PutBefore => {}
            Fault::PutAfter => drop(put().await?),
            Fault::Outage => {
                put().await?;
                self.outage.store(OUTAGE_STEPS, Ordering::SeqCst);
            }
            Fault::ConditionLost => {
                put().await?;
                return Err(Error::AlreadyExists { path: location.to_string(), source: "it exists".into() });
            }
            Fault::DeathBefore => self.kill(),
            _ => {
                put().await?;
                self.kill();
            }
        }
        Err(silent())
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.alive()?;
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.get_strikes(location)?;
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.get_strikes(location)?;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.alive() {
            Ok(()) => self.objects.delete_stream(locations),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.list_strikes(prefix) {
            Ok(()) => self.objects.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.list_strikes(prefix) {
            Ok(()) => self.objects.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.list_strikes(prefix)?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.alive()?;
        self.objects.copy_opts(from, to, options).await
    }
}
