//! The state machine by tables: each call in each state, and what comes of it.

use pinlake_core::TopicName;

use super::*;

const NOW: Timestamp = Timestamp(100_000);
const MINUTE: Duration = Duration::from_secs(60);

fn of(partition: u32) -> TopicPartition {
    TopicName::new("t").unwrap().partition(partition)
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn who(id: i64, epoch: i16) -> TransactionProducer {
    TransactionProducer { id, epoch }
}

/// Producer 7 of epoch 3, who went on from epoch 2; with partition 0 and group `g` where a transaction is open or being ended.
fn standing(state: TransactionState) -> Transaction {
    let mut found = Transaction::new(7, MINUTE, Timestamp(1000));
    found.producer.epoch = 3;
    found.previous = Some(who(7, 2));
    found.state = state;
    if matches!(state, TransactionState::Ongoing | TransactionState::PrepareCommit | TransactionState::PrepareAbort) {
        found.partitions.insert(of(0));
        found.groups.insert(group("g"));
        found.started_at_ms = Some(1000);
    }
    found
}

/// State, producer, whom it went on from, partitions, groups, start.
fn show(found: &Transaction) -> String {
    let previous = found.previous.map_or("-".to_owned(), |previous| format!("{}/{}", previous.id, previous.epoch));
    let partitions: Vec<u32> = found.partitions.iter().map(|of| of.partition.0).collect();
    let groups: Vec<&str> = found.groups.iter().map(GroupId::as_str).collect();
    let started = found.started_at_ms.map_or("-".to_owned(), |at| at.to_string());
    let TransactionProducer { id, epoch } = found.producer;
    format!("{} {id}/{epoch} after {previous} {partitions:?} {groups:?} since {started}", found.state.as_str())
}

fn shown(answer: Result<Option<Transaction>, TransactionError>) -> String {
    match answer {
        Ok(Some(next)) => show(&next),
        Ok(None) => "as it is".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn shown_init(answer: Result<Init, TransactionError>) -> String {
    match answer {
        Ok(Init::Known) => "known".to_owned(),
        Ok(Init::Next(next)) => format!("next: {}", show(&next)),
        Ok(Init::Exhausted) => "exhausted".to_owned(),
        Ok(Init::Abort(next)) => format!("abort: {}", show(&next)),
        Err(error) => format!("{error:?}"),
    }
}

/// What a call answers in each state, in the order of [`TransactionState::ALL`].
fn check(call: &str, answers: [&str; 6], ask: impl Fn(&Transaction) -> String) {
    for (state, expected) in TransactionState::ALL.into_iter().zip(answers) {
        assert_eq!(ask(&standing(state)), expected, "{call} in {state:?}");
    }
}

const NEXT: &str = "next: Empty 7/4 after - [] [] since -";
const NEXT_AFTER: &str = "next: Empty 7/4 after 7/3 [] [] since -";
const BUSY: &str = "Concurrent";
const FENCED: &str = "Fenced";

#[test]
fn whoever_takes_an_id_up_fences_its_holder() {
    let init = |expected| move |found: &Transaction| shown_init(found.init(expected, MINUTE, NOW));
    let abort = "abort: PrepareAbort 7/4 after - [0] [\"g\"] since 1000";
    check("init", [NEXT, abort, BUSY, BUSY, NEXT, NEXT], init(None));
    let abort = "abort: PrepareAbort 7/4 after 7/3 [0] [\"g\"] since 1000";
    check("init by the holder", [NEXT_AFTER, abort, BUSY, BUSY, NEXT_AFTER, NEXT_AFTER], init(Some(who(7, 3))));
    check("its repeat", ["known", FENCED, BUSY, BUSY, "known", "known"], init(Some(who(7, 2))));
    for stranger in [who(7, 1), who(7, 4), who(8, 3), who(6, 2)] {
        check("init by one who was fenced", [FENCED; 6], init(Some(stranger)));
    }
}

#[test]
fn a_holder_that_goes_on_can_repeat_its_call_also_after_an_abort() {
    let Init::Abort(prepared) = standing(TransactionState::Ongoing).init(Some(who(7, 3)), MINUTE, NOW).unwrap() else {
        panic!("a transaction is open");
    };
    let done = prepared.completed(Marker::Abort, NOW);
    assert_eq!(done.init(Some(who(7, 3)), MINUTE, NOW), Ok(Init::Known), "it has epoch 4, which the abort gave it");
    assert_eq!(done.init(Some(who(7, 2)), MINUTE, NOW), Err(TransactionError::Fenced));
}

#[test]
fn an_id_whose_epochs_are_used_up_gets_another_producer_id() {
    for state in [TransactionState::Empty, TransactionState::CompleteCommit, TransactionState::CompleteAbort] {
        for epoch in [i16::MAX - 1, i16::MAX] {
            let mut found = standing(state);
            found.producer.epoch = epoch;
            assert_eq!(found.init(None, MINUTE, NOW), Ok(Init::Exhausted));
            assert_eq!(found.init(Some(found.producer), MINUTE, NOW), Ok(Init::Exhausted));
            let moved = found.moved(9, Some(found.producer), MINUTE, NOW);
            assert_eq!(show(&moved), format!("Empty 9/0 after 7/{epoch} [] [] since -"));
            assert_eq!(moved.init(Some(found.producer), MINUTE, NOW), Ok(Init::Known), "a repeat");
        }
    }
    let mut last = standing(TransactionState::Empty);
    last.producer.epoch = i16::MAX - 2;
    assert_eq!(shown_init(last.init(None, MINUTE, NOW)), "next: Empty 7/32766 after - [] [] since -");
    let mut open = standing(TransactionState::Ongoing);
    open.producer.epoch = i16::MAX - 1;
    assert_eq!(open.fenced(NOW).producer, who(7, i16::MAX), "there is one left to fence it with");
}

#[test]
fn what_is_added_begins_a_transaction_or_belongs_to_the_open_one() {
    let add = |by, partitions: &'static [u32], groups: &'static [&'static str]| {
        move |found: &Transaction| {
            let partitions: Vec<_> = partitions.iter().map(|number| of(*number)).collect();
            let groups: Vec<_> = groups.iter().map(|name| group(name)).collect();
            shown(found.add(by, &partitions, &groups, NOW))
        }
    };
    let (me, same) = (who(7, 3), "as it is");
    let new = "Ongoing 7/3 after 7/2 [0] [] since 100000";
    check("the partition", [new, same, BUSY, BUSY, new, new], add(me, &[0], &[]));
    let (new, more) = ("Ongoing 7/3 after 7/2 [0, 1] [] since 100000", "Ongoing 7/3 after 7/2 [0, 1] [\"g\"] since 1000");
    check("another partition", [new, more, BUSY, BUSY, new, new], add(me, &[0, 1], &[]));
    let new = "Ongoing 7/3 after 7/2 [] [\"g\"] since 100000";
    check("the group", [new, same, BUSY, BUSY, new, new], add(me, &[], &["g"]));
    let (new, more) = ("Ongoing 7/3 after 7/2 [] [\"h\"] since 100000", "Ongoing 7/3 after 7/2 [0] [\"g\", \"h\"] since 1000");
    check("another group", [new, more, BUSY, BUSY, new, new], add(me, &[], &["h"]));
    for epoch in [2, 4, -1] {
        check("another epoch", [FENCED; 6], add(who(7, epoch), &[0], &[]));
    }
    check("another producer", ["UnknownProducer"; 6], add(who(8, 3), &[0], &[]));
}

#[test]
fn a_transaction_ends_once_and_its_end_can_be_repeated() {
    let end = |by, how| move |found: &Transaction| shown(found.end(by, how, NOW));
    let (me, wrong, same) = (who(7, 3), "InvalidState", "as it is");
    let done = "PrepareCommit 7/3 after 7/2 [0] [\"g\"] since 1000";
    check("commit", [wrong, done, BUSY, wrong, same, wrong], end(me, Marker::Commit));
    let done = "PrepareAbort 7/3 after 7/2 [0] [\"g\"] since 1000";
    check("abort", [wrong, done, wrong, BUSY, wrong, same], end(me, Marker::Abort));
    for how in [Marker::Commit, Marker::Abort] {
        check("an earlier epoch", [FENCED; 6], end(who(7, 2), how));
        check("a later epoch", [FENCED; 6], end(who(7, 4), how));
        check("another producer", ["UnknownProducer"; 6], end(who(8, 3), how));
    }
}

#[test]
fn what_was_decided_is_completed_and_begins_anew() {
    for (how, state) in [(Marker::Commit, "CompleteCommit"), (Marker::Abort, "CompleteAbort")] {
        let prepared = standing(TransactionState::Ongoing).end(who(7, 3), how, NOW).unwrap().unwrap();
        assert_eq!(prepared.is_prepared(), Some(how));
        let done = prepared.completed(how, NOW);
        assert_eq!(show(&done), format!("{state} 7/3 after 7/2 [] [] since -"));
        assert_eq!(done.is_prepared(), None);
        assert!(done.add(who(7, 3), &[of(0)], &[], NOW).is_ok());
    }
}

#[test]
fn only_what_was_added_may_be_written_and_only_while_it_is_open() {
    let append = |by, number| move |found: &Transaction| format!("{:?}", found.check_append(by, &of(number)));
    let wrong = "Err(InvalidState)";
    check("an append", [wrong, "Ok(())", wrong, wrong, wrong, wrong], append(who(7, 3), 0));
    check("elsewhere", [wrong; 6], append(who(7, 3), 1));
    check("an earlier epoch", ["Err(Fenced)"; 6], append(who(7, 2), 0));
    check("another producer", ["Err(UnknownProducer)"; 6], append(who(8, 3), 0));
    let offsets = |by, name| move |found: &Transaction| format!("{:?}", found.check_offsets(by, &group(name)));
    check("offsets", [wrong, "Ok(())", wrong, wrong, wrong, wrong], offsets(who(7, 3), "g"));
    check("another group's", [wrong; 6], offsets(who(7, 3), "h"));
    check("an earlier epoch", ["Err(Fenced)"; 6], offsets(who(7, 2), "g"));
}

#[test]
fn time_alone_aborts_what_is_open_and_forgets_what_is_not() {
    let overdue = |now: i64| move |found: &Transaction| found.is_overdue(Timestamp(now)).to_string();
    check("in time", ["false"; 6], overdue(60_999));
    check("too late", ["false", "true", "false", "false", "false", "false"], overdue(61_000));
    let open = standing(TransactionState::Ongoing);
    assert_eq!(show(&open.fenced(NOW)), "PrepareAbort 7/4 after - [0] [\"g\"] since 1000");
    let idle = |now: i64| move |found: &Transaction| found.is_idle(MINUTE, Timestamp(now)).to_string();
    check("used lately", ["false"; 6], idle(60_999));
    check("not used", ["true", "false", "false", "false", "true", "true"], idle(61_000));
}

#[test]
fn the_timeout_is_that_of_the_last_who_took_the_id_up() {
    let Ok(Init::Next(next)) = standing(TransactionState::Empty).init(None, Duration::from_millis(5), NOW) else {
        panic!("nothing is open");
    };
    assert_eq!((next.timeout_ms, next.changed_at_ms), (5, NOW.0));
}
