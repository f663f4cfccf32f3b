//! Failures on demand, for tests: failed and held syncs, torn writes, a full disk. It must not be reached without
//! [`super::Disk::with_faults`].

use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a write fails.
#[derive(Debug, Clone, Copy)]
pub struct WriteFault {
    /// How many bytes still reach the file.
    pub reaches: usize,
    /// Whether the error says "no space" instead of "input/output error".
    pub full: bool,
}

/// The failures that a test has ordered, and counts of what happened.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    syncs: u64,
    writes: u64,
    fail_sync_at: Option<u64>,
    fail_write_at: Option<(u64, WriteFault)>,
    steps: u64,
    fail_step_at: Option<u64>,
    fails_for_good: bool,
    room: Option<usize>,
    free: Option<u64>,
    whole: bool,
    /// Syncs from this number on are held.
    held_from: Option<u64>,
    /// A write of this number is held.
    held_write: Option<u64>,
    in_flight: usize,
    in_flight_max: usize,
}

impl Faults {
    /// Fails the `nth` sync from now, counting from 1.
    pub fn fail_sync(&self, nth: u64) {
        let mut state = self.lock();
        state.fail_sync_at = Some(state.syncs + nth);
    }

    /// Fails the `nth` write from now, counting from 1.
    pub fn fail_write(&self, nth: u64, fault: WriteFault) {
        let mut state = self.lock();
        state.fail_write_at = Some((state.writes + nth, fault));
    }

    /// Fails the `nth` step from now, counting from 1: what changes the names in a folder, replaces a small file, or syncs either. With
    /// `for_good` all later ones fail too: what the disk holds then is what a process leaves that ends there.
    pub fn fail_step(&self, nth: u64, for_good: bool) {
        let mut state = self.lock();
        state.fail_step_at = Some(state.steps + nth);
        state.fails_for_good = for_good;
    }

    /// How many such steps there were.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Lets so many bytes more be written and then says "no space"; `None` is a disk without end.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.lock().room = bytes;
    }

    /// What the disk says it has free; `None` asks the machine.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.lock().free = bytes;
    }

    /// Lets the log sync the whole file system at once, which it does not otherwise on a disk with faults.
    pub fn allow_whole_syncs(&self) {
        self.lock().whole = true;
    }

    /// Holds every sync until [`Faults::release_syncs`].
    pub fn hold_syncs(&self) {
        self.lock().held_from = Some(0);
    }

    /// Lets held syncs go on.
    pub fn release_syncs(&self) {
        self.lock().held_from = None;
        self.changed.notify_all();
    }

    /// Lets held syncs go on, and holds those that come after them.
    pub fn hold_later_syncs(&self) {
        let mut state = self.lock();
        state.held_from = Some(state.syncs + 1);
        self.changed.notify_all();
    }

    /// Holds the `nth` write from now, counting from 1, until [`Faults::release_write`].
    pub fn hold_write(&self, nth: u64) {
        let mut state = self.lock();
        state.held_write = Some(state.writes + nth);
    }

    /// Lets the held write go on.
    pub fn release_write(&self) {
        self.lock().held_write = None;
        self.changed.notify_all();
    }

    /// Blocks until there were so many writes, one that is held among them: false if that has not come about after `patience`.
    pub fn wait_for_writes(&self, writes: u64, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.writes >= writes)
    }

    /// The same for syncs since the first.
    pub fn wait_for_syncs_begun(&self, syncs: u64, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.syncs >= syncs)
    }

    /// Blocks until so many syncs are held or running: false if that has not come about after `patience`.
    pub fn wait_for_syncs(&self, in_flight: usize, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.in_flight >= in_flight)
    }

    fn wait_until(&self, patience: Duration, come: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |state| !come(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many syncs there were, of a segment or of the file system.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// The most syncs that ran at the same moment.
    pub fn syncs_in_flight_max(&self) -> usize {
        self.lock().in_flight_max
    }

    pub(super) fn syncs_whole(&self) -> bool {
        self.lock().whole
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.lock().free
    }

    pub(super) fn before_create(&self, path: &Path) -> io::Result<()> {
        let full = self.lock().room == Some(0) && !path.exists();
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn before_step(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.steps += 1;
        let fails = state.fail_step_at.is_some_and(|at| state.steps == at || (state.fails_for_good && state.steps > at));
        if fails { Err(io::Error::other("injected disk error")) } else { Ok(()) }
    }

    /// How many bytes of a write of `len` still reach the file, if it is to fail.
    pub(super) fn before_write(&self, len: usize) -> Option<(usize, io::Error)> {
        let mut state = self.lock();
        state.writes += 1;
        let number = state.writes;
        self.changed.notify_all();
        let held = self.changed.wait_while(state, |state| state.held_write == Some(number));
        let mut state = held.unwrap_or_else(PoisonError::into_inner);
        if let Some((at, fault)) = state.fail_write_at
            && at == number
        {
            state.fail_write_at = None;
            let error = if fault.full { io::ErrorKind::StorageFull.into() } else { io::Error::other("injected write error") };
            return Some((fault.reaches.min(len), error));
        }
        let room = state.room?;
        let reaches = room.min(len);
        state.room = Some(room - reaches);
        (reaches < len).then(|| (reaches, io::ErrorKind::StorageFull.into()))
    }

    /// Runs a sync, unless it is to fail.
    pub(super) fn around_sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        state.syncs += 1;
        let number = state.syncs;
        let fails = state.fail_sync_at == Some(number);
        state.in_flight += 1;
        state.in_flight_max = state.in_flight_max.max(state.in_flight);
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.held_from.is_some_and(|from| number >= from)));
        let synced = if fails { Err(io::Error::other("injected sync error")) } else { sync() };
        self.lock().in_flight -= 1;
        self.changed.notify_all();
        synced
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
