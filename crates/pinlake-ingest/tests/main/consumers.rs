//! Consumer instances of Kafka REST among other members of their groups, and through time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use pinlake_core::{Log, MemoryLog, TopicName, TopicSpec};
use pinlake_ingest::groups::GroupError;
use pinlake_ingest::groups::calls::{
    CommitRequest, GroupId, GroupState, HeartbeatRequest, JoinRequest, LeavingMember, NewOffset, Protocol, SyncRequest,
};
use pinlake_ingest::{ConsumerSettings, DoorSettings, Doors, Groups};
use serde_json::{Value, json};

use crate::setup::{doors_with, groups, post, send, streams};

/// A server with the topic `t`.
struct World {
    log: Arc<MemoryLog>,
    groups: Groups,
    doors: Doors,
    router: Router,
}

impl World {
    async fn new(partitions: u32, settings: DoorSettings) -> Self {
        let log = Arc::new(MemoryLog::new());
        log.create_topic(&TopicName::new("t").unwrap(), TopicSpec::with_partitions(partitions)).await.unwrap();
        let groups = groups(log.clone());
        let doors = doors_with(log.clone(), settings, groups.clone(), streams(log.clone()));
        Self { log, groups, router: doors.router(), doors }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("accept", "application/json").body(body).unwrap();
        let (status, _, text) = send(&self.router, request).await;
        (status.as_u16(), if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// An instance of the group `g`.
    async fn instance(&self, name: &str, settings: Value) -> String {
        let mut all = json!({"name": name, "format": "json", "auto.offset.reset": "earliest"});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        assert_eq!(self.call("POST", "/consumers/g", all).await.0, 200);
        format!("/consumers/g/instances/{name}")
    }

    async fn subscribed(&self, name: &str, settings: Value) -> String {
        let path = self.instance(name, settings).await;
        let subscribed = self.call("POST", &format!("{path}/subscription"), json!({"topics": ["t"]})).await;
        assert_eq!(subscribed, (204, Value::Null));
        path
    }

    /// The values that a read answers.
    async fn read(&self, path: &str) -> Vec<Value> {
        let (status, records) = self.call("GET", &format!("{path}/records"), Value::Null).await;
        assert_eq!(status, 200, "{records}");
        records.as_array().unwrap().iter().map(|record| record["value"].clone()).collect()
    }

    async fn assigned(&self, path: &str) -> BTreeSet<u64> {
        let (_, answer) = self.call("GET", &format!("{path}/assignments"), Value::Null).await;
        answer["partitions"].as_array().unwrap().iter().map(|of| of["partition"].as_u64().unwrap()).collect()
    }

    /// Appends one record to each of so many partitions: its partition and a number.
    async fn append(&self, partitions: u32, number: u32) {
        let record = |partition| json!({"partition": partition, "value": [partition, number]});
        let body = json!({"records": (0..partitions).map(record).collect::<Vec<_>>()});
        assert_eq!(post(&self.router, "t", body.to_string()).await.0, 200);
    }

    fn committed(&self, partition: u32) -> Option<i64> {
        let of = TopicName::new("t").unwrap().partition(partition);
        let answers = self.groups.fetch(&id("g"), Some(&[of]), false);
        answers[0].1.as_ref().unwrap().as_ref().map(|committed| committed.offset.0)
    }

    fn state(&self) -> GroupState {
        self.groups.describe(&id("g")).unwrap().state
    }
}

fn id(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_instances_share_a_group_and_a_third_takes_over() {
    let world = World::new(4, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({})).await;
    world.append(4, 0).await;
    assert_eq!(world.read(&one).await.len(), 4);
    assert_eq!(world.assigned(&one).await.len(), 4);
    let two = world.subscribed("two", json!({})).await;
    // The first hears of it by itself, between its reads.
    world.read(&two).await;
    world.read(&two).await;
    let (of_one, of_two) = (world.assigned(&one).await, world.assigned(&two).await);
    assert_eq!((of_one.len(), of_two.len()), (2, 2), "{of_one:?} {of_two:?}");
    assert!(of_one.is_disjoint(&of_two));
    world.append(4, 1).await;
    // What the first keeps goes on where it was; nothing was committed, so the other begins anew.
    let (read_by_one, read_by_two) = (world.read(&one).await, world.read(&two).await);
    assert_eq!(read_by_one.len(), 2, "{read_by_one:?}");
    assert_eq!(read_by_two.len(), 2, "{read_by_two:?}");
    assert_eq!(world.call("DELETE", &one, Value::Null).await.0, 204);
    world.read(&two).await;
    world.read(&two).await;
    assert_eq!(world.assigned(&two).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_n_goes_on_at_n_and_one() {
    let world = World::new(1, DoorSettings::default()).await;
    for number in 0..5 {
        world.append(1, number).await;
    }
    let one = world.subscribed("one", json!({})).await;
    assert_eq!(world.read(&one).await.len(), 5);
    let body = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 2}]});
    assert_eq!(world.call("POST", &format!("{one}/offsets"), body).await, (200, json!([])));
    assert_eq!(world.committed(0), Some(3));
    world.call("DELETE", &one, Value::Null).await;
    let two = world.subscribed("two", json!({})).await;
    assert_eq!(world.read(&two).await, [json!([0, 3]), json!([0, 4])]);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_is_closed_and_leaves_its_group() {
    let world = World::new(2, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({"auto.commit.enable": "true"})).await;
    let two = world.subscribed("two", json!({})).await;
    world.append(2, 0).await;
    tokio::join!(world.read(&one), world.read(&two));
    assert_eq!((world.assigned(&one).await.len(), world.assigned(&two).await.len()), (1, 1));
    for _ in 0..9 {
        tokio::time::sleep(Duration::from_secs(29)).await;
        world.read(&two).await;
    }
    assert_eq!(world.assigned(&one).await.len(), 1, "a call renews it");
    tokio::time::sleep(Duration::from_secs(290)).await;
    assert_eq!(world.call("GET", &format!("{one}/assignments"), Value::Null).await.0, 200);
    assert_eq!(world.call("GET", &format!("{two}/assignments"), Value::Null).await.0, 200);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(80)).await;
        world.read(&two).await;
    }
    let (status, body) = world.call("GET", &format!("{one}/assignments"), Value::Null).await;
    assert_eq!((status, &body["error_code"]), (404, &json!(40403)));
    assert_eq!(world.assigned(&two).await.len(), 2, "its partitions have moved");
}

#[tokio::test(start_paused = true)]
async fn positions_are_committed_by_themselves_if_they_are_to_be() {
    let world = World::new(1, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({"auto.commit.enable": "true"})).await;
    world.append(1, 0).await;
    assert_eq!(world.read(&one).await.len(), 1);
    assert_eq!(world.committed(0), None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.committed(0), Some(1));
    world.append(1, 1).await;
    assert_eq!(world.read(&one).await.len(), 1);
    world.doors.close().await;
    assert_eq!(world.committed(0), Some(2), "at its end too");
    assert_eq!(world.state(), GroupState::Empty);
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_by_its_bytes_its_time_or_when_it_is_full() {
    let world = World::new(1, DoorSettings::default()).await;
    let one = world.instance("one", json!({"fetch.min.bytes": 5, "consumer.request.timeout.ms": 30_000})).await;
    let partition = json!({"partitions": [{"topic": "t", "partition": 0}]});
    assert_eq!(world.call("POST", &format!("{one}/assignments"), partition).await.0, 204);
    let before = tokio::time::Instant::now();
    let (values, ()) = tokio::join!(world.read(&one), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(post(&world.router, "t", r#"{"records":[{"value":12345}]}"#).await.0, 200);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(post(&world.router, "t", r#"{"records":[{"value":6}]}"#).await.0, 200);
    });
    assert_eq!(values, [json!(12345), json!(6)]);
    assert_eq!(before.elapsed().as_secs(), 7, "more than five bytes are there");
    let before = tokio::time::Instant::now();
    assert_eq!(world.read(&one).await.len(), 0);
    assert_eq!(before.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_its_answer_misses_nothing() {
    let world = World::new(1, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({"consumer.request.timeout.ms": 30_000})).await;
    world.append(1, 0).await;
    let given_up = tokio::time::timeout(Duration::from_secs(5), world.read(&one)).await;
    assert!(given_up.is_err());
    assert_eq!(world.read(&one).await, [json!([0, 0])]);
}

#[tokio::test(start_paused = true)]
async fn one_read_at_a_time() {
    let world = World::new(1, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({})).await;
    let path = format!("{one}/records");
    let (first, second) = tokio::join!(world.call("GET", &path, Value::Null), world.call("GET", &path, Value::Null));
    assert_eq!((first.0, second.0), (200, 409));
    assert_eq!(second.1["error_code"], 40903);
}

#[tokio::test(start_paused = true)]
async fn there_are_not_more_instances_than_may_be() {
    let consumers = ConsumerSettings { instances_max: 2, ..ConsumerSettings::default() };
    let world = World::new(1, DoorSettings { consumers, ..DoorSettings::default() }).await;
    world.instance("one", json!({})).await;
    let two = world.instance("two", json!({})).await;
    let (status, body) = world.call("POST", "/consumers/g", json!({})).await;
    assert_eq!((status, &body["error_code"]), (429, &json!(42901)));
    world.call("DELETE", &two, Value::Null).await;
    world.instance("three", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_alone_is_too_large_is_answered_all_the_same() {
    let consumers = ConsumerSettings { response_bytes_max: 10, ..ConsumerSettings::default() };
    let world = World::new(1, DoorSettings { consumers, ..DoorSettings::default() }).await;
    let one = world.subscribed("one", json!({})).await;
    let large = "x".repeat(100);
    assert_eq!(
        post(&world.router, "t", json!({"records": [{"value": large}, {"value": 1}, {"value": 2}]}).to_string()).await.0,
        200
    );
    assert_eq!(world.read(&one).await, [json!(large)]);
    assert_eq!(world.read(&one).await, [json!(1), json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn records_take_no_more_room_than_there_is() {
    let settings = DoorSettings { inflight_bytes_max: 1000, ..DoorSettings::default() };
    let world = World::new(1, settings).await;
    let one = world.subscribed("one", json!({})).await;
    for _ in 0..10 {
        assert_eq!(post(&world.router, "t", json!({"records": [{"value": "x".repeat(200)}]}).to_string()).await.0, 200);
    }
    let mut read = Vec::new();
    for _ in 0..5 {
        read.push(world.read(&one).await.len());
    }
    assert_eq!(read, [3, 3, 3, 1, 0]);
    assert_eq!(post(&world.router, "t", json!({"records": [{"value": "x".repeat(950)}]}).to_string()).await.0, 200);
    let (status, body) = world.call("GET", &format!("{one}/records"), Value::Null).await;
    assert_eq!((status, &body["error_code"]), (503, &json!(503)), "{body}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_sees_partitions_that_are_added() {
    let world = World::new(1, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({})).await;
    world.read(&one).await;
    world.log.alter_topic(&TopicName::new("t").unwrap(), TopicSpec::with_partitions(3)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(world.assigned(&one).await.len(), 3, "without a read");
}

/// A member as a Kafka client is one: what it says and reads is the codec's.
struct Wire<'a> {
    groups: &'a Groups,
    member_id: String,
    generation: i32,
}

impl Wire<'_> {
    /// Joins; the leader gives the even partitions of four to itself and the odd ones to the other.
    async fn join(&mut self) -> Result<Vec<i32>, GroupError> {
        let subscription = ConsumerProtocolSubscription::default().with_topics(vec![StrBytes::from_static_str("t")]);
        let joined = self
            .groups
            .join(JoinRequest {
                group: id("g"),
                member_id: self.member_id.clone(),
                group_instance_id: None,
                require_member_id: false,
                can_skip_assignment: false,
                client_id: "wire".to_owned(),
                client_host: "127.0.0.1".to_owned(),
                session_timeout: Duration::from_secs(10),
                rebalance_timeout: Duration::from_secs(60),
                protocol_type: "consumer".to_owned(),
                protocols: vec![Protocol { name: "range".to_owned(), metadata: encoded(&subscription, 1) }],
            })
            .await?;
        (self.member_id, self.generation) = (joined.member_id.clone(), joined.generation);
        let assignment = |member: &pinlake_ingest::groups::calls::JoinedMember| {
            let mut metadata = member.metadata.clone();
            let version = metadata.get_i16();
            let theirs = ConsumerProtocolSubscription::decode(&mut metadata, version).unwrap();
            assert_eq!(theirs.topics, [StrBytes::from_static_str("t")]);
            let partitions = if member.member_id == joined.member_id { vec![0, 2] } else { vec![1, 3] };
            let of = kafka_protocol::messages::consumer_protocol_assignment::TopicPartition::default()
                .with_topic(StrBytes::from_static_str("t").into())
                .with_partitions(partitions);
            (member.member_id.clone(), encoded(&ConsumerProtocolAssignment::default().with_assigned_partitions(vec![of]), 1))
        };
        let assignments = joined.members.iter().map(assignment).collect();
        let sync = SyncRequest {
            group: id("g"),
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
            protocol_type: None,
            protocol: None,
            assignments,
        };
        let mut assigned = self.groups.sync(sync).await?.assignment;
        let version = assigned.get_i16();
        let assigned = ConsumerProtocolAssignment::decode(&mut assigned, version).unwrap();
        Ok(assigned.assigned_partitions.into_iter().flat_map(|of| of.partitions).collect())
    }

    fn beat(&self) -> Result<(), GroupError> {
        self.groups.heartbeat(&HeartbeatRequest {
            group: id("g"),
            generation: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: None,
        })
    }
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    message.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

#[tokio::test(start_paused = true)]
async fn a_kafka_client_shares_a_group_that_an_instance_leads() {
    let world = World::new(4, DoorSettings::default()).await;
    let one = world.subscribed("one", json!({})).await;
    world.append(4, 0).await;
    world.read(&one).await;
    let mut wire = Wire { groups: &world.groups, member_id: String::new(), generation: -1 };
    let assigned = wire.join().await.unwrap();
    let of_one = world.assigned(&one).await;
    let all: BTreeSet<u64> = assigned.iter().map(|partition| u64::try_from(*partition).unwrap()).chain(of_one.clone()).collect();
    assert_eq!((assigned.len(), of_one.len(), all.len()), (2, 2, 4));
    // What the instance commits is what the client goes on from.
    assert_eq!(world.call("POST", &format!("{one}/offsets"), Value::Null).await.0, 200);
    let leaving = LeavingMember { member_id: wire.member_id.clone(), group_instance_id: None };
    assert_eq!(world.groups.leave(&id("g"), &[leaving]), [Ok(())]);
    world.read(&one).await;
    assert_eq!(world.assigned(&one).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_instance_follows_a_kafka_client_that_leads() {
    let world = World::new(4, DoorSettings::default()).await;
    let mut wire = Wire { groups: &world.groups, member_id: String::new(), generation: -1 };
    assert_eq!(wire.join().await, Ok(vec![0, 2]));
    let commit = CommitRequest {
        group: id("g"),
        generation: wire.generation,
        member_id: wire.member_id.clone(),
        group_instance_id: None,
        offsets: vec![(
            TopicName::new("t").unwrap().partition(1),
            NewOffset { offset: 1, leader_epoch: -1, metadata: String::new() },
        )],
    };
    world.groups.commit(commit).await.unwrap();
    world.append(4, 0).await;
    world.append(4, 1).await;
    let one = world.subscribed("one", json!({"consumer.request.timeout.ms": 5000})).await;
    let (values, again) = tokio::join!(world.read(&one), async {
        while wire.beat().is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        wire.join().await
    });
    assert_eq!(again, Ok(vec![0, 2]));
    assert_eq!(world.assigned(&one).await, BTreeSet::from([1, 3]));
    let values: BTreeSet<String> = values.iter().map(ToString::to_string).collect();
    let expected = ["[1,1]", "[3,0]", "[3,1]"].map(str::to_owned);
    assert_eq!(values, BTreeSet::from(expected), "partition 1 is committed up to its second record");
}
