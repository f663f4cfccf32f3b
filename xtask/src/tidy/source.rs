//! Just enough of Rust's grammar to judge sizes and names: text with comments and literals blanked, and its functions.

/// A function's name, its first line (from 1) and how many lines it takes, signature and braces included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// A word that is an identifier or a keyword, and the byte where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

/// `text` with comments, strings and characters turned to blanks; lines and byte positions stay.
pub(crate) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match blank_from(bytes, at) {
            Some(end) => {
                let end = end.min(bytes.len());
                out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                end
            }
            // A word is taken whole, so that the `r` of `bar"` starts no raw string.
            None if is_word(bytes[at]) => at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count(),
            None => at + 1,
        };
        at = end;
    }
    String::from_utf8(out).expect("whole characters are replaced by blanks")
}

/// Where the comment or literal ends that starts at `at`, if one does.
fn blank_from(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment_len(rest)),
        [b'"', ..] => Some(at + string_len(rest)),
        [b'\'', ..] => char_len(rest).map(|len| at + len),
        [b'r' | b'b' | b'c', ..] => {
            let prefix = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count().min(2);
            let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
            let is_raw = rest[..prefix].contains(&b'r');
            match rest.get(prefix + hashes) {
                Some(b'"') if is_raw => Some(at + prefix + raw_string_len(&rest[prefix..], hashes)),
                Some(b'"') if hashes == 0 => Some(at + prefix + string_len(&rest[prefix..])),
                Some(b'\'') if hashes == 0 && prefix == 1 && rest[0] == b'b' => char_len(&rest[1..]).map(|len| at + 1 + len),
                _ => None,
            }
        }
        _ => None,
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `#..#"..."#..#`, which starts at its first hash or quote.
fn raw_string_len(rest: &[u8], hashes: usize) -> usize {
    let body = hashes + 1;
    let closes = |at: usize| rest[at] == b'"' && rest[at + 1..].iter().take_while(|byte| **byte == b'#').count() >= hashes;
    (body..rest.len()).find(|at| closes(*at)).map_or(rest.len(), |at| at + 1 + hashes)
}

/// The length of a character in quotes; `None` for a lifetime.
fn char_len(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|byte| *byte == b'\'').map(|at| at + 4);
    }
    let width = 1 + rest.iter().skip(2).take_while(|byte| **byte & 0xC0 == 0x80).count();
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of blanked code, in order.
pub(crate) fn words(code: &str) -> Vec<Word<'_>> {
    let bytes = code.as_bytes();
    let (mut words, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        if len > 0 {
            words.push(Word { text: &code[at..at + len], at });
        }
        at += len.max(1);
    }
    words
}

/// The line (from 1) of a byte.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    1 + code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// Every function with a body in blanked code, those within others too.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let words = words(code);
    let named = words.windows(2).filter(|pair| pair[0].text == "fn" && code[pair[0].at + 2..pair[1].at].trim().is_empty());
    named.filter_map(|pair| function(code, pair[0].at, pair[1].text)).collect()
}

fn function(code: &str, at: usize, name: &str) -> Option<Function> {
    let open = at + body_start(&code[at..])?;
    let close = open + block_len(&code[open..]);
    let line = line_of(code, at);
    Some(Function { name: name.to_owned(), line, lines: line_of(code, close - 1) - line + 1 })
}

/// Where a signature's body opens; `None` for a declaration without one.
fn body_start(signature: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The length of the block that starts at the first byte, a brace.
pub(crate) fn block_len(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}
