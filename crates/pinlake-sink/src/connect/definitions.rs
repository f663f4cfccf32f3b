//! The settings of the S3 sink connector, as a table. What a setting of Confluent's does that Pinlake does not is refused with a reason, or its
//! documentation says that it is ignored.

mod common;
mod connector;
mod s3;
mod storage;

use super::setting::Group;

/// All groups, in the order in which they are shown.
pub(super) const GROUPS: &[Group] = &[
    common::COMMON,
    common::TRANSFORMS,
    common::PREDICATES,
    common::ERRORS,
    connector::CONNECTOR,
    s3::S3,
    s3::KEYS_AND_HEADERS,
    storage::STORAGE,
    storage::PARTITIONER,
];
