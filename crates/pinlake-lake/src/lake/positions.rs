//! Whether archive and tables can go on in the log, as a start tells it before the first record comes.

use pinlake_core::{ErrorKind, Offset, OffsetRange, Result, TopicName, TopicPartition};

use super::Lake;
use crate::readers::check_position;

impl Lake {
    /// Looks at every position that archive and tables have committed. A topic that the log does not have is no fault if, made again,
    /// it would begin behind them: `begins` says where; nor one that was deleted on purpose ([`Lake::topic_deleted`]).
    ///
    /// # Errors
    /// `Corrupt`, of the first position that this log never came to or does not keep; what `begins` answers.
    pub async fn check_positions(&self, begins: impl Fn(&TopicPartition) -> Result<Offset>) -> Result<()> {
        let deleted = self.archive.status().deleted;
        for (follower, of, position) in self.positions() {
            let kept = match self.log.range(&of).await {
                Ok(kept) => kept,
                Err(error) if error.kind() == ErrorKind::NotFound && deleted.contains(&of.topic) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => OffsetRange { start: Offset::ZERO, end: begins(&of)? },
                // Readiness says what is wrong with a partition that can't be read.
                Err(_) => continue,
            };
            check_position(&follower, &of, position, kept)?;
        }
        Ok(())
    }

    /// Notes that a topic which the log has no more was deleted on purpose, so that no start misses it.
    ///
    /// # Errors
    /// What keeps the archive from noting it: starts miss the topic then.
    pub async fn topic_deleted(&self, topic: &TopicName) -> Result<()> {
        self.archive.topic_deleted(topic.clone()).await
    }

    /// Whether archive or a table has taken something of a topic of that name.
    pub fn knows(&self, topic: &TopicName) -> bool {
        self.positions().into_iter().any(|(_, of, position)| of.topic == *topic && position > Offset::ZERO)
    }

    /// Who stands where, in the topics that the pipeline follows.
    fn positions(&self) -> Vec<(String, TopicPartition, Offset)> {
        let archived = self.archive.status().positions.into_iter().filter(|(of, _)| self.pipeline.follows(&of.topic));
        let mut all: Vec<_> = archived.map(|(of, position)| ("the archive".to_owned(), of, position)).collect();
        for (index, table) in self.pipeline.tables.iter().enumerate() {
            let committed = self.tables[index].status().committed;
            let followed = committed.into_iter().filter(|(of, _)| self.pipeline.route(index, &of.topic).is_some());
            all.extend(followed.map(|(of, standing)| (format!("table {}", table.name), of, standing.position)));
        }
        all
    }
}
