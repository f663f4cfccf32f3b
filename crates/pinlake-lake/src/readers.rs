//! Reads every partition that somebody follows: one reader a partition, which hands on what is committed in the log, in order, and
//! waits when its follower is behind.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{
    Batch, Error, ErrorKind, Log, Offset, OffsetRange, ReadLimit, Reason, Result, TopicDescription, TopicId, TopicName,
    TopicPartition,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long one read waits at the end of a partition.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;
/// Reads of one follower that may wait for it.
const READS_WAITING_MAX: usize = 4;
/// How long a read may take to bring what is known to be there: a cluster may have it far away.
const FAR_WAIT: Duration = Duration::from_secs(1);
/// How long a log may take to say what it has, before its followers do something else.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a reader leaves a failing log alone.
const RETRY: Duration = Duration::from_millis(500);

/// What a reader hands on.
#[derive(Debug)]
pub(crate) struct Read {
    /// The partition.
    pub(crate) of: TopicPartition,
    /// Which of its readers read it.
    reader: u64,
    /// The position the reader asked for: records before it are not the follower's.
    pub(crate) from: Offset,
    /// The batches, one at least. What is not to be seen is in them without its records.
    pub(crate) batches: Vec<Batch>,
}

impl Read {
    /// The offsets that it accounts for.
    pub(crate) fn offsets(&self) -> OffsetRange {
        OffsetRange { start: self.from, end: self.batches.last().map_or(self.from, |batch| batch.offsets().end) }
    }
}

/// The readers of one follower.
pub(crate) struct Readers {
    log: Arc<dyn Log>,
    sender: mpsc::Sender<Result<Read>>,
    running: HashMap<TopicPartition, (u64, JoinHandle<()>)>,
    /// How many were started.
    started: u64,
}

impl Readers {
    /// No readers yet; what they read comes out of the receiver.
    pub(crate) fn new(log: Arc<dyn Log>) -> (Readers, mpsc::Receiver<Result<Read>>) {
        let (sender, receiver) = mpsc::channel(READS_WAITING_MAX);
        (Readers { log, sender, running: HashMap::new(), started: 0 }, receiver)
    }

    /// Whether `of` is being read: no longer once its topic is deleted.
    pub(crate) fn reads(&self, of: &TopicPartition) -> bool {
        self.running.get(of).is_some_and(|(_, reader)| !reader.is_finished())
    }

    /// Reads `of` from `position` on, for as long as its topic is `topic`; whatever it is, if that is not known. What an earlier reader of it
    /// read may still come out of the receiver.
    pub(crate) fn start(&mut self, of: TopicPartition, position: Offset, topic: Option<TopicId>) {
        self.started += 1;
        let first = Read { of: of.clone(), reader: self.started, from: position, batches: Vec::new() };
        let task = tokio::spawn(read_on(self.log.clone(), self.sender.clone(), first, topic));
        if let Some((_, old)) = self.running.insert(of, (self.started, task)) {
            old.abort();
        }
    }

    /// Whether the partition's newest reader read it. What an earlier one read must not be taken: the newest begins where the follower
    /// stood without it.
    pub(crate) fn is_newest(&self, read: &Read) -> bool {
        self.running.get(&read.of).is_some_and(|(newest, _)| *newest == read.reader)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, reader)| reader.abort());
    }
}

/// The topics of the log that are `wanted`. None while it does not answer, as a cluster may: whoever looks for new ones looks again.
pub(crate) async fn topics_now(log: &dyn Log, wanted: impl Fn(&TopicName) -> bool) -> Vec<TopicDescription> {
    let topics = timeout(ANSWER_MAX, log.topics()).await.unwrap_or_else(|_| Err(late()));
    let topics = topics.unwrap_or_else(|error| {
        say(&error, "can't look for new topics, trying again");
        Vec::new()
    });
    topics.into_iter().filter(|topic| wanted(&topic.name)).collect()
}

/// As [`range_of`]; `None` too while the log does not answer.
pub(crate) async fn range_now(log: &dyn Log, of: &TopicPartition) -> Result<Option<OffsetRange>> {
    match timeout(ANSWER_MAX, range_of(log, of)).await.unwrap_or_else(|_| Err(late())) {
        Err(error) if error.kind() == ErrorKind::Retry => {
            say(&error, &format!("can't begin to follow {of}, trying again"));
            Ok(None)
        }
        found => found,
    }
}

/// A log that is away says so itself, once for all who ask it.
fn say(error: &Error, what: &str) {
    if error.kind() == ErrorKind::Retry {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::warn!(%error, "{what}");
    }
}

fn late() -> Error {
    Error::retry(format!("the log does not answer within {ANSWER_MAX:?}"))
}

/// What the log keeps of a partition; `None` for one that it does not have, or refuses because it is damaged.
pub(crate) async fn range_of(log: &dyn Log, of: &TopicPartition) -> Result<Option<OffsetRange>> {
    match log.range(of).await {
        Ok(range) => Ok(Some(range)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first offset of a partition that is not decided yet, where archive and tables stop; `None` as for [`range_of`].
pub(crate) async fn stable_end_of(log: &dyn Log, of: &TopicPartition) -> Result<Option<Offset>> {
    match log.stable_end(of).await {
        Ok(end) => Ok(Some(end)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is decided of a partition from `at` on, with the batches that are not to be seen emptied; nothing if nothing more is decided by now.
pub(crate) async fn decided(log: &dyn Log, of: &TopicPartition, at: Offset, bytes: usize) -> Result<Vec<Batch>> {
    decided_within(log, of, at, bytes, Duration::ZERO).await
}

/// The same of what is known to be decided.
pub(crate) async fn surely_decided(log: &dyn Log, of: &TopicPartition, at: Offset, bytes: usize) -> Result<Vec<Batch>> {
    decided_within(log, of, at, bytes, FAR_WAIT).await
}

async fn decided_within(log: &dyn Log, of: &TopicPartition, at: Offset, bytes: usize, wait: Duration) -> Result<Vec<Batch>> {
    Ok(log.read_committed(of, at, ReadLimit { bytes }, wait).await?.visible())
}

/// Whether `follower`, which stands at `position`, can go on in what the log keeps.
pub(crate) fn check_position(follower: &str, of: &TopicPartition, position: Offset, kept: OffsetRange) -> Result<()> {
    if position >= kept.start && position <= kept.end {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{follower} stands at {position} of {of}, but the log holds {kept}: the log lost records, or is not the one that this lake \
         followed; restore log and lake of one moment, or give this log a lake of its own"
    )))
}

/// Whether the topic is still the one that `follower` has read up to `position`, by the ids that were noted and that it has. Made again in
/// a cluster it begins at 0, and its records would pass for those that were taken; made again in a log that goes on behind the old one it
/// begins where the follower stands.
pub(crate) fn check_topic(
    follower: &str,
    of: &TopicPartition,
    position: Offset,
    kept: OffsetRange,
    (noted, has): (Option<TopicId>, TopicId),
) -> Result<()> {
    let noted = noted.filter(|noted| noted.tells_apart() && has.tells_apart());
    if noted.is_none_or(|noted| noted == has) || position <= kept.start {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{follower} stands at {position} of {of}, but topic '{}' was deleted and made again, and its offsets {kept} are other records: \
         nothing of them is taken; give the new topic another name, or this log a lake of its own",
        of.topic
    )))
}

async fn read_on(log: Arc<dyn Log>, sender: mpsc::Sender<Result<Read>>, first: Read, topic: Option<TopicId>) {
    let Read { of, reader, from: mut position, .. } = first;
    let mut wait = Duration::ZERO;
    loop {
        // A place first: what is read then is not kept waiting in memory.
        let Ok(place) = sender.reserve().await else { return };
        match decided_within(&*log, &of, position, READ_BYTES, std::mem::take(&mut wait)).await {
            Ok(batches) if batches.is_empty() => {
                drop(place);
                // Whatever comes, or fails, the next real read says what it is.
                while matches!(
                    log.read_committed(&of, position, ReadLimit { bytes: 1 }, WAIT).await,
                    Ok(read) if read.batches.is_empty()
                ) {}
                wait = FAR_WAIT;
            }
            // Another topic has the name by now: whoever follows says what that means.
            Ok(_) if is_other(&*log, &of.topic, topic).await => return,
            Ok(batches) => {
                let from = position;
                position = batches.last().expect("it is not empty").offsets().end;
                place.send(Ok(Read { of: of.clone(), reader, from, batches }));
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                drop(place);
                tokio::time::sleep(RETRY).await;
            }
            // Whoever follows looks at the position anew, and knows what to say.
            Err(error) if error.reason() == Some(Reason::OffsetOutOfRange) => {
                tracing::warn!(%of, %position, %error, "can't read on");
                return;
            }
            Err(error) => {
                // A topic that was deleted is no failure.
                let gone = log.topic(&of.topic).await.is_err();
                if !gone {
                    place.send(Err(explain(&of, position, error)));
                }
                return;
            }
        }
    }
}

/// Whether a topic is known not to be this one.
async fn is_other(log: &dyn Log, name: &TopicName, topic: Option<TopicId>) -> bool {
    let Some(topic) = topic else { return false };
    log.topic(name).await.is_ok_and(|now| now.id != topic)
}

fn explain(of: &TopicPartition, position: Offset, error: Error) -> Error {
    Error::new(error.kind(), format!("reading {of} from {position}")).with_source(error)
}
