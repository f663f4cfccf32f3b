//! A broker on a log in memory, to which connections are made.

use std::net::SocketAddr;
use std::sync::Arc;

use pinlake_core::{Batch, BatchBuilder, Clock, Log, MemoryLog, Timestamp, TopicName, TopicSpec};
use pinlake_ingest::groups::{GroupSettings, Groups};
use pinlake_ingest::kafka::{self, Broker, KafkaSettings};
use pinlake_ingest::transactions::{TransactionSettings, Transactions};
use pinlake_ingest::{ClientLog, DoorSettings, Producer};
use tokio::net::{TcpListener, TcpStream};

pub(super) use pinlake_ingest::testing::wire::Client;

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
        let broker = broker(log.clone(), log.clone(), settings).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(kafka::serve(vec![listener], broker, std::future::pending()));
        Served { log, address }
    }

    pub(super) async fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).await.unwrap())
    }
}

/// A broker on `log`, whose groups and transactions are kept in `state`.
pub(super) async fn broker(log: Arc<dyn Log>, state: Arc<dyn Log>, settings: KafkaSettings) -> Arc<Broker> {
    let auto = |topic: &TopicName| topic.as_str().starts_with("auto").then(|| TopicSpec::with_partitions(3));
    let groups = Groups::open(state.clone(), Clock::System, GroupSettings::default()).await.unwrap();
    let clients = Arc::new(ClientLog::new(log, &groups));
    let producer = Producer::new(clients, Clock::System, DoorSettings::default().producer, Arc::new(auto));
    let transactions = Transactions::open(state, groups.clone(), Clock::System, TransactionSettings::default()).await.unwrap();
    Arc::new(Broker::new(Arc::new(producer), groups, transactions, settings).await.unwrap())
}

/// A batch of these values, stamped one after the other from `at` on.
pub(super) fn batch(values: &[&str], at: i64) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(at));
    for (value, delta) in values.iter().zip(0..) {
        builder.push_at(Timestamp(at + delta), None, Some(value.as_bytes()));
    }
    builder.build().unwrap()
}
