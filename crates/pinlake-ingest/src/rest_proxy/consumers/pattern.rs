//! The patterns of topics that a consumer may subscribe to: regular expressions without look-around and references, so that a match takes
//! time in proportion to the pattern and the name, whatever the pattern. As in Kafka's clients, the whole name must match.

#[cfg(test)]
mod tests;

use regex::{Regex, RegexBuilder};

/// The longest pattern, bytes.
const LEN_MAX: usize = 1000;
/// The most bytes that a compiled pattern takes, and as many again for matching.
const SIZE_MAX: usize = 256 << 10;
/// How deep groups may lie within each other.
const DEPTH_MAX: u32 = 32;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    whole: Regex,
}

impl Pattern {
    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(format!("a topic pattern takes at most {LEN_MAX} bytes"));
        }
        // By itself first: `a)|(b` is none, also if it would be one within a group.
        compile(text)?;
        Ok(Self { whole: compile(&format!(r"\A(?:{text})\z"))? })
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.whole.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.whole.as_str() == other.whole.as_str()
    }
}

impl Eq for Pattern {}

fn compile(text: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(text).size_limit(SIZE_MAX).dfa_size_limit(SIZE_MAX).nest_limit(DEPTH_MAX).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the topic pattern is too large: use fewer or smaller repetitions".to_owned(),
        // Its last line says what is wrong, those above where.
        error => {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the topic pattern is no regular expression that can be used: {why}")
        }
    })
}
