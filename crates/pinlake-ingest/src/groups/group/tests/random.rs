//! Whatever happens in whatever order, some things stay true.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::Script;
use crate::groups::calls::GroupState;
use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::settings::GroupSettings;

/// What clients may do, drawn small so that they meet: few members, instances and generations near the real one.
#[derive(Debug, Clone)]
enum Event {
    JoinNew { require: bool, instance: Option<u8>, robin: bool },
    Join { member: u8, instance: Option<u8>, robin: bool },
    Sync { member: u8, behind: u8 },
    Beat { member: u8, behind: u8 },
    Leave { member: u8 },
    Gone { caller: u8 },
    Pass { ms: u32 },
    Stored { ok: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let instance = || prop_oneof![4 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let behind = || prop_oneof![6 => Just(0_u8), 1 => Just(1)];
    prop_oneof![
        3 => (any::<bool>(), instance(), any::<bool>()).prop_map(|(require, instance, robin)| Event::JoinNew { require, instance, robin }),
        4 => (0..12_u8, instance(), any::<bool>()).prop_map(|(member, instance, robin)| Event::Join { member, instance, robin }),
        5 => (0..12_u8, behind()).prop_map(|(member, behind)| Event::Sync { member, behind }),
        2 => (0..12_u8, behind()).prop_map(|(member, behind)| Event::Beat { member, behind }),
        1 => (0..12_u8).prop_map(|member| Event::Leave { member }),
        1 => (0..4_u8).prop_map(|caller| Event::Gone { caller }),
        3 => prop_oneof![Just(50), Just(100), Just(4_000), Just(30_000)].prop_map(|ms| Event::Pass { ms }),
        4 => prop::bool::weighted(0.9).prop_map(|ok| Event::Stored { ok }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold(events in prop::collection::vec(event(), 1..80)) {
        let mut run = Script::new(GroupSettings { members_max: 8, ..GroupSettings::default() });
        let mut ids: Vec<String> = Vec::new();
        let mut generation = 0;
        for event in events {
            act(&mut run, &mut ids, &event);
            prop_assert!(run.group.generation >= generation, "generations only grow\n{}", run.out);
            generation = run.group.generation;
            check(&run)?;
        }
        // Nobody does anything any more: in the end all have been answered, and all are gone.
        while !run.stores.is_empty() {
            run.run("stored");
        }
        run.pass(Duration::from_secs(4 * 3600));
        prop_assert!(run.waiting.is_empty(), "{:?} wait for ever\n{}", run.waiting, run.out);
        prop_assert_eq!(run.group.state(), GroupState::Empty, "\n{}", run.out);
        prop_assert!(run.group.deadline().is_none());
    }
}

fn act(run: &mut Script, ids: &mut Vec<String>, event: &Event) {
    let id = |member: u8| ids.get(usize::from(member) % ids.len().max(1)).cloned().unwrap_or("nobody".to_owned());
    let instance_of = |instance: Option<u8>| instance.map_or(String::new(), |number| format!(" i=i{number}"));
    let protocols = |robin: bool| if robin { " p=robin+range" } else { "" };
    let generation = |behind: u8| run.group.generation - i32::from(behind);
    let line = match *event {
        Event::JoinNew { require, instance, robin } => {
            let fresh = format!("m{:03}", run.next);
            let require = if require { " require" } else { "" };
            let line = format!("join new={fresh}{require}{}{}", instance_of(instance), protocols(robin));
            // What is drawn later shall mostly meet who is there.
            ids.retain(|id| run.group.has(id));
            ids.push(fresh);
            line
        }
        Event::Join { member, instance, robin } => format!("join {}{}{}", id(member), instance_of(instance), protocols(robin)),
        Event::Sync { member, behind } => {
            let all: Vec<String> = run.group.members.keys().map(|id| format!("{id}:of-{id}")).collect();
            format!("sync {} g={} {}", id(member), generation(behind), all.join(" "))
        }
        Event::Beat { member, behind } => format!("beat {} g={}", id(member), generation(behind)),
        Event::Leave { member } => format!("leave {}", id(member)),
        Event::Gone { caller } => match run.waiting.get(usize::from(caller)) {
            Some(caller) => format!("gone #{caller}"),
            None => return,
        },
        Event::Pass { ms } => format!("pass {ms}ms"),
        Event::Stored { .. } if run.stores.is_empty() => return,
        Event::Stored { ok } => if ok { "stored" } else { "failed" }.to_owned(),
    };
    run.run(&line);
}

fn check(run: &Script) -> Result<(), TestCaseError> {
    let Group { members, instances, pending, leader, .. } = &run.group;
    prop_assert!(members.len() + pending.len() <= 8, "the group is bounded\n{}", run.out);
    prop_assert!(pending.keys().all(|id| !members.contains_key(id)), "a member is pending or in, not both\n{}", run.out);
    prop_assert!(leader.as_ref().is_none_or(|leader| members.contains_key(leader)), "the leader is a member\n{}", run.out);
    let statics: BTreeSet<_> = members.iter().filter_map(|(id, member)| Some((member.instance.clone()?, id.clone()))).collect();
    let known: BTreeSet<_> = instances.iter().map(|(instance, id)| (instance.clone(), id.clone())).collect();
    prop_assert_eq!(statics, known, "each instance is one member, and knows it\n{}", run.out);
    let mut callers: Vec<_> = members.values().flat_map(|member| [member.joining, member.syncing]).flatten().collect();
    callers.extend(run.stores.iter().filter_map(|(_, purpose)| match purpose {
        crate::groups::group::Purpose::Replacement(caller, _) => Some(*caller),
        _ => None,
    }));
    callers.sort_unstable();
    let mut waiting = run.waiting.clone();
    waiting.sort_unstable();
    // A caller that goes away while its replacement is stored is the one that waits for nothing.
    callers.retain(|caller| waiting.contains(caller));
    prop_assert_eq!(callers, waiting, "who waits is known, once\n{}", run.out);
    match run.group.state() {
        GroupState::Stable => {
            prop_assert!(leader.is_some() && !members.is_empty(), "a stable group has members\n{}", run.out);
            prop_assert!(members.values().all(|member| !member.assignment.is_empty()), "all are assigned\n{}", run.out);
            prop_assert!(members.values().all(|member| member.joining.is_none() && member.syncing.is_none()), "\n{}", run.out);
        }
        GroupState::Empty => prop_assert!(members.is_empty() && leader.is_none(), "\n{}", run.out),
        _ => {}
    }
    prop_assert!(members.is_empty() || run.group.deadline().is_some() || !run.stores.is_empty(), "\n{}", run.out);
    Ok(())
}

#[test]
fn codes_are_those_of_the_protocol() {
    let codes =
        [GroupError::UnknownMember, GroupError::IllegalGeneration, GroupError::RebalanceInProgress, GroupError::FencedInstance];
    assert_eq!(codes.map(|error| error.code()), [25, 22, 27, 82]);
}
