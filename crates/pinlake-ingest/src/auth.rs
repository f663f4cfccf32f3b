//! Who may connect: principals with their secrets, and what is derived from them once. It must not know a protocol.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use pinlake_core::secret::Secret;
use ring::{digest, hmac, pbkdf2};
use uuid::Uuid;

/// Kafka's default, and the least that RFC 5802 allows.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is above 0");

/// Somebody with a name and a password.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The name to log in with.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// All principals. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Principals {
    by_name: Arc<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    password: Secret,
    sha_256: ScramSecret,
    sha_512: ScramSecret,
}

/// A hash that SCRAM works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// What a server keeps of a password for SCRAM (RFC 5802, section 3): not the password, but keys derived from it with a salt.
#[derive(Clone)]
pub(crate) struct ScramSecret {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Principals {
    /// Derives what SCRAM needs of each, which takes some milliseconds a principal.
    pub fn new(principals: impl IntoIterator<Item = Principal>) -> Self {
        let known = |Principal { name, password }: Principal| {
            let sha_256 = Hash::Sha256.derive(password.expose().as_bytes());
            let sha_512 = Hash::Sha512.derive(password.expose().as_bytes());
            (name, Known { password, sha_256, sha_512 })
        };
        Self { by_name: Arc::new(principals.into_iter().map(known).collect()) }
    }

    /// Whether `password` is that of `name`; takes the same time wherever it is wrong.
    pub(crate) fn is_password(&self, name: &str, password: &str) -> bool {
        let known = self.by_name.get(name).map_or("", |known| known.password.expose());
        equal(password.as_bytes(), known.as_bytes()) && self.by_name.contains_key(name)
    }

    /// What is kept of a principal's password for SCRAM.
    pub(crate) fn scram(&self, name: &str, hash: Hash) -> Option<&ScramSecret> {
        let known = self.by_name.get(name)?;
        Some(match hash {
            Hash::Sha256 => &known.sha_256,
            Hash::Sha512 => &known.sha_512,
        })
    }
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// `HMAC(key, message)`.
    pub(crate) fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), message).as_ref().to_vec()
    }

    /// `H(bytes)`.
    pub(crate) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.digest(), bytes).as_ref().to_vec()
    }

    fn derive(self, password: &[u8]) -> ScramSecret {
        let salt = Uuid::new_v4().as_bytes().to_vec();
        self.derive_with(password, salt, ITERATIONS)
    }

    /// RFC 5802, section 3: SaltedPassword, StoredKey and ServerKey.
    pub(crate) fn derive_with(self, password: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> ScramSecret {
        let algorithm = match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.digest().output_len()];
        pbkdf2::derive(algorithm, iterations, &salt, password, &mut salted);
        let stored_key = self.hash(&self.sign(&salted, b"Client Key"));
        let server_key = self.sign(&salted, b"Server Key");
        ScramSecret { salt, iterations: iterations.get(), stored_key, server_key }
    }
}

/// Whether two values are the same, in a time that does not tell where they differ: their MACs are compared, by a key that nobody knows.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, Uuid::new_v4().as_bytes());
    hmac::verify(&key, a, hmac::sign(&key, b).as_ref()).is_ok()
}
