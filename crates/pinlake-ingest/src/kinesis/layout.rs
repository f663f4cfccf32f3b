//! How a stream's hash space is shared among its shards, and what resharding makes of it. Pure: it knows no log, no clock and no wording.
//!
//! Shard `k` is partition `k`, for ever. The open shards' ranges cover the space without gap or overlap; a shard that was split or merged
//! is closed, stays where it is, and its children have the next numbers.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::partitioner::{hash_range, shard_of_hash};
use pinlake_core::log::PARTITIONS_MAX;

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// The shard that it was made of, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<u32>,
    /// The other shard, if it was merged from two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adjacent: Option<u32>,
    /// The first hash of its range.
    #[serde(with = "hash")]
    pub(crate) start: u128,
    /// The last hash of its range.
    #[serde(with = "hash")]
    pub(crate) end: u128,
    /// When it was made, milliseconds.
    pub(crate) created_ms: i64,
    /// The second of creation in its sequence numbers: later than its parents', so that its numbers are greater than theirs.
    pub(crate) second: i64,
    /// Set once it takes no more records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Closed>,
}

/// The end of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// When, milliseconds.
    pub(crate) at_ms: i64,
    /// The offset of its last record then.
    pub(crate) last: i64,
}

/// Why a layout can't become what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such shard.
    NoShard(u32),
    /// It was split or merged before.
    NotOpen(u32),
    /// The split would leave a child of less than two hashes.
    NotWithin { start: u128, end: u128 },
    /// The two are no neighbours.
    NotAdjacent,
    /// No topic has so many partitions.
    TooMany { shards: usize },
}

/// The shards of a stream, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Shard>", into = "Vec<Shard>")]
pub(crate) struct Layout {
    shards: Vec<Shard>,
    /// The open ones by range: its last hash, and the shard.
    routes: Vec<(u128, u32)>,
}

impl Layout {
    /// The space cut evenly among `shards` (at least 1), rounded down; the last takes the rest.
    pub(crate) fn even(shards: u32, created_ms: i64) -> Self {
        let shard = |number| {
            let (start, end) = hash_range(number, shards);
            let second = created_ms.div_euclid(1000).max(0);
            Shard { parent: None, adjacent: None, start, end, created_ms, second, closed: None }
        };
        Self::of((0..shards).map(shard).collect())
    }

    fn of(shards: Vec<Shard>) -> Self {
        let numbered = shards.iter().zip(0..);
        let mut routes: Vec<(u128, u32)> =
            numbered.filter(|(shard, _)| shard.closed.is_none()).map(|(shard, number)| (shard.end, number)).collect();
        routes.sort_unstable();
        Self { shards, routes }
    }

    /// All shards, by number.
    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// How many shards there are, closed ones too.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.shards.len()).expect("a layout has fewer shards than a topic may have partitions")
    }

    /// How many are open.
    pub(crate) fn open_count(&self) -> u32 {
        u32::try_from(self.routes.len()).expect("there are fewer open shards than shards")
    }

    /// The open shard whose range holds `hash`.
    pub(crate) fn shard_of(&self, hash: u128) -> u32 {
        let at = self.routes.partition_point(|(end, _)| *end < hash);
        self.routes[at].1
    }

    /// The only open shard, if there is one alone: then no hash needs to be known.
    pub(crate) fn only(&self) -> Option<u32> {
        if let [(_, shard)] = self.routes.as_slice() { Some(*shard) } else { None }
    }

    /// The shards that were made of this one.
    pub(crate) fn children(&self, of: u32) -> impl Iterator<Item = (u32, &Shard)> {
        let numbered = (0..).zip(&self.shards);
        numbered.filter(move |(_, shard)| shard.parent == Some(of) || shard.adjacent == Some(of))
    }

    /// Two children, the upper one from `from` on.
    pub(crate) fn split(&self, shard: u32, from: u128, now_ms: i64) -> Result<Self, Refusal> {
        let (start, end) = self.range_of_open(shard)?;
        if from <= start.saturating_add(1) || from >= end {
            return Err(Refusal::NotWithin { start, end });
        }
        let mut draft = Draft::of(self, now_ms);
        draft.close(shard);
        draft.child(shard, None, start, from - 1);
        draft.child(shard, None, from, end);
        draft.done()
    }

    /// One child of two neighbours.
    pub(crate) fn merge(&self, shard: u32, adjacent: u32, now_ms: i64) -> Result<Self, Refusal> {
        let (one, other) = (self.range_of_open(shard)?, self.range_of_open(adjacent)?);
        let (low, high) = if one.0 <= other.0 { (one, other) } else { (other, one) };
        if low.1.checked_add(1) != Some(high.0) {
            return Err(Refusal::NotAdjacent);
        }
        let mut draft = Draft::of(self, now_ms);
        draft.merge(shard, adjacent);
        draft.done()
    }

    /// So many open shards of even ranges: shards are cut where the new ranges begin, and the pieces of each new range are merged two by
    /// two. What has such a range already stays.
    pub(crate) fn update(&self, target: u32, now_ms: i64) -> Result<Self, Refusal> {
        if target > PARTITIONS_MAX {
            return Err(Refusal::TooMany { shards: target as usize });
        }
        let mut draft = Draft::of(self, now_ms);
        let mut pieces: Vec<Vec<u32>> = vec![Vec::new(); target as usize];
        for (_, shard) in &self.routes {
            let Shard { start, end, .. } = self.shards[*shard as usize];
            let (first, last) = (shard_of_hash(start, target), shard_of_hash(end, target));
            if first == last {
                pieces[first as usize].push(*shard);
                continue;
            }
            draft.close(*shard);
            for range in first..=last {
                let (low, high) = hash_range(range, target);
                pieces[range as usize].push(draft.child(*shard, None, low.max(start), high.min(end)));
            }
        }
        for mut range in pieces {
            while range.len() > 1 {
                let pairs = range.chunks(2);
                range = pairs.map(|pair| if let [one, other] = pair { draft.merge(*one, *other) } else { pair[0] }).collect();
            }
        }
        draft.done()
    }

    /// The shards of `before` that are closed now and were not then.
    pub(crate) fn closed_since(&self, before: &Layout) -> Vec<u32> {
        let was_open = |(_, shard): &(u128, u32)| *shard;
        before.routes.iter().map(was_open).filter(|shard| self.shards[*shard as usize].closed.is_some()).collect()
    }

    /// Says which record was a closed shard's last.
    pub(crate) fn set_last(&mut self, shard: u32, last: i64) {
        if let Some(closed) = &mut self.shards[shard as usize].closed {
            closed.last = last;
        }
    }

    fn range_of_open(&self, shard: u32) -> Result<(u128, u128), Refusal> {
        let found = self.shards.get(shard as usize).ok_or(Refusal::NoShard(shard))?;
        if found.closed.is_some() { Err(Refusal::NotOpen(shard)) } else { Ok((found.start, found.end)) }
    }
}

/// A layout on its way to the next.
struct Draft {
    shards: Vec<Shard>,
    now_ms: i64,
}

impl Draft {
    fn of(layout: &Layout, now_ms: i64) -> Self {
        Self { shards: layout.shards.clone(), now_ms }
    }

    fn close(&mut self, shard: u32) {
        self.shards[shard as usize].closed = Some(Closed { at_ms: self.now_ms, last: 0 });
    }

    fn child(&mut self, parent: u32, adjacent: Option<u32>, start: u128, end: u128) -> u32 {
        let parents = [Some(parent), adjacent].into_iter().flatten();
        let after = parents.map(|parent| self.shards[parent as usize].second.saturating_add(1)).max().unwrap_or(0);
        let second = self.now_ms.div_euclid(1000).max(after);
        let child = Shard { parent: Some(parent), adjacent, start, end, created_ms: self.now_ms, second, closed: None };
        self.shards.push(child);
        u32::try_from(self.shards.len() - 1).unwrap_or(u32::MAX)
    }

    fn merge(&mut self, shard: u32, adjacent: u32) -> u32 {
        self.close(shard);
        self.close(adjacent);
        let (one, other) = (&self.shards[shard as usize], &self.shards[adjacent as usize]);
        let (start, end) = (one.start.min(other.start), one.end.max(other.end));
        self.child(shard, Some(adjacent), start, end)
    }

    fn done(self) -> Result<Layout, Refusal> {
        if self.shards.len() > PARTITIONS_MAX as usize {
            return Err(Refusal::TooMany { shards: self.shards.len() });
        }
        Ok(Layout::of(self.shards))
    }
}

impl From<Layout> for Vec<Shard> {
    fn from(layout: Layout) -> Self {
        layout.shards
    }
}

impl TryFrom<Vec<Shard>> for Layout {
    type Error = &'static str;

    /// Takes what was stored; nothing else is read of a layout whose shards do not fit together.
    fn try_from(shards: Vec<Shard>) -> Result<Self, Self::Error> {
        if shards.len() > PARTITIONS_MAX as usize {
            return Err("a stream has more shards than a topic may have partitions");
        }
        let is_earlier = |parent: Option<u32>, number: u32| parent.is_none_or(|parent| parent < number);
        if !shards.iter().zip(0..).all(|(shard, number)| is_earlier(shard.parent, number) && is_earlier(shard.adjacent, number)) {
            return Err("a shard is older than its parent");
        }
        let layout = Self::of(shards);
        let mut next = Some(0);
        for (end, shard) in &layout.routes {
            let start = layout.shards[*shard as usize].start;
            if next != Some(start) || start > *end {
                return Err("the open shards do not share the hash space");
            }
            next = end.checked_add(1);
        }
        if next.is_none() { Ok(layout) } else { Err("the open shards leave hashes over") }
    }
}

/// Hashes as decimal text: JSON's numbers are smaller.
mod hash {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(hash: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
