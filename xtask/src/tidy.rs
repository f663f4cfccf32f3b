//! Rules on the project's own files that no lint knows: which crate may know which, how large a thing may be, which words
//! are ours. Each rule is a pure function from a file (or the crates) to problems, so that the tests give it samples.

mod docs;
mod edges;
mod files;
mod rust;
mod source;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::path::Path;

use anyhow::Result;

/// Functions that may be longer than the limit, for now. The list may only shrink.
const LONG_FUNCTIONS: &str = "xtask/long-functions.txt";

/// What the rules found.
pub(crate) struct Report {
    /// How many files were read.
    pub(crate) files: usize,
    /// What is wrong, in the order of the files.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// How many of the problems fail the check.
    pub(crate) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    severity: Severity,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

impl Problem {
    fn error(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, severity: Severity::Error, message: message.into() }
    }

    fn warning(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, line, message) }
    }
}

impl fmt::Display for Problem {
    /// `path:line: severity: message`, which editors turn into a link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: {}", self.path, self.line.max(1), self.message)
    }
}

/// Runs every rule over the project at `root`.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let files = files::tracked(root)?;
    let mut problems = edges::check(&edges::crates(root)?);
    let mut long = rust::LongFunctions::parse(LONG_FUNCTIONS, &files::read(root, LONG_FUNCTIONS).unwrap_or_default());
    for path in &files {
        // What is not text (an image, a font) is not ours to judge.
        let Some(content) = files::read(root, path) else { continue };
        problems.extend(text::check(path, &content));
        match path.rsplit('.').next() {
            Some("rs") => problems.extend(rust::check(path, &content, &mut long)),
            Some("md") => problems.extend(docs::check(path, &content, &|target| root.join(target).exists())),
            Some("toml") if path.ends_with("Cargo.toml") => problems.extend(edges::check_manifest(path, &content)),
            _ => {}
        }
    }
    problems.extend(long.unused());
    Ok(Report { files: files.len(), problems })
}
