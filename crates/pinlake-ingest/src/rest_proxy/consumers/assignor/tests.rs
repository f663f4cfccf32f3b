//! The assignors beside Kafka's, and bytes beside the codec's.

use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn member(id: &str, topics: &[&str]) -> Subscriber {
    Subscriber { member_id: id.to_owned(), instance_id: None, topics: topics.iter().map(|name| topic(name)).collect() }
}

/// Who gets what, as text.
fn shown(protocol: &str, members: &[Subscriber], partitions: &[(&str, u32)]) -> Vec<String> {
    let partitions = partitions.iter().map(|(name, count)| (topic(name), *count)).collect();
    let all = assign(protocol, members, &partitions);
    let one = |(id, bytes): &(String, Bytes)| {
        let partitions: Vec<String> = assigned(bytes).iter().map(ToString::to_string).collect();
        format!("{id}: {}", partitions.join(" "))
    };
    all.iter().map(one).collect()
}

#[test]
fn range_gives_runs_of_each_topic() {
    let members = [member("b", &["t", "u"]), member("a", &["t", "u"]), member("c", &["u"])];
    assert_eq!(shown("range", &members, &[("t", 3), ("u", 4)]), ["a: t/0 t/1 u/0 u/1", "b: t/2 u/2", "c: u/3"]);
    assert_eq!(shown("range", &members, &[("t", 1)]), ["a: t/0", "b: ", "c: "]);
    assert_eq!(shown("range", &members, &[]), ["a: ", "b: ", "c: "]);
}

#[test]
fn round_robin_goes_round_over_all_topics() {
    let members = [member("a", &["t", "u"]), member("b", &["t", "u"]), member("c", &["u"])];
    assert_eq!(shown("roundrobin", &members, &[("t", 3), ("u", 3)]), ["a: t/0 t/2 u/2", "b: t/1 u/0", "c: u/1"]);
    assert_eq!(shown("roundrobin", &members, &[("nobodys", 3)]), ["a: ", "b: ", "c: "]);
}

#[test]
fn static_members_come_first() {
    let mut last = member("z", &["t"]);
    last.instance_id = Some("i".to_owned());
    assert_eq!(shown("range", &[member("a", &["t"]), last], &[("t", 1)]), ["z: t/0", "a: "]);
}

#[test]
fn bytes_are_kafkas() {
    let topics: BTreeSet<TopicName> = ["t", "u"].into_iter().map(topic).collect();
    let mut bytes = protocols(&topics)[0].metadata.clone();
    let version = bytes::Buf::get_i16(&mut bytes);
    let read = ConsumerProtocolSubscription::decode(&mut bytes, version).unwrap();
    assert_eq!(read.topics, [StrBytes::from_static_str("t"), StrBytes::from_static_str("u")]);
    assert!(bytes.is_empty());
    let mut bytes = assignment(&[topic("t").partition(0), topic("t").partition(7), topic("u").partition(1)]);
    let version = bytes::Buf::get_i16(&mut bytes);
    let read = ConsumerProtocolAssignment::decode(&mut bytes, version).unwrap();
    let read: Vec<_> = read.assigned_partitions.iter().map(|of| (of.topic.to_string(), of.partitions.clone())).collect();
    assert_eq!(read, [("t".to_owned(), vec![0, 7]), ("u".to_owned(), vec![1])]);
    assert!(bytes.is_empty());
}

#[test]
fn later_versions_are_read_too() {
    let later = ConsumerProtocolSubscription::default()
        .with_topics(vec![StrBytes::from_static_str("t")])
        .with_user_data(Some(Bytes::from_static(b"x")))
        .with_generation_id(4);
    let mut bytes = BytesMut::new();
    bytes.put_i16(3);
    later.encode(&mut bytes, 3).unwrap();
    assert_eq!(subscribed(&bytes), Some([topic("t")].into()));
}

#[test]
fn what_is_cut_off_or_claims_too_much_is_nothing() {
    let whole = assignment(&[topic("t").partition(0)]);
    for len in 0..whole.len() - 4 {
        assert!(assigned(&whole[..len]).is_empty(), "{len}");
    }
    assert_eq!(subscribed(b"\0\0\x7f\xff\xff\xff\0\x01t"), None);
    assert!(assigned(b"\0\0\xff\xff\xff\xff").is_empty());
}
