//! How long is waited: for a broker that wants quiet, for answers behind others, for metadata that is younger than a topic; and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{ApiKey, ListOffsetsRequest};
use pinlake_core::testing::warnings::Warnings;
use pinlake_core::{Clock, Error, ErrorKind, Log, Offset};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

use super::broker::{Act, Fake};
use super::{batch, connect, options, partition};
use crate::kafka::connection::Connection;
use crate::kafka::error::Failure;
use crate::kafka::meters::Meters;
use crate::kafka::retry::{Attempts, Trouble};
use crate::kafka::throttle::{Asked, Throttle};
use crate::kafka::{ClusterOptions, KafkaLog};

const QUIET: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_broker_that_wants_quiet_is_left_alone_for_so_long() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    let began = Instant::now();
    fake.state().throttle_ms = i32::try_from(QUIET.as_millis()).unwrap();
    log.range(&partition()).await.unwrap();
    log.range(&partition()).await.unwrap();
    assert!(began.elapsed() >= QUIET, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_broker_is_left_alone_for_no_longer_than_the_most() {
    let fake = Fake::start().await;
    let options = ClusterOptions { throttle_max: Duration::from_millis(50), ..options(&fake) };
    let log = KafkaLog::connect(options, Clock::System).await.unwrap();
    fake.state().throttle_ms = i32::MAX;
    for _ in 0..2 {
        timeout(Duration::from_secs(60), log.range(&partition())).await.expect("it goes on").unwrap();
    }
}

#[tokio::test]
async fn an_old_broker_has_waited_itself_before_it_answers() {
    let fake = Fake::start().await;
    let old = [(ApiKey::Produce, 5), (ApiKey::Fetch, 6), (ApiKey::ListOffsets, 2), (ApiKey::Metadata, 5)];
    fake.state().offered = old.iter().map(|(api, most)| (*api, 0, *most)).collect();
    fake.state().offered.push((ApiKey::ApiVersions, 0, 0));
    let options = ClusterOptions { throttle_max: Duration::from_secs(3600), ..options(&fake) };
    let log = KafkaLog::connect(options, Clock::System).await.unwrap();
    fake.state().throttle_ms = i32::MAX;
    for _ in 0..2 {
        timeout(Duration::from_secs(60), log.range(&partition())).await.expect("nothing is held back").unwrap();
    }
}

#[tokio::test]
async fn a_topic_that_one_answer_does_not_tell_is_asked_for_again() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    for api in [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets] {
        fake.next(api, &[Act::Code(3)]);
    }
    fake.state().absent = 1;
    assert_eq!(log.append(&partition(), batch("1")).await.unwrap().start, Offset(1));
    fake.state().absent = 1;
    assert_eq!(log.read(&partition(), Offset(0), Default::default(), Duration::ZERO).await.unwrap().len(), 2);
    fake.state().absent = 1;
    assert_eq!(log.range(&partition()).await.unwrap().end, Offset(2));
    assert!(fake.state().acts.values().all(std::collections::VecDeque::is_empty), "each was refused once");
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_told_by_the_second_answer() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    fake.state().absent = usize::MAX;
    let asked = |fake: &Fake| fake.state().asked[&(ApiKey::Metadata as i16)];
    let before = asked(&fake);
    assert_eq!(log.append(&partition(), batch("0")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(asked(&fake) - before, 2);
}

#[tokio::test]
async fn settings_that_this_login_may_not_ask_for_are_the_defaults_and_that_is_said_once() {
    let warnings = Warnings::of_this_thread();
    let fake = Fake::start().await;
    let all = [(ApiKey::Produce, 9), (ApiKey::Fetch, 12), (ApiKey::ListOffsets, 7), (ApiKey::Metadata, 12)];
    fake.state().offered = all.iter().map(|(api, most)| (*api, 0, *most)).collect();
    let beside = [(ApiKey::InitProducerId, 0, 4), (ApiKey::ApiVersions, 0, 3), (ApiKey::DescribeConfigs, 0, 4)];
    fake.state().offered.extend(beside);
    let log = connect(&fake).await;
    // TOPIC_AUTHORIZATION_FAILED.
    fake.next(ApiKey::DescribeConfigs, &vec![Act::Code(29); 50]);
    for round in 0..3 {
        assert_eq!(log.append(&partition(), batch("x")).await.unwrap().start, Offset(round));
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
    }
    assert!(fake.state().asked[&(ApiKey::DescribeConfigs as i16)] >= 3, "it is asked for again");
    assert_eq!(warnings.count(), 1);
    assert_eq!(log.topic(&partition().topic).await.unwrap().spec.batch_bytes_max, 1_048_588, "Kafka's own default");
}

/// Answers each request, one by one, after so long.
async fn answer_after(mut peer: DuplexStream, pause: Duration) {
    loop {
        let mut length = [0; 4];
        if peer.read_exact(&mut length).await.is_err() {
            return;
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        peer.read_exact(&mut frame).await.unwrap();
        tokio::time::sleep(pause).await;
        let answer = [&4_i32.to_be_bytes()[..], &frame[4..8]].concat();
        if peer.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// A connection whose answers may take `answer_timeout` each, to a broker that takes `pause` for one.
fn connection(answer_timeout: Duration, pause: Duration, throttle: &Arc<Throttle>) -> Connection {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(answer_after(theirs, pause));
    let options = ClusterOptions { answer_timeout, ..ClusterOptions::default() };
    Connection::start("broker:9092", ours, &options, &Meters::new(), throttle)
}

fn unthrottled() -> Arc<Throttle> {
    Arc::new(Throttle::new(Duration::from_secs(60)))
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_others_has_its_time_from_when_they_are_answered() {
    let connection = connection(Duration::from_secs(10), Duration::from_secs(8), &unthrottled());
    let request = ListOffsetsRequest::default();
    let calls = (0..5).map(|_| connection.call_raw(&request, 2, Duration::ZERO));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(connection.is_usable());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_ends_the_connection() {
    let connection = connection(Duration::from_secs(10), Duration::from_secs(11), &unthrottled());
    let began = Instant::now();
    let lost = connection.call_raw(&ListOffsetsRequest::default(), 2, Duration::ZERO).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 10);
    let Failure::Lost(error) = lost else { panic!("{lost:?}") };
    assert!(error.message().contains("broker broker:9092") && error.message().contains("within 10000 ms"), "{error}");
    assert!(!connection.is_usable());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_wants_quiet_answers_what_was_sent_before_later() {
    let throttle = unthrottled();
    let connection = connection(Duration::from_secs(10), Duration::from_secs(25), &throttle);
    let answer = <ListOffsetsRequest as kafka_protocol::protocol::Request>::Response::default().with_throttle_time_ms(20_000);
    assert_eq!(ListOffsetsRequest::throttle_ms(&answer), 20_000);
    throttle.note::<ListOffsetsRequest>(&answer, 7);
    connection.call_raw(&ListOffsetsRequest::default(), 2, Duration::ZERO).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_time_and_says_what_the_last_attempt_met() {
    let trouble = Arc::new(Trouble::new(&Meters::new()));
    let mut attempts = Attempts::within(Duration::from_secs(30), &trouble);
    let late = attempts.in_time::<()>(std::future::pending());
    let Err(Failure::Lost(error)) = timeout(Duration::from_secs(31), late).await.expect("it has an end") else { panic!() };
    assert!(error.message().contains("within 30000 ms"), "{error}");

    attempts = Attempts::within(Duration::from_secs(30), &trouble);
    attempts.pause_after(Error::not_found("nobody leads it")).await.unwrap();
    let began = Instant::now();
    let Err(Failure::Lost(error)) = attempts.in_time::<()>(std::future::pending()).await else { panic!() };
    assert_eq!((error.message(), began.elapsed().as_secs()), ("nobody leads it", 29));
    let last = attempts.pause_after(error).await.unwrap_err();
    assert_eq!((last.kind(), last.message()), (ErrorKind::Retry, "nobody leads it"), "nothing else is said, and it may pass");
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_is_said_every_30_seconds_at_most() {
    let warnings = Warnings::of_this_thread();
    let trouble = Arc::new(Trouble::new(&Meters::new()));
    let failing = async |seconds: u64| {
        let mut attempts = Attempts::within(Duration::from_secs(seconds), &trouble);
        while attempts.pause_after(Error::retry("away")).await.is_ok() {}
    };
    failing(1).await;
    assert_eq!(warnings.count(), 0, "what passes soon is nothing to say");
    futures::future::join_all((0..4).map(|_| failing(25))).await;
    assert_eq!(warnings.count(), 1);
    failing(25).await;
    assert_eq!(warnings.count(), 2);
}

#[tokio::test]
async fn a_cluster_that_goes_away_is_named() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.reach(Duration::from_secs(10)).await.unwrap();
    fake.next(ApiKey::Metadata, &[Act::Close]);
    log.reach(Duration::from_secs(10)).await.expect("a connection that ended is opened anew");
    fake.next(ApiKey::Metadata, &vec![Act::Close; 50]);
    let away = log.reach(Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Retry);
    assert!(away.message().starts_with(&format!("the cluster at {} is away: ", fake.address)), "{away}");
    fake.state().acts.clear();
    fake.next(ApiKey::Metadata, &vec![Act::DoInSilence; 50]);
    let away = timeout(Duration::from_secs(60), log.reach(Duration::from_millis(100))).await.expect("it has an end").unwrap_err();
    assert!(away.message().ends_with("is away: no broker has answered within 100 ms"), "{away}");
}

#[tokio::test]
async fn a_batch_that_a_broker_wants_to_wait_too_long_is_known_not_to_be_there() {
    let fake = Fake::start().await;
    let options = ClusterOptions { throttle_max: Duration::from_secs(3600), ..options(&fake) };
    let log = KafkaLog::connect(options, Clock::System).await.unwrap();
    log.append(&partition(), batch("0")).await.unwrap();
    fake.state().throttle_ms = i32::MAX;
    log.offset_at(&partition(), pinlake_core::Timestamp(0)).await.unwrap();
    // Nothing is sent from here on: only time passes.
    tokio::time::pause();
    let refused = log.append(&partition(), batch("1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(!refused.message().contains("nobody knows"), "{refused}");
    assert_eq!(fake.state().sent.len(), 1);
}
