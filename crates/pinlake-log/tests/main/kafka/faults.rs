//! Brokers that fail: what was acknowledged is in the log once and in order, and nothing that was refused.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::testing::log_contract::{batch, read_all};
use pinlake_core::{Clock, ErrorKind, Log, Offset, ReadLimit, Reason, TopicName, TopicPartition};
use pinlake_log::kafka::{ClusterOptions, KafkaLog};

use super::mock::Mock;
use super::{connect, options};

const PRODUCE: u32 = 0;
const FETCH: u32 = 1;
const LIST_OFFSETS: u32 = 2;
const METADATA: u32 = 3;
const INIT_PRODUCER_ID: u32 = 22;
/// Closes the connection before anything is done.
const CLOSE: &str = "-195";

fn partition(number: u32) -> TopicPartition {
    TopicName::new("t").unwrap().partition(number)
}

/// A cluster of three with the topic `t`, and its log.
async fn cluster(partitions: u32) -> Option<(Mock, KafkaLog)> {
    let mut mock = Mock::start(3)?;
    mock.tell(&format!("topic t {partitions} 3"));
    let log = connect(&mock.brokers).await;
    Some((mock, log))
}

/// Appends `values` one after the other; each is acknowledged.
async fn append(log: &KafkaLog, to: &TopicPartition, values: std::ops::Range<usize>) {
    for value in values {
        log.append(to, batch(&[&value.to_string()], 1)).await.unwrap();
    }
}

/// The partition holds 0 to `count`, once and in order.
async fn holds(log: &KafkaLog, of: &TopicPartition, count: usize) {
    let found: Vec<String> = read_all(log, of, Offset::ZERO).await.into_iter().map(|(_, value)| value).collect();
    assert_eq!(found, (0..count).map(|value| value.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_tried_again_until_it_is_decided() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let to = partition(0);
    // Not the leader; no leader; too few replicas, before and after the append; timed out; the disk; the server; moved; a damaged batch.
    let passing = ["6", "5", "19", "20", "7", "56", "-1", "74 6", "2", CLOSE, &format!("{CLOSE} {CLOSE} 6"), "3"];
    for (at, codes) in passing.iter().enumerate() {
        mock.tell(&format!("errors {PRODUCE} {codes}"));
        append(&log, &to, at..at + 1).await;
    }
    holds(&log, &to, passing.len()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_the_partition_has_forgotten_gets_another_number() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let to = partition(0);
    append(&log, &to, 0..2).await;
    // Out of order; unknown; an old epoch; fenced. A broker loads before it gives numbers.
    for (at, code) in ["45", "59", "47", "90"].into_iter().enumerate() {
        mock.tell(&format!("errors {INIT_PRODUCER_ID} 14 {CLOSE}"));
        mock.tell(&format!("errors {PRODUCE} {code}"));
        append(&log, &to, at + 2..at + 3).await;
    }
    holds(&log, &to, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_does_not_fit_after_a_lost_answer_is_no_reason_to_append_again() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let to = partition(0);
    append(&log, &to, 0..1).await;
    mock.tell(&format!("errors {PRODUCE} {CLOSE} 45"));
    let unknown = log.append(&to, batch(&["perhaps"], 1)).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.reason()), (ErrorKind::Retry, None));
    assert!(unknown.message().contains("nobody knows"), "{unknown}");
    append(&log, &to, 1..3).await;
    holds(&log, &to, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_tried_again() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let to = partition(0);
    for (code, kind, reason) in [
        (10, ErrorKind::Invalid, Some(Reason::TooLarge)),
        (29, ErrorKind::Invalid, None),
        (87, ErrorKind::Invalid, None),
        (44, ErrorKind::Invalid, None),
    ] {
        mock.tell(&format!("errors {PRODUCE} {code}"));
        let refused = log.append(&to, batch(&["x"], 1)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (kind, reason), "{refused}");
    }
    append(&log, &to, 0..1).await;
    holds(&log, &to, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_in_time_is_said_and_leaves_the_partition_working() {
    let Some((mut mock, _)) = cluster(1).await else { return };
    let (request_timeout, answer_timeout) = (Duration::from_secs(5), Duration::from_secs(5));
    let options = ClusterOptions { request_timeout, answer_timeout, ..options(&mock.brokers) };
    let log = KafkaLog::connect(options, Clock::System).await.unwrap();
    let to = partition(0);
    append(&log, &to, 0..1).await;
    let mut said = Vec::new();
    // A request that is under way when the time is over leaves it open whether the batch is there: rare, and another append tells.
    while said.len() < 4 && said.iter().all(|late: &String| late.contains("nobody knows")) {
        mock.tell(&format!("errors {PRODUCE} {}", "19 ".repeat(12)));
        let late = log.append(&to, batch(&["x"], 1)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Retry);
        said.push(late.to_string());
    }
    assert!(!said.last().unwrap().contains("nobody knows"), "the broker has said that it has not: {said:?}");
    let log = connect(&mock.brokers).await;
    // The rest of the errors is used up.
    append(&log, &to, 1..2).await;
    holds(&log, &to, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_are_followed() {
    let Some((mut mock, log)) = cluster(2).await else { return };
    let log = Arc::new(log);
    for round in 0..6 {
        for number in 0..2 {
            mock.tell(&format!("leader t {number} {}", (round + number) % 3 + 1));
        }
        let (a, b) = (partition(0), partition(1));
        let values = round as usize * 5..(round as usize + 1) * 5;
        tokio::join!(append(&log, &a, values.clone()), append(&log, &b, values));
    }
    for number in 0..2 {
        holds(&log, &partition(number), 30).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_leave_and_come_back_lose_nothing() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let (log, to) = (Arc::new(log), partition(0));
    for round in 0..3 {
        let broker = round % 3 + 1;
        mock.tell(&format!("leader t 0 {broker}"));
        append(&log, &to, round * 4..round * 4 + 2).await;
        mock.tell(&format!("down {broker}"));
        let appending = {
            let (log, to) = (log.clone(), to.clone());
            tokio::spawn(async move { append(&log, &to, round * 4 + 2..round * 4 + 4).await })
        };
        // Readers and those who ask are answered by others, or wait.
        assert_eq!(log.topic(&to.topic).await.unwrap().spec.partitions, 1);
        if round == 1 {
            mock.tell(&format!("leader t 0 {}", broker + 1));
        }
        mock.tell(&format!("up {broker}"));
        appending.await.unwrap();
        holds(&log, &to, (round + 1) * 4).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_and_reads_are_asked_again() {
    let Some((mut mock, log)) = cluster(1).await else { return };
    let to = partition(0);
    append(&log, &to, 0..3).await;
    for codes in ["6", "5", "3", "78", "74", CLOSE] {
        mock.tell(&format!("errors {LIST_OFFSETS} {codes} {codes}"));
        assert_eq!(log.range(&to).await.unwrap().end, Offset(3), "after {codes}");
    }
    for codes in ["6", "5 3", "9", "56", "75", CLOSE] {
        mock.tell(&format!("errors {FETCH} {codes}"));
        assert_eq!(log.read(&to, Offset(1), ReadLimit::default(), Duration::ZERO).await.unwrap()[0].base_offset(), Offset(1));
    }
    for wait in [Duration::ZERO, Duration::from_secs(60)] {
        mock.tell(&format!("errors {FETCH} 1"));
        let read = log.read(&to, Offset(0), ReadLimit::default(), wait).await.unwrap();
        assert_eq!(read[0].base_offset(), Offset(0), "it is in the range all the same");
    }
    mock.tell(&format!("errors {METADATA} {CLOSE} {CLOSE} {CLOSE} {CLOSE}"));
    assert_eq!(log.topics().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_readers_than_connections_all_get_their_records() {
    let Some((mock, log)) = cluster(12).await else { return };
    let log = KafkaLog::connect(ClusterOptions { polls_max: 2, ..options(&mock.brokers) }, Clock::System).await.map(|two| {
        drop(log);
        Arc::new(two)
    });
    let log = log.unwrap();
    let readers: Vec<_> = (0..12)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move {
                log.read(&partition(number), Offset(0), ReadLimit::default(), Duration::from_secs(60)).await.unwrap()
            })
        })
        .collect();
    // A reader that waits holds nobody up: the appends come through, and wake their readers.
    for number in (0..12).rev() {
        append(&log, &partition(number), 0..1).await;
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().len(), 1);
    }
}
