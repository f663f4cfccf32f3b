//! Which batches of idempotent producers a partition already holds: the last five of each producer, as in Kafka.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::batch::{Batch, ProducerSequence};
use crate::error::{Error, Reason, Result};
use crate::position::{Offset, OffsetRange};
use crate::transactions::Transactions;

/// How many batches of a producer may be repeated; also how many it may have in flight.
pub const BATCHES_REMEMBERED: usize = 5;
/// How many producers a partition remembers; the one that has been silent longest is forgotten first, but none that has a transaction open.
pub const PRODUCERS_MAX: usize = 10_000;
/// How many transactions may be open in a partition, so that there is always a producer that may be forgotten.
pub const TRANSACTIONS_MAX: usize = PRODUCERS_MAX / 2;

/// What an append of a batch has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: append it.
    Append,
    /// It is there already, at these offsets.
    Duplicate(OffsetRange),
}

/// What a partition remembers of one producer, as a snapshot keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerState {
    /// The producer's id.
    pub id: i64,
    /// Its newest epoch.
    pub epoch: i16,
    /// Its last batches, oldest first: the first record's sequence number and the offsets.
    pub recent: Vec<(i32, OffsetRange)>,
}

/// The producers of one partition. Pure: it is told what was appended and says what may be.
#[derive(Debug, Clone, Default)]
pub struct Producers {
    known: HashMap<i64, Producer>,
}

#[derive(Debug, Clone)]
struct Producer {
    epoch: i16,
    recent: VecDeque<(i32, OffsetRange)>,
}

impl Producers {
    /// Checks a batch against what its producer appended before, and against the transactions that are open.
    ///
    /// # Errors
    /// `Invalid` for a gap in the sequence, `Conflict` for an epoch that was fenced, `Retry` for a transaction more than [`TRANSACTIONS_MAX`].
    pub fn check(&self, batch: &Batch, transactions: &Transactions) -> Result<Verdict> {
        let Some(sequence) = batch.producer() else { return Ok(Verdict::Append) };
        let verdict = self.check_sequence(batch, sequence)?;
        let open = transactions.open();
        let begins = verdict == Verdict::Append && batch.is_transactional() && !batch.is_control();
        if begins && open.len() >= TRANSACTIONS_MAX && !open.contains_key(&sequence.id) {
            return Err(Error::retry(format!(
                "{TRANSACTIONS_MAX} transactions are open in the partition, which is the most: try again when some have ended"
            )));
        }
        Ok(verdict)
    }

    fn check_sequence(&self, batch: &Batch, sequence: ProducerSequence) -> Result<Verdict> {
        let Some(producer) = self.known.get(&sequence.id) else { return Ok(Verdict::Append) };
        if sequence.epoch < producer.epoch {
            let text = format!("producer {} epoch {} is fenced by epoch {}", sequence.id, sequence.epoch, producer.epoch);
            return Err(Error::conflict(text).because(Reason::ProducerFenced));
        }
        if batch.is_control() {
            return Ok(Verdict::Append);
        }
        if sequence.epoch > producer.epoch {
            return first_of_epoch(sequence);
        }
        let count = u64::from(batch.offset_span());
        if let Some((_, offsets)) =
            producer.recent.iter().find(|(first, offsets)| *first == sequence.first && offsets.len() == count)
        {
            return Ok(Verdict::Duplicate(*offsets));
        }
        let Some((last_first, last_offsets)) = producer.recent.back() else { return Ok(Verdict::Append) };
        let expected = wrap(*last_first, last_offsets.len());
        if sequence.first == expected {
            return Ok(Verdict::Append);
        }
        let text = format!("producer {} sent sequence {}, expected {expected}", sequence.id, sequence.first);
        Err(Error::invalid(text).because(Reason::SequenceGap))
    }

    /// Takes note of an appended batch; if that makes a producer too many, one without a transaction among `transactions` is forgotten.
    pub fn record(&mut self, batch: &Batch, base: Offset, transactions: &Transactions) {
        let Some(sequence) = batch.producer() else { return };
        if self.known.len() >= PRODUCERS_MAX && !self.known.contains_key(&sequence.id) {
            self.forget_oldest(transactions);
        }
        let producer =
            self.known.entry(sequence.id).or_insert_with(|| Producer { epoch: sequence.epoch, recent: VecDeque::new() });
        if producer.epoch != sequence.epoch {
            producer.epoch = sequence.epoch;
            producer.recent.clear();
        }
        if batch.is_control() {
            return;
        }
        if producer.recent.len() == BATCHES_REMEMBERED {
            producer.recent.pop_front();
        }
        producer.recent.push_back((sequence.first, OffsetRange { start: base, end: base.plus(u64::from(batch.offset_span())) }));
    }

    /// What is remembered of every producer, sorted by id.
    pub fn states(&self) -> Vec<ProducerState> {
        let mut states: Vec<ProducerState> = self.known.iter().map(|(id, producer)| producer.state(*id)).collect();
        states.sort_by_key(|state| state.id);
        states
    }

    /// What is remembered of one producer.
    pub fn state(&self, id: i64) -> Option<ProducerState> {
        self.known.get(&id).map(|producer| producer.state(id))
    }

    /// Puts back what [`Producers::state`] gave; `None` forgets the producer.
    pub fn restore(&mut self, id: i64, state: Option<ProducerState>) {
        match state {
            Some(state) => self.known.insert(id, Producer { epoch: state.epoch, recent: state.recent.into() }),
            None => self.known.remove(&id),
        };
    }

    fn forget_oldest(&mut self, transactions: &Transactions) {
        let last_end = |producer: &Producer| producer.recent.back().map(|(_, offsets)| offsets.end);
        let idle = self.known.iter().filter(|(id, _)| !transactions.open().contains_key(id));
        let oldest = idle.min_by_key(|(_, producer)| last_end(producer)).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.known.remove(&id);
        }
    }
}

impl Producer {
    fn state(&self, id: i64) -> ProducerState {
        ProducerState { id, epoch: self.epoch, recent: self.recent.iter().copied().collect() }
    }
}

fn first_of_epoch(sequence: ProducerSequence) -> Result<Verdict> {
    if sequence.first == 0 {
        return Ok(Verdict::Append);
    }
    let text = format!("producer {} starts epoch {} at sequence {}, not 0", sequence.id, sequence.epoch, sequence.first);
    Err(Error::invalid(text).because(Reason::SequenceGap))
}

/// The sequence number `count` records after `first`: it wraps after 2^31 - 1.
pub fn wrap(first: i32, count: u64) -> i32 {
    let next = (u64::from(first.cast_unsigned()) + count) % (1 << 31);
    i32::try_from(next).expect("it is below 2^31")
}
