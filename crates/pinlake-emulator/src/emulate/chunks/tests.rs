//! Turns, rate and stop, on a clock that the test owns.

use std::time::Duration;

use futures::StreamExt;
use pinlake_core::Error;
use tokio::sync::mpsc;

use super::*;

fn feed_of(posts: u64) -> Feed {
    let (sender, feed) = mpsc::channel(100);
    for number in 0..posts {
        sender.try_send(Ok(SourcePost { number, records: Vec::new() })).unwrap();
    }
    feed
}

fn options() -> EmulateOptions {
    EmulateOptions::new("http://127.0.0.1:8082".parse().unwrap())
}

async fn numbers(feed: Feed, options: &EmulateOptions) -> Vec<(Door, Vec<u64>)> {
    let chunks = Chunks::new(feed, options).into_stream();
    let shown = |chunk: Result<Chunk>| {
        let chunk = chunk.unwrap();
        (chunk.door, chunk.posts.iter().map(|post| post.number).collect())
    };
    chunks.map(shown).collect().await
}

#[tokio::test]
async fn both_doors_take_turns_and_the_rest_goes_too() {
    let options = EmulateOptions { mode: Mode::Both, records_a_request: 2, ..options() };
    let chunks = numbers(feed_of(7), &options).await;
    let (rest, stream) = (Door::KafkaRest, Door::Kinesis);
    assert_eq!(chunks, [(rest, vec![0, 2]), (stream, vec![1, 3]), (rest, vec![4, 6]), (stream, vec![5])]);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_held() {
    let options = EmulateOptions { rate: Some(2.0), ..options() };
    // The first post goes at once, the tenth after nine half seconds.
    let early = tokio::time::timeout(Duration::from_millis(4_400), numbers(feed_of(10), &options)).await;
    assert!(early.is_err());
    let late = tokio::time::timeout(Duration::from_millis(4_600), numbers(feed_of(10), &options)).await;
    assert_eq!(late.unwrap().len(), 10);
}

#[tokio::test]
async fn a_stop_ends_the_chunks() {
    let options = options();
    options.stop.cancel();
    assert_eq!(numbers(feed_of(5), &options).await, []);
}

#[tokio::test]
async fn a_sources_error_comes_through() {
    let (sender, feed) = mpsc::channel(1);
    sender.try_send(Err(Error::invalid("line 3 is not JSON"))).unwrap();
    let chunk = Chunks::new(feed, &options()).next().await.unwrap();
    assert_eq!(chunk.unwrap_err().message(), "line 3 is not JSON");
}
