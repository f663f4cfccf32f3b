//! Who or what several posts share: a user with many posts, a poster with many pins, a place seen again. Must be stateless.

use super::draw::{Draw, Purpose, unit};

/// The shared ones are a tenth as many as there are keys.
const KEYS_PER_SHARED: u64 = 10;

/// A user, poster or place by number. Low numbers have by far the most posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared(pub(super) u64);

/// Which property is spread over the numbers; each is spread by its own step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axis {
    First,
    Second,
}

impl Shared {
    /// Draws whose post the one with `key` of `keys` is. In `own_parts` of 100,000 cases it is nobody else's.
    pub(super) fn pick(draw: &mut Draw, key: u64, keys: u64, own_parts: u64) -> Self {
        let pool = keys / KEYS_PER_SHARED;
        if draw.chance(own_parts) {
            return Self(pool + key);
        }
        // The fraction to the power of 2.25, by operations that are exact everywhere.
        let fraction = unit(draw.bits());
        Self((pool as f64 * fraction * fraction * fraction.sqrt().sqrt()) as u64)
    }

    /// This one's own sequence of draws.
    pub(super) fn draw(self, seed: u64, purpose: Purpose) -> Draw {
        Draw::new(seed, self.0, purpose)
    }

    /// Where a property of this one lies in its distribution. The numbers are spread evenly (an additive recurrence by the
    /// plastic number), from starts that were chosen so that the few with very many posts pull a distribution over posts
    /// to neither side by more than a hundredth.
    pub(super) fn spread(self, axis: Axis) -> f64 {
        let (start, step) = match axis {
            Axis::First => (0x353F_7CED_9168_7200, 0xC13F_A9A9_02A6_328F),
            Axis::Second => (0xA45A_1CAC_0831_2800, 0x91E1_0DA5_C79E_7B1D),
        };
        let place: u64 = self.0.wrapping_mul(step);
        unit(place.wrapping_add(start))
    }
}
