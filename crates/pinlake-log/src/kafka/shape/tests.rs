//! Answers that are made by the shapes are what the codec decodes, in every version that is spoken; and what claims more than it has is refused
//! before the codec sees it.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request};

use super::*;
use crate::kafka::frame;
use crate::kafka::versions::OURS;

/// Makes a body in which every array has so many elements, and every tagged field is there.
struct Maker {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
    elements: u8,
}

fn made(key: ApiKey, version: i16, elements: u8) -> Vec<u8> {
    let shape = &SHAPES[&(key as i16)];
    let mut maker = Maker { out: Vec::new(), version, flexible: version >= shape.flexible_from, elements };
    maker.structure(&shape.fields);
    maker.out
}

impl Maker {
    fn structure(&mut self, fields: &[Field]) {
        let version = self.version;
        let (tagged, plain): (Vec<&Field>, Vec<&Field>) =
            fields.iter().filter(|field| field.is_in(version)).partition(|field| field.tag.is_some());
        plain.iter().for_each(|field| self.field(&field.kind));
        if !self.flexible {
            return;
        }
        // And one of two bytes that nobody knows.
        self.out.push(u8::try_from(tagged.len()).unwrap() + 1);
        for field in tagged {
            // Its size is not looked at by the codec.
            self.out.extend_from_slice(&[u8::try_from(field.tag.unwrap()).unwrap(), 0]);
            self.field(&field.kind);
        }
        self.out.extend_from_slice(&[99, 2, 7, 7]);
    }

    fn field(&mut self, kind: &Kind) {
        match kind {
            Kind::Fixed(size) => self.out.extend(std::iter::repeat_n(0, *size)),
            Kind::Text if self.flexible => self.out.extend_from_slice(b"\x04abc"),
            Kind::Text => self.out.extend_from_slice(b"\0\x03abc"),
            Kind::Bytes => {
                self.length(2);
                self.out.extend_from_slice(&[1, 2]);
            }
            Kind::Array(fields) => {
                self.length(self.elements);
                (0..self.elements).for_each(|_| self.structure(fields));
            }
            Kind::Values(kind) => {
                self.length(self.elements);
                (0..self.elements).for_each(|_| self.field(kind));
            }
            Kind::Structure(fields) => self.structure(fields),
        }
    }

    fn length(&mut self, length: u8) {
        if self.flexible { self.out.push(length + 1) } else { self.out.extend_from_slice(&[0, 0, 0, length]) }
    }
}

/// Decodes with the codec; says how much is left.
fn decode(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, String> {
    fn whole<R: Request>(body: &[u8], version: i16) -> Result<usize, String> {
        let mut body = Bytes::copy_from_slice(body);
        R::Response::decode(&mut body, version).map_err(|error| error.to_string())?;
        Ok(body.remaining())
    }
    match key {
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

fn every_version(mut check: impl FnMut(ApiKey, i16)) {
    for (key, from, to) in OURS {
        (from..=to).for_each(|version| check(key, version));
    }
}

#[test]
fn what_has_the_shape_is_what_the_codec_decodes() {
    every_version(|key, version| {
        for elements in 0..3 {
            let body = made(key, version, elements);
            assert_eq!(decode(key, version, &body), Ok(0), "{key:?} {version} with {elements} elements");
            assert!(holds(key as i16, version, &body), "{key:?} {version} with {elements} elements");
        }
    });
}

#[test]
fn what_is_cut_off_has_not_the_shape() {
    every_version(|key, version| {
        let body = made(key, version, 2);
        for end in 0..body.len() {
            assert!(!holds(key as i16, version, &body[..end]), "{key:?} {version} cut at {end}");
        }
    });
}

/// Every four bytes of every answer as a length of 2 GiB, and every byte as a compact one.
#[test]
fn no_claim_of_an_array_is_believed() {
    every_version(|key, version| {
        let body = made(key, version, 2);
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
fn an_answer_that_claims_too_much_is_an_error() {
    // The number, the throttling, and 2^31 - 1 topics.
    let answer = [&[0; 8][..], &i32::MAX.to_be_bytes()].concat();
    let refused = frame::decode::<ListOffsetsRequest>(answer.into(), 2).unwrap_err();
    assert!(refused.message().contains("ListOffsets"), "{refused}");
}
