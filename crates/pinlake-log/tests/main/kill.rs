//! `kill -9` in the middle of appends, rolls and checkpoints: a child process appends and says what was acknowledged, until it is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use pinlake_core::testing::log_contract::{batch, read_all};
use pinlake_core::{Log, Offset, TopicName, TopicSpec};
use pinlake_log::LogSettings;

use crate::setup::{folder, open, settings};

const FOLDER: &str = "PINLAKE_LOG_KILL_FOLDER";

fn busy() -> LogSettings {
    LogSettings { segment_bytes: 1500, checkpoint_bytes: 400, ..settings() }
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
    loop {
        let next = log.range(&to).await.unwrap().end.0;
        let offsets = log.append(&to, batch(&[&next.to_string()], next)).await.unwrap();
        writeln!(out, "acknowledged {}", offsets.end).unwrap();
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
