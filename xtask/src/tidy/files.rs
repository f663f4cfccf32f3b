//! Which files belong to the project, and their text.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Folders that a walk leaves out.
const NOT_OURS: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];

/// The project's files, sorted, as paths from `root` with `/`. Git's list, or a walk where there is no git.
pub(crate) fn tracked(root: &Path) -> Result<Vec<String>> {
    let mut files = match git(root) {
        Some(files) => files,
        None => walk(root)?,
    };
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file; `None` when it is gone or is not text.
pub(crate) fn read(root: &Path, path: &str) -> Option<String> {
    std::fs::read_to_string(root.join(path)).ok()
}

fn git(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().ok()?;
    let listing = String::from_utf8(output.stdout).ok()?;
    let files: Vec<String> = listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (output.status.success() && !files.is_empty()).then_some(files)
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("can't list {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    folders.push(path);
                }
            } else if let Ok(inside) = path.strip_prefix(root) {
                files.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(files)
}
