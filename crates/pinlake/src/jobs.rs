//! Jobs, wired: the scheduler over its database, the lake that does what tasks say, and the pipeline's files, which are read again when they change.

mod calls;
mod conditions;
mod files;
mod http;
mod placeholders;
mod work;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pinlake_core::Clock;
use pinlake_core::pipeline::Pipeline;
use pinlake_jobs::{Scheduler, Settings, Store};
use tokio::task::JoinHandle;

pub(crate) use calls::AppJobs;
pub(crate) use conditions::Rules;
pub(crate) use work::Work;

use crate::config::Config;

/// The folder in the data folder that has the jobs' database.
const FOLDER: &str = "jobs";
/// Its file.
const FILE: &str = "jobs.sqlite";
/// How long a start waits for the scheduler's first look, and how often it asks.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);
const FIRST_LOOK_EVERY: Duration = Duration::from_millis(5);

/// The scheduler and what keeps it going.
pub(crate) struct Jobs {
    pub(crate) scheduler: Scheduler,
    serving: JoinHandle<()>,
    files: Option<JoinHandle<()>>,
}

impl Jobs {
    /// Opens the scheduler with the jobs of a pipeline; nothing runs yet.
    pub(crate) async fn open(config: &Config, pipeline: &Pipeline, work: Work, clock: Clock) -> Result<Scheduler> {
        let url = database(config)?;
        let store = Store::open(url.expose()).await.context("jobs.database")?;
        let settings = Settings {
            tasks_max: config.jobs.tasks_max,
            pools: config.jobs.pools(),
            keep: config.jobs.history(),
            receivers: config.alerts.receivers()?,
            lineage: config.lineage.lineage()?,
            seed: u64::from(std::process::id()),
            ..Settings::default()
        };
        let scheduler = Scheduler::open(store, Arc::new(work), clock, settings).await.context("opening the scheduler")?;
        scheduler.install(&pipeline.jobs, files::problems_of(pipeline)).await.context("taking the pipeline's jobs")?;
        Ok(scheduler)
    }

    /// Lets it run. It has looked once then, unless the database is slow: a server that says that it runs is ready.
    pub(crate) async fn serve(scheduler: Scheduler, config: &Config) -> Jobs {
        let serving = tokio::spawn({
            let scheduler = scheduler.clone();
            async move { scheduler.serve().await }
        });
        let folder = config.pipeline_folder().map(std::path::Path::to_path_buf);
        let files = folder.map(|folder| tokio::spawn(files::follow(folder, scheduler.clone())));
        let looked = async {
            while scheduler.state().ticked_at.is_none() {
                tokio::time::sleep(FIRST_LOOK_EVERY).await;
            }
        };
        // Otherwise readiness says so.
        let _ = tokio::time::timeout(FIRST_LOOK_WITHIN, looked).await;
        Jobs { scheduler, serving, files }
    }

    /// Ends: what runs is begun again at the next start.
    pub(crate) async fn stop(self) {
        if let Some(files) = self.files {
            files.abort();
        }
        self.scheduler.stop().await;
        // It ends with the scheduler.
        let _ = self.serving.await;
    }
}

/// The URL of the database: what the configuration says, or a file in the data folder.
#[expect(clippy::disallowed_methods, reason = "makes the folder of the database")]
fn database(config: &Config) -> Result<pinlake_core::secret::Secret> {
    if let Some(url) = config.jobs.database() {
        return url.resolve().context("jobs.database");
    }
    let folder = config.data_dir.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("making '{}'", folder.display()))?;
    let file = std::path::absolute(folder.join(FILE))?;
    let path = percent_encoding::utf8_percent_encode(file.to_str().context("the data folder's path is no text")?, PATH);
    Ok(pinlake_core::secret::Secret::new(format!("sqlite://{path}?mode=rwc")))
}

/// What a path in a URL can't hold as it is.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'"').add(b'<').add(b'>');
