//! What the API asks of the scheduler, handed on.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use pinlake_core::Result;
use pinlake_core::jobs::{
    Again, Alert, Backfill, BackfillPlan, Event, Job, JobKey, LogPage, NewJob, NewRun, Run, RunFilter, RunId, RunSummary,
    SchedulerState, Submission,
};
use pinlake_jobs::Scheduler;
use pinlake_web::Jobs;

/// The scheduler as the API sees it.
pub(crate) struct AppJobs(pub(crate) Scheduler);

#[async_trait]
impl Jobs for AppJobs {
    fn scheduler(&self) -> SchedulerState {
        self.0.state()
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        self.0.jobs().await
    }

    async fn job(&self, key: &JobKey) -> Result<Job> {
        self.0.job(key).await
    }

    async fn define(&self, job: NewJob) -> Result<i64> {
        self.0.define(job).await
    }

    async fn delete(&self, key: &JobKey) -> Result<()> {
        self.0.delete(key).await
    }

    async fn pause(&self, key: &JobKey, paused: bool) -> Result<()> {
        self.0.pause(key, paused).await
    }

    async fn start(&self, run: NewRun) -> Result<RunId> {
        self.0.start(run).await
    }

    async fn submit(&self, submission: Submission) -> Result<RunId> {
        self.0.submit(submission).await
    }

    async fn backfill(&self, backfill: Backfill) -> Result<BackfillPlan> {
        self.0.backfill(backfill).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        self.0.runs(filter).await
    }

    async fn run(&self, id: RunId) -> Result<Run> {
        self.0.run(id).await
    }

    async fn cancel(&self, id: RunId) -> Result<()> {
        self.0.cancel(id).await
    }

    async fn rerun(&self, id: RunId, again: Again) -> Result<()> {
        self.0.rerun(id, again).await
    }

    async fn forget(&self, id: RunId) -> Result<()> {
        self.0.forget(id).await
    }

    async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage> {
        self.0.log(task, attempt, after, wait).await
    }

    fn events(&self) -> BoxStream<'static, Event> {
        // An error is that the watcher is too slow, or that the scheduler ended.
        let events = stream::unfold(self.0.watch(), |mut events| async move { Some((events.recv().await.ok()?, events)) });
        let scheduler = self.0.clone();
        // Nobody keeps a server from its end by watching it.
        events.take_until(async move { scheduler.stopped().await }.boxed()).boxed()
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.0.alerts().await
    }
}
