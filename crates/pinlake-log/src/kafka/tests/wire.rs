//! Bytes that are no answers, brokers of another time, and ports of something else.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use kafka_protocol::messages::ApiKey;
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, ErrorKind, Log};
use tokio::time::timeout;

use super::broker::{Act, Fake};
use super::{batch, connect, options, partition};
use crate::kafka::{ClusterOptions, KafkaLog, Login, Security, Tls};

/// What a broker of Kafka 1.0 offers.
const OLD: [(ApiKey, i16, i16); 6] = [
    (ApiKey::Produce, 0, 5),
    (ApiKey::Fetch, 0, 6),
    (ApiKey::ListOffsets, 0, 2),
    (ApiKey::Metadata, 0, 5),
    (ApiKey::InitProducerId, 0, 0),
    (ApiKey::ApiVersions, 0, 0),
];

/// What is said of a broker that closes the connection at each request of an API, for as long as it is tried.
async fn said_of_closing(api: ApiKey) -> String {
    let fake = Fake::start().await;
    fake.next(api, &vec![Act::Close; 50]);
    let patience = Duration::from_secs(4);
    let options = ClusterOptions { request_timeout: patience, answer_timeout: patience, ..options(&fake) };
    KafkaLog::connect(options, Clock::System).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_old_broker_is_spoken_to_in_its_versions() {
    let fake = Fake::start().await;
    fake.state().offered = OLD.to_vec();
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    assert_eq!(log.read(&partition(), Default::default(), Default::default(), Default::default()).await.unwrap().len(), 1);
    assert_eq!(log.topic(&partition().topic).await.unwrap().id, log.topics().await.unwrap()[0].id);
    let info = log.check().await.unwrap();
    let produce = info.brokers[0].versions.clone().unwrap().into_iter().find(|range| range.api == "Produce").unwrap();
    assert_eq!((produce.offered, produce.spoken), (Some((0, 5)), Some(5)));
}

#[tokio::test]
async fn a_broker_without_record_batches_is_refused() {
    let fake = Fake::start().await;
    fake.state().offered = OLD.to_vec();
    fake.state().offered[1].2 = 3;
    let refused = KafkaLog::connect(options(&fake), Clock::System).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.message().contains("Fetch of versions 0 to 3"), "{refused}");
}

#[tokio::test]
async fn bytes_that_are_no_answer_end_the_connection_and_the_request_is_repeated() {
    let no_length = i32::MAX.to_be_bytes().to_vec();
    let negative = (-1_i32).to_be_bytes().to_vec();
    let short = [0, 0, 0, 3, 1, 2, 3].to_vec();
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    for bytes in [no_length, negative, short, http] {
        let fake = Fake::start().await;
        let log = connect(&fake).await;
        fake.next(ApiKey::ListOffsets, &[Act::Bytes(bytes.clone()), Act::Close, Act::DoAndCut, Act::DoAndMix, Act::DoAndEmpty]);
        assert!(log.range(&partition()).await.unwrap().is_empty(), "after {bytes:?}");
    }
}

#[tokio::test]
async fn a_port_of_something_else_is_said() {
    for (bytes, said) in [
        (vec![0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28], "speaks TLS: set log.kafka.security.tls"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "that port speaks HTTP: name the brokers' port"),
    ] {
        let fake = Fake::start().await;
        fake.next(ApiKey::ApiVersions, &vec![Act::Bytes(bytes); 50]);
        let refused = KafkaLog::connect(options(&fake), Clock::System).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "it is told at once");
        assert!(refused.message().contains(said), "{refused}");
    }
    let (first, second) = join(said_of_closing(ApiKey::ApiVersions), said_of_closing(ApiKey::Metadata)).await;
    assert!(first.contains("if it speaks TLS"), "{first}");
    assert!(second.contains("if it wants a login"), "{second}");
}

#[tokio::test]
async fn a_broker_without_login_or_tls_is_told_from_one_that_is_away() {
    let fake = Fake::start().await;
    let login = Login::Plain { user: "ada".to_owned(), password: Secret::new("secret") };
    assert!(!format!("{login:?}").contains("secret"));
    let security = Security { tls: None, login: Some(login) };
    let refused = KafkaLog::connect(ClusterOptions { security, ..options(&fake) }, Clock::System).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let security =
        Security { tls: Some(Tls { ca: Some(b"no certificate".to_vec()), ca_name: "ca.pem".to_owned() }), login: None };
    let refused = KafkaLog::connect(ClusterOptions { security, ..options(&fake) }, Clock::System).await.unwrap_err();
    assert!(
        refused.kind() == ErrorKind::Invalid
            && refused.message().contains("log.kafka.security.ca: 'ca.pem' holds no certificate"),
        "{refused}"
    );
    for brokers in [&[][..], &["host"], &[":9092"], &["host:0"], &["host:kafka"]] {
        let brokers = brokers.iter().map(|broker| (*broker).to_owned()).collect();
        let refused = KafkaLog::connect(ClusterOptions { brokers, ..options(&fake) }, Clock::System).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_read_that_its_caller_does_not_look_at_holds_up_no_other() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    let of = partition();
    let read = || log.read(&of, Default::default(), Default::default(), Default::default());
    let mut idle = read();
    assert!(idle.as_mut().now_or_never().is_none(), "it has begun, and waits for the broker");
    assert_eq!(timeout(Duration::from_secs(60), read()).await.expect("nobody is in its way").unwrap().len(), 1);
    assert_eq!(idle.await.unwrap().len(), 1);
}
