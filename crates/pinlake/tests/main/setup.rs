//! What is wrong with a pipeline, a configuration, the environment or a command line, as the user is told of it.

use std::path::{Path, PathBuf};

use crate::server::Server;
use crate::shell::{Shell, run};

/// Replaces text that must be there.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} holds {from}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// An editable copy of the built-in pipeline.
async fn copy_in(place: &Path) -> PathBuf {
    let copy = place.join("copy");
    run(&["init", copy.to_str().unwrap()]).await.done();
    copy
}

/// That a failed check says these problems, and no others; each begins as given and holds the words behind the bar.
#[track_caller]
fn says(failed: &str, expected: &[&str]) {
    let found: Vec<&str> = failed.lines().skip(1).collect();
    assert_eq!(found.len(), expected.len(), "{failed}");
    for (problem, expected) in found.iter().zip(expected) {
        let (begin, holds) = expected.split_once('|').unwrap_or((expected, ""));
        assert!(problem.starts_with(begin) && problem.contains(holds), "{problem} is {expected}");
    }
}

#[tokio::test]
async fn check_shows_every_problem_of_every_kind_with_file_and_line() {
    let place = tempfile::tempdir().unwrap();
    let copy = copy_in(place.path()).await;
    let pipeline = copy.join("pipeline.yml");
    edit(&pipeline, "clean: clean/geo.sql", "clean: clean/earth.sql");
    edit(&pipeline, "poster_name: string", "poster_name: text");
    edit(&pipeline, "archive:", "archives: {}\narchive:");
    edit(&copy.join("clean/user.sql"), "  age,", "  agee,");
    std::fs::write(copy.join("questions/mine.sql"), "-- Mine.\nSELECT count(*)\nFROM dog").unwrap();
    std::fs::write(copy.join("questions/yours.sql"), "-- Yours.\nSELECT count(* FROM geo").unwrap();
    let config = place.path().join("broken.yml");
    std::fs::write(&config, "http:\n  listen: nonsense\nlog:\n  durable: true\n  partitions: 0\n").unwrap();
    let config = config.to_str().unwrap();
    let shell = Shell::with("PINLAKE_LOG_PARTITONS", "3");
    let failed = shell.run(&["check", copy.to_str().unwrap(), "--config", config]).await.failed();
    assert!(failed.starts_with("error: 10 problems\n"), "{failed}");
    let line = |of: &str| 1 + std::fs::read_to_string(&pipeline).unwrap().lines().position(|line| line.contains(of)).unwrap();
    says(
        &failed,
        &[
            "PINLAKE_LOG_PARTITONS: no such variable; is PINLAKE_LOG_PARTITIONS meant?",
            &format!("{config}:2: http.listen: "),
            &format!("{config}:4: unknown key 'log.durable'"),
            &format!("{config}:5: log.partitions takes 1 to 10000"),
            &format!("pipeline.yml:{}: unknown key 'archives'", line("archives")),
            &format!("pipeline.yml:{}: column 'poster_name' has type 'text'", line("poster_name")),
            &format!("pipeline.yml:{}: cleaning 'clean/earth.sql' of table 'geo' does not exist", line("earth")),
            "clean/user.sql:5: |agee",
            "questions/mine.sql:3: |dog",
            "questions/yours.sql:2: |ParserError",
        ],
    );
}

#[tokio::test]
async fn check_shows_what_is_wrong_with_the_sql() {
    let place = tempfile::tempdir().unwrap();
    let copy = copy_in(place.path()).await;
    let folder = copy.to_str().unwrap();
    std::fs::write(copy.join("questions/mine.sql"), "-- Mine: nothing.\nSELECT nothing FROM pin").unwrap();
    let one = run(&["check", folder]).await.failed();
    assert!(one.starts_with("error: 1 problem\nquestions/mine.sql:2: "), "{one}");
    std::fs::write(copy.join("questions/yours.sql"), "-- Yours.\nSELECT\n  repeat(category, 2) FROM pin").unwrap();
    edit(&copy.join("clean/user.sql"), "  age,", "  age age age,");
    edit(&copy.join("clean/geo.sql"), " AS ind,", " AS ind, INTERVAL '1 day' AS gap,");
    let failed = run(&["check", folder]).await.failed();
    says(
        &failed,
        &[
            "clean/geo.sql:|column 'gap' has the type Interval(MonthDayNano), which a Delta table can't store: cast it",
            "clean/user.sql:5: ",
            "questions/mine.sql:2: |nothing",
            "questions/yours.sql:3: queries have no function repeat",
        ],
    );
    edit(&copy.join("clean/geo.sql"), " AS ind, INTERVAL '1 day' AS gap,", " AS id,");
    let failed = run(&["check", folder]).await.failed();
    assert!(failed.contains("\nclean/geo.sql: the cleaning yields no column 'ind'"), "{failed}");
}

#[tokio::test]
async fn check_finds_the_line_that_the_engine_does_not_name() {
    let place = tempfile::tempdir().unwrap();
    let copy = copy_in(place.path()).await;
    let good = std::fs::read_to_string(copy.join("clean/geo.sql")).unwrap();
    let lines = good.trim_end().lines().count();
    for (end, behind) in [("WHERE ind > 3", 1), ("ORDER\nBY ind", 1), ("\nlimit 3", 2)] {
        std::fs::write(copy.join("clean/geo.sql"), format!("{}\n{end}\n", good.trim_end())).unwrap();
        let failed = run(&["check", copy.to_str().unwrap()]).await.failed();
        says(&failed, &[&format!("clean/geo.sql:{}: the cleaning is not row-local", lines + behind)]);
    }
    std::fs::write(copy.join("clean/geo.sql"), &good).unwrap();
    for (question, line) in [
        ("SELECT\n  sum(country)\nFROM geo", 3),
        ("SELECT\n  Countri\nFROM geo", 3),
        ("SELECT count(*),\n  country\nFROM geo", 3),
        ("SELECT *\nFROM question.why", 3),
        ("SELECT ind\nFROM geo JOIN pin ON geo.ind = pin.ind", 2),
    ] {
        std::fs::write(copy.join("questions/mine.sql"), format!("-- Mine.\n{question}\n")).unwrap();
        let failed = run(&["check", copy.to_str().unwrap()]).await.failed();
        says(&failed, &[&format!("questions/mine.sql:{line}: ")]);
    }
}

#[tokio::test]
async fn check_follows_the_configuration_to_the_pipeline_and_the_pipeline_to_the_configuration() {
    let place = tempfile::tempdir().unwrap();
    let copy = copy_in(place.path()).await;
    edit(&copy.join("pipeline.yml"), "pipeline: pinterest", "pipeline: mine");
    let config = copy.join("pinlake.yml");
    let named = run(&["check", "--config", config.to_str().unwrap()]).await.done();
    assert!(named.ends_with("pipeline mine is good: 3 tables, 10 questions, 1 job\n"), "{named}");
    let set = Shell::with("PINLAKE_PIPELINE", copy.to_str().unwrap()).run(&["check"]).await.done();
    assert!(set.starts_with("pipeline mine is good"), "{set}");
    edit(&config, "partitions: 1", "partitions: none");
    edit(&copy.join("pipeline.yml"), "archive:", "archives: {}\narchive:");
    for args in [vec!["check", copy.to_str().unwrap()], vec!["check", "--config", config.to_str().unwrap()]] {
        let failed = run(&args).await.failed();
        says(&failed, &[&format!("{}:|log.partitions: invalid type", config.display()), "pipeline.yml:|unknown key 'archives'"]);
    }
    let nowhere = Shell::with("PINLAKE_HTTP_LISTEN", "x").run(&["check", "no-such-folder"]).await.failed();
    says(&nowhere, &["PINLAKE_HTTP_LISTEN: http.listen: ", "reading pipeline folder 'no-such-folder'"]);
}

#[tokio::test]
async fn settings_without_sense_are_refused_with_their_place_and_what_would_do() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("my.yml");
    for (text, line, takes) in [
        ("data_dir: \"\"\n", 1, "data_dir takes a folder"),
        ("http:\n  connections_max: 0\n", 2, "http.connections_max takes 1 to 1000000"),
        ("http:\n  connections_max: 1000001\n", 2, "http.connections_max takes 1 to 1000000"),
        ("log:\n  partitions: 0\n", 2, "log.partitions takes 1 to 10000"),
        ("log:\n  partitions: 10001\n", 2, "log.partitions takes 1 to 10000"),
        ("log:\n  retention: 0s\n", 2, "log.retention takes 1s at least"),
        ("groups:\n  session_min: 0s\n", 2, "groups.session_min takes 1ms at least"),
        ("groups:\n  session_max: 5s\n", 2, "groups.session_max takes groups.session_min at least"),
        ("groups:\n  session_min: 31m\n", 2, "groups.session_max takes groups.session_min at least"),
        ("groups:\n  offsets_retention: 0s\n", 2, "groups.offsets_retention takes 1s at least"),
        ("transactions:\n  timeout_max: 0s\n", 2, "transactions.timeout_max takes 1ms at least"),
        ("doors:\n  body_max: 0\n", 2, "doors.body_max takes 1KiB to 1GiB"),
        ("doors:\n  body_max: 2GiB\n  inflight_max: 4GiB\n", 2, "doors.body_max takes 1KiB to 1GiB"),
        ("doors:\n  inflight_max: 1MiB\n", 2, "doors.inflight_max takes doors.body_max at least, 10551296 bytes"),
        ("doors:\n  body_max: 300MiB\n", 2, "doors.inflight_max takes doors.body_max at least, 314572800 bytes"),
        ("query:\n  memory_max: 0B\n", 2, "query.memory_max takes 1MiB at least"),
        ("query:\n  time_max: 0s\n", 2, "query.time_max takes 1ms at least"),
    ] {
        std::fs::write(&file, text).unwrap();
        let failed = run(&["config", "--config", file.to_str().unwrap()]).await.failed();
        assert_eq!(failed, format!("error: {}:{line}: {takes}\n", file.display()), "{text}");
    }
    let failed = Shell::with("PINLAKE_QUERY_TIME_MAX", "0s").run(&["config"]).await.failed();
    assert_eq!(failed, "error: PINLAKE_QUERY_TIME_MAX: query.time_max takes 1ms at least\n");
    std::fs::write(&file, "doors:\n  body_max: 1048576\n").unwrap();
    let bare = run(&["config", "--config", file.to_str().unwrap()]).await.done();
    assert!(bare.contains("  body_max: 1048576\n"), "a bare number is bytes: {bare}");
    std::fs::write(&file, "- a\n- list\n").unwrap();
    let list = run(&["config", "--config", file.to_str().unwrap()]).await.failed();
    assert!(list.ends_with("my.yml:1: the file takes a mapping of options\n"), "{list}");
}

#[tokio::test]
async fn values_of_a_wrong_form_are_refused_with_the_right_one() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("my.yml");
    let address = "is no IP address with a port, such as 127.0.0.1:8082; a name won't do";
    for (text, wrong) in [
        ("http:\n  listen: localhost:8082\n", format!("http.listen: 'localhost:8082' {address}")),
        ("http:\n  listen: 8082\n", format!("http.listen: '8082' {address}")),
        ("log:\n  retention: 7\n", "log.retention: '7' has no unit: a time span is written as 7s, 7m, 7h or 7d".to_owned()),
        ("kafka:\n  listen: [127.0.0.1:9093, here]\n", format!("kafka.listen: 'here' {}", address.replace("8082", "9092"))),
        ("kafka:\n  advertised: broker\n", "kafka.advertised: 'broker' is not HOST:PORT, such as broker.example:9092".to_owned()),
        ("http:\n  advertised: lake\n", "http.advertised: 'lake' is no URL such as https://lake.example/prod".to_owned()),
        ("kafka:\n  authentication: sasl\n", "principals takes somebody, for kafka.authentication is sasl".to_owned()),
        (
            "kafka:\n  certificate: a.pem\n",
            "kafka.certificate takes a file if kafka.private_key does, and none if it has none".to_owned(),
        ),
        ("log:\n  retention: -7\n", "log.retention: it takes text such as 64MiB or 60s, or a whole number".to_owned()),
    ] {
        std::fs::write(&file, text).unwrap();
        let failed = run(&["config", "--config", file.to_str().unwrap()]).await.failed();
        assert_eq!(failed, format!("error: {}:2: {wrong}\n", file.display()), "{text}");
    }
}

#[tokio::test]
async fn a_pipeline_is_found_from_the_file_that_names_it() {
    let place = tempfile::tempdir().unwrap();
    let copy = copy_in(place.path()).await;
    edit(&copy.join("pipeline.yml"), "pipeline: pinterest", "pipeline: mine");
    let beside = place.path().join("beside.yml");
    std::fs::write(&beside, "pipeline: copy\n").unwrap();
    for file in [copy.join("pinlake.yml"), beside] {
        let named = run(&["check", "--config", file.to_str().unwrap()]).await.done();
        assert!(named.ends_with("pipeline mine is good: 3 tables, 10 questions, 1 job\n"), "{}: {named}", file.display());
        let merged = run(&["config", "--config", file.to_str().unwrap()]).await.done();
        assert!(merged.contains(&format!("\npipeline: {}\n", copy.display())), "{merged}");
    }
}

#[tokio::test]
async fn variables_that_name_nothing_are_refused() {
    let wrong = [
        ("PINLAKE_HTTP_LISTN", "is PINLAKE_HTTP_LISTEN meant?"),
        ("PINLAKE_SERVR", "is PINLAKE_SERVER meant?"),
        ("PINLAKE_PORT", "they are named after the options that 'pinlake config' shows"),
        ("PINLAKE_COMPLETELY_ELSE", "they are named after the options that 'pinlake config' shows"),
    ];
    for (name, hint) in wrong {
        for command in [vec!["config"], vec!["topics", "list"], vec!["check"]] {
            let failed = Shell::with(name, "1").run(&command).await.failed();
            assert!(failed.ends_with(&format!("{name}: no such variable; {hint}\n")), "{command:?}: {failed}");
        }
    }
    let mut shell = Shell::with("PINLAKE_TEST_ANYTHING", "1");
    // What Kubernetes sets for a service of that name.
    for (name, value) in
        [("PINLAKE_SERVICE_HOST", "10.0.0.7"), ("PINLAKE_PORT", "tcp://10.0.0.7:80"), ("PINLAKE_PORT_80_TCP_PROTO", "tcp")]
    {
        shell.variables.push((name, value.to_owned()));
    }
    shell.run(&["config"]).await.done();
}

#[tokio::test]
async fn wrong_usage_ends_with_status_two_before_any_work() {
    let place = tempfile::tempdir().unwrap();
    let raw = place.path().join("raw");
    let raw = raw.to_str().unwrap();
    for args in [
        vec!["demo", "--posts", "0", "--exit"],
        vec!["demo", "--rate", "0", "--exit"],
        vec!["emulate", "--to", "nonsense"],
        vec!["emulate", "--to", "ftp://127.0.0.1:9"],
        vec!["emulate", "--to", "http://127.0.0.1:9", "--rate", "-1"],
        vec!["emulate", "--to", "http://127.0.0.1:9", "--connections", "0"],
        vec!["emulate", "--to", "http://127.0.0.1:9", "--records-a-request", "0"],
        vec!["emulate", "--to", "http://127.0.0.1:9", "--source", "postgres://me:hunter2@db/x"],
        vec!["emulate", "--to", "http://127.0.0.1:9", "--id", "a b"],
        vec!["generate", raw, "--posts", "0"],
        vec!["generate", raw, "--duplicates", "2"],
        vec!["generate", raw, "--flush", "0"],
        vec!["generate", raw, "--partitions", "0"],
        vec!["query", "SELECT 1", "--server", "nonsense"],
        vec!["query", "SELECT 1", "--server", "localhost"],
        vec!["query", "SELECT 1", "--format", "xml"],
        vec!["questions", "a/b"],
        vec!["rebuild", "../topics"],
        vec!["rebuild"],
        vec!["trace", "x.pin", "0", "-1"],
        vec!["trace", "a/b", "0", "1"],
        vec!["topics", "create", "a?b"],
        vec!["topics", "create", "x", "--partitions", "0"],
        vec!["topics", "create", "x", "--retention", "soon"],
        vec!["topics", "tail", "x", "--limit", "0"],
        vec!["topics"],
        vec!["serve", "--nonsense"],
    ] {
        let ran = run(&args).await;
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_only_reads_makes_no_folder() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let missing = run(&["batch", &path("nosuch"), &path("out")]).await.failed();
    assert!(missing.contains("there is no folder '"), "{missing}");
    let well = Shell::apart().run(&["doctor", "--data-dir", &path("data")]).await.done();
    assert!(well.contains(&format!("keeps conditional writes; the first start makes '{}'", path("data/lake"))), "{well}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    std::fs::create_dir(path("empty")).unwrap();
    let empty = run(&["batch", &path("empty"), &path("out")]).await.failed();
    assert!(empty.contains("no raw records under"), "{empty}");
    assert!(!place.path().join("out").exists());
    std::fs::create_dir(path("out")).unwrap();
    run(&["batch", &path("empty"), &path("out")]).await.failed();
    assert!(place.path().join("out").exists(), "a folder that was there stays");
}

#[tokio::test]
async fn logs_are_quiet_and_without_colours_where_nobody_looks() {
    let raw = tempfile::tempdir().unwrap();
    let mut shell = Shell::with("RUST_LOG", "debug");
    shell.variables.push(("PINLAKE_HTTP_LISTEN", "127.0.0.1:0".to_owned()));
    let data = raw.path().join("data");
    let args = ["demo", "--posts", "30", "--exit", "--data-dir", data.to_str().unwrap()];
    let ran = shell.run(&args).await;
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.err.contains(" DEBUG "), "the own parts say more: {}", ran.err);
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    shell.variables.push(("PINLAKE_LOG_FORMAT", "json".to_owned()));
    let ran = shell.run(&args).await;
    for line in ran.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let target = line["target"].as_str().unwrap();
        assert!(target.starts_with("pinlake") || ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    shell.variables.push(("PINLAKE_LOG_FORMAT", "xml".to_owned()));
    let wrong = shell.run(&args).await.failed();
    assert!(wrong.ends_with("PINLAKE_LOG_FORMAT is 'xml': the formats are text and json\n"), "{wrong}");
}

#[tokio::test]
async fn config_merges_file_and_environment_and_hides_secrets() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("my.yml");
    std::fs::write(&file, "log:\n  partitions: 4\n  durability: os\n").unwrap();
    let mut shell = Shell::with("PINLAKE_LOG_DURABILITY", "interval");
    shell.variables.push(("PINLAKE_STORE", "s3://me:hunter2@bucket/lake".to_owned()));
    let merged = shell.run(&["config", "--config", file.to_str().unwrap()]).await.done();
    for line in ["store: s3://me:***@bucket/lake", "  partitions: 4", "  durability: interval", "  listen: 127.0.0.1:8082"] {
        assert!(merged.lines().any(|found| found == line), "{line} is in {merged}");
    }
    assert!(!merged.contains("hunter2"), "{merged}");
    shell.variables.push(("PINLAKE_HTTP_LISTEN", "127.0.0.1:0".to_owned()));
    for command in ["doctor", "check", "serve"] {
        let data = place.path().join("data");
        let args = [command, "--data-dir", data.to_str().unwrap()];
        let refused = shell.run(if command == "check" { &args[..1] } else { &args }).await;
        let said = format!("{}{}", refused.out, refused.err);
        assert!(said.contains("'s3://me:***@bucket/lake' holds a password: take it out"), "{command}: {said}");
        assert!(!said.contains("hunter2"), "{command}: {said}");
        assert_eq!(refused.status, Some(1), "{command}");
    }
    let strange = Shell::with("PINLAKE_STORE", "bad://bucket").run(&["check"]).await.failed();
    assert!(strange.contains("store: opening 'bad://bucket/'"), "{strange}");
    let wrong = Shell::with("PINLAKE_LOG_PARTITIONS", "few").run(&["config"]).await.failed();
    assert!(wrong.contains("PINLAKE_LOG_PARTITIONS: log.partitions: "), "{wrong}");
    std::fs::write(&file, "http:\n  # where\n  listne: 127.0.0.1:1\n").unwrap();
    for command in ["config", "serve", "doctor"] {
        let unknown = run(&[command, "--config", file.to_str().unwrap()]).await.failed();
        let expected =
            format!("{}:3: unknown key 'http.listne': there are listen, hosts, advertised, connections_max", file.display());
        assert!(unknown.contains(&expected), "{command}: {unknown}");
    }
    let missing = run(&["config", "--config", "no-such.yml"]).await.failed();
    assert!(missing.contains("reading configuration 'no-such.yml'"), "{missing}");
}

#[tokio::test]
async fn doctor_says_what_is_well_and_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let well = Shell::apart().run(&["doctor", "--data-dir", folder]).await.done();
    for part in [
        "✓ pipeline: pinterest",
        "✓ address: 127.0.0.1:0 is free",
        "✓ data folder: no server",
        "✓ disk: ",
        "✓ open files: ",
        "✓ store: file://",
    ] {
        assert!(well.contains(part), "{well}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut shell = Shell::apart();
    shell.variables.push(("PINLAKE_HTTP_LISTEN", address.clone()));
    shell.variables.push(("PINLAKE_PIPELINE", "no-such-folder".to_owned()));
    let ill = shell.run(&["doctor", "--data-dir", folder]).await;
    assert!(ill.out.contains("✗ pipeline: reading pipeline folder 'no-such-folder'"), "{}", ill.out);
    assert!(
        ill.out.contains(&format!("✗ address: {address} can't be used")) && ill.out.contains("set http.listen"),
        "{}",
        ill.out
    );
    assert_eq!(ill.failed(), "error: 2 things to mend\n");
    let _server = Server::start(data.path(), "127.0.0.1:0").await;
    let beside = Shell::apart().run(&["doctor", "--data-dir", folder]).await;
    assert!(beside.out.contains("✗ data folder: another process has the log in "), "{}", beside.out);
    assert_eq!(beside.failed(), "error: 1 thing to mend\n");
}

/// Who logs in with which password stands in the environment and in a file, and never in what is shown.
#[tokio::test]
async fn passwords_of_principals_are_named_and_never_shown() {
    let place = tempfile::tempdir().unwrap();
    let (file, secret) = (place.path().join("my.yml"), place.path().join("secret"));
    let text =
        |password: &str| format!("principals:\n  - {{ name: alice, password: {password} }}\nkafka:\n  authentication: sasl\n");
    std::fs::write(&secret, "from-the-file\n").unwrap();
    std::fs::write(&file, text(&format!("{{ file: {} }}", secret.display()))).unwrap();
    let shown = run(&["config", "--config", file.to_str().unwrap()]).await.done();
    assert!(shown.contains("alice") && !shown.contains("from-the-file"), "{shown}");
    for (password, why) in [
        ("{ env: PASSWORD_OF_NOBODY }", "the password of principal 'alice': variable PASSWORD_OF_NOBODY is not set"),
        ("{ file: /nowhere/at/all }", "the password of principal 'alice': reading '/nowhere/at/all'"),
    ] {
        std::fs::write(&file, text(password)).unwrap();
        let data = place.path().join("data");
        let args = ["serve", "--data-dir", data.to_str().unwrap(), "--config", file.to_str().unwrap()];
        let mut shell = Shell::with("PINLAKE_HTTP_LISTEN", "127.0.0.1:0");
        shell.variables.push(("PINLAKE_KAFKA_LISTEN", "127.0.0.1:0".to_owned()));
        let failed = shell.run(&args).await.failed();
        assert!(failed.contains(why), "{failed}");
        assert!(!data.exists(), "a start that can't have its secrets leaves nothing behind");
    }
}

/// The keys of AWS's clients and of the gateway: where they are, what they may do, and what can't work.
#[tokio::test]
async fn keys_are_named_and_never_shown() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("my.yml");
    let allow = "allow: [{ actions: [\"kinesis:Put*\"], streams: [\"*\"] }]";
    let aws = |keys: &str| format!("kinesis:\n  access:\n    mode: signed\n    keys: [{keys}]\n");
    let good =
        aws(&format!("{{ id: A, secret: {{ env: X }}, session_token: {{ env: X }}, expires: 2030-01-31T00:00:00Z, {allow} }}"));
    let good = good
        + "gateway:\n  keys: [{ name: web, key: { env: X }, plan: p }]\n  plans: [{ name: p, rate: 0.5, quota: 9, period: month }]\n";
    std::fs::write(&file, &good).unwrap();
    let mut shell = Shell::with("X", "hunter2");
    let shown = shell.run(&["config", "--config", file.to_str().unwrap()]).await.done();
    assert!(shown.contains("2030-01-31") && shown.contains("period: month") && !shown.contains("hunter2"), "{shown}");
    let key = |id: &str, more: &str| format!("{{ id: {id}, secret: {{ env: X }}, {more} }}");
    let (keys, two) = ("kinesis.access.keys", format!("{}, {}", key("A", allow), key("A", allow)));
    let gateway = |text: &str| format!("gateway:\n  {text}\n");
    let cases = [
        (aws(""), format!("{keys} takes a key, for kinesis.access.mode is signed")),
        (aws(&key("A", allow)).replace("signed", "open"), format!("{keys} takes nothing, unless kinesis.access.mode is signed")),
        (aws(&two), format!("{keys} takes an id of its own for each")),
        (aws(&key("a/b", allow)), format!("{keys} takes an id of its own for each")),
        (aws(&key("A", "allow: [{ actions: [], streams: [x] }]")), format!("{keys} takes actions and streams in all of allow")),
        (
            aws(&format!("{{ id: A, secret: hunter2, {allow} }}")),
            format!("{keys}: takes the place of the secret, not the secret"),
        ),
        (aws(&key("A", &format!("expires: soon, {allow}"))), format!("{keys}: 'soon' is no time such as 2030-01-31T00:00:00Z")),
        ("kinesis:\n  account: 12345\n".to_owned(), "kinesis.account takes 12 digits".to_owned()),
        ("kinesis:\n  region: EU\n".to_owned(), "kinesis.region takes a region such as eu-west-1".to_owned()),
        ("kinesis:\n  record_max: 11MiB\n".to_owned(), "kinesis.record_max takes 1KiB to 10MiB".to_owned()),
        (
            gateway("keys: [{ name: a, key: { env: X }, plan: q }]"),
            "gateway.keys takes plans of gateway.plans, and 'q' is none".to_owned(),
        ),
        (gateway("keys: [{ name: a, key: hunter2 }]"), "gateway.keys: takes the place of the secret, not the secret".to_owned()),
        (gateway("plans: [{ name: p, rate: -1 }]"), "gateway.plans takes a rate of 0 or more for each".to_owned()),
        (gateway("cors: [https://app.example/]"), "gateway.cors takes origins such as https://app.example, or *".to_owned()),
        (gateway("timeout: 2h"), "gateway.timeout takes 1h at most, or 0s for no limit".to_owned()),
    ];
    for (text, wrong) in cases {
        std::fs::write(&file, &text).unwrap();
        let failed = run(&["config", "--config", file.to_str().unwrap()]).await.failed();
        assert!(failed.contains(&wrong) && !failed.contains("hunter2"), "{text}: {failed}");
    }
    for (text, why) in [
        (
            aws(&key("A", allow)).replace("env: X", "env: SECRET_OF_NOBODY"),
            "the secret of key 'A': variable SECRET_OF_NOBODY is not set",
        ),
        (gateway("keys: [{ name: a, key: { env: X } }, { name: b, key: { env: X } }]"), "the API key of 'b' is another's too"),
    ] {
        std::fs::write(&file, text).unwrap();
        let data = place.path().join("data");
        shell.variables.retain(|(name, _)| *name == "X");
        shell.variables.push(("PINLAKE_HTTP_LISTEN", "127.0.0.1:0".to_owned()));
        shell.variables.push(("PINLAKE_KAFKA_LISTEN", "127.0.0.1:0".to_owned()));
        let args = ["serve", "--data-dir", data.to_str().unwrap(), "--config", file.to_str().unwrap()];
        let failed = shell.run(&args).await.failed();
        assert!(failed.contains(why), "{failed}");
        assert!(!data.exists(), "a start that can't have its keys leaves nothing behind");
    }
}

/// A cluster as the log: what can't work is said before anything is connected, and passwords are named as everywhere.
#[tokio::test]
async fn settings_of_a_cluster_that_can_not_work_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("my.yml");
    let named = "brokers: 'b1:9092, b2:9092'";
    let (tls, mechanism) = ("log.kafka.security.tls", "log.kafka.security.sasl.mechanism");
    let (user, password) = ("log.kafka.security.sasl.username takes", "log.kafka.security.sasl.password takes");
    let nothing = "nothing for this mechanism";
    let cases = [
        ("brokers: [b1]", "", "log.kafka.brokers: 'b1' is not HOST:PORT, such as broker.example:9092".to_owned()),
        ("brokers: 'b1:9092,:1'", "", "log.kafka.brokers: ':1' is not HOST:PORT, such as broker.example:9092".to_owned()),
        (
            named,
            "replication: -2",
            "log.kafka.replication takes 0, for the cluster's default, or the number of copies".to_owned(),
        ),
        ("brokers: []", "security: { tls: true }", format!("log.kafka.brokers takes HOST:PORT of a broker, for {tls} is set")),
        (named, "security: { ca: a.pem }", format!("log.kafka.security.ca takes a file only if {tls} is true")),
        (named, "security: { sasl: { mechanism: gssapi } }", format!("{mechanism}: unknown variant `gssapi`")),
        (
            named,
            "security: { sasl: { mechanism: plain, password: { env: X } } }",
            format!("{user} a name for plain and scram-sha-*"),
        ),
        (named, "security: { sasl: { mechanism: scram-sha-512, username: me } }", format!("{password} either env or file")),
        (
            named,
            "security: { sasl: { mechanism: oauthbearer, username: me, password: { env: X } } }",
            format!("{user} {nothing}"),
        ),
        (named, "security: { sasl: { password: { file: x } } }", format!("{password} {nothing}")),
        (named, "security: { sasl: { mechanism: aws-msk-iam, region: eu-west-1 } }", format!("{tls} takes true for aws-msk-iam")),
        (
            named,
            "security: { tls: true, sasl: { mechanism: aws-msk-iam } }",
            "log.kafka.security.sasl.region takes a region".to_owned(),
        ),
    ];
    for (brokers, rest, wrong) in cases {
        std::fs::write(&file, format!("log:\n  kafka:\n    {brokers}\n    {rest}\n")).unwrap();
        let failed = run(&["config", "--config", file.to_str().unwrap()]).await.failed();
        let place = format!("error: {}:", file.display());
        assert!(failed.starts_with(&place) && failed.contains(&wrong), "{brokers} {rest}: {failed}");
        assert!(run(&["check", "--config", file.to_str().unwrap()]).await.failed().contains(&wrong), "the check finds it too");
    }
    let no_pem = place.path().join("no.pem");
    std::fs::write(&no_pem, "none").unwrap();
    let files = [("PINLAKE_KAFKA_CERTIFICATE", &no_pem), ("PINLAKE_KAFKA_PRIVATE_KEY", &no_pem)];
    let mut shell = Shell::with("PINLAKE_HTTP_LISTEN", "127.0.0.1:0");
    shell.variables.extend(files.map(|(name, path)| (name, path.to_str().unwrap().to_owned())));
    shell.variables.push(("PINLAKE_KAFKA_LISTEN", "127.0.0.1:0".to_owned()));
    let failed = shell.run(&["serve", "--data-dir", place.path().join("tls").to_str().unwrap()]).await.failed();
    let named = format!("kafka.certificate '{0}', kafka.private_key '{0}'", no_pem.display());
    assert!(failed.contains(&named), "{failed}");
    let mut shell = Shell::with("PINLAKE_LOG_KAFKA_BROKERS", "b1:9092,b2:9092");
    shell.variables.push(("PINLAKE_LOG_KAFKA_SECURITY_SASL_MECHANISM", "scram-sha-256".to_owned()));
    shell.variables.push(("PINLAKE_LOG_KAFKA_SECURITY_SASL_USERNAME", "me".to_owned()));
    shell.variables.push(("PINLAKE_LOG_KAFKA_SECURITY_SASL_PASSWORD_ENV", "PASSWORD_OF_NOBODY".to_owned()));
    let shown = shell.run(&["config"]).await.done();
    assert!(shown.contains("b1:9092,b2:9092") && shown.contains("PASSWORD_OF_NOBODY"), "{shown}");
    shell.variables.push(("PINLAKE_HTTP_LISTEN", "127.0.0.1:0".to_owned()));
    let data = place.path().join("data");
    let failed = shell.run(&["serve", "--data-dir", data.to_str().unwrap()]).await.failed();
    let why = "log.kafka.security.sasl.password: variable PASSWORD_OF_NOBODY is not set";
    assert!(failed.contains(why) && failed.contains("b1:9092, b2:9092"), "{failed}");
    assert!(!data.exists(), "a start that can't have its secrets leaves nothing behind");
}
