//! How a client says who it is: PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677), as a state machine without a socket.

mod scram;
#[cfg(test)]
mod tests;

use crate::auth::{Hash, Principals};
use scram::Scram;

/// What clients may choose from.
pub(super) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// One client's attempt.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    Scram(Box<Scram>),
}

/// What comes of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this; more must follow.
    Continue(Vec<u8>),
    /// Send this; the client is who it says.
    Done(String, Vec<u8>),
}

/// Why a client is not let in. The text says nothing that a stranger should not know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied(pub(super) &'static str);

/// What everybody is told whose name or password is wrong.
const WRONG: Denied = Denied("wrong name or password");

impl Exchange {
    /// Begins with a mechanism; `None` if it is not served.
    pub(super) fn new(mechanism: &str) -> Option<Self> {
        Some(match mechanism {
            "PLAIN" => Self::Plain,
            "SCRAM-SHA-256" => Self::Scram(Box::new(Scram::new(Hash::Sha256))),
            "SCRAM-SHA-512" => Self::Scram(Box::new(Scram::new(Hash::Sha512))),
            _ => return None,
        })
    }

    /// Takes the client's next message.
    pub(super) fn step(&mut self, principals: &Principals, message: &[u8]) -> Result<Step, Denied> {
        match self {
            Self::Plain => plain(principals, message),
            Self::Scram(scram) => scram.step(principals, message),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`.
fn plain(principals: &Principals, message: &[u8]) -> Result<Step, Denied> {
    let text = std::str::from_utf8(message).map_err(|_| Denied("the message is no UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(for_whom), Some(name), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Denied("the message is not one of PLAIN"));
    };
    if !for_whom.is_empty() && for_whom != name {
        return Err(Denied("nobody may act for another"));
    }
    if principals.is_password(name, password) { Ok(Step::Done(name.to_owned(), Vec::new())) } else { Err(WRONG) }
}
