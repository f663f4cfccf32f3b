//! Dead letters as Kafka Connect writes them: records of a topic, with the original's key, value, time and headers, and headers that say what was
//! wrong. The topic is made if it is not there. It must not decide what is a dead letter.
//!
//! Names and meaning: Kafka's `org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinlake_core::{BatchBuilder, Clock, ErrorKind, Log, Record, Result, TopicDescription, TopicName, TopicSpec};

use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::plan::DeadLetterTopic;
use crate::problem::Stage;

const HEADER_PREFIX: &str = "__connect.errors.";
/// Letters are appended together up to this size.
const BATCH_BYTES: usize = 1 << 20;

/// Writes dead letters into a log.
pub struct TopicDeadLetters {
    log: Arc<dyn Log>,
    clock: Clock,
}

impl TopicDeadLetters {
    /// Into `log`, as clients see it.
    pub fn new(log: Arc<dyn Log>, clock: Clock) -> Self {
        Self { log, clock }
    }

    async fn topic(&self, name: &TopicName) -> Result<TopicDescription> {
        match self.log.topic(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match self.log.create_topic(name, TopicSpec::default()).await {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => self.log.topic(name).await,
        }
    }
}

#[async_trait]
impl DeadLetters for TopicDeadLetters {
    async fn put(&self, to: &DeadLetterTopic, letters: Vec<DeadLetter>) -> Result<()> {
        let topic = self.topic(&to.topic).await?;
        // The letters of one partition stay in their order.
        let place = |letter: &DeadLetter| to.topic.partition(letter.of.partition.0 % topic.spec.partitions.max(1));
        let mut letters = letters.into_iter().peekable();
        while let Some(first) = letters.peek() {
            let partition = place(first);
            let mut builder = BatchBuilder::new(self.clock.now());
            while let Some(letter) = letters.next_if(|letter| builder.size_bytes() < BATCH_BYTES && place(letter) == partition) {
                builder.push_record_at(letter.timestamp, &record(&letter, to.headers));
            }
            self.log.append(&partition, builder.build()?).await?;
        }
        Ok(())
    }
}

fn record(letter: &DeadLetter, with_headers: bool) -> Record {
    let mut headers = letter.headers.clone();
    if with_headers {
        headers.extend(context(letter).map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), Some(Bytes::from(value)))));
    }
    Record { key: letter.key.clone(), value: letter.value.clone(), headers }
}

/// What was wrong, and where.
fn context(letter: &DeadLetter) -> [(&'static str, String); 10] {
    let DeadLetter { sink, task, of, offset, problem, .. } = letter;
    [
        ("topic", of.topic.to_string()),
        ("partition", of.partition.to_string()),
        ("offset", offset.to_string()),
        ("connector.name", sink.to_string()),
        ("task.id", task.to_string()),
        ("stage", stage(problem.stage).to_owned()),
        ("class.name", problem.found_by.to_owned()),
        ("exception.class.name", problem.class.to_owned()),
        ("exception.message", problem.message.clone()),
        ("exception.stacktrace", format!("{}: {}", problem.class, problem.message)),
    ]
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Read => "KAFKA_CONSUME",
        Stage::Key => "KEY_CONVERTER",
        Stage::Value => "VALUE_CONVERTER",
        Stage::Headers => "HEADER_CONVERTER",
        Stage::Put => "TASK_PUT",
    }
}
