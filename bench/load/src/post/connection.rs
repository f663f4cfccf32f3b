//! One kept-alive connection with one request under way at a time.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::answer;
use super::bodies::Bodies;
use crate::latencies::Latencies;

/// Room for an answer; it grows if one is larger.
const ANSWER_BYTES: usize = 16 << 10;
/// An answer that takes longer than this is a failure, so that a run ends.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// When requests are sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) begun: Instant,
    /// No request begins from here on.
    pub(crate) end: Instant,
    /// From one request's time to the next one's; without it a request follows the answer to the last.
    pub(crate) every: Option<Duration>,
}

/// What came of a connection's requests.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Of those that were answered as they should be.
    pub(crate) latencies: Latencies,
    /// What ended the connection before its time.
    pub(crate) failure: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    bodies: Bodies,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: &str, bodies: Bodies) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bodies, read: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Sends requests from `first` after the plan's beginning to its end, or to the first failure.
    pub(crate) async fn run(mut self, plan: Plan, first: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        let mut due = plan.begun + first;
        loop {
            let Some(begun) = turn(&plan, &mut due).await else { break };
            match tokio::time::timeout(ANSWER_WAIT, self.exchange()).await {
                Ok(Ok(())) => outcome.latencies.note(begun.elapsed()),
                Ok(Err(error)) => {
                    outcome.failure = Some(format!("{error:#}"));
                    break;
                }
                Err(_) => {
                    outcome.failure = Some(format!("no answer within {} s", ANSWER_WAIT.as_secs()));
                    break;
                }
            }
        }
        outcome
    }

    async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(self.bodies.next()).await?;
        self.read.clear();
        loop {
            let count = self.stream.read_buf(&mut self.read).await?;
            ensure!(count > 0, "the server closed the connection");
            if let Some(len) = answer::len(&self.read)?
                && self.read.len() >= len
            {
                return answer::check(&self.read[..len]);
            }
        }
    }
}

/// Waits for the next request's time. Answers the moment from which its latency counts: that at which it was due if the connection was
/// still busy then, so that a stall is counted for all that it held up. `None` at the end.
async fn turn(plan: &Plan, due: &mut Instant) -> Option<Instant> {
    let now = Instant::now();
    let Some(every) = plan.every else { return (now < plan.end).then_some(now) };
    let this = *due;
    *due += every;
    if this >= plan.end {
        return None;
    }
    if this <= now {
        return (now < plan.end).then_some(this);
    }
    tokio::time::sleep_until(this).await;
    Some(Instant::now())
}
