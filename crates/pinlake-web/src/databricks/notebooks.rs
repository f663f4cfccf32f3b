//! Which job a notebook stands for. Its path comes as people copy it: from the workspace, from a checkout, from a browser's address line.

#[cfg(test)]
mod tests;

use percent_encoding::percent_decode_str;
use pinlake_core::jobs::{Job, Origin};
use pinlake_core::pipeline::Pattern;

use super::NotebookRule;
use super::args::short;

/// Endings that a notebook's name has in a file system only.
const ENDINGS: [&str; 3] = [".ipynb", ".py", ".sql"];
/// Where the workspace is mounted, and the schemes of paths that are none of the web.
const ROOTS: [&str; 4] = ["dbfs:/", "file:/", "workspace:/", "Workspace/"];
/// Folders that a path may have; a pattern with `**` looks at all of them again.
const FOLDERS_MAX: usize = 64;

/// The jobs that a notebook may stand for, and what was said of which.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) jobs: &'a [Job],
    pub(super) rules: &'a [NotebookRule],
    /// The job that is being defined: it must not run itself.
    pub(super) own: Option<&'a str>,
}

/// The job of a notebook, file or class.
///
/// # Errors
/// Why there is none, and what to add to the configuration.
pub(super) fn job_of(path: &str, known: Known<'_>) -> Result<String, String> {
    let path = normal(path);
    if path.split('/').count() > FOLDERS_MAX {
        return Err(format!("the path '{}' has more than {FOLDERS_MAX} folders", short(&path)));
    }
    if let Some(rule) = known.rules.iter().find(|rule| is_covered(&rule.pattern, &path)) {
        return ruled(rule, &path, known);
    }
    let stem = alike(path.rsplit('/').next().unwrap_or_default());
    // Only what the pipeline's files define: a job that was made for a notebook often has its name, and would run itself.
    let mut jobs = known.jobs.iter().filter(|job| job.origin == Origin::Pipeline).map(|job| job.spec.name.as_str());
    jobs.find(|name| alike(name) == stem && known.own != Some(name)).map(str::to_owned).ok_or_else(|| unknown(&path, known))
}

fn ruled(rule: &NotebookRule, path: &str, known: Known<'_>) -> Result<String, String> {
    let (job, pattern) = (&rule.job, &rule.pattern);
    if known.own == Some(job.as_str()) {
        return Err(format!("'{}' stands for the job '{job}' itself, which can't run itself", short(path)));
    }
    if known.jobs.iter().any(|known| known.spec.name == *job) {
        return Ok(job.clone());
    }
    let jobs = names(known);
    Err(format!("databricks.notebooks says that '{pattern}' stands for the job '{job}', which does not exist; there are: {jobs}"))
}

fn unknown(path: &str, known: Known<'_>) -> String {
    let example = known.jobs.iter().find(|job| job.origin == Origin::Pipeline).map_or("JOB", |job| job.spec.name.as_str());
    // JSON's strings are YAML's too.
    let [quoted, example] = [path, example].map(|text| serde_json::Value::from(short(text)).to_string());
    let (path, jobs) = (short(path), names(known));
    format!(
        "no job stands for the notebook '{path}': add this line to the configuration, with the job that it is to be (there are: {jobs})\n\
         databricks:\n  notebooks:\n    - {{ match: {quoted}, job: {example} }}"
    )
}

fn names(known: Known<'_>) -> String {
    let names: Vec<&str> = known.jobs.iter().map(|job| job.spec.name.as_str()).take(20).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A path as the workspace has it: from the root on, without an ending.
fn normal(path: &str) -> String {
    tidied(&within_workspace(path.trim()))
}

/// The path that a browser's address names; other paths as they are.
fn within_workspace(path: &str) -> String {
    let is_address = path.contains("://") || path.contains("/?o=") || path.contains("#notebook/");
    if !is_address {
        return path.to_owned();
    }
    let rest = path.split_once("://").map_or(path, |(_, rest)| rest);
    let rest = rest.find(['/', '?', '#']).map_or("", |start| &rest[start..]);
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let place = if fragment.is_empty() { before.split('?').next().unwrap_or_default() } else { fragment };
    let place = place.split('?').next().unwrap_or_default().trim_start_matches('/');
    let place = place.strip_prefix("workspace/").unwrap_or(place);
    // A cell of the notebook.
    let place = if place.starts_with("notebook/") { place.split("/command/").next().unwrap_or(place) } else { place };
    percent_decode_str(place).decode_utf8_lossy().into_owned()
}

fn tidied(path: &str) -> String {
    let mut rest = path.trim_matches('/');
    for root in ROOTS {
        let named = rest.get(..root.len()).is_some_and(|start| start.eq_ignore_ascii_case(root));
        rest = if named { rest[root.len()..].trim_start_matches('/') } else { rest };
    }
    for ending in ENDINGS {
        let start = rest.len().saturating_sub(ending.len());
        if start > 0 && rest.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(ending)) {
            rest = &rest[..start];
            break;
        }
    }
    let folders: Vec<&str> = rest.split('/').filter(|folder| !folder.is_empty()).collect();
    format!("/{}", folders.join("/"))
}

/// Whether a pattern covers a path.
fn is_covered(pattern: &str, path: &str) -> bool {
    let pattern = tidied(pattern.trim());
    let wanted: Vec<&str> = pattern.split('/').collect();
    let found: Vec<&str> = path.split('/').collect();
    // `reached[n]`: the part of the pattern so far covers the first n folders.
    let mut reached = vec![false; found.len() + 1];
    reached[0] = true;
    for part in wanted {
        reached = step(&reached, part, &found);
    }
    reached[found.len()]
}

fn step(reached: &[bool], part: &str, found: &[&str]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    if part == "**" {
        let mut any = false;
        for (next, reached) in next.iter_mut().zip(reached) {
            any |= reached;
            *next = any;
        }
        return next;
    }
    let part = Pattern::new(part);
    for (number, folder) in found.iter().enumerate() {
        next[number + 1] = reached[number] && part.matches(folder);
    }
    next
}

/// A name in which case, blanks, `_` and `-` do not matter.
fn alike(name: &str) -> String {
    name.trim()
        .chars()
        .map(|letter| if matches!(letter, ' ' | '_') { '-' } else { letter })
        .flat_map(char::to_lowercase)
        .collect()
}
