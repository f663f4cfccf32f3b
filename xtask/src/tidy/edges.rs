//! Which crate may know which. A crate pays by what it does not depend on, so the edges are a rule and not a habit.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Problem;

/// The crate that everyone may know.
const CORE: &str = "pinlake-core";
/// The crate that wires the others, the only one that knows them all.
const BINARY: &str = "pinlake";
/// The only crate that names the query engine and the table format.
const LAKE: &str = "pinlake-lake";
/// The crate that writes objects, and so names what they are written with.
const SINK: &str = "pinlake-sink";
/// The heavy libraries, by the first word of their names.
const HEAVY: [&str; 5] = ["arrow", "datafusion", "deltalake", "object_store", "parquet"];
/// Those that the sink may name too.
const OF_OBJECTS: [&str; 3] = ["arrow", "object_store", "parquet"];

/// A crate of the workspace and the names of what it depends on, in any way.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<String>,
}

/// The workspace's crates, as cargo sees them.
pub(crate) fn crates(root: &Path) -> Result<Vec<Crate>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let output = cargo.output().context("can't start 'cargo metadata'")?;
    if !output.status.success() {
        bail!("'cargo metadata' failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("'cargo metadata' answers no JSON")?;
    let name = |value: &Value| value["name"].as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().context("'cargo metadata' lists no packages")?;
    let own = |package: &Value| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten().filter_map(name).collect();
        Some(Crate { name: name(package)?, dependencies })
    };
    Ok(packages.iter().filter_map(own).collect())
}

/// Every edge that must not be there.
pub(crate) fn check(crates: &[Crate]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for from in crates {
        for to in &from.dependencies {
            if let Some(why) = refused(&from.name, to) {
                let folder = if from.name.starts_with("pinlake") { "crates/" } else { "" };
                problems.push(Problem::error(&format!("{folder}{}/Cargo.toml", from.name), 0, why));
            }
        }
    }
    problems
}

fn refused(from: &str, to: &str) -> Option<String> {
    let is_ours = to == BINARY || to.starts_with("pinlake-");
    let may_name = from == LAKE || (from == SINK && is_one_of(&OF_OBJECTS, to));
    if is_one_of(&HEAVY, to) && !may_name {
        return Some(format!("'{from}' must not name '{to}': only {LAKE} knows the query engine and the table format"));
    }
    if !is_ours || from == to || from == BINARY {
        return None;
    }
    match from {
        "xtask" => Some(format!("xtask must not depend on '{to}': it compiles in seconds")),
        CORE => Some(format!("{CORE} must not depend on '{to}': it is the vocabulary that all others share")),
        _ if to == CORE => None,
        _ => Some(format!("'{from}' must not depend on '{to}': crates meet in the binary, each knows {CORE} alone")),
    }
}

fn is_one_of(libraries: &[&str], name: &str) -> bool {
    libraries.iter().any(|library| name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

/// Versions stand once, in the workspace's manifest. A manifest that is a workspace by itself has its own.
pub(crate) fn check_manifest(path: &str, content: &str) -> Vec<Problem> {
    if path == "Cargo.toml" || content.lines().any(|line| line.trim() == "[workspace]") {
        return Vec::new();
    }
    let (mut problems, mut in_dependencies) = (Vec::new(), false);
    for (at, line) in content.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') && !line.contains("workspace = true") {
            let message = "state the version once, in [workspace.dependencies], and write 'workspace = true' here";
            problems.push(Problem::error(path, at + 1, message));
        }
    }
    problems
}
