//! What holds of every layout, whatever was done to it.

use proptest::prelude::*;

use super::*;
use crate::partitioner::hash_key;

const NOW: i64 = 1_600_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// Of the n-th open shard, at so many 65536ths of its range.
    Split(usize, u16),
    /// Of the n-th open shard and the next one; the other way round if that is set.
    Merge(usize, bool),
    Update(u32),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<usize>(), any::<u16>()).prop_map(|(shard, at)| Step::Split(shard, at)),
        (any::<usize>(), any::<bool>()).prop_map(|(shard, swap)| Step::Merge(shard, swap)),
        (1..40_u32).prop_map(Step::Update),
    ]
}

fn take(layout: &Layout, step: &Step, now_ms: i64) -> Result<Layout, Refusal> {
    let open = |at: usize| layout.routes[at % layout.routes.len()].1;
    match *step {
        Step::Split(at, part) => {
            let Shard { start, end, .. } = layout.shards[open(at) as usize];
            layout.split(open(at), start + ((end - start) >> 16) * u128::from(part), now_ms)
        }
        Step::Merge(at, swap) => {
            let (one, other) = (open(at), open(at.wrapping_add(1)));
            if swap { layout.merge(other, one, now_ms) } else { layout.merge(one, other, now_ms) }
        }
        Step::Update(target) => layout.update(target, now_ms),
    }
}

fn check(layout: &Layout) {
    let stored: Vec<Shard> = layout.clone().into();
    assert_eq!(Layout::try_from(stored).as_ref(), Ok(layout), "the open shards cover the space, and nothing twice");
    for (number, shard) in layout.shards.iter().enumerate() {
        for parent in [shard.parent, shard.adjacent].into_iter().flatten() {
            let older = &layout.shards[parent as usize];
            assert!((parent as usize) < number && older.closed.is_some(), "{number} is a child of {parent}");
            assert!(older.second < shard.second, "sequence numbers grow from parent to child");
            assert!(older.start <= shard.end && shard.start <= older.end, "a child has hashes of its parent");
        }
        assert_eq!(shard.closed.is_some(), layout.children(number as u32).next().is_some(), "closed by its children alone");
    }
}

/// Each hash is one open shard's, and its ancestors that held it lead to a root.
fn check_lineage(layout: &Layout, hash: u128) {
    let holds = |shard: &&Shard| shard.start <= hash && hash <= shard.end;
    assert_eq!(layout.shards.iter().filter(|shard| shard.closed.is_none()).filter(holds).count(), 1);
    let mut at = layout.shard_of(hash);
    assert!(layout.shards[at as usize].closed.is_none());
    for _ in 0..=layout.shards.len() {
        let shard = &layout.shards[at as usize];
        let parents = [shard.parent, shard.adjacent].into_iter().flatten();
        let Some(parent) = parents.into_iter().find(|parent| holds(&&layout.shards[*parent as usize])) else {
            assert_eq!(shard.parent, None, "{at} holds {hash}, none of its parents does");
            return;
        };
        at = parent;
    }
    panic!("{hash} has no root");
}

proptest! {
    #[test]
    fn every_hash_has_one_open_shard_whatever_was_done(
        shards in 1..12_u32,
        steps in proptest::collection::vec(any_step(), 0..12),
        keys in proptest::collection::vec(any::<[u8; 4]>(), 1..8),
    ) {
        let mut layout = Layout::even(shards, NOW);
        for (step, later) in steps.iter().zip(0..) {
            match take(&layout, step, NOW + later * 100) {
                Ok(next) => {
                    prop_assert!(next.len() >= layout.len());
                    if let Step::Update(target) = step {
                        let even = Layout::even(*target, 0);
                        let ranges = |of: &Layout| of.routes.iter().map(|(end, _)| *end).collect::<Vec<_>>();
                        prop_assert_eq!(ranges(&next), ranges(&even));
                    }
                    for shard in next.closed_since(&layout) {
                        prop_assert!(layout.shards[shard as usize].closed.is_none());
                    }
                    layout = next;
                }
                Err(refusal) => prop_assert!(!matches!(refusal, Refusal::NoShard(_) | Refusal::NotOpen(_)), "{:?}", refusal),
            }
            check(&layout);
        }
        let hashes = keys.iter().map(|key| hash_key(key)).chain([0, u128::MAX, u128::MAX / 2]);
        hashes.for_each(|hash| check_lineage(&layout, hash));
    }

    #[test]
    fn what_is_stored_is_read_again_or_refused(layout in proptest::collection::vec(any_step(), 0..6), cut in any::<usize>()) {
        let mut made = Layout::even(3, NOW);
        for step in &layout {
            made = take(&made, step, NOW).unwrap_or(made);
        }
        let json = serde_json::to_string(&made).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Layout>(&json).unwrap(), &made);
        let mut broken: Vec<Shard> = made.into();
        let at = cut % broken.len();
        let was_open = broken[at].closed.is_none();
        broken.remove(at);
        prop_assert!(!was_open || Layout::try_from(broken).is_err(), "an open shard is missing");
    }
}

#[test]
fn a_split_shard_has_two_children() {
    let layout = Layout::even(2, NOW).split(1, 3 << 126, NOW + 5).unwrap();
    let shape: Vec<_> = layout.shards.iter().map(|shard| (shard.parent, shard.adjacent, shard.closed.is_some())).collect();
    assert_eq!(shape, [(None, None, false), (None, None, true), (Some(1), None, false), (Some(1), None, false)]);
    assert_eq!((layout.shards[2].start, layout.shards[2].end, layout.shards[3].start), (1 << 127, (3 << 126) - 1, 3 << 126));
    assert_eq!(layout.shards[2].second, NOW / 1000 + 1, "in the same second, and yet behind its parent");
    assert_eq!([0, 1 << 127, 3 << 126, u128::MAX].map(|hash| layout.shard_of(hash)), [0, 2, 3, 3]);
}

#[test]
fn splits_that_leave_less_than_two_hashes_are_refused() {
    let layout = Layout::even(1, NOW);
    for from in [0, 1, u128::MAX] {
        assert_eq!(layout.split(0, from, NOW), Err(Refusal::NotWithin { start: 0, end: u128::MAX }));
    }
    assert!(layout.split(0, 2, NOW).is_ok() && layout.split(0, u128::MAX - 1, NOW).is_ok());
    assert_eq!(layout.split(1, 5, NOW), Err(Refusal::NoShard(1)));
    assert_eq!(layout.split(0, 5, NOW).unwrap().split(0, 5, NOW), Err(Refusal::NotOpen(0)));
}

#[test]
fn only_neighbours_are_merged() {
    let layout = Layout::even(3, NOW);
    assert_eq!(layout.merge(0, 2, NOW), Err(Refusal::NotAdjacent));
    assert_eq!(layout.merge(1, 1, NOW), Err(Refusal::NotAdjacent));
    assert_eq!(layout.merge(2, 9, NOW), Err(Refusal::NoShard(9)));
    let merged = layout.merge(2, 1, NOW).unwrap();
    let child = &merged.shards[3];
    assert_eq!((child.parent, child.adjacent, child.start, child.end), (Some(2), Some(1), u128::MAX / 3, u128::MAX));
    assert_eq!(merged.only(), None);
    assert_eq!(merged.merge(0, 3, NOW).unwrap().only(), Some(4));
}

#[test]
fn doubling_and_halving_take_the_fewest_shards() {
    let two = Layout::even(2, NOW);
    let four = two.update(4, NOW).unwrap();
    assert_eq!((four.len(), four.open_count()), (6, 4));
    assert_eq!(four.update(4, NOW).unwrap(), four, "what is even already stays");
    let back = four.update(2, NOW).unwrap();
    assert_eq!((back.len(), back.open_count()), (8, 2));
    assert_eq!(back.shards[6].parent.zip(back.shards[6].adjacent), Some((2, 3)));
}

#[test]
fn there_is_an_end_to_resharding() {
    let layout = Layout::even(6_000, NOW);
    assert!(matches!(layout.update(6_001, NOW), Err(Refusal::TooMany { shards: 10_001.. })));
    assert_eq!(layout.update(u32::MAX, NOW), Err(Refusal::TooMany { shards: u32::MAX as usize }));
}
