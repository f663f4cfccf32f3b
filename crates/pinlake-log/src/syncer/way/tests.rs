//! The cheaper way wins, and the other gets its chance.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn learnt(file: Duration, whole: Duration) -> Costs {
    let mut costs = Costs::default();
    costs.note(Way::Whole, 100, whole);
    costs.note(Way::Each, 100, file * 100);
    costs
}

#[test]
fn few_files_are_synced_each() {
    let mut costs = learnt(MS, Duration::ZERO);
    assert!((0..WHOLE_FILES_MIN).all(|files| costs.choose(files) == Way::Each));
}

#[test]
fn the_cheaper_way_is_taken() {
    assert_eq!(learnt(MS, 100 * MS).choose(100), Way::Whole);
    assert_eq!(learnt(MS, 101 * MS).choose(100), Way::Each);
    assert_eq!(learnt(MS, 101 * MS).choose(200), Way::Whole);
}

#[test]
fn both_ways_are_tried_first() {
    let mut costs = Costs::default();
    assert_eq!(costs.choose(100), Way::Whole);
    costs.note(Way::Whole, 100, MS);
    assert_eq!(costs.choose(100), Way::Each);
}

#[test]
fn the_dearer_way_is_tried_again_now_and_then() {
    let mut costs = learnt(MS, 500 * MS);
    let tried: Vec<usize> = (1..=1000).filter(|_| costs.choose(100) == Way::Whole).collect();
    assert_eq!(tried, [100, 300, 700], "less and less often");
    for _ in 0..10 {
        costs.note(Way::Whole, 100, Duration::ZERO);
    }
    assert_eq!(costs.choose(100), Way::Whole, "what it learns then counts");
}
