//! Jobs and their runs: what the API and the Databricks door ask of the scheduler, in one trait, and the API's pages over it. The binary implements it.

pub mod answers;
pub(crate) mod live;
pub(crate) mod pages;
pub(crate) mod runs;
pub(crate) mod starts;
pub mod times;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use pinlake_core::Result;
use pinlake_core::jobs::{
    Again, Alert, Backfill, BackfillPlan, Event, Job, JobKey, LogPage, NewJob, NewRun, Run, RunFilter, RunId, RunSummary,
    SchedulerState, Submission,
};

/// Exactly what these pages need. A caller may go away at any time: what a call has begun to change is then either finished or left as it was.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// How the scheduler is. Must be cheap and must not fail.
    fn scheduler(&self) -> SchedulerState;

    /// All jobs, sorted by name.
    async fn jobs(&self) -> Result<Vec<Job>>;

    /// One job, or `NotFound`.
    async fn job(&self, key: &JobKey) -> Result<Job>;

    /// Defines a job, or defines one anew, and answers its number.
    ///
    /// # Errors
    /// `Invalid` for a definition that is wrong, `Conflict` for a name that is taken or a job that the pipeline's files define, `NotFound`.
    async fn define(&self, job: NewJob) -> Result<i64>;

    /// Deletes a job and keeps its runs: `NotFound`, or `Conflict` for one that the pipeline's files define.
    async fn delete(&self, key: &JobKey) -> Result<()>;

    /// Pauses a job or lets it go on, or `NotFound`.
    async fn pause(&self, key: &JobKey, paused: bool) -> Result<()>;

    /// Starts a run.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a parameter that the job does not have; `Retry` when too many runs wait.
    async fn start(&self, run: NewRun) -> Result<RunId>;

    /// Runs tasks that belong to no job. Errors as of [`Jobs::start`].
    async fn submit(&self, submission: Submission) -> Result<RunId>;

    /// Runs a job for intervals that are over, or says what it would run.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a job without a schedule, no interval or too many.
    async fn backfill(&self, backfill: Backfill) -> Result<BackfillPlan>;

    /// Runs, the newest first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>>;

    /// A run by its number or by that of one of its tasks, or `NotFound`.
    async fn run(&self, id: RunId) -> Result<Run>;

    /// Has a run end, if it has not: `NotFound`.
    async fn cancel(&self, id: RunId) -> Result<()>;

    /// Runs a run again that has ended: `NotFound`, or `Conflict` while it has not.
    async fn rerun(&self, id: RunId, again: Again) -> Result<()>;

    /// Deletes a run that has ended: `NotFound`, or `Conflict` while it has not.
    async fn forget(&self, id: RunId) -> Result<()>;

    /// Lines of the log of a task's attempt, the last one unless it is named, behind line `after`; waits for one if there is none yet. `NotFound`.
    async fn log(&self, task: RunId, attempt: Option<u32>, after: i64, wait: Duration) -> Result<LogPage>;

    /// Every change from now on. It ends when the caller is too slow for it.
    fn events(&self) -> BoxStream<'static, Event>;

    /// Alerts, open ones first, the newest first.
    async fn alerts(&self) -> Result<Vec<Alert>>;
}
