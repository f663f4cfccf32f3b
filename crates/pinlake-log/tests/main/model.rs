//! The disk log does what the log in memory does, whatever happens between: clean restarts, killed processes and power cuts.

use std::path::Path;

use futures::future::join_all;
use pinlake_core::batch::{Marker, ProducerSequence};
use pinlake_core::testing::log_contract::read_all;
use pinlake_core::testing::log_contract::transactions::{marker, read_all_committed};
use pinlake_core::{Batch, BatchBuilder, Log, MemoryLog, Timestamp, TopicSpec};
use pinlake_log::{DiskLog, LogSettings};
use proptest::prelude::*;

use crate::setup::{copy, folder, last_segment, open, settings};

#[derive(Debug, Clone)]
enum Step {
    Append {
        partition: u32,
        values: Vec<String>,
        at: i64,
    },
    Produce {
        partition: u32,
        producer: i64,
        epoch: i16,
        first: i32,
        count: usize,
        transactional: bool,
    },
    End {
        partition: u32,
        producer: i64,
        epoch: i16,
        commit: bool,
    },
    /// Steps like those before, of which none waits for another.
    AtOnce(Vec<Step>),
    Trim {
        partition: u32,
        part: u64,
    },
    AddPartition,
    Look {
        time: i64,
    },
    Recreate,
    DeleteKillAndCreate,
    Restart,
    Kill,
    LoseTransactionIndexes,
    PowerCut {
        lost: usize,
    },
}

fn any_append() -> impl Strategy<Value = Step> {
    let append = (0..2_u32, proptest::collection::vec("[a-z]{0,30}", 1..4), 0..100_i64);
    let produce = (0..2_u32, 1..3_i64, 0..2_i16, 0..6_i32, 1..3_usize, any::<bool>());
    let produce = produce.prop_map(|(partition, producer, epoch, first, count, transactional)| Step::Produce {
        partition,
        producer,
        epoch,
        first,
        count,
        transactional,
    });
    let end = (0..2_u32, 1..3_i64, 0..2_i16, any::<bool>());
    prop_oneof![
        6 => append.prop_map(|(partition, values, at)| Step::Append { partition, values, at }),
        8 => produce,
        4 => end.prop_map(|(partition, producer, epoch, commit)| Step::End { partition, producer, epoch, commit }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        18 => any_append(),
        3 => proptest::collection::vec(any_append(), 2..12).prop_map(Step::AtOnce),
        1 => (0..2_u32, 0..5_u64).prop_map(|(partition, part)| Step::Trim { partition, part }),
        1 => Just(Step::AddPartition),
        1 => Just(Step::LoseTransactionIndexes),
        1 => (0..110_i64).prop_map(|time| Step::Look { time }),
        1 => Just(Step::Recreate),
        1 => Just(Step::DeleteKillAndCreate),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => any::<usize>().prop_map(|lost| Step::PowerCut { lost }),
    ]
}

fn plain(values: &[String], at: i64) -> Batch {
    let mut batch = BatchBuilder::new(Timestamp(at));
    for value in values {
        batch.push(None, Some(value.as_bytes()));
    }
    batch.build().unwrap()
}

fn produced(id: i64, epoch: i16, first: i32, count: usize, transactional: bool) -> Batch {
    let mut batch = BatchBuilder::new(Timestamp(7));
    batch.set_producer(ProducerSequence { id, epoch, first });
    if transactional {
        batch.set_transactional();
    }
    for _ in 0..count {
        batch.push(None, Some(b"produced"));
    }
    batch.build().unwrap()
}

/// What a step that appends does.
fn batch_of(step: Step) -> (u32, Batch) {
    match step {
        Step::Append { partition, values, at } => (partition, plain(&values, at)),
        Step::Produce { partition, producer, epoch, first, count, transactional } => {
            (partition, produced(producer, epoch, first, count, transactional))
        }
        Step::End { partition, producer, epoch, commit } => {
            (partition, marker(if commit { Marker::Commit } else { Marker::Abort }, producer, epoch))
        }
        other => panic!("{other:?} appends nothing"),
    }
}

struct Both {
    memory: MemoryLog,
    disk: DiskLog,
    dir: tempfile::TempDir,
    settings: LogSettings,
    /// Then a checkpoint says what the batches no longer do.
    trimmed: bool,
}

impl Both {
    async fn new(settings: LogSettings) -> Self {
        let dir = folder();
        let disk = open(dir.path(), settings.clone()).await;
        let memory = MemoryLog::new();
        let both = Self { memory, disk, dir, settings, trimmed: false };
        both.create().await;
        both
    }

    async fn create(&self) {
        let (name, spec) = (partition_of(0).topic, TopicSpec { retention_ms: None, ..TopicSpec::with_partitions(2) });
        self.disk.create_topic(&name, spec.clone()).await.unwrap();
        self.memory.create_topic(&name, spec).await.unwrap();
    }

    async fn delete(&self) {
        self.disk.delete_topic(&partition_of(0).topic).await.unwrap();
        self.memory.delete_topic(&partition_of(0).topic).await.unwrap();
    }

    /// Appends in this order, without waiting for one before the next.
    async fn append(&self, batches: Vec<(u32, Batch)>) {
        let mut expected = Vec::new();
        for (partition, batch) in &batches {
            expected.push(self.memory.append(&partition_of(*partition), batch.clone()).await);
        }
        let found = join_all(
            batches.into_iter().map(|(partition, batch)| async move { self.disk.append(&partition_of(partition), batch).await }),
        );
        for (found, expected) in found.await.into_iter().zip(expected) {
            assert_eq!(found.map_err(|error| error.kind()), expected.map_err(|error| error.kind()));
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append { .. } | Step::Produce { .. } | Step::End { .. } => self.append(vec![batch_of(step)]).await,
            Step::AtOnce(steps) => self.append(steps.into_iter().map(batch_of).collect()).await,
            Step::Trim { partition, part } => self.trim(partition, part).await,
            Step::AddPartition => {
                let mut spec = self.memory.topic(&partition_of(0).topic).await.unwrap().spec;
                spec.partitions = (spec.partitions + 1).min(5);
                self.memory.alter_topic(&partition_of(0).topic, spec.clone()).await.unwrap();
                self.disk.alter_topic(&partition_of(0).topic, spec).await.unwrap();
            }
            Step::LoseTransactionIndexes => lose(self.dir.path(), "txnindex"),
            Step::Look { time } => self.compare(time).await,
            Step::Recreate => {
                self.delete().await;
                self.create().await;
            }
            Step::DeleteKillAndCreate => {
                self.delete().await;
                self.reopen_copy(&|_, _| ()).await;
                self.create().await;
            }
            Step::Restart => {
                self.disk.close().await.unwrap();
                self.disk = open(self.dir.path(), self.settings.clone()).await;
            }
            Step::Kill => self.reopen_copy(&|_, _| ()).await,
            Step::PowerCut { lost } => {
                let trimmed = self.trimmed;
                self.reopen_copy(&|path, bytes| cut_power(path, bytes, lost, trimmed)).await;
            }
        }
    }

    /// Lets go of some quarters of what a partition holds.
    async fn trim(&mut self, partition: u32, part: u64) {
        self.trimmed = true;
        let of = partition_of(partition);
        let range = self.memory.range(&of).await.unwrap();
        let before = range.start.plus(range.len() * part / 4);
        assert_eq!(self.memory.trim(&of, before).await.unwrap(), self.disk.trim(&of, before).await.unwrap());
    }

    async fn reopen_copy(&mut self, change: &dyn Fn(&Path, &mut Vec<u8>)) {
        // A checkpoint comes after the acknowledgement: once the owners answer again they are idle, and a case does the same each time.
        assert_eq!(self.disk.retain_now().await.unwrap(), 0);
        let to = folder();
        copy(self.dir.path(), to.path(), change);
        self.disk = open(to.path(), self.settings.clone()).await;
        self.dir = to;
    }

    async fn compare(&self, time: i64) {
        let topic = self.memory.topic(&partition_of(0).topic).await.unwrap();
        assert_eq!(self.disk.topic(&topic.name).await.unwrap().spec, topic.spec);
        for of in (0..topic.spec.partitions).map(partition_of) {
            let range = self.memory.range(&of).await.unwrap();
            assert_eq!(self.disk.range(&of).await.unwrap(), range);
            let expected = read_all(&self.memory, &of, range.start).await;
            assert_eq!(read_all(&self.disk, &of, range.start).await, expected);
            let middle = range.start.plus(range.len() / 2);
            assert_eq!(read_all(&self.disk, &of, middle).await, expected[expected.len() / 2..]);
            assert_eq!(self.disk.stable_end(&of).await.unwrap(), self.memory.stable_end(&of).await.unwrap());
            assert_eq!(self.disk.producers(&of).await.unwrap(), self.memory.producers(&of).await.unwrap());
            for at in [range.start, middle] {
                let expected = read_all_committed(&self.memory, &of, at).await;
                assert_eq!(read_all_committed(&self.disk, &of, at).await, expected, "committed from {at}");
            }
            let time = Timestamp(time);
            assert_eq!(self.disk.offset_at(&of, time).await.unwrap(), self.memory.offset_at(&of, time).await.unwrap());
        }
    }
}

/// What was never synced may be lost or torn: the active segment's indexes, and bytes behind the last acknowledged batch. A checkpoint that is
/// damaged is the same to a partition that still has all batches.
fn cut_power(path: &Path, bytes: &mut Vec<u8>, lost: usize, trimmed: bool) {
    let partition = path.parent().unwrap();
    let keeps = bytes.len() - (lost / 7) % (bytes.len() + 1);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("log") if path == last_segment(partition) => bytes.extend(vec![(lost % 256) as u8; lost % 200]),
        Some("index" | "timeindex") if path.file_stem() == last_segment(partition).file_stem() => bytes.truncate(keeps),
        None if path.ends_with("checkpoint") && !trimmed && lost.is_multiple_of(2) => bytes.truncate(keeps),
        _ => {}
    }
}

/// Removes all files with that extension.
fn lose(dir: &Path, extension: &str) {
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            lose(&path, extension);
        } else if path.extension().is_some_and(|found| found == extension) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

fn partition_of(number: u32) -> pinlake_core::TopicPartition {
    pinlake_core::TopicName::new("t").unwrap().partition(number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_log_is_the_log_in_memory(
        steps in proptest::collection::vec(any_step(), 1..60),
        segment_bytes in 200..2000_u64,
        checkpoint_bytes in 1..600_u64,
        index_interval_bytes in 1..500_u32,
        tail_bytes_max in 0..600_usize,
        round_appends_max in 1..12_usize,
        ahead_bytes in 0..300_usize,
    ) {
        let settings = LogSettings {
            segment_bytes, checkpoint_bytes, index_interval_bytes, tail_bytes_max, round_appends_max, ahead_bytes, ..settings()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut both = Both::new(settings).await;
            for step in steps {
                both.step(step).await;
            }
            both.compare(50).await;
        });
    }
}
