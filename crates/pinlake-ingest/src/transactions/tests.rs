//! Transactions as their callers see them: in time that stands still until it is waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use pinlake_core::batch::ProducerSequence;
use pinlake_core::{BatchBuilder, ErrorKind, Offset, ReadLimit, TopicName, TopicSpec};

use super::calls::TransactionState;
use super::*;
use crate::groups::GroupSettings;
use crate::groups::calls::{NO_GENERATION, NewOffset};
use scripted_log::ScriptedLog;

mod counts;
mod ends;
mod fencing;
mod prefixes;
mod scripted_log;

const MINUTE: Duration = Duration::from_secs(60);

/// Transactions on a log with topic `t` of four partitions and `u` of one, and what they were made with.
struct World {
    log: Arc<ScriptedLog>,
    clock: Clock,
    settings: TransactionSettings,
    groups: Groups,
    transactions: Transactions,
}

impl World {
    async fn new() -> Self {
        Self::with(TransactionSettings::default()).await
    }

    async fn with(settings: TransactionSettings) -> Self {
        let log = Arc::new(ScriptedLog::default());
        for (topic, partitions) in [("t", 4), ("u", 1)] {
            log.create_topic(&TopicName::new(topic).unwrap(), TopicSpec::with_partitions(partitions)).await.unwrap();
        }
        Self::on(log, settings).await
    }

    async fn on(log: Arc<ScriptedLog>, settings: TransactionSettings) -> Self {
        let clock = Clock::manual(Timestamp(1_000_000));
        let (groups, transactions) = open(&log, &clock, &settings).await;
        Self { log, clock, settings, groups, transactions }
    }

    /// The server dies and starts again.
    async fn restart(&mut self) {
        (self.groups, self.transactions) = open(&self.log, &self.clock, &self.settings).await;
    }

    /// Lets time go by, on every clock, and what is due be done.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time.min(MINUTE)).await;
        settle().await;
    }

    async fn init(&self, name: &str) -> TransactionProducer {
        self.try_init(name, None).await.unwrap()
    }

    async fn try_init(&self, name: &str, expected: Option<TransactionProducer>) -> Result<TransactionProducer, TransactionError> {
        self.transactions.init(InitRequest { id: id(name), timeout_ms: 60_000, expected }).await
    }

    async fn add(&self, name: &str, by: TransactionProducer, of: &TopicPartition) -> Result<(), TransactionError> {
        self.transactions.add_partitions(&id(name), by, vec![of.clone()]).await
    }

    /// Appends one record of a transaction, as a produce request does.
    async fn append(
        &self,
        name: &str,
        by: TransactionProducer,
        to: &TopicPartition,
        sequence: i32,
        value: &str,
    ) -> Result<(), TransactionError> {
        let batch = batch(by, sequence, true, value);
        let admission = self.transactions.admit(Some(&id(name)), to, &batch).await?;
        self.log.append(to, batch).await.unwrap();
        drop(admission);
        Ok(())
    }

    async fn stage(&self, name: &str, by: TransactionProducer, to: i64) -> Result<(), TransactionError> {
        let new = NewOffset { offset: to, leader_epoch: -1, metadata: String::new() };
        let request = CommitRequest {
            group: group("g"),
            generation: NO_GENERATION,
            member_id: String::new(),
            group_instance_id: None,
            offsets: vec![(of("u", 0), new)],
        };
        let answers = self.transactions.stage_offsets(&id(name), by, request).await?;
        answers.into_iter().for_each(|(_, answer)| answer.unwrap());
        Ok(())
    }

    async fn end(&self, name: &str, by: TransactionProducer, how: Marker) -> Result<(), TransactionError> {
        self.transactions.end(&id(name), by, how).await
    }

    fn state(&self, name: &str) -> TransactionState {
        self.transactions.describe(&id(name)).unwrap().state
    }

    /// What readers of committed records see of a partition.
    async fn committed(&self, of: &TopicPartition) -> Vec<String> {
        let whole = ReadLimit { bytes: usize::MAX };
        let batches = self.log.read_committed(of, Offset::ZERO, whole, Duration::ZERO).await.unwrap().visible();
        let values = batches.iter().flat_map(|batch| batch.records().map(|record| record.unwrap().value.unwrap().to_vec()));
        values.map(|value| String::from_utf8(value).unwrap()).collect()
    }

    /// The markers of a partition and the records, in order.
    fn appended(&self, to: &TopicPartition) -> Vec<String> {
        let show = |batch: &Batch| match batch.ends_transaction() {
            Some(marker) => format!("{marker:?} of epoch {}", batch.producer().unwrap().epoch),
            None => String::from_utf8(batch.records().next().unwrap().unwrap().value.unwrap().to_vec()).unwrap(),
        };
        self.log.appended().iter().filter(|(of, _)| of == to).map(|(_, batch)| show(batch)).collect()
    }

    /// What group `g` has committed.
    fn offset(&self) -> Option<i64> {
        let fetched = self.groups.fetch(&group("g"), Some(&[of("u", 0)]), false);
        fetched[0].1.as_ref().unwrap().as_ref().map(|found| found.offset.0)
    }

    async fn is_stable(&self, of: &TopicPartition) -> bool {
        self.log.stable_end(of).await.unwrap() == self.log.range(of).await.unwrap().end
    }
}

async fn open(log: &Arc<ScriptedLog>, clock: &Clock, settings: &TransactionSettings) -> (Groups, Transactions) {
    let groups = Groups::open(log.clone(), clock.clone(), GroupSettings::default()).await.unwrap();
    let transactions = Transactions::open(log.clone(), groups.clone(), clock.clone(), settings.clone()).await.unwrap();
    (groups, transactions)
}

/// Lets every task go on until all of them wait.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn id(name: &str) -> TransactionalId {
    TransactionalId::new(name).unwrap()
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn of(topic: &str, partition: u32) -> TopicPartition {
    TopicName::new(topic).unwrap().partition(partition)
}

fn batch(by: TransactionProducer, sequence: i32, is_transactional: bool, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(0));
    builder.set_producer(ProducerSequence { id: by.id, epoch: by.epoch, first: sequence });
    if is_transactional {
        builder.set_transactional();
    }
    builder.push(None, Some(value.as_bytes()));
    builder.build().unwrap()
}

#[tokio::test]
async fn producer_ids_are_given_once_also_across_deaths() {
    let mut world = World::new().await;
    let mut given = BTreeMap::new();
    for life in 0..4 {
        for number in 0..1200 {
            let producer = world.transactions.new_producer().await.unwrap();
            assert_eq!(producer.epoch, 0);
            assert_eq!(given.insert(producer.id, (life, number)), None, "id {} was given before", producer.id);
            if number % 400 == 0 {
                assert_eq!(given.insert(world.init(&format!("t{life}-{number}")).await.id, (life, number)), None);
            }
        }
        world.restart().await;
    }
    let written = world.log.appended().len();
    assert!(written < 40, "ids are written in blocks: {written} records");
}

#[tokio::test]
async fn producer_ids_that_could_not_be_written_are_not_given() {
    let world = World::new().await;
    world.log.refuse(TRANSACTIONS_TOPIC, ErrorKind::Retry);
    assert_eq!(world.transactions.new_producer().await, Err(TransactionError::NotAvailable));
    assert_eq!(world.try_init("a", None).await, Err(TransactionError::NotAvailable));
    assert_eq!(world.transactions.describe(&id("a")), Err(TransactionError::NotFound));
    world.log.refuse(TRANSACTIONS_TOPIC, ErrorKind::Internal);
    assert_eq!(world.transactions.new_producer().await, Err(TransactionError::Storage));
    world.log.accept();
    assert_eq!(world.transactions.new_producer().await.unwrap().id, 0);
}

#[tokio::test]
async fn timeouts_out_of_bounds_are_refused() {
    let world = World::new().await;
    for (timeout_ms, is_right) in [(0, false), (-1, false), (1, true), (900_000, true), (900_001, false), (i64::MAX, false)] {
        let answer = world.transactions.init(InitRequest { id: id("a"), timeout_ms, expected: None }).await;
        assert_eq!(answer.is_ok(), is_right, "{timeout_ms} ms: {answer:?}");
        assert!(is_right || answer == Err(TransactionError::InvalidTimeout));
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let settings = TransactionSettings {
        ids_max: 2,
        partitions_max: 2,
        all_partitions_max: 3,
        groups_max: 1,
        ..TransactionSettings::default()
    };
    let world = World::with(settings).await;
    let (a, b) = (world.init("a").await, world.init("b").await);
    let is_too_many = |answer: Result<(), TransactionError>| matches!(answer, Err(TransactionError::TooMany(_)));
    assert!(is_too_many(world.try_init("c", None).await.map(drop)));
    let a = world.try_init("a", Some(a)).await.expect("it is there already");
    world.add("a", a, &of("t", 0)).await.unwrap();
    world.add("a", a, &of("t", 1)).await.unwrap();
    assert!(is_too_many(world.add("a", a, &of("t", 2)).await), "too many of one transaction");
    world.add("b", b, &of("t", 0)).await.unwrap();
    assert!(is_too_many(world.add("b", b, &of("t", 1)).await), "too many of all transactions");
    world.transactions.add_group(&id("a"), a, group("g")).await.unwrap();
    assert!(is_too_many(world.transactions.add_group(&id("a"), a, group("h")).await));
    world.end("a", a, Marker::Abort).await.unwrap();
    world.add("b", b, &of("t", 1)).await.expect("there is room again");
    for name in ["", "a\nb", &"x".repeat(1025)] {
        assert!(matches!(TransactionalId::new(name), Err(TransactionError::InvalidRequest(_))));
    }
}

#[tokio::test]
async fn descriptions_tell_what_is_open() {
    let world = World::new().await;
    let (a, b) = (world.init("a").await, world.init("b").await);
    world.add("a", a, &of("u", 0)).await.unwrap();
    world.add("a", a, &of("t", 3)).await.unwrap();
    let found = world.transactions.describe(&id("a")).unwrap();
    assert_eq!(found.partitions, [of("t", 3), of("u", 0)]);
    assert_eq!((found.producer, found.state, found.timeout), (a, TransactionState::Ongoing, MINUTE));
    assert_eq!(found.started_at, Some(Timestamp(1_000_000)));
    let listed = world.transactions.list(|found| found.producer == b);
    assert_eq!(listed.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(world.transactions.list(|_| true).len(), 2);
}
