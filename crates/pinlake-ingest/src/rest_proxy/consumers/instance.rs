//! A consumer instance: one task that owns what it reads and how far. It is asked by messages, one at a time; a read waits beside them.
//! The task ends when it is told to, when nobody has called for a while, or when the server does.

mod positions;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pinlake_core::{ErrorKind, Log, Offset, Reason, TopicName, TopicPartition};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::member::{Assigned, Member};
use super::messages::{Answer, Message, ReadRequest, Reply, Wish};
use super::reading::{Reading, Stop};
use super::settings::InstanceSettings;
use crate::groups::calls::{GroupId, NO_GENERATION};
use crate::groups::{GroupError, Groups};
use crate::rest_proxy::error::{ILLEGAL_STATE, RestError};
use positions::reset;

/// How often a member says that it is alive, and so how soon it hears of a rebalance.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How often positions are committed by themselves: Kafka's `auto.commit.interval.ms`.
const AUTO_COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How often topics are looked at for new ones and new partitions; a read looks too, a little more often.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_AT_READ_EVERY: Duration = Duration::from_secs(3);

/// An instance.
pub(super) struct Instance {
    log: Arc<dyn Log>,
    groups: Groups,
    group: GroupId,
    settings: InstanceSettings,
    wants: Wants,
    membership: Membership,
    /// Who commits: the generation and member id that the partitions were assigned in.
    identity: (i32, String),
    /// The partitions that it reads, and the next offset of each; none until it is known.
    partitions: BTreeMap<TopicPartition, Position>,
    /// The partition that the last read began with.
    last_first: Option<TopicPartition>,
    reading: Option<Reading>,
    idle_timeout: Duration,
    expires: Instant,
    heartbeat_at: Instant,
    auto_commit_at: Instant,
    looked_at: Instant,
}

/// What an instance was told to read.
enum Wants {
    Nothing,
    Subscribed(Wish),
    Assigned,
}

/// Whether it is in its group.
enum Membership {
    Out,
    Joining(BTreeSet<TopicName>, BoxFuture<'static, (Member, Result<Assigned, GroupError>)>),
    In(BTreeSet<TopicName>, Member),
}

#[derive(Debug, Clone, Copy, Default)]
struct Position {
    next: Option<Offset>,
    /// What is known to be committed.
    committed: Option<Offset>,
}

/// What woke the task.
enum Event {
    Message(Option<Message>),
    Joined(Member, Result<Assigned, GroupError>),
    Stirred,
    Timer,
}

impl Instance {
    pub(super) fn new(
        log: Arc<dyn Log>,
        groups: Groups,
        group: GroupId,
        settings: InstanceSettings,
        idle_timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            log,
            groups,
            group,
            settings,
            wants: Wants::Nothing,
            membership: Membership::Out,
            identity: (NO_GENERATION, String::new()),
            partitions: BTreeMap::new(),
            last_first: None,
            reading: None,
            idle_timeout,
            expires: now + idle_timeout,
            heartbeat_at: now,
            auto_commit_at: now,
            looked_at: now,
        }
    }

    /// Answers messages until the end; answers who waits for that.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) -> Option<Reply<()>> {
        let waits_for_end = loop {
            match self.next_event(&mut messages).await {
                Event::Message(None) => break None,
                Event::Message(Some(Message::Close(reply))) => break Some(reply),
                Event::Message(Some(message)) => {
                    self.renew();
                    self.answer(message).await;
                }
                Event::Joined(member, outcome) => self.joined(member, outcome).await,
                Event::Stirred => self.go_on().await,
                Event::Timer if Instant::now() >= self.expires && self.reading.is_none() => break None,
                Event::Timer => self.look_after().await,
            }
        };
        self.end_reading();
        self.auto_commit().await;
        waits_for_end
    }

    async fn next_event(&mut self, messages: &mut mpsc::Receiver<Message>) -> Event {
        let timer = self.next_timer();
        let joining = async {
            match &mut self.membership {
                Membership::Joining(_, joining) => joining.await,
                _ => pending().await,
            }
        };
        let stirred = async {
            match &mut self.reading {
                Some(reading) => reading.stirred().await,
                None => pending().await,
            }
        };
        tokio::select! {
            message = messages.recv() => Event::Message(message),
            (member, outcome) = joining => Event::Joined(member, outcome),
            () = stirred => Event::Stirred,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    fn next_timer(&self) -> Instant {
        let mut next = if self.reading.is_some() { self.looked_at + LOOK_EVERY } else { self.expires };
        if matches!(self.membership, Membership::In(..)) {
            next = next.min(self.heartbeat_at + HEARTBEAT_EVERY).min(self.looked_at + LOOK_EVERY);
        }
        if self.settings.auto_commit && !self.partitions.is_empty() {
            next = next.min(self.auto_commit_at + AUTO_COMMIT_EVERY);
        }
        next
    }

    fn renew(&mut self) {
        self.expires = Instant::now() + self.idle_timeout;
    }

    async fn look_after(&mut self) {
        let now = Instant::now();
        if now >= self.heartbeat_at + HEARTBEAT_EVERY {
            self.heartbeat_at = now;
            let beat = if let Membership::In(_, member) = &mut self.membership { member.heartbeat() } else { Ok(()) };
            match beat {
                Ok(()) | Err(GroupError::CoordinatorLoading | GroupError::CoordinatorNotAvailable) => {}
                Err(_) => self.rejoin().await,
            }
        }
        if now >= self.looked_at + LOOK_EVERY {
            self.look_at_topics().await;
        }
        if self.settings.auto_commit && now >= self.auto_commit_at + AUTO_COMMIT_EVERY {
            self.auto_commit().await;
        }
    }

    async fn answer(&mut self, message: Message) {
        // Whoever went away needs no answer.
        match message {
            Message::Subscribe(wish, reply) => drop(reply.send(self.subscribe(wish).await)),
            Message::Unsubscribe(reply) => drop(reply.send(self.unsubscribe().await)),
            Message::Subscription(reply) => drop(reply.send(topics_of(&*self.log, &self.wants).await)),
            Message::Assign(partitions, reply) => drop(reply.send(self.assign(partitions).await)),
            Message::Assignment(reply) => drop(reply.send(Ok(self.partitions.keys().cloned().collect()))),
            Message::Seek(targets, reply) => drop(reply.send(self.seek(targets).await)),
            Message::Commit(offsets, reply) => drop(reply.send(self.commit(offsets).await)),
            Message::Committed(partitions, reply) => drop(reply.send(Ok(self.committed(partitions)))),
            Message::Read(request, reply) => self.read(request, reply).await,
            Message::Close(_) => {}
        }
    }

    async fn subscribe(&mut self, wish: Wish) -> Result<(), RestError> {
        let text = match (&self.wants, &wish) {
            (Wants::Assigned, _) => "the instance has partitions assigned: DELETE its subscription first",
            (Wants::Subscribed(Wish::Topics(_)), Wish::Matching(_)) | (Wants::Subscribed(Wish::Matching(_)), Wish::Topics(_)) => {
                "an instance subscribes to topics or to a pattern, not to both: DELETE its subscription first"
            }
            _ => {
                let is_in = !matches!(self.membership, Membership::Out);
                self.wants = Wants::Subscribed(wish);
                if is_in {
                    self.rejoin().await;
                }
                return Ok(());
            }
        };
        Err(illegal(text))
    }

    async fn unsubscribe(&mut self) -> Result<(), RestError> {
        self.end_reading();
        self.auto_commit().await;
        self.wants = Wants::Nothing;
        self.leave();
        Ok(())
    }

    fn leave(&mut self) {
        self.membership = Membership::Out;
        self.identity = (NO_GENERATION, String::new());
        self.partitions.clear();
    }

    async fn assign(&mut self, partitions: BTreeSet<TopicPartition>) -> Result<(), RestError> {
        if matches!(self.wants, Wants::Subscribed(_)) {
            return Err(illegal("the instance is subscribed: DELETE its subscription first"));
        }
        self.end_reading();
        self.wants = if partitions.is_empty() { Wants::Nothing } else { Wants::Assigned };
        self.take_over(partitions, true).await;
        Ok(())
    }

    /// Reads these partitions from now on; those that it had go on where they were.
    async fn take_over(&mut self, partitions: BTreeSet<TopicPartition>, keeps: bool) {
        let mut before = std::mem::take(&mut self.partitions);
        if !keeps {
            before.clear();
        }
        let position = |of: TopicPartition| (before.get(&of).copied().unwrap_or_default(), of);
        self.partitions = partitions.into_iter().map(position).map(|(position, of)| (of, position)).collect();
        // What can't be known yet is asked again by the next read, which says why.
        let _ = self.resolve().await;
    }

    /// Joins the group, anew if it is in it. What was read is handed out and committed before, for it may be another's to go on.
    async fn rejoin(&mut self) {
        if self.reading.as_ref().is_some_and(|reading| !reading.is_empty()) {
            self.end_reading();
        }
        self.auto_commit().await;
        self.looked_at = Instant::now();
        let topics = match topics_of(&*self.log, &self.wants).await {
            Ok(topics) => topics,
            Err(error) => return self.fail_reading(error),
        };
        let member = match std::mem::replace(&mut self.membership, Membership::Out) {
            Membership::In(_, member) => member,
            // A join under way is given up, and its member leaves.
            Membership::Out | Membership::Joining(..) => {
                Member::new(self.log.clone(), self.groups.clone(), self.group.clone(), self.settings.name.clone())
            }
        };
        self.membership = Membership::Joining(topics.clone(), member.join(topics).boxed());
    }

    async fn joined(&mut self, member: Member, outcome: Result<Assigned, GroupError>) {
        let Membership::Joining(topics, _) = std::mem::replace(&mut self.membership, Membership::Out) else { return };
        match outcome {
            Ok(assigned) => {
                self.identity = member.identity();
                self.membership = Membership::In(topics, member);
                (self.heartbeat_at, self.looked_at) = (Instant::now(), Instant::now());
                self.take_over(assigned.partitions, assigned.without_a_break).await;
                self.go_on().await;
            }
            Err(error) => {
                self.leave();
                self.fail_reading(RestError::of_group(&error));
            }
        }
    }

    /// Joins anew if there are other topics to read than it joined for, or to assign than it assigned.
    async fn look_at_topics(&mut self) {
        self.looked_at = Instant::now();
        let Membership::In(joined_for, member) = &self.membership else { return };
        let is_other = topics_of(&*self.log, &self.wants).await.is_ok_and(|topics| topics != *joined_for);
        if is_other || member.must_assign_anew().await {
            self.rejoin().await;
        }
    }

    async fn read(&mut self, request: ReadRequest, answer: Reply<Answer>) {
        if self.reading.as_ref().is_some_and(|reading| !reading.is_abandoned()) {
            return drop(answer.send(Err(illegal("another read of the instance is under way: send one at a time"))));
        }
        if matches!(self.wants, Wants::Nothing) {
            return drop(
                answer.send(Err(illegal("the instance is not subscribed: POST .../subscription or .../assignments first"))),
            );
        }
        self.reading = Some(Reading::new(request, answer, self.settings.format, self.settings.response_bytes_min));
        match self.membership {
            Membership::Out if matches!(self.wants, Wants::Subscribed(_)) => self.rejoin().await,
            Membership::In(..) if self.looked_at.elapsed() >= LOOK_AT_READ_EVERY => self.look_at_topics().await,
            _ => {}
        }
        self.go_on().await;
    }

    /// Goes on with the read that is under way.
    async fn go_on(&mut self) {
        let Some(mut reading) = self.reading.take().filter(|reading| !reading.is_abandoned()) else { return };
        // While the group finds itself anew, what was its own may be another's.
        if !matches!(self.membership, Membership::Joining(..))
            && let Err(error) = self.gather(&mut reading).await
            && reading.is_empty()
        {
            return reading.fail(error);
        }
        self.reading = Some(reading);
        if self.reading.as_ref().is_some_and(Reading::is_done) {
            self.end_reading();
        }
    }

    /// Takes what is there, partition by partition, until there is nothing more or it is enough.
    async fn gather(&mut self, reading: &mut Reading) -> Result<(), RestError> {
        self.resolve().await?;
        let mut turns: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        let first = self.last_first.as_ref().map_or(0, |last| turns.partition_point(|of| of <= last));
        let first = first % turns.len().max(1);
        turns.rotate_left(first);
        self.last_first = turns.first().cloned();
        loop {
            let mut has_more = false;
            for of in &turns {
                let Some(known) = self.partitions.get(of).and_then(|position| position.next) else { continue };
                let at = reading.positions.get(of).copied().unwrap_or(known);
                let (next, stop) = reading.take(&*self.log, of, at).await;
                has_more |= next > at;
                reading.positions.insert(of.clone(), next);
                match stop {
                    None => {}
                    Some(Stop::Enough) => return Ok(()),
                    Some(Stop::Failed(error)) => return Err(reading.broken(error)),
                    Some(Stop::Log(error)) if error.reason() == Some(Reason::OffsetOutOfRange) => {
                        match reset(&*self.log, self.settings.reset, of).await {
                            Ok(next) => {
                                reading.positions.remove(of);
                                self.partitions.entry(of.clone()).or_default().next = next;
                                has_more = true;
                            }
                            Err(error) => return Err(reading.broken(error)),
                        }
                    }
                    // The topic is gone: there is nothing to read of it.
                    Some(Stop::Log(error)) if error.kind() == ErrorKind::NotFound => {}
                    Some(Stop::Log(error)) => return Err(reading.broken(RestError::of(&error))),
                }
                if reading.is_done() {
                    return Ok(());
                }
            }
            if !has_more {
                break;
            }
        }
        reading.wait_for(&self.log, self.standing(reading));
        Ok(())
    }

    /// Where the partitions stand as far as the read has come.
    fn standing(&self, reading: &Reading) -> Vec<(TopicPartition, Offset)> {
        let at = |(of, position): (&TopicPartition, &Position)| {
            Some((of.clone(), reading.positions.get(of).copied().or(position.next)?))
        };
        self.partitions.iter().filter_map(at).collect()
    }

    /// Ends the read that is under way with what it has.
    fn end_reading(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        self.renew();
        for (of, next) in reading.finish() {
            if let Some(position) = self.partitions.get_mut(&of) {
                position.next = Some(next);
            }
        }
    }

    fn fail_reading(&mut self, error: RestError) {
        if let Some(reading) = self.reading.take() {
            self.renew();
            reading.fail(error);
        }
    }
}

/// The topics of a subscription: for a pattern those that are there.
async fn topics_of(log: &dyn Log, wants: &Wants) -> Result<BTreeSet<TopicName>, RestError> {
    match wants {
        Wants::Nothing | Wants::Assigned => Ok(BTreeSet::new()),
        Wants::Subscribed(Wish::Topics(topics)) => Ok(topics.clone()),
        Wants::Subscribed(Wish::Matching(pattern)) => {
            let all = log.topics().await.map_err(|error| RestError::of(&error))?;
            let names = all.into_iter().map(|topic| topic.name);
            Ok(names.filter(|name| pattern.matches(name.as_str())).collect())
        }
    }
}

fn illegal(text: &str) -> RestError {
    RestError::new(ILLEGAL_STATE, format!("Illegal state: {text}"))
}
