//! What sinks are asked: to be, to pause, to stop, to begin elsewhere, to be no more.

use std::collections::BTreeSet;

use pinlake_core::{Batch, BatchBuilder, ErrorKind, Log, Marker, Offset, ProducerSequence};
use pinlake_sink::{Restart, State, Wanted};

use crate::faulty::Fuse;
use crate::world::{NAME, START, World, config, until, until_at, until_state};

fn object(number: i64) -> String {
    format!("{{\"n\":{number}}}\n")
}

#[tokio::test(start_paused = true)]
async fn a_paused_sink_holds_what_it_has_not_taken_and_goes_on_there() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[("tasks", "3")]).await;
    world.append_values(&of, 0..2).await;
    until_at(&sinks, &of, 2).await;
    sinks.want(NAME, Wanted::Paused).await.unwrap();
    let status = sinks.status(NAME).unwrap();
    assert_eq!((status.state, status.tasks.len()), (State::Paused, 3));
    assert!(status.tasks.iter().all(|task| task.state == State::Paused));
    world.append_values(&of, 2..3).await;
    assert_eq!(world.followers.floor(&of), Some(Offset(2)));
    assert_eq!(world.followers.floor_awaited(&of), None, "no producer waits for a sink");
    sinks.want(NAME, Wanted::Running).await.unwrap();
    until_at(&sinks, &of, 3).await;
    assert!(sinks.status(NAME).unwrap().tasks.iter().all(|task| task.state == State::Running));
    world.wait_for_objects(&[("t+0+0", &object(0)), ("t+0+1", &object(1)), ("t+0+2", &object(2))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_sink_holds_nothing_and_can_be_sent_elsewhere() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    world.append_values(&of, 0..4).await;
    let sinks = world.sound(&[("records", "2")]).await;
    until_at(&sinks, &of, 4).await;
    let refused = sinks.move_to(NAME, vec![(of.clone(), Some(Offset(3)))]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    sinks.want(NAME, Wanted::Stopped).await.unwrap();
    let status = sinks.status(NAME).unwrap();
    assert_eq!((status.state, status.tasks.len()), (State::Stopped, 0));
    assert_eq!(world.followers.floor(&of), None);
    assert_eq!(sinks.move_to(NAME, vec![(of.clone(), Some(Offset(-1)))]).await.unwrap_err().kind(), ErrorKind::Invalid);
    sinks.move_to(NAME, vec![(of.clone(), Some(Offset(3)))]).await.unwrap();
    assert_eq!(sinks.offsets(NAME).unwrap(), [(of.clone(), Offset(3))]);
    sinks.alter(NAME, config(&[])).await.unwrap();
    assert_eq!(sinks.status(NAME).unwrap().state, State::Stopped, "as long as nobody resumes it");
    sinks.want(NAME, Wanted::Running).await.unwrap();
    let pairs = [object(0) + &object(1), object(2) + &object(3)];
    world.wait_for_objects(&[("t+0+0", &pairs[0]), ("t+0+2", &pairs[1]), ("t+0+3", &object(3))]).await;
    until_at(&sinks, &of, 4).await;
    sinks.want(NAME, Wanted::Stopped).await.unwrap();
    sinks.reset_offsets(NAME).await.unwrap();
    assert_eq!(sinks.offsets(NAME).unwrap(), []);
    sinks.alter(NAME, config(&[("records", "2")])).await.unwrap();
    sinks.want(NAME, Wanted::Running).await.unwrap();
    until_at(&sinks, &of, 4).await;
}

#[tokio::test(start_paused = true)]
async fn topics_that_match_are_taken_up_also_later_and_with_more_partitions() {
    let world = World::new();
    let first = world.topic("t1", 1).await;
    world.topic("other", 1).await;
    let sinks = world.sound(&[("topics", "t[0-9]"), ("tasks", "2")]).await;
    world.append_values(&first.partition(0), 0..1).await;
    until_at(&sinks, &first.partition(0), 1).await;
    let later = world.topic("t2", 2).await;
    world.topic("t10", 1).await;
    world.append_values(&later.partition(1), 7..8).await;
    until_at(&sinks, &later.partition(1), 1).await;
    world.log.alter_topic(&first, pinlake_core::TopicSpec::with_partitions(2)).await.unwrap();
    world.append_values(&first.partition(1), 8..9).await;
    until_at(&sinks, &first.partition(1), 1).await;
    world.wait_for_objects(&[("t1+0+0", &object(0)), ("t1+1+0", &object(8)), ("t2+1+0", &object(7))]).await;
    let offsets: Vec<_> = sinks.offsets(NAME).unwrap().into_iter().map(|(of, at)| (of.to_string(), at.0)).collect();
    assert_eq!(offsets, [("t1/0".to_owned(), 1), ("t1/1".to_owned(), 1), ("t2/0".to_owned(), 0), ("t2/1".to_owned(), 1)]);
    let names = |topics: BTreeSet<pinlake_core::TopicName>| topics.into_iter().map(|topic| topic.to_string()).collect::<Vec<_>>();
    assert_eq!(names(sinks.topics(NAME).unwrap()), ["t1", "t2"]);
    sinks.forget_topics(NAME).await.unwrap();
    assert!(sinks.topics(NAME).unwrap().is_empty());
    world.append_values(&later.partition(0), 9..10).await;
    until_at(&sinks, &later.partition(0), 1).await;
    assert_eq!(names(sinks.topics(NAME).unwrap()), ["t2"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_written_to_its_end_and_one_made_again_is_another() {
    let world = World::new();
    let topic = world.topic("t", 1).await;
    let of = topic.partition(0);
    let sinks = world.sound(&[("records", "2")]).await;
    world.append_values(&of, 0..3).await;
    until_at(&sinks, &of, 2).await;
    world.log.delete_topic(&topic).await.unwrap();
    // What was read is written, although its unit was not full.
    until_at(&sinks, &of, 3).await;
    world.topic("t", 1).await;
    world.append_values(&of, 3..5).await;
    let pairs = [object(0) + &object(1), object(3) + &object(4)];
    world.wait_for_objects(&[("t+0+0", &pairs[0]), ("t+0+2", &object(2)), ("t+0+3", &pairs[1])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_made_again_goes_on_where_it_was_deleted() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[("records", "2")]).await;
    world.append_values(&of, 0..2).await;
    until_at(&sinks, &of, 2).await;
    assert_eq!(sinks.create(NAME, config(&[]), Wanted::Running).await.unwrap_err().kind(), ErrorKind::Conflict);
    sinks.delete(NAME).await.unwrap();
    assert_eq!(world.followers.floor(&of), None);
    assert!(sinks.names().is_empty());
    for gone in [sinks.config(NAME).unwrap_err(), sinks.status(NAME).unwrap_err(), sinks.delete(NAME).await.unwrap_err()] {
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
    drop(sinks);
    let sinks = world.start(&Fuse::sound()).await.unwrap();
    assert!(sinks.names().is_empty(), "not after a restart either");
    world.append_values(&of, 2..3).await;
    sinks.create(NAME, config(&[]), Wanted::Running).await.unwrap();
    until_at(&sinks, &of, 3).await;
    world.wait_for_objects(&[("t+0+0", &(object(0) + &object(1))), ("t+0+2", &object(2))]).await;
    sinks.delete(NAME).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    drop(sinks);
    let sinks = world.start(&Fuse::sound()).await.unwrap();
    sinks.create(NAME, config(&[]), Wanted::Paused).await.unwrap();
    assert_eq!(sinks.offsets(NAME).unwrap(), [], "a week later it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_cant_be_used_fails_alone_and_can_be_mended() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[]).await;
    let made = |bucket| sinks.create("second", config(&[("bucket", bucket)]), Wanted::Running);
    assert_eq!(sinks.create("bad", config(&[("records", "x")]), Wanted::Running).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(sinks.create("a\nb", config(&[]), Wanted::Running).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(sinks.names(), [NAME]);
    made("").await.unwrap();
    let failed = || sinks.status("second").unwrap().state == State::Failed;
    assert!(until(async || failed()).await);
    assert_eq!(sinks.status("second").unwrap().trace.as_deref(), Some("there is no bucket"));
    world.append_values(&of, 0..1).await;
    until_at(&sinks, &of, 1).await;
    sinks.restart("second", Restart::Sink).await.unwrap();
    assert!(failed());
    sinks.alter("second", config(&[("bucket", "b"), ("topics", "none")])).await.unwrap();
    assert_eq!(sinks.status("second").unwrap().state, State::Running);
    assert_eq!(sinks.restart(NAME, Restart::Task(9)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn records_that_were_dropped_under_a_stopped_sink_are_passed_over() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[]).await;
    world.append_values(&of, 0..1).await;
    until_at(&sinks, &of, 1).await;
    sinks.want(NAME, Wanted::Stopped).await.unwrap();
    world.append_values(&of, 1..4).await;
    world.log.trim(&of, Offset(3)).await.unwrap();
    sinks.want(NAME, Wanted::Running).await.unwrap();
    world.wait_for_objects(&[("t+0+0", &object(0)), ("t+0+3", &object(3))]).await;
    sinks.want(NAME, Wanted::Stopped).await.unwrap();
    sinks.move_to(NAME, vec![(of.clone(), Some(Offset(9)))]).await.unwrap();
    sinks.want(NAME, Wanted::Running).await.unwrap();
    let trace = until_state(&sinks, State::Failed).await.unwrap();
    assert!(trace.contains("stands at 9 of t/0"), "{trace}");
}

#[tokio::test(start_paused = true)]
async fn what_is_aborted_or_open_is_not_written() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[("records", "2")]).await;
    for (id, end) in [(1, Some(Marker::Abort)), (2, Some(Marker::Commit)), (3, None)] {
        let mut builder = BatchBuilder::new(START);
        builder.set_producer(ProducerSequence { id, epoch: 0, first: 0 });
        builder.set_transactional();
        builder.push(None, Some(id.to_string().as_bytes()));
        world.log.append(&of, builder.build().unwrap()).await.unwrap();
        if let Some(end) = end {
            world.log.append(&of, Batch::marker(end, id, 0, START).unwrap()).await.unwrap();
        }
        world.append_values(&of, id..id + 1).await;
    }
    // 1 and its marker, a value; 2 and its marker, a value; what is behind waits for 3 to end.
    world.wait_for_objects(&[("t+0+2", "{\"n\":1}\n2\n")]).await;
    world.log.append(&of, Batch::marker(Marker::Abort, 3, 0, START).unwrap()).await.unwrap();
    world.wait_for_objects(&[("t+0+2", "{\"n\":1}\n2\n"), ("t+0+5", "{\"n\":2}\n{\"n\":3}\n")]).await;
    until_at(&sinks, &of, 9).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_before_it_is_known_who_follows() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    let sinks = world.sound(&[]).await;
    world.append_values(&of, 0..2).await;
    until_at(&sinks, &of, 2).await;
    sinks.close().await;
    drop(sinks);
    pinlake_sink::sinks::hold(&world.followers, "sink");
    assert_eq!(world.followers.floor(&of), Some(Offset::ZERO));
    let _sinks = world.start(&Fuse::sound()).await.unwrap();
    assert_eq!(world.followers.floor(&of), Some(Offset(2)));
}
