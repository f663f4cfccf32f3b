//! `kill -9` over and over, under load, at starts, in rebuilds, in ends and while a transaction ends: every acknowledged record is in the log where its door
//! said, the archive holds each record once, each key is in its table once, everything is committed, and the ledger closes. Kafka's
//! clients, which know more of a record than that it is there, work through the same kills: `clients`.

mod clients;
mod members;
mod numbered;
mod transacted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use pinlake_core::testing::held_port::HeldPort;
use pinlake_emulator::{Acked, EmulateOptions, Mode, Place, emulate};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use crate::server::{Server, spawn_at};
use clients::{Clients, TRANSACTED, Waits};

/// Kills of one run; `PINLAKE_TEST_CRASH_KILLS` asks for more.
const KILLS: u64 = 30;
/// The posts of the load: more than the run can send.
const POSTS: u64 = 1_000_000;
/// Posts a second: enough that kills meet requests and commits under way, few enough that looking through the whole log at
/// the end stays quick.
const RATE: f64 = 400.0;
/// Records of an archive object at most, so that there are many.
const ARCHIVE_FLUSH: u64 = 50;

/// A number below `bound` that differs from kill to kill and is the same in every run.
fn seeded(kill: u64, bound: u64) -> u64 {
    // The golden ratio's multiples spread over the whole range; the high half is the evenly spread one.
    (kill.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % bound
}

/// Records that are acknowledged between any two kills.
const ACKED_BETWEEN: u64 = 10;

/// Kills of one round, which has every kind.
const ROUND: u64 = 6;
/// Kills of one kind of which one at least must meet what it was meant for.
const TRIES: usize = 5;

/// What the server is doing when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    /// Taking posts.
    Load,
    /// Starting, before it listens.
    Start,
    /// Rebuilding all tables.
    Rebuild,
    /// Ending, after a SIGTERM.
    End,
    /// Ending a transaction.
    Transaction,
}

impl During {
    fn of(kill: u64) -> During {
        match kill % ROUND {
            0 | 1 => During::Load,
            2 => During::Start,
            3 => During::Rebuild,
            4 => During::End,
            _ => During::Transaction,
        }
    }
}

/// The server of the run: always at the same address, so that the load finds it again.
struct World {
    data: std::path::PathBuf,
    address: String,
    /// Where Kafka's clients find it.
    kafka: String,
    config: String,
    /// How many records are acknowledged.
    acked: watch::Receiver<u64>,
}

impl World {
    async fn start(&self) -> Server {
        Server::start_at(&self.data, &self.address, &self.kafka, &["--config", &self.config]).await
    }

    /// Kills `server` at this kill's moment and starts the next one; answers too whether the kill met what it was meant for.
    async fn kill(&self, kill: u64, server: Server, clients: Option<&Waits>) -> (Server, bool) {
        // A moment is the point of the test, not a wait for something. Some are earlier, for machines that are soon done.
        let moment = |most| tokio::time::sleep(Duration::from_millis(seeded(kill, most) >> (kill / ROUND % 4)));
        let mut acked = self.acked.clone();
        let before = *acked.borrow_and_update();
        acked.wait_for(|now| *now >= before + ACKED_BETWEEN).await.unwrap();
        // The others meet Kafka's clients while they still find themselves again after the kill before.
        if let Some(clients) = clients.filter(|_| seeded(kill, 2) == 0) {
            clients.all_went_on().await;
        }
        let met = match (During::of(kill), clients) {
            (During::Load, _) | (During::Transaction, None) => {
                moment(400).await;
                server.kill().await
            }
            (During::Start, _) => {
                server.kill().await;
                let mut starting = spawn_at(&self.data, &self.address, &self.kafka, &["--config", &self.config]);
                moment(300).await;
                starting.start_kill().unwrap();
                let shown = starting.wait_with_output().await.unwrap().stdout;
                !String::from_utf8(shown).unwrap().contains("Pinlake listens")
            }
            (During::Rebuild, _) => {
                let rebuild = reqwest::Client::new().post(format!("{}/api/v1/tables/all/rebuild", server.url)).json(&json!({}));
                let asked = tokio::spawn(rebuild.send());
                moment(300).await;
                server.kill().await;
                asked.await.unwrap().is_err()
            }
            (During::End, _) => {
                server.terminate().await;
                moment(100).await;
                server.kill().await
            }
            (During::Transaction, Some(clients)) => {
                clients.an_end_begins().await;
                moment(15).await;
                if !clients.is_ending() {
                    // It was over too soon: the next one is met as it begins.
                    clients.an_end_begins().await;
                }
                let met = clients.is_ending();
                server.kill().await && met
            }
        };
        (self.start().await, met)
    }
}

/// The built-in pipeline with an archive of small objects and tables that commit often, each at a pace of its own.
pub(crate) async fn busy_config(place: &Path) -> String {
    let folder = place.join("pipeline");
    let init = Command::new(env!("CARGO_BIN_EXE_pinlake")).arg("init").arg(&folder).output().await.unwrap();
    assert!(init.status.success());
    let path = folder.join("pipeline.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("flush: { records: 10000,") && text.contains("    clean: clean/pin.sql\n"), "{text}");
    let text = text.replace("flush: { records: 10000,", &format!("flush: {{ records: {ARCHIVE_FLUSH},"));
    let often = |table: &str, records: u64, age: &str| {
        format!("    clean: clean/{table}.sql\n    commit: {{ records: {records}, bytes: 1MiB, age: {age} }}\n")
    };
    let text = text.replace("    clean: clean/pin.sql\n", &often("pin", 40, "1s"));
    let text = text.replace("    clean: clean/geo.sql\n", &often("geo", 300, "1s"));
    std::fs::write(&path, text).unwrap();
    folder.join("pinlake.yml").to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills() {
    let kills = std::env::var("PINLAKE_TEST_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let config = busy_config(place.path()).await;
    println!("{}", survives(place.path(), config, kills, true).await);
}

/// Kills a server so often that has a new data folder in `place`, and looks through all that it then holds. Kafka's clients work through it
/// too, if the server has a door for them. Answers what the kills met.
pub(crate) async fn survives(place: &Path, config: String, kills: u64, with_clients: bool) -> String {
    // Below the ports that the system hands to clients, so that no retrying client takes it while the server is down.
    let (count, acked) = watch::channel(0);
    let data = place.join("data");
    let (http, kafka) = (HeldPort::new(), HeldPort::new());
    let world = World { data, address: http.address().to_string(), kafka: kafka.address().to_string(), config, acked };
    let mut server = world.start().await;
    let clients = if with_clients { Some(Clients::start(&world.kafka).await) } else { None };
    let (sender, mut receiver) = mpsc::channel(1024);
    let gather = tokio::spawn(async move {
        let mut acked = Vec::new();
        while let Some(one) = receiver.recv().await {
            acked.push(one);
            count.send_replace(acked.len() as u64);
        }
        acked
    });
    let options = EmulateOptions {
        mode: Mode::Both,
        count: Some(POSTS),
        rate: Some(RATE),
        seed: 7,
        records_a_request: 5,
        retries_max: 1000,
        acked: Some(sender),
        ..EmulateOptions::new(server.url.parse().unwrap())
    };
    let stop = options.stop.clone();
    let load = tokio::spawn(async move { emulate(&options, &|_, _| {}).await });
    let mut met = BTreeMap::<During, Vec<bool>>::new();
    for kill in 0..kills {
        let (next, meets) = world.kill(kill, server, clients.as_ref().map(|clients| &clients.waits)).await;
        server = next;
        met.entry(During::of(kill)).or_default().push(meets);
    }
    stop.cancel();
    load.await.unwrap().unwrap();
    let acked = gather.await.unwrap();
    let worked = match clients {
        Some(clients) => Some(clients.stop().await),
        None => None,
    };
    let share = |(during, met): (&During, &Vec<bool>)| {
        format!("{} of {} during {during:?}", met.iter().filter(|met| **met).count(), met.len())
    };
    let kills = met.iter().map(share).collect::<Vec<_>>().join(", ");
    assert!(
        met.values().all(|met| met.len() < TRIES || met.contains(&true)),
        "kills are never where they were meant to be: {kills}"
    );
    let told = worked.as_ref().map(|worked| worked.told);
    let met = format!("{} records acknowledged; Kafka's clients: {told:?}; kills: {kills}", acked.len());
    server.post("/api/v1/flush", json!({})).await;
    let log = read_log(&server).await;
    check_acknowledged(&acked, &log);
    check_archive(&world.data, &log);
    check_tables(&server, &acked).await;
    check_positions(&server, &log).await;
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
    if let Some(worked) = worked {
        worked.check(&server, &log, &ledger).await;
    }
    met
}

/// What a partition shows.
struct Kept {
    end: u64,
    /// The values by their offsets.
    values: BTreeMap<u64, String>,
}

/// Every partition, by topic and number.
type Log = BTreeMap<(String, u64), Kept>;

async fn read_log(server: &Server) -> Log {
    let mut log = Log::new();
    let topics = server.get("/api/v1/topics").await;
    for topic in topics["topics"].as_array().unwrap() {
        let name = topic["name"].as_str().unwrap();
        for partition in topic["offsets"].as_array().unwrap() {
            let (number, end) = (partition["partition"].as_u64().unwrap(), partition["end"].as_u64().unwrap());
            let (mut values, mut at) = (BTreeMap::new(), 0);
            loop {
                let path = format!("/api/v1/topics/{name}/records?partition={number}&offset={at}&limit=10000");
                let records = server.get(&path).await["records"].as_array().unwrap().clone();
                let Some(last) = records.last() else { break };
                at = last["offset"].as_u64().unwrap() + 1;
                let value = |record: &Value| (record["offset"].as_u64().unwrap(), record["value"].as_str().unwrap().to_owned());
                values.extend(records.iter().map(value));
            }
            let is_dense = values.len() as u64 == end && values.keys().copied().eq(0..end);
            assert!(is_dense || name == TRANSACTED, "offsets of {name}/{number} are dense: {} of {end}", values.len());
            log.insert((name.to_owned(), number), Kept { end, values });
        }
    }
    log
}

/// Both doors say where a record is; it is there, and no other was said to be.
fn check_acknowledged(acked: &[Acked], log: &Log) {
    let mut places = BTreeSet::new();
    for one in acked {
        let (partition, offset) = match &one.place {
            Place::Offset(offset) => (one.partition, u64::try_from(*offset).unwrap()),
            Place::SequenceNumber(number) => shard_and_offset(number),
        };
        assert_eq!(partition, one.partition, "the sequence number names the shard that the answer names");
        assert!(places.insert((&one.topic, partition, offset)), "{}/{partition} at {offset} is acknowledged once", one.topic);
        let values = &log[&(one.topic.to_string(), u64::from(partition))].values;
        let found = values.get(&offset);
        let found = found.unwrap_or_else(|| panic!("{}/{partition} holds {} records, not {offset}", one.topic, values.len()));
        let value: Value = serde_json::from_str(found).unwrap();
        let key = value.get("index").or_else(|| value.get("ind")).and_then(Value::as_i64);
        assert_eq!(key, one.key, "{}/{partition} at {offset} is the record that was acknowledged there", one.topic);
    }
    let through = |kinesis: bool| acked.iter().filter(|one| matches!(one.place, Place::SequenceNumber(_)) == kinesis).count();
    assert!(through(true) > 0 && through(false) > 0, "both doors took records");
}

/// What a sequence number says: of its 47 hexadecimal digits, 16 from the 12th on are the offset and 8 before the last the shard.
fn shard_and_offset(number: &str) -> (u32, u64) {
    let mut digits: Vec<u32> = number.chars().map(|digit| digit.to_digit(10).unwrap()).collect();
    let mut hexadecimal = Vec::new();
    while digits.iter().any(|digit| *digit != 0) {
        let mut rest = 0;
        for digit in &mut digits {
            let value = rest * 10 + *digit;
            (*digit, rest) = (value / 16, value % 16);
        }
        hexadecimal.push(char::from_digit(rest, 16).unwrap());
    }
    let hexadecimal: String = hexadecimal.into_iter().rev().collect();
    assert_eq!(hexadecimal.len(), 47, "{number} is {hexadecimal}");
    let shard = u32::from_str_radix(&hexadecimal[38..46], 16).unwrap();
    (shard, u64::from_str_radix(&hexadecimal[11..27], 16).unwrap())
}

fn check_archive(data: &Path, log: &Log) {
    let mut count = 0;
    for ((topic, partition), kept) in log {
        let folder = data.join(format!("lake/topics/{topic}/partition={partition}"));
        let mut objects: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        objects.retain(|path| path.extension().is_some_and(|end| end == "json"));
        objects.sort();
        count += objects.len();
        let mut left = kept.values.iter().peekable();
        for object in objects {
            let name = object.file_name().unwrap().to_str().unwrap().to_owned();
            let next = *left.peek().unwrap_or_else(|| panic!("nothing is left for {name}")).0;
            assert_eq!(name, format!("{topic}+{partition}+{next:010}.json"), "objects follow one another");
            for line in std::fs::read_to_string(&object).unwrap().lines() {
                let (offset, value) = left.next().unwrap_or_else(|| panic!("nothing is left for {name}: {line}"));
                assert_eq!(line, value, "{name} holds the log's record {offset}");
            }
        }
        assert_eq!(left.next(), None, "the archive of {topic} is whole");
    }
    let records: usize = log.values().map(|kept| kept.values.len()).sum();
    assert!(
        count * usize::try_from(ARCHIVE_FLUSH).unwrap() >= records,
        "{records} records are in small objects, {count} of them"
    );
}

async fn check_tables(server: &Server, acked: &[Acked]) {
    for table in ["pin", "geo", "user"] {
        let rows = server.rows(&format!("SELECT ind FROM \"{table}\"")).await;
        let keys: Vec<i64> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
        let distinct: BTreeSet<i64> = keys.iter().copied().collect();
        assert_eq!(keys.len(), distinct.len(), "each key is in {table} once");
        let ours = |one: &&Acked| one.topic.as_str().ends_with(table);
        for one in acked.iter().filter(ours) {
            assert!(distinct.contains(&one.key.unwrap()), "{table} holds the acknowledged key {:?}", one.key);
        }
    }
}

/// Tables and archive have committed the whole log.
async fn check_positions(server: &Server, log: &Log) {
    let ledger = server.get("/api/v1/ledger").await;
    let mut seen = BTreeSet::new();
    for table in ledger["tables"].as_array().unwrap() {
        let name = table["table"].as_str().unwrap();
        let detail = server.get(&format!("/api/v1/tables/{name}")).await;
        for line in table["partitions"].as_array().unwrap() {
            let of = (line["topic"].as_str().unwrap().to_owned(), line["partition"].as_u64().unwrap());
            let (end, records) = (log[&of].end, log[&of].values.len());
            assert_eq!(line["log"], json!({"start": 0, "end": end}), "{line:#}");
            assert_eq!((&line["position"], &line["archived"]), (&json!(end), &json!(records)), "{name}: {line:#}");
            let position = json!({"topic": of.0, "partition": of.1, "position": end});
            assert!(detail["positions"].as_array().unwrap().contains(&position), "{position} is in {detail:#}");
            seen.insert(of);
        }
    }
    assert!(seen.iter().eq(log.keys()), "every partition is accounted for: {seen:?}");
}
