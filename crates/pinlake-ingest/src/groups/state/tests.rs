//! What records add up to, in any order.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::groups::record::{StoredMember, StoredProtocol};

pub(crate) fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

pub(crate) fn partition(topic: &str, partition: u32) -> TopicPartition {
    TopicName::new(topic).unwrap().partition(partition)
}

pub(crate) fn offset(of: &TopicPartition, offset: i64) -> StoredOffset {
    StoredOffset { of: of.clone(), offset, leader_epoch: -1, metadata: String::new(), at_ms: 0, from: None }
}

/// Any change of a few groups, topics and producers.
pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let groups = || (0..3_u8).prop_map(|number| group(&format!("g{number}")));
    let of = || (0..2_u8, 0..2_u32).prop_map(|(topic, number)| partition(&format!("t{topic}"), number));
    let offsets = || {
        prop::collection::vec((of(), 0..100_i64, 0..1000_i64), 1..4).prop_map(|offsets| {
            let stored = |(of, at, at_ms)| StoredOffset { at_ms, metadata: format!("é\u{0}\"{at}"), ..offset(&of, at) };
            offsets.into_iter().map(stored).collect::<Vec<_>>()
        })
    };
    prop_oneof![
        2 => (groups(), 0..50_i32, 0..3_usize).prop_map(|(group, generation, members)| Entry::Group {
            group,
            at_ms: i64::from(generation),
            members: stored_group(generation, members),
        }),
        6 => (groups(), offsets()).prop_map(|(group, offsets)| Entry::Offsets { group, offsets }),
        4 => (0..3_i64, 0..3_i16, groups(), offsets()).prop_map(|(producer, epoch, group, offsets)| {
            Entry::Staged { producer, epoch, group, offsets }
        }),
        2 => (0..3_i64, any::<bool>()).prop_map(|(producer, commit)| Entry::Finished { producer, commit }),
        1 => groups().prop_map(|group| Entry::GroupDeleted { group }),
        1 => (groups(), of()).prop_map(|(group, of)| Entry::OffsetsDeleted { group, partitions: vec![of] }),
        1 => (0..2_u8).prop_map(|topic| Entry::TopicDeleted { topic: partition(&format!("t{topic}"), 0).topic }),
    ]
}

pub(crate) fn stored_group(generation: i32, members: usize) -> StoredGroup {
    let member = |number: usize| StoredMember {
        member_id: format!("m{number}"),
        group_instance_id: (number == 1).then(|| "one".to_owned()),
        client_id: "client".to_owned(),
        client_host: "host".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocols: vec![StoredProtocol { name: "range".to_owned(), metadata: Bytes::from_static(b"\x00\xff") }],
        assignment: Bytes::from(vec![0; number]),
    };
    StoredGroup {
        generation,
        protocol_type: "consumer".to_owned(),
        protocol: (members > 0).then(|| "range".to_owned()),
        leader: (members > 0).then(|| "m0".to_owned()),
        members: (0..members).map(member).collect(),
    }
}

/// An entry, written and read again.
fn written(entry: &Entry) -> Entry {
    serde_json::from_slice(&serde_json::to_vec(entry).unwrap()).unwrap()
}

/// What a snapshot of it would hold.
fn snapshot(state: &State) -> Vec<Entry> {
    let groups: Vec<GroupId> = state.groups().cloned().collect();
    let mut records: Vec<Entry> = groups.iter().flat_map(|group| state.records_of(group)).collect();
    records.extend(state.records_of_transactions());
    records
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_is_what_its_snapshot_makes_of_nothing(entries in prop::collection::vec(entry(), 0..60)) {
        let mut state = State::default();
        for (at, entry) in (0..).zip(entries) {
            let entry = written(&entry);
            state.apply(entry, at);
        }
        let mut again = State::default();
        for record in snapshot(&state) {
            again.apply(written(&record), 1_000_000);
        }
        prop_assert_eq!(&again, &state);
        let counted: usize = snapshot(&state).iter().map(|record| match record {
            Entry::Offsets { offsets, .. } | Entry::Staged { offsets, .. } => offsets.len(),
            _ => 0,
        }).sum();
        prop_assert_eq!(state.offsets(), counted);
    }
}

fn apply_all(entries: impl IntoIterator<Item = Entry>) -> State {
    let mut state = State::default();
    for (at, entry) in (0..).zip(entries) {
        state.apply(entry, at);
    }
    state
}

fn commit(at: i64) -> Entry {
    Entry::Offsets { group: group("g"), offsets: vec![offset(&partition("t", 0), at)] }
}

fn stage(epoch: i16, at: i64) -> Entry {
    Entry::Staged { producer: 7, epoch, group: group("g"), offsets: vec![offset(&partition("t", 0), at)] }
}

fn finish(commit: bool) -> Entry {
    Entry::Finished { producer: 7, commit }
}

#[test]
fn staged_offsets_count_once_their_transaction_commits() {
    let cases: [(&str, Vec<Entry>, Option<i64>, bool); 9] = [
        ("staged ones are not seen", vec![commit(1), stage(0, 5)], Some(1), true),
        ("committed", vec![commit(1), stage(0, 5), finish(true)], Some(5), false),
        ("aborted", vec![commit(1), stage(0, 5), finish(false)], Some(1), false),
        ("committed to a group that had nothing", vec![stage(0, 5), finish(true)], Some(5), false),
        ("finished again", vec![stage(0, 5), finish(true), commit(6), finish(true), finish(false)], Some(6), false),
        ("the later of two commits counts", vec![stage(0, 5), commit(9), finish(true)], Some(9), false),
        ("the later of two staged ones counts", vec![stage(0, 5), stage(0, 3), finish(true)], Some(3), false),
        ("an earlier incarnation changes nothing", vec![stage(2, 5), stage(1, 9), finish(true)], Some(5), false),
        ("a later incarnation forgets the earlier", vec![stage(1, 5), stage(2, 9), finish(true)], Some(9), false),
    ];
    for (what, entries, expected, unstable) in cases {
        let state = apply_all(entries);
        let of = partition("t", 0);
        assert_eq!(state.committed(&group("g"), &of).map(|committed| committed.offset.0), expected, "{what}");
        assert_eq!(state.is_unstable(&group("g"), &of), unstable, "{what}");
    }
}

#[test]
fn offsets_expire_after_their_commit_and_after_the_last_member() {
    let (of, retention) = (partition("t", 0), Duration::from_millis(100));
    let at = |at_ms| Entry::Offsets { group: group("g"), offsets: vec![StoredOffset { at_ms, ..offset(&of, 1) }] };
    let emptied = |at_ms| Entry::Group { group: group("g"), at_ms, members: stored_group(3, 0) };
    let expired = |entries: Vec<Entry>, now| apply_all(entries).expired(&group("g"), Timestamp(now), retention).len();
    assert_eq!(expired(vec![at(50)], 149), 0);
    assert_eq!(expired(vec![at(50)], 150), 1);
    assert_eq!(expired(vec![at(50), emptied(60)], 159), 0, "the group had members until then");
    assert_eq!(expired(vec![at(50), emptied(60)], 160), 1);
    assert_eq!(expired(vec![emptied(60), at(70)], 169), 0, "somebody without membership committed");
    let staged = Entry::Staged { producer: 1, epoch: 0, group: group("g"), offsets: vec![offset(&of, 2)] };
    assert_eq!(expired(vec![at(50), staged], 1000), 0, "a transaction may change it");
}
