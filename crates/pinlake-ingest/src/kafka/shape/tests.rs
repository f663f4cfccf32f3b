//! Requests that are made by the shapes are what the codec decodes, in every version that is served; and what claims more than it has is
//! refused before the codec sees it.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use pinlake_core::testing::shape_contract;

use super::*;
use crate::kafka::versions::APIS;

/// Decodes with the codec; says how much is left.
fn decode(key: i16, version: i16, body: &[u8]) -> Result<usize, String> {
    fn whole<R: Decodable>(body: &[u8], version: i16) -> Result<usize, String> {
        let mut body = Bytes::copy_from_slice(body);
        R::decode(&mut body, version).map_err(|error| error.to_string())?;
        Ok(body.remaining())
    }
    match ApiKey::try_from(key).expect("an API of Kafka's") {
        ApiKey::Produce => whole::<ProduceRequest>(body, version),
        ApiKey::Fetch => whole::<FetchRequest>(body, version),
        ApiKey::ListOffsets => whole::<ListOffsetsRequest>(body, version),
        ApiKey::Metadata => whole::<MetadataRequest>(body, version),
        ApiKey::OffsetCommit => whole::<OffsetCommitRequest>(body, version),
        ApiKey::OffsetFetch => whole::<OffsetFetchRequest>(body, version),
        ApiKey::FindCoordinator => whole::<FindCoordinatorRequest>(body, version),
        ApiKey::JoinGroup => whole::<JoinGroupRequest>(body, version),
        ApiKey::Heartbeat => whole::<HeartbeatRequest>(body, version),
        ApiKey::LeaveGroup => whole::<LeaveGroupRequest>(body, version),
        ApiKey::SyncGroup => whole::<SyncGroupRequest>(body, version),
        ApiKey::DescribeGroups => whole::<DescribeGroupsRequest>(body, version),
        ApiKey::ListGroups => whole::<ListGroupsRequest>(body, version),
        ApiKey::SaslHandshake => whole::<SaslHandshakeRequest>(body, version),
        ApiKey::ApiVersions => whole::<ApiVersionsRequest>(body, version),
        ApiKey::CreateTopics => whole::<CreateTopicsRequest>(body, version),
        ApiKey::DeleteTopics => whole::<DeleteTopicsRequest>(body, version),
        ApiKey::DeleteRecords => whole::<DeleteRecordsRequest>(body, version),
        ApiKey::InitProducerId => whole::<InitProducerIdRequest>(body, version),
        ApiKey::OffsetForLeaderEpoch => whole::<OffsetForLeaderEpochRequest>(body, version),
        ApiKey::AddPartitionsToTxn => whole::<AddPartitionsToTxnRequest>(body, version),
        ApiKey::AddOffsetsToTxn => whole::<AddOffsetsToTxnRequest>(body, version),
        ApiKey::EndTxn => whole::<EndTxnRequest>(body, version),
        ApiKey::TxnOffsetCommit => whole::<TxnOffsetCommitRequest>(body, version),
        ApiKey::DescribeConfigs => whole::<DescribeConfigsRequest>(body, version),
        ApiKey::AlterConfigs => whole::<AlterConfigsRequest>(body, version),
        ApiKey::DescribeLogDirs => whole::<DescribeLogDirsRequest>(body, version),
        ApiKey::SaslAuthenticate => whole::<SaslAuthenticateRequest>(body, version),
        ApiKey::CreatePartitions => whole::<CreatePartitionsRequest>(body, version),
        ApiKey::DeleteGroups => whole::<DeleteGroupsRequest>(body, version),
        ApiKey::IncrementalAlterConfigs => whole::<IncrementalAlterConfigsRequest>(body, version),
        ApiKey::OffsetDelete => whole::<OffsetDeleteRequest>(body, version),
        ApiKey::DescribeCluster => whole::<DescribeClusterRequest>(body, version),
        ApiKey::DescribeProducers => whole::<DescribeProducersRequest>(body, version),
        ApiKey::DescribeTransactions => whole::<DescribeTransactionsRequest>(body, version),
        ApiKey::ListTransactions => whole::<ListTransactionsRequest>(body, version),
        ApiKey::DescribeTopicPartitions => whole::<DescribeTopicPartitionsRequest>(body, version),
        other => panic!("{other:?} is served and not decoded here"),
    }
}

fn every_version() -> Vec<(i16, i16)> {
    APIS.iter().flat_map(|api| (api.served_from..=api.to).map(|version| (api.key as i16, version))).collect()
}

#[test]
fn what_has_the_shape_is_what_the_codec_decodes() {
    shape_contract::what_has_the_shape_decodes(&REQUESTS, &every_version(), decode);
}

#[test]
fn what_is_cut_off_has_not_the_shape_and_what_goes_on_has() {
    shape_contract::what_is_cut_off_has_not_the_shape(&REQUESTS, &every_version());
}

#[test]
fn no_claim_of_an_array_is_believed() {
    shape_contract::no_claim_of_an_array_is_believed(&REQUESTS, &every_version(), decode);
}

#[test]
fn arrays_share_one_bound() {
    let name = [0, 1, b'a'];
    let topics = |count: usize| [&u32::try_from(count).unwrap().to_be_bytes()[..], &name.repeat(count), &[0]].concat();
    assert!(REQUESTS.holds(ApiKey::Metadata as i16, 4, &topics(ELEMENTS_MAX)));
    assert!(!REQUESTS.holds(ApiKey::Metadata as i16, 4, &topics(ELEMENTS_MAX + 1)));
}
