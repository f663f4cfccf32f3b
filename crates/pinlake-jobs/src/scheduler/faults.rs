//! What goes wrong in the scheduler's parts, known for as long as it is so: defects of its own, and data that can't be looked at.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use pinlake_core::Timestamp;
use pinlake_core::jobs::{ProblemKind, SchedulerProblem};

use super::{Scheduler, lock};

/// Different defects that are told, each once, and things of one kind with a fault that are known.
const FAULTS_MAX: usize = 100;
/// Faults that are known of what may never be done again: the last ones.
const PASSING_MAX: usize = 10;
/// How long they are known, in milliseconds.
const PASSING_MS: i64 = 24 * 3_600 * 1_000;

/// What went wrong.
#[derive(Default)]
pub(super) struct Faults {
    told: BTreeSet<String>,
    /// By the part that it is in and what that was about, until it goes well again.
    now: BTreeMap<(&'static str, String), Fault>,
}

struct Fault {
    problem: SchedulerProblem,
    /// When it is no longer known: where nobody may ever find out that it goes well again.
    until: Option<Timestamp>,
}

impl Faults {
    /// What is wrong at this time: what is said of several things is said once.
    pub(super) fn now(&self, at: Timestamp) -> BTreeSet<SchedulerProblem> {
        let known = self.now.values().filter(|fault| fault.until.is_none_or(|until| at < until));
        known.map(|fault| fault.problem.clone()).collect()
    }

    fn keep(&mut self, part: &'static str, about: &str, fault: Fault) {
        let key = (part, about.to_owned());
        if !self.now.contains_key(&key) && !self.make_room(&fault) {
            return;
        }
        self.now.insert(key, fault);
    }

    /// Whether one more may be known. One that passes by itself takes the place of the first that would.
    fn make_room(&mut self, one: &Fault) -> bool {
        if one.until.is_none() {
            let same = |fault: &&Fault| fault.until.is_none() && fault.problem.kind == one.problem.kind;
            return self.now.values().filter(same).count() < FAULTS_MAX;
        }
        let passing = self.now.iter().filter_map(|(key, fault)| Some((fault.until?, key.clone())));
        let mut passing: Vec<_> = passing.collect();
        passing.sort();
        for (_, key) in passing.into_iter().rev().skip(PASSING_MAX - 1) {
            self.now.remove(&key);
        }
        true
    }
}

impl Scheduler {
    /// Has a person look at a defect: once in the log, and among the problems for as long as it is there. `about` is what the part was at, of several things, and `place`
    /// says that in words.
    pub(super) fn tell_defect(&self, part: &'static str, about: &str, place: &str, panic: &(dyn Any + Send)) {
        self.tell_defect_until(None, part, about, place, panic);
    }

    /// The same of what may never be done again: it is known for a day at most.
    pub(super) fn tell_passing_defect(&self, part: &'static str, about: &str, place: &str, panic: &(dyn Any + Send)) {
        let until = Timestamp(self.inner.clock.now().0.saturating_add(PASSING_MS));
        self.tell_defect_until(Some(until), part, about, place, panic);
    }

    fn tell_defect_until(
        &self,
        until: Option<Timestamp>,
        part: &'static str,
        about: &str,
        place: &str,
        panic: &(dyn Any + Send),
    ) {
        let message = format!("a defect in {place}: {}", said(panic));
        let mut faults = lock(&self.inner.faults);
        if faults.told.len() < FAULTS_MAX && faults.told.insert(message.clone()) {
            tracing::error!("{message}");
        }
        faults.keep(part, about, Fault { problem: SchedulerProblem { kind: ProblemKind::Defect, message }, until });
    }

    /// Has it known, for as long as it is so, that data can't be looked at; the log is told by whoever looks.
    pub(super) fn tell_unseen(&self, part: &'static str, about: &str, message: String) {
        let problem = SchedulerProblem { kind: ProblemKind::Data, message };
        lock(&self.inner.faults).keep(part, about, Fault { problem, until: None });
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
