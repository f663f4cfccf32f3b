//! How transactions end: what becomes visible, what happens when the log does not take it, and in what order.

use super::*;

#[tokio::test]
async fn a_commit_shows_records_and_offsets_together_and_an_abort_neither() {
    let world = World::new().await;
    let producer = world.init("a").await;
    let (one, two) = (of("t", 0), of("t", 1));
    for (round, how) in [Marker::Abort, Marker::Commit, Marker::Abort].into_iter().enumerate() {
        let (sequence, value) = (i32::try_from(round).unwrap(), format!("{how:?} {round}"));
        world.transactions.add_partitions(&id("a"), producer, vec![one.clone(), two.clone()]).await.unwrap();
        world.append("a", producer, &one, sequence, &value).await.unwrap();
        world.transactions.add_group(&id("a"), producer, group("g")).await.unwrap();
        world.stage("a", producer, 10 + round as i64).await.unwrap();
        assert!(!world.is_stable(&one).await, "it is open");
        world.end("a", producer, how).await.unwrap();
        world.end("a", producer, how).await.expect("a repeat is answered the same");
        assert!(world.is_stable(&one).await && world.is_stable(&two).await, "it ended");
        assert!(world.groups.staged().is_empty());
    }
    assert_eq!(world.committed(&one).await, ["Commit 1"]);
    assert_eq!(world.offset(), Some(11));
    assert_eq!(world.appended(&two).len(), 3, "a partition without records gets its markers too");
    assert_eq!(world.state("a"), TransactionState::CompleteAbort);
}

#[tokio::test]
async fn what_was_not_added_is_refused() {
    let world = World::new().await;
    let producer = world.init("a").await;
    let invalid = Err(TransactionError::InvalidState);
    assert_eq!(world.append("a", producer, &of("t", 0), 0, "x").await, invalid, "nothing is open");
    world.add("a", producer, &of("t", 0)).await.unwrap();
    assert_eq!(world.append("a", producer, &of("t", 1), 0, "x").await, invalid, "another partition");
    assert_eq!(world.stage("a", producer, 1).await, invalid, "a group that was not added");
    world.end("a", producer, Marker::Commit).await.unwrap();
    assert_eq!(world.append("a", producer, &of("t", 0), 0, "x").await, invalid, "it ended");
    assert_eq!(world.end("a", producer, Marker::Abort).await, invalid, "it ended otherwise");
    assert_eq!(world.append("b", producer, &of("t", 0), 0, "x").await, Err(TransactionError::UnknownProducer));
    let outside = batch(producer, 0, false, "x");
    for name in [None, Some(&id("a"))] {
        assert_eq!(world.transactions.admit(name, &of("t", 0), &outside).await.map(drop), invalid, "no part of a transaction");
    }
    let unnamed = batch(producer, 0, true, "x");
    assert_eq!(world.transactions.admit(None, &of("t", 0), &unnamed).await.map(drop), invalid);
    let idempotent = batch(world.transactions.new_producer().await.unwrap(), 0, false, "x");
    world.transactions.admit(None, &of("t", 0), &idempotent).await.unwrap();
}

#[tokio::test]
async fn an_append_under_way_is_in_the_log_before_the_marker() {
    let world = World::new().await;
    let producer = world.init("a").await;
    let to = of("t", 0);
    world.add("a", producer, &to).await.unwrap();
    let go = world.log.hold("t");
    let late = batch(producer, 0, true, "under way");
    let admission = world.transactions.admit(Some(&id("a")), &to, &late).await.unwrap();
    let appending = world.log.append(&to, late);
    let ending = world.end("a", producer, Marker::Commit);
    let refused = async {
        settle().await;
        assert_eq!(world.state("a"), TransactionState::Ongoing, "it is not decided while an append is under way");
        // One that comes now waits for what is decided, and is refused.
        let next = world.append("a", producer, &to, 1, "too late");
        let go = async {
            settle().await;
            go.send_replace(true);
        };
        tokio::join!(next, go).0
    };
    let append = async {
        appending.await.unwrap();
        drop(admission);
    };
    let ((), ended, refused) = tokio::join!(append, ending, refused);
    ended.unwrap();
    assert_eq!(refused, Err(TransactionError::InvalidState));
    assert_eq!(world.appended(&to), ["under way", "Commit of epoch 0"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_is_done_although_the_log_does_not_take_it_for_a_while() {
    for how in [Marker::Commit, Marker::Abort] {
        let world = World::new().await;
        let producer = world.init("a").await;
        world.transactions.add_partitions(&id("a"), producer, vec![of("t", 0), of("u", 0)]).await.unwrap();
        world.append("a", producer, &of("t", 0), 0, "x").await.unwrap();
        world.log.refuse("t", ErrorKind::Retry);
        world.end("a", producer, how).await.expect("it is decided");
        assert_eq!(world.appended(&of("u", 0)).len(), 1, "the other partition has its marker");
        let refused = [
            world.add("a", producer, &of("t", 0)).await,
            world.end("a", producer, how).await,
            world.try_init("a", None).await.map(drop),
        ];
        assert_eq!(refused, [const { Err(TransactionError::Concurrent) }; 3]);
        let tried = world.log.tries(&of("t", 0));
        world.pass(MINUTE).await;
        let tries = world.log.tries(&of("t", 0)) - tried;
        assert!((4..=8).contains(&tries), "{tries} tries in a minute: ever rarer");
        world.log.accept();
        world.pass(MINUTE).await;
        assert!(world.is_stable(&of("t", 0)).await);
        assert_eq!(world.committed(&of("t", 0)).await.len(), usize::from(how == Marker::Commit));
        world.end("a", producer, how).await.unwrap();
        world.add("a", producer, &of("t", 0)).await.unwrap();
    }
}

#[tokio::test]
async fn what_could_not_be_decided_is_not() {
    let world = World::new().await;
    let producer = world.init("a").await;
    world.add("a", producer, &of("t", 0)).await.unwrap();
    world.log.refuse(TRANSACTIONS_TOPIC, ErrorKind::Retry);
    assert_eq!(world.end("a", producer, Marker::Commit).await, Err(TransactionError::NotAvailable));
    assert_eq!(world.add("a", producer, &of("t", 1)).await, Err(TransactionError::NotAvailable));
    assert!(world.appended(&of("t", 0)).is_empty(), "no marker");
    world.log.accept();
    world.append("a", producer, &of("t", 0), 0, "still open").await.unwrap();
    world.end("a", producer, Marker::Commit).await.unwrap();
    assert_eq!(world.committed(&of("t", 0)).await, ["still open"]);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_transaction_ended() {
    let world = World::new().await;
    let producer = world.init("a").await;
    world.add("a", producer, &of("t", 0)).await.unwrap();
    world.append("a", producer, &of("t", 0), 0, "x").await.unwrap();
    let go = world.log.hold(TRANSACTIONS_TOPIC);
    let (name, transactions) = (id("a"), world.transactions.clone());
    let caller = tokio::spawn(async move { transactions.end(&name, producer, Marker::Commit).await });
    settle().await;
    caller.abort();
    assert!(caller.await.is_err(), "it went away before anything was decided");
    go.send_replace(true);
    world.add("a", producer, &of("t", 1)).await.expect("the next one comes after the end");
    assert_eq!(world.committed(&of("t", 0)).await, ["x"]);
    assert_eq!(world.state("a"), TransactionState::Ongoing, "a new transaction");
}

#[tokio::test]
async fn a_topic_that_is_deleted_keeps_no_transaction_from_its_end() {
    let world = World::new().await;
    let producer = world.init("a").await;
    world.transactions.add_partitions(&id("a"), producer, vec![of("t", 0), of("u", 0)]).await.unwrap();
    world.append("a", producer, &of("u", 0), 0, "x").await.unwrap();
    world.log.delete_topic(&of("t", 0).topic).await.unwrap();
    world.end("a", producer, Marker::Commit).await.unwrap();
    assert_eq!(world.state("a"), TransactionState::CompleteCommit);
    assert_eq!(world.committed(&of("u", 0)).await, ["x"]);
}

#[tokio::test]
async fn many_transactions_at_once_keep_apart() {
    let world = World::new().await;
    let one = async |number: u32| {
        let (name, to) = (format!("id{number}"), of("t", number % 4));
        let producer = world.init(&name).await;
        for round in 0..5 {
            world.add(&name, producer, &to).await.unwrap();
            let value = format!("{number}.{round}");
            world.append(&name, producer, &to, round, &value).await.unwrap();
            let how = if (number + round.unsigned_abs()).is_multiple_of(2) { Marker::Commit } else { Marker::Abort };
            world.end(&name, producer, how).await.unwrap();
        }
    };
    futures::future::join_all((0..20).map(one)).await;
    for partition in 0..4 {
        let mut seen = world.committed(&of("t", partition)).await;
        let numbers = (0..20).filter(|number| number % 4 == partition);
        let mut expected: Vec<String> = numbers
            .flat_map(|number| {
                (0..5).filter(move |round| (number + round) % 2 == 0).map(move |round| format!("{number}.{round}"))
            })
            .collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }
}
