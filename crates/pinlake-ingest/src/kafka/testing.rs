//! The wire protocol without a socket, for fuzz targets and the tests that replay their finds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use pinlake_core::testing::shape_contract::{Filling, made};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::broker::Broker;
use super::connection::{self, Ends};
use super::shape::REQUESTS;
use super::versions::APIS;

/// ApiVersions, version 0, which everybody may ask for.
const PROBE: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Serves what one client sends, and then whether the broker still answers another.
pub(crate) async fn converse(broker: &Arc<Broker>, sent: &[u8]) {
    answers(broker, sent).await;
    assert_eq!(answers(broker, PROBE).await.len(), 1, "another client has its answer");
}

/// The answers to what a client sends, who then stays until it is cut off.
async fn answers(broker: &Arc<Broker>, sent: &[u8]) -> Vec<Bytes> {
    let (theirs, serving) = connect(broker, 64 << 10);
    let (mut reader, mut writer) = tokio::io::split(theirs);
    // Whoever is cut off may send no more.
    let sending = async { writer.write_all(sent).await.is_ok() };
    let receiving = async {
        let mut frames = Vec::new();
        while let Ok(length) = reader.read_i32().await {
            let mut frame = vec![0; usize::try_from(length).expect("a frame's length")];
            reader.read_exact(&mut frame).await.expect("a frame is whole");
            frames.push(frame.into());
        }
        frames
    };
    let (_, frames) = tokio::join!(sending, receiving);
    serving.await.expect("a connection ends without a panic");
    frames
}

/// Connects a client: its end of a stream, on which so many bytes fit each way, and the task that serves it.
pub(crate) fn connect(broker: &Arc<Broker>, bytes: usize) -> (DuplexStream, JoinHandle<()>) {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 9092));
    let (ours, theirs) = tokio::io::duplex(bytes);
    let (closing, is_closing) = watch::channel(false);
    let broker = broker.clone();
    let serving = tokio::spawn(async move {
        connection::serve(ours, broker, Ends { local, peer: local }, is_closing).await;
        drop(closing);
    });
    (theirs, serving)
}

/// A request of every API in every version, as `key`, `version` and bytes without a frame. All its texts are `text`, all its numbers
/// `number`, all its bytes `bytes`.
pub(crate) fn requests(text: &str, number: u8, bytes: &[u8]) -> Vec<(ApiKey, i16, Vec<u8>)> {
    let versions = APIS.iter().flat_map(|api| (api.served_from..=api.to).map(|version| (api.key, version)));
    let request = |(key, version): (ApiKey, i16)| {
        let filling = Filling { elements: 1, text: text.as_bytes(), bytes, number };
        let mut request = [(key as i16).to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 1], [0xff, 0xff]].concat();
        if key.request_header_version(version) >= 2 {
            request.push(0);
        }
        request.extend(made(&REQUESTS, key as i16, version, filling));
        (key, version, request)
    };
    versions.map(request).collect()
}
