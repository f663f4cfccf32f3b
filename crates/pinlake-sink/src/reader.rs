//! Reads what is committed in partitions: one reader a partition, which hands on what it read, in order, and waits when its task is behind. It
//! must not look into a batch.
//!
//! What an earlier run may have written is cut again exactly as it was, whatever that takes of memory, so only a few partitions of a task are
//! read there at a time.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Batch, Error, ErrorKind, Log, Offset, ReadLimit, Reason, Result, TopicId, TopicPartition};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// How long one read waits at the end of a partition.
const WAIT: Duration = Duration::from_secs(5);
/// How long a read may take to bring what is known to be there.
const FAR_WAIT: Duration = Duration::from_secs(1);
/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;
/// Reads that may wait for their task.
const READS_WAITING_MAX: usize = 4;
/// How long a reader leaves a failing log alone.
const RETRY: Duration = Duration::from_millis(500);
/// Partitions that are read at a time where an earlier run may have come.
pub(crate) const AGAIN_AT_ONCE: usize = 2;

/// What a reader hands on.
#[derive(Debug)]
pub(crate) struct Read {
    /// The partition.
    pub(crate) of: TopicPartition,
    /// Which of its readers read it.
    pub(crate) reader: u64,
    /// The batches, one at least; the first may begin before what was asked for. What is not to be seen is in them without its records.
    pub(crate) batches: Result<Vec<Batch>>,
}

/// Starts readers for one task.
#[derive(Clone)]
pub(crate) struct Readers {
    log: Arc<dyn Log>,
    sender: mpsc::Sender<Read>,
    again: Arc<Semaphore>,
}

/// What one reader reads.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) of: TopicPartition,
    pub(crate) reader: u64,
    pub(crate) position: Offset,
    /// An earlier run may have come to here.
    pub(crate) again_before: Offset,
    /// It ends when the topic is no longer this one.
    pub(crate) topic: TopicId,
}

/// A reader that runs until it is dropped, its topic is gone, or it can't read on.
#[derive(Debug)]
pub(crate) struct Reader(JoinHandle<()>);

impl Readers {
    /// What is read comes out of the receiver.
    pub(crate) fn new(log: Arc<dyn Log>) -> (Self, mpsc::Receiver<Read>) {
        let (sender, receiver) = mpsc::channel(READS_WAITING_MAX);
        (Self { log, sender, again: Arc::new(Semaphore::new(AGAIN_AT_ONCE)) }, receiver)
    }

    pub(crate) fn start(&self, part: Part) -> Reader {
        Reader(tokio::spawn(self.clone().read_on(part)))
    }

    async fn read_on(self, part: Part) {
        let Part { of, reader, mut position, again_before, topic } = part;
        let mut again = self.place_to_read_again(position < again_before).await;
        let mut wait = Duration::ZERO;
        loop {
            // A place first: what is read then is not kept waiting in memory.
            let Ok(place) = self.sender.reserve().await else { return };
            let read = self.log.read_committed(&of, position, ReadLimit { bytes: READ_BYTES }, std::mem::take(&mut wait)).await;
            match read.map(|read| read.visible()) {
                Ok(batches) if batches.is_empty() => {
                    drop(place);
                    self.wait_for_more(&of, position).await;
                    wait = FAR_WAIT;
                }
                Ok(_) if self.is_other(&of, topic).await => return,
                Ok(batches) => {
                    position = batches.last().expect("it is not empty").offsets().end;
                    place.send(Read { of: of.clone(), reader, batches: Ok(batches) });
                    if position >= again_before {
                        drop(again.take());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Retry => {
                    drop(place);
                    tokio::time::sleep(RETRY).await;
                }
                // The task looks at the position anew, and at the topic.
                Err(error) if error.reason() == Some(Reason::OffsetOutOfRange) => return,
                Err(error) => {
                    if self.log.topic(&of.topic).await.is_ok() {
                        let error = Error::new(error.kind(), format!("reading {of} from {position}")).with_source(error);
                        place.send(Read { of, reader, batches: Err(error) });
                    }
                    return;
                }
            }
        }
    }

    /// Whatever comes, or fails, the next real read says what it is.
    async fn wait_for_more(&self, of: &TopicPartition, position: Offset) {
        loop {
            match self.log.read_committed(of, position, ReadLimit { bytes: 1 }, WAIT).await {
                Ok(read) if read.batches.is_empty() => {}
                _ => return,
            }
        }
    }

    async fn place_to_read_again(&self, is_again: bool) -> Option<OwnedSemaphorePermit> {
        if !is_again {
            return None;
        }
        self.again.clone().acquire_owned().await.ok()
    }

    /// Whether another topic has the name by now.
    async fn is_other(&self, of: &TopicPartition, topic: TopicId) -> bool {
        self.log.topic(&of.topic).await.is_ok_and(|now| now.id != topic)
    }
}

impl Reader {
    /// Whether it reads no longer.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}
