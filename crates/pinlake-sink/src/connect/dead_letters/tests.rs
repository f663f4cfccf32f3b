//! Dead letters as consumers of their topic find them.

use std::time::Duration;

use pinlake_core::{MemoryLog, Offset, ReadLimit, Timestamp};

use super::*;
use crate::problem::Problem;

fn letter(partition: u32, offset: i64) -> DeadLetter {
    DeadLetter {
        sink: Arc::from("s3"),
        task: 2,
        of: TopicName::new("0a1.pin").unwrap().partition(partition),
        offset: Offset(offset),
        timestamp: Timestamp(77),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from_static(b"not json")),
        headers: vec![("own".to_owned(), None)],
        problem: Problem {
            stage: Stage::Value,
            found_by: "a.JsonConverter",
            class: "a.DataException",
            message: "no JSON".to_owned(),
        },
    }
}

async fn read(log: &MemoryLog) -> Vec<(Timestamp, String, String, Vec<(String, Option<String>)>)> {
    let of = TopicName::new("dead").unwrap().partition(0);
    let batches = log.read(&of, Offset(0), ReadLimit { bytes: usize::MAX }, Duration::ZERO).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut records = Vec::new();
    for record in batches.iter().flat_map(|batch| batch.records()) {
        let record = record.unwrap();
        let headers = record.decode_headers().unwrap().into_iter().map(|(name, value)| (name.into_owned(), value.map(text)));
        records.push((record.timestamp, text(record.key.unwrap()), text(record.value.unwrap()), headers.collect()));
    }
    records
}

#[tokio::test]
async fn a_letter_is_the_record_and_headers_say_what_was_wrong() {
    let log = Arc::new(MemoryLog::new());
    let letters = TopicDeadLetters::new(log.clone(), Clock::manual(Timestamp(5)));
    let mut to = DeadLetterTopic { topic: TopicName::new("dead").unwrap(), headers: true };
    letters.put(&to, vec![letter(0, 3)]).await.unwrap();
    to.headers = false;
    letters.put(&to, vec![letter(1, 4)]).await.unwrap();
    let found = read(&log).await;
    let (time, key, value, headers) = &found[0];
    assert_eq!((*time, key.as_str(), value.as_str()), (Timestamp(77), "k", "not json"));
    let shown: Vec<String> = headers.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("-"))).collect();
    expect_test::expect![[r#"
        own=-
        __connect.errors.topic=0a1.pin
        __connect.errors.partition=0
        __connect.errors.offset=3
        __connect.errors.connector.name=s3
        __connect.errors.task.id=2
        __connect.errors.stage=VALUE_CONVERTER
        __connect.errors.class.name=a.JsonConverter
        __connect.errors.exception.class.name=a.DataException
        __connect.errors.exception.message=no JSON
        __connect.errors.exception.stacktrace=a.DataException: no JSON"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(found[1].3, [("own".to_owned(), None)], "only if they are asked for");
}

#[tokio::test]
async fn many_letters_are_several_batches_in_their_order() {
    let log = Arc::new(MemoryLog::new());
    let to = DeadLetterTopic { topic: TopicName::new("dead").unwrap(), headers: false };
    let large = |offset: i64| DeadLetter {
        value: Some(Bytes::from(format!("{offset}").repeat(700_000))),
        ..letter(offset as u32 % 3, offset)
    };
    TopicDeadLetters::new(log.clone(), Clock::manual(Timestamp(5))).put(&to, (0..5).map(large).collect()).await.unwrap();
    let starts: Vec<String> = read(&log).await.into_iter().map(|(_, _, value, _)| value[..1].to_owned()).collect();
    assert_eq!(starts, ["0", "1", "2", "3", "4"]);
}
