//! Records that can't be written, stores that fail, and objects that are somebody else's.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinlake_core::{Batch, BatchBuilder, ErrorKind, Log, Timestamp};
use pinlake_sink::{Restart, State, Wanted};

use crate::faulty::Fuse;
use crate::world::{NAME, START, World, config, until, until_at, until_state};

const ONE: &str = "{\"n\":0}\n";

#[tokio::test(start_paused = true)]
async fn a_record_that_cant_be_written_fails_its_task_and_says_where_it_is() {
    let world = World::new();
    let of = world.topic("t", 2).await.partition(1);
    world.append_values(&of, 0..1).await;
    world
        .append(&of, &[(START.0, Some("{}".to_owned())), (START.0, Some("bad".to_owned())), (START.0, Some("{}".to_owned()))])
        .await;
    let sinks = world.sound(&[]).await;
    let trace = until_state(&sinks, State::Failed).await.unwrap();
    assert!(trace.contains("topic 't', partition 1, offset 2") && trace.contains("no JSON"), "{trace}");
    // What stands before it is written, and nothing passes it.
    until_at(&sinks, &of, 2).await;
    world.wait_for_objects(&[("t+1+0", ONE), ("t+1+1", "{}\n")]).await;
    sinks.restart(NAME, Restart::Task(0)).await.unwrap();
    until_state(&sinks, State::Failed).await;
    until_at(&sinks, &of, 2).await;
    let mut tolerant = sinks.config(NAME).unwrap();
    tolerant.insert("tolerate".to_owned(), "all".to_owned());
    sinks.alter(NAME, tolerant).await.unwrap();
    until_at(&sinks, &of, 4).await;
    world.wait_for_objects(&[("t+1+0", ONE), ("t+1+1", "{}\n"), ("t+1+3", "{}\n")]).await;
    assert!(world.letters.0.lock().unwrap().is_empty(), "nobody asked for letters");
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_written_is_a_dead_letter_once() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let bad = (START.0 + 5, Some("bad".to_owned()));
    world.append(&of, &[bad.clone(), (START.0, Some("{}".to_owned())), bad]).await;
    let sinks = world.sound(&[("dead", "dead"), ("records", "10"), ("topics", ".*")]).await;
    // Nothing is closed, and the letters are read again by whoever comes next.
    for wanted in [Wanted::Paused, Wanted::Running, Wanted::Stopped, Wanted::Running] {
        until(async || world.letters.0.lock().unwrap().len() == 2).await;
        sinks.want(NAME, wanted).await.unwrap();
    }
    world.append_values(&of, 0..9).await;
    until_at(&sinks, &of, 12).await;
    let letters = world.letters.0.lock().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.offset.0).collect::<Vec<_>>(), [0, 2]);
    let letter = &letters[0];
    assert_eq!((&*letter.sink, letter.task, &letter.of, letter.timestamp), (NAME, 0, &of, Timestamp(START.0 + 5)));
    assert_eq!((letter.key.clone(), letter.value.as_deref()), (None, Some(&b"bad"[..])));
    assert!(letter.problem.message.contains("no JSON"), "{letter:?}");
}

#[tokio::test(start_paused = true)]
async fn the_topic_of_its_dead_letters_is_not_read() {
    let world = World::new();
    let dead = world.topic("dead", 1).await.partition(0);
    let of = world.topic("t", 1).await.partition(0);
    world.append_values(&dead, 0..1).await;
    world.append_values(&of, 0..1).await;
    let sinks = world.sound(&[("dead", "dead"), ("topics", ".*")]).await;
    until_at(&sinks, &of, 1).await;
    world.wait_for_objects(&[("t+0+0", ONE)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cant_be_unpacked_is_one_record_that_cant_be_written() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let mut builder = BatchBuilder::new(START);
    builder.push(None, Some(b"{}"));
    builder.push(None, Some(b"{}"));
    let broken: Batch = pinlake_core::batch::packing::packed(&builder.build().unwrap(), 1, |_| b"no gzip".to_vec());
    world.log.append(&of, broken).await.unwrap();
    world.append_values(&of, 0..1).await;
    let sinks = world.sound(&[("dead", "dead")]).await;
    until_at(&sinks, &of, 3).await;
    world.wait_for_objects(&[("t+0+2", ONE)]).await;
    let letters = world.letters.0.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].offset.0, 0);
    assert!(letters[0].problem.message.contains("gzip"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn records_without_a_value_are_passed_over_or_refused() {
    for (null, state, position) in [("ignore", State::Running, 2), ("fail", State::Failed, 0)] {
        let world = World::new();
        let of = world.topic("t", 1).await.partition(0);
        world.append(&of, &[(START.0, None), (START.0, Some("null".to_owned()))]).await;
        let sinks = world.sound(&[("null", null)]).await;
        until_state(&sinks, state).await;
        until_at(&sinks, &of, position).await;
        assert!(world.objects().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_fails_the_task_and_nothing_is_passed_over() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let fuse = Fuse::sound();
    let sinks = world.start(&fuse).await.unwrap();
    sinks.create(NAME, config(&[]), Wanted::Running).await.unwrap();
    until_at(&sinks, &of, 0).await;
    fuse.closed.store(true, Ordering::SeqCst);
    world.append_values(&of, 0..2).await;
    let trace = until_state(&sinks, State::Failed).await.unwrap();
    assert!(trace.contains("topics/t/partition=0/t+0+000000000") && trace.contains("asked 4 times"), "{trace}");
    fuse.closed.store(false, Ordering::SeqCst);
    sinks.restart(NAME, Restart::All { only_failed: true }).await.unwrap();
    until_at(&sinks, &of, 2).await;
    world.wait_for_objects(&[("t+0+0", ONE), ("t+0+1", "{\"n\":1}\n")]).await;
    until_state(&sinks, State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_asked_again() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let fuse = Fuse::sound();
    fuse.slow.store(100_000, Ordering::SeqCst);
    let sinks = world.start(&fuse).await.unwrap();
    world.append_values(&of, 0..2).await;
    sinks.create(NAME, config(&[]), Wanted::Running).await.unwrap();
    let began = tokio::time::Instant::now();
    while !until(async || world.objects().await.len() == 2).await {
        assert!(began.elapsed().as_secs() < 1_000, "{:?}", sinks.status(NAME));
    }
    until_at(&sinks, &of, 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_written_over_only_if_that_is_asked_for() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    world.append_values(&of, 0..1).await;
    let name = Path::from("topics/t/partition=0/t+0+0000000000.json");
    world.objects.put(&name, Bytes::from_static(b"mine\n").into()).await.unwrap();
    let sinks = world.sound(&[]).await;
    let trace = until_state(&sinks, State::Failed).await.unwrap();
    assert!(trace.contains("is there with other content"), "{trace}");
    world.wait_for_objects(&[("t+0+0", "mine\n")]).await;
    sinks.alter(NAME, config(&[("overwrite", "yes")])).await.unwrap();
    world.wait_for_objects(&[("t+0+0", ONE)]).await;
    assert_eq!(sinks.alter(NAME, config(&[("records", "none")])).await.unwrap_err().kind(), ErrorKind::Invalid);
}
