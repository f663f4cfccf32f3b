//! Listens for connections of the wire protocol, as many as may be, and ends them in order at a shutdown.

use std::future::Future;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::broker::Broker;
use super::{connection, metrics};
use crate::http_server::{StallGuard, accepted};

/// Serves `broker` on all `listeners` until `shutdown` is there; then takes no more connections, lets requests under way be answered within
/// the drain timeout, and cuts off the rest. Answers how many connections were cut off.
pub async fn serve(listeners: Vec<TcpListener>, broker: Arc<Broker>, shutdown: impl Future<Output = ()>) -> usize {
    metrics::describe();
    if listeners.is_empty() {
        shutdown.await;
        return 0;
    }
    let places = Arc::new(Semaphore::new(broker.settings.connections_max));
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = futures::future::select_all(listeners.iter().map(|listener| Box::pin(accepted(|| listener.accept()))));
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            (accepted, _, _) = next => accepted,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics::observe_refusal("too_many_connections");
            continue;
        };
        // Answers are small and wait for nothing else.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { continue };
        let (broker, closing) = (broker.clone(), closing.subscribe());
        connections.spawn(async move {
            metrics::observe_connection(1.0);
            let stream = StallGuard::new(stream, broker.settings.write_stall_timeout);
            serve_one(stream, broker, connection::Ends { local, peer }, closing).await;
            metrics::observe_connection(-1.0);
            drop(place);
        });
    }
    drop(listeners);
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(broker.settings.drain_timeout, drained).await.is_ok();
    let cut_off = if in_time { 0 } else { connections.len() };
    connections.shutdown().await;
    cut_off
}

/// Serves a connection, encrypted if that is set.
async fn serve_one(stream: StallGuard<TcpStream>, broker: Arc<Broker>, ends: connection::Ends, closing: watch::Receiver<bool>) {
    let Some(tls) = broker.settings.tls.clone() else { return connection::serve(stream, broker, ends, closing).await };
    match timeout(broker.settings.handshake_timeout, tls.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(stream, broker, ends, closing).await,
        Ok(Err(error)) => {
            metrics::observe_refusal("tls");
            tracing::info!(peer = %ends.peer, "connection cut off: {error}");
        }
        Err(_) => metrics::observe_refusal("tls"),
    }
}
