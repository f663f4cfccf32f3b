//! One member of a group: what it brought, what it is assigned, and when it was last heard of. It must not decide about the group.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Token;
use crate::groups::calls::{JoinRequest, MemberDescription, Protocol};
use crate::groups::record::{StoredMember, StoredProtocol};

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Option<String>,
    client_id: String,
    client_host: String,
    session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// The caller that waits for the next generation.
    pub(super) joining: Option<Token>,
    /// The caller that waits for its assignment.
    pub(super) syncing: Option<Token>,
    /// Whether its client has not been told its id, and so can't come back to it.
    pub(super) is_nameless: bool,
    /// Whether it has asked for its assignment in this generation.
    pub(super) synced: bool,
    expires: Instant,
}

impl Member {
    /// A member that joins for the first time.
    pub(super) fn new(request: JoinRequest, caller: Token, expires: Instant) -> Self {
        Self {
            is_nameless: request.member_id.is_empty() && request.group_instance_id.is_none(),
            instance: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: bounded(request.session_timeout),
            rebalance_timeout: bounded(request.rebalance_timeout),
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(caller),
            syncing: None,
            synced: false,
            expires,
        }
    }

    /// A member as it was stored, and its id.
    pub(super) fn restore(stored: StoredMember, now: Instant) -> (String, Self) {
        let protocol = |stored: StoredProtocol| Protocol { name: stored.name, metadata: stored.metadata };
        let session_timeout = bounded(Duration::from_millis(stored.session_timeout_ms));
        let member = Self {
            instance: stored.group_instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            session_timeout,
            rebalance_timeout: bounded(Duration::from_millis(stored.rebalance_timeout_ms)),
            protocols: stored.protocols.into_iter().map(protocol).collect(),
            assignment: stored.assignment,
            joining: None,
            syncing: None,
            is_nameless: false,
            synced: true,
            expires: now + session_timeout,
        };
        (stored.member_id, member)
    }

    pub(super) fn to_store(&self, id: &str) -> StoredMember {
        let protocol = |protocol: &Protocol| StoredProtocol { name: protocol.name.clone(), metadata: protocol.metadata.clone() };
        StoredMember {
            member_id: id.to_owned(),
            group_instance_id: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: u64::try_from(self.session_timeout.as_millis()).unwrap_or(u64::MAX),
            rebalance_timeout_ms: u64::try_from(self.rebalance_timeout.as_millis()).unwrap_or(u64::MAX),
            protocols: self.protocols.iter().map(protocol).collect(),
            assignment: self.assignment.clone(),
        }
    }

    /// Takes what a later join brings.
    pub(super) fn update(&mut self, request: JoinRequest) {
        self.client_id = request.client_id;
        self.client_host = request.client_host;
        self.session_timeout = bounded(request.session_timeout);
        self.rebalance_timeout = bounded(request.rebalance_timeout);
        self.protocols = request.protocols;
    }

    /// It was heard of.
    pub(super) fn touch(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// When it counts as gone if nothing is heard of it; never while it waits for an answer and could ask again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.is_nameless || !waits).then_some(self.expires)
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|at| now >= at)
    }

    /// Whether it could work by that protocol.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.protocols.iter().any(|protocol| protocol.name == name)
    }

    /// Whether it offered just this, in this order.
    pub(super) fn offers_exactly(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }

    /// Its protocols, the one it likes best first.
    pub(super) fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(|protocol| protocol.name.as_str())
    }

    /// What it says for a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|offered| offered.name == protocol);
        found.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    /// Whether a consumer subscribes to a topic; yes if it does not say so in a way that is understood.
    pub(super) fn reads(&self, topic: &str) -> bool {
        let names = |protocol: &Protocol| subscription_names(&protocol.metadata, topic.as_bytes()).unwrap_or(true);
        self.protocols.iter().any(names)
    }

    pub(super) fn describe(&self, id: &str, protocol: Option<&str>) -> MemberDescription {
        MemberDescription {
            member_id: id.to_owned(),
            group_instance_id: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol.map(|protocol| self.metadata(protocol)).unwrap_or_default(),
            assignment: protocol.map(|_| self.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.protocols, self.instance.as_deref(), &self.client_id, &self.client_host) + self.assignment.len()
    }
}

/// A client may claim any time; what is bounded can be added to any moment and never makes a timer spin.
fn bounded(timeout: Duration) -> Duration {
    timeout.clamp(Duration::from_secs(1), Duration::from_secs(30 * 24 * 3600))
}

/// Bytes that the member of a request takes.
pub(crate) fn bytes_of(request: &JoinRequest) -> usize {
    bytes(&request.protocols, request.group_instance_id.as_deref(), &request.client_id, &request.client_host)
}

fn bytes(protocols: &[Protocol], instance: Option<&str>, client_id: &str, client_host: &str) -> usize {
    let protocols: usize = protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum();
    // The client's name is in the member's id as well.
    protocols + instance.map_or(0, str::len) + 2 * client_id.len() + client_host.len()
}

/// Whether a consumer's subscription names a topic: the version, then the topics as an array of strings (Kafka's
/// `ConsumerProtocolSubscription`, which all versions begin with). `None` if it can't be read.
fn subscription_names(metadata: &[u8], topic: &[u8]) -> Option<bool> {
    let rest = metadata.get(2..)?;
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u32::from_be_bytes(*count) {
        let (len, behind) = rest.split_first_chunk()?;
        let (name, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        if name == topic {
            return Some(true);
        }
        rest = behind;
    }
    Some(false)
}
