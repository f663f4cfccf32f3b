//! What is too much.

use std::time::Duration;

use super::Script;
use crate::groups::settings::GroupSettings;

fn out_of(settings: GroupSettings, script: &str) -> String {
    let mut run = Script::new(settings);
    run.run(script);
    run.out
}

#[test]
fn a_full_group_takes_back_its_own_and_nobody_else() {
    let settings = GroupSettings { members_max: 2, initial_delay: Duration::ZERO, ..GroupSettings::default() };
    let out = out_of(settings.clone(), "join new=a\njoin new=b require\njoin new=c\njoin new=d require\njoin b\njoin a");
    assert_eq!(out.matches("GroupMaxSize").count(), 2, "{out}");
    assert!(out.contains("#5 joined b generation 2") && out.contains("#6 joined a generation 2"), "{out}");
    let out = out_of(settings, "join new=a i=one\njoin new=b i=two\njoin new=b2 i=two\njoin new=c i=three");
    assert_eq!(out.matches("GroupMaxSize").count(), 1, "{out}");
    assert!(out.contains("#4 joined GroupMaxSize"), "{out}");
}

#[test]
fn bytes_of_a_member_of_a_group_and_of_assignments_are_bounded() {
    let settings =
        GroupSettings { member_bytes_max: 50, group_bytes_max: 80, initial_delay: Duration::ZERO, ..GroupSettings::default() };
    let long = "m".repeat(30);
    let out = out_of(settings.clone(), &format!("join new=a m={long}"));
    assert!(out.contains("InvalidRequest"), "{out}");
    // 21 bytes of names and 20 of metadata a member.
    let long = "m".repeat(20);
    let out = out_of(settings.clone(), &format!("join new=a m={long}\njoin new=b m={long}\njoin a m={long}"));
    assert!(out.contains("#2 joined GroupMaxSize") && out.contains("#3 joined a generation 1"), "{out}");
    let long = "x".repeat(60);
    let out = out_of(settings, &format!("join new=a\nsync a g=1 other:{long} a:x\nstored\njoin a\nsync a g=2 a:{long}"));
    assert!(out.contains("#2 synced x by range") && out.contains("#4 synced InvalidRequest"), "{out}");
}

#[test]
fn sessions_instances_and_protocols_are_checked() {
    let long = "i".repeat(250);
    let many = vec!["p"; 65].join("+");
    let script =
        format!("join new=a session=5s\njoin new=a session=1801s\njoin new=a i={long}\njoin new=a p={many}\njoin new=a p=");
    let out = out_of(GroupSettings::default(), &script);
    assert_eq!(out.matches("InvalidSessionTimeout").count(), 2, "{out}");
    assert_eq!(out.matches("InvalidRequest").count(), 2, "{out}");
    assert_eq!(out.matches("InconsistentProtocol").count(), 1, "{out}");
}
