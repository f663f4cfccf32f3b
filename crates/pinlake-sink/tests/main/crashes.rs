//! A failure, or a death, at every single step of log and store: the objects are those of an undisturbed run, byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinlake_core::TopicPartition;
use pinlake_sink::{Sinks, State, Wanted};
use proptest::prelude::*;

use crate::faulty::{FAULTS, Fault, Fuse};
use crate::model::{Rules, Written};
use crate::world::{NAME, Rec, START, World, config, until, until_at};

/// Records of two partitions, in the batches in which they are appended, and what goes wrong in one process after another.
#[derive(Debug, Clone)]
struct Story {
    rules: Rules,
    batches: [Vec<Vec<Rec>>; 2],
    processes: Vec<(Fault, u64)>,
    /// Bytes for which a task has room.
    memory: Option<u64>,
}

/// A value that can't be written.
const BAD: &str = "{bad";

fn value(k: &str, n: i64) -> Option<String> {
    Some(format!("{{\"k\":\"{k}\",\"n\":{n}}}"))
}

async fn of(world: &World) -> [TopicPartition; 2] {
    let topic = world.topic("t", 2).await;
    [topic.partition(0), topic.partition(1)]
}

/// Does what it must until everything is written, or the process is dead. What it appended is in `appended`.
async fn process(world: &World, story: &Story, to: &[TopicPartition; 2], appended: &mut usize, last: bool, fuse: &Arc<Fuse>) {
    let mut options = story.rules.options();
    options.extend(story.memory.map(|bytes| ("open_bytes", bytes.to_string())));
    let options: Vec<_> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(sinks) = unless_dead(fuse, world.start(fuse)).await else { return };
    let sinks = sinks.unwrap();
    while sinks.names().is_empty() {
        let created = unless_dead(fuse, sinks.create(NAME, config(&options), Wanted::Running)).await;
        if created.is_none() {
            return;
        }
    }
    let most = story.batches.iter().map(Vec::len).max().unwrap_or_default();
    let end = if last { most } else { (*appended + 1).min(most) };
    for at in *appended..end {
        for (of, batches) in to.iter().zip(&story.batches) {
            world.append(of, batches.get(at).map_or(&[], Vec::as_slice)).await;
        }
    }
    *appended = end;
    let there: Vec<Vec<Rec>> = story.batches.iter().map(|batches| batches[..end.min(batches.len())].concat()).collect();
    let done = unless_dead(fuse, until(async || is_written(world, &sinks, story, to, &there).await)).await;
    if done == Some(false) {
        panic!("{story:#?}\n{:?}\n{:?}\n{:#?}", sinks.status(NAME), sinks.offsets(NAME), world.objects().await);
    }
}

async fn unless_dead<T>(fuse: &Fuse, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = fuse.death() => None,
        done = work => Some(done),
    }
}

/// Whether everything is written of what is there.
async fn is_written(world: &World, sinks: &Sinks, story: &Story, to: &[TopicPartition; 2], there: &[Vec<Rec>]) -> bool {
    let Ok(offsets) = sinks.offsets(NAME) else { return false };
    let at = |of: &TopicPartition| offsets.iter().find(|(other, _)| other == of).map(|(_, at)| at.0);
    let [Some(first), Some(second)] = [at(&to[0]), at(&to[1])] else { return false };
    let expected: Vec<Written> = to.iter().zip(there).map(|(of, records)| story.rules.written(of, records)).collect();
    if !to.iter().zip(&expected).all(|(of, written)| letters(world, of) == written.letters) {
        return false;
    }
    let (positions, objects) = ([first, second], world.objects().await);
    if story.memory.is_some() {
        let each = to.iter().zip(there).zip(positions);
        return each.into_iter().all(|((of, records), position)| each_once(story, of, records, position, &objects));
    }
    let is_there = |(written, at): (&Written, i64)| written.positions.0 <= at && at <= written.positions.1;
    let all: BTreeMap<String, String> = expected.iter().flat_map(|written| written.objects.clone()).collect();
    expected.iter().zip(positions).all(is_there) && objects == all
}

/// Whether the objects hold each record before the position once, and no other, and fewer records wait behind it than close a unit.
fn each_once(story: &Story, of: &TopicPartition, records: &[Rec], position: i64, objects: &BTreeMap<String, String>) -> bool {
    let good = |(offset, (_, value)): (i64, &Rec)| {
        let value = value.clone().filter(|value| value != BAD)?;
        Some((offset, value))
    };
    let (before, behind): (Vec<_>, Vec<_>) = (0..).zip(records).filter_map(good).partition(|(offset, _)| *offset < position);
    let name = format!("/{}+{}+", of.topic, of.partition);
    let own = objects.iter().filter(|(object, _)| object.contains(&name));
    let mut lines: Vec<String> = own.flat_map(|(_, lines)| lines.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut expected: Vec<String> = before.into_iter().map(|(_, value)| value).collect();
    lines.sort();
    expected.sort();
    lines == expected && (behind.len() as u64) < story.rules.records
}

/// Where the records stand that can't be written. One may have been written again where a process died before it was noted.
fn letters(world: &World, of: &TopicPartition) -> Vec<i64> {
    let letters = world.letters.0.lock().unwrap();
    let mut found: Vec<i64> = letters.iter().filter(|letter| letter.of == *of).map(|letter| letter.offset.0).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Runs all processes and a sound one at the end; answers whether everything that should go wrong did.
async fn tell(story: &Story) -> bool {
    let world = World::new();
    let to = of(&world).await;
    let (mut appended, mut all_struck) = (0, true);
    for (fault, step) in &story.processes {
        let fuse = Fuse::at(*fault, *step);
        process(&world, story, &to, &mut appended, false, &fuse).await;
        fuse.kill();
        all_struck &= fuse.has_struck();
    }
    process(&world, story, &to, &mut appended, true, &Fuse::sound()).await;
    all_struck
}

fn run(story: &Story) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(tell(story))
}

#[test]
fn a_failure_or_death_at_any_step_leaves_the_objects_of_an_undisturbed_run() {
    let rules = Rules { records: 3, bytes: None, objects: None, record_time: Some(1_000), by_field: true };
    let good = |k, n: i64| (START.0 + 100 * n, value(k, n));
    let (bad, none) = ((START.0, Some(BAD.to_owned())), (START.0, None));
    let first =
        vec![good("a", 0), good("a", 1), good("a", 2), good("a", 3), good("b", 4), none, bad, good("b", 5), good("b", 25)];
    let second = vec![good("c", 0), good("c", 11), good("a", 22), good("a", 23), good("a", 24), good("d", 25), good("d", 26)];
    let batches = [vec![first], vec![second]];
    for fault in FAULTS {
        let mut step = 1;
        while run(&Story { rules: rules.clone(), batches: batches.clone(), processes: vec![(fault, step)], memory: None }) {
            step += 1;
        }
        assert!(step > 8, "{fault:?} struck {step} times");
    }
}

fn any_record() -> impl Strategy<Value = Rec> {
    let good = ("[abc]", 0..1000_i64).prop_map(|(k, n)| value(&k, n));
    let value = prop_oneof![8 => good, 1 => Just(None), 1 => Just(Some(BAD.to_owned()))];
    (START.0..START.0 + 5_000, value)
}

fn any_story() -> impl Strategy<Value = Story> {
    let some = |range: std::ops::Range<u64>| proptest::option::weighted(0.4, range);
    let rules = (1..8_u64, some(20..200), some(1..4), some(1..3_000), any::<bool>());
    let rules = rules.prop_map(|(records, bytes, objects, record_time, by_field)| Rules {
        records,
        bytes,
        objects,
        record_time: record_time.map(|time| i64::try_from(time).unwrap()),
        by_field,
    });
    let batches = || proptest::collection::vec(proptest::collection::vec(any_record(), 1..8), 0..5);
    let processes = proptest::collection::vec((proptest::sample::select(&FAULTS), 1..25_u64), 0..5);
    (rules, batches(), batches(), processes).prop_map(|(rules, first, second, processes)| Story {
        rules,
        batches: [first, second],
        processes,
        memory: None,
    })
}

/// The same with values that tell each record of a partition from all others.
fn any_story_with_little_memory() -> impl Strategy<Value = Story> {
    (any_story(), 0..200_u64).prop_map(|(mut story, memory)| {
        story.memory = Some(memory);
        for batches in &mut story.batches {
            let good = batches.iter_mut().flatten().filter_map(|(_, value)| value.as_mut()).filter(|value| *value != BAD);
            for (number, value) in good.enumerate() {
                *value = value.replace("\"n\":", &format!("\"n\":{}", number + 1000));
            }
        }
        story
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_records_rules_and_crashes_give_the_objects_of_an_undisturbed_run(story in any_story()) {
        run(&story);
    }

    #[test]
    fn any_crashes_and_want_of_memory_leave_each_record_once(story in any_story_with_little_memory()) {
        run(&story);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_there_again_after_a_death() {
    let world = World::new();
    let to = of(&world).await;
    let fuse = Fuse::at(Fault::DeathAfter, 1_000_000);
    let sinks = world.start(&fuse).await.unwrap();
    sinks.create(NAME, config(&[("records", "2")]), Wanted::Paused).await.unwrap();
    fuse.kill();
    drop(sinks);
    let sinks = world.start(&Fuse::sound()).await.unwrap();
    assert_eq!(sinks.names(), [NAME]);
    assert_eq!(sinks.config(NAME).unwrap(), config(&[("records", "2")]));
    assert_eq!(sinks.status(NAME).unwrap().state, State::Paused);
    world.append_values(&to[0], 0..2).await;
    sinks.want(NAME, Wanted::Running).await.unwrap();
    world.wait_for_objects(&[("t+0+0", "{\"n\":0}\n{\"n\":1}\n")]).await;
}

/// Two records make a unit, each as large as a read, and there is room for one and a half.
#[tokio::test(start_paused = true)]
async fn a_unit_that_was_written_before_a_death_is_not_cut_for_want_of_memory() {
    let world = World::new();
    let [beside, first] = of(&world).await;
    let large = || vec![(START.0, Some(format!("\"{}\"", "x".repeat(1_100_000))))];
    let options = config(&[("records", "2"), ("open_bytes", "1500000")]);
    let fuse = Fuse::sound();
    let sinks = world.start(&fuse).await.unwrap();
    sinks.create(NAME, options, Wanted::Running).await.unwrap();
    until_at(&sinks, &first, 0).await;
    for _ in 0..2 {
        world.append(&first, &large()).await;
    }
    assert!(until(async || world.objects().await.len() == 1).await);
    fuse.kill();
    assert_eq!(sinks.offsets(NAME).unwrap()[1].1.0, 0, "it is not noted");
    drop(sinks);
    world.append(&beside, &large()).await;
    let sinks = world.start(&Fuse::sound()).await.unwrap();
    until_at(&sinks, &first, 2).await;
    // What waited beside it made room, and not the unit that was there.
    until_at(&sinks, &beside, 1).await;
    assert_eq!(world.objects().await.len(), 2);
}
