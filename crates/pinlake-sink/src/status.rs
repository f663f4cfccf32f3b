//! How sinks are, as whoever asks sees it: plain data.

use crate::notes::Wanted;

/// How a sink, or one of its tasks, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It stands still, and goes on when it is resumed.
    Paused,
    /// It stands still, and holds nothing.
    Stopped,
    /// It can't go on: its trace says why.
    Failed,
    /// It has not begun yet.
    Unassigned,
    /// It is being started again.
    Restarting,
}

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkStatus {
    /// Of the sink itself: it fails when its configuration can't be used.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
    /// Its tasks by number; none of one that is stopped, or that failed itself.
    pub tasks: Vec<TaskStatus>,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its number, from 0.
    pub id: u32,
    /// Of the task.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
}

impl SinkStatus {
    /// Of a sink that has not begun.
    pub(crate) fn unassigned() -> Self {
        Self { state: State::Unassigned, trace: None, tasks: Vec::new() }
    }
}

impl TaskStatus {
    pub(crate) fn new(id: u32, state: State) -> Self {
        Self { id, state, trace: None }
    }
}

impl From<Wanted> for State {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Running => Self::Running,
            Wanted::Paused => Self::Paused,
            Wanted::Stopped => Self::Stopped,
        }
    }
}
