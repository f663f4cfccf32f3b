//! What a producer's transactions leave in a cluster is read as in Pinlake's own log: by confluent-kafka's producer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use pinlake_core::testing::log_contract::transactions::read_all_committed;
use pinlake_core::testing::log_contract::{batch, kept_topic};
use pinlake_core::{Batch, Log, Offset, ReadLimit};

use super::noida::Noida;
use super::python;

/// Commits two records, aborts two, and leaves one open until it is told to commit.
const PRODUCER: &str = "\
import sys
from confluent_kafka import Producer
producer = Producer({'bootstrap.servers': sys.argv[1], 'transactional.id': 'x', 'linger.ms': 0})
producer.init_transactions()
def transaction(*values):
    producer.begin_transaction()
    for value in values:
        producer.produce('t', value, partition=0)
        producer.flush()
transaction('0', '1')
producer.commit_transaction()
transaction('gone', 'too')
producer.abort_transaction()
transaction('8')
print('open', flush=True)
sys.stdin.readline()
producer.commit_transaction()
print('done', flush=True)
";

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_committed_records_see_what_a_producer_committed() {
    let Some(broker) = Noida::start() else { return };
    let Some(python) = python() else { return };
    let log = broker.empty().await;
    let from = kept_topic(&log, "t", 1).await.partition(0);
    let mut command = Command::new(python);
    command.args(["-c", PRODUCER, &broker.address]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut producer = command.spawn().unwrap();
    let mut said = BufReader::new(producer.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "open");

    // Two records and a marker, twice; then the open one.
    assert_eq!(log.stable_end(&from).await.unwrap(), Offset(6));
    assert_eq!(log.range(&from).await.unwrap().end, Offset(7));
    log.append(&from, batch(&["plain"], 1)).await.unwrap();
    let committed = [(0, "0".to_owned()), (1, "1".to_owned())];
    assert_eq!(read_all_committed(&log, &from, Offset::ZERO).await, committed);
    let read = log.read_committed(&from, Offset::ZERO, ReadLimit::default(), Duration::ZERO).await.unwrap();
    let aborted: Vec<(Offset, Offset)> = read.aborted.iter().map(|aborted| (aborted.first, aborted.last)).collect();
    assert_eq!(aborted, [(Offset(3), Offset(5))]);
    assert!(read.batches.iter().filter(|batch| batch.is_control()).count() == 2, "markers are batches of their own");

    let waiting = log.read_committed(&from, Offset(6), ReadLimit::default(), Duration::from_secs(60));
    let commit = async { writeln!(producer.stdin.take().unwrap()).unwrap() };
    let (read, ()) = tokio::join!(waiting, commit);
    assert_eq!(read.unwrap().batches[0].base_offset(), Offset(6));
    assert_eq!(said.next().unwrap().unwrap(), "done");
    assert!(producer.wait().unwrap().success());
    // At once: noida-db also tells of aborted transactions whose marker lies before what is read, which Kafka does not, and so hides what the same
    // producer committed later.
    let read = log.read_committed(&from, Offset::ZERO, ReadLimit::default(), Duration::ZERO).await.unwrap().visible();
    let values = read.iter().flat_map(Batch::records).map(|record| record.unwrap().value.unwrap().to_vec());
    assert_eq!(values.collect::<Vec<_>>(), [&b"0"[..], b"1", b"8", b"plain"]);
}
