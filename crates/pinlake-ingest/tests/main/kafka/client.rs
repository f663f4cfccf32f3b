//! A broker on a log in memory, and connections to it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use pinlake_core::{Batch, BatchBuilder, Clock, Log, MemoryLog, Timestamp, TopicName, TopicSpec};
use pinlake_ingest::groups::{GroupSettings, Groups};
use pinlake_ingest::kafka::{self, Broker, KafkaSettings};
use pinlake_ingest::transactions::{TransactionSettings, Transactions};
use pinlake_ingest::{ClientLog, DoorSettings, Producer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A broker; it ends with the test's runtime.
pub(super) struct Served {
    pub(super) log: Arc<MemoryLog>,
    pub(super) address: SocketAddr,
}

impl Served {
    /// With topic `t` of two partitions; topics whose name starts with `auto` are created when asked for.
    pub(super) async fn start() -> Served {
        Self::start_with(KafkaSettings::default()).await
    }

    pub(super) async fn start_with(settings: KafkaSettings) -> Served {
        let log = Arc::new(MemoryLog::new());
        log.create_topic(&TopicName::new("t").unwrap(), TopicSpec::with_partitions(2)).await.unwrap();
        let shared: Arc<dyn Log> = log.clone();
        let auto = |topic: &TopicName| topic.as_str().starts_with("auto").then(|| TopicSpec::with_partitions(3));
        let groups = Groups::open(shared.clone(), Clock::System, GroupSettings::default()).await.unwrap();
        let clients = Arc::new(ClientLog::new(shared.clone(), &groups));
        let producer = Producer::new(clients, Clock::System, DoorSettings::default().producer, Arc::new(auto));
        let transactions =
            Transactions::open(shared, groups.clone(), Clock::System, TransactionSettings::default()).await.unwrap();
        let broker = Arc::new(Broker::new(Arc::new(producer), groups, transactions, settings).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(kafka::serve(vec![listener], broker, std::future::pending()));
        Served { log, address }
    }

    pub(super) async fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).await.unwrap())
    }
}

/// One connection.
pub(super) struct Client<S = TcpStream> {
    pub(super) stream: S,
    correlation: i32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a stream that is connected.
    pub(super) fn over(stream: S) -> Self {
        Self { stream, correlation: 0 }
    }

    /// Sends a request and decodes its answer.
    pub(super) async fn call<A: Decodable>(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> A {
        let correlation = self.send(key, version, request).await;
        self.receive(key, version, correlation).await
    }

    /// Sends a request; answers its correlation id.
    pub(super) async fn send(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> i32 {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, key.request_header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        let length = i32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await.unwrap();
        self.correlation
    }

    /// The next answer, which must be to this request.
    pub(super) async fn receive<A: Decodable>(&mut self, key: ApiKey, version: i16, correlation: i32) -> A {
        let mut frame = self.frame().await.expect("the broker answers");
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version)).unwrap();
        assert_eq!(header.correlation_id, correlation);
        let answer = A::decode(&mut frame, version).unwrap();
        assert_eq!(frame.remaining(), 0, "the answer is {version}'s");
        answer
    }

    /// The next frame, `None` if the broker has closed the connection.
    pub(super) async fn frame(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }
}

/// A batch of these values, stamped one after the other from `at` on.
pub(super) fn batch(values: &[&str], at: i64) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(at));
    for (value, delta) in values.iter().zip(0..) {
        builder.push_at(Timestamp(at + delta), None, Some(value.as_bytes()));
    }
    builder.build().unwrap()
}
