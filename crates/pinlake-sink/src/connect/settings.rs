//! A configuration's settings, read by their definitions: each has a value of its type, or errors. Settings without a definition are ignored, as
//! Connect does. A value that is a reference is never shown as what it stands for.

mod parse;

use std::collections::HashMap;

use super::references;
use super::setting::{Fallback, Setting, Type};
use super::validation::{Checked, Validation};
use super::{HIDDEN, References, groups};
use crate::Config;

/// Why a value is wrong where the reason could tell what a reference stands for.
const UNSAID: &str = "it can't be used; why is not said, because that could tell what a reference stands for";

/// Settings that are being looked at.
pub(super) struct Settings<'a> {
    given: &'a Config,
    /// What references in values stand for.
    resolved: HashMap<&'a str, String>,
    /// Whether one of them is of a setting that errors may repeat.
    refers: bool,
    checked: Vec<Checked>,
    places: HashMap<&'static str, usize>,
}

impl<'a> Settings<'a> {
    /// Reads all settings of `config`.
    pub(super) fn read(config: &'a Config, references: &dyn References) -> Self {
        let all = groups().iter().flat_map(|group| group.settings);
        let blank = |setting| Checked { setting, value: None, errors: Vec::new(), visible: true };
        let checked: Vec<Checked> = all.map(blank).collect();
        let places = checked.iter().enumerate().map(|(at, one)| (one.setting.name, at)).collect();
        let mut settings = Self { given: config, resolved: HashMap::new(), refers: false, checked, places };
        for (name, value) in config {
            if references::is_reference(value) {
                settings.resolve(name, value, references);
            }
        }
        for at in 0..settings.checked.len() {
            settings.check(at);
        }
        settings
    }

    /// Whether anything is wrong.
    pub(super) fn has_errors(&self) -> bool {
        self.checked.iter().any(|one| !one.errors.is_empty())
    }

    /// Whether nothing is wrong with a setting.
    pub(super) fn is_good(&self, name: &str) -> bool {
        self.checked[self.places[name]].errors.is_empty()
    }

    /// What is said of all.
    pub(super) fn into_validation(self) -> Validation {
        Validation { configs: self.checked }
    }

    /// Says that something is wrong with a setting, in words that repeat no value.
    pub(super) fn refuse(&mut self, name: &str, error: impl Into<String>) {
        let at = self.places[name];
        self.checked[at].errors.push(error.into());
    }

    /// Says that a setting's value is wrong, as Connect says so. The reason may repeat values.
    pub(super) fn wrong(&mut self, name: &str, why: &str) {
        let shown = self.checked[self.places[name]].value.clone();
        let why = if self.refers { UNSAID } else { why };
        self.refuse(name, parse::invalid(name, shown.as_deref(), why));
    }

    /// Shows or hides a setting that others make matter or not.
    pub(super) fn show(&mut self, name: &str, is_visible: bool) {
        let at = self.places[name];
        self.checked[at].visible = is_visible;
    }

    /// A setting's value or its default, without blanks around it; `None` if there is neither.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match (self.raw(name), self.checked[self.places[name]].setting.default) {
            (Some(given), _) => Some(given.trim()),
            (None, Fallback::Is(default)) => Some(default),
            (None, Fallback::Required | Fallback::Null) => None,
        }
    }

    /// The same where nothing is as good as an empty text.
    pub(super) fn text_or_empty(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A value as it was given, blanks and all, also one without a definition.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let resolved = self.resolved.get(name).map(String::as_str);
        resolved.or_else(|| self.given.get(name).map(String::as_str))
    }

    /// A number. Must have been found good.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.text_or_empty(name).parse().unwrap_or_default()
    }

    /// A boolean. Must have been found good.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text_or_empty(name).eq_ignore_ascii_case("true")
    }

    /// The texts of a list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let text = self.text_or_empty(name);
        if text.is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
    }

    /// The class that a setting names, without its package.
    pub(super) fn class(&self, name: &str) -> Option<&str> {
        self.text(name).map(|class| class.rsplit('.').next().unwrap_or(class))
    }

    fn resolve(&mut self, name: &'a str, value: &str, references: &dyn References) {
        match references::resolve(value, references) {
            Ok(resolved) => {
                let kind = self.places.get(name).map(|at| self.checked[*at].setting.kind);
                self.refers |= kind.is_some_and(|kind| kind != Type::Password);
                self.resolved.insert(name, resolved);
            }
            // What is not defined is not looked at.
            Err(error) if self.places.contains_key(name) => {
                self.refuse(name, parse::invalid(name, Some(value), error.message()));
            }
            Err(_) => {}
        }
    }

    /// Looks at one setting by itself.
    fn check(&mut self, at: usize) {
        let setting = self.checked[at].setting;
        let shown = self.shown(setting);
        if self.checked[at].errors.is_empty() {
            let error = match self.text(setting.name) {
                None if setting.default == Fallback::Required => {
                    Some(format!("Missing required configuration \"{}\" which has no default value.", setting.name))
                }
                None => None,
                Some(value) => {
                    let is_given = self.raw(setting.name).is_some();
                    let is_told = |why: &String| !self.resolved.contains_key(setting.name) || !why.contains(value);
                    let error = parse::error(setting, value, is_given);
                    error.map(|why| parse::invalid(setting.name, shown.as_deref(), if is_told(&why) { &why } else { UNSAID }))
                }
            };
            self.checked[at].errors.extend(error);
        }
        self.checked[at].value = shown;
    }

    /// A setting's value as it may be shown.
    fn shown(&self, setting: &Setting) -> Option<String> {
        match self.given.get(setting.name) {
            Some(given) if references::is_reference(given) => Some(given.clone()),
            Some(_) if setting.kind == Type::Password => Some(HIDDEN.to_owned()),
            _ => self.text(setting.name).map(str::to_owned),
        }
    }
}
