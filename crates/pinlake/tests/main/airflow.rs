//! Airflow and Databricks' own clients, as their users install them, do with the server what they do with a workspace: what is in
//! `conformance/airflow`.
//!
//! `PINLAKE_TEST_AIRFLOW_PYTHON`, `PINLAKE_TEST_AIRFLOW_3_PYTHON`, `PINLAKE_TEST_AIRFLOW_OLD_PYTHON` and `PINLAKE_TEST_DATABRICKS_PYTHON` name pythons
//! that have the libraries of `requirements-2.txt`, `requirements-3.txt`, `requirements-old.txt` and `requirements-sdk.txt` of that folder.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pinlake_core::testing::held_port::HeldPort;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::aws_clients::conformance;
use crate::kafka_clients::say;
use crate::server::Server;
use crate::shell::run;

/// How long a script may take: longer than it allows itself.
const SCRIPT_WAIT: Duration = Duration::from_secs(1530);
/// What every call of Databricks' APIs must bring.
const TOKEN: &str = "dapi-0123456789abcdef";

/// A client: who has it, and what it does.
struct Client {
    /// Names a python.
    variable: &'static str,
    /// What that python must have.
    list: &'static str,
    script: &'static str,
    /// Whether it speaks TLS.
    tls: bool,
}

/// A server's configuration, pipeline and data.
struct Place {
    folder: tempfile::TempDir,
    listen: HeldPort,
    listen_tls: Option<HeldPort>,
}

impl Place {
    /// With the jobs that stand for the notebooks of the DAGs.
    async fn new(tls: bool) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap(), listen: HeldPort::new(), listen_tls: tls.then(HeldPort::new) };
        let (pipeline, given) = (place.path("pipeline"), conformance().join("airflow/pipeline"));
        run(&["init", pipeline.to_str().unwrap()]).await.done();
        let definition = pipeline.join("pipeline.yml");
        let jobs = std::fs::read_to_string(given.join("jobs.yml")).unwrap();
        let text = std::fs::read_to_string(&definition).unwrap();
        assert!(
            text.rfind("\njobs:").is_some_and(|at| !text[at + 1..].contains("\n\n")),
            "the jobs are the definition's end: {text}"
        );
        std::fs::write(&definition, text + &jobs).unwrap();
        std::fs::create_dir(pipeline.join("failing")).unwrap();
        std::fs::copy(given.join("failing/no_posts.sql"), pipeline.join("failing/no_posts.sql")).unwrap();
        std::fs::write(place.path("token"), TOKEN).unwrap();
        std::fs::write(place.path("config.yml"), place.config()).unwrap();
        place
    }

    fn config(&self) -> String {
        let (pipeline, token) = (self.path("pipeline"), self.path("token"));
        let tls =
            self.listen_tls.as_ref().map(|port| format!("  tls: {{ listen: \"{}\" }}\n", port.address())).unwrap_or_default();
        format!(
            "pipeline: {}\ndatabricks:\n  tokens: [{{ file: {} }}]\n  notebooks: [{{ match: \"/**/Load Data*\", job: load }}]\n{tls}",
            pipeline.display(),
            token.display()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self) -> Server {
        let (listen, config) = (self.listen.address().to_string(), self.path("config.yml"));
        Server::start_with(&self.path("data"), &listen, &["--config", config.to_str().unwrap()]).await
    }
}

/// Runs a client against a server of its own with some posts, which the client may have killed and started again. All its checks must pass.
async fn check(client: Client) {
    let Client { variable, list, script, tls } = client;
    let Some(python) = std::env::var_os(variable) else {
        return say(&format!("skipped: {variable} names no python that has conformance/airflow/{list}"));
    };
    let place = Place::new(tls).await;
    let mut server = place.start().await;
    run(&["emulate", "--to", &server.url, "--mode", "both", "--count", "200", "--seed", "1"]).await.done();
    let mut command = Command::new(python);
    command.arg(conformance().join("airflow").join(script)).env("PINLAKE_TEST_TOKEN", TOKEN);
    // Nothing that this machine has of Databricks is used.
    command.env("HOME", place.folder.path()).env("DATABRICKS_CONFIG_FILE", "/dev/null");
    let (line, url) = match &place.listen_tls {
        Some(port) => ("Airflow with TLS: ", format!("https://{}", port.address())),
        None => ("Airflow: ", server.url.clone()),
    };
    command.arg(url).envs(told(&server, line));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true).spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let talks = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said = format!("{said}{line}\n");
            if line == "restart KILL" {
                assert!(server.kill().await, "it ran until it was killed");
                server = place.start().await;
                answers.write_all(format!("{}\n", server.url).as_bytes()).await.unwrap();
            }
        }
        child.wait().await.unwrap()
    };
    let ended = tokio::time::timeout(SCRIPT_WAIT, talks).await;
    let ended = ended.unwrap_or_else(|_| panic!("not done within {SCRIPT_WAIT:?}: {said}"));
    assert!(ended.success() && said.ends_with(" passed, 0 failed\n"), "{said}");
}

/// The variables that a server tells a person to copy into Airflow, with the token in its place.
fn told(server: &Server, line: &str) -> Vec<(String, String)> {
    let told = server.shown.iter().find_map(|shown| shown.strip_prefix(line));
    let told = told.unwrap_or_else(|| panic!("it tells what to copy into Airflow: {:?}", server.shown));
    let variables = told.split(' ').map(|variable| variable.split_once('=').unwrap());
    variables.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').replace("TOKEN", TOKEN))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn airflow_2_runs_its_dags() {
    let (variable, list) = ("PINLAKE_TEST_AIRFLOW_PYTHON", "requirements-2.txt");
    check(Client { variable, list, script: "with_airflow.py", tls: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn airflow_3_runs_its_dags() {
    let (variable, list) = ("PINLAKE_TEST_AIRFLOW_3_PYTHON", "requirements-3.txt");
    check(Client { variable, list, script: "with_airflow.py", tls: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_airflow_runs_its_dags_over_tls() {
    let (variable, list) = ("PINLAKE_TEST_AIRFLOW_OLD_PYTHON", "requirements-old.txt");
    check(Client { variable, list, script: "with_airflow.py", tls: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databricks_sdk_finds_a_workspace() {
    let (variable, list) = ("PINLAKE_TEST_DATABRICKS_PYTHON", "requirements-sdk.txt");
    check(Client { variable, list, script: "with_sdk.py", tls: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databricks_sql_connector_reads_questions_over_tls() {
    let (variable, list) = ("PINLAKE_TEST_DATABRICKS_PYTHON", "requirements-sdk.txt");
    check(Client { variable, list, script: "with_sql_connector.py", tls: true }).await;
}
