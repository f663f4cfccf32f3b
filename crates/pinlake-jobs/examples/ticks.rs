//! How long the scheduler's ticks take: many jobs that are all due in the same minute, tasks that take no time, and a database on the disk of a folder. For
//! measuring: `cargo run --release -p pinlake-jobs --example ticks -- FOLDER 1000 10`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example fails by panicking, and prints")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::jobs::{CronForm, JobSpec, Retries, Schedule, TaskSpec, Trigger, Waits, Work};
use pinlake_core::{Clock, Error, Result, Timestamp};
use pinlake_jobs::{Condition, Done, Runner, Scheduler, Settings, Store, TaskCall};
use tokio::time::Instant;

/// Minutes in which everything is due.
const MINUTES: usize = 3;

struct Nothing;

#[async_trait]
impl Runner for Nothing {
    async fn run(&self, _: TaskCall) -> Result<Done> {
        Ok(Done::default())
    }

    async fn standing(&self, _: &Trigger) -> Result<i64> {
        Err(Error::not_found("there is none"))
    }

    async fn conditions(&self) -> Result<Vec<Condition>> {
        Ok(Vec::new())
    }
}

fn job(number: usize, tasks: usize) -> JobSpec {
    let task = |place: usize| TaskSpec {
        name: format!("task_{place}"),
        work: Work::Archive,
        after: place.checked_sub(1).map(|before| format!("task_{before}")).into_iter().collect(),
        waits: Waits::AllSuccess,
        retries: Retries::default(),
        timeout: None,
        pool: None,
    };
    JobSpec {
        schedule: Some(Schedule { text: "* * * * *".to_owned(), timezone: "Europe/London".to_owned(), form: CronForm::Unix }),
        ..JobSpec::new(format!("job_{number}"), (0..tasks).map(task).collect())
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, jobs, tasks] = args.as_slice() else { panic!("takes FOLDER JOBS TASKS") };
    let (jobs, tasks): (usize, usize) = (jobs.parse().unwrap(), tasks.parse().unwrap());
    let store = Store::open(&format!("sqlite://{folder}/ticks.sqlite?mode=rwc")).await.unwrap();
    let clock = Clock::manual(Timestamp(1_772_323_200_000));
    let scheduler = Scheduler::open(store, Arc::new(Nothing), clock.clone(), Settings::default()).await.unwrap();
    let specs: Vec<JobSpec> = (0..jobs).map(|number| job(number, tasks)).collect();
    scheduler.install(&specs, Vec::new()).await.unwrap();
    let mut ticks = Vec::new();
    let begun = Instant::now();
    for _ in 0..MINUTES {
        clock.advance(Duration::from_secs(60));
        loop {
            let tick = Instant::now();
            scheduler.tick().await.unwrap();
            ticks.push(tick.elapsed());
            let state = scheduler.state();
            if state.queued + state.running == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let took = begun.elapsed();
    let mut longest: Vec<(Duration, usize)> = ticks.iter().copied().zip(1..).collect();
    longest.sort_unstable_by(|one, other| other.cmp(one));
    ticks.sort_unstable();
    let at = |share: usize| ticks[(ticks.len() * share / 100).min(ticks.len() - 1)].as_secs_f64() * 1e3;
    let runs = jobs * MINUTES;
    println!(
        "{runs} runs of {tasks} tasks in {:.1} s, {:.0} tasks a second",
        took.as_secs_f64(),
        (runs * tasks) as f64 / took.as_secs_f64()
    );
    println!("{} ticks: middle {:.1} ms, 99 of 100 within {:.1} ms, longest {:.1} ms", ticks.len(), at(50), at(99), at(100));
    let shown: Vec<String> =
        longest.iter().take(5).map(|(took, at)| format!("{:.1} ms (tick {at})", took.as_secs_f64() * 1e3)).collect();
    println!("the longest: {}", shown.join(", "));
}
