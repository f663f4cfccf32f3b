//! What is known of the cluster: its brokers, its topics and their leaders. Pure: it is told what brokers answered and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use pinlake_core::{Error, TopicId, TopicName, TopicSpec};
use ring::digest;
use tokio::time::Instant;

use super::error;

/// A topic that was not there is looked for again after so long.
pub(super) const ABSENT_AGE: Duration = Duration::from_secs(1);
/// How many topics are remembered, those that are not there among them.
const TOPICS_MAX: usize = 20_000;

const UNKNOWN_TOPIC: i16 = 3;
const NO_LEADER: i16 = 5;

/// The cluster as brokers told it last.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) cluster_id: Option<String>,
    pub(super) controller: Option<i32>,
    pub(super) nodes: BTreeMap<i32, String>,
    topics: HashMap<TopicName, Seen>,
}

/// What was told of a topic.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// When it was asked for.
    pub(super) asked: Instant,
    /// The topic, if it is there, or why it can't be told.
    pub(super) topic: Result<Option<Topic>, Error>,
}

/// A topic of the cluster.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    /// It is the brokers' own.
    pub(super) is_internal: bool,
    /// The node that leads each partition; none while one is elected.
    pub(super) leaders: Arc<BTreeMap<u32, Option<i32>>>,
    /// Its settings and when they were asked for.
    pub(super) spec: Option<(Instant, TopicSpec)>,
}

impl View {
    /// Takes note of an answer to a question that was asked at `asked`; answers the names of the topics in it.
    pub(super) fn learn(&mut self, response: &MetadataResponse, asked: Instant) -> Vec<TopicName> {
        if !response.brokers.is_empty() {
            let address =
                |host: &str, port: i32| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            self.nodes = response.brokers.iter().map(|node| (node.node_id.0, address(&node.host, node.port))).collect();
        }
        self.cluster_id = response.cluster_id.as_ref().map(|id| id.as_str().to_owned()).or(self.cluster_id.take());
        self.controller = Some(response.controller_id.0).filter(|id| *id >= 0);
        if self.topics.len() + response.topics.len() > TOPICS_MAX {
            self.topics.clear();
        }
        let mut names = Vec::with_capacity(response.topics.len());
        for told in &response.topics {
            let Some(name) = told.name.as_ref().and_then(|name| TopicName::new(name).ok()) else { continue };
            let topic = match told.error_code {
                0 | NO_LEADER => Ok(Some(self.topic_of(&name, told))),
                UNKNOWN_TOPIC => Ok(None),
                code => Err(error::of(code, format!("topic '{name}' can't be looked up"), None)),
            };
            self.topics.insert(name.clone(), Seen { asked, topic });
            names.push(name);
        }
        names
    }

    pub(super) fn seen(&self, name: &TopicName) -> Option<&Seen> {
        self.topics.get(name)
    }

    /// Takes note of a topic's settings, as they were when asked for.
    pub(super) fn describe(&mut self, name: &TopicName, asked: Instant, spec: TopicSpec) {
        if let Some(Seen { topic: Ok(Some(topic)), .. }) = self.topics.get_mut(name) {
            topic.spec = Some((asked, spec));
        }
    }

    /// Forgets what is known of a topic.
    pub(super) fn forget(&mut self, name: &TopicName) {
        self.topics.remove(name);
    }

    fn topic_of(&self, name: &TopicName, told: &MetadataResponseTopic) -> Topic {
        let leader = |id: i32| (id >= 0).then_some(id);
        let partitions = told
            .partitions
            .iter()
            .filter_map(|partition| Some((u32::try_from(partition.partition_index).ok()?, leader(partition.leader_id.0))));
        let id = if told.topic_id.is_nil() { id_of_name(name) } else { TopicId(told.topic_id) };
        let spec = match self.topics.get(name) {
            Some(Seen { topic: Ok(Some(known)), .. }) if known.id == id => known.spec.clone(),
            _ => None,
        };
        Topic { id, is_internal: told.is_internal, leaders: Arc::new(partitions.collect()), spec }
    }
}

/// Brokers before Kafka 2.8 give topics no ids: the name stands for one.
fn id_of_name(name: &TopicName) -> TopicId {
    let hash = digest::digest(&digest::SHA256, name.as_str().as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_ref()[..16]);
    TopicId::of_name(id)
}
