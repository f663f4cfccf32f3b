//! `pinlake demo`: the main job on one machine, from posts to answers and a closed ledger.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pinlake_emulator::{EmulateOptions, Mode, emulate};
use pinlake_web::answers::{Ledger, QuestionSummary, Questions, RebuiltTables};
use serde_json::json;

use super::query::Answer;
use super::{prove, serve};
use crate::app::App;
use crate::cli::DemoArgs;
use crate::client::Client;
use crate::config;
use crate::telemetry;
use crate::terminal::{self, Bar, count};

/// Records of one request: few enough to look like many clients, enough to be quick.
const RECORDS_A_REQUEST: usize = 20;
/// Rows of each answer that are shown.
const ROWS_SHOWN: usize = 3;

/// Runs the command.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    telemetry::start_logs("warn")?;
    let metrics = telemetry::start_metrics()?;
    let mut config = config::load(None)?.config;
    let (data_dir, temporary) = data_dir(&args)?;
    config.data_dir.clone_from(&data_dir);
    if args.exit {
        // A demo that ends must not be in the way of a server that runs.
        config.http.listen.set_port(0);
        config.kafka.listen.iter_mut().for_each(|listen| listen.set_port(0));
    }
    terminal::line(format!("Pinlake keeps this demo in {}", data_dir.display()));
    let app = App::start(&config, metrics, &terminal::part).await?;
    let server = format!("http://{}", app.listeners.address);
    let done = show(&server, &args).await;
    let stayed = match done {
        Ok(()) if !args.exit => stay(&app, &server).await,
        done => done,
    };
    app.stop().await?;
    drop(temporary);
    stayed
}

fn data_dir(args: &DemoArgs) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(dir) = &args.data_dir {
        return Ok((dir.clone(), None));
    }
    let dir = tempfile::Builder::new().prefix("pinlake-demo-").tempdir().context("making a folder for the demo")?;
    Ok((dir.path().to_owned(), Some(dir)))
}

async fn show(server: &str, args: &DemoArgs) -> Result<()> {
    let client = Client::new(server);
    let options = EmulateOptions {
        mode: Mode::Both,
        count: Some(args.posts),
        rate: args.rate,
        seed: args.seed,
        records_a_request: RECORDS_A_REQUEST,
        ..EmulateOptions::new(server.parse().context("the server's own address is a URL")?)
    };
    let bar = Bar::counter("posting", options.count);
    let posted = emulate(&options, &|done, _| bar.set(done)).await;
    drop(bar);
    let posted = posted?;
    terminal::line(format!(
        "✓ {} ({}) through the Kafka REST and Kinesis doors in {:.1} s, each on disk before its answer",
        count(posted.posts, "post"),
        count(posted.records, "record"),
        posted.seconds
    ));
    let RebuiltTables { tables } = client.post("/api/v1/tables/all/rebuild", json!({})).await?;
    terminal::line(format!("✓ {} rebuilt from the archive (the daily job)", count(tables.len(), "table")));
    let answered = answers(&client).await?;
    let ledger: Ledger = client.get("/api/v1/ledger?deep=true").await?;
    prove::show(&ledger);
    if !ledger.closed {
        bail!("the ledger does not close");
    }
    terminal::line(format!("✓ {} answered", count(answered, "question")));
    Ok(())
}

async fn answers(client: &Client) -> Result<usize> {
    let Questions { questions } = client.get("/api/v1/questions").await?;
    for QuestionSummary { name, description, .. } in &questions {
        let answer: Answer = client.get(&format!("/api/v1/questions/{name}")).await?;
        let total = answer.rows.len();
        if total == 0 {
            bail!("question {name} has no answer");
        }
        terminal::line(format!("\n{description}"));
        terminal::line(answer.table(ROWS_SHOWN));
        if total > ROWS_SHOWN {
            terminal::line(format!("... {total} rows: pinlake questions {name}"));
        }
    }
    Ok(questions.len())
}

async fn stay(app: &App, server: &str) -> Result<()> {
    terminal::line("\nThe server keeps running; Ctrl-C ends it. Go on with:");
    terminal::line(format!("  API and metrics   {server}/  {server}/metrics"));
    terminal::line("  SQL               pinlake query 'SELECT count(*) FROM pin'");
    terminal::line("  questions         pinlake questions");
    terminal::line("  the ledger        pinlake prove");
    terminal::line(format!(
        "  Kafka REST        curl -X POST {server}/topics/0a1b2c3d4e5f.pin -H 'Content-Type: application/vnd.kafka.json.v2+json' -d '{{\"records\":[{{\"value\":{{\"index\":1}}}}]}}'"
    ));
    if let Some(kafka) = app.listeners.kafka_addresses.first() {
        terminal::line(format!("  Kafka clients     kcat -b {kafka} -t 0a1b2c3d4e5f.pin -C -e"));
    }
    serve::until_the_end(app)?.await;
    Ok(())
}
