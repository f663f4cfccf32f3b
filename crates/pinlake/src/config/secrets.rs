//! Secrets: the configuration names the places where they are, a variable or a file. Must not show what stands there, and must not read without a bound.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use pinlake_core::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::small_file;

/// Bytes of a file that holds a secret.
const BYTES_MAX: u64 = 64 << 10;

/// Somebody who may log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalConfig {
    pub(crate) name: String,
    pub(crate) password: SecretRef,
}

/// Where a secret is.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum SecretRef {
    Env(String),
    File(PathBuf),
}

impl TryFrom<Value> for SecretRef {
    type Error = &'static str;

    /// `{env: NAME}` or `{file: PATH}`. What else stands there is not told: it may be the secret itself.
    fn try_from(written: Value) -> Result<Self, Self::Error> {
        let said = |name: &str| written.as_object().filter(|said| said.len() == 1)?.get(name)?.as_str().map(str::to_owned);
        match (said("env"), said("file")) {
            (Some(variable), _) => Ok(Self::Env(variable)),
            (_, Some(path)) => Ok(Self::File(path.into())),
            _ => Err("takes the place of the secret, not the secret: {env: NAME} or {file: PATH}"),
        }
    }
}

impl SecretRef {
    /// Where it is, in words.
    fn place(&self) -> String {
        match self {
            Self::Env(variable) => format!("variable {variable}"),
            Self::File(path) => format!("file '{}'", path.display()),
        }
    }

    /// The secret; a file's last line end is none of it. It reads the disk.
    pub(crate) fn resolve(&self) -> Result<Secret> {
        let secret = match self {
            Self::Env(variable) => std::env::var(variable).map_err(|_| anyhow!("variable {variable} is not set"))?,
            Self::File(path) => {
                let text = small_file::read(path, BYTES_MAX).with_context(|| format!("reading '{}'", path.display()))?;
                text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned()
            }
        };
        if secret.is_empty() { bail!("the secret in {} is empty", self.place()) } else { Ok(Secret::new(secret)) }
    }
}
