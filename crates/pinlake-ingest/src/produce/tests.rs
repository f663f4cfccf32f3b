//! Produce as other parts of the server use it: by bytes, without a door.

use pinlake_core::{MemoryLog, ReadLimit};

use super::*;

fn producer(partitions: u32, settings: ProducerSettings) -> Producer {
    let auto: AutoCreate = Arc::new(move |_: &TopicName| Some(TopicSpec::with_partitions(partitions)));
    Producer::new(Arc::new(MemoryLog::new()), Clock::manual(Timestamp(7)), settings, auto)
}

#[tokio::test]
async fn records_at_hand_are_stamped_and_placed() {
    let producer = producer(1, ProducerSettings::default());
    let topic = producer.open("t").await.unwrap();
    let records = Records::of([(Some(&b"k"[..]), Some(&b"v"[..])), (None, None)]);
    let placed = producer.produce(&topic, &records, Partitioning::Kafka).await.unwrap();
    let offsets: Vec<(u32, i64)> = placed.iter().map(|record| (record.partition, record.offset.as_ref().unwrap().0)).collect();
    assert_eq!(offsets, [(0, 0), (0, 1)]);
    let wait = std::time::Duration::ZERO;
    let batches = producer.log().read(&topic.name().partition(0), Offset::ZERO, ReadLimit::default(), wait).await.unwrap();
    let found: Vec<_> = batches[0].records().map(Result::unwrap).collect();
    assert_eq!((found[0].timestamp, found[0].key, found[0].value), (Timestamp(7), Some(&b"k"[..]), Some(&b"v"[..])));
    assert_eq!((found[1].key, found[1].value), (None, None));
}

#[tokio::test]
async fn no_records_are_no_batch() {
    let producer = producer(1, ProducerSettings::default());
    let topic = producer.open("t").await.unwrap();
    assert!(producer.produce(&topic, &Records::default(), Partitioning::Kafka).await.unwrap().is_empty());
}

#[tokio::test]
async fn keyless_records_spread_over_the_partitions() {
    let producer = producer(3, ProducerSettings { sticky_bytes: 10, ..ProducerSettings::default() });
    let topic = producer.open("t").await.unwrap();
    let records = Records::of([(None, Some(&b"12345"[..])), (None, Some(&b"67890"[..]))]);
    let mut partitions = Vec::new();
    for _ in 0..4 {
        let placed = producer.produce(&topic, &records, Partitioning::Kafka).await.unwrap();
        assert_eq!(placed[0].partition, placed[1].partition, "one request's stay together");
        partitions.push(placed[0].partition);
    }
    assert_eq!(partitions, [0, 1, 2, 0]);
}

#[tokio::test]
async fn names_and_missing_topics_are_refused() {
    let none: AutoCreate = Arc::new(|_: &TopicName| None);
    let producer = Producer::new(Arc::new(MemoryLog::new()), Clock::default(), ProducerSettings::default(), none);
    assert_eq!(producer.open("a b").await.err().unwrap().kind(), ErrorKind::Invalid);
    let missing = producer.open("t").await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.message().contains("pinlake topics create t"), "{missing}");
}
