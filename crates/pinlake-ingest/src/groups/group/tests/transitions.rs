//! Each way from one state to another.

use expect_test::expect;

use super::check;

#[test]
fn the_first_members_of_a_group_begin_together() {
    check(&expect![[r#"
        join new=a m=ma
            PreparingRebalance
        pass 60ms
        join new=b m=mb
        pass 99ms
        pass 1ms
            #1 joined a generation 1 by range, a leads [a=ma b=mb]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #4 synced x by range
            #3 synced y by range
            Stable
        describe
            Stable consumer/range a=ma/x b=mb/y
        sync b g=1
            #5 synced y by range
        pass 5s
        beat a g=1
            Ok(())
        beat b g=1
            Ok(())
    "#]]);
}

#[test]
fn members_that_keep_coming_are_waited_for_half_a_second_at_most() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        pass 90ms
        join new=b
        pass 90ms
        join new=c
        pass 90ms
        join new=d
        pass 90ms
        join new=e
        pass 90ms
        join new=f
        pass 49ms
        pass 1ms
            #1 joined a generation 1 by range, a leads [a=m b=m c=m d=m e=m f=m]
            #2 joined b generation 1 by range, a leads []
            #3 joined c generation 1 by range, a leads []
            #4 joined d generation 1 by range, a leads []
            #5 joined e generation 1 by range, a leads []
            #6 joined f generation 1 by range, a leads []
            CompletingRebalance
        join new=late
            PreparingRebalance
    "#]]);
}

#[test]
fn a_member_is_given_its_id_first_and_then_waited_for() {
    check(&expect![[r#"
        join new=a require
            #1 joined MemberIdRequired("a")
        join new=b require
            #2 joined MemberIdRequired("b")
        join a
            PreparingRebalance
        pass 400ms
        join b
        pass 100ms
            #3 joined a generation 1 by range, a leads [a=m b=m]
            #4 joined b generation 1 by range, a leads []
            CompletingRebalance
        join new=c require
            #5 joined MemberIdRequired("c")
        pass 9s
        beat a g=1
            Ok(())
        beat b g=1
            Ok(())
        pass 2s
        join c
            #6 joined UnknownMember
    "#]]);
}

#[test]
fn a_pending_member_holds_a_rebalance_up_until_it_comes_or_leaves() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        sync a g=1 a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        join new=b
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
        join new=c require
            #4 joined MemberIdRequired("c")
        join a
        leave c
            [Ok(())]
            #5 joined a generation 2 by range, a leads [a=m b=m]
            #3 joined b generation 2 by range, a leads []
            CompletingRebalance
    "#]]);
}

#[test]
fn the_last_member_that_leaves_empties_the_group() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        sync a g=1 a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        leave a
            [Ok(())]
            store generation 2:
            Empty
        leave a
            [Err(UnknownMember)]
        describe
            Empty consumer/
        commit - g=-1
            Ok(())
        join new=b type=connect p=v1
            PreparingRebalance
        pass 100ms
            #3 joined b generation 3 by v1, b leads [b=m]
            CompletingRebalance
        delete
            Err(NonEmptyGroup)
        leave b
            [Ok(())]
            store generation 4:
            Empty
        delete
            Ok(())
            Dead
        delete
            Err(GroupIdNotFound)
        join new=c
            #4 joined CoordinatorNotAvailable
        beat c g=1
            Err(CoordinatorNotAvailable)
    "#]]);
}

#[test]
fn a_member_that_is_silent_is_taken_out() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1
            #4 synced y by range
        pass 9s
        beat a g=1
            Ok(())
        pass 1s
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
        join a
            #5 joined a generation 2 by range, a leads [a=m]
            CompletingRebalance
        pass 11s
            store generation 3:
            Empty
    "#]]);
}

#[test]
fn a_member_that_waits_is_not_silent() {
    check(&expect![[r#"
        join new=a session=600s
            PreparingRebalance
        join new=b rebalance=300s
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        pass 59s
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #4 synced x by range
            #3 synced y by range
            Stable
        beat b g=1
            Ok(())
    "#]]);
}

#[test]
fn who_does_not_join_again_in_time_is_dropped() {
    check(&expect![[r#"
        join new=a session=600s rebalance=20s
            PreparingRebalance
        join new=b session=600s rebalance=30s
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1
            #4 synced y by range
        join new=c session=600s rebalance=5s
            PreparingRebalance
        join a
        pass 29s
        pass 1s
            #6 joined a generation 2 by range, a leads [a=m c=m]
            #5 joined c generation 2 by range, a leads []
            CompletingRebalance
        beat b g=1
            Err(UnknownMember)
        commit b g=1
            Err(UnknownMember)
    "#]]);
}

#[test]
fn who_does_not_ask_for_its_assignment_in_time_is_dropped() {
    check(&expect![[r#"
        join new=a session=600s rebalance=20s
            PreparingRebalance
        join new=b session=600s rebalance=30s
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        pass 30s
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
    "#]]);
}

#[test]
fn heartbeats_say_what_to_do() {
    check(&expect![[r#"
        beat a g=1
            Err(UnknownMember)
        join new=a
            PreparingRebalance
        beat a g=0
            Err(RebalanceInProgress)
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        beat a g=1
            Ok(())
        beat a g=0
            Err(IllegalGeneration)
        beat b g=1
            Err(UnknownMember)
        sync a g=1 a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        beat a g=1
            Ok(())
        beat a g=2
            Err(IllegalGeneration)
        join new=b
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
    "#]]);
}

#[test]
fn commits_are_taken_of_members_and_of_nobody_if_there_are_none() {
    check(&expect![[r#"
        commit - g=-1
            Ok(())
        commit a g=1
            Err(UnknownMember)
        join new=a
            PreparingRebalance
        commit - g=-1
            Err(UnknownMember)
        commit - g=-1 transactional
            Ok(())
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        commit a g=1
            Err(RebalanceInProgress)
        commit a g=1 transactional
            Ok(())
        sync a g=1 a:x
            store generation 1: a=x
        stored
            #2 synced x by range
            Stable
        commit a g=1
            Ok(())
        commit a g=0
            Err(IllegalGeneration)
        commit a g=-1
            Err(IllegalGeneration)
        commit b g=1
            Err(UnknownMember)
        commit b g=1 transactional
            Err(UnknownMember)
        join new=b
            PreparingRebalance
        commit a g=1
            Ok(())
    "#]]);
}

#[test]
fn the_protocol_is_what_all_offer_and_most_like() {
    check(&expect![[r#"
        join new=a p=range+sticky+robin
            PreparingRebalance
        join new=b p=sticky+range
        join new=c p=sticky+robin+range
        join new=d p=robin
            #4 joined InconsistentProtocol
        join new=e p=range type=connect
            #5 joined InconsistentProtocol
        join new=f p=
            #6 joined InconsistentProtocol
        pass 100ms
            #1 joined a generation 1 by sticky, a leads [a=m b=m c=m]
            #2 joined b generation 1 by sticky, a leads []
            #3 joined c generation 1 by sticky, a leads []
            CompletingRebalance
        leave c
            [Ok(())]
            PreparingRebalance
        leave b
            [Ok(())]
        join a p=other
            #7 joined a generation 2 by other, a leads [a=m]
            CompletingRebalance
        join a p=new
            #8 joined a generation 3 by new, a leads [a=m]
    "#]]);
}

#[test]
fn a_sync_names_the_protocol_or_nothing() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        sync a g=1 type=connect p=range a:x
            #2 synced InconsistentProtocol
        sync a g=1 type=consumer p=robin a:x
            #3 synced InconsistentProtocol
        sync a g=1 type=consumer p=range a:x
            store generation 1: a=x
        sync b g=1
            #5 synced UnknownMember
        sync a g=2
            #6 synced IllegalGeneration
        stored
            #4 synced x by range
            Stable
    "#]]);
}

#[test]
fn assignments_that_could_not_be_stored_are_not_handed_out() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        failed
            #4 synced Storage
            #3 synced Storage
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
        join a
        join b
            #5 joined a generation 2 by range, a leads [a=m b=m]
            #6 joined b generation 2 by range, a leads []
            CompletingRebalance
        sync a g=2 a:x
            store generation 2: a=x b=
        sync b g=2
        stored
            #7 synced x by range
            #8 synced  by range
            Stable
    "#]]);
}

#[test]
fn after_a_restart_members_go_on_with_a_whole_session() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #3 synced x by range
            Stable
        sync b g=1
            #4 synced y by range
        pass 9s
        restart
        describe
            Stable consumer/range a=m/x b=m/y
        pass 9s
        beat a g=1
            Ok(())
        sync a g=1
            #5 synced x by range
        pass 1s
            PreparingRebalance
        join a
            #6 joined a generation 2 by range, a leads [a=m]
            CompletingRebalance
    "#]]);
}
