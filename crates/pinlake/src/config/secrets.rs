//! Secrets: the configuration names the places where they are, a variable or a file. Must not show what stands there, and must not read without a bound.

#[cfg(test)]
mod tests;

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use pinlake_core::secret::Secret;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::Value;

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
    /// The secret; a file's last line end is none of it. It reads the disk.
    pub(crate) fn resolve(&self) -> Result<Secret> {
        let secret = match self {
            Self::Env(variable) => std::env::var(variable).map_err(|_| anyhow!("variable {variable} is not set"))?,
            Self::File(path) => {
                let text = read(path).with_context(|| format!("reading '{}'", path.display()))?;
                text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned()
            }
        };
        if secret.is_empty() { bail!("the secret in {self:?} is empty") } else { Ok(Secret::new(secret)) }
    }
}

/// A small file: a device may never end, and a pipe without a writer never begin.
#[expect(clippy::disallowed_methods, reason = "the one place that reads secrets")]
fn read(path: &Path) -> Result<String> {
    const NO_FILE: &str = "it is no regular file";
    // To open a device may do something already.
    if !std::fs::metadata(path)?.is_file() {
        bail!(NO_FILE);
    }
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("the flags of opening are numbers of C's int");
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    // Something else may stand there by now.
    if !file.metadata()?.is_file() {
        bail!(NO_FILE);
    }
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        bail!("it has more than 64 KiB, which no secret has");
    }
    Ok(text)
}
