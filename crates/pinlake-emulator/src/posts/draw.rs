//! Seeded draws: every value of a post comes from `(seed, key, purpose)` and nothing else. Must not be reseeded from outside.
//!
//! The generator is SplitMix64, written out here because a library's generator may change its output between versions,
//! and then the same seed would give other posts.

/// What a draw is for. Each has its own sequence, so that a change in one leaves the others as they were.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Order = 1,
    Shuffle = 2,
    Form = 3,
    Pin = 4,
    Text = 5,
    Poster = 6,
    Geo = 7,
    Place = 8,
    User = 9,
    Person = 10,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's output function: a bijection that scatters neighbours.
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A sequence of draws.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    /// The sequence of `purpose` for `key`.
    pub(super) fn new(seed: u64, key: u64, purpose: Purpose) -> Self {
        let salt = mix(seed ^ (purpose as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self(mix(salt ^ key.wrapping_mul(STEP)))
    }

    /// 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// True in `parts` of 100,000 cases.
    pub(super) fn chance(&mut self, parts: u64) -> bool {
        self.below(100_000) < parts
    }

    /// One of `items`, which is not empty.
    pub(super) fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len() as u64) as usize]
    }

    /// One of `items`, the first ones more often.
    pub(super) fn pick_early<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let fraction = unit(self.bits());
        items[(fraction * fraction.sqrt() * items.len() as f64) as usize]
    }
}

/// `bits` as a fraction, 0 <= f < 1.
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The value at `fraction` of a distribution given as points (share below, value), straight between them.
pub(super) fn quantile(points: &[(f64, f64)], fraction: f64) -> f64 {
    let upper = points.partition_point(|(share, _)| *share <= fraction).clamp(1, points.len() - 1);
    let ((left, low), (right, high)) = (points[upper - 1], points[upper]);
    low + (high - low) * (fraction - left) / (right - left)
}
