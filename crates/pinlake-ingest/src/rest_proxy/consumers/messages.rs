//! What can be asked of an instance: plain data, checked as far as it can be without the instance.

use std::collections::BTreeSet;

use bytes::Bytes;
use pinlake_core::{Offset, Timestamp, TopicName, TopicPartition};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pattern::Pattern;
use crate::groups::calls::{CommittedOffset, NewOffset};
use crate::limits::Permit;
use crate::rest_proxy::error::RestError;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, RestError>>;

/// One question.
pub(super) enum Message {
    Subscribe(Wish, Reply<()>),
    Unsubscribe(Reply<()>),
    Subscription(Reply<BTreeSet<TopicName>>),
    Assign(BTreeSet<TopicPartition>, Reply<()>),
    Assignment(Reply<BTreeSet<TopicPartition>>),
    Seek(Vec<(TopicPartition, SeekTo)>, Reply<()>),
    /// Offsets to commit; all that was read if none are named.
    Commit(Option<Vec<(TopicPartition, NewOffset)>>, Reply<()>),
    /// What the group has committed of these partitions; of those it reads if none are named.
    Committed(Option<Vec<TopicPartition>>, Reply<Vec<(TopicPartition, CommittedOffset)>>),
    Read(ReadRequest, Reply<Answer>),
    Close(Reply<()>),
}

/// What an instance wants to read as a member of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Topics(BTreeSet<TopicName>),
    Matching(Pattern),
}

/// Where a partition is read on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeekTo {
    Offset(Offset),
    /// The first record of that time or later.
    Time(Timestamp),
    Beginning,
    End,
}

/// A call of `GET .../records`.
pub(super) struct ReadRequest {
    pub(super) until: Instant,
    /// The most bytes of keys and values; one record at least.
    pub(super) bytes_max: usize,
    /// Holds the bytes of the answer.
    pub(super) permit: Permit,
}

/// Records as JSON. The permit goes when the bytes do.
pub(super) struct Answer {
    text: Vec<u8>,
    _permit: Permit,
}

impl Answer {
    pub(super) fn new(text: Vec<u8>, permit: Permit) -> Self {
        Self { text, _permit: permit }
    }

    /// The text; its memory counts until it is sent.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}
