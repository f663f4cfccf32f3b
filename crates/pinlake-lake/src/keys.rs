//! Which keys a table already holds, and a digest of each key's row: what de-duplication asks for every row.
//!
//! Memory is the point here. A whole-number key is kept as itself, any other as a 128-bit hash. The keys lie in shards of
//! staggered sizes, so that the shards double one after another instead of all at once: the index takes about 21 bytes a
//! whole-number key at every size, and never needs room for a second copy of itself.

#[cfg(test)]
mod tests;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use pinlake_core::{Error, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::error;

const SHARDS: usize = 64;
const SLOTS: usize = 4096;

/// What the index says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The first row of its key: it goes into the table.
    New,
    /// The same row as the first of its key.
    Duplicate,
    /// Another row than the first of its key. (Told by a 32-bit digest: one in four thousand million is taken for the same.)
    Conflict,
}

/// The keys of one table.
#[derive(Debug)]
pub enum KeyIndex {
    /// Keys of one whole-number column.
    Integer(Shards<u64>),
    /// Any other keys, by their 128-bit hash.
    Hashed(Shards<u128>),
}

/// The keys of the rows of one batch.
#[derive(Debug)]
pub enum Keys {
    /// Of one whole-number column.
    Integer(Vec<u64>),
    /// Hashes of any other.
    Hashed(Vec<u128>),
}

impl KeyIndex {
    /// An empty index for keys of these types.
    pub fn new(key_types: &[&DataType]) -> Self {
        match key_types {
            [DataType::Int64] => Self::Integer(Shards::new()),
            _ => Self::Hashed(Shards::new()),
        }
    }

    /// Asks for every row in order, and takes in the new ones. `keys` and `digests` have one entry a row.
    ///
    /// # Errors
    /// `Internal` when the keys are of another type than the index.
    pub fn admit(&mut self, keys: &Keys, digests: &[u32], mut each: impl FnMut(usize, Admission)) -> Result<()> {
        match (self, keys) {
            (Self::Integer(shards), Keys::Integer(keys)) => {
                keys.iter().zip(digests).enumerate().for_each(|(row, (key, digest))| each(row, shards.admit(*key, *digest)));
            }
            (Self::Hashed(shards), Keys::Hashed(keys)) => {
                keys.iter().zip(digests).enumerate().for_each(|(row, (key, digest))| each(row, shards.admit(*key, *digest)));
            }
            _ => return Err(Error::internal("keys are not of the index's type")),
        }
        Ok(())
    }

    /// Looks every row up in order, and takes in none: `each` is told whether its key is there, and if so with the same digest.
    ///
    /// # Errors
    /// `Internal` when the keys are of another type than the index.
    pub fn find(&self, keys: &Keys, digests: &[u32], mut each: impl FnMut(usize, Option<bool>)) -> Result<()> {
        match (self, keys) {
            (Self::Integer(shards), Keys::Integer(keys)) => {
                let found = keys.iter().zip(digests).map(|(key, digest)| Some(shards.digest(*key)? == *digest));
                found.enumerate().for_each(|(row, found)| each(row, found));
            }
            (Self::Hashed(shards), Keys::Hashed(keys)) => {
                let found = keys.iter().zip(digests).map(|(key, digest)| Some(shards.digest(*key)? == *digest));
                found.enumerate().for_each(|(row, found)| each(row, found));
            }
            _ => return Err(Error::internal("keys are not of the index's type")),
        }
        Ok(())
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(shards) => shards.len(),
            Self::Hashed(shards) => shards.len(),
        }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it has allocated.
    pub fn allocated_bytes(&self) -> usize {
        match self {
            Self::Integer(shards) => shards.allocated_bytes(),
            Self::Hashed(shards) => shards.allocated_bytes(),
        }
    }
}

/// The keys of `rows`, whose key columns are at `key`.
pub fn keys_of(rows: &RecordBatch, key: &[usize]) -> Result<Keys> {
    let columns: Vec<ArrayRef> = key.iter().map(|&at| rows.column(at).clone()).collect();
    if let [column] = &columns[..]
        && column.data_type() == &DataType::Int64
    {
        return Ok(Keys::Integer(column.as_primitive::<Int64Type>().values().iter().map(|key| key.cast_unsigned()).collect()));
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let encode = || {
        let converter = RowConverter::new(fields)?;
        converter.convert_columns(&columns)
    };
    let encoded = encode().map_err(|e| error::arrow("encoding keys", e))?;
    Ok(Keys::Hashed(encoded.iter().map(|row| xxh3_128(row.as_ref())).collect()))
}

/// A digest of each row's content over the first `columns` columns.
pub fn digests_of(rows: &RecordBatch, columns: usize) -> Result<Vec<u32>> {
    let mut hashes = vec![0_u64; rows.num_rows()];
    create_hashes(&rows.columns()[..columns], &RandomState::default(), &mut hashes)
        .map_err(|e| error::query("digesting rows", e))?;
    #[expect(clippy::cast_possible_truncation, reason = "half of the hash is the digest")]
    Ok(hashes.into_iter().map(|hash| (hash >> 32) as u32 ^ hash as u32).collect())
}

/// A key that can be kept in shards.
pub trait Key: Copy + Eq {
    /// A hash whose low and high bits are equally good.
    fn hash(self) -> u64;
}

impl Key for u64 {
    fn hash(self) -> u64 {
        // The finaliser of MurmurHash3: every input bit reaches every output bit.
        let mut hash = self;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

impl Key for u128 {
    fn hash(self) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "it is a hash already: half of it will do")]
        let half = self as u64;
        half
    }
}

/// Keys in shards of staggered sizes.
pub struct Shards<K> {
    shards: Vec<HashTable<Kept<K>>>,
    shard_of: Box<[u8; SLOTS]>,
}

#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Kept<K> {
    key: K,
    digest: u32,
}

impl<K> std::fmt::Debug for Shards<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.shards.iter().map(HashTable::len).sum::<usize>())
    }
}

impl<K: Key> Shards<K> {
    fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect(), shard_of: stagger() }
    }

    fn admit(&mut self, key: K, digest: u32) -> Admission {
        let hash = key.hash();
        let slot = (hash >> 40) as usize % SLOTS;
        let shard = &mut self.shards[self.shard_of[slot] as usize];
        match shard.entry(hash, |kept| { kept.key } == key, |kept| { kept.key }.hash()) {
            Entry::Vacant(entry) => {
                entry.insert(Kept { key, digest });
                Admission::New
            }
            Entry::Occupied(entry) if { entry.get().digest } == digest => Admission::Duplicate,
            Entry::Occupied(_) => Admission::Conflict,
        }
    }

    fn digest(&self, key: K) -> Option<u32> {
        let hash = key.hash();
        let slot = (hash >> 40) as usize % SLOTS;
        self.shards[self.shard_of[slot] as usize].find(hash, |kept| { kept.key } == key).map(|kept| kept.digest)
    }

    fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }

    fn allocated_bytes(&self) -> usize {
        self.shards.iter().map(HashTable::allocation_size).sum()
    }
}

/// Which shard each slot belongs to: shard `n` has a share of slots in proportion to 2^(n / SHARDS), so that the fill of
/// the shards is spread evenly between just grown and about to grow.
fn stagger() -> Box<[u8; SLOTS]> {
    let weight = |shard: f64| (shard / SHARDS as f64).exp2();
    let total: f64 = (0..SHARDS).map(|shard| weight(shard as f64)).sum();
    let mut slots = Box::new([0; SLOTS]);
    let (mut shard, mut until) = (0, weight(0.0) / total);
    for slot in 0..SLOTS {
        while (slot as f64 + 0.5) / SLOTS as f64 > until && shard + 1 < SHARDS {
            shard += 1;
            until += weight(shard as f64) / total;
        }
        slots[slot] = u8::try_from(shard).expect("fewer than 256 shards");
    }
    slots
}
