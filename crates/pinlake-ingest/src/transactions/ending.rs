//! The end of a transaction, once it is decided: a marker in each of its partitions, and its offsets committed or forgotten. Each step may be
//! done again, so that a try that failed anywhere is simply repeated. It must not decide how a transaction ends.

use std::sync::Arc;

use futures::FutureExt;
use futures::stream::{self, StreamExt};
use pinlake_core::batch::Marker;
use pinlake_core::{Batch, ErrorKind, Reason, TopicPartition};
use tokio::time::Instant;

use super::calls::TransactionalId;
use super::coordinator::Coordinator;
use super::desk::Alone;
use super::error::TransactionError;
use super::metrics;
use super::transaction::Transaction;

/// Markers of one transaction, and at a start transactions, that are written at the same time.
const AT_ONCE: usize = 64;

/// Tries once to end a transaction whose end is decided. What fails is told in the server's log once, and left for the next try.
pub(crate) async fn finish(coordinator: &Coordinator, alone: &mut Alone) {
    let Some(prepared) = coordinator.find(&alone.id) else { return };
    let Some(how) = prepared.is_prepared() else { return };
    let written = match write_end(coordinator, &alone.id, &prepared, how).await {
        Ok(()) => {
            let completed = prepared.completed(how, coordinator.clock.now());
            coordinator.write(alone, completed).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error),
    };
    let id = &alone.id;
    match written {
        Ok(()) => {
            tracing::debug!(%id, ?how, partitions = prepared.partitions.len(), "transaction ended");
            metrics::observe_ended(how);
            *alone.tries = Default::default();
        }
        Err(error) => {
            if alone.tries.failed == 0 {
                tracing::warn!("transaction '{id}' is not ended yet, it is tried again until the log takes it: {error}");
            }
            let settings = &coordinator.settings;
            let pause = settings.check_every.saturating_mul(1 << alone.tries.failed.min(16)).min(settings.retry_max);
            alone.tries.failed = alone.tries.failed.saturating_add(1);
            alone.tries.next_at = Some(Instant::now() + pause);
        }
    }
}

/// After a start: ends what was decided before, and forgets offsets that belong to no transaction.
pub(crate) async fn finish_what_was_decided(coordinator: &Arc<Coordinator>) {
    let decided: Vec<TransactionalId> = {
        let state = coordinator.store.state();
        state.all().filter(|(_, found)| found.is_prepared().is_some()).map(|(id, _)| id.clone()).collect()
    };
    let finish = |id: TransactionalId| async move {
        let mut alone = coordinator.desks.of(&id).enter(&id).await;
        finish(coordinator, &mut alone).await;
    };
    stream::iter(decided).for_each_concurrent(AT_ONCE, finish).await;
    for staged in coordinator.groups.staged() {
        if coordinator.store.state().may_have_staged(staged.id) {
            continue;
        }
        if let Err(error) = coordinator.groups.finish_staged(staged.id, false).await {
            tracing::warn!(producer = staged.id, "offsets that no transaction has staged are not forgotten yet: {error}");
        }
    }
}

async fn write_end(coordinator: &Coordinator, id: &TransactionalId, prepared: &Transaction, how: Marker) -> Result<(), String> {
    let offsets = async {
        if prepared.groups.is_empty() {
            return Ok(());
        }
        let committed = coordinator.groups.finish_staged(prepared.producer.id, how == Marker::Commit).await;
        committed.map_err(|error| TransactionError::Group(error).to_string())
    };
    // All are tried, so that one partition that takes none keeps no other from its marker.
    let markers = prepared.partitions.iter().map(|to| write_marker(coordinator, id, prepared, how, to).boxed());
    let markers = stream::iter(markers.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let (offsets, markers) = futures::join!(offsets, markers);
    markers.into_iter().chain([offsets]).collect()
}

async fn write_marker(
    coordinator: &Coordinator,
    id: &TransactionalId,
    prepared: &Transaction,
    how: Marker,
    to: &TopicPartition,
) -> Result<(), String> {
    let marker = Batch::marker(how, prepared.producer.id, prepared.producer.epoch, coordinator.clock.now());
    let appended = match marker {
        Ok(marker) => coordinator.log.append(to, marker).await,
        Err(error) => Err(error),
    };
    match appended {
        // The topic was deleted, and what the transaction wrote went with it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Nobody but the holder of the id appends as this producer: it has nothing open there.
        Err(error) if error.reason() == Some(Reason::ProducerFenced) => {
            tracing::warn!("no marker of transaction '{id}' in {to}: {error}");
            Ok(())
        }
        appended => appended.map(drop).map_err(|error| format!("the marker of {to}: {error}")),
    }
}
