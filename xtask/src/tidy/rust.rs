//! Rules on Rust files: what opens them, how long they and their functions are, and the words of their names.

use super::Problem;
use super::source::{self, Function};

/// A function is read at one glance.
const FUNCTION_LINES_MAX: usize = 70;
/// A file that passes this is due to be split; one that passes the next must be.
const FILE_LINES_WARN: usize = 500;
const FILE_LINES_MAX: usize = 800;
/// Words that say nothing about what a thing does.
const WORDS_NOT_USED: [&str; 8] = ["manager", "managers", "processor", "processors", "util", "utils", "helper", "helpers"];
/// After these a name is given.
const NAMING: [&str; 8] = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];

/// Checks one file.
pub(crate) fn check(path: &str, content: &str, long: &mut LongFunctions) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !content.starts_with("//!") {
        problems.push(Problem::error(path, 1, "open the file with '//!': what it is for and what it must not do"));
    }
    let code = source::code_of(content);
    names(path, &code, &mut problems);
    if is_test(path) {
        return problems;
    }
    file_size(path, content, &mut problems);
    inline_tests(path, &code, &mut problems);
    for function in source::functions(&code) {
        if function.lines > FUNCTION_LINES_MAX {
            problems.extend(long.judge(path, &function));
        }
    }
    problems
}

/// Tests may be as long as what they tell.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
}

fn file_size(path: &str, content: &str, problems: &mut Vec<Problem>) {
    let lines = content.lines().count();
    let message = format!("{lines} lines without tests: split it by what its parts are for");
    if lines > FILE_LINES_MAX {
        problems.push(Problem::error(path, 0, format!("{message} (at most {FILE_LINES_MAX})")));
    } else if lines > FILE_LINES_WARN {
        problems.push(Problem::warning(path, 0, format!("{message} (aim for {FILE_LINES_WARN})")));
    }
}

fn inline_tests(path: &str, code: &str, problems: &mut Vec<Problem>) {
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let item = code[at + attribute.len()..].trim_start();
        let is_inline = item.starts_with("mod ") && item.find('{') < item.find(';').or(Some(item.len()));
        if is_inline && item.contains('{') {
            let message = "put the tests into a sibling tests.rs: '#[cfg(test)] mod tests;'";
            problems.push(Problem::error(path, source::line_of(code, at), message));
        }
    }
}

fn names(path: &str, code: &str, problems: &mut Vec<Problem>) {
    for pair in source::words(code).windows(2) {
        let line = || source::line_of(code, pair[1].at);
        let (before, name) = (pair[0].text, pair[1].text);
        let adjacent = code[pair[0].at + before.len()..pair[1].at].chars().all(char::is_whitespace);
        if adjacent
            && NAMING.contains(&before)
            && let Some(word) = word_not_used(name)
        {
            problems.push(Problem::error(path, line(), format!("'{name}': '{word}' says nothing; name what it does")));
        }
        if before == "macro_rules" {
            problems.push(Problem::error(
                path,
                line(),
                format!("'{name}': write a function, the project has no macros of its own"),
            ));
        }
    }
    let file = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if let Some(word) = word_not_used(file) {
        problems.push(Problem::error(path, 0, format!("'{word}' in a file's name says nothing; name what it holds")));
    }
}

/// The word in `name` (in any case, parts joined by `_` or by capitals) that is not used in this project.
fn word_not_used(name: &str) -> Option<&'static str> {
    let letters: Vec<char> = name.chars().collect();
    let (mut parts, mut part) = (Vec::new(), String::new());
    for (at, c) in letters.iter().enumerate() {
        let follows_lower = at > 0 && letters[at - 1].is_lowercase();
        let ends_acronym = at > 0 && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if !c.is_alphanumeric() || (c.is_uppercase() && (follows_lower || ends_acronym)) {
            parts.push(std::mem::take(&mut part));
        }
        part.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    parts.push(part);
    WORDS_NOT_USED.into_iter().find(|word| parts.iter().any(|part| part == word))
}

/// Functions that may be longer than the limit, each with its length. An entry that is not needed any more, or that
/// allows more than is needed, is a problem: so the list only shrinks.
pub(crate) struct LongFunctions {
    list: String,
    entries: Vec<Entry>,
}

struct Entry {
    line: usize,
    path: String,
    name: String,
    lines: usize,
    is_used: bool,
}

impl LongFunctions {
    /// Reads lines of `path function lines`; `#` starts a comment.
    pub(crate) fn parse(list: &str, content: &str) -> Self {
        let entry = |(at, line): (usize, &str)| {
            let mut fields = line.split_whitespace();
            let (path, name, lines) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
            Some(Entry { line: at + 1, path: path.to_owned(), name: name.to_owned(), lines, is_used: false })
        };
        let lines = content.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        Self { list: list.to_owned(), entries: lines.filter_map(entry).collect() }
    }

    /// The problem that a function over the limit is.
    fn judge(&mut self, path: &str, function: &Function) -> Option<Problem> {
        let Function { name, line, lines } = function;
        let entry = self.entries.iter_mut().find(|entry| entry.path == path && entry.name == *name && !entry.is_used);
        let allowed = entry.map_or(0, |entry| {
            entry.is_used = true;
            entry.lines
        });
        match allowed {
            0 => Some(Problem::error(
                path,
                *line,
                format!("'{name}' takes {lines} lines (at most {FUNCTION_LINES_MAX}): split it"),
            )),
            allowed if allowed < *lines => {
                Some(Problem::error(path, *line, format!("'{name}' grew from {allowed} to {lines} lines: it may only shrink")))
            }
            allowed if allowed > *lines => Some(Problem::error(
                path,
                *line,
                format!("'{name}' shrank to {lines} lines: lower its {allowed} in {}", self.list),
            )),
            _ => None,
        }
    }

    /// Entries that name no function over the limit.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Problem> {
        let unused = self.entries.iter().filter(|entry| !entry.is_used);
        unused.map(|entry| {
            let message = format!("'{}' in {} is within the limit or gone: remove the line", entry.name, entry.path);
            Problem::error(&self.list, entry.line, message)
        })
    }
}
