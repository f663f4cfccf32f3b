//! What the emulator sends, and what it makes of the answers.

use std::sync::atomic::{AtomicU64, Ordering};

use pinlake_core::{ErrorKind, TopicName};
use pinlake_emulator::{
    Acked, Datetimes, EmulateOptions, LakeOptions, Mode, Place, Post, Posts, PostsOptions, Source, emulate, write_lake,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::doors::Doors;

fn options(url: &str) -> EmulateOptions {
    EmulateOptions { connections: 1, ..EmulateOptions::new(url.parse().unwrap()) }
}

fn run(posts: u64) -> Vec<Post> {
    Posts::new(42, &PostsOptions { posts, ..PostsOptions::default() }).unwrap().collect()
}

fn silent(_: u64, _: Option<u64>) {}

#[tokio::test]
async fn batch_requests_are_the_classic_scripts() {
    let doors = Doors::open().await;
    let to = format!("{}/prod/", doors.url);
    let summary = emulate(&EmulateOptions { count: Some(2), ..options(&to) }, &silent).await.unwrap();
    assert_eq!((summary.posts, summary.requests, summary.records, summary.retried), (2, 6, 6, 0));
    let seen = doors.seen();
    let mut expected = Vec::new();
    for post in run(2) {
        for (kind, json) in [("pin", post.pin), ("geo", post.geo), ("user", post.user)] {
            expected.push((format!("/prod/topics/0a1b2c3d4e5f.{kind}"), format!("{{\"records\":[{{\"value\":{json}}}]}}")));
        }
    }
    assert_eq!(seen.iter().map(|seen| (seen.path.clone(), seen.body.clone())).collect::<Vec<_>>(), expected);
    assert!(seen.iter().all(|seen| seen.method == "POST" && seen.content_type == "application/vnd.kafka.json.v2+json"));
}

#[tokio::test]
async fn streaming_requests_are_the_classic_scripts() {
    let doors = Doors::open().await;
    let options = EmulateOptions { mode: Mode::Streaming, id: "0123456789ab".to_owned(), count: Some(1), ..options(&doors.url) };
    emulate(&options, &silent).await.unwrap();
    let seen = doors.seen();
    let post = run(1).remove(0);
    for (seen, (kind, json)) in seen.iter().zip([("pin", post.pin), ("geo", post.geo), ("user", post.user)]) {
        let stream = format!("streaming-0123456789ab-{kind}");
        assert_eq!(seen.method, "PUT");
        assert_eq!(seen.path, format!("/streams/{stream}/record"));
        assert_eq!(seen.content_type, "application/json");
        assert_eq!(seen.body, format!("{{\"StreamName\":\"{stream}\",\"Data\":{json},\"PartitionKey\":\"7528\"}}"));
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_before_the_run_fails() {
    // Taken, and not listened at.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", held.local_addr().unwrap());
    let (unanswered, mut told) = mpsc::channel(1);
    let options = EmulateOptions { count: Some(1), retries_max: 1, unanswered: Some(unanswered), ..options(&url) };
    let failed = emulate(&options, &silent).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Retry);
    assert!(told.try_recv().unwrap().starts_with("no answer: "));
    assert!(told.try_recv().is_err(), "nobody listened in between, so the second is left out");
}

#[tokio::test]
async fn both_doors_get_every_post_once_between_them() {
    let doors = Doors::open().await;
    doors.throttle();
    let (acked, mut acks) = mpsc::channel::<Acked>(1_000);
    let options = EmulateOptions {
        mode: Mode::Both,
        count: Some(101),
        records_a_request: 10,
        connections: 8,
        acked: Some(acked),
        ..options(&doors.url)
    };
    let told = AtomicU64::new(0);
    let progress = |done, total| {
        assert_eq!(total, Some(101));
        told.store(done, Ordering::Relaxed);
    };
    let summary = emulate(&options, &progress).await.unwrap();
    drop(options);
    // 51 posts in 6 chunks through one door and 50 in 5 through the other, and one throttled request again.
    assert_eq!((summary.posts, summary.records, summary.requests, summary.retried), (101, 303, 34, 1));
    assert_eq!(told.into_inner(), 101);
    let posts = run(101);
    for (kind, of) in [("pin", 0), ("geo", 1), ("user", 2)] {
        let json = |post: &Post| [&post.pin, &post.geo, &post.user][of].clone();
        for (topic, parity) in [(format!("0a1b2c3d4e5f.{kind}"), 0), (format!("streaming-0a1b2c3d4e5f-{kind}"), 1)] {
            let mut expected: Vec<String> = posts.iter().skip(parity).step_by(2).map(json).collect();
            let mut taken = doors.values(&topic);
            expected.sort();
            taken.sort();
            assert_eq!(taken, expected, "{topic}");
        }
    }
    let mut count = 0;
    while let Some(ack) = acks.recv().await {
        let place = match ack.place {
            Place::Offset(offset) => offset as usize,
            Place::SequenceNumber(number) => number.parse().unwrap(),
        };
        let key = ack.key.unwrap();
        assert_eq!(ack.partition, 0);
        assert!(doors.values(ack.topic.as_str())[place].contains(&format!(":{key},")));
        count += 1;
    }
    assert_eq!(count, 303);
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let doors = Doors::open().await;
    let full = r#"{"error_code":50003,"message":"the disk is full"}"#;
    doors.fail(&[(503, "starting"), (429, "slow down"), (503, "starting"), (500, full)]);
    let summary = emulate(&EmulateOptions { count: Some(20), connections: 4, ..options(&doors.url) }, &silent).await.unwrap();
    assert_eq!((summary.posts, summary.records, summary.requests, summary.retried), (20, 60, 64, 4));
    let mut expected: Vec<String> = run(20).into_iter().map(|post| post.pin).collect();
    let mut taken = doors.values("0a1b2c3d4e5f.pin");
    expected.sort();
    taken.sort();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn retries_are_bounded() {
    let doors = Doors::open().await;
    doors.fail(&[(503, "disk full"); 3]);
    let options = EmulateOptions { count: Some(1), retries_max: 2, ..options(&doors.url) };
    let error = emulate(&options, &silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    let told = error.to_string();
    assert!(told.contains("gave up on 0a1b2c3d4e5f.pin after 3 tries") && told.contains("disk full"), "{told}");
    assert_eq!(doors.seen().len(), 3);
}

#[tokio::test]
async fn an_absent_server_is_told() {
    // Nothing listens on the discard port of the loopback.
    let options = EmulateOptions { count: Some(1), retries_max: 1, ..options("http://127.0.0.1:9") };
    let error = emulate(&options, &silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(error.to_string().contains("no answer"), "{error}");
}

#[tokio::test]
async fn a_refusal_stops_the_run_with_the_servers_words() {
    for (status, kind) in [(403, ErrorKind::Invalid), (404, ErrorKind::NotFound), (500, ErrorKind::Internal)] {
        let doors = Doors::open().await;
        doors.fail(&[(status, "topic 'x' may not be written by you")]);
        let error = emulate(&EmulateOptions { count: Some(50), ..options(&doors.url) }, &silent).await.unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), kind);
        assert!(told.contains("POST http://127.0.0.1") && told.contains(&status.to_string()), "{told}");
        assert!(told.contains("topic 'x' may not be written by you"), "{told}");
        assert_eq!(doors.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_stopped_run_goes_on_from_there() {
    let doors = Doors::open().await;
    let endless = EmulateOptions { count: None, ..options(&doors.url) };
    let stop = endless.stop.clone();
    let progress = |done, total| {
        assert_eq!(total, None);
        if done == 10 {
            stop.cancel();
        }
    };
    assert_eq!(emulate(&endless, &progress).await.unwrap().posts, 10);
    let rest = EmulateOptions { count: Some(30), start_at: 25, ..options(&doors.url) };
    assert_eq!(emulate(&rest, &silent).await.unwrap().posts, 5);
    let expected: Vec<String> = run(30)[25..].iter().map(|post| post.pin.clone()).collect();
    assert_eq!(doors.values("0a1b2c3d4e5f.pin")[10..], expected);
}

#[tokio::test]
async fn a_raw_lake_can_be_posted() {
    let folder = TempDir::new().unwrap();
    let lake = LakeOptions { posts: 250, gzip: true, partitions: 1, flush: 100, ..LakeOptions::default() };
    write_lake(folder.path(), &lake, &|_, _| ()).unwrap();
    let doors = Doors::open().await;
    let source = Source::Folder(folder.path().to_owned());
    let summary = emulate(&EmulateOptions { source, records_a_request: 50, ..options(&doors.url) }, &silent).await.unwrap();
    assert_eq!((summary.posts, summary.records, summary.requests), (250, 750, 15));
    let posts = PostsOptions { posts: 250, datetimes: Datetimes::T, ..PostsOptions::default() };
    let expected: Vec<String> = Posts::new(42, &posts).unwrap().map(|post| post.user).collect();
    assert_eq!(doors.values("0a1b2c3d4e5f.user"), expected);
    assert_eq!(doors.topics().len(), 3);
}

#[tokio::test]
async fn wrong_options_are_told_before_anything_is_sent() {
    let good = || options("http://127.0.0.1:9/prod");
    for (wrong, told) in [
        (options("ftp://127.0.0.1/"), "give a server as http://"),
        (options("http://127.0.0.1:9/?x=1"), "leave out what follows '?'"),
        (EmulateOptions { id: "a/b".to_owned(), ..good() }, "is not legal"),
        (EmulateOptions { rate: Some(0.0), ..good() }, "a rate lies between"),
        (EmulateOptions { connections: 0, ..good() }, "0 connections are not possible"),
        (EmulateOptions { records_a_request: 501, ..good() }, "501 records a request are not possible"),
        (EmulateOptions { count: Some(0), ..good() }, "cannot make 0 posts"),
    ] {
        let error = emulate(&wrong, &silent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(TopicName::new("0a1b2c3d4e5f.pin").is_ok());
}
