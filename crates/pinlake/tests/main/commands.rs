//! The commands, each as a user types it: what it prints, what it says when it can't, and its exit status.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::Command;

use crate::server::Server;
use crate::shell::{Shell, json_of, run, words};

/// A server with 60 posts, some of them twice, through both doors.
async fn server_with_posts(data: &Path) -> Server {
    let server = Server::start(data, "127.0.0.1:0").await;
    let sent = run(&["emulate", "--to", &server.url, "--mode", "both", "--count", "60", "--seed", "1"]).await.done();
    assert!(sent.starts_with("60 posts, 180 records in 180 requests (0 tried again)"), "{sent}");
    server
}

#[tokio::test]
async fn every_command_shows_an_example() {
    let all = run(&["--help"]).await.done();
    let listed = all.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = words(listed).iter().filter_map(|line| line.first().copied()).filter(|name| *name != "help").collect();
    let first_words = |name: &&str| name.chars().all(|letter| letter.is_ascii_lowercase());
    assert!(names.len() >= 16 && names.iter().all(first_words), "{names:?}");
    for name in names {
        let help = run(&[name, "--help"]).await.done();
        let example = help.split("Example:\n").nth(1).unwrap_or_else(|| panic!("{name} shows no example: {help}"));
        assert!(example.contains(&format!("pinlake {name}")), "{example}");
    }
    let topics = ["list", "create", "describe", "delete", "tail", "produce"].map(|name| ("topics", name));
    let jobs = ["list", "describe", "run", "backfill", "runs", "show", "logs", "cancel", "rerun", "alerts", "pause", "resume"];
    for (of, name) in topics.into_iter().chain(jobs.map(|name| ("jobs", name))) {
        let help = run(&[of, name, "--help"]).await.done();
        assert!(help.split("Example:\n").nth(1).is_some_and(|it| it.contains(&format!("pinlake {of} {name}"))), "{help}");
    }
}

#[tokio::test]
async fn topics_are_created_written_read_and_deleted() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let shell = Shell::at(&server);
    assert_eq!(
        shell.run(&["topics", "create", "my.notes", "--partitions", "2"]).await.done(),
        "created my.notes with 2 partitions\n"
    );
    let brief = ["topics", "create", "my.brief", "--retention", "30d"];
    assert_eq!(shell.run(&brief).await.done(), "created my.brief with 1 partition\n");
    let described = json_of(&shell.run(&["topics", "describe", "my.brief"]).await.done());
    assert_eq!(described["retention_ms"], 30_u64 * 24 * 3600 * 1000, "{described}");
    let again = shell.run(&["topics", "create", "my.notes"]).await.failed();
    assert!(again.contains("'my.notes' exists"), "{again}");
    let three = "{\"n\":1}\n\n{\"n\":2}\n{\"n\":3}\n";
    assert_eq!(Shell::at(&server).typing(three).run(&["topics", "produce", "my.notes"]).await.done(), "3 records\n");
    let torn = Shell::at(&server).typing("{\"n\":").run(&["topics", "produce", "my.notes"]).await.failed();
    assert!(torn.contains("not JSON: {\"n\":"), "{torn}");
    let described = json_of(&shell.run(&["topics", "describe", "my.notes"]).await.done());
    assert_eq!((&described["partitions"], &described["records"]), (&json!(2), &json!(3)), "{described}");
    let listed = shell.run(&["topics", "list"]).await.done();
    assert!(words(&listed).contains(&vec!["my.notes", "2", "3"]), "{listed}");
    let mut values = Vec::new();
    for partition in ["0", "1"] {
        let tail = shell.run(&["topics", "tail", "my.notes", "--partition", partition]).await.done();
        values.extend(tail.lines().map(|line| json_of(line)["value"].as_str().unwrap().to_owned()));
    }
    values.sort();
    assert_eq!(values, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    let none = shell.run(&["topics", "tail", "my.notes", "--partition", "2"]).await.failed();
    assert!(none.contains("partition"), "{none}");
    assert_eq!(shell.run(&["topics", "delete", "my.notes"]).await.done(), "deleted my.notes\n");
    let gone = shell.run(&["topics", "describe", "my.notes"]).await.failed();
    assert!(gone.contains("topic 'my.notes' does not exist"), "{gone}");
    // A topic that feeds a table goes when archive and table have it; its rows stay, and its offsets go on.
    for record in ["{\"index\":1}\n", "{\"index\":2}\n"] {
        Shell::at(&server).typing(record).run(&["topics", "produce", "x.pin"]).await.done();
        shell.run(&["topics", "delete", "x.pin"]).await.done();
    }
    let rows = server.rows("SELECT ind, _offset FROM pin ORDER BY 1").await;
    assert_eq!(rows, [json!([1, 0]), json!([2, 1])]);
    shell.run(&["prove"]).await.done();
}

#[tokio::test]
async fn records_that_the_log_refuses_are_told_and_not_counted() {
    let full = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = full.local_addr().unwrap().to_string();
    let shell = Shell::with("PINLAKE_SERVER", &address).typing("1\n2\n3\n");
    let (refused, ()) = tokio::join!(shell.run(&["topics", "produce", "my.notes"]), async {
        let (mut asked, _) = full.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}]}") {
            assert_ne!(asked.read_buf(&mut request).await.unwrap(), 0);
        }
        let stored = |offset| json!({"partition": 0, "offset": offset, "error_code": null, "error": null});
        let lost = json!({"partition": null, "offset": null, "error_code": 50003, "error": "the disk is full"});
        let answer = json!({"offsets": [stored(7), lost, stored(8)], "key_schema_id": null, "value_schema_id": null}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
        asked.write_all((head + &answer).as_bytes()).await.unwrap();
    });
    let refused = refused.failed();
    assert_eq!(refused, "error: after 2 records stored: 1 record not stored: the disk is full\n");
}

#[tokio::test]
async fn tail_reads_from_the_end_or_an_offset_and_ends_with_its_reader() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let shell = Shell::at(&server);
    shell.run(&["topics", "create", "my.notes"]).await.done();
    Shell::at(&server).typing("1\n2\n3\n4\n").run(&["topics", "produce", "my.notes"]).await.done();
    let offsets = |tail: String| tail.lines().map(|line| json_of(line)["offset"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(offsets(shell.run(&["topics", "tail", "my.notes", "--limit", "2"]).await.done()), [2, 3]);
    assert_eq!(offsets(shell.run(&["topics", "tail", "my.notes", "--offset", "1", "--limit", "2"]).await.done()), [1, 2]);
    let mut follow = Command::new(env!("CARGO_BIN_EXE_pinlake"));
    follow.args(["topics", "tail", "my.notes", "--limit", "1", "--follow", "--server", &server.url]);
    let mut follow = follow.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(offsets(lines.next_line().await.unwrap().unwrap()), [3]);
    Shell::at(&server).typing("5\n").run(&["topics", "produce", "my.notes"]).await.done();
    assert_eq!(offsets(lines.next_line().await.unwrap().unwrap()), [4], "it goes on as records come in");
    drop(lines);
    Shell::at(&server).typing("6\n").run(&["topics", "produce", "my.notes"]).await.done();
    assert_eq!(follow.wait().await.unwrap().code(), Some(0), "the reader's end is no failure");
}

#[tokio::test]
async fn queries_and_questions_answer_in_three_formats() {
    let data = tempfile::tempdir().unwrap();
    let server = server_with_posts(data.path()).await;
    let shell = Shell::at(&server);
    let sql = "SELECT count(*) AS posts, 'a,b' AS \"x y\" FROM geo";
    let table = shell.run(&["query", sql]).await.done();
    assert_eq!(words(&table)[..2], [vec!["posts", "x", "y"], vec!["54", "a,b"]], "{table}");
    assert!(table.lines().last().unwrap().starts_with("1 row in "), "{table}");
    let answer = json_of(&shell.run(&["query", sql, "--format", "json"]).await.done());
    assert_eq!(answer["rows"], json!([[54, "a,b"]]), "{answer}");
    assert_eq!(answer["row_count"], 1);
    let micros = answer["elapsed_ms"].as_f64().unwrap() * 1e3;
    assert!((micros - micros.round()).abs() < 1e-6, "to the microsecond: {answer}");
    assert_eq!(shell.run(&["query", sql, "--format", "csv"]).await.done(), "posts,x y\n54,\"a,b\"\n");
    for (wrong, reason) in
        [("SELECT nothing FROM pin", "nothing"), ("SELECT 1 FROM nowhere", "nowhere"), ("DELETE FROM pin", "only reads")]
    {
        let failed = shell.run(&["query", wrong]).await.failed();
        assert!(failed.contains(reason) && failed.contains("400"), "{wrong}: {failed}");
    }
    let listed = shell.run(&["questions"]).await.done();
    let names: Vec<&str> = words(&listed).iter().map(|line| line[0]).collect();
    assert_eq!(names.len(), 10, "{listed}");
    for name in names {
        let answer = json_of(&shell.run(&["questions", name, "--format", "json"]).await.done());
        let shown = shell.run(&["questions", name]).await.done();
        assert_eq!(shown.lines().count() as u64, answer["row_count"].as_u64().unwrap() + 2, "{name} shows each row: {shown}");
        let csv = shell.run(&["questions", name, "--format", "csv"]).await.done();
        assert_eq!(csv.lines().count() as u64, answer["row_count"].as_u64().unwrap() + 1, "{name}: {csv}");
    }
    let unknown = shell.run(&["questions", "why"]).await.failed();
    assert!(unknown.contains("question 'why' does not exist: there are popular_category_by_country, "), "{unknown}");
}

#[tokio::test]
async fn a_rebuild_and_the_proof_account_for_every_record() {
    let data = tempfile::tempdir().unwrap();
    let server = server_with_posts(data.path()).await;
    let shell = Shell::at(&server);
    let all = shell.run(&["rebuild", "all"]).await.done();
    let begins: Vec<&str> = all.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(begins, ["pin", "geo", "user"], "{all}");
    let one = shell.run(&["rebuild", "geo"]).await.done();
    assert!(
        one.starts_with("geo: version ") && one.contains(", 60 records, 54 rows, 6 duplicates, 0 conflicts, 0 quarantined, "),
        "{one}"
    );
    let unknown = shell.run(&["rebuild", "cat"]).await.failed();
    assert!(unknown.contains("table 'cat' does not exist: there are pin, geo, user"), "{unknown}");
    let proof = shell.run(&["prove"]).await.done();
    assert_eq!(
        words(&proof).iter().filter(|line| line[0] == "geo" && line[1] != "beside").count(),
        2,
        "a line a source: {proof}"
    );
    assert!(proof.contains("geo beside its rebuild from the archive: 54 of 54 rows are the same, 0 differ"), "{proof}");
    assert!(proof.ends_with("the ledger closes: 0 lost, 0 doubled\n"), "{proof}");
    let ledger = json_of(&shell.run(&["prove", "--json"]).await.done());
    assert_eq!((&ledger["closed"], &ledger["deep"]), (&json!(true), &json!(true)));
    let lines: Vec<&Value> =
        ledger["tables"].as_array().unwrap().iter().flat_map(|table| table["partitions"].as_array().unwrap()).collect();
    let sum = |what: &str| lines.iter().map(|line| line[what].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("position"), sum("rows"), sum("duplicates"), sum("archived")), (180, 162, 18, 180), "{ledger:#}");
}

#[tokio::test]
async fn the_proof_says_why_rows_differ_and_which_topics_are_deleted() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let produce = async |topic: &str, record: &'static str| {
        Shell::at(&server).typing(record).run(&["topics", "produce", topic]).await.done();
        server.post("/api/v1/flush", json!({})).await;
    };
    produce("z.pin", "{\"index\":1,\"category\":\"art\"}\n").await;
    produce("a.pin", "{\"index\":1,\"category\":\"food\"}\n").await;
    let shell = Shell::at(&server);
    shell.run(&["topics", "delete", "z.pin"]).await.done();
    let proof = shell.run(&["prove"]).await.done();
    let line = |source: &str| words(&proof).iter().any(|line| line.join(" ").starts_with(&format!("pin {source}")));
    assert!(line("z.pin/0 (deleted) 1 1") && line("a.pin/0 1 0"), "{proof}");
    assert!(proof.contains("\npin: rows may differ because of 1 conflict (a key that came again with other values)"), "{proof}");
    assert!(proof.ends_with("the ledger closes: 0 lost, 0 doubled\n"), "{proof}");
}

#[tokio::test]
async fn trace_tells_rows_duplicates_conflicts_and_quarantined_records_apart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let shell = Shell::at(&server);
    let records = "{\"index\":1,\"category\":\"art\"}\n{\"index\":1,\"category\":\"art\"}\n{\"index\":2,\"follower_count\":\"many\"}\n{\"index\":1,\"category\":\"food\"}\n";
    Shell::at(&server).typing(records).run(&["topics", "produce", "my.pin"]).await.done();
    server.post("/api/v1/flush", json!({})).await;
    let trace = async |offset: &str| json_of(&shell.run(&["trace", "my.pin", "0", offset]).await.done());
    let row = trace("0").await;
    assert_eq!(row["archive"]["object"], "topics/my.pin/partition=0/my.pin+0+0000000000.json");
    assert_eq!((&row["archive"]["start"], &row["archive"]["end"]), (&json!(0), &json!(4)));
    let outcome = &row["tables"][0];
    assert_eq!((&outcome["table"], &outcome["outcome"]), (&json!("pin"), &json!("row")), "{row:#}");
    assert_eq!((&outcome["row"]["ind"], &outcome["row"]["category"]), (&json!(1), &json!("art")), "{row:#}");
    assert!(outcome["version"].is_i64(), "{row:#}");
    assert_eq!(trace("1").await["tables"], json!([{"table": "pin", "outcome": "duplicate"}]));
    let reason = "follower_count is not a number with an optional k, M or B";
    assert_eq!(trace("2").await["tables"], json!([{"table": "pin", "outcome": "quarantined", "reason": reason}]));
    assert_eq!(trace("3").await["tables"], json!([{"table": "pin", "outcome": "conflict"}]));
    let unwritten = shell.run(&["trace", "my.pin", "0", "4"]).await.failed();
    assert!(unwritten.contains("offset 4 of my.pin/0 was never written: the next is 4"), "{unwritten}");
}

#[tokio::test]
async fn a_copied_pipeline_is_good_and_passes_its_tests() {
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("my-pipeline");
    let (folder, config) = (copy.to_str().unwrap(), copy.join("pinlake.yml"));
    let wrote = run(&["init", folder]).await.done();
    assert!(wrote.contains(&format!("next: pinlake check {folder}")), "{wrote}");
    let again = run(&["init", folder]).await.failed();
    assert!(again.contains("is not empty: name a new folder"), "{again}");
    let checked = run(&["check", folder, "--config", config.to_str().unwrap()]).await.done();
    let good = "pipeline pinterest is good: 3 tables, 10 questions, 1 job\n";
    assert_eq!(checked, format!("configuration {} is good\n{good}", config.display()));
    assert_eq!(run(&["check", folder]).await.done(), checked, "the configuration in the folder is taken");
    assert_eq!(run(&["check"]).await.done(), good, "as the built-in one");
    let pipeline = std::fs::read_to_string(copy.join("pipeline.yml")).unwrap();
    let job = "  more:\n    tasks:\n      - { name: wrong, sql: SELECT nothing FROM pin }\n      - { name: good, sql: SELECT * FROM gold.later }\n";
    std::fs::write(copy.join("pipeline.yml"), format!("{pipeline}{job}")).unwrap();
    let refused = run(&["check", folder]).await.failed();
    assert!(refused.starts_with("error: 1 problem\npipeline.yml: job 'more', task 'wrong', wrong: "), "{refused}");
    std::fs::remove_file(copy.join("pipeline.yml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", copy.join("pipeline.yml")).unwrap();
    assert!(run(&["check", folder]).await.failed().contains("pipeline.yml': it is no regular file"));
    std::fs::remove_file(copy.join("pipeline.yml")).unwrap();
    std::fs::write(copy.join("pipeline.yml"), pipeline).unwrap();
    let tested = run(&["test", folder]).await.done();
    assert!(tested.ends_with("3 passed, 0 failed\n"), "{tested}");
    std::fs::write(copy.join("tests/mine.yml"), "given: []\nexpect: { pin: [{ ind: 1 }] }\n").unwrap();
    std::fs::write(copy.join("tests/torn.yml"), "given: []\nexpect: { question.why: [], question.who: [], pin: [] }\n").unwrap();
    std::fs::write(copy.join("tests/wrong.yml"), "given: []\nexpct: {}\n").unwrap();
    let tested = run(&["test", folder]).await;
    let found = &tested.out;
    assert!(found.contains("✗ tests/mine.yml\n    pin: no row like {\"ind\":1}\n"), "{found}");
    assert!(found.contains("✗ tests/torn.yml\n    question.why: question 'why' does not exist: there are "), "{found}");
    assert!(found.contains("\n    question.who: question 'who' does not exist: there are "), "{found}");
    assert!(found.contains("✗ tests/wrong.yml\n    unknown field `expct`, expected one of given, expect at line 2, "), "{found}");
    assert!(found.ends_with("3 passed, 3 failed\n"), "{found}");
    assert_eq!(tested.failed(), "error: 3 of the pipeline's tests failed\n");
}

#[tokio::test]
async fn generate_writes_a_lake_that_batch_reads_and_a_dump() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let wrote = run(&["generate", &path("raw"), "--posts", "50", "--duplicates", "0.2", "--gzip"]).await.done();
    assert!(wrote.contains(&format!("50 posts in {}; next: pinlake batch", path("raw"))), "{wrote}");
    let twice = run(&["generate", &path("raw"), "--posts", "50"]).await.failed();
    assert!(twice.contains("is not empty"), "{twice}");
    let cleaned = run(&["batch", &path("raw"), &path("out")]).await.done();
    assert!(cleaned.lines().any(|line| line.starts_with("user: 50 records, ")), "{cleaned}");
    let answers = json_of(&std::fs::read_to_string(place.path().join("out/answers.json")).unwrap());
    assert_eq!(answers.as_object().unwrap().len(), 10);
    run(&["generate", &path("dump.sql"), "--posts", "5", "--format", "mysql"]).await.done();
    let dump = std::fs::read_to_string(place.path().join("dump.sql")).unwrap();
    for table in ["pinterest_data", "geolocation_data", "user_data"] {
        assert!(dump.contains(&format!("INSERT INTO `{table}`")), "{dump}");
    }
}

/// An address at which nobody listens, as long as the socket lives.
fn dead_address() -> (TcpSocket, String) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap().to_string();
    (held, address)
}

#[tokio::test]
async fn emulate_says_at_once_that_nobody_answers() {
    let (_held, address) = dead_address();
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_pinlake"));
    waiting.args(["emulate", "--to", &address, "--count", "3"]);
    let mut waiting = waiting.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.starts_with(&format!("warning: http://{address}/ can't be reached and is tried again")), "{first}");
    assert!(waiting.try_wait().unwrap().is_none(), "it does not wait for the last try to say so");
}

#[tokio::test]
async fn a_server_that_is_not_there_and_one_that_goes_away_are_told_apart() {
    let (_held, address) = dead_address();
    let nobody = run(&["query", "SELECT 1", "--server", &address]).await.failed();
    assert!(nobody.starts_with(&format!("error: no server answers at http://{address}: start one")), "{nobody}");
    let leaving = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = leaving.local_addr().unwrap().to_string();
    let asked = Shell::with("PINLAKE_SERVER", &address);
    let (lost, ()) = tokio::join!(asked.run(&["query", "SELECT 1"]), async {
        let (mut asked, _) = leaving.accept().await.unwrap();
        // The server dies with the question in hand.
        assert!(asked.read(&mut [0; 1024]).await.unwrap() > 0);
    });
    let lost = lost.failed();
    assert!(lost.starts_with(&format!("error: the connection to http://{address} broke")), "{lost}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let shown = Command::new(env!("CARGO_BIN_EXE_pinlake")).arg("config").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let shown = shown.wait_with_output().await.unwrap();
    assert_eq!((shown.status.code(), String::from_utf8(shown.stderr).unwrap().as_str()), (Some(0), ""));
}
