//! What questions leave to whoever asks: `$name` in their SQL stands for one of a few values.

use std::collections::BTreeMap;

use super::{Pipeline, Question};
use crate::{Error, Result};

/// A choice that questions leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name: `$name` in the SQL.
    pub name: String,
    /// What it may be, at least one: the first holds unless another is taken.
    pub values: Vec<String>,
}

/// The value taken of every choice, by name.
pub type Chosen = BTreeMap<String, String>;

impl Pipeline {
    /// Takes what `wanted` says, `name=value` each, and of all other choices the first value.
    ///
    /// # Errors
    /// `Invalid` for a choice or a value that there is not.
    pub fn choose<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Result<Chosen> {
        let first = |choice: &Choice| Some((choice.name.clone(), choice.values.first()?.clone()));
        let mut chosen: Chosen = self.choices.iter().filter_map(first).collect();
        for wanted in wanted {
            let named = wanted.split_once('=');
            let found = named.and_then(|(name, value)| {
                let choice = self.choices.iter().find(|choice| choice.name == name)?;
                choice.values.iter().find(|known| *known == value).map(|value| (name.to_owned(), value.clone()))
            });
            let (name, value) = found.ok_or_else(|| {
                let known: Vec<String> = self.choices.iter().map(Choice::to_string).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Error::invalid(format!("'{wanted}' is no choice of this pipeline: there are {known}"))
            })?;
            chosen.insert(name, value);
        }
        Ok(chosen)
    }

    /// The choices that `question` leaves open.
    pub fn choices_of<'a>(&'a self, question: &'a Question) -> impl Iterator<Item = &'a Choice> {
        let named: Vec<&str> =
            question.sql.split('$').skip(1).map(|rest| rest.split(|c| !in_name(c)).next().unwrap_or_default()).collect();
        self.choices.iter().filter(move |choice| named.contains(&choice.name.as_str()))
    }
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl std::fmt::Display for Choice {
    /// As `ties=all|first`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.values.join("|"))
    }
}
