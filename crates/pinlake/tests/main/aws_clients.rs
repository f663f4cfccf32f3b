//! AWS's clients, as their users install them, do with the server what they do with Kinesis and Firehose: what is in
//! `conformance/kinesis`, `conformance/firehose` and `conformance/aws-sdk`.
//!
//! `PINLAKE_TEST_AWS_PYTHON` names a python that has the libraries of `conformance/kinesis/requirements.txt`,
//! `PINLAKE_TEST_ASYNC_KINESIS_PYTHON` one that has those of `requirements-async.txt`; the JavaScript client is installed in
//! `conformance/kinesis` by `npm ci`; `PINLAKE_TEST_AWS_SDK` names what `cargo build` makes of `conformance/aws-sdk`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::kafka_clients::{is_there, say};
use crate::server::Server;

/// Names the python with AWS's libraries.
pub(crate) const PYTHON: &str = "PINLAKE_TEST_AWS_PYTHON";
/// How long a script may take: longer than it allows itself.
const SCRIPT_WAIT: Duration = Duration::from_secs(540);

pub(crate) fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// What a variable names; says what is missing where it names nothing, and the test is skipped.
pub(crate) fn named(variable: &str, list: &str) -> Option<OsString> {
    let named = std::env::var_os(variable);
    if named.is_none() {
        say(&format!("skipped: {variable} names no python that has conformance/kinesis/{list}"));
    }
    named
}

fn javascript_is_installed() -> bool {
    let installed = conformance().join("kinesis/node_modules/@aws-sdk/client-kinesis").exists();
    if !installed {
        say("skipped: run 'npm ci' in conformance/kinesis first");
    }
    installed
}

/// A script of `conformance`, run by a program.
fn script(program: impl AsRef<OsStr>, script: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(conformance().join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a client against a server of its own with this configuration, which the client may have ended and started again. It is told the
/// server's URL and the folder of its buckets. All its checks must pass.
async fn check(mut command: Command, config: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (path, buckets) = (folder.path().join("config.yml"), folder.path().join("buckets"));
    std::fs::write(&path, format!("{config}connect: {{ buckets: {} }}\n", buckets.display())).unwrap();
    let start =
        async || Server::start_with(&folder.path().join("data"), "127.0.0.1:0", &["--config", path.to_str().unwrap()]).await;
    let mut server = start().await;
    command.arg(&server.url).arg(&buckets).kill_on_drop(true);
    // Nothing that this machine has of AWS is used.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env_remove("AWS_PROFILE");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut answers = client.stdin.take().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let talks = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said = format!("{said}{line}\n");
            match line.as_str() {
                "restart TERM" => {
                    server.terminate().await;
                    assert!(server.ended().await.success(), "{said}");
                }
                "restart KILL" => assert!(server.kill().await, "it ran until it was killed"),
                _ => continue,
            }
            server = start().await;
            answers.write_all(format!("{}\n", server.url).as_bytes()).await.unwrap();
        }
        client.wait().await.unwrap()
    };
    let ended = tokio::time::timeout(SCRIPT_WAIT, talks).await;
    let ended = ended.unwrap_or_else(|_| panic!("not done within {SCRIPT_WAIT:?}: {said}"));
    assert!(ended.success() && said.ends_with(" passed, 0 failed\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_finds_kinesis() {
    if let Some(python) = named(PYTHON, "requirements.txt") {
        check(script(python, "kinesis/with_boto3.py"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_is_let_in_by_what_it_signs() {
    let Some(python) = named(PYTHON, "requirements.txt") else { return };
    let secrets = tempfile::tempdir().unwrap();
    let file = |name: &str, secret: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, secret).unwrap();
        format!("{{ file: {} }}", path.display())
    };
    let all = r#"allow: [{ actions: ["*"], streams: ["*"] }]"#;
    let keys = [
        format!("{{ id: AKIAADMIN, secret: {}, {all} }}", file("admin", "admin/secret+")),
        format!(
            r#"{{ id: AKIAPRODUCER, secret: {}, allow: [{{ actions: ["kinesis:Put*"], streams: ["orders-*"] }}] }}"#,
            file("producer", "producer")
        ),
        format!(
            "{{ id: ASIASESSION, secret: {}, session_token: {}, {all} }}",
            file("session", "session"),
            file("token", "the token")
        ),
        format!(
            "{{ id: ASIAENDED, secret: {}, session_token: {}, expires: 2020-01-31T00:00:00Z, {all} }}",
            file("ended", "ended"),
            file("old", "old")
        ),
    ];
    let config = format!("kinesis: {{ access: {{ mode: signed, keys: [\n  {}\n] }} }}\n", keys.join(",\n  "));
    check(script(python, "kinesis/access_with_boto3.py"), &config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_finds_kinesis() {
    if let Some(python) = named(PYTHON, "requirements.txt") {
        check(script(python, "kinesis/with_aws_cli.py"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_finds_kinesis() {
    if is_there("node", "--version").await && javascript_is_installed() {
        check(script("node", "kinesis/with_client_kinesis.js"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn async_kinesis_finds_kinesis() {
    if let Some(python) = named("PINLAKE_TEST_ASYNC_KINESIS_PYTHON", "requirements-async.txt") {
        check(script(python, "kinesis/with_async_kinesis.py"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_subscribes_to_shards() {
    if let Some(python) = named(PYTHON, "requirements.txt") {
        check(script(python, "kinesis/subscribe_with_boto3.py"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_finds_firehose() {
    if let Some(python) = named(PYTHON, "requirements.txt") {
        check(script(python, "firehose/with_boto3.py"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_for_rust_finds_kinesis_and_firehose() {
    match std::env::var_os("PINLAKE_TEST_AWS_SDK") {
        Some(program) => check(Command::new(program), "").await,
        None => say("skipped: PINLAKE_TEST_AWS_SDK names no program that was built of conformance/aws-sdk"),
    }
}
