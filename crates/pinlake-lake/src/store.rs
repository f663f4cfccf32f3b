//! Object stores by URL: `file://`, `s3://`, `gs://`, `az://`, `memory://` or a plain path, and Delta's view of a folder in one.

#[cfg(test)]
mod tests;

use std::path::Path as FsPath;
use std::sync::Arc;

use deltalake_core::logstore::{DeltaIOStorageBackend, IORuntime, LogStoreRef, StorageConfig, default_logstore};
use futures::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, parse_url_opts};
use pinlake_core::secret::mask_url;
use pinlake_core::{Error, Result, Timestamp};
use tokio::runtime::Handle;
use url::Url;

use crate::error;
use crate::local_store::LocalStore;

/// Objects that are looked at for the newest.
const OBJECTS_MAX: usize = 1_000_000;

/// A place in an object store.
#[derive(Debug, Clone)]
pub struct Store {
    /// The whole store.
    root: Arc<dyn ObjectStore>,
    /// The place within it.
    path: Path,
    /// The same as people see it: it ends with `/` and holds no secret.
    url: Url,
}

impl Store {
    /// Opens the place that a URL or a local path names; a local folder is created. Options of cloud stores come from the
    /// environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
    ///
    /// # Errors
    /// `Invalid` for a URL that no store understands, or that holds a password.
    pub fn open(location: &str) -> Result<Store> {
        Self::open_with(location, Vec::new())
    }

    /// The same with options of a cloud's store that go before those of the environment, such as `("aws_region", "us-east-1")`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(location: &str, options: Vec<(String, String)>) -> Result<Store> {
        match Url::parse(location) {
            Ok(url) if url.scheme() == "memory" => Ok(Self::over(Arc::new(InMemory::new()), url)),
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| Error::invalid(format!("'{location}' names no local folder")))?;
                Self::local(&path)
            }
            // A single letter is a drive, not a scheme.
            Ok(url) if url.scheme().len() > 1 => Self::cloud(&url, options),
            _ => Self::local(FsPath::new(location)),
        }
    }

    /// A place over any object store: for tests that inject faults.
    pub fn over(root: Arc<dyn ObjectStore>, url: Url) -> Store {
        Store { root, path: Path::default(), url: shown(url) }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes the store's own folder")]
    fn local(path: &FsPath) -> Result<Store> {
        let failed = |error: std::io::Error| Error::invalid(format!("opening folder '{}'", path.display())).with_source(error);
        std::fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let objects = LocalStore::new(&path).map_err(|e| error::store("opening a local folder", e))?;
        let url = Url::from_directory_path(&path)
            .map_err(|()| Error::invalid(format!("'{}' is not an absolute path", path.display())))?;
        Ok(Self::over(Arc::new(objects), url))
    }

    fn cloud(url: &Url, own: Vec<(String, String)>) -> Result<Store> {
        let is_option = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix));
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let options = texts.filter(|(name, _)| is_option(name)).map(|(name, value)| (name.to_lowercase(), value)).chain(own);
        if url.password().is_some() {
            let mut plain = url.clone();
            plain.set_query(None);
            let shown = mask_url(plain.as_str());
            return Err(Error::invalid(format!(
                "'{shown}' holds a password: take it out; stores take theirs from the environment, such as AWS_SECRET_ACCESS_KEY"
            )));
        }
        let shown = shown(url.clone());
        // The cause may repeat the URL.
        let why = |e: object_store::Error| e.to_string().replace(url.as_str(), shown.as_str());
        let opened = parse_url_opts(url, options).map_err(|e| Error::invalid(format!("opening '{shown}': {}", why(e))));
        let (root, path) = opened?;
        Ok(Store { root: Arc::from(root), path, url: shown })
    }

    /// The same place, whose requests are made on another runtime: connections outlive the one that asks.
    #[must_use]
    pub(crate) fn served_by(&self, runtime: Handle) -> Store {
        let root = DeltaIOStorageBackend::new(self.root.clone(), IORuntime::RT(runtime));
        Store { root: Arc::new(root), ..self.clone() }
    }

    /// The objects, with paths relative to the place.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        if self.path.as_ref().is_empty() {
            self.root.clone()
        } else {
            Arc::new(PrefixStore::new(self.root.clone(), self.path.clone()))
        }
    }

    /// The whole store, of which the place is [`Store::path`].
    pub(crate) fn root(&self) -> &Arc<dyn ObjectStore> {
        &self.root
    }

    /// The place within the whole store.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the place is, without secrets; it ends with `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A folder within the place.
    #[must_use]
    pub fn folder(&self, name: &str) -> Store {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{name}/", self.url.path().trim_end_matches('/')));
        let path = name.split('/').fold(self.path.clone(), |path, part| path.join(part));
        Store { root: self.root.clone(), path, url }
    }

    /// When the newest object was written, of the first [`OBJECTS_MAX`] that are listed; `None` if there is none.
    ///
    /// # Errors
    /// `Retry` while the store does not answer.
    pub async fn newest_object(&self) -> Result<Option<Timestamp>> {
        let objects = self.objects();
        let mut listed = objects.list(None).take(OBJECTS_MAX);
        let mut newest = None;
        while let Some(object) = listed.next().await {
            let written = object.map_err(|e| error::store("listing objects", e))?.last_modified.timestamp_millis();
            newest = newest.max(Some(Timestamp(written)));
        }
        Ok(newest)
    }

    /// Creates an object and tries to create it again: whether the store refused the second, as commits need it to.
    pub async fn probe(&self, content: bytes::Bytes) -> Result<bool> {
        let objects = self.objects();
        let path = Path::from(format!("pinlake-probe-{}", uuid::Uuid::new_v4()));
        let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let failed = |e| error::store("writing to the store", e);
        objects.put_opts(&path, content.clone().into(), create()).await.map_err(failed)?;
        let again = objects.put_opts(&path, content.into(), create()).await;
        objects.delete(&path).await.map_err(failed)?;
        match again {
            Ok(_) => Ok(false),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(true),
            Err(error) => Err(failed(error)),
        }
    }

    /// Delta's view of this folder. Its URL is a name within the store: all access goes through our objects.
    pub(crate) fn delta(&self) -> LogStoreRef {
        let url = Url::parse(&format!("memory:///{}/", self.path)).expect("a path within a store makes a URL");
        default_logstore(self.objects(), self.root.clone(), &url, &StorageConfig::default())
    }
}

/// A place's URL for people: user, password and parameters go, because any of them may be a secret.
fn shown(url: Url) -> Url {
    let mut shown = url;
    // A URL without a host has no user either.
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    let folder = format!("{}/", shown.path().trim_end_matches('/'));
    shown.set_path(&folder);
    shown
}
