//! Requests that are made by the shapes are what the codec decodes, in every version that is served; and what claims more than it has is
//! refused before the codec sees it.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::maker::{Filling, made};
use super::*;
use crate::kafka::versions::APIS;

const ANY: Filling<'_> = Filling { elements: 2, text: b"abc", bytes: &[1, 2, 3], number: 0 };

/// Decodes with the codec; the rest must be empty.
fn decode(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, String> {
    fn whole<R: Decodable>(body: &[u8], version: i16) -> Result<usize, String> {
        let mut body = Bytes::copy_from_slice(body);
        R::decode(&mut body, version).map_err(|error| error.to_string())?;
        Ok(body.remaining())
    }
    match key {
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

fn every_version(mut check: impl FnMut(ApiKey, i16)) {
    for api in APIS {
        (api.served_from..=api.to).for_each(|version| check(api.key, version));
    }
}

#[test]
fn what_has_the_shape_is_what_the_codec_decodes() {
    every_version(|key, version| {
        for elements in 0..3 {
            let body = made(key as i16, version, Filling { elements, ..ANY });
            assert_eq!(decode(key, version, &body), Ok(0), "{key:?} {version} with {elements} elements");
            assert!(holds(key as i16, version, &body), "{key:?} {version} with {elements} elements");
        }
    });
}

#[test]
fn what_is_cut_off_has_not_the_shape_and_what_goes_on_has() {
    every_version(|key, version| {
        let body = made(key as i16, version, ANY);
        for end in 0..body.len() {
            assert!(!holds(key as i16, version, &body[..end]), "{key:?} {version} cut at {end}");
        }
        assert!(holds(key as i16, version, &[&body[..], &[0]].concat()), "{key:?} {version} and one byte more");
    });
}

/// Every four bytes of every request as a length of 2 GiB, and every byte as a compact one.
#[test]
fn no_claim_of_an_array_is_believed() {
    every_version(|key, version| {
        let body = made(key as i16, version, ANY);
        for at in 0..body.len() {
            let long = [&body[..at], &[0xff, 0xff, 0xff, 0xff, 0x07], &body[at..]].concat();
            let wide = [&body[..at], &[0x7f, 0xff, 0xff, 0xff], &body[at..]].concat();
            for claim in [long, wide] {
                if holds(key as i16, version, &claim) {
                    // It was a number or a text then: the codec must not find a long array in it.
                    let _ = decode(key, version, &claim);
                }
            }
        }
    });
}

#[test]
fn arrays_share_one_bound() {
    let name = [0, 1, b'a'];
    let topics = |count: usize| [&u32::try_from(count).unwrap().to_be_bytes()[..], &name.repeat(count), &[0]].concat();
    assert!(holds(ApiKey::Metadata as i16, 4, &topics(ELEMENTS_MAX)));
    assert!(!holds(ApiKey::Metadata as i16, 4, &topics(ELEMENTS_MAX + 1)));
}
