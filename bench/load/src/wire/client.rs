//! A connection, and the small requests that come before and after the load: topics and offsets. They go through the codec; they are never
//! within what is timed, but for a group's.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ANSWER_WAIT;

/// What is read from the socket at once: large enough for few calls, small enough for the processor's cache.
const READ_BYTES: usize = 256 << 10;
/// The largest answer that goes through the codec.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Timestamps that ListOffsets takes for the first offset and for the next one.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// One connection with one request under way.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
    pub(crate) correlation: i32,
}

impl Client {
    pub(crate) async fn connect(to: &str) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(READ_BYTES, stream), correlation: 0 })
    }

    /// Sends a request and decodes its answer.
    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.correlation += 1;
        let frame = frame(version, self.correlation, request)?;
        let exchange = async {
            self.stream.write_all(&frame).await?;
            read_answer(&mut self.stream).await
        };
        let mut answer = timeout(ANSWER_WAIT, exchange).await.context("no answer in time")??;
        let header = ResponseHeader::decode(&mut answer, api_key::<R>()?.response_header_version(version))?;
        ensure!(header.correlation_id == self.correlation, "an answer to another request came");
        R::Response::decode(&mut answer, version)
    }

    /// Creates a topic; one that is there stays as it is.
    pub(crate) async fn create_topic(&mut self, name: &str, partitions: u16) -> Result<()> {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(i32::from(partitions))
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        for topic in self.call(4, &request).await?.topics {
            if topic.error_code != ResponseError::TopicAlreadyExists.code() {
                check(topic.error_code).with_context(|| format!("creating topic '{name}'"))?;
            }
        }
        Ok(())
    }

    /// The offsets of a topic's partitions, by number.
    pub(crate) async fn offsets(&mut self, name: &str) -> Result<Vec<Range<i64>>> {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        let metadata = self.call(4, &request).await?;
        let topic = metadata.topics.first().context("the metadata has no topic")?;
        check(topic.error_code).with_context(|| format!("looking up topic '{name}'"))?;
        let partitions = i32::try_from(topic.partitions.len())?;
        let starts = self.list_offsets(name, partitions, EARLIEST).await?;
        let ends = self.list_offsets(name, partitions, LATEST).await?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| start..end).collect())
    }

    async fn list_offsets(&mut self, name: &str, partitions: i32, timestamp: i64) -> Result<Vec<i64>> {
        let of = |partition| ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions((0..partitions).map(of).collect());
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let mut answered = self.call(1, &request).await?.topics.pop().context("the answer has no topic")?.partitions;
        answered.sort_by_key(|partition| partition.partition_index);
        ensure!(answered.len() == usize::try_from(partitions)?, "{} partitions were answered", answered.len());
        answered.into_iter().map(|partition| check(partition.error_code).map(|()| partition.offset)).collect()
    }
}

/// A request's frame, its length in front.
pub(crate) fn frame<R: Request>(version: i16, correlation: i32, request: &R) -> Result<BytesMut> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("pinlake-load")));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header.encode(&mut frame, api_key::<R>()?.request_header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Where a frame of [`frame`] has its correlation id.
pub(crate) const CORRELATION: Range<usize> = 8..12;

/// The next small answer, without its length.
pub(crate) async fn read_answer(from: &mut (impl AsyncReadExt + Unpin)) -> Result<Bytes> {
    let length = usize::try_from(from.read_i32().await.context("the server closed the connection")?)?;
    ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes is over the limit of {ANSWER_BYTES_MAX}");
    let mut answer = vec![0; length];
    from.read_exact(&mut answer).await?;
    Ok(answer.into())
}

/// What an error code means, as an error.
pub(crate) fn check(code: i16) -> Result<()> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => bail!("the server answered {error:?} ({code})"),
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn api_key<R: Request>() -> Result<ApiKey> {
    ApiKey::try_from(R::KEY).ok().context("the codec does not know its own request")
}
