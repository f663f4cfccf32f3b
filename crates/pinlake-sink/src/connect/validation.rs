//! What is said of a configuration, setting by setting, in the form in which Connect says it.

use std::fmt::Write;

use serde_json::{Value, json};

use super::setting::{Fallback, Group, Setting};
use super::{S3_SINK, groups};

/// What is said of a configuration.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The settings, in their order.
    pub configs: Vec<Checked>,
}

/// What is said of one setting.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value as it may be shown: as it was given if that is a reference, hidden if it is a secret.
    pub value: Option<String>,
    /// What is wrong with it, in Connect's words where Connect would say so.
    pub errors: Vec<String>,
    /// Whether it matters, the others being what they are.
    pub visible: bool,
}

impl Validation {
    /// How many errors there are in all.
    pub fn error_count(&self) -> usize {
        self.configs.iter().map(|config| config.errors.len()).sum()
    }

    /// The errors as one text, as Connect answers who would have such a connector.
    pub fn message(&self) -> String {
        let mut text = format!("Connector configuration is invalid and contains the following {} error(s):", self.error_count());
        for error in self.configs.iter().flat_map(|config| &config.errors) {
            write!(text, "\n{error}").expect("text takes any text");
        }
        text + "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
    }

    /// All of it: `name`, `error_count`, `groups` and `configs`.
    pub fn to_json(&self) -> Value {
        let names: Vec<&str> = groups().iter().map(|group| group.name).collect();
        let configs: Vec<Value> = self.configs.iter().map(Checked::to_json).collect();
        json!({ "name": S3_SINK, "error_count": self.error_count(), "groups": names, "configs": configs })
    }
}

impl Checked {
    fn to_json(&self) -> Value {
        let value = json!({
            "name": self.setting.name,
            "value": self.value,
            "recommended_values": self.setting.recommended,
            "errors": self.errors,
            "visible": self.visible,
        });
        json!({ "definition": self.setting.to_json(), "value": value })
    }
}

impl Setting {
    /// The definition as Connect shows it.
    pub fn to_json(&self) -> Value {
        let default = match self.default {
            Fallback::Is(default) => Some(default),
            Fallback::Required | Fallback::Null => None,
        };
        let (group, order) = place_of(self);
        json!({
            "name": self.name,
            "type": self.kind.as_str(),
            "required": self.default == Fallback::Required,
            "default_value": default,
            "importance": self.importance.as_str(),
            "documentation": self.documentation,
            "group": group.name,
            "width": self.width.as_str(),
            "display_name": self.display_name,
            "dependents": self.dependents,
            "order": order,
        })
    }
}

/// The group of a setting, and where it stands in it, from 1.
fn place_of(setting: &Setting) -> (&'static Group, usize) {
    let place = |group: &'static Group| Some((group, group.settings.iter().position(|other| other.name == setting.name)? + 1));
    groups().iter().find_map(place).expect("every setting is in a group")
}
