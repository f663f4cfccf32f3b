//! Rules on pages: a decision has a status, and a relative link leads somewhere.

use super::Problem;

/// Checks one page; `exists` says whether a path from the project's root is there.
pub(crate) fn check(path: &str, content: &str, exists: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_decision = path.strip_prefix("docs/decisions/").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    if is_decision && !content.lines().any(|line| line.starts_with("Status:")) {
        problems.push(Problem::error(path, 0, "a decision states a line 'Status: accepted', 'superseded by ...' or 'proposed'"));
    }
    let mut in_code = false;
    for (at, line) in content.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in links(line) {
            if is_relative(target) && !exists(&resolve(path, target)) {
                problems.push(Problem::error(path, at + 1, format!("the link to '{target}' leads nowhere")));
            }
        }
    }
    problems
}

/// The targets of a line's `[text](target)` links, outside `code`.
fn links(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    // Every second piece between backticks is code.
    for text in line.split('`').step_by(2) {
        let mut rest = text;
        while let Some(open) = rest.find("](") {
            rest = &rest[open + 2..];
            let Some(close) = rest.find(')') else { break };
            targets.extend(rest[..close].split_whitespace().next());
            rest = &rest[close..];
        }
        // A link whose text is code is cut in two by the backticks: `](target)` then begins the next piece, and is found above.
    }
    targets
}

fn is_relative(target: &str) -> bool {
    !(target.starts_with('#') || target.starts_with("mailto:") || target.contains("://") || target.starts_with('<'))
}

/// The path that `target` names, seen from the page `path`, without its anchor.
fn resolve(path: &str, target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}
