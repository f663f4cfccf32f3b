//! A client of Kafka's wire protocol for tests: it sends one message and shows the answer, and it unpacks what a fetch brought as consumers do. It must not retry, pipeline or hide anything by itself: that is what the tests are about.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::AbortedTransaction;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use pinlake_core::{Batch, Marker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use crate::kafka::{self, Broker};

/// One connection to a broker.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    /// The stream under it, for bytes that are no request.
    pub stream: S,
    correlation: i32,
}

impl Client<DuplexStream> {
    /// To a broker without a socket. So many bytes fit between them each way, before whoever writes waits for the other to read.
    pub fn to(broker: &Arc<Broker>, bytes: usize) -> Self {
        Self::over(kafka::testing::connect(broker, bytes).0)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a stream that is connected.
    pub fn over(stream: S) -> Self {
        Self { stream, correlation: 0 }
    }

    /// Sends a request and decodes its answer.
    pub async fn call<A: Decodable>(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> A {
        let correlation = self.send(key, version, request).await;
        self.receive(key, version, correlation).await
    }

    /// Sends a request; answers its correlation id.
    pub async fn send(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> i32 {
        self.try_send(key, version, request).await.unwrap()
    }

    /// The next answer, which must be to this request.
    pub async fn receive<A: Decodable>(&mut self, key: ApiKey, version: i16, correlation: i32) -> A {
        self.try_receive(key, version, correlation).await.expect("the broker answers")
    }

    /// [`Client::send`] to a broker that may be gone.
    pub async fn try_send(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> io::Result<i32> {
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
        self.stream.write_all(&frame).await?;
        Ok(self.correlation)
    }

    /// [`Client::receive`] from a broker that may be gone.
    pub async fn try_receive<A: Decodable>(&mut self, key: ApiKey, version: i16, correlation: i32) -> io::Result<A> {
        let mut frame = self.try_frame().await?;
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version)).unwrap();
        assert_eq!(header.correlation_id, correlation);
        let answer = A::decode(&mut frame, version).unwrap();
        assert_eq!(frame.remaining(), 0, "the answer is {version}'s");
        Ok(answer)
    }

    /// The next frame, `None` if the broker has closed the connection.
    pub async fn frame(&mut self) -> Option<Bytes> {
        self.try_frame().await.ok()
    }

    async fn try_frame(&mut self) -> io::Result<Bytes> {
        let length = self.stream.read_i32().await?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.into())
    }
}

/// The batches of one partition in a fetch's answer, which must be whole.
pub fn batches(mut records: Bytes) -> Vec<Batch> {
    let mut found = Vec::new();
    while let Some(length) = Batch::claimed_len(&records) {
        found.push(Batch::parse(records.split_to(length)).unwrap());
    }
    assert!(records.is_empty(), "only whole batches");
    found
}

/// The batches that a consumer of committed records takes of a fetch's answer: those of the aborted transactions that it names are left out from
/// their first offset to their marker, and so are the markers.
pub fn committed(batches: Vec<Batch>, mut aborted: Vec<AbortedTransaction>) -> Vec<Batch> {
    aborted.sort_by_key(|transaction| transaction.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut open = Vec::new();
    let mut found = Vec::new();
    for batch in batches {
        let begun = |transaction: &AbortedTransaction| transaction.first_offset < batch.offsets().end.0;
        while let Some(transaction) = aborted.next_if(begun) {
            open.push(transaction.producer_id.0);
        }
        let producer = batch.producer().map(|sequence| sequence.id);
        if batch.is_control() {
            if batch.ends_transaction() == Some(Marker::Abort) {
                open.retain(|id| Some(*id) != producer);
            }
        } else if !(batch.is_transactional() && producer.is_some_and(|id| open.contains(&id))) {
            found.push(batch);
        }
    }
    found
}
