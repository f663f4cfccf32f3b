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

/// Takes a folder away that work was to be done in and was not.
pub(crate) fn remove_if_empty(folder: &Path) {
    // One that holds something, or is gone, stays as it is.
    let _ = std::fs::remove_dir(folder);
}
