//! What goes wrong in the scheduler's parts, known for as long as it is so: defects of its own, and data that can't be looked at.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use pinlake_core::jobs::{ProblemKind, SchedulerProblem};

use super::{Scheduler, lock};

/// Different defects that are told, each once, and things of one kind with a fault that are known.
const FAULTS_MAX: usize = 100;

/// What went wrong.
#[derive(Default)]
pub(super) struct Faults {
    told: BTreeSet<String>,
    /// By the part that it is in and what that was about, until it goes well again.
    now: BTreeMap<(&'static str, String), SchedulerProblem>,
}

impl Faults {
    /// What is wrong now: what is said of several things is said once.
    pub(super) fn now(&self) -> BTreeSet<SchedulerProblem> {
        self.now.values().cloned().collect()
    }

    fn keep(&mut self, part: &'static str, about: &str, problem: SchedulerProblem) {
        let key = (part, about.to_owned());
        let has_room = || self.now.values().filter(|known| known.kind == problem.kind).count() < FAULTS_MAX;
        if self.now.contains_key(&key) || has_room() {
            self.now.insert(key, problem);
        }
    }
}

impl Scheduler {
    /// Has a person look at a defect: once in the log, and among the problems for as long as it is there. `about` is what the part was at, of several things, and `place`
    /// says that in words.
    pub(super) fn tell_defect(&self, part: &'static str, about: &str, place: &str, panic: &(dyn Any + Send)) {
        let message = format!("a defect in {place}: {}", said(panic));
        let mut faults = lock(&self.inner.faults);
        if faults.told.len() < FAULTS_MAX && faults.told.insert(message.clone()) {
            tracing::error!("{message}");
        }
        faults.keep(part, about, SchedulerProblem { kind: ProblemKind::Defect, message });
    }

    /// Has it known, for as long as it is so, that data can't be looked at; the log is told by whoever looks.
    pub(super) fn tell_unseen(&self, part: &'static str, about: &str, message: String) {
        lock(&self.inner.faults).keep(part, about, SchedulerProblem { kind: ProblemKind::Data, message });
    }

    /// Ends what went wrong in a part about this, and no other.
    pub(super) fn went_well(&self, part: &'static str, about: &str) {
        let mut faults = lock(&self.inner.faults);
        if !faults.now.is_empty() {
            faults.now.remove(&(part, about.to_owned()));
        }
    }

    /// Ends what went wrong in a part about something that is no longer there.
    pub(super) fn forget_faults(&self, part: &str, is_there: impl Fn(&str) -> bool) {
        lock(&self.inner.faults).now.retain(|(known, about), _| *known != part || about.is_empty() || is_there(about));
    }
}

/// What a panic says of itself.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say which")
}
