//! The built-in generator of user posts: three records a post, as the classic source holds them, every rate and quirk included.
//!
//! A post is a pure function of the seed, the number of keys and its key, so that a repeat is exact and a run can be
//! replayed from any point. Must not keep anything a post, read the clock or use other people's texts.

mod draw;
mod geo;
pub(crate) mod json;
mod order;
mod pin;
mod shared;
mod text;
mod user;
mod words;

use pinlake_core::{Error, Result};

use draw::{Draw, Purpose};
use order::{Drawn, Order};

pub(crate) use geo::{GeoRow, push_datetime};
pub(crate) use pin::PinRow;
pub(crate) use user::UserRow;

/// Rows of the classic source. A run with fewer different posts draws its keys from these; a longer one takes all keys
/// from 0 to its number of different posts.
pub const SOURCE_ROWS: u64 = 11_154;

/// The key of every run's first post: what the classic scripts, seeded with 100, draw first. It is a pin broken in six fields.
pub const FIRST_KEY: u64 = 7_528;

/// The most posts of one run, so that every key fits the source's `int`.
pub const POSTS_MAX: u64 = 2_000_000_000;

/// What a run of the generator is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct PostsOptions {
    /// How many posts, repeats included: 1 to [`POSTS_MAX`]. Default 11,000.
    pub posts: u64,
    /// Which share of them repeats an earlier post: 0 <= share < 1. Default 0.1.
    pub duplicates: f64,
    /// How dates with times are written. Default [`Datetimes::Mixed`].
    pub datetimes: Datetimes,
}

impl Default for PostsOptions {
    fn default() -> Self {
        Self { posts: 11_000, duplicates: 0.1, datetimes: Datetimes::default() }
    }
}

/// How dates with times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Datetimes {
    /// Some posts with `T`, some with a blank; one post keeps its form.
    #[default]
    Mixed,
    /// `2020-08-28T03:52:47`.
    T,
    /// `2020-08-28 03:52:47`.
    Blank,
    /// As `Mixed`, but a repeat may come in either form: the same post in different bytes.
    MixedRepeats,
}

/// One post: its key and its three records as JSON objects in the source's field order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Post {
    /// The key that joins the three: `index` of the pin, `ind` of the others.
    pub index: u64,
    /// The pin.
    pub pin: String,
    /// Place and time.
    pub geo: String,
    /// The user.
    pub user: String,
}

/// A run of posts: an iterator whose memory does not grow with its length.
#[derive(Debug)]
pub struct Posts {
    rows: Rows,
    order: Order,
    forms: Draw,
    datetimes: Datetimes,
    row: Row,
    unique: u64,
}

impl Posts {
    /// The run that `seed` and `options` give, always the same one.
    pub fn new(seed: u64, options: &PostsOptions) -> Result<Self> {
        let PostsOptions { posts, duplicates, datetimes } = *options;
        if !(1..=POSTS_MAX).contains(&posts) {
            return Err(Error::invalid(format!("cannot make {posts} posts: ask for 1 to {POSTS_MAX}")));
        }
        if !(0.0..1.0).contains(&duplicates) {
            return Err(Error::invalid(format!("a share of {duplicates} duplicates is not possible: give 0 or more, below 1")));
        }
        let repeats = ((posts as f64 * duplicates).round() as u64).min(posts - 1);
        let order = Order::new(seed, posts, repeats);
        let rows = Rows::new(seed, order.keys());
        let forms = Draw::new(seed, posts, Purpose::Form);
        Ok(Self { rows, order, forms, datetimes, row: Row::default(), unique: posts - repeats })
    }

    /// How many different posts the whole run holds.
    pub fn unique(&self) -> u64 {
        self.unique
    }

    /// How many keys the run draws from: all keys are below this.
    pub fn keys(&self) -> u64 {
        self.order.keys()
    }

    /// Passes over `posts` posts without making them, to go on where an earlier run stopped.
    #[must_use]
    pub fn starting_at(mut self, posts: u64) -> Self {
        for drawn in self.order.by_ref().take(usize::try_from(posts).unwrap_or(usize::MAX)) {
            if self.datetimes == Datetimes::MixedRepeats && drawn.is_repeat {
                self.forms.bits();
            }
        }
        self
    }

    /// The character between date and time.
    fn separator(&mut self, drawn: Drawn) -> char {
        let has_t = match self.datetimes {
            Datetimes::T => true,
            Datetimes::Blank => false,
            Datetimes::MixedRepeats if drawn.is_repeat => self.forms.chance(50_000),
            Datetimes::Mixed | Datetimes::MixedRepeats => Draw::new(self.rows.seed, drawn.key, Purpose::Form).chance(50_000),
        };
        if has_t { 'T' } else { ' ' }
    }
}

impl Iterator for Posts {
    type Item = Post;

    fn next(&mut self) -> Option<Post> {
        let drawn = self.order.next()?;
        let separator = self.separator(drawn);
        self.rows.fill(drawn.key, &mut self.row);
        let mut post = Post {
            index: drawn.key,
            pin: String::with_capacity(1_024),
            geo: String::with_capacity(160),
            user: String::with_capacity(128),
        };
        self.row.pin.push_json(drawn.key, &mut post.pin);
        self.row.geo.push_json(drawn.key, separator, &mut post.geo);
        self.row.user.push_json(drawn.key, separator, &mut post.user);
        Some(post)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.order.left()).unwrap_or(usize::MAX);
        (left, usize::try_from(self.order.left()).ok())
    }
}

/// The source's rows by key.
#[derive(Debug)]
pub(crate) struct Rows {
    seed: u64,
    keys: u64,
    words: words::Words,
}

/// One row of each of the source's tables. Its texts are reused from key to key.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) pin: PinRow,
    pub(crate) geo: GeoRow,
    pub(crate) user: UserRow,
}

impl Rows {
    /// The rows with keys 0 to `keys`.
    pub(crate) fn new(seed: u64, keys: u64) -> Self {
        Self { seed, keys, words: words::Words::load() }
    }

    /// Writes the row of `key` over `row`.
    pub(crate) fn fill(&self, key: u64, row: &mut Row) {
        row.pin.fill(self, key);
        row.geo.fill(self, key);
        row.user.fill(self, key);
    }
}

#[cfg(test)]
mod tests;
