//! Which way of syncing a round is the cheaper one, learnt from what the last ones took. Pure.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// Fewer files than this are always synced each by itself: that waits for nobody else's bytes.
const WHOLE_FILES_MIN: usize = 16;
/// The dearer way is tried again after so many rounds, because a disk's other users come and go; after twice as many each time that it is
/// still the dearer.
const TRY_AGAIN_ROUNDS: u32 = 100;
/// But not after more than this.
const TRY_AGAIN_ROUNDS_MAX: u32 = 12_800;

/// How a round's files are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each file by itself, side by side.
    Each,
    /// The file system as a whole.
    Whole,
}

/// What each way took when it was last used.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    file: Option<Duration>,
    whole: Option<Duration>,
    /// The cheaper way, how many rounds it has been that, and after how many the other is tried.
    cheaper: Option<Way>,
    rounds: u32,
    patience: u32,
}

impl Costs {
    /// The way for a round of so many files.
    pub(crate) fn choose(&mut self, files: usize) -> Way {
        if files < WHOLE_FILES_MIN {
            return Way::Each;
        }
        let Some(whole) = self.whole else { return Way::Whole };
        let Some(file) = self.file else { return Way::Each };
        let cheaper = if whole <= file * u32::try_from(files).unwrap_or(u32::MAX) { Way::Whole } else { Way::Each };
        if self.cheaper != Some(cheaper) {
            (self.cheaper, self.rounds, self.patience) = (Some(cheaper), 0, TRY_AGAIN_ROUNDS);
        }
        self.rounds += 1;
        if self.rounds < self.patience {
            return cheaper;
        }
        (self.rounds, self.patience) = (0, (self.patience * 2).min(TRY_AGAIN_ROUNDS_MAX));
        if cheaper == Way::Whole { Way::Each } else { Way::Whole }
    }

    /// Takes note of what a round took.
    pub(crate) fn note(&mut self, way: Way, files: usize, took: Duration) {
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        match way {
            Way::Whole => self.whole = Some(blend(self.whole, took)),
            Way::Each if files >= WHOLE_FILES_MIN as u32 => self.file = Some(blend(self.file, took / files)),
            Way::Each => {}
        }
    }
}

/// Mostly what was, a little of what is: one slow flush is no trend.
fn blend(before: Option<Duration>, now: Duration) -> Duration {
    before.map_or(now, |before| (before * 3 + now) / 4)
}
