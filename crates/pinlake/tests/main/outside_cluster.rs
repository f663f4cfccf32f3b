//! A server whose log is a Kafka cluster: noida-db, another Pinlake, librdkafka's mock. What any door took arrives once, whatever is
//! killed between, and settings that can't work are named.
//!
//! What is needed is installed beside the python that `PINLAKE_TEST_KAFKA_PYTHON` names; where it is missing a test says so and is skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::testing::held_port::HeldPort;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::crash;
use crate::kafka_clients::{PYTHON, say};
use crate::noida::Noida;
use crate::server::Server;
use crate::shell::Shell;

const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";
/// Posts of one round at each door.
const ROUND: u64 = 20;
/// How long something may take that is waited for.
const WAIT: Duration = Duration::from_secs(120);

/// Writes a configuration with this `log.kafka`.
fn config(place: &Path, name: &str, kafka: &Value) -> String {
    let path = place.join(name);
    std::fs::write(&path, json!({"log": {"kafka": kafka}}).to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn pin(index: u64) -> Value {
    json!({"index": index, "category": "art"})
}

/// Sends a request and answers its JSON.
async fn send(server: &Server, method: &str, path: &str, kind: &str, body: &Value) -> Value {
    let method = method.parse().unwrap();
    let request = reqwest::Client::new().request(method, format!("{}{path}", server.url)).header("content-type", kind);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = request.body(body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Posts records with the numbers from `first` on through every door; answers the first number that is left.
async fn post_through_all_doors(server: &Server, first: u64) -> u64 {
    let cluster = server.get("/v3/clusters").await["data"][0]["cluster_id"].as_str().unwrap().to_owned();
    for number in 0..ROUND {
        let index = first + 4 * number;
        let records = json!({"records": [{"key": "k", "value": pin(index)}]});
        let answer = send(server, "POST", "/topics/a.pin", KAFKA_JSON, &records).await;
        assert!(answer["offsets"][0]["offset"].is_u64(), "{answer}");
        let record = json!({"value": {"type": "JSON", "data": pin(index + 1)}});
        let path = format!("/v3/clusters/{cluster}/topics/a.pin/records");
        let answer = send(server, "POST", &path, "application/json", &record).await;
        assert_eq!(answer["error_code"], 200, "{answer}");
        let put = json!({"StreamName": "streaming-a-pin", "Data": pin(index + 2), "PartitionKey": "k"});
        send(server, "PUT", "/streams/streaming-a-pin/record", "application/json", &put).await;
        send(server, "POST", "/pin/", "application/json", &pin(index + 3)).await;
    }
    first + 4 * ROUND
}

/// What the table of pins holds, each number once.
async fn numbers(server: &Server) -> BTreeSet<u64> {
    let rows = server.rows("SELECT ind FROM pin").await;
    let all: Vec<u64> = rows.iter().map(|row| row[0].as_u64().unwrap()).collect();
    let distinct: BTreeSet<u64> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len(), "each record is a row once");
    distinct
}

/// Whether archive and tables have each of so many numbers, and the ledger closes.
async fn has_all(server: &Server, count: u64) {
    server.post("/api/v1/flush", json!({})).await;
    assert_eq!(numbers(server).await, (0..count).collect(), "the table holds what was acknowledged");
    let raw = server.rows("SELECT count(*) FROM raw.pin").await;
    assert_eq!(raw[0][0], count, "the archive holds each record once");
    let proof = Shell::at(server).run(&["prove"]).await.done();
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{proof}\n{ledger:#}");
}

/// The number of a pin, of which a record's value in base64 is one.
fn index_of(value: &str) -> u64 {
    let pin: Value = serde_json::from_slice(&STANDARD.decode(value).unwrap()).unwrap();
    pin["index"].as_u64().unwrap()
}

/// Reads so many records with a consumer of a group, and asks once more, which must bring nothing; answers the numbers.
async fn consume(server: &Server, name: &str, count: u64) -> Vec<u64> {
    let kind = "application/vnd.kafka.v2+json";
    let new = json!({"name": name, "format": "binary", "auto.offset.reset": "earliest", "auto.commit.enable": "false"});
    send(server, "POST", "/consumers/readers", kind, &new).await;
    let path = format!("/consumers/readers/instances/{name}");
    let topics = json!({"topics": ["a.pin", "streaming-a-pin", "Pinterest_data"]});
    send(server, "POST", &format!("{path}/subscription"), kind, &topics).await;
    let (mut found, began) = (Vec::new(), Instant::now());
    loop {
        assert!(began.elapsed() < WAIT, "{} of {count} records were read", found.len());
        let request = reqwest::Client::new().get(format!("{}{path}/records?timeout=500", server.url));
        let answer = request.header("accept", "application/vnd.kafka.binary.v2+json").send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status} {text}");
        let records: Vec<Value> = serde_json::from_str(&text).unwrap();
        if records.is_empty() && found.len() as u64 >= count {
            break;
        }
        found.extend(records.iter().map(|record| index_of(record["value"].as_str().unwrap())));
    }
    send(server, "POST", &format!("{path}/offsets"), kind, &Value::Null).await;
    send(server, "DELETE", &path, kind, &Value::Null).await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn all_doors_write_to_a_cluster_and_everything_arrives_once() {
    let place = tempfile::tempdir().unwrap();
    let Some(mut broker) = Noida::start(&place.path().join("broker")).await else { return };
    let config = config(place.path(), "config.yml", &json!({"brokers": broker.address()}));
    let data = place.path().join("data");
    let start = async || Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    let server = start().await;
    let told = format!("Kafka clients speak to the cluster: {}", broker.address());
    assert!(server.shown.contains(&told), "{:?}", server.shown);
    let mut count = post_through_all_doors(&server, 0).await;
    let read = consume(&server, "one", count).await;
    assert_eq!(read.iter().copied().collect::<BTreeSet<_>>(), (0..count).collect());
    assert_eq!(read.len() as u64, count, "a group reads each record once");
    let topics = server.get("/topics").await;
    assert_eq!(topics, json!(["Pinterest_data", "a.pin", "streaming-a-pin"]), "no topic of the server or the cluster is shown");
    assert!(server.kill().await, "it ran until it was killed");

    let server = start().await;
    count = post_through_all_doors(&server, count).await;
    has_all(&server, count).await;
    let read = consume(&server, "two", count / 2).await;
    assert_eq!(read.iter().copied().collect::<BTreeSet<_>>(), (count / 2..count).collect(), "the group goes on where it stood");

    // A broker that is away for a while is waited for.
    broker.end().await;
    let waiting = tokio::spawn({
        let url = format!("{}/topics/a.pin", server.url);
        let body = json!({"records": [{"value": pin(count)}]}).to_string();
        reqwest::Client::new().post(url).header("content-type", KAFKA_JSON).body(body).send()
    });
    broker.start_again().await;
    let answer = waiting.await.unwrap().unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    has_all(&server, count + 1).await;
    server.terminate().await;
    assert!(server.ended().await.success());
    let kept: Vec<_> = std::fs::read_dir(data.join("log")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(kept, ["=lock"], "nothing of the log is kept on this machine but whose the folder is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lost_its_records_is_not_followed_in_silence() {
    let place = tempfile::tempdir().unwrap();
    let Some(mut broker) = Noida::start(&place.path().join("broker")).await else { return };
    let config = config(place.path(), "config.yml", &json!({"brokers": [broker.address()]}));
    let data = place.path().join("data");
    let start = async || Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    let server = start().await;
    let count = post_through_all_doors(&server, 0).await;
    has_all(&server, count).await;
    server.terminate().await;
    assert!(server.ended().await.success());

    broker.lose_all().await;
    let server = start().await;
    let said = server
        .shown
        .iter()
        .find(|line| line.starts_with("✗ archive and tables: "))
        .unwrap_or_else(|| panic!("{:?}", server.shown));
    assert!(said.contains("the log lost records, or is not the one that this lake followed"), "{said}");
    let refused = reqwest::Client::new().post(format!("{}/topics/a.pin", server.url)).header("content-type", KAFKA_JSON);
    let refused = refused.body(json!({"records": [{"value": pin(0)}]}).to_string()).send().await.unwrap();
    let (status, text) = (refused.status(), refused.text().await.unwrap());
    assert_eq!(status, 422, "no record is taken that the table would take for an old one: {text}");
    assert!(text.contains("was there before"), "{text}");
    assert_eq!(numbers(&server).await.len() as u64, count, "the table keeps what it has");
}

/// Kills of one run: each costs a start.
const KILLS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_cluster_acknowledged_is_lost_or_doubled_by_kills() {
    let place = tempfile::tempdir().unwrap();
    let Some(broker) = Noida::start(&place.path().join("broker")).await else { return };
    let config = crash::busy_config(place.path()).await;
    let text = std::fs::read_to_string(&config).unwrap();
    let named = text.replace("    brokers: []\n", &format!("    brokers: [\"{}\"]\n", broker.address()));
    assert_ne!(named, text, "the configuration names all options");
    std::fs::write(&config, named).unwrap();
    println!("{}", crash::survives(place.path(), config, KILLS, false).await);
}

/// A Pinlake that is the cluster of others: it asks who they are, and encrypts.
struct Upstream {
    data: PathBuf,
    config: String,
    _port: HeldPort,
    kafka: String,
    server: Option<Server>,
}

/// Its certificate, which it has signed itself.
fn certificate(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinlake-ingest/tests/main/kafka/tls").join(file)
}

impl Upstream {
    async fn start(place: &Path) -> Upstream {
        std::fs::write(place.join("password"), "secret\n").unwrap();
        let password = json!({"file": place.join("password")});
        let config = json!({
            "principals": [{"name": "alice", "password": password}],
            "kafka": {"authentication": "sasl", "certificate": certificate("cert.pem"), "private_key": certificate("key.pem")},
            "log": {"auto_create": "all"},
        });
        std::fs::write(place.join("upstream.yml"), config.to_string()).unwrap();
        let config = place.join("upstream.yml").to_str().unwrap().to_owned();
        let port = HeldPort::new();
        let kafka = port.address().to_string();
        let mut upstream = Upstream { data: place.join("upstream"), config, _port: port, kafka, server: None };
        upstream.start_again().await;
        upstream
    }

    async fn start_again(&mut self) {
        let server = Server::start_at(&self.data, "127.0.0.1:0", &self.kafka, &["--config", &self.config]).await;
        self.server = Some(server);
    }

    async fn kill(&mut self) {
        assert!(self.server.take().expect("it runs").kill().await, "it ran until it was killed");
    }

    /// How others reach it.
    fn kafka(&self, place: &Path, mechanism: &str) -> Value {
        json!({
            "brokers": [self.kafka],
            "security": {
                "tls": true,
                "ca": certificate("cert.pem"),
                "sasl": {"mechanism": mechanism, "username": "alice", "password": {"file": place.join("password")}},
            },
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinlake_may_be_the_cluster_of_another() {
    let place = tempfile::tempdir().unwrap();
    let mut upstream = Upstream::start(place.path()).await;
    let data = place.path().join("data");
    let mut count = 0;
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        let config = config(place.path(), "config.yml", &upstream.kafka(place.path(), mechanism));
        let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
        count = post_through_all_doors(&server, count).await;
        has_all(&server, count).await;
        // Requests under way when the cluster dies are answered once it is back.
        let posting = tokio::spawn(async move {
            let count = post_through_all_doors(&server, count).await;
            (server, count)
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        upstream.kill().await;
        upstream.start_again().await;
        let server;
        (server, count) = posting.await.unwrap();
        has_all(&server, count).await;
        server.terminate().await;
        assert!(server.ended().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_way_to_a_cluster_is_named() {
    let place = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(place.path()).await;
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (wrong, no_pem) = (file("wrong", "guess"), file("no.pem", "none"));
    // A port of HTTP, that of a server's own doors.
    let http = upstream.server.as_ref().expect("it runs").url.trim_start_matches("http://").to_owned();
    let good = upstream.kafka(place.path(), "scram-sha-256");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let port = HeldPort::new();
    let nowhere = port.address().to_string();
    let with_wrong = format!("logging in as 'alice' by scram-sha-256 with what file '{wrong}' holds: ");
    let no_certificate = format!("log.kafka.security.ca: '{no_pem}' holds no certificate");
    let wrong_password = [with_wrong.as_str(), "password of 'alice'", "check log.kafka.security.sasl.username, .password"];
    let cases: [(Value, &[&str]); 7] = [
        (with(&|kafka| kafka["brokers"] = json!([nowhere])), &[nowhere.as_str()]),
        (with(&|kafka| kafka["security"]["sasl"]["password"] = json!({"file": wrong})), &wrong_password),
        (with(&|kafka| kafka["security"]["ca"] = json!("")), &["is not trusted", "log.kafka.security.ca"]),
        (with(&|kafka| kafka["security"]["ca"] = json!(no_pem)), &[&no_certificate]),
        (
            with(&|kafka| kafka["security"] = json!({"sasl": kafka["security"]["sasl"]})),
            &["that port speaks TLS: set log.kafka.security.tls"],
        ),
        (with(&|kafka| kafka["security"]["sasl"] = json!({})), &["set log.kafka.security.sasl.mechanism"]),
        (json!({"brokers": [http]}), &["that port speaks HTTP", "log.kafka.brokers"]),
    ];
    for (kafka, whys) in cases {
        let config = config(place.path(), "wrong.yml", &kafka);
        let data = place.path().join("never");
        let data = data.to_str().unwrap();
        for command in ["doctor", "serve"] {
            let ran = Shell::apart().run(&[command, "--config", &config, "--data-dir", data]).await;
            assert_eq!(ran.status, Some(1), "{command} {kafka}: {}{}", ran.out, ran.err);
            let said = format!("{}{}", ran.out, ran.err);
            for why in whys {
                assert!(said.contains(why), "{command} says '{why}': {said}");
            }
            assert!(!said.contains("several attempts"), "{said}");
            assert!(!said.contains("guess") && !said.contains("secret"), "{said}");
        }
    }
    let good = config(place.path(), "good.yml", &good);
    let data = place.path().join("never");
    let ran = Shell::apart().run(&["doctor", "--config", &good, "--data-dir", data.to_str().unwrap()]).await.done();
    assert!(ran.contains("✓ cluster: ") && ran.contains(&format!("✓ broker 1: {} answers\n", upstream.kafka)), "{ran}");
    assert!(ran.contains("✓ topics: the pipeline follows none of the 0 topics that this login sees\n"), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_is_said_soon() {
    let place = tempfile::tempdir().unwrap();
    let mut upstream = Upstream::start(place.path()).await;
    let config = config(place.path(), "config.yml", &upstream.kafka(place.path(), "plain"));
    let server = Server::start_with(&place.path().join("data"), "127.0.0.1:0", &["--config", &config]).await;
    let listed = Shell::at(&server).run(&["topics", "list"]).await;
    assert_eq!(listed.status, Some(0), "{}", listed.err);
    upstream.kill().await;
    let away = format!("the cluster at {} is away", upstream.kafka);
    // Not as long as the cluster is waited for otherwise, which is 30 s.
    let soon = Duration::from_secs(25);
    let listed = tokio::time::timeout(soon, async { Shell::at(&server).run(&["topics", "list"]).await }).await;
    let failed = listed.expect("it is told soon").failed();
    assert!(failed.contains(&away), "{failed}");
    let ready = reqwest::get(format!("{}/readyz", server.url));
    let ready = tokio::time::timeout(soon, ready).await.expect("it is told soon").unwrap();
    let (status, text) = (ready.status(), ready.text().await.unwrap());
    assert!(status == 503 && text.contains(&away), "{status} {text}");
    upstream.start_again().await;
    let back = async { while Shell::at(&server).run(&["topics", "list"]).await.status != Some(0) {} };
    tokio::time::timeout(WAIT, back).await.expect("it is told that it is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_start_misses_a_topic_that_was_deleted_on_purpose() {
    let place = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(place.path()).await;
    let config = config(place.path(), "config.yml", &upstream.kafka(place.path(), "plain"));
    let data = place.path().join("data");
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    let count = post_through_all_doors(&server, 0).await;
    has_all(&server, count).await;
    Shell::at(&server).run(&["topics", "delete", "a.pin"]).await.done();
    server.terminate().await;
    assert!(server.ended().await.success());
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    assert!(!server.shown.iter().any(|line| line.contains('✗')), "{:?}", server.shown);
    assert_eq!(numbers(&server).await.len() as u64, count, "what was taken stays");
}

/// Whatever a transaction that was aborted wrote is in no table, and what was committed is, in its order.
#[tokio::test(flavor = "multi_thread")]
async fn of_transactions_in_the_cluster_only_what_was_committed_arrives() {
    let Some(python) = std::env::var_os(PYTHON) else {
        return say(&format!("skipped: {PYTHON} names no python that has conformance/kafka/clients/requirements.txt"));
    };
    let place = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(place.path()).await;
    let config = config(place.path(), "config.yml", &upstream.kafka(place.path(), "scram-sha-512"));
    let server = Server::start_with(&place.path().join("data"), "127.0.0.1:0", &["--config", &config]).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/kafka/clients/transactions_to.py");
    let mut command = Command::new(python);
    command.arg(script).args([&upstream.kafka, "a.pin", "alice"]).arg(place.path().join("password"));
    command.arg(certificate("cert.pem")).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    let done = command.stderr(Stdio::inherit()).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let count: u64 = String::from_utf8(done.stdout).unwrap().trim().parse().unwrap();
    has_all(&server, count).await;
    let ledger = server.get("/api/v1/ledger").await;
    assert!(ledger.to_string().contains("\"without_record\""), "{ledger:#}");
}

/// librdkafka's mock cluster, whose brokers fail as they are told.
struct Mock {
    brokers: String,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Mock {
    async fn start() -> Option<Mock> {
        let Some(python) = std::env::var_os(PYTHON) else {
            say(&format!("skipped: {PYTHON} names no python that has conformance/kafka/clients/requirements.txt"));
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/kafka/mock_cluster.py");
        let mut command = Command::new(python);
        command.arg(script).arg("3").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut answers = BufReader::new(answers).lines();
        let Some(brokers) = answers.next_line().await.unwrap() else {
            say("skipped: confluent-kafka has no mock cluster of librdkafka here");
            return None;
        };
        Some(Mock { brokers, commands, answers, _process: process })
    }

    async fn tell(&mut self, command: &str) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        assert_eq!(self.answers.next_line().await.unwrap().as_deref(), Some("ok"), "{command}");
    }
}

/// Topics of the cluster and the broker that leads each at first: the mock would choose one by chance.
const LEADERS: [(&str, u32); 5] =
    [("__pinlake_groups", 1), ("__pinlake_streams", 3), ("a.pin", 1), ("streaming-a-pin", 1), ("Pinterest_data", 3)];

/// What the brokers do before each round of posts: errors of Produce (0), Fetch (1), ListOffsets (2) and Metadata (3), by Kafka's codes; -195
/// ends the connection. Then leaders that move, and a broker that goes: the mock elects no other leader by itself, as a cluster would.
const FAULTS: [&[&str]; 12] = [
    &["errors 0 6 7 19 20"],
    &["errors 1 6 -195"],
    &["errors 0 -195 -195"],
    &["leader a.pin 0 2"],
    &["errors 2 6 -195"],
    &["down 1", "leader __pinlake_groups 0 2", "leader streaming-a-pin 0 2"],
    &["errors 0 5 7"],
    &["up 1"],
    &["leader streaming-a-pin 0 3"],
    &["delay 2 0 0 300"],
    &["errors 3 -195"],
    &["errors 0 7 -195 6"],
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failing_cluster_acknowledged_arrives_once() {
    let place = tempfile::tempdir().unwrap();
    let Some(mut mock) = Mock::start().await else { return };
    // It makes no topics when asked to.
    for (topic, leader) in LEADERS {
        mock.tell(&format!("topic {topic} 1 3")).await;
        mock.tell(&format!("leader {topic} 0 {leader}")).await;
    }
    let config = config(place.path(), "config.yml", &json!({"brokers": mock.brokers}));
    let data = place.path().join("data");
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    let mut count = post_through_all_doors(&server, 0).await;
    for faults in FAULTS {
        for fault in faults {
            mock.tell(fault).await;
        }
        count = post_through_all_doors(&server, count).await;
    }
    has_all(&server, count).await;
    assert!(server.kill().await, "it ran until it was killed");
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    has_all(&server, count).await;
}
