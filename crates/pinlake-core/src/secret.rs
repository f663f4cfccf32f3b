//! Secrets by reference: configuration names where a secret is, never the secret itself.

use std::fmt;

use serde::Deserialize;

use crate::error::{Error, Result};

/// Where a secret is to be found: `${env:NAME}` or `${file:PATH}`. A literal is refused.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// The content of a file, without its last line break.
    File(String),
}

impl TryFrom<String> for SecretRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match inner.and_then(|inner| inner.split_once(':')) {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            // The text may be the secret itself, so it is not repeated.
            _ => Err(Error::invalid("a secret is given by reference, as ${env:NAME} or ${file:PATH}, never as a literal")),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
        }
    }
}

/// `url` with the password in its user part replaced by `***`, fit for a log line.
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_len = rest.find('/').unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_len);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}:***@{host}{tail}")
        }
        None => url.to_owned(),
    }
}
