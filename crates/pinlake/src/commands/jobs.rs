//! `pinlake jobs`: jobs and their runs on a running server.

mod follow;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::{Context, Result, bail};
use pinlake_core::jobs::{Again, Order, RunId, RunState};
use pinlake_web::jobs::answers::{AlertList, BackfillAnswer, JobDetail, JobList, RunAnswer, RunList, RunNumber, word};
use reqwest::{Method, Url};
use serde_json::json;

use self::follow::Follower;
use crate::cli::{BackfillArgs, JobsArgs, JobsCommand, RunArgs, Usage};
use crate::client::Client;
use crate::terminal::{self, count};

/// Runs the command.
pub(crate) async fn run(args: JobsArgs) -> Result<()> {
    let client = Client::new(&args.server.server);
    match args.command {
        JobsCommand::List { json } => list(&client, json).await,
        JobsCommand::Describe { job, json } => describe(&client, &job, json).await,
        JobsCommand::Run(args) => start(&client, args).await,
        JobsCommand::Backfill(args) => backfill(&client, args).await,
        JobsCommand::Runs { job, state, limit, json } => {
            let states = state.into_iter().map(RunState::from).collect();
            runs(&client, job, states, limit, json).await
        }
        JobsCommand::Show { run, json } => show(&client, run, json).await,
        JobsCommand::Logs { run, task, attempt, follow } => logs(&client, run, task, attempt, follow).await,
        JobsCommand::Cancel { run } => {
            let before: RunAnswer = client.get(&path(&["runs", &run.to_string()], &[])).await?;
            if before.summary.state.has_ended() {
                terminal::line(format!("run {run} had ended already: {}", word(before.summary.state)));
                return Ok(());
            }
            let _: RunNumber = client.post(&path(&["runs", &run.to_string(), "cancel"], &[]), json!({})).await?;
            terminal::line(format!("run {run} ends as soon as its tasks have"));
            Ok(())
        }
        JobsCommand::Rerun { run, all } => {
            let again = if all { Again::All } else { Again::Failed };
            let _: RunNumber = client.post(&path(&["runs", &run.to_string(), "rerun"], &[]), json!({ "tasks": again })).await?;
            terminal::line(format!("run {run} runs again: 'pinlake jobs logs {run} --follow' shows how it goes"));
            Ok(())
        }
        JobsCommand::Alerts { open, json } => alerts(&client, open, json).await,
        JobsCommand::Pause { job } => {
            client.text(Method::POST, &path(&["jobs", &job, "pause"], &[]), None).await?;
            terminal::line(format!("{job} is paused: nothing but a person starts it"));
            Ok(())
        }
        JobsCommand::Resume { job } => {
            client.text(Method::POST, &path(&["jobs", &job, "resume"], &[]), None).await?;
            terminal::line(format!("{job} goes on"));
            Ok(())
        }
    }
}

/// A path of the API with its parameters, whatever the names hold.
fn path(segments: &[&str], params: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://pinlake/api/v1").expect("it is a URL");
    url.path_segments_mut().expect("it has a path").extend(segments);
    if params.is_empty() {
        return url.path().to_owned();
    }
    url.query_pairs_mut().extend_pairs(params);
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

async fn list(client: &Client, json: bool) -> Result<()> {
    let list: JobList = client.get(&path(&["jobs"], &[])).await?;
    if json {
        terminal::line(serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    for problem in &list.scheduler.problems {
        terminal::warning(shown::problem(problem));
    }
    terminal::line(shown::jobs(&list.jobs));
    terminal::line(shown::scheduler(&list.scheduler));
    Ok(())
}

async fn alerts(client: &Client, open: bool, json: bool) -> Result<()> {
    let mut list: AlertList = client.get(&path(&["alerts"], &[])).await?;
    list.alerts.retain(|alert| !open || alert.recovered_at_ms.is_none());
    terminal::line(if json { serde_json::to_string_pretty(&list)? } else { shown::alerts(&list.alerts) });
    Ok(())
}

async fn describe(client: &Client, job: &str, json: bool) -> Result<()> {
    let job: JobDetail = client.get(&path(&["jobs", job], &[])).await?;
    terminal::line(if json { serde_json::to_string_pretty(&job)? } else { shown::job(&job) });
    Ok(())
}

async fn start(client: &Client, args: RunArgs) -> Result<()> {
    let parameters: BTreeMap<_, _> = args.set.into_iter().collect();
    let mut body = json!({ "parameters": parameters });
    if let (Some(from), Some(to)) = (args.from, args.to) {
        if from >= to {
            bail!(Usage::of("--to must lie behind --from: the end is left out"));
        }
        (body["from"], body["to"]) = (from.0.into(), to.0.into());
    }
    if let Some(token) = args.token {
        body["token"] = token.into();
    }
    let RunNumber { run_id } = client.post(&path(&["jobs", &args.job, "run"], &[]), body).await?;
    if !args.wait {
        terminal::line(format!("run {run_id} of {}: 'pinlake jobs logs {run_id} --follow' shows how it goes", args.job));
        return Ok(());
    }
    let mut follower = Follower::of_all();
    let run = follow::to_end(client, run_id, &mut follower, None).await?;
    if run.summary.state == RunState::Failed {
        bail!("{}", shown::end_told(&run));
    }
    Ok(())
}

async fn backfill(client: &Client, args: BackfillArgs) -> Result<()> {
    if args.from >= args.to {
        bail!(Usage::of("--to must lie behind --from: the end is left out"));
    }
    let parameters: BTreeMap<_, _> = args.set.into_iter().collect();
    let body = json!({
        "from": args.from, "to": args.to, "order": Order::from(args.order), "parallel": args.parallel,
        "only_failed": args.only_failed, "preview": args.preview, "parameters": parameters,
    });
    let plan: BackfillAnswer = client.post(&path(&["jobs", &args.job, "backfill"], &[]), body).await?;
    terminal::line(shown::intervals(&plan));
    let left_out = match plan.left_out {
        0 => String::new(),
        number => format!(", {number} left out because they succeeded or run"),
    };
    let what = plan.backfill_id.map_or_else(|| "would run".to_owned(), |id| format!("backfill {id} runs"));
    terminal::line(format!("{what} {}{left_out}", count(plan.intervals.len(), "interval")));
    if args.wait { follow::backfill(client, &args.job, &plan).await } else { Ok(()) }
}

async fn runs(client: &Client, job: Option<String>, states: Vec<RunState>, limit: u64, json: bool) -> Result<()> {
    let states: Vec<String> = states.into_iter().map(word).collect();
    let (limit, states) = (limit.to_string(), states.join(","));
    let mut params = vec![("limit", limit.as_str())];
    params.extend(job.as_deref().map(|job| ("job", job)));
    if !states.is_empty() {
        params.push(("state", &states));
    }
    let list: RunList = client.get(&path(&["runs"], &params)).await?;
    terminal::line(if json { serde_json::to_string_pretty(&list)? } else { shown::runs(&list.runs) });
    Ok(())
}

async fn show(client: &Client, run: RunId, json: bool) -> Result<()> {
    let run: RunAnswer = client.get(&path(&["runs", &run.to_string()], &[])).await?;
    terminal::line(if json { serde_json::to_string_pretty(&run)? } else { shown::run(&run) });
    Ok(())
}

async fn logs(client: &Client, id: RunId, task: Option<String>, attempt: Option<NonZeroU32>, goes_on: bool) -> Result<()> {
    let run: RunAnswer = client.get(&path(&["runs", &id.to_string()], &[])).await?;
    let task = task.map(|task| named(&run, &task)).transpose()?;
    if let (Some(task), Some(attempt)) = (&task, attempt) {
        return follow::attempt(client, id, task, attempt.get(), goes_on).await;
    }
    let mut follower = Follower::of_logs(task.clone());
    if goes_on {
        follow::to_end(client, id, &mut follower, task.as_deref()).await?;
        return Ok(());
    }
    follow::logs(client, &run, &mut follower).await
}

/// The name of a run's task that is given by name or by number.
fn named(run: &RunAnswer, task: &str) -> Result<String> {
    let found = run.tasks.iter().find(|each| each.name == task);
    let found = found.or_else(|| run.tasks.iter().find(|each| each.id.to_string() == task));
    let names = || run.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    found
        .map(|task| task.name.clone())
        .with_context(|| format!("run {} has no task '{task}', it has {}", run.summary.id, names()))
}
