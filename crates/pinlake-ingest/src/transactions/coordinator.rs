//! What is asked of transactions, done in order: what the state machine answers is written, and then it counts. What one caller has begun for
//! a transactional id is finished before the next one begins, also if the caller goes away.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::batch::Marker;
use pinlake_core::{Batch, Clock, Log, Result as LogResult, TopicName, TopicPartition};

use super::calls::{InitRequest, TransactionDescription, TransactionalId};
use super::desk::{Admission, Alone, Desk, Desks};
use super::error::TransactionError;
use super::producer_ids::ProducerIds;
use super::settings::TransactionSettings;
use super::state::{Change, State};
use super::transaction::{Init, Transaction};
use super::{TRANSACTIONS_TOPIC, ending, metrics};
use crate::groups::Groups;
use crate::groups::calls::{CommitRequest, ForPartition, GroupId, TransactionProducer};
use crate::topic_store::{Inflight, StoreLimits, TopicStore};

type Result<T> = std::result::Result<T, TransactionError>;

/// All transactional ids.
pub(crate) struct Coordinator {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) groups: Groups,
    pub(crate) clock: Clock,
    pub(crate) settings: TransactionSettings,
    pub(crate) store: Arc<TopicStore<State>>,
    pub(crate) desks: Desks,
    producer_ids: ProducerIds,
}

impl Coordinator {
    /// As they were stored.
    pub(crate) async fn open(
        log: Arc<dyn Log>,
        groups: Groups,
        clock: Clock,
        settings: TransactionSettings,
    ) -> LogResult<Arc<Self>> {
        let limits = StoreLimits {
            snapshot_records: settings.snapshot_records,
            snapshot_bytes: settings.snapshot_bytes,
            queued_bytes_max: settings.queued_bytes_max,
        };
        let store = TopicStore::open(log.clone(), clock.clone(), &TopicName::new(TRANSACTIONS_TOPIC)?, limits).await?;
        let (desks, producer_ids) = (Desks::default(), ProducerIds::default());
        Ok(Arc::new(Self { log, groups, clock, settings, store, desks, producer_ids }))
    }

    pub(crate) async fn new_producer_id(&self) -> Result<i64> {
        Ok(self.producer_ids.next(&self.store).await?)
    }

    pub(crate) async fn init(self: &Arc<Self>, request: InitRequest) -> Result<TransactionProducer> {
        let timeout = u64::try_from(request.timeout_ms).map_err(|_| TransactionError::InvalidTimeout)?;
        let timeout = Duration::from_millis(timeout);
        if timeout.is_zero() || timeout > self.settings.timeout_max {
            return Err(TransactionError::InvalidTimeout);
        }
        let is_full = self.store.state().len().max(self.desks.len()) >= self.settings.ids_max;
        if is_full && self.find(&request.id).is_none() {
            return Err(TransactionError::TooMany("there are too many transactional ids: use each of them again, or fewer"));
        }
        let mut alone = self.desks.of(&request.id).enter(&request.id).await;
        let this = self.clone();
        to_its_end(async move { this.init_alone(&mut alone, request.expected, timeout).await }).await
    }

    async fn init_alone(
        self: &Arc<Self>,
        alone: &mut Alone,
        expected: Option<TransactionProducer>,
        timeout: Duration,
    ) -> Result<TransactionProducer> {
        let Some(known) = self.find(&alone.id) else {
            let new = Transaction::new(self.new_producer_id().await?, timeout, self.clock.now());
            return self.write_held(alone, new).await;
        };
        let known = match known.init(expected, timeout, self.clock.now())? {
            Init::Abort(prepared) => {
                self.decide(alone, prepared).await?;
                self.find(&alone.id).ok_or(TransactionError::Concurrent)?
            }
            _ => known,
        };
        match known.init(expected, timeout, self.clock.now())? {
            Init::Known => Ok(known.producer),
            Init::Next(next) => self.write_held(alone, next).await,
            Init::Exhausted => {
                let id = self.new_producer_id().await?;
                self.write_held(alone, known.moved(id, expected, timeout, self.clock.now())).await
            }
            Init::Abort(_) => Err(TransactionError::Concurrent),
        }
    }

    pub(crate) async fn add(
        self: &Arc<Self>,
        id: &TransactionalId,
        by: TransactionProducer,
        partitions: Vec<TopicPartition>,
        groups: Vec<GroupId>,
    ) -> Result<()> {
        let alone = self.known(id)?.enter(id).await;
        let this = self.clone();
        to_its_end(async move {
            let known = this.get(&alone.id)?;
            let Some(next) = known.add(by, &partitions, &groups, this.clock.now())? else { return Ok(()) };
            this.check_room(&next, partitions.len())?;
            this.write(&alone, next).await?;
            if !known.is_open() {
                metrics::observe_begun();
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn stage_offsets(
        self: &Arc<Self>,
        id: &TransactionalId,
        by: TransactionProducer,
        request: CommitRequest,
    ) -> Result<Vec<ForPartition<()>>> {
        let admission = self.known(id)?.begin_append().await;
        self.get(id)?.check_offsets(by, &request.group)?;
        let groups = self.groups.clone();
        to_its_end(async move {
            let staged = groups.stage_offsets(by, request).await;
            drop(admission);
            staged.map_err(TransactionError::Group)
        })
        .await
    }

    pub(crate) async fn end(self: &Arc<Self>, id: &TransactionalId, by: TransactionProducer, how: Marker) -> Result<()> {
        let mut alone = self.known(id)?.enter(id).await;
        let this = self.clone();
        to_its_end(async move {
            match this.get(&alone.id)?.end(by, how, this.clock.now())? {
                Some(prepared) => this.decide(&mut alone, prepared).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Writes that a transaction is to end, which is then as good as done, and tries to do it.
    pub(crate) async fn decide(self: &Arc<Self>, alone: &mut Alone, prepared: Transaction) -> Result<()> {
        // What was admitted is in the log before the markers; what comes later sees what was decided.
        let appends = alone.hold_appends().await;
        self.write(alone, prepared).await?;
        drop(appends);
        ending::finish(self, alone).await;
        Ok(())
    }

    pub(crate) async fn admit(&self, id: Option<&TransactionalId>, to: &TopicPartition, batch: &Batch) -> Result<Admission> {
        let Some(sequence) = batch.producer() else {
            return if batch.is_transactional() { Err(TransactionError::UnknownProducer) } else { Ok(Admission::outside()) };
        };
        if !batch.is_transactional() {
            // A later epoch of a transactional producer would keep its markers out.
            let is_free = self.store.state().holder(sequence.id).is_none();
            return if is_free { Ok(Admission::outside()) } else { Err(TransactionError::InvalidState) };
        }
        let id = id.ok_or(TransactionError::InvalidState)?;
        let admission = self.known(id)?.begin_append().await;
        let by = TransactionProducer { id: sequence.id, epoch: sequence.epoch };
        let state = self.store.state();
        state.get(id).ok_or(TransactionError::UnknownProducer)?.check_append(by, to)?;
        Ok(admission)
    }

    pub(crate) fn describe(&self, id: &TransactionalId) -> Result<TransactionDescription> {
        self.find(id).map(|found| described(id, &found)).ok_or(TransactionError::NotFound)
    }

    pub(crate) fn list(&self, wanted: impl Fn(&TransactionDescription) -> bool) -> Vec<TransactionDescription> {
        self.store.state().all().map(|(id, found)| described(id, found)).filter(wanted).collect()
    }

    /// Writes what a transactional id is now; durable when it answers.
    pub(crate) async fn write(&self, alone: &Alone, is: Transaction) -> Result<()> {
        Ok(self.submit(Change::Transaction { id: alone.id.clone(), is }).await?)
    }

    /// Forgets a transactional id; durable when it answers.
    pub(crate) async fn forget(&self, alone: &Alone) -> Result<()> {
        Ok(self.submit(Change::Forgotten { id: alone.id.clone() }).await?)
    }

    /// A transactional id as it is stored.
    pub(crate) fn find(&self, id: &TransactionalId) -> Option<Transaction> {
        self.store.state().get(id).cloned()
    }

    async fn write_held(&self, alone: &Alone, is: Transaction) -> Result<TransactionProducer> {
        let producer = is.producer;
        self.write(alone, is).await?;
        tracing::debug!(id = %alone.id, producer = producer.id, epoch = producer.epoch, "transactional producer");
        Ok(producer)
    }

    async fn submit(&self, change: Change) -> LogResult<()> {
        self.store.submit(vec![change], Inflight::default())?.durable().await
    }

    /// The desk of an id that is there.
    fn known(&self, id: &TransactionalId) -> Result<Desk> {
        let state = self.store.state();
        state.get(id).map(|_| self.desks.of(id)).ok_or(TransactionError::UnknownProducer)
    }

    fn get(&self, id: &TransactionalId) -> Result<Transaction> {
        self.find(id).ok_or(TransactionError::UnknownProducer)
    }

    fn check_room(&self, next: &Transaction, more: usize) -> Result<()> {
        let settings = &self.settings;
        if next.groups.len() > settings.groups_max {
            return Err(TransactionError::TooMany("the transaction commits offsets of too many groups: end it earlier"));
        }
        let all = self.store.state().partitions() + more;
        if next.partitions.len() > settings.partitions_max || all > settings.all_partitions_max {
            return Err(TransactionError::TooMany("too many partitions are in transactions: end them earlier"));
        }
        Ok(())
    }
}

/// Does something to its end, whether or not somebody waits for it.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    // The runtime ends, or the log panicked.
    tokio::spawn(work).await.unwrap_or(Err(TransactionError::NotAvailable))
}

fn described(id: &TransactionalId, found: &Transaction) -> TransactionDescription {
    TransactionDescription {
        id: id.clone(),
        state: found.state,
        producer: found.producer,
        timeout: Duration::from_millis(found.timeout_ms),
        started_at: found.started_at_ms.map(pinlake_core::Timestamp),
        partitions: found.partitions.iter().cloned().collect(),
    }
}
