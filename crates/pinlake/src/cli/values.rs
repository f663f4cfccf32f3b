//! Values of options that have a form of their own: what has not is wrong usage, and is said before any work begins.

use std::fmt;
use std::time::Duration;

use pinlake_core::Timestamp;
use pinlake_core::pipeline::units::Span;
use pinlake_web::jobs::times;
use reqwest::Url;

/// Wrong usage that only the command can see: the text says what would be right. It ends with status 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Usage {
    pub(crate) fn of(error: impl fmt::Display) -> Usage {
        Usage(error.to_string())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The address of a server.
pub(super) fn server(text: &str) -> Result<String, String> {
    let address = with_scheme(text);
    let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(|_| address).ok_or_else(|| "give a URL such as http://127.0.0.1:8082, or HOST:PORT".to_owned())
}

/// The URL that `HOST:PORT` is short for; everything else as it is.
pub(crate) fn with_scheme(text: &str) -> String {
    let host_and_port = text.split('/').next().unwrap_or_default().rsplit_once(':');
    let is_short = host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_short { format!("http://{text}") } else { text.to_owned() }
}

/// A name that stands in the server's paths.
pub(super) fn name(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let good = !text.is_empty() && text.chars().all(legal);
    good.then(|| text.to_owned()).ok_or_else(|| "names are letters, digits, '_' and '-'".to_owned())
}

/// One choice made.
pub(super) fn choice(text: &str) -> Result<String, String> {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once('=') {
        Some((name, value)) if word(name) && word(value) => Ok(text.to_owned()),
        _ => Err("a choice is written NAME=VALUE, such as ties=first".to_owned()),
    }
}

/// Posts a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1e-6..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate lies between 0.000001 and 1000000 posts a second".to_owned())
}

/// A part of a whole that is never all of it.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a share is 0 or more, and below 1".to_owned())
}

/// A span of time that is more than an instant.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0 >= Duration::from_secs(1) { Ok(span) } else { Err("a topic keeps records for 1s at least".to_owned()) }
}

/// A job's or a task's name.
pub(super) fn job(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("give a name".to_owned()) } else { Ok(text.to_owned()) }
}

/// A parameter and its value, which may hold anything.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    let owned = |(name, value): (&str, &str)| (name.trim().to_owned(), value.to_owned());
    parts.map(owned).ok_or_else(|| "a parameter is written NAME=VALUE, such as category=art".to_owned())
}

/// A point in time.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    times::parse(text)
}
