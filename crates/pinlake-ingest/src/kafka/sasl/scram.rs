//! SCRAM, the server's side: the password itself never comes over the wire. Channel binding is not offered, as in Kafka.
//!
//! Source: RFC 5802, sections 5 to 7.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::{Denied, Step, WRONG};
use crate::auth::{Hash, Principals, equal};

/// What is said instead of a channel binding: `n,,`, in base64.
const NO_BINDING: &str = "biws";
const MALFORMED: Denied = Denied("the message is not one of SCRAM");

/// An exchange of two messages each.
#[derive(Debug)]
pub(in crate::kafka) struct Scram {
    hash: Hash,
    server_nonce: String,
    waiting: Waiting,
}

#[derive(Debug)]
enum Waiting {
    First,
    Final { name: String, nonce: String, first_bare: String, server_first: String },
    Nothing,
}

impl Scram {
    pub(super) fn new(hash: Hash) -> Self {
        Self::with_nonce(hash, format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    pub(super) fn with_nonce(hash: Hash, server_nonce: String) -> Self {
        Self { hash, server_nonce, waiting: Waiting::First }
    }

    pub(super) fn step(&mut self, principals: &Principals, message: &[u8]) -> Result<Step, Denied> {
        let message = std::str::from_utf8(message).map_err(|_| MALFORMED)?;
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::First => self.first(principals, message),
            Waiting::Final { name, nonce, first_bare, server_first } => {
                self.last(principals, message, &name, &nonce, &format!("{first_bare},{server_first}"))
            }
            Waiting::Nothing => Err(Denied("the exchange is over")),
        }
    }

    /// `n,,n=NAME,r=NONCE` is answered `r=NONCE+OURS,s=SALT,i=ITERATIONS`.
    fn first(&mut self, principals: &Principals, message: &str) -> Result<Step, Denied> {
        let mut parts = message.splitn(3, ',');
        let (binding, for_whom, bare) =
            (parts.next().ok_or(MALFORMED)?, parts.next().ok_or(MALFORMED)?, parts.next().ok_or(MALFORMED)?);
        if binding != "n" {
            return Err(Denied("channel binding is not offered"));
        }
        let mut attributes = bare.split(',');
        let name = attributes.next().and_then(|name| name.strip_prefix("n=")).ok_or(MALFORMED)?;
        let nonce =
            attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).filter(|nonce| !nonce.is_empty()).ok_or(MALFORMED)?;
        if !for_whom.is_empty() && for_whom.strip_prefix("a=") != Some(name) {
            return Err(Denied("nobody may act for another"));
        }
        let name = name.replace("=2C", ",").replace("=3D", "=");
        let secret = principals.scram(&name, self.hash).ok_or(WRONG)?;
        let nonce = format!("{nonce}{}", self.server_nonce);
        let answer = format!("r={nonce},s={},i={}", STANDARD.encode(&secret.salt), secret.iterations);
        self.waiting = Waiting::Final { name, nonce, first_bare: bare.to_owned(), server_first: answer.clone() };
        Ok(Step::Continue(answer.into_bytes()))
    }

    /// `c=biws,r=NONCE,p=PROOF` is answered `v=SIGNATURE`, by which the client knows that we know its password too.
    fn last(&self, principals: &Principals, message: &str, name: &str, nonce: &str, before: &str) -> Result<Step, Denied> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(MALFORMED)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|binding| binding.strip_prefix("c=")).ok_or(MALFORMED)?;
        let said = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).ok_or(MALFORMED)?;
        // A client that acts for itself by name says so here again.
        let binds_nothing = binding == NO_BINDING || STANDARD.decode(binding).is_ok_and(|header| header.starts_with(b"n,"));
        if !binds_nothing {
            return Err(MALFORMED);
        }
        // librdkafka before 2.6.1, which Debian's kcat has, puts its own nonce before the whole once more. What counts is that ours is said.
        let own = nonce.strip_suffix(self.server_nonce.as_str()).unwrap_or_default();
        if said != nonce && said.strip_prefix(own) != Some(nonce) {
            return Err(Denied("the nonce is not the one that was agreed on"));
        }
        let proof = STANDARD.decode(proof).map_err(|_| MALFORMED)?;
        let secret = principals.scram(name, self.hash).ok_or(WRONG)?;
        let signed = format!("{before},{without_proof}");
        let client_signature = self.hash.sign(&secret.stored_key, signed.as_bytes());
        if proof.len() != client_signature.len() {
            return Err(WRONG);
        }
        let client_key: Vec<u8> = proof.iter().zip(&client_signature).map(|(a, b)| a ^ b).collect();
        if !equal(&self.hash.hash(&client_key), &secret.stored_key) {
            return Err(WRONG);
        }
        let answer = format!("v={}", STANDARD.encode(self.hash.sign(&secret.server_key, signed.as_bytes())));
        Ok(Step::Done(name.to_owned(), answer.into_bytes()))
    }
}
