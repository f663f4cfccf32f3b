//! Order where it matters, and a bound on what is remembered for it.

use pinlake_core::TopicName;

use super::*;

fn partition(number: u32) -> TopicPartition {
    TopicName::new("t").unwrap().partition(number)
}

fn enter(lanes: &mut Lanes, number: u32) -> Turn {
    lanes.enter(std::iter::once(partition(number))).pop().unwrap()
}

fn is_done(turn: &mut Turn) -> bool {
    turn.before.as_mut().is_none_or(|before| before.try_recv() != Err(TryRecvError::Empty))
}

#[test]
fn a_partition_waits_for_its_own_requests_alone() {
    let mut lanes = Lanes::default();
    let first = enter(&mut lanes, 0);
    let (mut second, mut other) = (enter(&mut lanes, 0), enter(&mut lanes, 1));
    assert!(is_done(&mut other));
    assert!(!is_done(&mut second));
    drop(first);
    assert!(is_done(&mut second));
    let twice = lanes.enter([partition(2), partition(2)].into_iter());
    assert!(twice[0].before.is_none() && twice[1].before.is_some(), "also within one request");
}

#[test]
fn a_client_that_never_pauses_and_names_ever_new_partitions_is_remembered_within_a_bound() {
    let mut lanes = Lanes::default();
    let never_done = enter(&mut lanes, 0);
    for number in 1..10 * u32::try_from(LANES_MAX).unwrap() {
        drop(enter(&mut lanes, number));
        assert!(lanes.last.len() <= LANES_MAX, "{} are remembered", lanes.last.len());
    }
    assert!(!is_done(&mut enter(&mut lanes, 0)), "who is not done is still waited for");
    drop(never_done);
    lanes.clear();
    assert!(lanes.last.is_empty());
}
