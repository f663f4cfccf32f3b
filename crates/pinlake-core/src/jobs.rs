//! Jobs: what a data engineer defines, what is asked of the scheduler, and what became of it. Plain data that the scheduler keeps, the API shows and the
//! binary carries out. Must not know how any of these is done.

mod calls;
pub mod placeholders;
mod run;
mod spec;

pub use calls::{
    Again, Alert, Backfill, BackfillPlan, Event, Job, JobKey, LogLine, LogPage, NewJob, NewRun, Origin, PlannedInterval,
    ProblemKind, RunFilter, SchedulerProblem, SchedulerState, Submission, TaskEvent,
};
pub use run::{
    Attempt, Cause, EndReason, Generation, Interval, Lane, PARENT_NOTE, Run, RunId, RunKind, RunState, RunSummary, TaskRun,
    TaskState,
};
pub use spec::{CronForm, HttpWork, JobSpec, Missed, Order, Retries, Schedule, SqlText, TaskSpec, Trigger, Waits, Work};
