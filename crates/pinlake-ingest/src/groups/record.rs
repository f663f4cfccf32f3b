//! What the groups' topic holds: JSON records, one change each. It must not know how they are written or when. The state is what the
//! records make of it, one after another (see the state).

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pinlake_core::{TopicName, TopicPartition};
use serde::{Deserialize, Serialize};

use super::calls::GroupId;

/// One record of the groups' topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A group's members and generation, at a time in milliseconds.
    Group { group: GroupId, at_ms: i64, members: StoredGroup },
    /// Offsets of a group.
    Offsets { group: GroupId, offsets: Vec<StoredOffset> },
    /// Offsets that a transaction will commit or forget.
    Staged { producer: i64, epoch: i16, group: GroupId, offsets: Vec<StoredOffset> },
    /// The end of a producer's transaction.
    Finished { producer: i64, commit: bool },
    /// A group is gone, with its offsets.
    GroupDeleted { group: GroupId },
    /// Offsets of a group are gone.
    OffsetsDeleted { group: GroupId, partitions: Vec<TopicPartition> },
    /// A topic is gone, and so are all offsets of it.
    TopicDeleted { topic: TopicName },
}

/// A group as it must survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredGroup {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: Vec<StoredMember>,
}

/// One of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    pub(crate) member_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: u64,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) protocols: Vec<StoredProtocol>,
    #[serde(with = "base64_bytes")]
    pub(crate) assignment: Bytes,
}

/// What it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredProtocol {
    pub(crate) name: String,
    #[serde(with = "base64_bytes")]
    pub(crate) metadata: Bytes,
}

/// An offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOffset {
    #[serde(flatten)]
    pub(crate) of: TopicPartition,
    pub(crate) offset: i64,
    #[serde(default = "no_epoch", skip_serializing_if = "is_no_epoch")]
    pub(crate) leader_epoch: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) metadata: String,
    pub(crate) at_ms: i64,
    /// Where the record stands that brought it, if not this one: in a snapshot. The later one of two offsets counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<i64>,
}

fn no_epoch() -> i32 {
    -1
}

fn is_no_epoch(epoch: &i32) -> bool {
    *epoch == no_epoch()
}

mod base64_bytes {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::{BASE64_STANDARD, Bytes, Cow, Deserialize, Engine};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        BASE64_STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
    }
}
