//! A broker with topic `t`, one partition, that leads it itself. Each request is answered, or met by the next of what it was told to do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResponse, DescribeConfigsResult};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, BrokerId, DescribeConfigsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, ProducerId, RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use pinlake_core::{Batch, Offset, ProducerSequence};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What meets a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It is done, and the connection closed before the answer.
    DoAndClose,
    /// It is done, and never answered.
    DoInSilence,
    /// It is done, and the answer is cut in the middle.
    DoAndCut,
    /// It is done, and the answer has another's number.
    DoAndMix,
    /// It is done, and the answer has nothing but its number.
    DoAndEmpty,
    /// The connection is closed.
    Close,
    /// It fails with a code.
    Code(i16),
    /// These bytes are sent, and nothing is done.
    Bytes(Vec<u8>),
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// What meets the next requests of an API.
    pub(super) acts: HashMap<i16, VecDeque<Act>>,
    /// What is offered; all that it knows if empty.
    pub(super) offered: Vec<(ApiKey, i16, i16)>,
    /// The partition.
    pub(super) batches: Vec<Batch>,
    /// Every number that was sent, by its producer.
    pub(super) sent: Vec<ProducerSequence>,
    /// How many connections were made.
    pub(super) connections: usize,
    /// What Fetch answers instead of the partition.
    pub(super) records: Option<Bytes>,
    /// What a login is answered, one message after the other; nothing then.
    pub(super) logins: VecDeque<Bytes>,
    /// What the next answer of ListOffsets says of quiet, in milliseconds.
    pub(super) throttle_ms: i32,
    /// How many answers of Metadata say that the topic is not there.
    pub(super) absent: usize,
    /// How many requests of each API came.
    pub(super) asked: HashMap<i16, usize>,
    next_producer: i64,
}

pub(super) struct Fake {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
    /// Told of every request that came.
    pub(super) came: Arc<Notify>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (state, came) = (Arc::new(Mutex::new(State::default())), Arc::new(Notify::new()));
        let (shared, notify, own) = (state.clone(), came.clone(), address.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, shared.clone(), notify.clone(), own.clone()));
            }
        });
        Self { address, state, came }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What meets the next requests of an API.
    pub(super) fn next(&self, api: ApiKey, acts: &[Act]) {
        self.state().acts.entry(api as i16).or_default().extend(acts.iter().cloned());
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, came: Arc<Notify>, address: String) {
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            return;
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut frame).await.unwrap();
        let (answer, close) = meet(Bytes::from(frame), &mut state.lock().unwrap(), &address);
        came.notify_one();
        if !answer.is_empty() && stream.write_all(&answer).await.is_err() {
            return;
        }
        if close {
            return;
        }
    }
}

/// The bytes to send, and whether the connection ends then.
fn meet(mut frame: Bytes, state: &mut State, address: &str) -> (Vec<u8>, bool) {
    let (key, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
    let correlation = i32::from_be_bytes(frame[4..8].try_into().unwrap());
    let api = ApiKey::try_from(key).unwrap();
    if let Some((.., most)) = state.offered.iter().find(|(offered, ..)| *offered == api).filter(|(.., most)| *most < version) {
        assert_eq!((api, *most), (ApiKey::ApiVersions, 0), "only that is asked in a version that is not known");
        let refused = ApiVersionsResponse::default().with_error_code(35);
        return (framed::<ApiVersionsRequest>(correlation, &refused, 0), false);
    }
    *state.asked.entry(key).or_default() += 1;
    RequestHeader::decode(&mut frame, api.request_header_version(version)).unwrap();
    let act = state.acts.get_mut(&key).and_then(VecDeque::pop_front);
    let code = match &act {
        Some(Act::Close) => return (Vec::new(), true),
        Some(Act::Bytes(bytes)) => return (bytes.clone(), false),
        Some(Act::Code(code)) => *code,
        _ => 0,
    };
    let mut answer = answer(api, version, correlation, &mut frame, code, state, address);
    match act {
        Some(Act::DoAndClose) => (Vec::new(), true),
        Some(Act::DoInSilence) => (Vec::new(), false),
        Some(Act::DoAndCut) => (answer[..answer.len() / 2].to_vec(), true),
        Some(Act::DoAndMix) => {
            answer[7] ^= 1;
            (answer, false)
        }
        Some(Act::DoAndEmpty) => ([&4_i32.to_be_bytes()[..], &answer[4..8]].concat(), false),
        _ => (answer, false),
    }
}

fn answer(api: ApiKey, version: i16, correlation: i32, body: &mut Bytes, code: i16, state: &mut State, address: &str) -> Vec<u8> {
    match api {
        ApiKey::ApiVersions => framed::<ApiVersionsRequest>(correlation, &versions(state), version),
        ApiKey::Metadata => {
            MetadataRequest::decode(body, version).unwrap();
            framed::<MetadataRequest>(correlation, &metadata(address, state), version)
        }
        ApiKey::InitProducerId => {
            InitProducerIdRequest::decode(body, version).unwrap();
            state.next_producer += 1;
            let given = InitProducerIdResponse::default().with_error_code(code).with_producer_id(ProducerId(state.next_producer));
            framed::<InitProducerIdRequest>(correlation, &given, version)
        }
        ApiKey::Produce => framed::<ProduceRequest>(correlation, &produce(body, version, code, state), version),
        ApiKey::Fetch => framed::<FetchRequest>(correlation, &fetch(body, version, code, state), version),
        ApiKey::ListOffsets => framed::<ListOffsetsRequest>(correlation, &list_offsets(body, version, code, state), version),
        ApiKey::DescribeConfigs => {
            let asked = DescribeConfigsRequest::decode(body, version).unwrap();
            let name = asked.resources[0].resource_name.clone();
            let result = DescribeConfigsResult::default().with_error_code(code).with_resource_type(2).with_resource_name(name);
            let answer = DescribeConfigsResponse::default().with_results(vec![result]);
            framed::<DescribeConfigsRequest>(correlation, &answer, version)
        }
        ApiKey::SaslHandshake => framed::<SaslHandshakeRequest>(correlation, &Default::default(), version),
        ApiKey::SaslAuthenticate => {
            let said = state.logins.pop_front().unwrap_or_default();
            let answer = SaslAuthenticateResponse::default().with_error_code(code).with_auth_bytes(said);
            framed::<SaslAuthenticateRequest>(correlation, &answer, version)
        }
        other => panic!("{other:?} is not expected"),
    }
}

fn versions(state: &State) -> ApiVersionsResponse {
    let all = [
        (ApiKey::Produce, 0, 9),
        (ApiKey::Fetch, 0, 12),
        (ApiKey::ListOffsets, 0, 7),
        (ApiKey::Metadata, 0, 12),
        (ApiKey::InitProducerId, 0, 4),
        (ApiKey::ApiVersions, 0, 3),
    ];
    let offered = if state.offered.is_empty() { &all[..] } else { &state.offered };
    let range = |(api, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(*api as i16).with_min_version(*min).with_max_version(*max)
    };
    ApiVersionsResponse::default().with_api_keys(offered.iter().map(range).collect())
}

fn metadata(address: &str, state: &mut State) -> MetadataResponse {
    let (host, port) = address.rsplit_once(':').unwrap();
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(port.parse().unwrap());
    let partition = MetadataResponsePartition::default().with_leader_id(BrokerId(1));
    let is_absent = state.absent > 0;
    state.absent = state.absent.saturating_sub(1);
    let (code, partitions) = if is_absent { (3, Vec::new()) } else { (0, vec![partition]) };
    let topic = MetadataResponseTopic::default().with_name(Some(topic())).with_error_code(code).with_partitions(partitions);
    MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(BrokerId(1)).with_topics(vec![topic])
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

/// Appends as a broker does: a number that is there already is answered with its place.
fn produce(body: &mut Bytes, version: i16, code: i16, state: &mut State) -> ProduceResponse {
    let request = ProduceRequest::decode(body, version).unwrap();
    assert_eq!((request.acks, request.transactional_id), (-1, None));
    let batch = Batch::parse(request.topic_data[0].partition_data[0].records.clone().unwrap()).unwrap();
    assert_eq!(batch.base_offset(), Offset::ZERO);
    let number = batch.producer().unwrap();
    state.sent.push(number);
    let mut response = PartitionProduceResponse::default().with_error_code(code).with_base_offset(-1);
    if code == 0 {
        let there = state.batches.iter().find(|there| there.producer() == Some(number)).map(Batch::base_offset);
        let base = there.unwrap_or_else(|| {
            let end = end(state);
            state.batches.push(batch.at(end));
            end
        });
        response = response.with_base_offset(base.0);
    }
    let topic = TopicProduceResponse::default().with_name(topic()).with_partition_responses(vec![response]);
    ProduceResponse::default().with_responses(vec![topic])
}

fn fetch(body: &mut Bytes, version: i16, code: i16, state: &State) -> FetchResponse {
    let request = FetchRequest::decode(body, version).unwrap();
    let at = Offset(request.topics[0].partitions[0].fetch_offset);
    let from = state.batches.iter().filter(|batch| batch.offsets().end > at);
    let records = state.records.clone().unwrap_or_else(|| Bytes::from_iter(from.flat_map(|batch| batch.bytes().to_vec())));
    let data = PartitionData::default().with_error_code(code).with_high_watermark(end(state).0).with_records(Some(records));
    let topic = FetchableTopicResponse::default().with_topic(topic()).with_partitions(vec![data]);
    FetchResponse::default().with_responses(vec![topic])
}

fn list_offsets(body: &mut Bytes, version: i16, code: i16, state: &mut State) -> ListOffsetsResponse {
    let request = ListOffsetsRequest::decode(body, version).unwrap();
    let offset = if request.topics[0].partitions[0].timestamp == -2 { 0 } else { end(state).0 };
    let partition = ListOffsetsPartitionResponse::default().with_error_code(code).with_offset(offset);
    let topic = ListOffsetsTopicResponse::default().with_name(topic()).with_partitions(vec![partition]);
    ListOffsetsResponse::default().with_throttle_time_ms(std::mem::take(&mut state.throttle_ms)).with_topics(vec![topic])
}

fn end(state: &State) -> Offset {
    state.batches.last().map_or(Offset::ZERO, |last| last.offsets().end)
}

fn framed<R: Request>(correlation: i32, response: &R::Response, version: i16) -> Vec<u8> {
    let mut frame = BytesMut::from(&[0; 4][..]);
    frame.extend_from_slice(&correlation.to_be_bytes());
    if R::Response::header_version(version) > 0 {
        frame.extend_from_slice(&[0]);
    }
    response.encode(&mut frame, version).unwrap();
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.to_vec()
}
