//! Transactions, compressed batches and offsets without a record: what of the log comes into tables, quarantine and archive.

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::batch::Marker;
use pinlake_core::{Batch, Log, Offset, Timestamp, TopicPartition};
use pinlake_lake::lake::{Archived, Lake};
use pinlake_lake::rows::Counts;
use serde_json::{Value, json};

use crate::batches_made::{CODECS, Producer, compacted, cut_off, packed, plain};
use crate::crashes::strike_rounds_everywhere;
use crate::faulty_store::{Fault, FaultyStore};
use crate::setup::{World, check_things, rows, things, things_committed_every};

async fn append(world: &World, of: &TopicPartition, batch: Batch) -> Offset {
    world.clock.advance(Duration::from_secs(1));
    world.log.append(of, batch).await.unwrap().start
}

/// As a compacted topic of a cluster holds it.
async fn place(world: &World, of: &TopicPartition, batch: Batch) {
    world.log.append_as_is(of, batch).await.unwrap();
}

async fn world() -> (World, TopicPartition) {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    (world, of)
}

/// `{"k":KEY,"v":TEXT}`
fn thing(key: i64, text: &str) -> String {
    format!(r#"{{"k":{key},"v":"{text}"}}"#)
}

async fn keys(lake: &Lake) -> Vec<Value> {
    rows(lake, "SELECT k FROM things ORDER BY 1").await.into_iter().map(|mut row| row.remove(0)).collect()
}

async fn counts(lake: &Lake) -> Counts {
    lake.ledger(true).await.unwrap()[0].accounts[0].standing.counts
}

#[tokio::test]
async fn only_what_is_committed_comes_into_table_quarantine_and_archive() {
    let (world, of) = world().await;
    let lake = world.start().await;
    let (mut one, mut two) = (Producer::new(1), Producer::new(2));
    let at = Timestamp(5);
    append(&world, &of, one.batch(&[&thing(1, "a"), &thing(2, "a")], at)).await;
    append(&world, &of, two.batch(&[&thing(3, "a"), "poison"], at)).await;
    append(&world, &of, plain(&[&thing(4, "a")], at)).await;
    // Two transactions are open: nobody sees anything, and nobody waits.
    check_things(&world, &lake, "nothing decided").await;
    assert_eq!(keys(&lake).await, [] as [Value; 0]);
    append(&world, &of, one.marker(Marker::Abort, at)).await;
    check_things(&world, &lake, "one aborted, the other open").await;
    assert_eq!(lake.status()[0].committed[&of].position, Offset(2), "the other begins there");
    append(&world, &of, two.marker(Marker::Commit, at)).await;
    assert_eq!(keys(&lake).await, [3, 4], "at once, before any commit");
    check_things(&world, &lake, "all decided").await;
    let wanted = Counts { rows: 2, quarantined: 1, without_record: 4, ..Counts::default() };
    assert_eq!(counts(&lake).await, wanted);
    lake.stop().await.unwrap();
    // A new process, and a transaction that is open across its start.
    append(&world, &of, one.batch(&[&thing(1, "b"), &thing(3, "a")], at)).await;
    append(&world, &of, plain(&[&thing(5, "a")], at)).await;
    let lake = world.start().await;
    check_things(&world, &lake, "after a restart").await;
    append(&world, &of, one.marker(Marker::Commit, at)).await;
    check_things(&world, &lake, "committed after a restart").await;
    assert_eq!(keys(&lake).await, [1, 3, 4, 5]);
    let before = rows(&lake, "SELECT * FROM things ORDER BY k").await;
    let streamed = counts(&lake).await;
    lake.rebuild("things").await.unwrap();
    assert_eq!(rows(&lake, "SELECT * FROM things ORDER BY k").await, before, "a rebuild makes the same rows");
    assert_eq!(counts(&lake).await, streamed, "and the same account");
    let raw = rows(&lake, "SELECT k, _offset FROM raw.things ORDER BY _offset").await;
    assert_eq!(Value::from(raw), json!([[3, 2], [null, 3], [4, 4], [1, 7], [3, 8], [5, 9]]), "at their true offsets");
    check_things(&world, &lake, "rebuilt").await;
    check_things(&world, &world.start().await, "after another restart").await;
}

#[tokio::test]
async fn compressed_batches_of_every_codec_are_read() {
    let (world, of) = world().await;
    let lake = world.start().await;
    let mut one = Producer::new(1);
    for (number, codec) in (0..).map(|number| number * 100).zip(CODECS) {
        let values: Vec<String> = (number..number + 40).map(|key| thing(key, "a")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        append(&world, &of, packed(&plain(&values, Timestamp(5)), codec)).await;
        append(&world, &of, packed(&one.batch(&[&thing(7, "aborted")], Timestamp(5)), codec)).await;
        append(&world, &of, one.marker(Marker::Abort, Timestamp(5))).await;
    }
    check_things(&world, &lake, "compressed").await;
    assert_eq!(counts(&lake).await, Counts { rows: 200, without_record: 10, ..Counts::default() });
}

/// Position, lag and retention go on also where no record comes; a rebuild needs none of the offsets that the log let go of.
#[tokio::test]
async fn an_aborted_transaction_alone_moves_all_positions_and_makes_no_object() {
    let (world, of) = world().await;
    let lake = world.start().await;
    let mut one = Producer::new(1);
    for _ in 0..2 {
        append(&world, &of, one.batch(&[&thing(1, "a"), &thing(2, "a")], Timestamp(5))).await;
        append(&world, &of, one.marker(Marker::Abort, Timestamp(5))).await;
        check_things(&world, &lake, "aborted").await;
    }
    assert_eq!(world.names("topics").await, [] as [&str; 0]);
    assert_eq!(lake.archived_objects().await.unwrap(), 0);
    assert_eq!(counts(&lake).await, Counts { without_record: 6, ..Counts::default() });
    world.log.trim(&of, Offset(6)).await.unwrap();
    lake.rebuild("things").await.unwrap();
    assert_eq!(lake.archived_in(&of, Offset(5)).await.unwrap(), Some(Archived::WithoutRecord));
    append(&world, &of, plain(&[&thing(1, "b")], Timestamp(5))).await;
    lake.flush().await.unwrap();
    assert_eq!(world.names("topics").await, ["topics/a.things/partition=0/a.things+0+0000000006.json"]);
    lake.rebuild("things").await.unwrap();
    assert_eq!(counts(&lake).await, Counts { rows: 1, without_record: 6, ..Counts::default() });
    assert_eq!(lake.status()[0].committed[&of].start, Offset(0));
}

/// Without a flush, by age alone: an idle lake must not hold the log's retention up.
#[tokio::test(start_paused = true)]
async fn what_holds_no_record_is_committed_by_age() {
    let (world, of) = world().await;
    let lake = world.start().await;
    let mut one = Producer::new(1);
    append(&world, &of, one.batch(&[&thing(1, "a")], Timestamp(5))).await;
    append(&world, &of, one.marker(Marker::Abort, Timestamp(5))).await;
    tokio::time::timeout(Duration::from_secs(300), async {
        let committed = || lake.status()[0].committed.get(&of).map(|standing| standing.position);
        while committed() != Some(Offset(2)) || lake.archive_status().positions.get(&of) != Some(&Offset(2)) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .expect("both have passed it");
}

#[tokio::test]
async fn what_compaction_left_has_its_own_offsets() {
    let (world, of) = world().await;
    let lake = world.start().await;
    place(&world, &of, compacted(&[(r#"{"k":1}"#, 2), (r#"{"k":2}"#, 3), (r#"{"k":3}"#, 7)], 9, Timestamp(5))).await;
    place(&world, &of, compacted(&[], 4, Timestamp(5))).await;
    place(&world, &of, compacted(&[(r#"{"k":4}"#, 1)], 2, Timestamp(5))).await;
    check_things(&world, &lake, "compacted").await;
    lake.rebuild("things").await.unwrap();
    check_things(&world, &lake, "compacted and rebuilt").await;
    let found = rows(&lake, "SELECT k, _offset FROM things ORDER BY 1").await;
    assert_eq!(Value::from(found), json!([[1, 2], [2, 3], [3, 7], [4, 14]]));
}

/// The doors refuse such batches; one may still be in a log. It must not hold up what comes behind it.
#[tokio::test]
async fn a_batch_that_cant_be_read_is_set_aside_once_and_as_a_whole() {
    let (world, of) = world().await;
    let lake = world.start().await;
    let two = plain(&[&thing(1, "a"), &thing(2, "a")], Timestamp(5));
    let mut unreadable: Vec<Batch> = CODECS.into_iter().map(|codec| cut_off(&two, codec)).collect();
    unreadable.push(packed(&two, ("none", 5, <[u8]>::to_vec)));
    unreadable.push(packed(&two, ("zstd", 4, |_| zstd::encode_all(&vec![0; 65 << 20][..], 1).unwrap())));
    unreadable.push(compacted(&[("1", 1), ("2", 2)], 2, Timestamp(5)));
    unreadable.push(compacted(&[("1", 1), ("2", 1)], 2, Timestamp(5)));
    let mut wanted = Vec::new();
    for batch in unreadable {
        let offset = append(&world, &of, batch.clone()).await;
        wanted.push((offset, batch.at(offset).bytes().to_vec()));
    }
    append(&world, &of, plain(&[&thing(3, "a")], Timestamp(5))).await;
    let count = wanted.len() as u64;
    let account = Counts { rows: 1, quarantined: count, without_record: count, ..Counts::default() };
    let set_aside = "SELECT _offset, reason, encode(raw, 'hex') FROM quarantine.things ORDER BY 1";
    check_things(&world, &lake, "unreadable").await;
    assert_eq!(counts(&lake).await, account);
    let streamed = rows(&lake, set_aside).await;
    for (row, (offset, bytes)) in streamed.iter().zip(&wanted) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((row[0].as_i64(), row[2].as_str()), (Some(offset.0), Some(&*hex)));
        assert!(row[1].as_str().unwrap().starts_with("a record batch that can't be read: "), "{}", row[1]);
    }
    lake.rebuild("things").await.unwrap();
    assert_eq!(rows(&lake, set_aside).await, streamed, "with the same reasons");
    assert_eq!(counts(&lake).await, account);
    check_things(&world, &world.start().await, "unreadable, after a restart").await;
}

#[tokio::test]
async fn an_object_past_the_manifest_is_adopted_behind_a_hole() {
    let (world, of) = world().await;
    let mut one = Producer::new(1);
    append(&world, &of, one.batch(&[&thing(1, "a")], Timestamp(5))).await;
    append(&world, &of, one.marker(Marker::Abort, Timestamp(5))).await;
    append(&world, &of, plain(&[&thing(2, "a")], Timestamp(5))).await;
    append(&world, &of, one.batch(&[&thing(3, "a")], Timestamp(5))).await;
    append(&world, &of, plain(&[&thing(4, "a"), &thing(5, "a")], Timestamp(5))).await;
    append(&world, &of, one.marker(Marker::Abort, Timestamp(5))).await;
    let object = object_store::path::Path::from("topics/a.things/partition=0/a.things+0+0000000002.json");
    let lines = format!("{}\n{}\n", thing(2, "a"), thing(4, "a"));
    object_store::ObjectStoreExt::put(&*world.objects, &object, lines.into()).await.unwrap();
    let lake = world.start().await;
    check_things(&world, &lake, "adopted").await;
    assert_eq!(world.names("topics").await.len(), 2);
    assert_eq!(lake.archived_in(&of, Offset(3)).await.unwrap(), Some(Archived::WithoutRecord));
}

/// Aborted, committed and open transactions, compressed and unreadable batches in one partition, an aborted transaction alone in another;
/// the next round ends what this one leaves open.
async fn append_round(world: &World, [of, other, _]: &[TopicPartition; 3], round: i64) {
    let key = |n: i64| 10 * round + n;
    let (id, time) = (10 * round, world.clock.now());
    let (mut one, mut two, mut three) = (Producer::new(id + 1), Producer::new(id + 2), Producer::new(id + 3));
    append(world, of, one.batch(&[&thing(key(0), "aborted"), "poison"], time)).await;
    append(world, of, packed(&two.batch(&[&thing(key(0), "a"), &thing(key(1), "a"), "poison"], time), CODECS[4])).await;
    append(world, of, one.marker(Marker::Abort, time)).await;
    if round > 0 {
        append(world, of, Producer::new(id - 10 + 3).marker(Marker::Abort, time)).await;
    }
    append(world, of, cut_off(&plain(&["a", "b", "c"], time), CODECS[1])).await;
    append(world, of, two.marker(Marker::Commit, time)).await;
    append(world, of, packed(&plain(&[&thing(key(0), "a"), &thing(key(2), "a")], time), CODECS[0])).await;
    append(world, of, three.batch(&[&thing(key(3), "open")], time)).await;
    append(world, of, plain(&[&thing(key(4), "a")], time)).await;
    append(world, other, Producer::new(id + 1).batch(&["aborted"], time)).await;
    append(world, other, one.marker(Marker::Abort, time)).await;
}

#[test]
fn transactions_and_a_put_whose_answer_is_lost_lose_and_double_nothing() {
    strike_rounds_everywhere(Fault::Outage, 15, &append_round);
}

#[test]
fn transactions_and_a_death_after_a_put_lose_and_double_nothing() {
    strike_rounds_everywhere(Fault::DeathAfter, 15, &append_round);
}

/// A batch that unpacks to more than is taken at once is committed in parts: with a store that fails, the rest is read again.
#[test]
fn a_batch_that_is_taken_in_parts_loses_and_doubles_nothing() {
    for fault in [Fault::Outage, Fault::DeathAfter] {
        for step in 1.. {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            if !runtime.block_on(strike_parts(fault, step)) {
                assert!(step > 10, "{fault:?} struck only {step} times");
                break;
            }
        }
    }
}

async fn strike_parts(fault: Fault, step: u64) -> bool {
    let world = World::new(things_committed_every(1));
    let of = world.topic("a.things", 1).await.partition(0);
    let large = "a".repeat(1 << 20);
    let values: Vec<String> = (0..5).map(|key| thing(key, &large)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let batch = packed(&plain(&values, Timestamp(5)), CODECS[4]);
    assert!(batch.bytes().len() < 1 << 16);
    append(&world, &of, batch).await;
    let store = Arc::new(FaultyStore::new(world.objects.clone(), fault, step));
    if let Ok(lake) = world.start_on(store.clone()).await {
        let _ = tokio::time::timeout(Duration::from_secs(5), lake.flush()).await;
        if !matches!(fault, Fault::DeathBefore | Fault::DeathAfter) && store.hit().is_some() {
            store.recover();
            check_things(&world, &lake, &format!("{fault:?} at step {step}, going on")).await;
        }
    }
    let Some(hit) = store.hit() else { return false };
    store.kill();
    check_things(&world, &world.start().await, &format!("{fault:?} at step {step} ({hit})")).await;
    true
}
