//! What is listed of a topic's groups.

use super::*;

fn position(group: &str, partition: u32, lag: u64) -> GroupPosition {
    GroupPosition { group: group.to_owned(), partition, committed: 0, lag }
}

#[test]
fn groups_are_listed_by_how_far_they_are_behind_in_all_partitions() {
    assert_eq!(lags(&[]), "");
    assert_eq!(lags(&[position("a", 0, 1), position("b", 0, 7), position("a", 1, 8), position("c", 0, 0)]), "a: 9, b: 7, c: 0");
    let many: Vec<_> = (0..8).map(|number| position(&format!("g{number}"), 0, number)).collect();
    assert_eq!(lags(&many), "g7: 7, g6: 6, g5: 5, g4: 4, g3: 3, 3 more");
}
