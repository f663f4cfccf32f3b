//! Folders that commands look at before they are opened, because opening makes them.

use std::path::{Path, PathBuf};

use reqwest::Url;

/// The folder that a store's location names; `None` for a location that is no folder.
pub(crate) fn local_folder(location: &str) -> Option<PathBuf> {
    match Url::parse(location) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
        // A single letter is a drive, not a scheme.
        Ok(url) if url.scheme().len() > 1 => None,
        _ => Some(PathBuf::from(location)),
    }
}

/// Whether two locations are the same place, or one lies inside the other.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (parts(a), parts(b));
    a.0 == b.0 && (a.1.starts_with(&b.1) || b.1.starts_with(&a.1))
}

/// The store of a location, and the path within it.
fn parts(location: &str) -> (String, PathBuf) {
    match (local_folder(location), Url::parse(location)) {
        (None, Ok(url)) => (format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()), PathBuf::from(url.path())),
        (folder, _) => (String::new(), real(&folder.unwrap_or_else(|| PathBuf::from(location)))),
    }
}

/// The folder without links and dots, as far as it is there.
fn real(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let known = absolute.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let whole = known.and_then(|(above, real)| Some(real.join(absolute.strip_prefix(above).ok()?)));
    whole.unwrap_or(absolute)
}

/// Takes a folder away that work was to be done in and was not.
#[expect(clippy::disallowed_methods, reason = "undoes what the command's own set-up made")]
pub(crate) fn remove_if_empty(folder: &Path) {
    // One that holds something, or is gone, stays as it is.
    let _ = std::fs::remove_dir(folder);
}
