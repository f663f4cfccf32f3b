//! Kafka's clients of the run, which work through all kills: what they share, and what must be there in the end of all that they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pinlake_core::{BatchBuilder, Clock, ProducerSequence, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::members::{self, Standing};
use super::{Log, numbered, transacted};
use crate::server::Server;
use crate::wire::{Isolation, Place, Trouble, Who, Wire};

/// The idempotent producer's topic, which feeds the table `geo`.
pub(super) const NUMBERED: &str = "wire.geo";
/// The transactional producer's topic, which feeds the table `pin`.
pub(super) const TRANSACTED: &str = "wire.pin";
const PARTITIONS: i32 = 2;
/// How long clients may take until they were told something: far more than they ever need, so that a hang has a name.
const PROGRESS_WAIT: Duration = Duration::from_secs(120);
/// How often a client may be refused one after the other, with a code that says to try again.
const REFUSALS_MAX: u32 = 400;
/// Before a client tries again.
const PAUSE: Duration = Duration::from_millis(25);

/// Kafka's codes after which a client tries the same again.
const TRY_AGAIN: [i16; 11] = [5, 6, 7, 14, 15, 16, 19, 20, 51, 56, 88];

/// What the clients were told so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) batches: u64,
    pub(super) transactions: u64,
    pub(super) commits: u64,
    /// How many ends of transactions were asked for, and whether the last is without an answer.
    pub(super) ends: u64,
    pub(super) is_ending: bool,
    /// Transactions that trouble met: those that went on, those that a new life of their producer ended, and those of these whose end nobody said.
    pub(super) resumed: u64,
    pub(super) ended: u64,
    pub(super) undecided: u64,
}

impl Progress {
    fn is_past(&self, before: &Progress) -> bool {
        self.batches > before.batches && self.transactions > before.transactions && self.commits > before.commits
    }
}

/// What all clients share.
pub(super) struct Shared {
    address: String,
    /// The time of the first record.
    pub(super) began: Timestamp,
    stopped: AtomicBool,
    pub(super) told: watch::Sender<Progress>,
}

impl Shared {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A connection, once the server is there.
    pub(super) async fn connect(&self) -> Wire {
        loop {
            match Wire::connect(&self.address).await {
                Ok(wire) => return wire,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// A batch of records with these values of `ind`, numbered as the producer's next.
    pub(super) fn batch(
        &self,
        who: Who,
        first: i32,
        is_transactional: bool,
        keys: impl Iterator<Item = i64>,
    ) -> pinlake_core::Batch {
        let mut builder = BatchBuilder::new(self.began);
        builder.set_producer(ProducerSequence { id: who.id, epoch: who.epoch, first });
        if is_transactional {
            builder.set_transactional();
        }
        for key in keys {
            builder.push(Some(key.to_string().as_bytes()), Some(json!({"ind": key}).to_string().as_bytes()));
        }
        builder.build().unwrap()
    }
}

/// Tries until it is told something else than to try again, each time over a new connection after trouble.
pub(super) struct Patience {
    shared: Arc<Shared>,
    refusals: u32,
}

impl Patience {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, refusals: 0 }
    }

    /// It went on.
    pub(super) fn renew(&mut self) {
        self.refusals = 0;
    }

    /// A new connection after `trouble`, which must be one that passes.
    pub(super) async fn after(&mut self, what: &str, trouble: Trouble) -> Wire {
        if let Trouble::Refused(code) = trouble {
            assert!(TRY_AGAIN.contains(&code), "{what}: refused with {code}, after which a client gives up");
            self.refusals += 1;
            assert!(self.refusals < REFUSALS_MAX, "{what}: refused with {code} over and over");
            tokio::time::sleep(PAUSE).await;
        }
        self.shared.connect().await
    }
}

/// The clients while they work.
pub(super) struct Clients {
    shared: Arc<Shared>,
    standing: Arc<Standing>,
    numbered: JoinHandle<[Vec<i64>; 2]>,
    transacted: JoinHandle<Vec<bool>>,
    members: Vec<JoinHandle<()>>,
    /// For whoever waits for them.
    pub(super) waits: Waits,
}

/// Waits for what the clients are told.
#[derive(Clone)]
pub(super) struct Waits(watch::Receiver<Progress>);

impl Waits {
    /// Until each kind of client was told something new.
    pub(super) async fn all_went_on(&self) {
        let mut told = self.0.clone();
        let before = *told.borrow_and_update();
        let went_on = timeout(PROGRESS_WAIT, told.wait_for(|now| now.is_past(&before))).await.is_ok();
        assert!(went_on, "a client hangs: from {before:?} to {:?} in {PROGRESS_WAIT:?}", *self.0.borrow());
    }

    /// Until the end of a transaction is asked for.
    pub(super) async fn an_end_begins(&self) {
        let mut told = self.0.clone();
        let before = told.borrow_and_update().ends;
        let began = timeout(PROGRESS_WAIT, told.wait_for(|now| now.ends > before)).await.is_ok();
        assert!(began, "no transaction ends in {PROGRESS_WAIT:?}");
    }

    /// Whether the end of a transaction is asked for and not answered.
    pub(super) fn is_ending(&self) -> bool {
        self.0.borrow().is_ending
    }
}

impl Clients {
    /// Lets them work.
    pub(super) async fn start(address: &str) -> Clients {
        let mut wire = Wire::connect(address).await.unwrap();
        for topic in [NUMBERED, TRANSACTED] {
            wire.create_topic(topic, PARTITIONS).await.unwrap();
        }
        let (told, progress) = watch::channel(Progress::default());
        let began = Clock::System.now();
        let shared = Arc::new(Shared { address: address.to_owned(), began, stopped: AtomicBool::new(false), told });
        let standing = Arc::new(Standing::default());
        let member = |_| tokio::spawn(members::read(shared.clone(), standing.clone()));
        Clients {
            numbered: tokio::spawn(numbered::produce(shared.clone())),
            transacted: tokio::spawn(transacted::produce(shared.clone())),
            members: (0..2).map(member).collect(),
            standing,
            waits: Waits(progress),
            shared,
        }
    }

    /// Ends them: nothing that they sent is without an answer then, and the group has read to the end.
    pub(super) async fn stop(self) -> Worked {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let (acked, committed) = (self.numbered.await.unwrap(), self.transacted.await.unwrap());
        let mut wire = self.shared.connect().await;
        let mut ends = BTreeMap::new();
        for place in places() {
            ends.insert(place.clone(), wire.fetch(&place, 0, Isolation::Uncommitted, 0).await.unwrap().high_watermark);
        }
        self.standing.end_at(ends);
        for member in self.members {
            timeout(PROGRESS_WAIT, member).await.expect("the group reads to the end").unwrap();
        }
        Worked { address: self.shared.address.clone(), acked, committed, standing: self.standing, told: *self.waits.0.borrow() }
    }
}

/// All partitions that the clients write to.
pub(super) fn places() -> impl Iterator<Item = Place> {
    [NUMBERED, TRANSACTED].into_iter().flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic.to_owned(), partition)))
}

/// What the clients were told.
pub(super) struct Worked {
    address: String,
    /// Of each partition, where each batch was said to begin.
    acked: [Vec<i64>; 2],
    /// Of each transaction, whether it was committed.
    committed: Vec<bool>,
    standing: Arc<Standing>,
    pub(super) told: Progress,
}

impl Worked {
    /// It is so: in the log as a consumer sees it and as the archive has it, in the tables, and in what `prove` counts.
    pub(super) async fn check(&self, server: &Server, log: &Log, ledger: &Value) {
        let mut wire = Wire::connect(&self.address).await.unwrap();
        let mut keys = BTreeMap::<&str, BTreeSet<i64>>::new();
        for place in places() {
            let found = wire.read_all(&place, Isolation::Committed).await;
            match place.0.as_str() {
                NUMBERED => numbered::check(&place, &self.acked[place.1 as usize], &found),
                _ => transacted::check(&place, &self.committed, &found),
            }
            let shown =
                found.iter().map(|(offset, value)| (u64::try_from(*offset).unwrap(), String::from_utf8(value.to_vec()).unwrap()));
            assert!(shown.eq(log[&(place.0.clone(), place.1 as u64)].values.clone()), "{place:?} is the same at every door");
            self.standing.check(&mut wire, &place, &found).await;
            let topic = if place.0 == NUMBERED { NUMBERED } else { TRANSACTED };
            keys.entry(topic).or_default().extend(found.iter().map(|(_, value)| key(value)));
            check_ledger(ledger, &place, found.len() as u64);
        }
        for (topic, keys) in keys {
            let table = topic.rsplit('.').next().unwrap();
            let rows = server.rows(&format!("SELECT ind FROM \"{table}\" WHERE _topic = '{topic}' ORDER BY ind")).await;
            let rows = rows.iter().map(|row| row[0].as_i64().unwrap());
            assert!(rows.eq(keys), "{table} holds what consumers of {topic} see, each record once");
        }
    }
}

/// No record of the place was set aside, taken twice or taken although it was not committed.
fn check_ledger(ledger: &Value, place: &Place, records: u64) {
    let lines = ledger["tables"].as_array().unwrap().iter().flat_map(|table| table["partitions"].as_array().unwrap());
    let mut of_place = lines.filter(|line| line["topic"] == place.0 && line["partition"] == place.1);
    let line = of_place.next().unwrap_or_else(|| panic!("{place:?} is in the ledger"));
    let count = |name: &str| line[name].as_u64().unwrap();
    assert_eq!((count("rows"), count("duplicates"), count("conflicts"), count("quarantined")), (records, 0, 0, 0), "{line:#}");
    assert_eq!(count("without_record"), count("position") - records, "{line:#}");
}

/// The `ind` of a value.
pub(super) fn key(value: &Bytes) -> i64 {
    serde_json::from_slice::<Value>(value).unwrap()["ind"].as_i64().unwrap()
}
