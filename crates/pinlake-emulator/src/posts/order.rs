//! In which order a run draws its keys: a shuffle without repeats, and between them the repeats. Must hold nothing a post.

use super::draw::{Draw, Purpose, mix};
use super::{FIRST_KEY, SOURCE_ROWS};

/// The keys of one run, in order. Exactly the asked share of them repeats an earlier one.
#[derive(Debug, Clone)]
pub(super) struct Order {
    seed: u64,
    keys: u64,
    /// Posts and repeats still to come.
    left: u64,
    repeats_left: u64,
    /// How many different keys were drawn so far.
    fresh: u64,
    draw: Draw,
}

/// One drawn key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) key: u64,
    pub(super) is_repeat: bool,
}

impl Order {
    /// The order of a run of `posts` posts, `repeats` (fewer than `posts`) of them repeats.
    pub(super) fn new(seed: u64, posts: u64, repeats: u64) -> Self {
        let draw = Draw::new(seed, posts, Purpose::Order);
        Self { seed, keys: key_space(posts - repeats), left: posts, repeats_left: repeats, fresh: 0, draw }
    }

    /// How many keys the run draws from; they are 0 up to this.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    /// How many posts are still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

/// A run draws from the source's rows, or from as many as it has different posts if those are more.
fn key_space(unique: u64) -> u64 {
    unique.max(SOURCE_ROWS)
}

impl Iterator for Order {
    type Item = Drawn;

    /// Selection sampling: each post is a repeat with the share of repeats among the posts that are left.
    fn next(&mut self) -> Option<Drawn> {
        if self.left == 0 {
            return None;
        }
        let is_repeat = self.fresh > 0 && self.draw.below(self.left) < self.repeats_left;
        self.left -= 1;
        let ordinal = if is_repeat {
            self.repeats_left -= 1;
            self.draw.below(self.fresh)
        } else {
            self.fresh += 1;
            self.fresh - 1
        };
        Some(Drawn { key: key_at(self.seed, self.keys, ordinal), is_repeat })
    }
}

/// The key of that ordinal: the shuffle, with the classic scripts' first draw put first.
fn key_at(seed: u64, keys: u64, ordinal: u64) -> u64 {
    match shuffled(seed, keys, ordinal) {
        _ if ordinal == 0 => FIRST_KEY,
        FIRST_KEY => shuffled(seed, keys, 0),
        key => key,
    }
}

/// A permutation of `0..keys`: a four-round Feistel network over the next even number of bits, walked until it lands inside.
fn shuffled(seed: u64, keys: u64, ordinal: u64) -> u64 {
    let half = (64 - (keys - 1).leading_zeros()).div_ceil(2);
    let mask = (1u64 << half) - 1;
    let salt = mix(seed ^ (Purpose::Shuffle as u64).rotate_left(32));
    let mut place = ordinal;
    loop {
        let (mut left, mut right) = (place >> half, place & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (mix(right ^ salt.wrapping_add(round)) & mask));
        }
        place = (left << half) | right;
        if place < keys {
            return place;
        }
    }
}
