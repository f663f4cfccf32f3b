//! Shard iterators and page tokens: what a client hands back as it got it. They are encrypted and authenticated under a key of the data
//! folder, and nothing is kept of them here, so that they outlive a restart.
//!
//! Form of an iterator: base64 of 8 bytes `00 … 01`, then the ciphertext; in all 152 + 16 · ⌊(length of the name + 2) / 16⌋ bytes, as
//! Kinesis's have.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut};
use pinlake_core::{Error, Offset, Result, Timestamp};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// How long an iterator may be used.
pub(crate) const ITERATOR_TIME: Duration = Duration::from_millis(300_000);
/// How long a page token may be used.
const TOKEN_TIME: Duration = Duration::from_secs(300);

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 32;
const HEADER: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const TAG_LEN: usize = 16;
/// What an iterator holds beside its stream's name and what fills it up: time, position, shard, length of the name.
const FIELDS_LEN: usize = 8 + 8 + 4 + 1;
/// The longest name that an iterator takes; those of topics may be longer, those of streams not.
const NAME_LEN_MAX: usize = 255;
/// The largest token that is looked at, bytes.
const TOKEN_LEN_MAX: usize = 2048;

/// What seals iterators and tokens.
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

/// What a sealed text is for: one kind is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Iterator = 1,
    ListShards,
    ListStreams,
    ListConsumers,
}

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Nobody here gave it.
    Forged,
    /// It was given then, and that is too long ago.
    Expired { issued: Timestamp },
}

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardIterator {
    pub(crate) stream: String,
    pub(crate) shard: u32,
    /// The next record that is wanted.
    pub(crate) position: Offset,
}

/// A new key.
///
/// # Errors
/// `Internal` if the system has no randomness.
pub(crate) fn new_key() -> Result<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    fill(&SystemRandom::new(), &mut key)?;
    Ok(key)
}

impl Seal {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the length is the algorithm's");
        Self { key: LessSafeKey::new(key), random: SystemRandom::new() }
    }

    /// Base64 of header, nonce and what is sealed.
    fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        fill(&self.random, &mut nonce)?;
        let mut sealed = Vec::with_capacity(HEADER.len() + NONCE_LEN + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&HEADER);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = &mut sealed[HEADER.len() + NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from([purpose as u8]), body);
        let tag = tag.map_err(|_| Error::internal("an iterator can't be sealed: look for a defect"))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(STANDARD.encode(sealed))
    }

    fn open(&self, purpose: Purpose, text: &str) -> Option<Vec<u8>> {
        let mut sealed = STANDARD.decode(text).ok()?;
        let (header, rest) = sealed.split_at_mut_checked(HEADER.len())?;
        let (nonce, body) = rest.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        if header != HEADER {
            return None;
        }
        let plain = self.key.open_in_place(nonce, Aad::from([purpose as u8]), body).ok()?;
        Some(plain.to_vec())
    }

    /// A token of this purpose that holds `content` and may be used for five minutes from `now` on.
    ///
    /// # Errors
    /// `Internal` if the system has no randomness.
    pub(crate) fn token(&self, purpose: Purpose, content: &[u8], now: Timestamp) -> Result<String> {
        let mut plain = Vec::with_capacity(8 + content.len());
        plain.put_i64(now.0);
        plain.extend_from_slice(content);
        self.seal(purpose, &plain)
    }

    /// What a token of this purpose holds.
    ///
    /// # Errors
    /// If it is none, or too old.
    pub(crate) fn content(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Vec<u8>, Unusable> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(Unusable::Forged);
        }
        let plain = self.open(purpose, token).ok_or(Unusable::Forged)?;
        let (issued, content) = plain.split_first_chunk().ok_or(Unusable::Forged)?;
        check_age(Timestamp(i64::from_be_bytes(*issued)), now, TOKEN_TIME)?;
        Ok(content.to_vec())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl ShardIterator {
    /// The text that a client gets, issued `now`.
    ///
    /// # Errors
    /// `Invalid` for a name that no stream can have, `Internal` if the system has no randomness.
    pub(crate) fn encode(&self, seal: &Seal, now: Timestamp) -> Result<String> {
        let name_len = u8::try_from(self.stream.len())
            .map_err(|_| Error::invalid(format!("an iterator takes a stream name of at most {NAME_LEN_MAX} bytes")))?;
        let total = 152 + (self.stream.len() + 2) / 16 * 16;
        let mut plain = Vec::with_capacity(total);
        plain.put_i64(now.0);
        plain.put_i64(self.position.0);
        plain.put_u32(self.shard);
        plain.put_u8(name_len);
        plain.extend_from_slice(self.stream.as_bytes());
        plain.resize(total - HEADER.len() - NONCE_LEN - TAG_LEN, 0);
        seal.seal(Purpose::Iterator, &plain)
    }

    /// Reads a client's text; double quotes around it are passed over.
    ///
    /// # Errors
    /// If it is none, or too old.
    pub(crate) fn decode(seal: &Seal, text: &str, now: Timestamp) -> Result<Self, Unusable> {
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let plain = seal.open(Purpose::Iterator, bare).ok_or(Unusable::Forged)?;
        let (mut fields, rest) = plain.split_at_checked(FIELDS_LEN).ok_or(Unusable::Forged)?;
        let issued = Timestamp(fields.get_i64());
        let (position, shard) = (Offset(fields.get_i64()), fields.get_u32());
        let name = rest.get(..usize::from(fields.get_u8())).ok_or(Unusable::Forged)?;
        let stream = std::str::from_utf8(name).map_err(|_| Unusable::Forged)?.to_owned();
        check_age(issued, now, ITERATOR_TIME)?;
        Ok(Self { stream, shard, position })
    }
}

fn check_age(issued: Timestamp, now: Timestamp, time: Duration) -> Result<(), Unusable> {
    // A clock that was set back makes nothing too old.
    if issued.until(now) > time { Err(Unusable::Expired { issued }) } else { Ok(()) }
}

fn fill(random: &SystemRandom, bytes: &mut [u8]) -> Result<()> {
    random.fill(bytes).map_err(|_| Error::internal("the system has no randomness: look at /dev/urandom"))
}
