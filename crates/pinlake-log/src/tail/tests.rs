//! The bound holds over all tails, and the oldest go first.

use pinlake_core::{Record, Timestamp};

use super::*;

fn batch(at: i64) -> Batch {
    Batch::of(&[Record::of_value("value")], Timestamp(1)).unwrap().at(Offset(at))
}

fn offsets(tail: &Tail, at: i64, bytes_max: usize) -> Option<Vec<i64>> {
    tail.read(Offset(at), bytes_max).map(|batches| batches.iter().map(|batch| batch.base_offset().0).collect())
}

#[test]
fn the_oldest_batches_go_first_wherever_they_are() {
    let len = batch(0).bytes().len();
    let budget = TailBudget::new(4 * len);
    let (a, b) = (Arc::new(Tail::default()), Arc::new(Tail::default()));
    budget.push(&a, vec![batch(0), batch(1)]);
    budget.push(&b, vec![batch(0)]);
    budget.push(&a, vec![batch(2)]);
    assert_eq!(offsets(&a, 0, 10 * len), Some(vec![0, 1, 2]));
    budget.push(&b, vec![batch(1)]);
    assert_eq!(offsets(&a, 1, 10 * len), None, "the first two came together and go together");
    assert_eq!(offsets(&a, 2, 10 * len), Some(vec![2]));
    assert_eq!(offsets(&b, 0, 10 * len), Some(vec![0, 1]));
    drop(a);
    budget.push(&b, vec![batch(2), batch(3)]);
    assert_eq!(offsets(&b, 0, 10 * len), None);
    assert_eq!(offsets(&b, 1, 10 * len), Some(vec![1, 2, 3]), "a partition that is gone leaves its room");
}

#[test]
fn a_read_answers_one_batch_at_least_and_keeps_its_limit() {
    let len = batch(0).bytes().len();
    let budget = TailBudget::new(10 * len);
    let tail = Arc::new(Tail::default());
    budget.push(&tail, (0..5).map(batch).collect());
    assert_eq!(offsets(&tail, 1, 1), Some(vec![1]));
    assert_eq!(offsets(&tail, 1, 2 * len), Some(vec![1, 2]));
    assert_eq!(offsets(&tail, 5, len), None);
}

#[test]
fn a_batch_larger_than_the_bound_is_not_kept() {
    let budget = TailBudget::new(10);
    let tail = Arc::new(Tail::default());
    budget.push(&tail, vec![batch(0)]);
    assert_eq!(offsets(&tail, 0, 1000), None);
}
