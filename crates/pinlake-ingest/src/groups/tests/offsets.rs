//! Offsets are committed, fetched, staged, and go.

use super::*;
use crate::groups::upkeep;

const PRODUCER: TransactionProducer = TransactionProducer { id: 7, epoch: 1 };

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_fetched_also_after_a_restart() {
    let mut world = World::new(GroupSettings::default()).await;
    let answers = world.groups.commit(commit(&[(of("t", 0), 5), (of("t", 3), 0), (of("u", 0), 7)])).await.unwrap();
    assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
    world.groups.commit(commit(&[(of("t", 0), 6)])).await.unwrap();
    for _ in 0..2 {
        let named = [of("t", 0), of("t", 1)];
        let fetched = world.groups.fetch(&id("g"), Some(&named), true);
        let expected = CommittedOffset {
            offset: Offset(6),
            leader_epoch: 3,
            metadata: "at 6".to_owned(),
            committed_at: Timestamp(1_000_000),
        };
        assert_eq!(fetched, [(of("t", 0), Ok(Some(expected))), (of("t", 1), Ok(None))]);
        assert_eq!(committed(&world.groups, "g"), [("t/0".to_owned(), 6), ("t/3".to_owned(), 0), ("u/0".to_owned(), 7)]);
        assert_eq!(world.groups.fetch(&id("nobody"), Some(&named[..1]), false), [(of("t", 0), Ok(None))]);
        world.restart().await;
    }
    let listed = GroupListing { group: id("g"), protocol_type: String::new(), state: GroupState::Empty };
    assert_eq!(world.groups.list(&[]), [listed]);
}

#[tokio::test(start_paused = true)]
async fn offsets_that_can_t_be_committed_are_refused_one_by_one() {
    let world = World::new(GroupSettings { offsets_max: 2, ..GroupSettings::default() }).await;
    let mut request = commit(&[(of("t", 0), 5), (of("t", 4), 5), (of("nothing", 0), 5), (of("t", 1), 5), (of("t", 2), -1)]);
    request.offsets[3].1.metadata = "x".repeat(4097);
    let answers: Vec<i16> = world
        .groups
        .commit(request)
        .await
        .unwrap()
        .into_iter()
        .map(|(_, answer)| answer.err().map_or(0, |error| error.code()))
        .collect();
    assert_eq!(answers, [0, 3, 3, 12, 42]);
    world.groups.commit(commit(&[(of("t", 1), 5)])).await.unwrap();
    let answers = world.groups.commit(commit(&[(of("t", 2), 5), (of("t", 1), 6)])).await.unwrap();
    assert_eq!(answers, [(of("t", 2), Err(GroupError::TooManyOffsets)), (of("t", 1), Ok(()))]);
}

#[tokio::test(start_paused = true)]
async fn a_member_commits_in_its_generation_only() {
    let world = World::new(GroupSettings::default()).await;
    let request = CommitRequest { generation: 1, member_id: "m".to_owned(), ..commit(&[(of("t", 0), 5)]) };
    assert_eq!(world.groups.commit(request).await, Err(GroupError::IllegalGeneration), "there is no such group");
    let joined = world.groups.join(join("")).await.unwrap();
    world.groups.sync(sync(&joined)).await.unwrap();
    let by =
        |generation, member_id: &str| CommitRequest { generation, member_id: member_id.to_owned(), ..commit(&[(of("t", 0), 5)]) };
    assert_eq!(world.groups.commit(commit(&[(of("t", 0), 5)])).await, Err(GroupError::UnknownMember));
    assert_eq!(world.groups.commit(by(2, &joined.member_id)).await, Err(GroupError::IllegalGeneration));
    assert_eq!(world.groups.commit(by(1, "other")).await, Err(GroupError::UnknownMember));
    world.groups.commit(by(1, &joined.member_id)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn staged_offsets_wait_for_their_transaction_also_across_restarts() {
    let mut world = World::new(GroupSettings::default()).await;
    let all = [of("t", 0), of("t", 1)];
    world.groups.commit(commit(&[(of("t", 0), 1), (of("t", 1), 1)])).await.unwrap();
    world.groups.stage_offsets(PRODUCER, commit(&[(of("t", 0), 9)])).await.unwrap();
    for _ in 0..2 {
        let stable = world.groups.fetch(&id("g"), Some(&all), true);
        assert_eq!(stable[0].1, Err(GroupError::UnstableOffset));
        assert!(stable[1].1.is_ok());
        assert_eq!(committed(&world.groups, "g")[0].1, 1, "who does not ask for stable ones sees the old one");
        assert_eq!(world.groups.staged(), [PRODUCER]);
        world.restart().await;
    }
    let old = TransactionProducer { epoch: 0, ..PRODUCER };
    assert_eq!(world.groups.stage_offsets(old, commit(&[(of("t", 0), 3)])).await, Err(GroupError::InvalidProducerEpoch));
    world.groups.finish_staged(PRODUCER.id, true).await.unwrap();
    for _ in 0..2 {
        assert_eq!(committed(&world.groups, "g")[0].1, 9);
        assert!(world.groups.fetch(&id("g"), None, true).iter().all(|(_, answer)| answer.is_ok()));
        world.groups.finish_staged(PRODUCER.id, false).await.unwrap();
        world.restart().await;
    }
    world.groups.stage_offsets(PRODUCER, commit(&[(of("t", 0), 20)])).await.unwrap();
    world.groups.finish_staged(PRODUCER.id, false).await.unwrap();
    assert_eq!(committed(&world.groups, "g")[0].1, 9);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_what_members_read_are_not_deleted() {
    let world = World::new(GroupSettings::default()).await;
    let partitions = [of("t", 0), of("u", 0)];
    assert_eq!(world.groups.delete_offsets(&id("g"), &partitions).await, Err(GroupError::GroupIdNotFound));
    world.groups.commit(commit(&[(of("t", 0), 1), (of("u", 0), 1), (of("t", 1), 1)])).await.unwrap();
    let joined = world.groups.join(join("")).await.unwrap();
    let answers = world.groups.delete_offsets(&id("g"), &partitions).await.unwrap();
    assert_eq!(answers, [(of("t", 0), Err(GroupError::SubscribedToTopic)), (of("u", 0), Ok(()))]);
    assert_eq!(committed(&world.groups, "g").len(), 2);
    world.groups.leave(&id("g"), &leaving(&joined.member_id));
    world.groups.delete_offsets(&id("g"), &partitions).await.unwrap();
    assert_eq!(committed(&world.groups, "g"), [("t/1".to_owned(), 1)]);
    world.groups.join(JoinRequest { protocol_type: "connect".to_owned(), ..join("") }).await.unwrap();
    assert_eq!(world.groups.delete_offsets(&id("g"), &partitions).await, Err(GroupError::NonEmptyGroup));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_nobody_understands_protects_all_topics() {
    let world = World::new(GroupSettings::default()).await;
    world.groups.commit(commit(&[(of("u", 0), 1)])).await.unwrap();
    let whole = subscription(&["t"]);
    for cut in 0..whole.len() - 4 {
        let protocols = vec![Protocol { name: "range".to_owned(), metadata: whole.slice(..cut) }];
        let joined = world.groups.join(JoinRequest { protocols, ..join("") }).await.unwrap();
        let answers = world.groups.delete_offsets(&id("g"), &[of("u", 0)]).await.unwrap();
        assert_eq!(answers[0].1, Err(GroupError::SubscribedToTopic), "{cut} bytes of it");
        world.groups.leave(&id("g"), &leaving(&joined.member_id));
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_expire_in_groups_without_members() {
    let mut world = World::new(GroupSettings::default()).await;
    let day = Duration::from_secs(24 * 3600);
    let joined = world.groups.join(JoinRequest { session_timeout: Duration::from_secs(1800), ..join("") }).await.unwrap();
    world.groups.sync(sync(&joined)).await.unwrap();
    world
        .groups
        .commit(CommitRequest { generation: 1, member_id: joined.member_id.clone(), ..commit(&[(of("t", 0), 5)]) })
        .await
        .unwrap();
    world.groups.commit(CommitRequest { group: id("simple"), ..commit(&[(of("t", 0), 5)]) }).await.unwrap();
    world.clock.advance(8 * day);
    world.groups.commit(CommitRequest { group: id("simple"), ..commit(&[(of("t", 1), 5)]) }).await.unwrap();
    upkeep::check(&world.groups.desks).await.unwrap();
    assert_eq!(committed(&world.groups, "g").len(), 1, "it has a member");
    assert_eq!(committed(&world.groups, "simple"), [("t/1".to_owned(), 5)]);
    world.groups.leave(&id("g"), &leaving(&joined.member_id));
    // What is on its way to the log is let through first.
    tokio::time::sleep(Duration::from_millis(1)).await;
    world.clock.advance(6 * day);
    upkeep::check(&world.groups.desks).await.unwrap();
    assert_eq!(committed(&world.groups, "g").len(), 1, "it had a member until six days ago");
    world.clock.advance(day);
    for _ in 0..2 {
        upkeep::check(&world.groups.desks).await.unwrap();
        assert_eq!(world.groups.list(&[]), []);
        world.restart().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_needs_goes_by_itself() {
    let world = World::new(GroupSettings::default()).await;
    world.groups.commit(commit(&[(of("t", 0), 5)])).await.unwrap();
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(world.groups.list(&[]), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_not_taken_for_old() {
    let world = World::new(GroupSettings::default()).await;
    world.groups.commit(commit(&[(of("t", 0), 5)])).await.unwrap();
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    // The check runs while the commit is with the log.
    let (answers, checked) =
        tokio::join!(biased; world.groups.commit(commit(&[(of("t", 0), 6)])), upkeep::check(&world.groups.desks));
    answers.unwrap();
    checked.unwrap();
    assert_eq!(committed(&world.groups, "g"), [("t/0".to_owned(), 6)]);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_deleted_topics_go() {
    let mut world = World::new(GroupSettings::default()).await;
    let commits = commit(&[(of("t", 0), 5), (of("u", 0), 5)]);
    world.groups.commit(commits.clone()).await.unwrap();
    world.groups.stage_offsets(PRODUCER, commits).await.unwrap();
    world.log.delete_topic(&of("u", 0).topic).await.unwrap();
    world.groups.topic_deleted(&of("u", 0).topic).await.unwrap();
    world.groups.finish_staged(PRODUCER.id, true).await.unwrap();
    assert_eq!(committed(&world.groups, "g"), [("t/0".to_owned(), 5)]);
    world.log.delete_topic(&of("t", 0).topic).await.unwrap();
    world.restart().await;
    upkeep::check(&world.groups.desks).await.unwrap();
    assert_eq!(committed(&world.groups, "g"), [], "nobody said so");
}

#[tokio::test(start_paused = true)]
async fn lag_is_what_lies_between_a_commit_and_the_end() {
    let world = World::new(GroupSettings::default()).await;
    append(&world.log, &of("t", 0), 10).await;
    world.groups.commit(commit(&[(of("t", 0), 4), (of("u", 0), 3)])).await.unwrap();
    world.groups.commit(CommitRequest { group: id("h"), ..commit(&[(of("t", 0), 10)]) }).await.unwrap();
    let lags: Vec<(String, String, u64)> =
        world.groups.lag().await.iter().map(|lag| (lag.group.to_string(), lag.of.to_string(), lag.records())).collect();
    let lag = |group: &str, of: &str, records| (group.to_owned(), of.to_owned(), records);
    assert_eq!(lags, [lag("g", "t/0", 6), lag("g", "u/0", 0), lag("h", "t/0", 0)]);
}
