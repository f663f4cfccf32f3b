//! What all connections of the wire protocol share: the log behind the doors' producer, groups, transactions, and who this broker says it is.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pinlake_core::{Log, TopicId};
use tokio::sync::Semaphore;

use super::room::Answers;
use super::settings::KafkaSettings;
use crate::groups::Groups;
use crate::produce::Producer;
use crate::transactions::Transactions;

/// The one broker's number.
pub(crate) const NODE_ID: i32 = 1;
/// The epoch of the one leader that every partition ever has.
pub(super) const LEADER_EPOCH: i32 = 0;

/// Compressed batches that are unpacked at the same moment, each up to [`pinlake_core::batch::UNPACKED_BYTES_MAX`]; more wait.
const UNPACKED_AT_ONCE_MAX: usize = 4;

/// One broker, which is the whole cluster.
pub struct Broker {
    pub(super) producer: Arc<Producer>,
    pub(super) groups: Groups,
    pub(super) transactions: Transactions,
    pub(super) settings: KafkaSettings,
    pub(super) cluster_id: String,
    /// Bytes of requests that may still be read.
    pub(super) room: Arc<Semaphore>,
    /// Bytes of batches that may still be handed to the log.
    pub(super) appending: Arc<Semaphore>,
    /// Batches that may still be unpacked at the same moment.
    pub(super) unpacking: Arc<Semaphore>,
    /// Room for what fetches have read.
    pub(super) answers: Answers,
}

impl Broker {
    /// A broker on the log that the doors' `producer` writes to.
    ///
    /// # Errors
    /// The log's own.
    pub async fn new(
        producer: Arc<Producer>,
        groups: Groups,
        transactions: Transactions,
        settings: KafkaSettings,
    ) -> pinlake_core::Result<Self> {
        let cluster_id = cluster_id(&groups).await?;
        let room = Arc::new(Semaphore::new(settings.inflight_bytes_max));
        let appending = Arc::new(Semaphore::new(settings.appending_bytes_max));
        let unpacking = Arc::new(Semaphore::new(UNPACKED_AT_ONCE_MAX));
        let answers = Answers::new(settings.inflight_bytes_max);
        Ok(Self { producer, groups, transactions, settings, cluster_id, room, appending, unpacking, answers })
    }

    pub(super) fn log(&self) -> &Arc<dyn Log> {
        self.producer.log()
    }

    /// Where a client that has connected to `local` finds this broker.
    pub(super) fn address(&self, local: SocketAddr) -> (String, u16) {
        self.settings.advertised.clone().unwrap_or_else(|| (local.ip().to_canonical().to_string(), local.port()))
    }
}

/// The cluster's id, which lasts as long as its log: that of the topic which keeps the groups.
pub async fn cluster_id(groups: &Groups) -> pinlake_core::Result<String> {
    Ok(encode_id(groups.topic_id().await?))
}

/// An id as Kafka writes it: 22 characters of base64.
fn encode_id(id: TopicId) -> String {
    URL_SAFE_NO_PAD.encode(id.0.as_bytes())
}
