//! Units that the wall clock ends, or want of memory, and folders that the clock names: each record once all the same, whatever dies when.

use std::time::Duration;

use pinlake_core::TopicPartition;
use pinlake_sink::{State, Wanted};

use crate::faulty::{FAULTS, Fuse};
use crate::world::{NAME, World, config, until};

const MINUTE: Duration = Duration::from_secs(60);

/// All lines that are written of a partition, in the order of the objects' offsets.
async fn lines(world: &World) -> Vec<String> {
    let mut objects: Vec<(String, String)> = world.objects().await.into_iter().collect();
    objects.sort_by_key(|(name, _)| name.rsplit('+').next().unwrap().to_owned());
    objects.iter().flat_map(|(_, lines)| lines.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn numbers(to: i64) -> Vec<String> {
    (0..to).map(|number| format!("{{\"n\":{number}}}")).collect()
}

/// Three times some records come and time passes; then the process dies, and another one goes on.
async fn tell(options: &[(&str, &str)], fuse: &Fuse, sinks: &pinlake_sink::Sinks, world: &World, of: &TopicPartition) {
    while sinks.names().is_empty() {
        let _ = sinks.create(NAME, config(options), Wanted::Running).await;
    }
    for round in 0..3 {
        world.append_values(of, 5 * round..5 * (round + 1)).await;
        let all = 5 * (round + 1);
        let written = until(async || {
            world.clock.advance(MINUTE);
            lines(world).await.len() as i64 >= all
        });
        assert!(written.await, "{:?}: {:?} of {all}", sinks.status(NAME), lines(world).await);
    }
    fuse.kill();
}

fn run(options: &[(&str, &str)], fault: crate::faulty::Fault, step: u64) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new();
        let of = world.topic("t", 1).await.partition(0);
        let fuse = Fuse::at(fault, step);
        tokio::select! {
            biased;
            () = fuse.death() => {}
            () = async {
                let sinks = world.start(&fuse).await.unwrap();
                tell(options, &fuse, &sinks, &world, &of).await;
            } => {}
        }
        let before = world.objects().await;
        // Whoever comes later sees another time.
        world.clock.advance(MINUTE * 7);
        let sinks = world.start(&Fuse::sound()).await.unwrap();
        if sinks.names().is_empty() {
            sinks.create(NAME, config(options), Wanted::Running).await.unwrap();
        }
        let end = pinlake_core::Log::range(&*world.log, &of).await.unwrap().end.0;
        world.append_values(&of, end..20).await;
        let all = until(async || {
            world.clock.advance(MINUTE);
            lines(&world).await.len() >= 20
        });
        assert!(all.await, "{:?}: {:#?}", sinks.status(NAME), world.objects().await);
        assert_eq!(
            lines(&world).await,
            numbers(20),
            "each record once, in order, at {fault:?} {step}: {:#?}",
            world.objects().await
        );
        let after = world.objects().await;
        assert!(before.iter().all(|(name, content)| after.get(name) == Some(content)), "what was written stays");
        assert_eq!(sinks.status(NAME).unwrap().tasks[0].state, State::Running);
        fuse.has_struck()
    })
}

fn every_step(options: &[(&str, &str)]) {
    for fault in FAULTS {
        let mut step = 1;
        while run(options, fault, step) {
            step += 1;
        }
        assert!(step > 8, "{fault:?} struck {step} times");
    }
}

#[test]
fn units_that_the_clock_ends_hold_each_record_once_whatever_dies_when() {
    every_step(&[("records", "3"), ("schedule", "120000")]);
}

#[test]
fn folders_that_the_clock_names_hold_each_record_once_whatever_dies_when() {
    every_step(&[("records", "100"), ("place", "clock")]);
}

#[test]
fn units_that_end_for_want_of_memory_hold_each_record_once_whatever_dies_when() {
    every_step(&[("records", "100"), ("open_bytes", "0")]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_closed_when_its_time_has_come_and_not_before() {
    let world = World::new();
    let of = world.topic("t", 1).await.partition(0);
    // The world begins at 22:13:20 UTC.
    let sinks = world.sound(&[("records", "100"), ("schedule", "600000")]).await;
    world.append_values(&of, 0..3).await;
    crate::world::until_at(&sinks, &of, 0).await;
    world.clock.advance(Duration::from_secs(399));
    tokio::time::sleep(MINUTE).await;
    assert!(world.objects().await.is_empty());
    world.clock.advance(Duration::from_secs(1));
    world.wait_for_objects(&[("t+0+0", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n")]).await;
    crate::world::until_at(&sinks, &of, 3).await;
}
