//! All sinks of a server: made, asked and deleted by name, and there again after a restart. One that can't be used keeps no other from running.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use pinlake_core::{Clock, Error, Followers, Log, Offset, Result, Timestamp, TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::Config;
use crate::dead_letters::DeadLetters;
use crate::notes::{Change, Known, Notes, Wanted};
use crate::plan::{Plan, Target};
use crate::sink::{Leave, Message, Owner, Reply, Restart};
use crate::status::{SinkStatus, State};
use crate::write::Trouble;

/// The most sinks.
pub const SINKS_MAX: usize = 256;
/// The longest name of a sink, bytes.
pub const NAME_LEN_MAX: usize = 249;
/// How long the positions of a deleted sink wait for one of the same name.
const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Deleted sinks whose positions are kept.
const DELETED_MAX: usize = 1_000;
/// Requests that may wait for a sink.
const MESSAGES_MAX: usize = 16;

/// Makes the plan of a sink's configuration, by the sink's name.
pub type MakePlan = Arc<dyn Fn(&str, &Config) -> Result<Plan> + Send + Sync>;

/// Opens the object stores of sinks.
pub trait Buckets: Send + Sync + 'static {
    /// The store whose root is the bucket's.
    ///
    /// # Errors
    /// Why it can't be used: what is wrong and what to do.
    fn open(&self, target: &Target) -> Result<Arc<dyn ObjectStore>>;
}

/// What sinks work with. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// What they are called among the log's followers, and in counters: `sink` stands before a sink's name.
    pub kind: &'static str,
    /// The log as clients see it.
    pub log: Arc<dyn Log>,
    /// Who follows that log.
    pub followers: Followers,
    /// The time.
    pub clock: Clock,
    /// Makes plans.
    pub plan: MakePlan,
    /// Opens stores.
    pub buckets: Arc<dyn Buckets>,
    /// Takes what can't be written.
    pub letters: Arc<dyn DeadLetters>,
}

/// All sinks.
pub struct Sinks {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    notes: Notes,
    sinks: Mutex<BTreeMap<String, Handle>>,
    /// Held while a sink is made or deleted.
    changing: tokio::sync::Mutex<()>,
}

/// The way to a sink.
struct Handle {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<SinkStatus>,
    trouble: Trouble,
    owner: JoinHandle<()>,
}

/// Has the log keep everything until [`Sinks::open`] knows what sinks of that kind follow: called before the log is opened.
pub fn hold(followers: &Followers, kind: &str) {
    followers.register_unhurried(&holding(kind), |_| true);
}

/// The follower for which the log keeps everything until it is known what sinks follow.
fn holding(kind: &str) -> String {
    format!("{kind}s")
}

impl Sinks {
    /// Starts the sinks that are noted in `topic` of `log`, the log with the server's own topics.
    ///
    /// # Errors
    /// When the notes can't be read; a sink that can't be used is none.
    pub async fn open(log: Arc<dyn Log>, topic: &TopicName, parts: Parts) -> Result<Sinks> {
        let notes = Notes::open(log, parts.clock.clone(), topic).await?;
        let inner = Arc::new(Inner { parts, notes, sinks: Mutex::default(), changing: tokio::sync::Mutex::default() });
        inner.forget_deleted().await;
        let names = inner.notes.look(|known| {
            let there = known.sinks.iter().filter(|(_, sink)| sink.config.is_some());
            there.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        });
        for name in names {
            inner.start(&name);
        }
        // Each holds its own by the time its owner began, which this waits for.
        inner.begun().await;
        inner.parts.followers.remove(&holding(inner.parts.kind));
        Ok(Sinks { inner })
    }

    /// The sinks' names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.inner.sinks().keys().cloned().collect()
    }

    /// A sink's configuration, as it was given.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn config(&self, name: &str) -> Result<Config> {
        self.inner.notes.sink(name).and_then(|sink| sink.config).ok_or_else(|| not_found(name))
    }

    /// How a sink and its tasks are.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn status(&self, name: &str) -> Result<SinkStatus> {
        self.inner.sinks().get(name).map(|sink| sink.status.borrow().clone()).ok_or_else(|| not_found(name))
    }

    /// Why a sink does not come on, if it is so: it or one of its tasks failed, or its store is asked again and again.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn failure(&self, name: &str) -> Result<Option<String>> {
        let status = self.status(name)?;
        let trouble = self.inner.sinks().get(name).and_then(|sink| sink.trouble.what());
        let failed = status.tasks.into_iter().find(|task| task.state == State::Failed);
        Ok(status.trace.or_else(|| failed?.trace).or(trouble))
    }

    /// Makes a sink, which goes on where a deleted one of that name stood.
    ///
    /// # Errors
    /// `Conflict` if it exists; `Invalid` if its configuration can't be used, its name is no name, or there are [`SINKS_MAX`].
    pub async fn create(&self, name: &str, config: Config, wanted: Wanted) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        // A task of its own: what was begun is finished also for a caller that goes away.
        run(async move { inner.create(name, config, wanted).await }).await
    }

    /// Gives a sink another configuration.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if the configuration can't be used, `Retry` if what it has begun to write can't be finished by now: the sink goes on
    /// by the old one.
    pub async fn alter(&self, name: &str, config: Config) -> Result<()> {
        self.config(name)?;
        (self.inner.parts.plan)(name, &config)?;
        self.inner.ask(name, |reply| Message::Alter(config, reply)).await
    }

    /// Deletes a sink. What it wrote stays, and its positions wait a week for a sink of the same name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        run(async move { inner.delete(&name, Leave::Positions).await }).await
    }

    /// Deletes a sink and forgets its positions.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_for_good(&self, name: &str) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        run(async move { inner.delete(&name, Leave::Nothing).await }).await
    }

    /// Has a sink run, pause or stop.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn want(&self, name: &str, wanted: Wanted) -> Result<()> {
        self.inner.ask(name, |reply| Message::Want(wanted, reply)).await
    }

    /// Has a sink, or tasks of it, begin anew.
    ///
    /// # Errors
    /// `NotFound`, also of the task.
    pub async fn restart(&self, name: &str, which: Restart) -> Result<()> {
        self.inner.ask(name, |reply| Message::Restart(which, reply)).await
    }

    /// Where a sink stands: everything before is written.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn offsets(&self, name: &str) -> Result<Vec<(TopicPartition, Offset)>> {
        let sink = self.inner.notes.sink(name).ok_or_else(|| not_found(name))?;
        Ok(sink.partitions.into_iter().map(|(of, standing)| (of, standing.position)).collect())
    }

    /// Has a sink go on elsewhere; where no offset is given, at the first that is kept, as a new sink.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` unless it is stopped, or for an offset below 0.
    pub async fn move_to(&self, name: &str, offsets: Vec<(TopicPartition, Option<Offset>)>) -> Result<()> {
        if let Some((of, Some(to))) = offsets.iter().find(|(_, to)| to.is_some_and(|to| to < Offset::ZERO)) {
            return Err(Error::invalid(format!("offset {to} of {of} is below 0")));
        }
        self.inner.ask(name, |reply| Message::Move(offsets, reply)).await
    }

    /// Has a sink begin as a new one in all partitions.
    ///
    /// # Errors
    /// As [`Sinks::move_to`].
    pub async fn reset_offsets(&self, name: &str) -> Result<()> {
        let all = self.offsets(name)?.into_iter().map(|(of, _)| (of, None)).collect();
        self.move_to(name, all).await
    }

    /// The topics that a sink has come on in since it was made, or since [`Sinks::forget_topics`].
    ///
    /// # Errors
    /// `NotFound`.
    pub fn topics(&self, name: &str) -> Result<BTreeSet<TopicName>> {
        let sink = self.inner.notes.sink(name).ok_or_else(|| not_found(name))?;
        let topics = sink.partitions.into_keys().map(|of| of.topic);
        Ok(topics.filter(|topic| !sink.unused.contains(topic)).collect())
    }

    /// Forgets which topics a sink uses.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn forget_topics(&self, name: &str) -> Result<()> {
        self.inner.ask(name, Message::ForgetTopics).await
    }

    /// Ends all sinks with the server: they finish what they write, for a few seconds.
    pub async fn close(&self) {
        let _changing = self.inner.changing.lock().await;
        let sinks = std::mem::take(&mut *self.inner.sinks());
        let mut replies = Vec::new();
        for handle in sinks.values() {
            let (reply, answer) = oneshot::channel();
            // One that is gone has ended.
            let _ = handle.messages.send(Message::Close(reply)).await;
            replies.push(answer);
        }
        for answer in replies {
            let _ = answer.await;
        }
    }
}

impl Inner {
    fn sinks(&self) -> MutexGuard<'_, BTreeMap<String, Handle>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the owner of a sink that is noted.
    fn start(&self, name: &str) {
        let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
        let (status, seen) = watch::channel(SinkStatus::unassigned());
        let trouble = Trouble::default();
        let owner = Owner::new(Arc::from(name), self.parts.clone(), self.notes.clone(), status, trouble.clone());
        let owner = tokio::spawn(owner.run(inbox));
        self.sinks().insert(name.to_owned(), Handle { messages, status: seen, trouble, owner });
    }

    /// Waits until every sink has begun, or can't.
    async fn begun(&self) {
        let all: Vec<_> = self.sinks().values().map(|sink| sink.status.clone()).collect();
        for mut status in all {
            // One whose owner is gone has nothing more to say.
            let _ = status.wait_for(|status| *status != SinkStatus::unassigned()).await;
        }
    }

    async fn create(&self, name: String, config: Config, wanted: Wanted) -> Result<()> {
        check_name(&name)?;
        let _changing = self.changing.lock().await;
        {
            let sinks = self.sinks();
            if sinks.contains_key(&name) {
                return Err(Error::conflict(format!("sink '{name}' exists: choose another name, or change its configuration")));
            }
            if sinks.len() >= SINKS_MAX {
                return Err(Error::invalid(format!("there are {SINKS_MAX} sinks, and no more are taken: delete one")));
            }
        }
        (self.parts.plan)(&name, &config)?;
        let sink = || name.clone();
        self.notes.change(vec![Change::Config { sink: sink(), config }, Change::Wanted { sink: sink(), wanted }]).await?;
        self.start(&name);
        Ok(())
    }

    async fn delete(&self, name: &str, leave: Leave) -> Result<()> {
        let _changing = self.changing.lock().await;
        self.ask(name, |reply| Message::Delete(leave, reply)).await?;
        let handle = self.sinks().remove(name);
        if let Some(handle) = handle {
            // It ends by itself now.
            let _ = handle.owner.await;
        }
        self.forget_deleted().await;
        Ok(())
    }

    async fn ask(&self, name: &str, message: impl FnOnce(Reply) -> Message) -> Result<()> {
        let messages = self.sinks().get(name).map(|sink| sink.messages.clone()).ok_or_else(|| not_found(name))?;
        let (reply, answer) = oneshot::channel();
        let gone = || Error::retry(format!("sink '{name}' is just ending: try again"));
        messages.send(message(reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Forgets what sinks left that were deleted long ago, and more of them if there are many.
    async fn forget_deleted(&self) {
        let now = self.parts.clock.now();
        let old = self.notes.look(|known| long_gone(known, now));
        let changes = old.into_iter().map(|sink| Change::Forgotten { sink }).collect();
        if let Err(error) = self.notes.change(changes).await {
            tracing::warn!(%error, "what deleted sinks left can't be forgotten by now");
        }
    }
}

fn long_gone(known: &Known, now: Timestamp) -> Vec<String> {
    let gone = |(name, at): (&String, Option<Timestamp>)| at.map(|at| (at, name.clone()));
    let mut deleted: Vec<_> = known.sinks.iter().filter_map(|(name, sink)| gone((name, sink.deleted_at))).collect();
    deleted.sort();
    let too_many = deleted.len().saturating_sub(DELETED_MAX);
    let is_old = |(at, (deleted, _)): &(usize, (Timestamp, String))| *at < too_many || deleted.until(now) >= FORGET_AFTER;
    deleted.into_iter().enumerate().filter(is_old).map(|(_, (_, name))| name).collect()
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("a sink's name takes 1 to {NAME_LEN_MAX} bytes and no control characters")));
    }
    Ok(())
}

fn not_found(name: &str) -> Error {
    Error::not_found(format!("there is no sink '{}'", name.chars().take(NAME_LEN_MAX).collect::<String>().escape_debug()))
}

async fn run(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::internal("the change ended by a defect: look for a panic in the server's log").with_source(error))
    })
}
