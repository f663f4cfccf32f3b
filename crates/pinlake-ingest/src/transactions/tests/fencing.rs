//! Who holds a transactional id: later producers take it from earlier ones, and time from all.

use super::*;

#[tokio::test]
async fn a_second_producer_aborts_what_the_first_left_open_and_fences_it() {
    let world = World::new().await;
    let first = world.init("a").await;
    world.add("a", first, &of("t", 0)).await.unwrap();
    world.append("a", first, &of("t", 0), 0, "of the first").await.unwrap();
    let second = world.init("a").await;
    assert_eq!((second.id, second.epoch), (first.id, first.epoch + 2), "one epoch for the abort, one for itself");
    assert_eq!(world.appended(&of("t", 0)), ["of the first", "Abort of epoch 1"]);
    let fenced = Err(TransactionError::Fenced);
    assert_eq!(world.append("a", first, &of("t", 0), 1, "x").await, fenced);
    assert_eq!(world.add("a", first, &of("t", 0)).await, fenced);
    assert_eq!(world.end("a", first, Marker::Commit).await, fenced);
    assert_eq!(world.stage("a", first, 1).await, fenced);
    assert_eq!(world.try_init("a", Some(first)).await.map(drop), fenced);
    world.add("a", second, &of("t", 0)).await.unwrap();
    world.append("a", second, &of("t", 0), 0, "of the second").await.unwrap();
    world.end("a", second, Marker::Commit).await.unwrap();
    assert_eq!(world.committed(&of("t", 0)).await, ["of the second"]);
}

#[tokio::test]
async fn of_producers_that_come_together_one_holds_the_id() {
    let world = World::new().await;
    let come = async |number: u32| {
        let producer = world.init("a").await;
        let to = of("t", number % 4);
        let mut written = world.add("a", producer, &to).await;
        if written.is_ok() {
            written = world.append("a", producer, &to, 0, &format!("{number}")).await;
        }
        if written.is_ok() {
            written = world.end("a", producer, Marker::Commit).await;
        }
        (number, written)
    };
    let came = futures::future::join_all((0..12).map(come)).await;
    let committed: Vec<_> = came.iter().filter(|(_, written)| written.is_ok()).map(|(number, _)| number.to_string()).collect();
    assert!(!committed.is_empty());
    assert!(came.iter().all(|(_, written)| matches!(written, Ok(()) | Err(TransactionError::Fenced))), "{came:?}");
    let mut seen = Vec::new();
    for partition in 0..4 {
        seen.extend(world.committed(&of("t", partition)).await);
        assert!(world.is_stable(&of("t", partition)).await);
    }
    seen.sort_by_key(|number| number.parse::<u32>().unwrap());
    assert_eq!(seen, committed, "what was said to be committed, and nothing else");
}

#[tokio::test]
async fn a_producer_goes_on_after_an_error_as_the_same_one() {
    let world = World::new().await;
    let first = world.init("a").await;
    world.add("a", first, &of("t", 0)).await.unwrap();
    world.append("a", first, &of("t", 0), 0, "x").await.unwrap();
    let next = world.try_init("a", Some(first)).await.unwrap();
    assert_eq!(next.id, first.id);
    assert!(next.epoch > first.epoch);
    assert_eq!(world.try_init("a", Some(first)).await, Ok(next), "a repeat of the call");
    world.add("a", next, &of("t", 0)).await.unwrap();
    world.append("a", next, &of("t", 0), 0, "y").await.unwrap();
    assert_eq!(world.try_init("a", Some(first)).await.map(drop), Err(TransactionError::Fenced), "a repeat that comes late");
    world.end("a", next, Marker::Commit).await.unwrap();
    assert_eq!(world.committed(&of("t", 0)).await, ["y"]);
}

#[tokio::test]
async fn an_id_whose_epochs_are_used_up_gets_another_producer_id() {
    let mut world = World::new().await;
    let first = world.init("a").await;
    let written = format!(
        "{{\"transaction\":{{\"id\":\"a\",\"is\":{{\"producer\":{{\"id\":{},\"epoch\":32760}},\"timeout_ms\":1000,\
         \"state\":\"complete_commit\",\"changed_at_ms\":1000000}}}}}}",
        first.id
    );
    let topic = TopicName::new(TRANSACTIONS_TOPIC).unwrap().partition(0);
    let record = pinlake_core::Record::of_value(written);
    world.log.append(&topic, Batch::of(&[record], Timestamp(0)).unwrap()).await.unwrap();
    world.restart().await;
    let mut epochs = Vec::new();
    let last = loop {
        let next = world.init("a").await;
        if next.id != first.id {
            break next;
        }
        epochs.push(next.epoch);
    };
    assert_eq!(epochs, (32_761..i16::MAX).collect::<Vec<_>>());
    assert_eq!(last.epoch, 0);
    world.restart().await;
    let fenced = TransactionProducer { epoch: i16::MAX - 1, ..first };
    assert_eq!(world.add("a", fenced, &of("t", 0)).await, Err(TransactionError::UnknownProducer));
    world.add("a", last, &of("t", 0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let world = World::new().await;
    let producer = world.init("a").await;
    world.add("a", producer, &of("t", 0)).await.unwrap();
    world.append("a", producer, &of("t", 0), 0, "x").await.unwrap();
    world.pass(MINUTE / 2).await;
    world.add("a", producer, &of("t", 1)).await.expect("its time is not over");
    assert_eq!(world.state("a"), TransactionState::Ongoing);
    world.pass(MINUTE / 2 + Duration::from_secs(1)).await;
    assert_eq!(world.state("a"), TransactionState::CompleteAbort, "what is added later gives no more time");
    assert!(world.is_stable(&of("t", 0)).await);
    assert_eq!(world.end("a", producer, Marker::Commit).await, Err(TransactionError::Fenced));
    assert_eq!(world.append("a", producer, &of("t", 0), 1, "y").await, Err(TransactionError::Fenced));
    assert!(world.committed(&of("t", 0)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_end_and_the_timeout_at_the_same_time_agree() {
    let mut outcomes = std::collections::BTreeSet::new();
    for yields in 0..40 {
        let world = World::new().await;
        let producer = world.init("a").await;
        world.add("a", producer, &of("t", 0)).await.unwrap();
        world.append("a", producer, &of("t", 0), 0, "x").await.unwrap();
        world.clock.advance(MINUTE);
        let end = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            world.end("a", producer, Marker::Commit).await
        };
        let ended = end.await;
        settle().await;
        let (expected, marker) = match &ended {
            Ok(()) => (TransactionState::CompleteCommit, "Commit of epoch 0"),
            Err(error) => {
                assert_eq!(*error, TransactionError::Fenced);
                (TransactionState::CompleteAbort, "Abort of epoch 1")
            }
        };
        assert_eq!(world.state("a"), expected);
        assert_eq!(world.appended(&of("t", 0)), ["x", marker], "one end");
        outcomes.insert(ended.is_ok());
    }
    assert_eq!(outcomes.len(), 2, "each came first at least once");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_nobody_uses_is_forgotten() {
    let world = World::new().await;
    let (idle, open) = (world.init("idle").await, world.init("used").await);
    world.pass(Duration::from_secs(6 * 24 * 3600)).await;
    world.add("used", open, &of("t", 0)).await.unwrap();
    world.end("used", open, Marker::Commit).await.unwrap();
    world.pass(Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.transactions.describe(&id("idle")), Err(TransactionError::NotFound));
    assert_eq!(world.state("used"), TransactionState::CompleteCommit);
    assert_eq!(world.add("idle", idle, &of("t", 0)).await, Err(TransactionError::UnknownProducer));
    assert_ne!(world.init("idle").await.id, idle.id, "another producer id, so that the first is fenced");
}
