//! What the API asks of the scheduler, handed on. A definition is first held to the rules of the pipeline's files.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use pinlake_core::jobs::{
    Again, Alert, Backfill, BackfillPlan, Event, Job, JobKey, JobSpec, LogPage, NewJob, NewRun, Run, RunFilter, RunId,
    RunSummary, SchedulerState, Submission, Work,
};
use pinlake_core::pipeline::check_job;
use pinlake_core::{Error, Result};
use pinlake_jobs::Scheduler;
use pinlake_lake::lake::Lake;
use pinlake_web::Jobs;

/// The scheduler as the API sees it.
pub(crate) struct AppJobs {
    scheduler: Scheduler,
    lake: Arc<Lake>,
}

impl AppJobs {
    /// Over a scheduler, for jobs over a lake.
    pub(crate) fn new(scheduler: Scheduler, lake: Arc<Lake>) -> Self {
        Self { scheduler, lake }
    }

    /// What a definition that no file holds may name. Two calls at once may each be good alone: whoever runs the jobs sees what comes of it.
    async fn check(&self, job: &NewJob) -> Result<()> {
        let runs_others = job.spec.tasks.iter().any(|task| matches!(task.work, Work::Job { .. }));
        let all = if runs_others { self.scheduler.jobs().await? } else { Vec::new() };
        let is_other = |other: &Job| Some(other.id) != job.id && other.spec.name != job.spec.name;
        let others: Vec<JobSpec> = all.into_iter().filter(is_other).map(|other| other.spec).collect();
        let problems = check_job(&job.spec, self.lake.pipeline(), &others);
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("; "))) }
    }
}

#[async_trait]
impl Jobs for AppJobs {
    fn scheduler(&self) -> SchedulerState {
        self.scheduler.state()
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        self.scheduler.jobs().await
    }

    async fn job(&self, key: &JobKey) -> Result<Job> {
        self.scheduler.job(key).await
    }

    async fn define(&self, job: NewJob) -> Result<i64> {
        self.check(&job).await?;
        self.scheduler.define(job).await
    }

    async fn delete(&self, key: &JobKey) -> Result<()> {
        self.scheduler.delete(key).await
    }

    async fn pause(&self, key: &JobKey, paused: bool) -> Result<()> {
        self.scheduler.pause(key, paused).await
    }

    async fn start(&self, run: NewRun) -> Result<RunId> {
        self.scheduler.start(run).await
    }

    async fn submit(&self, submission: Submission) -> Result<RunId> {
        self.scheduler.submit(submission).await
    }

    async fn backfill(&self, backfill: Backfill) -> Result<BackfillPlan> {
        self.scheduler.backfill(backfill).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        self.scheduler.runs(filter).await
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.scheduler.run(id).await
    }

    async fn cancel(&self, id: RunId) -> Result<()> {
        self.scheduler.cancel(id).await
    }

    async fn rerun(&self, id: RunId, again: Again) -> Result<()> {
        self.scheduler.rerun(id, again).await
    }

    async fn forget(&self, id: RunId) -> Result<()> {
        self.scheduler.forget(id).await
    }

    async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage> {
        self.scheduler.log(task, attempt, after, wait).await
    }

    fn events(&self) -> BoxStream<'static, Event> {
        // An error is that the watcher is too slow, or that the scheduler ended.
        let events =
            stream::unfold(self.scheduler.watch(), |mut events| async move { Some((events.recv().await.ok()?, events)) });
        let scheduler = self.scheduler.clone();
        // Nobody keeps a server from its end by watching it.
        events.take_until(async move { scheduler.stopped().await }.boxed()).boxed()
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.scheduler.alerts().await
    }
}
