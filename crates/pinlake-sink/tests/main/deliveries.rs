//! Delivery streams: each record in one object, as it is or as an error, whatever dies when, also while another definition is given.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{ErrorKind, Log, TopicPartition};
use pinlake_sink::firehose::config as defined;
use pinlake_sink::{Config, Sinks, State, Wanted};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::faulty::{FAULTS, Fault, Fuse};
use crate::world::{NAME, Rec, START, World, config, until, until_at};

const MINUTE: Duration = Duration::from_secs(60);

/// Records of `t`, by the field `k`.
fn definition(version: u64, change: impl Fn(&mut Value)) -> Config {
    let mut definition = json!({
        "DeliveryStreamName": "orders",
        "DeliveryStreamType": "DirectPut",
        "Topic": "t",
        "CreateTimestamp": START.0,
        "VersionId": version,
        "Destination": {
            "BucketARN": "arn:aws:s3:::bucket",
            "Prefix": "k=!{partitionKeyFromQuery:k}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
            "BufferingHints": { "SizeInMBs": 1, "IntervalInSeconds": 120 },
            "DynamicPartitioningConfiguration": { "Enabled": true },
            "ProcessingConfiguration": { "Enabled": true, "Processors": [{ "Type": "MetadataExtraction", "Parameters": [
                { "ParameterName": "MetadataExtractionQuery", "ParameterValue": "{k: .k}" },
            ] }] },
        },
    });
    change(&mut definition);
    defined(definition.to_string())
}

fn plain(version: u64) -> Config {
    definition(version, |_| {})
}

/// A value that tells its record from all others; every fifth can't be placed.
fn value(n: i64) -> String {
    if n % 5 == 3 { format!("bad {n}") } else { format!("{{\"k\":\"{}\",\"n\":{n}}}", ["a", "b"][(n % 2) as usize]) }
}

async fn append(world: &World, of: &TopicPartition, numbers: std::ops::Range<i64>) {
    let records: Vec<Rec> = numbers.map(|n| (START.0 + n, Some(value(n)))).collect();
    world.append(of, &records).await;
}

/// All records that are in objects, sorted.
async fn delivered(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (name, content) in world.objects().await {
        for line in content.lines() {
            if name.starts_with("errors/processing-failed/") {
                let line: Value = serde_json::from_str(line).unwrap();
                let raw = STANDARD.decode(line["rawData"].as_str().unwrap()).unwrap();
                all.push(String::from_utf8(raw).unwrap());
            } else {
                assert!(name.starts_with(&format!("k={}/2023/11/14/22/orders-", line.as_bytes()[6] as char)), "{name}: {line}");
                all.push(line.to_owned());
            }
        }
    }
    all.sort();
    all
}

fn expected(to: i64) -> Vec<String> {
    let mut all: Vec<String> = (0..to).map(value).collect();
    all.sort();
    all
}

/// Waits until so many records are delivered, while the time passes.
async fn until_delivered(world: &World, sinks: &Sinks, to: i64) {
    let all = until(async || {
        world.clock.advance(MINUTE);
        delivered(world).await.len() as i64 >= to
    });
    assert!(all.await, "{:?}: {:#?}", sinks.status(NAME), world.objects().await);
}

/// Gives the stream another definition, as long as it takes.
async fn alter(sinks: &Sinks, config: Config) {
    while let Err(error) = sinks.alter(NAME, config.clone()).await {
        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The next offset of a partition.
async fn end_of(world: &World, of: &TopicPartition) -> i64 {
    world.log.range(of).await.unwrap().end.0
}

/// Some records, another definition, and others; then the process dies.
async fn tell(world: &World, fuse: &Fuse, sinks: &Sinks, of: &TopicPartition, process: u64) {
    while sinks.names().is_empty() {
        let _ = sinks.create(NAME, plain(1), Wanted::Running).await;
    }
    let from = end_of(world, of).await;
    append(world, of, from..from + 7).await;
    until_delivered(world, sinks, from + 7).await;
    append(world, of, from + 7..from + 12).await;
    // Some of it may be written by now.
    until_at(sinks, of, from + 7).await;
    world.clock.advance(MINUTE * 3);
    alter(sinks, plain(2 + 2 * process)).await;
    append(world, of, from + 12..from + 15).await;
    until_delivered(world, sinks, from + 15).await;
    fuse.kill();
}

/// One process after another dies somewhere; the last does not. Answers whether all did that should.
fn run(deaths: &[(Fault, u64)]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new();
        let of = world.topic("t", 1).await.partition(0);
        let mut all_struck = true;
        for (process, (fault, step)) in (0..).zip(deaths) {
            let fuse = Fuse::at(*fault, *step);
            tokio::select! {
                biased;
                () = fuse.death() => {}
                () = async {
                    let sinks = world.start(&fuse).await.unwrap();
                    tell(&world, &fuse, &sinks, &of, process).await;
                } => {}
            }
            world.clock.advance(MINUTE * 7);
            all_struck &= fuse.has_struck();
        }
        let before = world.objects().await;
        let sinks = world.start(&Fuse::sound()).await.unwrap();
        if sinks.names().is_empty() {
            sinks.create(NAME, plain(1), Wanted::Running).await.unwrap();
        }
        // At once: what the dead one had begun goes by its own definition all the same.
        alter(&sinks, plain(99)).await;
        let end = end_of(&world, &of).await;
        append(&world, &of, end..end + 5).await;
        until_delivered(&world, &sinks, end + 5).await;
        let after = world.objects().await;
        assert_eq!(delivered(&world).await, expected(end + 5), "each record once after {deaths:?}: {after:#?}");
        assert!(before.iter().all(|(name, content)| after.get(name) == Some(content)), "what was written stays");
        assert_eq!(sinks.status(NAME).unwrap().tasks[0].state, State::Running);
        assert_eq!(sinks.failure(NAME).unwrap(), None);
        all_struck
    })
}

#[test]
fn each_record_is_delivered_once_whatever_dies_when() {
    for fault in FAULTS {
        let mut step = 1;
        while run(&[(fault, step)]) {
            step += 1;
        }
        assert!(step > 12, "{fault:?} struck {step} times");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_record_is_delivered_once_over_any_deaths(
        deaths in proptest::collection::vec((proptest::sample::select(&FAULTS), 1..25_u64), 0..5),
    ) {
        run(&deaths);
    }
}

/// A process dies after a step, and the next finds a store that denies everything for a while. Answers whether the first died.
fn run_before_a_denial(step: u64) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new();
        let of = world.topic("t", 1).await.partition(0);
        let fuse = Fuse::at(Fault::DeathAfter, step);
        tokio::select! {
            biased;
            () = fuse.death() => {}
            () = async {
                let sinks = world.start(&fuse).await.unwrap();
                tell(&world, &fuse, &sinks, &of, 0).await;
            } => {}
        }
        let denying = Fuse::sound();
        denying.denies.store(true, Ordering::SeqCst);
        let sinks = world.start(&denying).await.unwrap();
        if sinks.names().is_empty() {
            sinks.create(NAME, plain(1), Wanted::Running).await.unwrap();
        }
        let end = end_of(&world, &of).await;
        append(&world, &of, end..end + 2).await;
        world.clock.advance(MINUTE * 7);
        tokio::time::sleep(MINUTE).await;
        // It may be taken or not, as the dead one got far.
        let _ = sinks.alter(NAME, plain(98)).await;
        denying.denies.store(false, Ordering::SeqCst);
        alter(&sinks, plain(99)).await;
        until_delivered(&world, &sinks, end + 2).await;
        assert_eq!(delivered(&world).await, expected(end + 2), "each record once, step {step}: {:#?}", world.objects().await);
        fuse.has_struck()
    })
}

#[test]
fn a_store_that_denies_everything_after_a_death_has_what_it_took() {
    let mut step = 1;
    while run_before_a_denial(step) {
        step += 1;
    }
    assert!(step > 12, "it died {step} times");
}

async fn started(fuse: &Arc<Fuse>, config: Config) -> (World, TopicPartition, Sinks) {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.start(fuse).await.unwrap();
    sinks.create(NAME, config, Wanted::Running).await.unwrap();
    (world, of, sinks)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_can_t_be_opened_is_tried_again() {
    let fuse = Fuse::sound();
    fuse.is_shut.store(true, Ordering::SeqCst);
    let (world, of, sinks) = started(&fuse, plain(1)).await;
    append(&world, &of, 0..4).await;
    assert!(until(async || sinks.failure(NAME).unwrap().is_some()).await);
    fuse.is_shut.store(false, Ordering::SeqCst);
    until_delivered(&world, &sinks, 4).await;
    assert_eq!(delivered(&world).await, expected(4));
    assert_eq!(sinks.failure(NAME).unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn another_definition_waits_for_a_bucket_that_can_t_be_opened() {
    let fuse = Fuse::sound();
    let (world, of, sinks) = started(&fuse, plain(1)).await;
    append(&world, &of, 0..4).await;
    until_at(&sinks, &of, 0).await;
    // One object is written and its answer is slow, so that the end of the range is noted and its position is not.
    fuse.slow.store(3600, Ordering::SeqCst);
    let begun = until(async || {
        world.clock.advance(MINUTE);
        fuse.slow.load(Ordering::SeqCst) == 0 && !world.objects().await.is_empty()
    });
    assert!(begun.await);
    fuse.kill();
    let shut = Fuse::sound();
    shut.is_shut.store(true, Ordering::SeqCst);
    let sinks = world.start(&shut).await.unwrap();
    assert_eq!(sinks.alter(NAME, plain(2)).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(sinks.alter(NAME, plain(2)).await.unwrap_err().kind(), ErrorKind::Retry, "also when it is asked again");
    shut.is_shut.store(false, Ordering::SeqCst);
    alter(&sinks, plain(2)).await;
    append(&world, &of, 4..6).await;
    until_delivered(&world, &sinks, 6).await;
    assert_eq!(delivered(&world).await, expected(6));
}

#[tokio::test(start_paused = true)]
async fn another_definition_waits_for_what_the_old_one_has_begun() {
    let fuse = Fuse::sound();
    let (world, of, sinks) = started(&fuse, plain(1)).await;
    append(&world, &of, 0..4).await;
    until_at(&sinks, &of, 0).await;
    fuse.store_closed.store(true, Ordering::SeqCst);
    let troubled = until(async || {
        world.clock.advance(MINUTE);
        sinks.failure(NAME).unwrap().is_some_and(|why| why.contains("can't be written: the store fails"))
    });
    assert!(troubled.await, "{:?}", sinks.failure(NAME));
    let refused = sinks.alter(NAME, plain(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(refused.message().contains("goes on by that: try again"), "{refused}");
    assert_eq!(sinks.config(NAME).unwrap(), plain(1));
    fuse.store_closed.store(false, Ordering::SeqCst);
    alter(&sinks, plain(2)).await;
    append(&world, &of, 4..8).await;
    until_delivered(&world, &sinks, 8).await;
    assert_eq!(delivered(&world).await, expected(8));
    assert_eq!(sinks.failure(NAME).unwrap(), None);
    let names = world.objects().await.into_keys().collect::<Vec<_>>();
    assert!(
        names.iter().any(|name| name.contains("orders-1-")) && names.iter().any(|name| name.contains("orders-2-")),
        "{names:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn another_definition_waits_for_nothing_where_the_store_has_refused_everything() {
    let to = |version, prefix: &str| {
        definition(version, |definition| {
            definition["Destination"]["Prefix"] = json!(format!("{prefix}k=!{{partitionKeyFromQuery:k}}/"));
        })
    };
    for (errors, is_taken) in [("refused/!{firehose:error-output-type}/", true), ("errors/!{firehose:error-output-type}/", false)]
    {
        let first = definition(1, |definition| {
            definition["Destination"]["Prefix"] = json!("refused/k=!{partitionKeyFromQuery:k}/");
            definition["Destination"]["ErrorOutputPrefix"] = json!(errors);
        });
        let fuse = Fuse::sound();
        fuse.refuses.store(true, Ordering::SeqCst);
        let (world, of, sinks) = started(&fuse, first).await;
        append(&world, &of, 0..4).await;
        until_at(&sinks, &of, 0).await;
        let troubled = until(async || {
            world.clock.advance(MINUTE);
            sinks.failure(NAME).unwrap().is_some()
        });
        assert!(troubled.await);
        let altered = sinks.alter(NAME, to(2, "")).await;
        assert_eq!(altered.is_ok(), is_taken, "{altered:?}: the object of errors is there, or not");
        fuse.refuses.store(false, Ordering::SeqCst);
        if is_taken {
            until_delivered(&world, &sinks, 4).await;
            assert_eq!(delivered(&world).await, expected(4));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connectors_other_configuration_waits_too() {
    let fuse = Fuse::sound();
    let (world, of, sinks) = started(&fuse, config(&[("records", "2")])).await;
    fuse.store_closed.store(true, Ordering::SeqCst);
    // Two objects at once, of which the first may be there although nobody said so.
    fuse.slow.store(3600, Ordering::SeqCst);
    world.append_values(&of, 0..3).await;
    until_at(&sinks, &of, 0).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(sinks.alter(NAME, config(&[("records", "3")])).await.unwrap_err().kind(), ErrorKind::Retry);
    fuse.store_closed.store(false, Ordering::SeqCst);
    alter(&sinks, config(&[("records", "3")])).await;
    world.append_values(&of, 3..5).await;
    let lines = |numbers: std::ops::Range<i64>| numbers.map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>();
    world.wait_for_objects(&[("t+0+0", &lines(0..2)), ("t+0+2", &lines(2..5))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_is_read_from_the_time_at_which_its_delivery_began() {
    let from_six = definition(1, |definition| {
        definition["DeliveryStreamType"] = json!("KinesisStreamAsSource");
        definition["DeliveryStartTimestamp"] = json!(START.0 + 6);
    });
    let fuse = Fuse::sound();
    let world = World::new();
    let of = world.topic("t", 2).await.partition(0);
    for n in 0..10 {
        append(&world, &of, n..n + 1).await;
    }
    let sinks = world.start(&fuse).await.unwrap();
    sinks.create(NAME, from_six, Wanted::Running).await.unwrap();
    until_delivered(&world, &sinks, 4).await;
    let mut last: Vec<String> = (6..10).map(value).collect();
    last.sort();
    assert_eq!(delivered(&world).await, last);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_stream_leaves_its_objects_and_nothing_else() {
    let fuse = Fuse::sound();
    let (world, of, sinks) = started(&fuse, plain(1)).await;
    append(&world, &of, 0..3).await;
    until_delivered(&world, &sinks, 3).await;
    until_at(&sinks, &of, 3).await;
    sinks.delete_for_good(NAME).await.unwrap();
    assert_eq!(world.followers.floor(&of), None);
    assert_eq!(sinks.failure(NAME).unwrap_err().kind(), ErrorKind::NotFound);
    // One of the same name knows nothing of it.
    let again = definition(1, |definition| definition["CreateTimestamp"] = json!(START.0 + 1));
    sinks.create(NAME, again, Wanted::Running).await.unwrap();
    until_delivered(&world, &sinks, 6).await;
    assert_eq!(world.objects().await.len(), 4, "of two keys, twice: {:#?}", world.objects().await);
}

#[tokio::test(start_paused = true)]
async fn objects_are_closed_by_size_age_and_want_of_memory() {
    let fuse = Fuse::sound();
    let whole = |definition: &mut Value| {
        let destination = definition["Destination"].as_object_mut().unwrap();
        for part in ["Prefix", "DynamicPartitioningConfiguration", "ProcessingConfiguration"] {
            destination.remove(part);
        }
        destination["BufferingHints"] = json!({ "SizeInMBs": 1, "IntervalInSeconds": 900 });
    };
    let (world, of, sinks) = started(&fuse, definition(1, whole)).await;
    let long = "x".repeat(300 << 10);
    for _ in 0..5 {
        world.append(&of, &[(START.0, Some(long.clone()))]).await;
    }
    let first = until(async || world.objects().await.len() == 1).await;
    assert!(first, "four make more than a mebibyte");
    assert_eq!(world.objects().await.into_values().next().unwrap().len(), 4 * (long.len() + 1));
    world.clock.advance(Duration::from_secs(899));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.objects().await.len(), 1, "the fifth is not old enough");
    world.clock.advance(Duration::from_secs(1));
    assert!(until(async || world.objects().await.len() == 2).await);
    drop(sinks);
}
