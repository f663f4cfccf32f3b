//! Which APIs are served, in which versions: the table that ApiVersions answers and requests are held against.
//!
//! Source: the Kafka protocol guide. Some clients infer from version 0 of Produce, JoinGroup and OffsetCommit what the server can do, so those
//! are told from 0 on, as Kafka does; what lies below `served_from` is answered UNSUPPORTED_VERSION.

use std::collections::HashMap;
use std::sync::LazyLock;

use kafka_protocol::messages::ApiKey;

/// An API and its versions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api {
    pub(super) key: ApiKey,
    /// The first version that is told.
    pub(super) told_from: i16,
    /// The first version that the codec knows.
    pub(super) served_from: i16,
    pub(super) to: i16,
}

const fn api(key: ApiKey, from: i16, to: i16) -> Api {
    Api { key, told_from: from, served_from: from, to }
}

const fn from_zero(key: ApiKey, served_from: i16, to: i16) -> Api {
    Api { key, told_from: 0, served_from, to }
}

/// All that is served, by key.
pub(super) const APIS: &[Api] = &[
    from_zero(ApiKey::Produce, 3, 11),
    api(ApiKey::Fetch, 4, 16),
    api(ApiKey::ListOffsets, 1, 8),
    api(ApiKey::Metadata, 0, 12),
    from_zero(ApiKey::OffsetCommit, 2, 9),
    api(ApiKey::OffsetFetch, 1, 9),
    api(ApiKey::FindCoordinator, 0, 4),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 5),
    api(ApiKey::ListGroups, 0, 5),
    // Version 0 goes on without frames, which nobody needs any more; librdkafka asks for it to be there all the same.
    from_zero(ApiKey::SaslHandshake, 1, 1),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 4),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::AddPartitionsToTxn, 0, 3),
    api(ApiKey::AddOffsetsToTxn, 0, 3),
    api(ApiKey::EndTxn, 0, 3),
    api(ApiKey::TxnOffsetCommit, 0, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::DescribeLogDirs, 1, 4),
    api(ApiKey::SaslAuthenticate, 0, 2),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeCluster, 0, 1),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::DescribeTransactions, 0, 0),
    api(ApiKey::ListTransactions, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
];

static NAMES: LazyLock<HashMap<i16, String>> =
    LazyLock::new(|| APIS.iter().map(|api| (api.key as i16, format!("{:?}", api.key))).collect());

/// The API with this key, if it is served.
pub(super) fn find(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == key)
}

impl Api {
    /// Its name, as the protocol guide has it.
    pub(super) fn name(&self) -> &'static str {
        NAMES.get(&(self.key as i16)).map_or("other", |name| name)
    }

    /// Whether requests of `version` are decoded.
    pub(super) fn serves(&self, version: i16) -> bool {
        (self.served_from..=self.to).contains(&version)
    }
}
