//! Members come, stay and go.

use super::*;

/// Joins and syncs a whole group of so many members; answers them, the leader first.
async fn gather(groups: &Groups, members: usize) -> Vec<Joined> {
    let joins = (0..members).map(|_| groups.join(join("")));
    let mut joined: Vec<Joined> = futures::future::join_all(joins).await.into_iter().map(Result::unwrap).collect();
    joined.sort_by_key(|joined| joined.members.is_empty());
    let syncs = joined.iter().map(|joined| groups.sync(sync(joined)));
    for (joined, synced) in joined.iter().zip(futures::future::join_all(syncs).await) {
        assert_eq!(synced.unwrap().assignment, joined.member_id.as_bytes(), "each gets its own");
    }
    joined
}

#[tokio::test(start_paused = true)]
async fn the_first_assignment_is_there_within_a_second() {
    let world = World::new(GroupSettings::default()).await;
    let start = Instant::now();
    let joined = gather(&world.groups, 20).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(joined[0].members.len(), 20);
    let leader = joined[0].member_id.as_str();
    assert!(joined.iter().all(|joined| joined.generation == 1 && joined.leader == leader));
    assert!(joined[0].member_id.starts_with("client-"), "{}", joined[0].member_id);
    let described = world.groups.describe(&id("g")).unwrap();
    assert_eq!((described.state, described.protocol.as_str(), described.generation), (GroupState::Stable, "range", 1));
    assert_eq!(described.members.len(), 20);
    assert_eq!(described.members[0].metadata, subscription(&["t"]));
    assert_eq!(described.members[0].client_host, "127.0.0.1");
    assert_eq!(world.groups.sizes(), [(id("g"), 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_silent_is_out_when_its_session_ends() {
    let world = World::new(GroupSettings::default()).await;
    let joined = gather(&world.groups, 2).await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(3)).await;
        world.groups.heartbeat(&beat(&joined[0])).unwrap();
    }
    assert_eq!(world.groups.describe(&id("g")).unwrap().members.len(), 2);
    // The other one's ten seconds end while this waits.
    let rejoined = loop {
        tokio::time::advance(Duration::from_millis(500)).await;
        tokio::task::yield_now().await;
        match world.groups.heartbeat(&beat(&joined[0])) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, GroupError::RebalanceInProgress);
                break world.groups.join(join(&joined[0].member_id)).await.unwrap();
            }
        }
    };
    assert_eq!((rejoined.generation, rejoined.members.len()), (2, 1));
    assert_eq!(world.groups.heartbeat(&beat(&joined[1])), Err(GroupError::UnknownMember));
}

#[tokio::test(start_paused = true)]
async fn members_go_on_after_a_restart() {
    let mut world = World::new(GroupSettings::default()).await;
    let joined = gather(&world.groups, 3).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    world.restart().await;
    tokio::time::advance(Duration::from_secs(9)).await;
    for joined in &joined {
        world.groups.heartbeat(&beat(joined)).unwrap();
        let synced = world.groups.sync(SyncRequest { assignments: Vec::new(), ..sync(joined) }).await.unwrap();
        assert_eq!(synced.assignment, joined.member_id.as_bytes());
    }
    let request = CommitRequest { generation: 1, member_id: joined[1].member_id.clone(), ..commit(&[(of("t", 0), 5)]) };
    world.groups.commit(request).await.unwrap();
    // And their sessions end as ever.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(world.groups.describe(&id("g")).unwrap().state, GroupState::Empty);
    world.restart().await;
    assert_eq!(world.groups.describe(&id("g")).unwrap().state, GroupState::Empty, "and stay ended");
    let joined = gather(&world.groups, 1).await;
    assert_eq!(joined[0].generation, 3, "generations go on");
}

#[tokio::test(start_paused = true)]
async fn a_join_that_nobody_waits_for_is_no_member() {
    let world = World::new(GroupSettings::default()).await;
    let first = gather(&world.groups, 1).await;
    let waits = world.groups.join(join(""));
    assert!(tokio::time::timeout(Duration::from_millis(10), waits).await.is_err(), "the other member has not joined again");
    let joined = world.groups.join(join(&first[0].member_id)).await.unwrap();
    assert_eq!(joined.members.len(), 1);
    let synced = world.groups.sync(sync(&joined)).await.unwrap();
    assert_eq!(synced.assignment, joined.member_id.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_its_id_first_if_it_can_come_back_with_it() {
    let world = World::new(GroupSettings::default()).await;
    let request = JoinRequest { require_member_id: true, client_id: "a\u{0}b".repeat(200), ..join("") };
    let Err(GroupError::MemberIdRequired(member)) = world.groups.join(request.clone()).await else { panic!("an id is required") };
    assert!(member.starts_with("abab") && member.len() < 300, "{member}");
    assert_eq!(world.groups.describe(&id("g")).unwrap().state, GroupState::Empty);
    let joined = world.groups.join(JoinRequest { member_id: member.clone(), ..request }).await.unwrap();
    assert_eq!(joined.member_id, member);
    assert_eq!(world.groups.join(join("unknown")).await, Err(GroupError::UnknownMember));
    assert_eq!(world.groups.join(JoinRequest { group: id("other"), ..join("unknown") }).await, Err(GroupError::UnknownMember));
}

#[tokio::test(start_paused = true)]
async fn members_leave_in_a_batch_and_the_group_can_be_deleted() {
    let mut world = World::new(GroupSettings::default()).await;
    let joined = gather(&world.groups, 2).await;
    world
        .groups
        .commit(CommitRequest { generation: 1, member_id: joined[0].member_id.clone(), ..commit(&[(of("t", 0), 5)]) })
        .await
        .unwrap();
    assert_eq!(world.groups.delete(&id("g")).await, Err(GroupError::NonEmptyGroup));
    let members: Vec<LeavingMember> =
        [&joined[0].member_id, "nobody", &joined[1].member_id].iter().flat_map(|id| leaving(id)).collect();
    assert_eq!(world.groups.leave(&id("g"), &members), [Ok(()), Err(GroupError::UnknownMember), Ok(())]);
    assert_eq!(world.groups.leave(&id("nobody"), &members).len(), 3);
    assert_eq!(world.groups.list(&[GroupState::Stable]), []);
    assert_eq!(world.groups.list(&[GroupState::Empty]).len(), 1);
    world.groups.delete(&id("g")).await.unwrap();
    assert_eq!(world.groups.delete(&id("g")).await, Err(GroupError::GroupIdNotFound));
    assert_eq!(world.groups.describe(&id("g")), Err(GroupError::GroupIdNotFound));
    assert_eq!((committed(&world.groups, "g"), world.groups.list(&[])), (vec![], vec![]));
    world.restart().await;
    assert_eq!((committed(&world.groups, "g"), world.groups.list(&[])), (vec![], vec![]));
    assert_eq!(gather(&world.groups, 1).await[0].generation, 1);
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_a_group_is_being_deleted_meets_nobody() {
    let world = World::new(GroupSettings::default()).await;
    let joined = gather(&world.groups, 1).await;
    world.groups.leave(&id("g"), &leaving(&joined[0].member_id));
    // Neither the leaving nor the deletion is in the log yet when the other one comes.
    let start = Instant::now();
    let group = id("g");
    let (deleted, joined) = tokio::join!(biased; world.groups.delete(&group), world.groups.join(join("")));
    deleted.unwrap();
    assert_eq!(joined.unwrap().members.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(1), "it waited {:?} for a member that had left", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn groups_and_their_bytes_are_bounded() {
    let settings = GroupSettings { groups_max: 2, members_bytes_max: 110, ..GroupSettings::default() };
    let world = World::new(settings).await;
    let first = gather(&world.groups, 1).await;
    assert_eq!(
        world.groups.join(JoinRequest { group: id("h"), protocols: Vec::new(), ..join("") }).await,
        Err(GroupError::InconsistentProtocol)
    );
    assert_eq!(world.groups.join(JoinRequest { group: id("i"), ..join("") }).await, Err(GroupError::TooManyGroups));
    assert_eq!(world.groups.commit(CommitRequest { group: id("i"), ..commit(&[]) }).await, Err(GroupError::TooManyGroups));
    assert_eq!(world.groups.join(JoinRequest { group: id("h"), ..join("") }).await, Err(GroupError::GroupMaxSize));
    world.groups.leave(&id("g"), &leaving(&first[0].member_id));
    world.groups.join(JoinRequest { group: id("h"), ..join("") }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropped_groups_leave_nothing_behind() {
    let world = World::new(GroupSettings::default()).await;
    gather(&world.groups, 2).await;
    let World { log, groups, .. } = world;
    drop(groups);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&log), 1, "no task holds the log");
}

#[test]
fn names_of_groups_are_checked() {
    for name in ["", "a\u{0}", "tab\t", &"x".repeat(250)] {
        assert_eq!(GroupId::new(name), Err(GroupError::InvalidGroupId), "{name:?}");
    }
    for name in ["a", "spaces and ünicode", &"x".repeat(249)] {
        assert!(GroupId::new(name).is_ok(), "{name:?}");
    }
}
