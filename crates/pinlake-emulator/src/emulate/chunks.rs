//! Posts into the chunks that share their requests, at the wanted rate. Must not send anything.

use std::time::Duration;

use futures::Stream;
use pinlake_core::Result;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::{EmulateOptions, Mode};
use crate::source::{Feed, SourcePost};

/// Posts that go through one door together.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) door: Door,
    pub(super) posts: Vec<SourcePost>,
}

/// The chunks of a run, in order.
pub(super) struct Chunks {
    feed: Feed,
    mode: Mode,
    posts_a_chunk: usize,
    pace: Option<Interval>,
    stop: CancellationToken,
    /// What is being gathered, for each of the doors.
    gathered: [Chunk; 2],
}

impl Chunks {
    pub(super) fn new(feed: Feed, options: &EmulateOptions) -> Self {
        let pace = options.rate.map(|rate| {
            let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / rate).max(Duration::from_nanos(1)));
            // A late tick is made up for, so that the rate holds on average.
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            pace
        });
        let gathered = [Door::KafkaRest, Door::Kinesis].map(|door| Chunk { door, posts: Vec::new() });
        Self { feed, mode: options.mode, posts_a_chunk: options.records_a_request, pace, stop: options.stop.clone(), gathered }
    }

    /// The chunks as a stream, which ends with the source or with the run's stop.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Chunk>> {
        futures::stream::unfold(self, |mut chunks| async move { chunks.next().await.map(|chunk| (chunk, chunks)) })
    }

    async fn next(&mut self) -> Option<Result<Chunk>> {
        while let Some(post) = self.next_post().await {
            let post = match post {
                Ok(post) => post,
                Err(error) => return Some(Err(error)),
            };
            let door = match self.mode {
                Mode::Batch => Door::KafkaRest,
                Mode::Streaming => Door::Kinesis,
                Mode::Both if post.number.is_multiple_of(2) => Door::KafkaRest,
                Mode::Both => Door::Kinesis,
            };
            let gathered = &mut self.gathered[door as usize];
            gathered.posts.push(post);
            if gathered.posts.len() >= self.posts_a_chunk {
                return Some(Ok(Chunk { door, posts: std::mem::take(&mut gathered.posts) }));
            }
        }
        // What is left over at the end goes in smaller chunks.
        let rest = self.gathered.iter_mut().find(|chunk| !chunk.posts.is_empty())?;
        Some(Ok(Chunk { door: rest.door, posts: std::mem::take(&mut rest.posts) }))
    }

    async fn next_post(&mut self) -> Option<Result<SourcePost>> {
        let (feed, pace) = (&mut self.feed, &mut self.pace);
        let paced = async move {
            let post = feed.recv().await;
            if let (Some(pace), Some(_)) = (pace, &post) {
                pace.tick().await;
            }
            post
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            post = paced => post,
        }
    }
}

#[cfg(test)]
mod tests;
