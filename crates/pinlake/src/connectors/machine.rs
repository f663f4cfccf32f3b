//! What connectors find on this machine: the stores of their buckets, and what their configurations refer to. Nothing that a file or variable
//! holds may be in an error.

#[cfg(test)]
mod tests;

use std::io::Read;
use std::sync::Arc;

use pinlake_core::{Error, Result};
use pinlake_lake::store::Store;
use pinlake_sink::connect::{References, property};
use pinlake_sink::{Buckets, ObjectStore, Target};

/// The largest file that a configuration may refer to.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where buckets are kept.
pub(crate) struct ServerBuckets {
    location: String,
}

impl ServerBuckets {
    /// In folders of a folder or URL; or as buckets of a cloud, which is named by its scheme alone.
    pub(crate) fn at(location: String) -> Self {
        Self { location }
    }

    /// Where the bucket of a target is, and options with which it is opened.
    fn place(&self, target: &Target) -> (String, Vec<(String, String)>) {
        let bucket = &target.bucket;
        let location = if target.endpoint.is_some() {
            format!("s3://{bucket}")
        } else if self.location.ends_with("://") {
            format!("{}{bucket}", self.location)
        } else {
            format!("{}/{bucket}", self.location.trim_end_matches('/'))
        };
        let options = if location.starts_with("s3://") { s3_options(target) } else { Vec::new() };
        (location, options)
    }
}

fn s3_options(target: &Target) -> Vec<(String, String)> {
    let is_plain = target.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let keys = target.keys.as_ref();
    let options = [
        ("aws_region", target.region.clone()),
        ("aws_endpoint", target.endpoint.clone()),
        ("aws_allow_http", is_plain.then(|| "true".to_owned())),
        // Without an endpoint of its own, the environment says how buckets are named.
        ("aws_virtual_hosted_style_request", target.endpoint.as_ref().map(|_| (!target.path_style).to_string())),
        ("aws_access_key_id", keys.map(|keys| keys.id.clone())),
        ("aws_secret_access_key", keys.map(|keys| keys.secret.clone())),
    ];
    options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Buckets for ServerBuckets {
    fn open(&self, target: &Target) -> Result<Arc<dyn ObjectStore>> {
        let (location, options) = self.place(target);
        Ok(Store::open_with(&location, options)?.objects())
    }
}

/// Files and variables of this machine.
pub(super) struct ServerReferences;

impl References for ServerReferences {
    #[expect(clippy::disallowed_methods, reason = "reads the files that configurations refer to")]
    fn file(&self, path: &str, name: &str) -> Result<String> {
        let failed = |error: std::io::Error| Error::invalid(format!("file '{path}' can't be read: {}", error.kind()));
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        property(&text, name).ok_or_else(|| Error::invalid(format!("file '{path}' has no property '{name}'")))
    }

    fn variable(&self, name: &str) -> Result<String> {
        // A name that has a '=' or is empty is none.
        std::env::var(name).map_err(|_| Error::invalid(format!("variable '{name}' is not set")))
    }
}
