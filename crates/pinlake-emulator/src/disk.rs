//! The one place that touches files: folders looked through, lines read, new files made. Must never overwrite anything.

#![expect(clippy::disallowed_methods, reason = "this crate's disk module: everything else asks it")]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pinlake_core::{Error, Result};

/// Folders within folders that are looked through; a raw lake has three.
const DEPTH_MAX: usize = 8;

/// An error that says what was being done to `path`.
pub(crate) fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    Error::internal(format!("cannot {what} '{}'", path.display())).with_source(error)
}

/// Refuses a folder that holds anything, and creates one that does not exist.
pub(crate) fn claim_folder(folder: &Path) -> Result<()> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::conflict(format!(
            "folder '{}' is not empty: name an empty or a new one, because nothing there is overwritten",
            folder.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_folder(folder),
        Err(error) => Err(cannot("read folder", folder, error)),
    }
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| cannot("create folder", folder, error))
}

/// Creates a file, which must not exist.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    File::create_new(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::conflict(format!("'{}' exists already: name a new file", path.display())),
        _ => cannot("create", path, error),
    })
}

/// Opens a file for reading; one whose name ends in `.gz` is unpacked.
pub(crate) fn open_lines(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(path).map_err(|error| cannot("open", path, error))?;
    let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
    Ok(if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) })
}

/// All files of `folder` and its subfolders, in the order of their paths.
pub(crate) fn find_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    add_files(folder, DEPTH_MAX, &mut found)?;
    found.sort();
    Ok(found)
}

fn add_files(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let cannot_read = |error| cannot("read folder", folder, error);
    for entry in fs::read_dir(folder).map_err(cannot_read)? {
        let path = entry.map_err(cannot_read)?.path();
        if !path.is_dir() {
            found.push(path);
        } else if depth > 0 {
            add_files(&path, depth - 1, found)?;
        }
    }
    Ok(())
}
