//! What no cluster of the integration tests does: answers that are lost, cut, mixed up, too large or of another time. A broker of one partition
//! does what it is told to.

mod broker;
mod decided;
mod order;
mod patience;
mod pure;
mod refused;
mod wire;

use std::time::Duration;

use pinlake_core::{Batch, Clock, Record, TopicName, TopicPartition};

use super::{ClusterOptions, KafkaLog};
use broker::Fake;

fn partition() -> TopicPartition {
    TopicName::new("t").unwrap().partition(0)
}

fn batch(value: &'static str) -> Batch {
    Batch::of(&[Record::of_value(value)], pinlake_core::Timestamp(1)).unwrap()
}

fn options(fake: &Fake) -> ClusterOptions {
    ClusterOptions {
        brokers: vec![fake.address.clone()],
        // Client and broker are one thread: where that stands still, an answer is late without being lost.
        request_timeout: Duration::from_secs(120),
        answer_timeout: Duration::from_secs(60),
        answer_bytes_max: 1 << 20,
        ..ClusterOptions::default()
    }
}

async fn connect(fake: &Fake) -> KafkaLog {
    KafkaLog::connect(options(fake), Clock::System).await.unwrap()
}

/// For brokers that fall silent. What waits for that may be asked for more than once.
async fn connect_impatient(fake: &Fake) -> KafkaLog {
    let options = ClusterOptions { answer_timeout: Duration::from_millis(300), ..options(fake) };
    KafkaLog::connect(options, Clock::System).await.unwrap()
}
