//! The server's memory stays where it is, however many connections come and go, records pass through, groups are joined and left, and transactions
//! end. Memory is looked at between rounds that are all the same; the first ones fill what is kept on purpose (`docs/limits.md`).
//!
//! `PINLAKE_TEST_MEMORY_ROUNDS` asks for more rounds, `--nocapture` shows each.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{ApiKey, GroupId, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{BatchBuilder, Clock, ProducerSequence};
use tokio::task::JoinSet;

use crate::server::Server;
use crate::wire::{Isolation, Place, Wire, text};

/// Rounds before the first that counts: they fill the newest batches that the log keeps in memory.
const WARM_UP: u64 = 4;
/// Rounds that count.
const ROUNDS: u64 = 4;
/// Clients of a round, all at once, each over a connection of its own.
const CLIENTS: usize = 64;
const TOPICS: usize = 16;
/// Batches of a client in a round.
const BATCHES: usize = 20;
/// Records of a batch.
const RECORDS: usize = 50;
const VALUE_BYTES: usize = 400;
/// What an allocator and its threads may differ by between rounds.
const GROWTH_MAX_MIB: u64 = 32;

fn place(client: usize) -> Place {
    (format!("memory-{}", client % TOPICS), i32::try_from(client / TOPICS % 2).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_where_it_is_while_clients_come_and_go() {
    let rounds = std::env::var("PINLAKE_TEST_MEMORY_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let address: Arc<str> = server.kafka().into();
    let mut wire = Wire::connect(&address).await.unwrap();
    for topic in 0..TOPICS {
        wire.create_topic(&format!("memory-{topic}"), 2).await.unwrap();
    }
    let mut positions = vec![0; CLIENTS];
    let mut seen = Vec::new();
    for round in 0..WARM_UP + rounds {
        let mut clients = JoinSet::new();
        for (client, position) in positions.iter().copied().enumerate() {
            let address = address.clone();
            clients.spawn(async move { (client, work(&address, client, position).await) });
        }
        while let Some(done) = clients.join_next().await {
            let (client, position) = done.unwrap();
            positions[client] = position;
        }
        seen.push(server.resident_mib());
        println!("round {round}: {} MiB", server.resident_mib());
    }
    let (warm, counted) = seen.split_at(WARM_UP as usize);
    let (before, after) = (warm.iter().max().unwrap(), counted.iter().max().unwrap());
    assert!(*after <= before + GROWTH_MAX_MIB, "MiB after each round: {seen:?}");
}

/// A client's round: it produces, every fourth one in a transaction, reads on from where it stood, and leaves its group. Answers where it stands.
async fn work(address: &str, client: usize, mut position: i64) -> i64 {
    let mut wire = Wire::connect(address).await.unwrap();
    let place = place(client);
    let transactional = client.is_multiple_of(4).then(|| format!("memory-{client}"));
    let who = wire.init_producer(transactional.as_deref()).await.unwrap();
    if let Some(id) = &transactional {
        wire.add_partitions(id, who, &place.0, vec![place.1]).await.unwrap();
    }
    let value = vec![b'x'; VALUE_BYTES];
    for number in 0..BATCHES {
        let mut builder = BatchBuilder::new(Clock::System.now());
        builder.set_producer(ProducerSequence { id: who.id, epoch: who.epoch, first: i32::try_from(number * RECORDS).unwrap() });
        if transactional.is_some() {
            builder.set_transactional();
        }
        (0..RECORDS).for_each(|_| builder.push(Some(b"key"), Some(&value)));
        let sent = wire.send_batch(&place.0, place.1, transactional.as_deref(), &builder.build().unwrap()).await.unwrap();
        wire.produced(sent).await.unwrap();
    }
    if let Some(id) = &transactional {
        wire.end_transaction(id, who, !client.is_multiple_of(8)).await.unwrap();
    }
    let mut left = RECORDS * BATCHES;
    while left > 0 {
        let fetched = wire.fetch(&place, position, Isolation::Uncommitted, 0).await.unwrap();
        left = left.saturating_sub(fetched.batches.iter().map(|batch| batch.record_count() as usize).sum());
        position = fetched.next;
    }
    let group = format!("memory-{client}");
    wire.commit(&group, -1, &StrBytes::new(), &BTreeMap::from([(place, position)])).await.unwrap();
    join_and_leave(&mut wire, &group).await;
    position
}

async fn join_and_leave(wire: &mut Wire, group: &str) {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(vec![0; 100].into());
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    // Before version 4 a member gets its id with its first join.
    let joined: JoinGroupResponse = wire.call(ApiKey::JoinGroup, 3, &request).await.unwrap();
    assert_eq!(joined.error_code, 0);
    let member = MemberIdentity::default().with_member_id(joined.member_id);
    let request = LeaveGroupRequest::default().with_group_id(GroupId(text(group))).with_members(vec![member]);
    let left: LeaveGroupResponse = wire.call(ApiKey::LeaveGroup, 5, &request).await.unwrap();
    assert_eq!(left.error_code, 0);
}
