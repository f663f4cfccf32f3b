//! The environment's `PINLAKE_...` variables: which are options, which are something else, and which are a slip of the pen.

use std::ffi::OsString;

use serde_json::Value;

/// What every variable of ours begins with.
const PREFIX: &str = "PINLAKE_";
/// Where the commands find a running server.
pub(crate) const SERVER: &str = "PINLAKE_SERVER";
/// What lines of the log look like.
pub(crate) const LOG_FORMAT: &str = "PINLAKE_LOG_FORMAT";
/// What the project's own tests read.
const TESTS: &str = "PINLAKE_TEST_";
/// What Kubernetes tells of services whose names begin with `pinlake`, beside their `..._PORT` itself.
const SERVICE: [&str; 2] = ["_SERVICE_", "_PORT_"];
/// How many letters may be wrong in a name that is meant to be another.
const SLIPS_MAX: usize = 2;

/// All variables that begin as ours do, by name.
pub(crate) fn ours() -> Vec<(String, OsString)> {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut ours: Vec<_> = named.filter(|(name, value)| name.starts_with(PREFIX) && !is_service(name, value)).collect();
    ours.sort();
    ours
}

/// The option's path, joined by `_`, if the variable were one.
pub(super) fn option(name: &str) -> Option<String> {
    name.strip_prefix(PREFIX).map(str::to_lowercase)
}

/// What is wrong with a variable that sets no option of `defaults`.
pub(super) fn problem(name: &str, defaults: &Value) -> Option<String> {
    if [SERVER, LOG_FORMAT].contains(&name) || name.starts_with(TESTS) {
        return None;
    }
    let mut known = vec![SERVER.to_owned(), LOG_FORMAT.to_owned()];
    names(defaults, PREFIX.trim_end_matches('_'), &mut known);
    let nearest = known.iter().map(|known| (strsim::osa_distance(name, known), known)).min();
    Some(match nearest.filter(|(slips, _)| *slips <= SLIPS_MAX) {
        Some((_, meant)) => format!("{name}: no such variable; is {meant} meant?"),
        None => format!("{name}: no such variable; they are named after the options that 'pinlake config' shows"),
    })
}

/// Variables that name nothing, for commands that read no configuration.
///
/// # Errors
/// All of them, a line each.
pub(crate) fn check() -> anyhow::Result<()> {
    let defaults = super::defaults();
    let is_option = |name: &str| option(name).is_some_and(|option| super::path_of(&defaults, &option).is_some());
    let others = ours().into_iter().map(|(name, _)| name).filter(|name| !is_option(name));
    let unknown: Vec<String> = others.filter_map(|name| problem(&name, &defaults)).collect();
    if unknown.is_empty() { Ok(()) } else { anyhow::bail!(unknown.join("\n")) }
}

fn is_service(name: &str, value: &OsString) -> bool {
    let address = name.ends_with("_PORT") && value.to_string_lossy().contains("://");
    address || SERVICE.iter().any(|part| name.contains(part))
}

/// The variables of all options below `path`.
fn names(values: &Value, path: &str, found: &mut Vec<String>) {
    match values {
        Value::Object(options) => {
            options.iter().for_each(|(key, inner)| names(inner, &format!("{path}_{}", key.to_uppercase()), found));
        }
        _ => found.push(path.to_owned()),
    }
}
