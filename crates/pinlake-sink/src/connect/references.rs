//! References in a configuration: `${file:PATH:NAME}` stands for a property of a file, `${env:NAME}` for an environment variable. They are
//! resolved when a plan is made; everywhere else the reference is shown. Must not read anything itself.

#[cfg(test)]
mod tests;

use pinlake_core::Result;

/// What references stand for.
pub trait References: Send + Sync {
    /// A property of a file, see [`property`].
    ///
    /// # Errors
    /// Why it can't be had, without anything that is in the file.
    fn file(&self, path: &str, name: &str) -> Result<String>;

    /// An environment variable.
    ///
    /// # Errors
    /// Why it can't be had.
    fn variable(&self, name: &str) -> Result<String>;
}

/// Whether there is a reference in a value.
pub(super) fn is_reference(value: &str) -> bool {
    pieces(value).iter().any(|piece| !matches!(piece, Piece::Text(_)))
}

/// A value with what its references stand for in their places.
pub(super) fn resolve(value: &str, references: &dyn References) -> Result<String> {
    let resolved = pieces(value).into_iter().map(|piece| match piece {
        Piece::Text(text) => Ok(text.to_owned()),
        Piece::File(path, name) => references.file(path, name),
        Piece::Variable(name) => references.variable(name),
    });
    resolved.collect()
}

/// The property of that name in the text of a properties file: `name=value` or `name: value`, a line each; the last of a name counts.
pub fn property(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', '!']));
    let mut pairs = lines.filter_map(|line| line.split_once(['=', ':']));
    let found = pairs.rfind(|(found, _)| found.trim_end() == name);
    found.map(|(_, value)| value.trim_start().replace("\\\\", "\\"))
}

enum Piece<'a> {
    Text(&'a str),
    File(&'a str, &'a str),
    Variable(&'a str),
}

fn pieces(value: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), value);
    while let Some((before, begun)) = rest.split_once("${") {
        let Some((inside, after)) = begun.split_once('}') else { break };
        let piece = match inside.split_once(':') {
            Some(("env", name)) => Piece::Variable(name),
            Some(("file", place)) => {
                place.rsplit_once(':').map_or(Piece::File(place, ""), |(path, name)| Piece::File(path, name))
            }
            // It is no reference, as far as anybody here knows.
            _ => Piece::Text(&rest[before.len()..rest.len() - after.len()]),
        };
        pieces.push(Piece::Text(before));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}
