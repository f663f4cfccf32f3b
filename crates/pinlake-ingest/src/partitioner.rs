//! Which partition a record goes to: Kafka's rule (murmur2, bit for bit as Java's client), Kinesis's rule (MD5 over hash ranges),
//! or staying on one partition for a while.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest, Md5};

/// How records without a partition of their own find one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// `murmur2(key) & 0x7fffffff % partitions`; records without a key stay together.
    Kafka,
    /// The partition whose evenly cut hash range holds the key's MD5; records without a key stay together.
    Kinesis,
}

impl Partitioning {
    /// The partition of `key` among `partitions` (at least 1).
    pub fn of_key(self, key: &[u8], partitions: u32) -> u32 {
        if partitions == 1 {
            return 0;
        }
        match self {
            Self::Kafka => (murmur2(key) & 0x7fff_ffff) % partitions,
            Self::Kinesis => shard_of_hash(hash_key(key), partitions),
        }
    }
}

/// Where records without a key go: one partition until so many bytes went there, then the next.
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    bytes: AtomicU64,
}

impl Sticky {
    /// The partition for the next `bytes` bytes.
    pub(crate) fn next(&self, bytes: u64, sticky_bytes: u64, partitions: u32) -> u32 {
        if partitions == 1 {
            return 0;
        }
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let turn = before / sticky_bytes.max(1) % u64::from(partitions);
        u32::try_from(turn).expect("it is below the number of partitions")
    }
}

/// The hash of Kafka's Java client, over `data`.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Java takes the length as a 32-bit number.
    let mut hash = SEED ^ (data.len() as u32);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// A partition key's place in Kinesis's hash space: its MD5 as a big-endian number.
pub fn hash_key(key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(key).into())
}

/// The shard whose range holds `hash`. The space is cut evenly, rounded down; the last shard takes the rest.
pub fn shard_of_hash(hash: u128, shards: u32) -> u32 {
    let shard = hash / range_size(shards);
    u32::try_from(shard.min(u128::from(shards - 1))).expect("it is below the number of shards")
}

/// First and last hash of a shard's range.
pub fn hash_range(shard: u32, shards: u32) -> (u128, u128) {
    let size = range_size(shards);
    let start = size * u128::from(shard);
    let end = if shard + 1 == shards { u128::MAX } else { start + (size - 1) };
    (start, end)
}

/// floor(2^128 / shards); the whole space less one for a single shard, whose range has no upper neighbour.
fn range_size(shards: u32) -> u128 {
    let shards = u128::from(shards);
    let whole = u128::MAX / shards;
    if u128::MAX % shards == shards - 1 && shards > 1 { whole + 1 } else { whole }
}
