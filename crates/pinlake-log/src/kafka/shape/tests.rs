//! Answers that are made by the shapes are what the codec decodes, in every version that is spoken; and what claims more than it has is refused
//! before the codec sees it.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request};

use pinlake_core::testing::shape_contract;

use super::*;
use crate::kafka::frame;
use crate::kafka::versions::OURS;

/// Decodes with the codec; says how much is left.
fn decode(key: i16, version: i16, body: &[u8]) -> Result<usize, String> {
    fn whole<R: Request>(body: &[u8], version: i16) -> Result<usize, String> {
        let mut body = Bytes::copy_from_slice(body);
        R::Response::decode(&mut body, version).map_err(|error| error.to_string())?;
        Ok(body.remaining())
    }
    match ApiKey::try_from(key).expect("an API of Kafka's") {
        ApiKey::Produce => whole::<ProduceRequest>(body, version),
        ApiKey::Fetch => whole::<FetchRequest>(body, version),
        ApiKey::ListOffsets => whole::<ListOffsetsRequest>(body, version),
        ApiKey::Metadata => whole::<MetadataRequest>(body, version),
        ApiKey::SaslHandshake => whole::<SaslHandshakeRequest>(body, version),
        ApiKey::ApiVersions => whole::<ApiVersionsRequest>(body, version),
        ApiKey::CreateTopics => whole::<CreateTopicsRequest>(body, version),
        ApiKey::DeleteTopics => whole::<DeleteTopicsRequest>(body, version),
        ApiKey::DeleteRecords => whole::<DeleteRecordsRequest>(body, version),
        ApiKey::InitProducerId => whole::<InitProducerIdRequest>(body, version),
        ApiKey::DescribeConfigs => whole::<DescribeConfigsRequest>(body, version),
        ApiKey::AlterConfigs => whole::<AlterConfigsRequest>(body, version),
        ApiKey::SaslAuthenticate => whole::<SaslAuthenticateRequest>(body, version),
        ApiKey::CreatePartitions => whole::<CreatePartitionsRequest>(body, version),
        ApiKey::IncrementalAlterConfigs => whole::<IncrementalAlterConfigsRequest>(body, version),
        other => panic!("{other:?} is spoken and not decoded here"),
    }
}

fn every_version() -> Vec<(i16, i16)> {
    OURS.iter().flat_map(|(key, from, to)| (*from..=*to).map(|version| (*key as i16, version))).collect()
}

#[test]
fn what_has_the_shape_is_what_the_codec_decodes() {
    shape_contract::what_has_the_shape_decodes(&ANSWERS, &every_version(), decode);
}

#[test]
fn what_is_cut_off_has_not_the_shape_and_what_goes_on_has() {
    shape_contract::what_is_cut_off_has_not_the_shape(&ANSWERS, &every_version());
}

#[test]
fn no_claim_of_an_array_is_believed() {
    shape_contract::no_claim_of_an_array_is_believed(&ANSWERS, &every_version(), decode);
}

#[test]
fn an_answer_that_claims_too_much_is_an_error() {
    // The number, the throttling, and 2^31 - 1 topics.
    let answer = [&[0; 8][..], &i32::MAX.to_be_bytes()].concat();
    let refused = frame::decode::<ListOffsetsRequest>(answer.into(), 2).unwrap_err();
    assert!(refused.message().contains("ListOffsets"), "{refused}");
}
