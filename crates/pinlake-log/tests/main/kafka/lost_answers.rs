//! A real broker behind a connection that loses answers: each acknowledged record is there once and in order, and so is what was sent by many at
//! once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, MetadataResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use pinlake_core::testing::log_contract::{batch, kept_topic, read_all};
use pinlake_core::{Log, Offset};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::connect;
use super::noida::Noida;

/// Between a client and a broker: passes everything on but some answers, and says that it is the broker itself.
struct Losing {
    address: String,
    /// Answers of Produce so far; every third is lost, and its connection with it.
    produced: Arc<AtomicUsize>,
}

/// The API and version of each request under way, by its number.
type Asked = Arc<Mutex<HashMap<i32, (i16, i16)>>>;

impl Losing {
    async fn before(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, produced) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
        let (own, count, broker) = (address.clone(), produced.clone(), broker.to_owned());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (own, count, broker) = (own.clone(), count.clone(), broker.clone());
                tokio::spawn(async move {
                    let broker = TcpStream::connect(broker).await.unwrap();
                    pass_on(client, broker, &own, &count).await;
                });
            }
        });
        Self { address, produced }
    }
}

async fn frame(from: &mut (impl AsyncReadExt + Unpin)) -> Option<BytesMut> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.ok()?;
    let mut frame = BytesMut::zeroed(usize::try_from(i32::from_be_bytes(length)).unwrap());
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn send(to: &mut (impl AsyncWriteExt + Unpin), frame: &[u8]) -> Option<()> {
    to.write_all(&i32::try_from(frame.len()).unwrap().to_be_bytes()).await.ok()?;
    to.write_all(frame).await.ok()
}

async fn pass_on(client: TcpStream, broker: TcpStream, own: &str, produced: &AtomicUsize) {
    let asked = Asked::default();
    let ((mut client_in, mut client_out), (mut broker_in, mut broker_out)) = (client.into_split(), broker.into_split());
    let requests = async {
        while let Some(request) = frame(&mut client_in).await {
            let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let correlation = i32::from_be_bytes(request[4..8].try_into().unwrap());
            asked.lock().unwrap().insert(correlation, (number(0), number(2)));
            if send(&mut broker_out, &request).await.is_none() {
                break;
            }
        }
    };
    let answers = async {
        while let Some(answer) = frame(&mut broker_in).await {
            let correlation = i32::from_be_bytes(answer[..4].try_into().unwrap());
            let (key, version) = asked.lock().unwrap().remove(&correlation).unwrap();
            if key == ApiKey::Produce as i16 && produced.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
                break;
            }
            let answer = if key == ApiKey::Metadata as i16 { as_own(answer.freeze(), version, own) } else { answer };
            if send(&mut client_out, &answer).await.is_none() {
                break;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

/// The same answer with the broker at another address.
fn as_own(mut answer: Bytes, version: i16, own: &str) -> BytesMut {
    let header_version = MetadataResponse::header_version(version);
    let header = ResponseHeader::decode(&mut answer, header_version).unwrap();
    let mut metadata = MetadataResponse::decode(&mut answer, version).unwrap();
    let (host, port) = own.rsplit_once(':').unwrap();
    metadata.brokers[0].host = StrBytes::from_string(host.to_owned());
    metadata.brokers[0].port = port.parse().unwrap();
    let mut out = BytesMut::new();
    header.encode(&mut out, header_version).unwrap();
    metadata.encode(&mut out, version).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_double_and_lose_nothing() {
    let Some(broker) = Noida::start() else { return };
    drop(broker.empty().await);
    let losing = Losing::before(&broker.address).await;
    let log = Arc::new(connect(&losing.address).await);
    let name = kept_topic(&*log, "t", 3).await;
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let (log, to) = (log.clone(), name.partition(writer % 3));
            tokio::spawn(async move {
                let mut placed = Vec::new();
                for turn in 0..12 {
                    let value = format!("{writer}-{turn}");
                    let offsets = log.append(&to, batch(&[&value], 1)).await.unwrap();
                    placed.push((to.partition.0, offsets.start.0, value));
                }
                placed
            })
        })
        .collect();
    let mut placed = Vec::new();
    for writer in writers {
        let own = writer.await.unwrap();
        assert!(own.is_sorted_by_key(|(_, offset, _)| *offset), "one writer's appends keep their order");
        placed.extend(own);
    }
    let mut found = Vec::new();
    for number in 0..3 {
        let records = read_all(&*log, &name.partition(number), Offset::ZERO).await;
        found.extend(records.into_iter().map(|(offset, value)| (number, offset, value)));
    }
    placed.sort();
    assert_eq!(found, placed);
    let answers = losing.produced.load(Ordering::SeqCst);
    assert!(answers > placed.len(), "answers were lost: {answers} came for {} appends", placed.len());
}
