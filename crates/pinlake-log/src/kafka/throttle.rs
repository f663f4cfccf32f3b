//! How long a broker wants to be left alone, which it says in its answers. It must not send anything.
//!
//! Source: the Kafka protocol guide, `throttle_time_ms`; KIP-219, which has brokers answer first and clients wait then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, FetchRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::Request;
use tokio::time::{Instant, sleep_until};

/// Until when a broker is left alone.
#[derive(Debug)]
pub(super) struct Throttle {
    most: Duration,
    until: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Nothing is held back yet, and nothing ever for longer than `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, until: Mutex::default() }
    }

    /// Takes note of what an answer in a version says.
    pub(super) fn note<R: Asked>(&self, answer: &R::Response, version: i16) {
        let told = u64::try_from(R::throttle_ms(answer)).unwrap_or(0);
        if told > 0 && version >= R::WAITS_FROM {
            let until = Instant::now() + Duration::from_millis(told).min(self.most);
            let mut held = self.held();
            *held = Some(held.map_or(until, |held| held.max(until)));
        }
    }

    /// Waits as long as the broker wants.
    pub(super) async fn hold(&self) {
        while let Some(until) = self.until().filter(|until| Instant::now() < *until) {
            sleep_until(until).await;
        }
    }

    /// Until when the broker wants to be left alone, or wanted to be.
    pub(super) fn until(&self) -> Option<Instant> {
        *self.held()
    }

    fn held(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer may say how long the broker wants to be left alone.
pub(super) trait Asked: Request {
    /// The first version whose answer comes before that time; that of an older one comes behind it.
    const WAITS_FROM: i16;

    /// The time in milliseconds.
    fn throttle_ms(answer: &Self::Response) -> i32;
}

impl Asked for ProduceRequest {
    const WAITS_FROM: i16 = 6;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for FetchRequest {
    const WAITS_FROM: i16 = 8;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for ListOffsetsRequest {
    const WAITS_FROM: i16 = 3;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for MetadataRequest {
    const WAITS_FROM: i16 = 6;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for InitProducerIdRequest {
    const WAITS_FROM: i16 = 1;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for CreateTopicsRequest {
    const WAITS_FROM: i16 = 3;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for DeleteTopicsRequest {
    const WAITS_FROM: i16 = 2;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for CreatePartitionsRequest {
    const WAITS_FROM: i16 = 1;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for DeleteRecordsRequest {
    const WAITS_FROM: i16 = 1;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for DescribeConfigsRequest {
    const WAITS_FROM: i16 = 2;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for AlterConfigsRequest {
    const WAITS_FROM: i16 = 1;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for IncrementalAlterConfigsRequest {
    const WAITS_FROM: i16 = 0;
    fn throttle_ms(answer: &Self::Response) -> i32 {
        answer.throttle_time_ms
    }
}

impl Asked for SaslHandshakeRequest {
    const WAITS_FROM: i16 = i16::MAX;
    fn throttle_ms(_: &Self::Response) -> i32 {
        0
    }
}

impl Asked for SaslAuthenticateRequest {
    const WAITS_FROM: i16 = i16::MAX;
    fn throttle_ms(_: &Self::Response) -> i32 {
        0
    }
}
