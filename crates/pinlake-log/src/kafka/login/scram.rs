//! SCRAM, the client's side: the password itself never goes over the wire. Pure: the nonce is the caller's.
//!
//! Source: RFC 5802, sections 3 and 5 to 7. Channel binding is not offered by Kafka.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Error, Result};
use ring::{digest, hmac, pbkdf2};

/// What is said instead of a channel binding: `n,,`, in base64.
const NO_BINDING: &str = "biws";
/// Kafka's least; fewer would let a false broker guess the password cheaply.
const ITERATIONS_MIN: u32 = 4096;
/// Kafka's most; a broker that asks for more keeps the processor busy.
const ITERATIONS_MAX: u32 = 16_384;

/// A hash that SCRAM works with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// An exchange of two messages each.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    first_bare: String,
}

impl Scram {
    pub(super) fn new(hash: Hash, user: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { hash, nonce: nonce.to_owned(), first_bare: format!("n={user},r={nonce}") }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The last message, and how the broker must sign to show that it knows the password too.
    ///
    /// # Errors
    /// `Invalid` if `answer` is none to the first message.
    pub(super) fn last(&self, password: &str, answer: &[u8]) -> Result<(String, Vec<u8>)> {
        let wrong = || Error::invalid("the broker's answer is not one of SCRAM: see log.kafka.security");
        let answer = std::str::from_utf8(answer).map_err(|_| wrong())?;
        let mut attributes = answer.split(',');
        let mut next = |name: &str| attributes.next().and_then(|attribute| attribute.strip_prefix(name)).ok_or_else(wrong);
        let (nonce, salt, iterations) = (next("r=")?, next("s=")?, next("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong());
        }
        let salt = STANDARD.decode(salt).map_err(|_| wrong())?;
        let iterations: u32 = iterations.parse().map_err(|_| wrong())?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(Error::invalid(format!(
                "the broker asks for {iterations} iterations of SCRAM, Pinlake takes {ITERATIONS_MIN} to {ITERATIONS_MAX}"
            )));
        }
        let salted = self.hash.salted(password, &salt, NonZeroU32::new(iterations).ok_or_else(wrong)?);
        let without_proof = format!("c={NO_BINDING},r={nonce}");
        let signed = format!("{},{answer},{without_proof}", self.first_bare);
        let client_key = self.hash.sign(&salted, b"Client Key");
        let signature = self.hash.sign(&self.hash.hash(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let expected = self.hash.sign(&self.hash.sign(&salted, b"Server Key"), signed.as_bytes());
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), expected))
    }
}

/// Checks that the broker knows the password too.
pub(super) fn check(answer: &[u8], signature: &[u8]) -> Result<()> {
    let said = std::str::from_utf8(answer).ok().and_then(|answer| answer.split(',').next()?.strip_prefix("v="));
    // It is the broker that is checked: what a comparison's time tells it, it knows or could not use.
    if said.and_then(|said| STANDARD.decode(said).ok()).is_some_and(|said| said == signature) {
        return Ok(());
    }
    Err(Error::invalid("the broker does not know the password that it asks for: it may not be the one it says it is"))
}

impl Hash {
    fn salted(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            Self::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }

    /// `HMAC(key, message)`.
    fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    /// `H(bytes)`.
    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}
