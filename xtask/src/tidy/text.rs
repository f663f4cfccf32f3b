//! Text that no file of the project may hold: machines' paths and package registries' hosts.

use super::Problem;

/// Folders of one machine; a path in the project is relative, or an example below /srv, /var or /tmp.
const MACHINE_FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
/// Hosts of package registries; the tools know their own.
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
];
/// The one source that the lock file may name.
const LOCK_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Forbidden text in a file of any kind.
pub(crate) fn check(path: &str, content: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, line) in content.lines().enumerate() {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            problems.push(Problem::error(path, at + 1, format!("a path below {folder} is of one machine: make it relative")));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(**host)) {
            problems.push(Problem::error(
                path,
                at + 1,
                format!("'{host}' is a package registry: leave it to the tool's own setting"),
            ));
        }
        if path == "Cargo.lock" && line.starts_with("source = ") && line != LOCK_SOURCE {
            problems.push(Problem::error(path, at + 1, "a dependency does not come from the public registry of crates"));
        }
    }
    problems
}

/// Whether `line` holds an absolute path into `folder`: one that does not go on from an earlier part of a path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | ')' | '>' | '*'))
    })
}
