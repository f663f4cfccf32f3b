//! Names of delivered objects: the evaluated prefix, the stream, its version, a time, and a text that no other object has. It derives from what
//! the object holds, so a second run makes the same name. It must not know what is in an object.

use std::collections::BTreeMap;

use jiff::Zoned;
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use object_store::path::Path;
use pinlake_core::Timestamp;

use super::prefix::{Facts, Prefix};
use crate::layout::Object;
use crate::name::refusal;

/// Characters of `!{firehose:random-string}`.
const RANDOM_LEN: usize = 11;
const RANDOM_LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// How a stream's objects are named.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) stream: String,
    pub(super) version: u64,
    /// When the stream was made, ms: what tells it from others that had its name.
    pub(super) created: i64,
    pub(super) zone: TimeZone,
    pub(super) prefix: Prefix,
    pub(super) errors: Prefix,
}

/// Which of a unit's objects one is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// That of records with these partition keys.
    Keys(&'a BTreeMap<String, String>),
    /// That of records with an error of that type.
    Errors(&'static str),
}

impl Names {
    /// The name of an object.
    pub(super) fn path(&self, object: &Object<'_>, which: Which<'_>, extension: &str) -> Path {
        let hash = self.hash(object);
        let name = self.name(object.time, which, &hash, extension);
        // `check` has found names with these keys good.
        Path::parse(&name).unwrap_or_else(|_| Path::from(name))
    }

    /// Looks whether an object of these records can have a name.
    ///
    /// # Errors
    /// Why it can't.
    pub(super) fn check(&self, which: Which<'_>, time: Timestamp, extension: &str) -> Result<(), String> {
        let name = self.name(time, which, &[0; 16], extension);
        let why = refusal(&name, &name).or_else(|| Path::parse(&name).err().map(|_| "is no object's name".to_owned()));
        let Some(why) = why else { return Ok(()) };
        let shown: String = name.chars().take(200).collect();
        Err(format!("no object can have the name '{}': it {why}", shown.escape_debug()))
    }

    fn name(&self, time: Timestamp, which: Which<'_>, hash: &[u8; 16], extension: &str) -> String {
        let time = self.local(time);
        let none = BTreeMap::new();
        let (prefix, keys, error_type) = match which {
            Which::Keys(keys) => (&self.prefix, keys, ""),
            Which::Errors(error_type) => (&self.errors, &none, error_type),
        };
        let random = |number: usize| random_string(hash, number);
        let prefix = prefix.evaluate(&Facts { time: &time, random: &random, error_type, keys });
        let (stream, version, at) = (&self.stream, self.version, time.strftime("%Y-%m-%d-%H-%M-%S"));
        format!("{prefix}{stream}-{version}-{at}-{}{extension}", uuid(hash))
    }

    /// A time as it is there; one that no calendar has is the first of 1970.
    fn local(&self, time: Timestamp) -> Zoned {
        jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// What tells an object from all others.
    fn hash(&self, object: &Object<'_>) -> [u8; 16] {
        let Object { of, topic, folder, first, end, .. } = object;
        let parts = [
            self.stream.clone(),
            self.created.to_string(),
            self.version.to_string(),
            of.topic.to_string(),
            String::from(*topic),
            of.partition.to_string(),
            first.to_string(),
            end.to_string(),
            (*folder).to_owned(),
        ];
        let mut hash = Md5::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// A hash in the form of a UUID, of the version that stands for such.
fn uuid(hash: &[u8; 16]) -> String {
    let mut bytes = *hash;
    bytes[6] = bytes[6] & 0x0f | 0x30;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn random_string(hash: &[u8; 16], number: usize) -> String {
    let hash = Md5::new().chain_update(hash).chain_update((number as u64).to_be_bytes()).finalize();
    let letter = |byte: &u8| char::from(RANDOM_LETTERS[usize::from(*byte) % RANDOM_LETTERS.len()]);
    hash.iter().take(RANDOM_LEN).map(letter).collect()
}
