//! Transactions over a socket: what producers, consumers and tools send and get.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey,
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    EndTxnRequest, EndTxnResponse, FetchRequest, FetchResponse, GroupId, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse, OffsetFetchRequest, OffsetFetchResponse, ProduceRequest, ProduceResponse,
    ProducerId, TopicName as WireName, TransactionalId, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::batch::ProducerSequence;
use pinlake_core::{Batch, BatchBuilder, Log, Offset, ReadLimit, Timestamp, TopicName};

use super::client::{Client, Served};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn id(name: &'static str) -> TransactionalId {
    TransactionalId(text(name))
}

/// A producer's id and epoch.
type Who = (i64, i16);

async fn init_as(client: &mut Client, version: i16, name: Option<&'static str>, expected: Who) -> (i16, Who) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(name.map(id))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(expected.0))
        .with_producer_epoch(expected.1);
    let answer: InitProducerIdResponse = client.call(ApiKey::InitProducerId, version, &request).await;
    (answer.error_code, (answer.producer_id.0, answer.producer_epoch))
}

async fn init(client: &mut Client, name: &'static str) -> Who {
    let (error, who) = init_as(client, 4, Some(name), (-1, -1)).await;
    assert_eq!(error, 0);
    who
}

/// The codes of the partitions, in order.
async fn add(client: &mut Client, version: i16, who: Who, topic: &'static str, partitions: &[i32]) -> Vec<i16> {
    let topic = AddPartitionsToTxnTopic::default().with_name(WireName(text(topic))).with_partitions(partitions.to_vec());
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id("tx"))
        .with_v3_and_below_producer_id(ProducerId(who.0))
        .with_v3_and_below_producer_epoch(who.1)
        .with_v3_and_below_topics(vec![topic]);
    let answer: AddPartitionsToTxnResponse = client.call(ApiKey::AddPartitionsToTxn, version, &request).await;
    let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
    results.iter().map(|result| result.partition_error_code).collect()
}

async fn end(client: &mut Client, version: i16, who: Who, committed: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(id("tx"))
        .with_producer_id(ProducerId(who.0))
        .with_producer_epoch(who.1)
        .with_committed(committed);
    let answer: EndTxnResponse = client.call(ApiKey::EndTxn, version, &request).await;
    answer.error_code
}

fn batch(who: Who, sequence: i32, is_transactional: bool, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1000));
    builder.set_producer(ProducerSequence { id: who.0, epoch: who.1, first: sequence });
    if is_transactional {
        builder.set_transactional();
    }
    builder.push(None, Some(value.as_bytes()));
    builder.build().unwrap()
}

async fn produce(client: &mut Client, name: Option<&'static str>, partition: i32, batch: &Batch) -> i16 {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.bytes().clone()));
    let topic = TopicProduceData::default().with_name(WireName(text("t"))).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(name.map(id))
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic]);
    let answer: ProduceResponse = client.call(ApiKey::Produce, 7, &request).await;
    answer.responses[0].partition_responses[0].error_code
}

/// What a fetch of partition 0 tells: last stable offset, aborted producers with their first offsets, and how many batches.
async fn fetch(client: &mut Client, isolation: i8) -> (i64, Vec<(i64, i64)>, usize) {
    let partition = FetchPartition::default().with_partition(0).with_fetch_offset(0).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(WireName(text("t"))).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_isolation_level(isolation).with_topics(vec![topic]);
    let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &request).await;
    let found = &answer.responses[0].partitions[0];
    let aborted = found.aborted_transactions.clone().unwrap_or_default();
    let mut rest = found.records.clone().unwrap_or_default();
    let mut batches = 0;
    while let Some(length) = Batch::claimed_len(&rest) {
        drop(rest.split_to(length));
        batches += 1;
    }
    let aborted = aborted.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect();
    (found.last_stable_offset, aborted, batches)
}

/// What those see who read committed records in the process, tables among them.
async fn visible(served: &Served) -> Vec<String> {
    let of = TopicName::new("t").unwrap().partition(0);
    let whole = ReadLimit { bytes: usize::MAX };
    let found = served.log.read_committed(&of, Offset::ZERO, whole, std::time::Duration::ZERO).await.unwrap();
    let batches = found.visible();
    let values = batches.iter().flat_map(|batch| batch.records().map(|record| record.unwrap().value.unwrap().to_vec()));
    values.map(|value| String::from_utf8(value).unwrap()).collect()
}

#[tokio::test]
async fn idempotent_producers_get_an_id_each_in_every_version() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    for version in 0..=4 {
        let (error, who) = init_as(&mut client, version, None, (-1, -1)).await;
        assert_eq!((error, who), (0, (i64::from(version), 0)));
        assert_eq!(produce(&mut client, None, 0, &batch(who, 0, false, "x")).await, 0);
    }
}

#[tokio::test]
async fn committed_records_are_read_and_aborted_ones_are_not() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    for (round, version) in (0..8).zip((0..=3).cycle()) {
        assert_eq!(add(&mut client, version, who, "t", &[0, 1]).await, [0, 0]);
        assert_eq!(produce(&mut client, Some("tx"), 0, &batch(who, round, true, &round.to_string())).await, 0);
        let (stable, _, batches) = fetch(&mut client, 1).await;
        assert_eq!((stable, batches), (i64::from(round) * 2, round as usize * 2), "nothing of the open transaction");
        assert_eq!(fetch(&mut client, 0).await.2, round as usize * 2 + 1, "but for who reads uncommitted records");
        assert_eq!(end(&mut client, version, who, round % 2 == 0).await, 0);
        assert_eq!(end(&mut client, version, who, round % 2 == 0).await, 0, "a repeat");
        assert_eq!(end(&mut client, version, who, round % 2 != 0).await, 48);
    }
    let (stable, aborted, batches) = fetch(&mut client, 1).await;
    assert_eq!((stable, batches), (16, 16));
    assert_eq!(aborted, [2, 6, 10, 14].map(|first| (who.0, first)));
    assert_eq!(visible(&served).await, ["0", "2", "4", "6"]);
}

#[tokio::test]
async fn batches_outside_their_transaction_are_refused() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    let transactional = batch(who, 0, true, "x");
    assert_eq!(produce(&mut client, Some("tx"), 0, &transactional).await, 48, "nothing is open");
    assert_eq!(add(&mut client, 3, who, "t", &[0]).await, [0]);
    assert_eq!(produce(&mut client, Some("tx"), 1, &transactional).await, 48, "the partition was not added");
    assert_eq!(produce(&mut client, None, 0, &transactional).await, 48, "without the transactional id");
    assert_eq!(produce(&mut client, Some("tx"), 0, &batch(who, 0, false, "x")).await, 48, "no part of the transaction");
    assert_eq!(produce(&mut client, Some("other"), 0, &transactional).await, 49, "another transactional id");
    assert_eq!(produce(&mut client, Some(""), 0, &transactional).await, 42);
    assert_eq!(produce(&mut client, Some("tx"), 0, &batch((who.0 + 1, 0), 0, true, "x")).await, 49);
    let next = init(&mut client, "tx").await;
    assert_eq!(produce(&mut client, Some("tx"), 0, &batch(who, 0, true, "x")).await, 47, "fenced");
    assert_eq!(add(&mut client, 3, next, "t", &[0]).await, [0]);
    assert_eq!(produce(&mut client, Some("tx"), 0, &batch(next, 0, true, "y")).await, 0);
    assert_eq!(end(&mut client, 3, next, true).await, 0);
    assert_eq!(visible(&served).await, ["y"]);
}

#[tokio::test]
async fn who_was_fenced_is_told_as_the_version_knows_it() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let old = init(&mut client, "tx").await;
    init(&mut client, "tx").await;
    for version in 0..=3 {
        let code = if version < 2 { 47 } else { 90 };
        assert_eq!(add(&mut client, version, old, "t", &[0]).await, [code]);
        assert_eq!(end(&mut client, version, old, true).await, code);
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id("tx"))
            .with_producer_id(ProducerId(old.0))
            .with_producer_epoch(old.1)
            .with_group_id(GroupId(text("g")));
        let answer: AddOffsetsToTxnResponse = client.call(ApiKey::AddOffsetsToTxn, version, &request).await;
        assert_eq!(answer.error_code, code);
    }
    assert_eq!(init_as(&mut client, 3, Some("tx"), old).await, (47, (-1, -1)));
    assert_eq!(init_as(&mut client, 4, Some("tx"), old).await, (90, (-1, -1)));
    assert_eq!(init_as(&mut client, 4, Some("tx"), (old.0, -1)).await.0, 42);
    assert_eq!(init_as(&mut client, 4, Some(""), (-1, -1)).await.0, 42);
    assert_eq!(add(&mut client, 3, (77, 0), "t", &[0]).await, [49]);
    let request = InitProducerIdRequest::default().with_transactional_id(Some(id("tx"))).with_transaction_timeout_ms(900_001);
    let answer: InitProducerIdResponse = client.call(ApiKey::InitProducerId, 4, &request).await;
    assert_eq!(answer.error_code, 50);
}

#[tokio::test]
async fn partitions_that_are_not_there_keep_the_others_out() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    assert_eq!(add(&mut client, 3, who, "t", &[0, 2, 1, -1]).await, [55, 3, 55, 3]);
    assert_eq!(add(&mut client, 3, who, "nowhere", &[0]).await, [3]);
    assert_eq!(add(&mut client, 3, who, "__consumer_offsets", &[0]).await, [17]);
    assert_eq!(end(&mut client, 3, who, true).await, 48, "nothing was added");
}

async fn stage(client: &mut Client, version: i16, who: Who, generation: i32, offset: i64) -> Vec<i16> {
    let partition = |number| {
        let partition = TxnOffsetCommitRequestPartition::default().with_partition_index(number);
        partition.with_committed_offset(offset).with_committed_metadata(Some(text("mine")))
    };
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(WireName(text("t"))).with_partitions(vec![partition(0), partition(9)]);
    let mut request = TxnOffsetCommitRequest::default()
        .with_transactional_id(id("tx"))
        .with_group_id(GroupId(text("g")))
        .with_producer_id(ProducerId(who.0))
        .with_producer_epoch(who.1)
        .with_topics(vec![topic]);
    if version >= 3 {
        request = request.with_generation_id(generation).with_member_id(StrBytes::new());
    }
    let answer: TxnOffsetCommitResponse = client.call(ApiKey::TxnOffsetCommit, version, &request).await;
    answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect()
}

/// The group's offset, or the error.
async fn committed(client: &mut Client, require_stable: bool) -> Result<i64, i16> {
    let topic = OffsetFetchRequestTopic::default().with_name(WireName(text("t"))).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topic]))
        .with_require_stable(require_stable);
    let answer: OffsetFetchResponse = client.call(ApiKey::OffsetFetch, 7, &request).await;
    let partition = &answer.topics[0].partitions[0];
    if partition.error_code == 0 { Ok(partition.committed_offset) } else { Err(partition.error_code) }
}

#[tokio::test]
async fn offsets_of_a_transaction_count_once_it_commits() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    assert_eq!(stage(&mut client, 3, who, -1, 5).await, [48, 48], "the group was not added");
    for version in 0..=3 {
        for commits in [false, true] {
            let before = committed(&mut client, false).await;
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(id("tx"))
                .with_producer_id(ProducerId(who.0))
                .with_producer_epoch(who.1)
                .with_group_id(GroupId(text("g")));
            let answer: AddOffsetsToTxnResponse = client.call(ApiKey::AddOffsetsToTxn, version, &request).await;
            assert_eq!(answer.error_code, 0);
            let offset = 10 + i64::from(version);
            assert_eq!(stage(&mut client, version, who, -1, offset).await, [0, 3]);
            assert_eq!(committed(&mut client, false).await, before);
            assert_eq!(committed(&mut client, true).await, Err(88));
            assert_eq!(end(&mut client, version, who, commits).await, 0);
            assert_eq!(committed(&mut client, true).await, if commits { Ok(offset) } else { before });
        }
    }
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(id("tx"))
        .with_producer_id(ProducerId(who.0))
        .with_producer_epoch(who.1)
        .with_group_id(GroupId(text("g")));
    let _: AddOffsetsToTxnResponse = client.call(ApiKey::AddOffsetsToTxn, 3, &request).await;
    assert_eq!(stage(&mut client, 3, who, 4, 50).await, [25, 25], "a member that is not in the group");
    let fenced = (who.0, who.1 - 1);
    assert_eq!(stage(&mut client, 3, fenced, -1, 50).await, [47, 47]);
}

#[tokio::test]
async fn tools_see_what_is_open() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    let other = init(&mut client, "other").await;
    assert_eq!(add(&mut client, 3, who, "t", &[1, 0]).await, [0, 0]);
    assert_eq!(produce(&mut client, Some("tx"), 0, &batch(who, 0, true, "x")).await, 0);
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id("tx"), id("nobody")]);
    let answer: DescribeTransactionsResponse = client.call(ApiKey::DescribeTransactions, 0, &request).await;
    let [found, missing] = &answer.transaction_states[..] else { panic!("two answers") };
    assert_eq!((found.error_code, found.transaction_state.as_str(), found.transaction_timeout_ms), (0, "Ongoing", 60_000));
    assert_eq!((found.producer_id.0, found.producer_epoch), who);
    assert!(found.transaction_start_time_ms > 0);
    assert_eq!((found.topics[0].topic.as_str(), &found.topics[0].partitions[..]), ("t", &[0, 1][..]));
    assert_eq!(missing.error_code, 105);
    let mut list = async |version, request: ListTransactionsRequest| {
        let answer: ListTransactionsResponse = client.call(ApiKey::ListTransactions, version, &request).await;
        let ids = answer.transaction_states.iter().map(|found| found.transactional_id.as_str().to_owned());
        (ids.collect::<Vec<_>>(), answer.unknown_state_filters.len())
    };
    let all = ListTransactionsRequest::default();
    assert_eq!(list(0, all.clone()).await, (vec!["other".to_owned(), "tx".to_owned()], 0));
    assert_eq!(list(1, all.clone()).await.0.len(), 2);
    assert_eq!(list(0, all.clone().with_state_filters(vec![text("Ongoing")])).await.0, ["tx"]);
    assert_eq!(list(0, all.clone().with_state_filters(vec![text("Empty"), text("Odd")])).await, (vec!["other".to_owned()], 1));
    assert_eq!(list(0, all.clone().with_state_filters(vec![text("Odd")])).await, (Vec::new(), 1));
    assert_eq!(list(0, all.clone().with_producer_id_filters(vec![ProducerId(other.0)])).await.0, ["other"]);
    assert_eq!(list(1, all.clone().with_duration_filter(600_000)).await.0, Vec::<String>::new());
    let topic = TopicRequest::default().with_name(WireName(text("t"))).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let answer: DescribeProducersResponse = client.call(ApiKey::DescribeProducers, 0, &request).await;
    let producer = &answer.topics[0].partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.current_txn_start_offset), (who.0, 0));
}

/// Requests of one connection are answered in order, so what is sent behind an append finds it in the log.
#[tokio::test]
async fn an_end_sent_behind_its_appends_waits_for_them() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let who = init(&mut client, "tx").await;
    assert_eq!(add(&mut client, 3, who, "t", &[0]).await, [0]);
    let mut other = served.connect().await;
    let mut codes = Vec::new();
    for sequence in 0..5 {
        codes.push(produce(&mut client, Some("tx"), 0, &batch(who, sequence, true, "x")).await);
    }
    let (late, ended) = tokio::join!(
        async { produce(&mut client, Some("tx"), 0, &batch(who, 5, true, "x")).await },
        end(&mut other, 3, who, true)
    );
    assert_eq!((codes, ended), (vec![0; 5], 0));
    let in_time = usize::from(late == 0);
    assert!(late == 0 || late == 48, "{late}");
    assert_eq!(visible(&served).await.len(), 5 + in_time, "what was acknowledged is committed");
}
