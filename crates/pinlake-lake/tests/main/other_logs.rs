//! A log that is not the one which a lake has followed, or no longer, as a cluster may be: nobody goes on in it in silence.

use std::sync::Arc;

use pinlake_core::{ErrorKind, Log, MemoryLog, Offset, TopicPartition};
use pinlake_lake::lake::Lake;

use crate::setup::{World, check_things, things};

/// So many things, all different.
async fn append(world: &World, of: &TopicPartition, keys: std::ops::Range<i64>) {
    let values: Vec<String> = keys.map(|key| format!(r#"{{"k":{key},"v":"x"}}"#)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    world.append_values(of, &values).await;
}

/// Archive and table have stopped for this reason, and hold what they held.
async fn have_stopped(world: &World, lake: &Lake, why: &str, objects: &[String]) {
    lake.flush().await.unwrap_err();
    let ends = [(TopicPartition { topic: "a.things".parse().unwrap(), partition: pinlake_core::PartitionId(0) }, Offset(1))];
    lake.table("things").unwrap().flush(ends.into()).await.unwrap_err();
    for failed in [lake.archive_status().failed, lake.status()[0].failed.clone()] {
        let failed = failed.expect("it has stopped");
        assert_eq!(failed.kind(), ErrorKind::Corrupt);
        assert!(failed.message().contains(why), "{failed}");
    }
    assert_eq!(world.names("topics").await, objects, "nothing is archived over what is there");
}

#[tokio::test]
async fn a_topic_that_begins_anew_is_not_taken_for_the_old_one() {
    for count in [3, 4, 20] {
        let mut world = World::new(things());
        let of = world.topic("a.things", 1).await.partition(0);
        append(&world, &of, 0..4).await;
        let lake = world.start().await;
        check_things(&world, &lake, "the old topic").await;
        lake.stop().await.unwrap();
        let objects = world.names("topics").await;
        world.log = Arc::new(MemoryLog::new());
        world.topic("a.things", 1).await;
        append(&world, &of, 100..100 + count).await;
        have_stopped(&world, &world.start().await, "was deleted and made again", &objects).await;
    }
}

#[tokio::test]
async fn a_topic_that_goes_on_behind_the_old_one_is_followed() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    append(&world, &of, 0..4).await;
    for _ in 0..2 {
        let lake = world.start().await;
        lake.flush().await.unwrap();
        world.log.delete_topic(&of.topic).await.unwrap();
        world.topic("a.things", 1).await;
        append(&world, &of, 10..14).await;
        lake.flush().await.unwrap();
        lake.stop().await.unwrap();
    }
    assert_eq!(world.start().await.status()[0].committed[&of].position, Offset(12));
}

#[tokio::test]
async fn records_that_went_before_they_were_taken_are_missed_aloud() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    append(&world, &of, 0..4).await;
    let lake = world.start().await;
    lake.flush().await.unwrap();
    lake.stop().await.unwrap();
    let objects = world.names("topics").await;
    append(&world, &of, 4..8).await;
    append(&world, &of, 8..12).await;
    world.log.trim(&of, Offset(8)).await.unwrap();
    have_stopped(&world, &world.start().await, "the log lost records", &objects).await;
}

#[tokio::test]
async fn a_topic_that_was_deleted_on_purpose_is_not_missed() {
    let world = World::new(things());
    let (of, other) = (world.topic("a.things", 1).await.partition(0), world.topic("b.things", 1).await.partition(0));
    append(&world, &of, 0..4).await;
    let lake = world.start().await;
    // As a cluster has it, which would begin at 0 again.
    let missed = async |lake: &Lake| lake.check_positions(|_| Ok(Offset::ZERO)).await.map_err(|error| error.to_string());
    lake.flush().await.unwrap();
    world.log.delete_topic(&of.topic).await.unwrap();
    let text = missed(&lake).await.unwrap_err();
    assert!(text.contains("a.things/0, but the log holds 0..0"), "{text}");
    lake.topic_deleted(&of.topic).await.unwrap();
    missed(&lake).await.unwrap();
    append(&world, &other, 10..14).await;
    lake.flush().await.unwrap();
    lake.stop().await.unwrap();
    let lake = world.start().await;
    missed(&lake).await.expect("it is noted for good");

    // Made again, it is a topic like any other.
    world.topic("a.things", 1).await;
    append(&world, &of, 20..24).await;
    lake.flush().await.unwrap();
    lake.stop().await.unwrap();
    world.log.delete_topic(&of.topic).await.unwrap();
    let lake = world.start().await;
    assert_eq!(lake.status()[0].committed[&of].position, Offset(8));
    assert!(missed(&lake).await.unwrap_err().contains("stands at 8 of a.things/0"));
}
