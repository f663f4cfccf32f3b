//! What comes in an unlucky order.

use expect_test::expect;

use super::check;

#[test]
fn a_leader_that_dies_before_it_assigns_is_replaced() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        pass 10s
            #3 synced RebalanceInProgress
            PreparingRebalance
        join b
            #4 joined b generation 2 by range, b leads [b=m]
            CompletingRebalance
        sync b g=2 b:all
            store generation 2: b=all
        stored
            #5 synced all by range
            Stable
    "#]]);
}

#[test]
fn a_leader_that_leaves_before_it_assigns_is_replaced() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        leave a
            [Ok(())]
            #3 synced RebalanceInProgress
            PreparingRebalance
        join b
            #4 joined b generation 2 by range, b leads [b=m]
            CompletingRebalance
    "#]]);
}

#[test]
fn who_joins_while_others_ask_for_their_assignments_begins_another_generation() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        join new=c
            #3 synced RebalanceInProgress
            PreparingRebalance
        sync a g=1 a:x b:y
            #5 synced RebalanceInProgress
        join a
        join b
            #6 joined a generation 2 by range, a leads [a=m b=m c=m]
            #7 joined b generation 2 by range, a leads []
            #4 joined c generation 2 by range, a leads []
            CompletingRebalance
        sync c g=2
        sync a g=2 a:x b:y c:z
            store generation 2: a=x b=y c=z
        stored
            #9 synced x by range
            #8 synced z by range
            Stable
        sync b g=2
            #10 synced y by range
    "#]]);
}

#[test]
fn who_joins_while_assignments_are_being_stored_begins_another_generation() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        sync a g=1 a:x
            store generation 1: a=x
        join new=b
            #2 synced RebalanceInProgress
            PreparingRebalance
        stored
        join a
            #4 joined a generation 2 by range, a leads [a=m b=m]
            #3 joined b generation 2 by range, a leads []
            CompletingRebalance
        sync a g=2 a:x b:y
            store generation 2: a=x b=y
        sync b g=2
        stored
            #5 synced x by range
            #6 synced y by range
            Stable
    "#]]);
}

#[test]
fn who_did_not_hear_the_answer_hears_it_again() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        join b
            #3 joined b generation 1 by range, a leads []
        join a
            #4 joined a generation 1 by range, a leads [a=m b=m]
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        stored
            #5 synced x by range
            Stable
        join b
            #6 joined b generation 1 by range, a leads []
        join b m=other
            PreparingRebalance
        beat a g=1
            Err(RebalanceInProgress)
    "#]]);
}

#[test]
fn a_leader_that_comes_back_to_a_stable_group_assigns_again() {
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
        sync b g=1
        stored
            #3 synced x by range
            #4 synced y by range
            Stable
        join a
            PreparingRebalance
        beat b g=1
            Err(RebalanceInProgress)
        join b
            #5 joined a generation 2 by range, a leads [a=m b=m]
            #6 joined b generation 2 by range, a leads []
            CompletingRebalance
    "#]]);
}

#[test]
fn a_second_call_of_one_member_answers_the_first() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m b=m]
            #2 joined b generation 1 by range, a leads []
            CompletingRebalance
        sync b g=1
        sync b g=1
            #3 synced RebalanceInProgress
        sync a g=1 a:x b:y
            store generation 1: a=x b=y
        sync a g=1 a:other b:other
            #5 synced RebalanceInProgress
        stored
            #6 synced x by range
            #4 synced y by range
            Stable
        join b m=other
            PreparingRebalance
        join b m=other
            #7 joined RebalanceInProgress
        join a
            #9 joined a generation 2 by range, a leads [a=m b=other]
            #8 joined b generation 2 by range, a leads []
            CompletingRebalance
    "#]]);
}

#[test]
fn a_caller_that_goes_away_and_never_knew_its_id_is_out_at_once() {
    check(&expect![[r#"
        join new=a
            PreparingRebalance
        join new=b
        gone #2
        pass 100ms
            #1 joined a generation 1 by range, a leads [a=m]
            CompletingRebalance
        sync a g=1 a:x
            store generation 1: a=x
        stored
            #3 synced x by range
            Stable
        join new=c
            PreparingRebalance
        gone #4
        join a
            #5 joined a generation 2 by range, a leads [a=m]
            CompletingRebalance
    "#]]);
}

#[test]
fn a_caller_that_goes_away_and_knows_its_id_may_come_back_to_it() {
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
        join a
            #4 joined a generation 2 by range, a leads [a=m b=m]
            #3 joined b generation 2 by range, a leads []
            CompletingRebalance
        sync a g=2 a:x b:y
            store generation 2: a=x b=y
        gone #5
        stored
            Stable
        sync b g=2
            #6 synced y by range
        sync a g=2
            #7 synced x by range
        join b m=new
            PreparingRebalance
        gone #8
        join a
        pass 9s
        join b m=new
            #9 joined a generation 3 by range, a leads [a=m b=new]
            #10 joined b generation 3 by range, a leads []
            CompletingRebalance
    "#]]);
}

#[test]
fn a_caller_that_goes_away_for_good_is_out_after_its_session() {
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
        join a
            #4 joined a generation 2 by range, a leads [a=m b=m]
            #3 joined b generation 2 by range, a leads []
            CompletingRebalance
        sync a g=2 a:x b:y
            store generation 2: a=x b=y
        stored
            #5 synced x by range
            Stable
        sync b g=2
            #6 synced y by range
        join b m=new
            PreparingRebalance
        gone #7
        join a
        pass 10s
            #8 joined a generation 3 by range, a leads [a=m]
            CompletingRebalance
    "#]]);
}

#[test]
fn a_member_that_never_hears_its_id_is_out_after_five_minutes() {
    check(&expect![[r#"
        join new=a session=1800s rebalance=1800s
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
        pass 299s
        pass 1s
            #3 joined UnknownMember
        describe
            PreparingRebalance consumer/ a=/
    "#]]);
}
