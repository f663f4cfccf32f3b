//! `${...}` in the texts of a request that a task sends: where they stand, and which of them every run has something for. Must not know what that is.

use crate::error::{Error, Result};

/// What every run has something for by itself.
pub const OF_EVERY_RUN: [&str; 5] = ["from", "to", "run", "begun", "job"];
/// What the name of a parameter stands behind.
pub const OF_PARAMETER: &str = "parameters.";

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// It stands for itself.
    Text(&'a str),
    /// The name of what stands in its place.
    Name(&'a str),
}

/// A text in its pieces: `${NAME}` is a name, and `$${` stands for `${`.
///
/// # Errors
/// `Invalid` for a name that does not end.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, behind) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Text("${")]);
            rest = &behind[2..];
            continue;
        }
        let end = behind.find('}').ok_or_else(|| Error::invalid(format!("'{behind}' begins a placeholder that does not end")))?;
        pieces.extend([Piece::Text(before), Piece::Name(&behind[2..end])]);
        rest = &behind[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}
