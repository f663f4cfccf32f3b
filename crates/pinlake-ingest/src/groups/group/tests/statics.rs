//! Static members: an instance id that outlives the process.

use expect_test::expect;

use super::check;

#[test]
fn a_static_member_that_starts_again_keeps_its_assignment() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        join new=b i=two
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m b(two)=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1 i=two
            #4 synced y by range
        join new=b2 i=two
            store generation 1: a=x b2=y
        stored
            #5 joined b2 generation 1 by range, a leads []
        sync b2 g=1 i=two
            #6 synced y by range
        beat b g=1 i=two
            Err(FencedInstance)
        beat b g=1
            Err(UnknownMember)
        beat a g=1 i=one
            Ok(())
    "#]]);
}

#[test]
fn a_static_leader_that_starts_again_does_not_assign() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        join new=b i=two
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m b(two)=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1 i=two
            #4 synced y by range
        join new=a2 i=one
            store generation 1: a2=x b=y
        stored
            #5 joined a2 generation 1 by range, a leads []
        sync a2 g=1 i=one a2:other
            #6 synced x by range
        join new=a3 i=one skip
            store generation 1: a3=x b=y
        stored
            #7 joined a3 generation 1 by range, a3 leads [a3(one)=m b(two)=m], skip
        sync a3 g=1 i=one
            #8 synced x by range
    "#]]);
}

#[test]
fn a_static_member_that_starts_again_with_another_protocol_begins_a_generation() {
    check(&expect![[r#"
        join new=a i=one p=range+sticky
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m]
            CompletingRebalance
        sync a g=1 i=one a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        join new=a2 i=one p=sticky
            #3 joined a2 generation 2 by sticky, a2 leads [a2(one)=m]
            CompletingRebalance
        sync a2 g=2 i=one a2:x
            store generation 2: a2=x
        stored
            #4 synced x by sticky
            Stable
    "#]]);
}

#[test]
fn a_static_member_that_starts_again_in_a_rebalance_takes_over_from_itself() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        join new=a2 i=one
            #1 joined FencedInstance
        join a i=one
            #3 joined FencedInstance
        pass 100ms
            #2 joined a2 generation 1 by range, a2 leads [a2(one)=m]
            CompletingRebalance
        join new=a3 i=one
            #4 joined a3 generation 2 by range, a3 leads [a3(one)=m]
        sync a2 g=1 i=one a2:x
            #5 synced FencedInstance
        sync a3 g=2 i=one a3:x
            store generation 2: a3=x
        join new=a4 i=one
            #6 synced FencedInstance
            #7 joined a4 generation 3 by range, a4 leads [a4(one)=m]
        stored
        sync a4 g=3 i=one a4:x
            store generation 3: a4=x
        stored
            #8 synced x by range
            Stable
    "#]]);
}

#[test]
fn a_static_member_that_could_not_be_stored_is_told_so_and_comes_again() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m]
            CompletingRebalance
        sync a g=1 i=one a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        join new=a2 i=one
            store generation 1: a2=x
        failed
            #3 joined Storage
        join new=a3 i=one
            store generation 1: a3=x
        stored
            #4 joined a3 generation 1 by range, a2 leads []
        sync a3 g=1 i=one
            #5 synced x by range
    "#]]);
}

#[test]
fn a_static_member_that_does_not_join_again_stays_for_its_session() {
    check(&expect![[r#"
        join new=a session=100s rebalance=20s
            PreparingRebalance
        join new=b i=two session=100s rebalance=20s
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b(two)=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1 i=two
            #4 synced y by range
        join a session=100s rebalance=20s
            PreparingRebalance
        pass 20s
            #5 joined a generation 2 by range, a leads [a=m b(two)=m]
            CompletingRebalance
        sync a g=2 a:x b:y
            store generation 2: a=x b=y
        stored
            #6 synced x by range
            Stable
        pass 19s
        beat a g=2
            Ok(())
        pass 1s
            PreparingRebalance
        beat a g=2
            Err(RebalanceInProgress)
    "#]]);
}

#[test]
fn static_members_alone_are_waited_for() {
    check(&expect![[r#"
        join new=a session=600s rebalance=20s
            PreparingRebalance
        join new=b i=two session=50s rebalance=20s
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b(two)=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1 i=two
            #4 synced y by range
        leave a
            [Ok(())]
            PreparingRebalance
        pass 20s
        pass 20s
        describe
            PreparingRebalance consumer/ b=/
        pass 10s
            store generation 2:
            Empty
    "#]]);
}

#[test]
fn members_are_taken_out_by_their_instance() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m]
            CompletingRebalance
        sync a g=1 i=one a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        leave b i=one
            [Err(FencedInstance)]
        leave - i=two
            [Err(UnknownMember)]
        leave - i=one
            [Ok(())]
            store generation 2:
            Empty
    "#]]);
}

#[test]
fn after_a_restart_a_static_member_keeps_its_assignment() {
    check(&expect![[r#"
        join new=a i=one
            PreparingRebalance
        join new=b i=two
        pass 100ms
            #1 joined a generation 1 by range, a leads [a(one)=m b(two)=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1 i=two
            #4 synced y by range
        restart
        join new=b2 i=two
            store generation 1: a=x b2=y
        stored
            #5 joined b2 generation 1 by range, a leads []
        sync b2 g=1 i=two
            #6 synced y by range
        join a i=one
            PreparingRebalance
        join b2 i=two
            #7 joined a generation 2 by range, a leads [a(one)=m b2(two)=m]
            #8 joined b2 generation 2 by range, a leads []
            CompletingRebalance
    "#]]);
}
