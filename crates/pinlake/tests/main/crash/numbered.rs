//! An idempotent producer: it has several batches under way, and after trouble sends those without an answer again, with the same numbers. Each is there
//! once, in order, where it was said to be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::clients::{NUMBERED, Patience, Shared, key};
use crate::wire::{Place, Told, Who, Wire};

/// Records of a batch.
const RECORDS: usize = 3;
/// Batches under way in a partition: as many as a partition remembers.
const IN_FLIGHT: usize = 5;
/// Between two rounds, so that looking through everything at the end stays quick.
const PACE: Duration = Duration::from_millis(100);
/// Behind the keys of all others.
const KEYS_FROM: i64 = 4_000_000_000;

/// The keys of a batch.
fn keys(partition: usize, batch: usize) -> impl Iterator<Item = i64> {
    (batch * RECORDS..(batch + 1) * RECORDS).map(move |record| KEYS_FROM + (record * 2 + partition) as i64)
}

/// Produces until it is stopped and everything has its answer: where each batch of each partition begins.
pub(super) async fn produce(shared: Arc<Shared>) -> [Vec<i64>; 2] {
    let mut patience = Patience::new(shared.clone());
    let mut wire = shared.connect().await;
    let who = loop {
        match wire.init_producer(None).await {
            Ok(who) => break who,
            Err(trouble) => wire = patience.after("a producer id", trouble).await,
        }
    };
    let mut acked = [Vec::new(), Vec::new()];
    loop {
        match round(&shared, &mut wire, who, &mut acked).await {
            Ok(()) if shared.is_stopped() => return acked,
            Ok(()) => {
                patience.renew();
                tokio::time::sleep(PACE).await;
            }
            Err(trouble) => wire = patience.after(&format!("{who:?}"), trouble).await,
        }
    }
}

/// Sends the next batches of both partitions before it takes the first answer.
async fn round(shared: &Shared, wire: &mut Wire, who: Who, acked: &mut [Vec<i64>; 2]) -> Told<()> {
    let mut sent = Vec::new();
    for at in 0..IN_FLIGHT {
        for (partition, acked) in acked.iter().enumerate() {
            let number = acked.len() + at;
            let first = i32::try_from(number * RECORDS).unwrap();
            let batch = shared.batch(who, first, false, keys(partition, number));
            sent.push((partition, wire.send_batch(NUMBERED, partition as i32, None, &batch).await?));
        }
    }
    for (partition, sent) in sent {
        acked[partition].push(wire.produced(sent).await?);
        shared.told.send_modify(|told| told.batches += 1);
    }
    Ok(())
}

/// Every record is there once and in order, each batch where it was said to be.
pub(super) fn check(place: &Place, acked: &[i64], found: &[(i64, Bytes)]) {
    let partition = place.1 as usize;
    let expected = (0..acked.len()).flat_map(|batch| keys(partition, batch));
    assert!(
        found.iter().map(|(_, value)| key(value)).eq(expected),
        "{place:?} holds {} batches, each once, in order",
        acked.len()
    );
    let begin = found.iter().map(|(offset, _)| *offset).step_by(RECORDS);
    assert!(begin.eq(acked.iter().copied()), "the batches of {place:?} are where they were said to be");
}
