//! Takes the partitions to the disk together, in rounds: all write, then all are synced, side by side or, where that is cheaper, with one
//! sync of the whole file system (docs/decisions/0003-sync-together.md). It must not know what is written.
//!
//! Rounds follow one another: a partition is in one at a time, and all of it is synced before the next is. That is what makes a failure belong to
//! its round, because a file system reports each failed write-back once. What is written meanwhile has to ask for [`Syncer::failed`].

pub(crate) mod way;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pinlake_core::{Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::disk::FileSystem;
use crate::meters::Meters;
use way::{Costs, Way};

/// How many partitions may wait for the next round; more wait outside. Each has one job at most.
const ROUND_JOBS_MAX: usize = 1024;
/// How many threads share the writes of a round: they are copies into memory.
const WRITE_THREADS: usize = 2;

/// How a partition's bytes become durable.
#[derive(Debug)]
pub(crate) enum Flush {
    /// By its own sync, still to be made.
    Own,
    /// With everybody's, which went so.
    Whole(Result<()>),
}

/// What is left to do for a partition whose bytes are written.
type Finish = Box<dyn FnOnce(Flush) + Send>;
/// What a partition does in the first half of a round; answers what is left for the second.
type Job = Box<dyn FnOnce() -> Option<Finish> + Send>;

/// The partitions' common way to the disk. Threads come from the runtime and go when idle.
#[derive(Debug, Clone)]
pub(crate) struct Syncer {
    lanes: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    failed: Arc<AtomicU64>,
}

impl Syncer {
    /// A syncer that has so many syncs at the disk at the same moment. Must be made within a runtime.
    pub(crate) fn new(lanes: usize, file_system: Option<FileSystem>, meters: Meters) -> Self {
        let (jobs, waiting) = mpsc::channel(ROUND_JOBS_MAX);
        let failed = Arc::<AtomicU64>::default();
        let rounds = Rounds { lanes, whole: file_system.map(Arc::new), failed: failed.clone(), meters, costs: Costs::default() };
        tokio::spawn(rounds.run(waiting));
        Self { lanes: Arc::new(Semaphore::new(lanes)), jobs, failed }
    }

    /// How many syncs of the whole file system have failed. Each was told to its own round alone: who wrote before it and is synced after it has
    /// to ask.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// Has `write` done in the first half of the next round and, if that answers true, `sync` in the second. Answers `on` and the first
    /// failure.
    pub(crate) async fn together<T: Send + 'static, E: Send + 'static>(
        &self,
        mut on: T,
        write: impl FnOnce(&mut T) -> Result<bool, E> + Send + 'static,
        sync: impl FnOnce(&mut T, Flush) -> Result<(), E> + Send + 'static,
    ) -> Result<(T, Result<(), E>)> {
        let (answer, answered) = oneshot::channel();
        let job = move || -> Option<Finish> {
            match write(&mut on) {
                Ok(true) => {
                    return Some(Box::new(move |flush| {
                        let synced = sync(&mut on, flush);
                        drop(answer.send((on, synced)));
                    }));
                }
                Ok(false) => drop(answer.send((on, Ok(())))),
                Err(error) => drop(answer.send((on, Err(error)))),
            }
            None
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| cut_short())?;
        answered.await.map_err(|_| cut_short())
    }

    /// Runs `work`, which blocks on the disk, by itself.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let lane = self.lanes.clone().acquire_owned().await.expect("the lanes are never closed");
        let work = move || {
            let done = work();
            drop(lane);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| cut_short().with_source(error))
    }
}

fn cut_short() -> Error {
    Error::internal("a write to the disk was cut short")
}

struct Rounds {
    lanes: usize,
    whole: Option<Arc<FileSystem>>,
    failed: Arc<AtomicU64>,
    meters: Meters,
    costs: Costs,
}

impl Rounds {
    /// Round after round, for as long as somebody may ask. While one is at the disk, the next gathers.
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut jobs = Vec::new();
        while waiting.recv_many(&mut jobs, ROUND_JOBS_MAX).await > 0 {
            if let Err(error) = self.round(std::mem::take(&mut jobs)).await {
                // Who did not get an answer by this stops itself.
                tracing::error!(%error, "a round at the disk was cut short");
            }
        }
    }

    async fn round(&mut self, jobs: Vec<Job>) -> Result<(), JoinError> {
        if jobs.len() == 1 {
            let alone = move || jobs.into_iter().filter_map(|job| job()).for_each(|finish| finish(Flush::Own));
            return tokio::task::spawn_blocking(alone).await;
        }
        let left = Arc::new(Mutex::new(Vec::with_capacity(jobs.len())));
        let written = left.clone();
        let write = move |job: Job| {
            if let Some(finish) = job() {
                lock(&written).push(finish);
            }
        };
        side_by_side(jobs, WRITE_THREADS, write).await?;
        let left = std::mem::take(&mut *lock(&left));
        let files = left.len();
        let whole = self.whole.clone();
        let way = if whole.is_some() { self.costs.choose(files) } else { Way::Each };
        let began = Instant::now();
        match (way, whole) {
            (Way::Whole, Some(whole)) => self.sync_whole(whole, left).await?,
            _ => side_by_side(left, self.lanes, |finish: Finish| finish(Flush::Own)).await?,
        }
        self.costs.note(way, files, began.elapsed());
        Ok(())
    }

    async fn sync_whole(&self, whole: Arc<FileSystem>, left: Vec<Finish>) -> Result<(), JoinError> {
        let (meters, failed) = (self.meters.clone(), self.failed.clone());
        let sync = move || {
            let began = Instant::now();
            let synced = whole.sync().map_err(|error| Error::internal("can't sync the log's file system").with_source(error));
            match &synced {
                Ok(()) => meters.observe_sync(began.elapsed()),
                Err(_) => drop(failed.fetch_add(1, Ordering::AcqRel)),
            }
            for finish in left {
                finish(Flush::Whole(synced.clone()));
            }
        };
        tokio::task::spawn_blocking(sync).await
    }
}

/// Does `work` on all `things`, on so many threads at most.
async fn side_by_side<T: Send + 'static>(
    things: Vec<T>,
    threads: usize,
    work: impl Fn(T) + Clone + Send + 'static,
) -> Result<(), JoinError> {
    let threads = threads.min(things.len());
    let things = Arc::new(Mutex::new(things.into_iter()));
    let mut workers = JoinSet::new();
    for _ in 0..threads {
        let (things, work) = (things.clone(), work.clone());
        workers.spawn_blocking(move || {
            loop {
                let Some(thing) = lock(&things).next() else { break };
                work(thing);
            }
        });
    }
    let mut ended = Ok(());
    while let Some(worker) = workers.join_next().await {
        ended = ended.and(worker);
    }
    ended
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
