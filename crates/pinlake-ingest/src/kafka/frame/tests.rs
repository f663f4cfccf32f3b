//! What a request keeps of its bytes.

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::protocol::StrBytes;

use super::*;

/// A produce request with one batch, as it comes off the wire.
fn produce_frame(version: i16) -> Bytes {
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(vec![7; 100])));
    let name = TopicName(StrBytes::from_static_str("t"));
    let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
    let mut out = BytesMut::new();
    let header = RequestHeader::default().with_request_api_key(ApiKey::Produce as i16).with_request_api_version(version);
    header.encode(&mut out, ApiKey::Produce.request_header_version(version)).expect("it encodes");
    ProduceRequest::default().with_topic_data(vec![topic]).encode(&mut out, version).expect("it encodes");
    out.freeze()
}

#[test]
fn what_is_taken_out_of_a_request_is_nobody_elses() {
    for version in [3, 11] {
        let mut request = parse(produce_frame(version)).expect("it has a header");
        let mut decoded: ProduceRequest = request.take().expect("it decodes");
        let records = decoded.topic_data.remove(0).partition_data.remove(0).records.expect("there are records");
        drop(decoded);
        let at = records.as_ptr();
        let own = records.try_into_mut().expect("no one else holds the request's bytes");
        assert_eq!(own.as_ptr(), at, "version {version}");
    }
}
