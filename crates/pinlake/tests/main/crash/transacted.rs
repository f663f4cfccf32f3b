//! A transactional producer: each transaction writes to two partitions and commits a group's offset, and every second one is aborted. After trouble it goes on
//! where it was, or begins a new life, which ends what the old one left open. An end without an answer has either outcome, and the group's
//! offset says which; it must then be the outcome of every record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::clients::{Patience, Shared, TRANSACTED, key};
use crate::wire::{Place, Told, Trouble, Who, Wire};

/// The transactional id, and the group of its offsets.
const NAME: &str = "crash-transactions";
/// Records of a transaction in each partition.
const RECORDS: i64 = 2;
/// Between two transactions.
const PACE: Duration = Duration::from_millis(20);
/// Behind the keys of all others.
const KEYS_FROM: i64 = 2_000_000_000;

/// The keys of a transaction in a partition.
fn keys(partition: i32, number: usize) -> impl Iterator<Item = i64> {
    let from = KEYS_FROM + (number as i64 * 2 + i64::from(partition)) * RECORDS;
    from..from + RECORDS
}

/// Transacts until it is stopped: of each transaction, whether it was committed.
pub(super) async fn produce(shared: Arc<Shared>) -> Vec<bool> {
    let wire = shared.connect().await;
    let who = Who { id: -1, epoch: -1 };
    let mut producer = Producer { patience: Patience::new(shared.clone()), shared, wire, who, sequence: 0, troubles: 0 };
    producer.begin().await;
    let mut committed = Vec::new();
    while !producer.shared.is_stopped() {
        let before = committed.iter().rposition(|committed| *committed);
        let outcome = producer.transact(committed.len()).await;
        let stands = producer.stands().await;
        let expected = |commits| if commits { Some(committed.len()) } else { before };
        let is_so = outcome.unwrap_or_else(|| stands == expected(true));
        assert_eq!(stands, expected(is_so), "the group's offset is that of the last committed transaction");
        committed.push(is_so);
        producer.patience.renew();
        producer.shared.told.send_modify(|told| told.transactions += 1);
        tokio::time::sleep(PACE).await;
    }
    committed
}

struct Producer {
    shared: Arc<Shared>,
    patience: Patience,
    wire: Wire,
    who: Who,
    /// The next batch's first sequence number, the same in both partitions.
    sequence: i32,
    troubles: u64,
}

impl Producer {
    /// A new life: the old one is fenced, and what it left open is ended.
    async fn begin(&mut self) {
        loop {
            match self.wire.init_producer(Some(NAME)).await {
                Ok(who) => {
                    assert!(who.id != self.who.id || who.epoch > self.who.epoch, "{:?} is fenced by {who:?}", self.who);
                    (self.who, self.sequence) = (who, 0);
                    return;
                }
                Err(trouble) => self.wire = self.patience.after("a transactional id", trouble).await,
            }
        }
    }

    /// Whether a transaction was committed, `None` if nobody said.
    async fn transact(&mut self, number: usize) -> Option<bool> {
        let commits = number.is_multiple_of(2);
        let mut ends = false;
        while let Err(trouble) = self.steps(number, commits, &mut ends).await {
            let is_gone = matches!(trouble, Trouble::Gone(_));
            self.wire = self.patience.after(&format!("transaction {number} of {:?}", self.who), trouble).await;
            self.troubles += u64::from(is_gone);
            if is_gone && self.troubles.is_multiple_of(2) {
                self.begin().await;
                let is_undecided = commits && ends;
                self.shared.told.send_modify(|told| {
                    told.ended += 1;
                    told.undecided += u64::from(is_undecided);
                });
                return if is_undecided { None } else { Some(false) };
            }
            self.shared.told.send_modify(|told| told.resumed += u64::from(is_gone));
        }
        self.sequence += RECORDS as i32;
        Some(commits)
    }

    /// What is left to do of a transaction. What comes before its end may be done again, with the same numbers.
    async fn steps(&mut self, number: usize, commits: bool, ends: &mut bool) -> Told<()> {
        if !*ends {
            self.wire.add_partitions(NAME, self.who, TRANSACTED, vec![0, 1]).await?;
            let mut sent = Vec::new();
            for partition in [0, 1] {
                let batch = self.shared.batch(self.who, self.sequence, true, keys(partition, number));
                sent.push(self.wire.send_batch(TRANSACTED, partition, Some(NAME), &batch).await?);
            }
            for sent in sent {
                self.wire.produced(sent).await?;
            }
            self.wire.stage_offset(NAME, self.who, NAME, &(TRANSACTED.to_owned(), 0), number as i64).await?;
            *ends = true;
        }
        self.shared.told.send_modify(|told| {
            told.ends += 1;
            told.is_ending = true;
        });
        self.wire.end_transaction(NAME, self.who, commits).await?;
        self.shared.told.send_modify(|told| told.is_ending = false);
        Ok(())
    }

    /// The last committed transaction, as the group's offset says.
    async fn stands(&mut self) -> Option<usize> {
        loop {
            match self.wire.committed(NAME, &(TRANSACTED.to_owned(), 0)).await {
                Ok(offset) => return usize::try_from(offset).ok(),
                Err(trouble) => self.wire = self.patience.after("the offset of transactions", trouble).await,
            }
        }
    }
}

/// The records of committed transactions are there once and in order, and no other.
pub(super) fn check(place: &Place, committed: &[bool], found: &[(i64, Bytes)]) {
    let numbers = (0..committed.len()).filter(|number| committed[*number]);
    let expected: Vec<i64> = numbers.flat_map(|number| keys(place.1, number)).collect();
    let found: Vec<i64> = found.iter().map(|(_, value)| key(value)).collect();
    let but = |all: &[i64], those: &[i64]| all.iter().copied().filter(|key| !those.contains(key)).take(10).collect::<Vec<_>>();
    let (missing, more) = (but(&expected, &found), but(&found, &expected));
    assert!(
        found == expected,
        "{place:?} shows {} records, not the {} of committed transactions: {missing:?} are missing, {more:?} should not be there",
        found.len(),
        expected.len()
    );
}
