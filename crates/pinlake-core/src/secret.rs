//! Keeps secrets out of what is shown. Must not know where they come from.

use std::fmt;
use std::sync::Arc;

/// A password or a key. It is shown as `***`, and read by [`Secret::expose`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for whoever compares or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `url` with the password in its user part replaced by `***`, fit for a log line. A URL that is wrong is shown too: a password
/// may hold a raw `/` or `@`, so its end is the last `@`.
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let name = user.split([':', '/']).next().unwrap_or_default();
    // The `@` is one of the path.
    if user[name.len()..].starts_with('/') {
        return url.to_owned();
    }
    format!("{scheme}://{name}:***@{host}")
}

#[cfg(test)]
mod tests;
