//! One sink: its owner task, which starts its tasks, stops them, and tells how they are. What it should do is noted before it does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Error, Offset, Result, TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Config;
use crate::notes::{Change, Notes, Wanted};
use crate::plan::{Plan, TASKS_MAX};
use crate::sinks::Parts;
use crate::status::{SinkStatus, State, TaskStatus};
use crate::task::{self, Stop, TaskContext};
use crate::write::{Trouble, Writer};

/// How long a sink that never gives up waits until it tries to begin again.
const BEGIN_AGAIN: Duration = Duration::from_secs(10);
/// How long tasks may take to write what they have begun; then they end as they are, and the next ones go on.
const STOP_MAX: Duration = Duration::from_secs(5);
/// The same before another configuration, by which nothing may go on that was begun by the old one.
const SETTLE_MAX: Duration = Duration::from_secs(15);

/// Who waits for an answer.
pub(crate) type Reply = oneshot::Sender<Result<()>>;

/// What a sink can be asked.
pub(crate) enum Message {
    /// Run, pause or stop.
    Want(Wanted, Reply),
    /// Go on by another configuration, which was found good.
    Alter(Config, Reply),
    /// Begin anew.
    Restart(Restart, Reply),
    /// Change positions, where it is stopped: none forgets one.
    Move(Vec<(TopicPartition, Option<Offset>)>, Reply),
    /// Forget which topics it uses.
    ForgetTopics(Reply),
    /// Be no longer.
    Delete(Leave, Reply),
    /// End with the server.
    Close(Reply),
}

/// What a deleted sink leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Its positions, for one of the same name.
    Positions,
    /// Nothing but what it wrote.
    Nothing,
}

/// What begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The sink itself: its configuration is looked at again; tasks go on, or start if there are none.
    Sink,
    /// The sink and its tasks, or those of them that failed.
    All {
        /// Only what failed.
        only_failed: bool,
    },
    /// One task.
    Task(u32),
}

/// The owner of a sink.
pub(crate) struct Owner {
    name: Arc<str>,
    /// The name under which it follows its topics.
    follower: Arc<str>,
    parts: Parts,
    notes: Notes,
    plan: Option<Arc<Plan>>,
    status: watch::Sender<SinkStatus>,
    trouble: Trouble,
    tasks: JoinSet<Result<bool>>,
    running: BTreeMap<u32, Running>,
}

struct Running {
    id: Id,
    stop: watch::Sender<Stop>,
    abort: AbortHandle,
}

impl Owner {
    pub(crate) fn new(name: Arc<str>, parts: Parts, notes: Notes, status: watch::Sender<SinkStatus>, trouble: Trouble) -> Self {
        let follower = Arc::from(format!("{}/{name}", parts.kind));
        let (tasks, running) = (JoinSet::new(), BTreeMap::new());
        Self { name, follower, parts, notes, plan: None, status, trouble, tasks, running }
    }

    /// Does what the notes say, and then what it is asked, until it is deleted, closed, or nobody can ask.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        self.begin();
        loop {
            tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else { return };
                    if self.answer(message).await {
                        return;
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended);
                }
                () = sleep(BEGIN_AGAIN), if self.begins_again() => self.begin(),
            }
        }
    }

    /// Whether it is one that never gives up, and could not begin.
    fn begins_again(&self) -> bool {
        let failed = self.running.is_empty() && self.status.borrow().state == State::Failed;
        failed && self.never_gives_up() && self.wanted() == Wanted::Running
    }

    fn never_gives_up(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.retry.at_least.is_none())
    }

    /// Whether something was begun whose end is not noted as written.
    fn has_begun_something(&self) -> bool {
        let known = self.notes.sink(&self.name).unwrap_or_default();
        known.partitions.values().any(|standing| !standing.intents.is_empty())
    }

    /// Answers whether the sink ends by it.
    async fn answer(&mut self, message: Message) -> bool {
        let (done, reply, ends) = match message {
            Message::Want(wanted, reply) => (self.want(wanted).await, reply, false),
            Message::Alter(config, reply) => (self.alter(config).await, reply, false),
            Message::Restart(which, reply) => (self.restart(which).await, reply, false),
            Message::Move(offsets, reply) => (self.move_to(offsets).await, reply, false),
            Message::ForgetTopics(reply) => (self.forget_topics().await, reply, false),
            Message::Delete(leave, reply) => {
                let done = self.delete(leave).await;
                let ends = done.is_ok();
                (done, reply, ends)
            }
            Message::Close(reply) => {
                self.stop_all().await;
                (Ok(()), reply, true)
            }
        };
        // Whoever went away needs no answer.
        let _ = reply.send(done);
        ends
    }

    /// Starts as the notes say.
    fn begin(&mut self) {
        let wanted = self.wanted();
        self.look_at_config();
        self.hold();
        let Some(plan) = self.plan.clone() else { return };
        let ids = || 0..plan.tasks.clamp(1, TASKS_MAX);
        let state = State::from(wanted);
        self.status.send_modify(|status| {
            status.state = state;
            status.trace = None;
            status.tasks =
                if wanted == Wanted::Stopped { Vec::new() } else { ids().map(|id| TaskStatus::new(id, state)).collect() };
        });
        if wanted == Wanted::Running {
            self.start(ids().collect());
        }
    }

    fn wanted(&self) -> Wanted {
        self.notes.sink(&self.name).unwrap_or_default().wanted
    }

    /// Makes the plan of the configuration that is noted.
    fn look_at_config(&mut self) {
        let config = self.notes.sink(&self.name).and_then(|sink| sink.config).unwrap_or_default();
        match (self.parts.plan)(&self.name, &config) {
            Ok(plan) => self.plan = Some(Arc::new(plan)),
            Err(error) => {
                self.plan = None;
                self.fail(&error);
            }
        }
    }

    fn fail(&mut self, error: &Error) {
        tracing::error!(sink = %self.name, %error, "a sink can't be used: mend its configuration, or delete it");
        self.status.send_modify(|status| {
            *status = SinkStatus { state: State::Failed, trace: Some(error.to_string()), tasks: Vec::new() }
        });
    }

    /// Has the log keep what the sink has not taken; nothing where it is stopped.
    fn hold(&self) {
        let name = &*self.follower;
        let known = self.notes.sink(&self.name).unwrap_or_default();
        if known.wanted == Wanted::Stopped {
            self.parts.followers.remove(name);
            return;
        }
        match self.plan.clone() {
            Some(plan) => self.parts.followers.register_unhurried(name, move |topic| plan.reads(topic)),
            // What it reads can't be told by now: what it has read is kept on.
            None => {
                let topics: Vec<TopicName> = known.partitions.keys().map(|of| of.topic.clone()).collect();
                self.parts.followers.register_unhurried(name, move |topic| topics.contains(topic));
            }
        }
        for (of, standing) in &known.partitions {
            self.parts.followers.report(name, of, standing.position);
        }
    }

    /// Starts tasks that do not run.
    fn start(&mut self, ids: Vec<u32>) {
        let Some(plan) = self.plan.clone() else { return };
        let store = match self.parts.buckets.open(&plan.target) {
            Ok(store) => store,
            Err(error) => return self.fail(&error),
        };
        for id in ids {
            let context = TaskContext {
                sink: self.name.clone(),
                follower: self.follower.clone(),
                task: id,
                plan: plan.clone(),
                log: self.parts.log.clone(),
                notes: self.notes.clone(),
                followers: self.parts.followers.clone(),
                clock: self.parts.clock.clone(),
                writer: Writer::new(store.clone(), plan.retry, plan.overwrite, self.trouble.clone()),
                letters: self.parts.letters.clone(),
            };
            let (stop, stopped) = watch::channel(Stop::Not);
            let abort = self.tasks.spawn(task::run(context, stopped));
            self.running.insert(id, Running { id: abort.id(), stop, abort });
            self.set(id, State::Running, None);
        }
    }

    fn set(&self, id: u32, state: State, trace: Option<String>) {
        self.status.send_modify(|status| {
            if let Some(task) = status.tasks.iter_mut().find(|task| task.id == id) {
                (task.state, task.trace) = (state, trace);
            }
        });
    }

    /// Takes note of a task that has ended; answers whether it left nothing that was begun.
    fn ended(&mut self, ended: Result<(Id, Result<bool>), JoinError>) -> bool {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => (error.id(), Ok(false)),
            Err(error) => {
                let text = "the task ended by a defect: look for a panic in the server's log";
                (error.id(), Err(Error::internal(text).with_source(error)))
            }
        };
        let Some(task) = self.running.iter().find(|(_, running)| running.id == id).map(|(task, _)| *task) else { return true };
        self.running.remove(&task);
        outcome.unwrap_or_else(|error| {
            tracing::error!(sink = %self.name, task, %error, "a sink's task failed: it goes on when it is restarted");
            self.set(task, State::Failed, Some(error.to_string()));
            false
        })
    }

    /// Stops tasks: they finish what they write, for a while. Answers whether they left nothing that was begun.
    async fn stop_tasks(&mut self, ids: &[u32], how: Stop, time: Duration) -> bool {
        let (deadline, mut is_whole) = (Instant::now() + time, true);
        for running in ids.iter().filter_map(|id| self.running.get(id)) {
            running.stop.send_replace(how);
        }
        while ids.iter().any(|id| self.running.contains_key(id)) {
            match timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(ended)) => is_whole &= self.ended(ended),
                Ok(None) => break,
                Err(_) => {
                    ids.iter().filter_map(|id| self.running.get(id)).for_each(|running| running.abort.abort());
                    if let Some(ended) = self.tasks.join_next_with_id().await {
                        is_whole &= self.ended(ended);
                    }
                }
            }
        }
        is_whole
    }

    async fn stop_all(&mut self) {
        let ids: Vec<u32> = self.running.keys().copied().collect();
        self.stop_tasks(&ids, Stop::Now, STOP_MAX).await;
    }

    /// Stops all tasks once nothing is left that was begun; answers whether it is so.
    async fn settle_all(&mut self) -> bool {
        let ids: Vec<u32> = self.running.keys().copied().collect();
        self.stop_tasks(&ids, Stop::Settled, SETTLE_MAX).await
    }

    async fn want(&mut self, wanted: Wanted) -> Result<()> {
        let was = self.wanted();
        self.notes.change(vec![Change::Wanted { sink: self.name.to_string(), wanted }]).await?;
        match (was, wanted) {
            (Wanted::Running, Wanted::Paused) => {
                self.stop_all().await;
                self.status.send_modify(|status| {
                    status.state = if status.state == State::Failed { State::Failed } else { State::Paused };
                    for task in status.tasks.iter_mut().filter(|task| task.state != State::Failed) {
                        task.state = State::Paused;
                    }
                });
            }
            (Wanted::Paused, Wanted::Running) => {
                let ids = self.tasks_where(|state| state == State::Paused);
                self.status.send_modify(|status| {
                    status.state = if status.state == State::Failed { State::Failed } else { State::Running };
                });
                self.start(ids);
            }
            (Wanted::Stopped, Wanted::Stopped) => {}
            (_, Wanted::Stopped) => {
                self.stop_all().await;
                self.status.send_modify(|status| *status = SinkStatus { state: State::Stopped, trace: None, tasks: Vec::new() });
                self.hold();
            }
            (Wanted::Stopped, _) => self.begin(),
            _ => {}
        }
        Ok(())
    }

    /// The tasks that are so.
    fn tasks_where(&self, is_meant: impl Fn(State) -> bool) -> Vec<u32> {
        self.status.borrow().tasks.iter().filter(|task| is_meant(task.state)).map(|task| task.id).collect()
    }

    async fn alter(&mut self, config: Config) -> Result<()> {
        if self.begins_again() {
            self.begin();
        } else if self.never_gives_up() {
            // What a failed task has begun is finished too.
            let failed = self.tasks_where(|state| state == State::Failed);
            self.start(failed);
        }
        // One whose store can't even be opened has no task that could tell what is there.
        let is_in_doubt = self.never_gives_up() && self.running.is_empty() && self.has_begun_something();
        if is_in_doubt || !self.settle_all().await {
            // What is half written would be written again, elsewhere. One that failed meanwhile is not waited for the next time.
            let ids = self.tasks_where(|state| state != State::Failed);
            self.start(ids);
            let why = self.trouble.what().unwrap_or_else(|| "its store or the log is slow".to_owned());
            return Err(Error::retry(format!(
                "what the sink has begun to write by its old configuration can't be finished by now, and it goes on by that: try again ({why})"
            )));
        }
        let noted = self.notes.change(vec![Change::Config { sink: self.name.to_string(), config }]).await;
        // By the old configuration if the new one could not be noted.
        self.begin();
        noted
    }

    async fn restart(&mut self, which: Restart) -> Result<()> {
        if self.wanted() != Wanted::Running {
            // A sink that stands still looks at everything anew when it is resumed.
            return Ok(());
        }
        if self.status.borrow().state == State::Failed {
            self.begin();
            return Ok(());
        }
        let is_meant = |task: &&TaskStatus| match which {
            Restart::Sink => false,
            Restart::All { only_failed } => !only_failed || task.state == State::Failed,
            Restart::Task(id) => task.id == id,
        };
        let ids: Vec<u32> = self.status.borrow().tasks.iter().filter(is_meant).map(|task| task.id).collect();
        if matches!(which, Restart::Task(_)) && ids.is_empty() {
            return Err(Error::not_found("the sink has no task of that number"));
        }
        ids.iter().for_each(|id| self.set(*id, State::Restarting, None));
        self.stop_tasks(&ids, Stop::Now, STOP_MAX).await;
        self.start(ids);
        Ok(())
    }

    async fn move_to(&mut self, offsets: Vec<(TopicPartition, Option<Offset>)>) -> Result<()> {
        if self.wanted() != Wanted::Stopped {
            return Err(Error::invalid("the offsets of a sink can be changed while it is stopped: stop it first"));
        }
        let change = |(of, to)| Change::Moved { sink: self.name.to_string(), of, to };
        self.notes.change(offsets.into_iter().map(change).collect()).await
    }

    async fn forget_topics(&mut self) -> Result<()> {
        let known = self.notes.sink(&self.name).unwrap_or_default();
        let topics = known.partitions.into_keys().map(|of| of.topic).collect();
        self.notes.change(vec![Change::Unused { sink: self.name.to_string(), topics }]).await
    }

    async fn delete(&mut self, leave: Leave) -> Result<()> {
        self.stop_all().await;
        let (sink, at) = (self.name.to_string(), self.parts.clock.now().0);
        let change = match leave {
            Leave::Positions => Change::Deleted { sink, at },
            Leave::Nothing => Change::Forgotten { sink },
        };
        match self.notes.change(vec![change]).await {
            Ok(()) => {
                self.parts.followers.remove(&self.follower);
                Ok(())
            }
            Err(error) => {
                self.begin();
                Err(error)
            }
        }
    }
}
