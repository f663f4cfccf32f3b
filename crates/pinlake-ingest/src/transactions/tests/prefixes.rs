//! The server dies after each append: what it finds then adds up, whatever was under way.

use pinlake_core::Log;

use super::*;

/// What two producers do, one after another; the second's last transaction is left open.
async fn history(world: &World) {
    let to = [of("t", 0), of("t", 1)];
    let mut producer = world.init("a").await;
    let mut sequence = 0;
    for (round, how) in [Marker::Commit, Marker::Abort, Marker::Commit].into_iter().enumerate() {
        world.transactions.add_partitions(&id("a"), producer, to.to_vec()).await.unwrap();
        for to in &to {
            world.append("a", producer, to, sequence, &format!("{how:?} {round}")).await.unwrap();
        }
        world.transactions.add_group(&id("a"), producer, group("g")).await.unwrap();
        world.stage("a", producer, 10 + round as i64).await.unwrap();
        world.end("a", producer, how).await.unwrap();
        sequence += 1;
    }
    world.add("a", producer, &to[0]).await.unwrap();
    world.append("a", producer, &to[0], sequence, "fenced").await.unwrap();
    producer = world.init("a").await;
    world.add("a", producer, &to[1]).await.unwrap();
    world.transactions.add_group(&id("a"), producer, group("g")).await.unwrap();
    world.append("a", producer, &to[1], 0, "open").await.unwrap();
    world.stage("a", producer, 99).await.unwrap();
}

/// A log of the first appends of another.
async fn log_of(appended: &[(TopicPartition, Batch)]) -> Arc<ScriptedLog> {
    let log = Arc::new(ScriptedLog::default());
    for (topic, partitions) in [("t", 4), ("u", 1)] {
        log.create_topic(&TopicName::new(topic).unwrap(), TopicSpec::with_partitions(partitions)).await.unwrap();
    }
    for (to, batch) in appended {
        if log.topic(&to.topic).await.is_err() {
            let spec = TopicSpec { batch_bytes_max: 64 << 20, ..TopicSpec::default() };
            log.create_topic(&to.topic, spec).await.unwrap();
        }
        log.append(to, batch.clone()).await.unwrap();
    }
    log
}

/// The ends that were decided in the first appends, in order.
fn decided(appended: &[(TopicPartition, Batch)]) -> Vec<TransactionState> {
    let own = appended.iter().filter(|(to, _)| to.topic.as_str() == TRANSACTIONS_TOPIC);
    let texts = own.flat_map(|(_, batch)| batch.records().map(|record| record.unwrap().value.unwrap().to_vec()));
    let state = |text: Vec<u8>| {
        let record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        match record["transaction"]["is"]["state"].as_str()? {
            "prepare_commit" => Some(TransactionState::CompleteCommit),
            "prepare_abort" => Some(TransactionState::CompleteAbort),
            _ => None,
        }
    };
    texts.filter_map(state).collect()
}

#[tokio::test(start_paused = true)]
async fn a_death_after_any_append_leaves_what_was_decided() {
    let world = World::new().await;
    history(&world).await;
    let appended = world.log.appended();
    let mut states = std::collections::BTreeSet::new();
    for cut in 0..=appended.len() {
        let mut world = World::on(log_of(&appended[..cut]).await, TransactionSettings::default()).await;
        let decided = decided(&appended[..cut]);
        let rounds = decided.iter().enumerate();
        let commits: Vec<usize> =
            rounds.filter(|(_, state)| **state == TransactionState::CompleteCommit).map(|(round, _)| round).collect();
        let expected: Vec<String> = commits.iter().map(|round| format!("Commit {round}")).collect();
        let open = world.transactions.list(|found| found.state == TransactionState::Ongoing);
        for partition in 0..2 {
            let to = of("t", partition);
            assert_eq!(world.committed(&to).await, expected, "{to} cut after {cut}");
            assert!(!open.is_empty() || world.is_stable(&to).await, "{to} cut after {cut}: something is undecided");
        }
        assert_eq!(world.offset(), commits.last().map(|round| 10 + *round as i64), "cut after {cut}");
        for found in world.transactions.list(|_| true) {
            states.insert(found.state.as_str());
        }
        // Started again it is the same, and what is open ends by time.
        let found = world.transactions.list(|_| true);
        let before = world.log.appended().len();
        world.restart().await;
        assert_eq!(world.transactions.list(|_| true), found, "cut after {cut}");
        assert_eq!(world.log.appended().len(), before, "cut after {cut}: there was nothing left to do");
        world.pass(MINUTE * 2).await;
        assert!(world.is_stable(&of("t", 0)).await && world.is_stable(&of("t", 1)).await);
        assert!(world.groups.staged().is_empty(), "cut after {cut}");
        assert_eq!(world.committed(&of("t", 0)).await, expected, "cut after {cut}");
    }
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["CompleteAbort", "CompleteCommit", "Empty", "Ongoing"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_a_log_that_takes_no_markers() {
    let mut world = World::new().await;
    let producer = world.init("a").await;
    world.add("a", producer, &of("t", 0)).await.unwrap();
    world.append("a", producer, &of("t", 0), 0, "x").await.unwrap();
    world.log.refuse("t", ErrorKind::Retry);
    world.end("a", producer, Marker::Commit).await.unwrap();
    world.restart().await;
    assert_eq!(world.state("a"), TransactionState::PrepareCommit);
    world.log.accept();
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(world.state("a"), TransactionState::CompleteCommit);
    assert_eq!(world.committed(&of("t", 0)).await, ["x"]);
}

#[tokio::test]
async fn snapshots_keep_everything() {
    let settings = TransactionSettings { snapshot_records: 5, ..TransactionSettings::default() };
    let mut world = World::with(settings).await;
    for round in 0..10 {
        let name = format!("id{}", round % 3);
        let producer = world.init(&name).await;
        world.add(&name, producer, &of("t", round % 4)).await.unwrap();
        if round % 2 == 0 {
            world.end(&name, producer, Marker::Commit).await.unwrap();
        }
    }
    let found = world.transactions.list(|_| true);
    let next = world.transactions.new_producer().await.unwrap().id;
    let topic = TopicName::new(TRANSACTIONS_TOPIC).unwrap().partition(0);
    assert!(world.log.range(&topic).await.unwrap().start.0 > 0, "a snapshot let go what lies before it");
    world.restart().await;
    assert_eq!(world.transactions.list(|_| true), found);
    assert!(world.transactions.new_producer().await.unwrap().id > next);
}
