//! The brokers of a cluster: which there are, who leads a partition, and asking them until one answers. It must not know what an append or a
//! read is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Clock, Error, ErrorKind, Result, TopicName, TopicPartition};
use tokio::time::{Instant, sleep, timeout};

use super::broker::Broker;
use super::error::{self, Failure};
use super::meters::Meters;
use super::open::Opener;
use super::options::ClusterOptions;
use super::retry::{Attempts, Trouble};
use super::throttle::Asked;
use super::versions::ApiRange;
use super::view::{ABSENT_AGE, Seen, Topic, View};

/// How many brokers are asked before a pause.
const BROKERS_ASKED: usize = 3;
/// A topic that was there and is not told any more is asked for again after so long: a broker that has just started does not know all yet.
const GONE_PAUSE: Duration = Duration::from_millis(250);

/// A cluster as it answers now.
#[derive(Debug, Clone)]
pub struct ClusterInfo {
    /// The cluster's id, if it has one.
    pub cluster_id: Option<String>,
    /// The broker that decides on topics.
    pub controller: Option<i32>,
    /// All brokers that the cluster names.
    pub brokers: Vec<BrokerInfo>,
}

/// One broker, tried.
#[derive(Debug, Clone)]
pub struct BrokerInfo {
    /// Its id.
    pub id: i32,
    /// Where it says that it is.
    pub address: String,
    /// What it speaks, or why it can't be used.
    pub versions: Result<Vec<ApiRange>>,
}

/// A cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    opener: Arc<Opener>,
    trouble: Arc<Trouble>,
    view: Mutex<View>,
    brokers: Mutex<HashMap<String, Arc<Broker>>>,
    /// Held by whoever asks for metadata.
    asking: tokio::sync::Mutex<()>,
    /// Held by whoever asks for a topic's settings.
    pub(super) describing: tokio::sync::Mutex<()>,
    /// Which broker is asked first of what all know.
    turn: AtomicUsize,
    /// Whether it was said that topics are taken to have Kafka's defaults.
    untold: AtomicBool,
}

impl Cluster {
    /// Reaches one of the brokers and learns the others.
    pub(super) async fn connect(options: ClusterOptions, clock: Clock) -> Result<Self> {
        let opener = Arc::new(Opener::new(options, clock)?);
        let (view, brokers, turn) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
        let (asking, describing) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        let trouble = Arc::new(Trouble::new(&opener.meters));
        let cluster = Self { opener, trouble, view, brokers, asking, describing, turn, untold: AtomicBool::new(false) };
        let mut attempts = cluster.attempts();
        loop {
            let error = match attempts.in_time(cluster.ask_metadata(Some(&[]))).await {
                Ok(_) => return Ok(cluster),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Lost(error)) if cluster.options().security.login.is_none() => {
                    Error::retry(format!("{error}; if it wants a login, set log.kafka.security.sasl.mechanism"))
                }
                Err(failure) => failure.into_error(),
            };
            attempts.pause_after(error).await?;
        }
    }

    pub(super) fn options(&self) -> &ClusterOptions {
        &self.opener.options
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.opener.meters
    }

    /// The attempts of one call.
    pub(super) fn attempts(&self) -> Attempts {
        Attempts::within(self.options().request_timeout, &self.trouble)
    }

    /// Asks any broker whether it is there, for so long at most. A connection that has just ended is worth a second try.
    pub(super) async fn reach(&self, within: Duration) -> Result<()> {
        let ask = async || match self.ask_metadata(Some(&[])).await {
            Err(Failure::Lost(_)) => self.ask_metadata(Some(&[])).await,
            asked => asked,
        };
        match timeout(within, ask()).await {
            Ok(asked) => asked.map(drop).map_err(Failure::into_error),
            Err(_) => Err(self.away(&Error::retry(format!("no broker has answered within {} ms", within.as_millis())))),
        }
    }

    /// No broker answers. While none ever has, whoever connects says where to.
    fn away(&self, error: &Error) -> Error {
        if self.view().nodes.is_empty() {
            return error.clone();
        }
        Error::retry(format!("the cluster at {} is away: {error}", self.options().brokers.join(", ")))
    }

    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks each broker of the cluster what it speaks.
    pub(super) async fn check(&self) -> Result<ClusterInfo> {
        self.attempts().in_time(self.ask_metadata(Some(&[]))).await.map_err(Failure::into_error)?;
        let (cluster_id, controller, nodes) = {
            let view = self.view();
            (view.cluster_id.clone(), view.controller, view.nodes.clone())
        };
        let tried = nodes.into_iter().map(|(id, address)| async move {
            let connection = self.broker(&address).main().await;
            let versions = connection.map(|connection| connection.versions.ranges()).map_err(Failure::into_error);
            BrokerInfo { id, address, versions }
        });
        Ok(ClusterInfo { cluster_id, controller, brokers: join_all(tried).await })
    }

    /// Asks any broker for topics, all if none are named, and takes note of the answer; answers the names in it.
    pub(super) async fn ask_metadata(&self, topics: Option<&[TopicName]>) -> Result<Vec<TopicName>, Failure> {
        let topic = |name: &TopicName| MetadataRequestTopic::default().with_name(Some(wire_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|names| names.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false);
        let asked = Instant::now();
        let answer = self.call_any(&request).await?;
        let (names, nodes) = {
            let mut view = self.view();
            (view.learn(&answer, asked), view.nodes.clone())
        };
        let bootstrap = &self.options().brokers;
        self.brokers_now().retain(|address, _| bootstrap.contains(address) || nodes.values().any(|node| node == address));
        Ok(names)
    }

    /// Looks a topic up, unless somebody else does who asks later than this.
    pub(super) async fn look_up(&self, name: &TopicName) -> Result<(), Failure> {
        let began = Instant::now();
        let limit = self.options().answer_timeout;
        let late =
            |_| Failure::Unsent(Error::retry(format!("no broker tells of topic '{name}' within {} ms", limit.as_millis())));
        let _asking = timeout(limit, self.asking.lock()).await.map_err(late)?;
        if self.view().seen(name).is_some_and(|seen| seen.asked >= began) {
            return Ok(());
        }
        let was_there = self.is_there(name);
        let asked = std::slice::from_ref(name);
        self.ask_metadata(Some(asked)).await?;
        if self.view().seen(name).is_none_or(|seen| !matches!(seen.topic, Ok(None))) {
            return Ok(());
        }
        // That it is not there is believed the second time, and of another broker if there is one.
        self.turn.fetch_add(1, Ordering::Relaxed);
        if was_there {
            sleep(GONE_PAUSE).await;
        }
        self.ask_metadata(Some(asked)).await.map(drop)
    }

    fn is_there(&self, name: &TopicName) -> bool {
        self.view().seen(name).is_some_and(|seen| matches!(seen.topic, Ok(Some(_))))
    }

    /// A topic as it is known, looked up if it is not.
    ///
    /// # Errors
    /// `Fatal` with `NotFound` if it is not there.
    pub(super) async fn topic(&self, name: &TopicName) -> Result<Topic, Failure> {
        if !self.is_known(name) {
            self.look_up(name).await?;
        }
        match self.view().seen(name).map(|seen| seen.topic.clone()) {
            Some(Ok(Some(topic))) => Ok(topic),
            Some(Err(error)) if error.kind() == ErrorKind::Retry => Err(Failure::Unsent(error)),
            Some(Err(error)) => Err(Failure::Fatal(error)),
            Some(Ok(None)) => Err(Failure::Fatal(no_topic(name))),
            None => Err(Failure::Unsent(Error::retry(format!("no broker tells of topic '{name}'")))),
        }
    }

    fn is_known(&self, name: &TopicName) -> bool {
        match self.view().seen(name) {
            Some(Seen { topic: Ok(Some(_)), .. }) => true,
            Some(seen) => seen.asked.elapsed() < ABSENT_AGE,
            None => false,
        }
    }

    /// Who leads a partition.
    ///
    /// # Errors
    /// `Fatal` with `NotFound` if it is not there, `Unsent` while nobody does.
    pub(super) async fn leader(&self, of: &TopicPartition) -> Result<Arc<Broker>, Failure> {
        let number = of.partition.0;
        let mut topic = self.topic(&of.topic).await?;
        let is_fresh = || self.view().seen(&of.topic).is_some_and(|seen| seen.asked.elapsed() < ABSENT_AGE);
        // It may have been added since.
        if !topic.leaders.contains_key(&number) && !is_fresh() {
            self.look_up(&of.topic).await?;
            topic = self.topic(&of.topic).await?;
        }
        let Some(leader) = topic.leaders.get(&number) else {
            let text = format!("topic '{}' has no partition {number}: it has {}", of.topic, topic.leaders.len());
            return Err(Failure::Fatal(Error::not_found(text)));
        };
        let address = leader.and_then(|node| self.view().nodes.get(&node).cloned());
        match address {
            Some(address) => Ok(self.broker(&address)),
            None => Err(Failure::Unsent(Error::retry(format!("nobody leads {of} at the moment")))),
        }
    }

    /// The broker that decides on topics.
    pub(super) async fn controller(&self) -> Result<Arc<Broker>, Failure> {
        let address = || {
            let view = self.view();
            view.controller.and_then(|id| view.nodes.get(&id)).cloned()
        };
        let mut found = address();
        if found.is_none() {
            self.ask_metadata(Some(&[])).await?;
            found = address();
        }
        let address = found.ok_or_else(|| Failure::Unsent(Error::retry("the cluster has no controller at the moment")))?;
        Ok(self.broker(&address))
    }

    /// Asks what every broker knows.
    pub(super) async fn call_any<R: Asked>(&self, request: &R) -> Result<R::Response, Failure> {
        let mut addresses: Vec<String> = self.view().nodes.values().cloned().collect();
        addresses
            .extend(self.options().brokers.iter().filter(|address| !addresses.contains(*address)).cloned().collect::<Vec<_>>());
        let first = self.turn.load(Ordering::Relaxed) % addresses.len().max(1);
        let (mut refused, mut passing) = (None, None);
        for address in addresses.iter().cycle().skip(first).take(BROKERS_ASKED.min(addresses.len())) {
            match self.broker(address).call(request).await {
                Ok(answer) => return Ok(answer),
                // One that refuses us may be wrong where another is not.
                Err(Failure::Fatal(error)) => refused = Some(error),
                Err(failure) => passing = Some(failure),
            }
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        Err(match refused {
            Some(refused) => Failure::Fatal(refused),
            None => match passing.unwrap_or_else(|| Failure::Unsent(Error::retry("the cluster has no broker"))) {
                Failure::Lost(error) => Failure::Lost(self.away(&error)),
                other => Failure::Unsent(self.away(&other.into_error())),
            },
        })
    }

    /// Asks a partition's leader, again and again until it is decided. `take` finds the partition's code and what it comes with.
    /// For what may be done twice.
    pub(super) async fn ask_leader<R: Asked, T>(
        &self,
        of: &TopicPartition,
        what: &str,
        request: &R,
        take: impl Fn(R::Response) -> Option<(i16, T)>,
    ) -> Result<T> {
        let mut attempts = self.attempts();
        loop {
            let ask = async { self.leader(of).await?.call(request).await };
            let error = match attempts.in_time(ask).await.map(&take) {
                Ok(Some((0, answer))) => return Ok(answer),
                Ok(Some((code, _))) => {
                    let error = error::of(code, format!("{what} of {of} failed"), None);
                    if !error::passes(code) {
                        return Err(error);
                    }
                    error
                }
                Ok(None) => Error::retry(format!("{what} of {of} failed: the broker answers for another partition")),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(failure) => failure.into_error(),
            };
            attempts.pause_after(error).await?;
            self.look_up_anew(&attempts, &of.topic).await?;
        }
    }

    /// Says once that the settings of topics are not told, which nothing fails for.
    pub(super) fn say_untold(&self, error: &Error) {
        if !self.untold.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %error,
                "topics are taken to have Kafka's default settings, batches of 1 MiB at most among them: allow this login to describe the \
                 settings of topics (DescribeConfigs)"
            );
        }
    }

    /// Looks a topic up after its leader refused or went away. What can't be looked up now may be later.
    pub(super) async fn look_up_anew(&self, attempts: &Attempts, name: &TopicName) -> Result<()> {
        match attempts.in_time(self.look_up(name)).await {
            Err(Failure::Fatal(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn broker(&self, address: &str) -> Arc<Broker> {
        let mut brokers = self.brokers_now();
        if let Some(broker) = brokers.get(address) {
            return broker.clone();
        }
        let broker = Arc::new(Broker::new(address, self.opener.clone()));
        brokers.insert(address.to_owned(), broker.clone());
        broker
    }

    fn brokers_now(&self) -> MutexGuard<'_, HashMap<String, Arc<Broker>>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A topic's name on the wire.
pub(super) fn wire_name(name: &TopicName) -> kafka_protocol::messages::TopicName {
    kafka_protocol::messages::TopicName(StrBytes::from_string(name.as_str().to_owned()))
}

/// A partition's number on the wire.
pub(super) fn wire_partition(of: &TopicPartition) -> Result<i32> {
    i32::try_from(of.partition.0).map_err(|_| Error::not_found(format!("{of} can't be: partitions are numbered to 2^31")))
}

pub(super) fn no_topic(name: &TopicName) -> Error {
    Error::not_found(format!("topic '{name}' does not exist"))
}
