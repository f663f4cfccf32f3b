//! What callers' texts may hold: nothing that one database takes and the other refuses, or that a log shows as something else. Must not know what they mean.

use std::collections::BTreeMap;

use pinlake_core::jobs::{JobSpec, Work};
use pinlake_core::{Error, Result};

/// Characters of a caller's token.
const TOKEN_CHARS_MAX: usize = 256;

/// A token of a caller's, if there is one.
pub(super) fn check_token(token: Option<&str>) -> Result<()> {
    let Some(token) = token else { return Ok(()) };
    if token.is_empty() || token.chars().count() > TOKEN_CHARS_MAX {
        return Err(Error::invalid(format!("a token takes 1 to {TOKEN_CHARS_MAX} characters")));
    }
    check_name("a token", token)
}

/// Parameters: names as all are, and values without NUL.
pub(super) fn check_parameters(parameters: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in parameters {
        check_name("a parameter's name", name)?;
        if value.contains('\0') {
            return Err(Error::invalid(format!("the value of parameter '{name}' holds the character NUL: leave it out")));
        }
    }
    Ok(())
}

/// The names in a definition, and its parameters.
pub(super) fn check_definition(spec: &JobSpec) -> Result<()> {
    check_name("a job's name", &spec.name)?;
    check_parameters(&spec.parameters)?;
    for task in &spec.tasks {
        check_name("a task's name", &task.name)?;
        if let Work::Job { parameters, .. } = &task.work {
            check_parameters(parameters)?;
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    match name.chars().find(|character| character.is_control()) {
        Some(control) => {
            Err(Error::invalid(format!("{what} holds the control character U+{:04X}: leave it out", u32::from(control))))
        }
        None => Ok(()),
    }
}
