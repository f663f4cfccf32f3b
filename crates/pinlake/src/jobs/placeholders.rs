//! `${...}` in the texts of a task: the run's own data and parameters, and in places that may hold a secret, variables and files.

#[cfg(test)]
mod tests;

use pinlake_core::jobs::Run;
use pinlake_core::jobs::placeholders::{OF_EVERY_RUN, OF_PARAMETER, Piece, pieces};
use pinlake_core::{Error, Result, Timestamp};

use crate::config::SecretRef;

/// Puts the run's own in the place of `${from}`, `${to}`, `${run}`, `${begun}`, `${job}` and `${parameters.NAME}`. `put` makes of a value what stands in the text.
///
/// # Errors
/// `Invalid` for a name that is none, or one that the run has nothing for.
pub(super) fn of_run(text: &str, run: &Run, mut put: impl FnMut(&str) -> String) -> Result<String> {
    replace(text, |name| value(name, run).map(|value| put(&value)))
}

/// All but what RFC 3986 (2.3) has stand for itself.
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URL with the run's own in it: each value is percent-encoded, so that it stays one part of it, but one that the URL begins with is taken as it is.
///
/// # Errors
/// As of [`of_run`]; `Invalid` for a value that makes a step to another folder, `.` or `..`.
pub(super) fn in_url(url: &str, run: &Run) -> Result<String> {
    let mut is_begin = url.starts_with("${");
    let put = |value: &str| match std::mem::take(&mut is_begin) {
        true => value.to_owned(),
        false => percent_encoding::utf8_percent_encode(value, RESERVED).to_string(),
    };
    let done = of_run(url, run, put)?;
    let path = done.split(['?', '#']).next().unwrap_or_default();
    let steps = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if done != url && path.split(['/', '\\']).any(steps) {
        return Err(Error::invalid("the request's URL would have '.' or '..' as a part of its path: no parameter may be that"));
    }
    Ok(done)
}

/// The same as [`of_run`], and variables and files for `${env:NAME}` and `${file:PATH}`.
///
/// # Errors
/// Likewise; `Invalid` for a secret that is not there. It reads the disk.
pub(super) fn with_secrets(text: &str, run: &Run) -> Result<String> {
    replace(text, |name| {
        let secret = match name.split_once(':') {
            Some(("env", variable)) => SecretRef::Env(variable.to_owned()),
            Some(("file", path)) => SecretRef::File(path.into()),
            _ => return value(name, run),
        };
        let resolved = secret.resolve().map_err(|error| Error::invalid(format!("'${{{name}}}': {error:#}")))?;
        Ok(resolved.expose().to_owned())
    })
}

/// A time as texts have it.
pub(super) fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.to_string(), |at| at.to_string())
}

fn value(name: &str, run: &Run) -> Result<String> {
    let interval =
        || run.interval.ok_or_else(|| Error::invalid(format!("'${{{name}}}': the run stands for no interval of data")));
    match name {
        "from" => Ok(shown(interval()?.from)),
        "to" => Ok(shown(interval()?.to)),
        "run" => Ok(run.id.to_string()),
        // One that began before there were lanes has none.
        "begun" => Ok(run.lane.map_or(0, |lane| lane.begun).to_string()),
        "job" => Ok(run.name.clone()),
        _ => {
            let parameter = name.strip_prefix(OF_PARAMETER).and_then(|parameter| run.parameters.get(parameter));
            parameter.cloned().ok_or_else(|| {
                Error::invalid(format!("'${{{name}}}' is not known: there are {}, {OF_PARAMETER}NAME", OF_EVERY_RUN.join(", ")))
            })
        }
    }
}

/// Puts something in the place of each `${name}`; `$${` stands for `${`.
fn replace(text: &str, mut value: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut done = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => done.push_str(text),
            Piece::Name(name) => done.push_str(&value(name)?),
        }
    }
    Ok(done)
}
