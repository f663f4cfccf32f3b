//! `kill -9` in the middle of appends, rolls and checkpoints: a child process appends and says what was acknowledged, until it is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use std::collections::{BTreeMap, VecDeque};

use futures::poll;
use pinlake_core::batch::Marker;
use pinlake_core::testing::log_contract::transactions::{marker, read_all_committed, transactional};
use pinlake_core::testing::log_contract::{batch, read_all};
use pinlake_core::{Log, Offset, TopicName, TopicPartition, TopicSpec};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{folder, open, settings};

/// Appends of a child that wait at the same moment: more than a round takes.
const UNDER_WAY: usize = 8;

const FOLDER: &str = "PINLAKE_LOG_KILL_FOLDER";

fn busy() -> LogSettings {
    LogSettings { segment_bytes: 1500, checkpoint_bytes: 400, ahead_bytes: 1, round_appends_max: 3, ..settings() }
}

/// The child: only of use when the test below starts it.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let log = open(Path::new(&dir), busy()).await;
    let name = TopicName::new("t").unwrap();
    // Made by the first child that comes so far.
    let _ = log.create_topic(&name, TopicSpec::default()).await;
    let to = name.partition(0);
    let mut out = std::io::stdout();
    let mut under_way = VecDeque::new();
    for next in log.range(&to).await.unwrap().end.0.. {
        let (log, to) = (&log, &to);
        let mut append = Box::pin(async move { log.append(to, batch(&[&next.to_string()], next)).await });
        // Its place is that of its first poll.
        assert!(poll!(&mut append).is_pending());
        under_way.push_back(append);
        if under_way.len() == UNDER_WAY {
            let offsets = under_way.pop_front().unwrap().await.unwrap();
            writeln!(out, "acknowledged {}", offsets.end).unwrap();
        }
    }
}

/// Starts a child, lets it acknowledge `appends`, and kills it. Answers how many records it acknowledged in all.
fn append_and_kill(child: &str, dir: &Path, appends: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("kill::{child}"), "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = lines.filter_map(|line| line.rsplit_once("acknowledged ").and_then(|(_, end)| end.parse().ok()));
    let mut last = said.by_ref().nth(appends).expect("the child works until it is killed");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died but was not read yet was acknowledged too.
    last = said.last().unwrap_or(last);
    last
}

/// The child that deletes and creates its topic all the time: only of use when the test below starts it.
#[tokio::test]
#[ignore = "the child of another test"]
async fn recreating_child() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let log = open(Path::new(&dir), busy()).await;
    let name = TopicName::new("t").unwrap();
    let mut out = std::io::stdout();
    for turn in 0.. {
        // Not there at the first start, or when the child before was killed between the two.
        let _ = log.create_topic(&name, TopicSpec::default()).await;
        for _ in 0..turn % 4 {
            let offsets = log.append(&name.partition(0), batch(&["x"], 1)).await.unwrap();
            writeln!(out, "acknowledged {}", offsets.end).unwrap();
        }
        log.delete_topic(&name).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_never_gives_an_offset_twice_to_a_topic_created_again() {
    let dir = folder();
    let name = TopicName::new("t").unwrap();
    for appends in [0, 1, 7, 60, 13, 111, 2, 29] {
        let acknowledged = append_and_kill("recreating_child", dir.path(), appends) as i64;
        let log = open(dir.path(), busy()).await;
        // It is there, or on its way to be created again.
        let _ = log.create_topic(&name, TopicSpec::default()).await;
        let end = log.range(&name.partition(0)).await.unwrap().end.0;
        // One more may have been appended that nobody was told of.
        assert!((acknowledged..=acknowledged + 1).contains(&end), "{acknowledged} was acknowledged, it goes on at {end}");
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let dir = folder();
    let to = TopicName::new("t").unwrap().partition(0);
    for appends in [0, 1, 7, 60, 13, 111, 2, 29] {
        let acknowledged = append_and_kill("child", dir.path(), appends);
        let log = open(dir.path(), busy()).await;
        let found = read_all(&log, &to, Offset::ZERO).await;
        assert!(found.len() >= acknowledged, "{acknowledged} were acknowledged, {} are left", found.len());
        assert!(found.iter().enumerate().all(|(at, record)| *record == (at as i64, at.to_string())));
        log.close().await.unwrap();
    }
}

/// Ends the transactions that a killed producer left open, as their coordinator would.
async fn abort_open(log: &DiskLog, to: &TopicPartition) {
    for (producer, open) in log.producers(to).await.unwrap() {
        if open.is_some() {
            log.append(to, marker(Marker::Abort, producer.id, producer.epoch)).await.unwrap();
        }
    }
}

/// The next sequence number of a producer.
async fn next_sequence(log: &DiskLog, to: &TopicPartition, id: i64) -> i32 {
    let producers = log.producers(to).await.unwrap();
    let last = producers.iter().find(|(producer, _)| producer.id == id).and_then(|(producer, _)| producer.recent.last().copied());
    last.map_or(0, |(first, offsets)| first + offsets.len() as i32)
}

/// How many records the transaction of a turn has, over two batches.
const RECORDS: [&[usize]; 2] = [&[2, 1], &[1, 3]];

/// The child whose two producers commit and abort in turns, each beginning before the other ends: only of use when the test below starts it.
#[tokio::test]
#[ignore = "the child of another test"]
async fn transactional_child() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let log = open(Path::new(&dir), busy()).await;
    let name = TopicName::new("t").unwrap();
    let _ = log.create_topic(&name, TopicSpec::default()).await;
    let to = name.partition(0);
    abort_open(&log, &to).await;
    let mut out = std::io::stdout();
    // No turn is used twice: each begins behind all records.
    let begin = log.range(&to).await.unwrap().end.0;
    let mut before: Option<(i64, i64)> = None;
    for turn in begin.. {
        let id = turn % 2;
        for count in RECORDS[id as usize] {
            let values = vec![format!("{turn} {}", if turn % 3 == 0 { "abort" } else { "commit" }); *count];
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let first = next_sequence(&log, &to, id).await;
            log.append(&to, transactional(id, 0, first, &values)).await.unwrap();
        }
        log.append(&to, batch(&["plain"], turn)).await.unwrap();
        if let Some((ending, id)) = before.replace((turn, id)) {
            let end = if ending % 3 == 0 { Marker::Abort } else { Marker::Commit };
            log.append(&to, marker(end, id, 0)).await.unwrap();
            writeln!(out, "acknowledged {ending}").unwrap();
        }
    }
}

/// What readers of committed records see is whole transactions, none of them aborted.
async fn sees_whole_transactions(log: &DiskLog, to: &TopicPartition) -> BTreeMap<i64, usize> {
    let mut seen = BTreeMap::new();
    for (_, value) in read_all_committed(log, to, Offset::ZERO).await {
        let Some((turn, end)) = value.split_once(' ') else { continue };
        assert_eq!(end, "commit", "{value}");
        *seen.entry(turn.parse().unwrap()).or_default() += 1;
    }
    for (turn, count) in &seen {
        assert_eq!(*count, RECORDS[(turn % 2) as usize].iter().sum::<usize>(), "turn {turn}");
    }
    seen
}

#[tokio::test]
async fn a_killed_process_shows_no_record_of_an_aborted_transaction_and_all_of_committed_ones() {
    let dir = folder();
    let to = TopicName::new("t").unwrap().partition(0);
    let mut committed = 0;
    for turns in [0, 1, 7, 40, 13, 77, 2, 20] {
        let last = append_and_kill("transactional_child", dir.path(), turns) as i64;
        let log = open(dir.path(), busy()).await;
        let open = log.producers(&to).await.unwrap().into_iter().filter_map(|(_, first)| first).min();
        let range = log.range(&to).await.unwrap();
        assert_eq!(log.stable_end(&to).await.unwrap(), open.unwrap_or(range.end), "the first undecided record");
        let seen = sees_whole_transactions(&log, &to).await;
        abort_open(&log, &to).await;
        assert_eq!(log.stable_end(&to).await.unwrap(), log.range(&to).await.unwrap().end);
        let all = sees_whole_transactions(&log, &to).await;
        let told: Vec<i64> = (last - turns as i64..=last).filter(|turn| turn % 3 != 0).collect();
        assert!(told.iter().all(|turn| all.contains_key(turn)), "{told:?} were committed");
        assert!(all.len() >= seen.len() && all.len() >= committed, "what was seen stays");
        committed = all.len();
        log.close().await.unwrap();
    }
}
