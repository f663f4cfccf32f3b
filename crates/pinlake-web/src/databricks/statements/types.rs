//! The query engine's types, by the names that it gives them, as Databricks' types.

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Type {
    /// `type_name`, one of the API's closed list.
    pub(super) name: &'static str,
    /// `type_text`, as SQL has it.
    pub(super) text: String,
    /// Precision and scale of a decimal.
    pub(super) decimal: Option<(u8, i8)>,
}

/// How deep types may stand in each other; deeper ones are shown as text.
const DEPTH_MAX: usize = 32;

/// The type in which values of an engine's type such as `Int64` or `List(non-null Int64)` are answered. One that is not known is shown as text, and so are
/// bytes: clients would read the text of a `BINARY` as digits.
pub(super) fn of(engine: &str) -> Type {
    Some(of_column(engine)).filter(|of| of.name != "BINARY").unwrap_or_else(string)
}

/// The type that a column of the engine's type has.
pub(super) fn of_column(engine: &str) -> Type {
    within(engine, DEPTH_MAX)
}

fn within(engine: &str, depth: usize) -> Type {
    let engine = engine.trim();
    let engine = engine.strip_prefix("non-null ").unwrap_or(engine);
    let (bare, inner) = engine.split_once('(').unwrap_or((engine, ""));
    let inner = inner.strip_suffix(')').unwrap_or(inner);
    let Some(depth) = depth.checked_sub(1) else { return string() };
    let (name, text) = match bare {
        "Boolean" => ("BOOLEAN", "BOOLEAN"),
        "Int8" => ("BYTE", "TINYINT"),
        "Int16" | "UInt8" => ("SHORT", "SMALLINT"),
        "Int32" | "UInt16" => ("INT", "INT"),
        "Int64" | "UInt32" => ("LONG", "BIGINT"),
        // The largest is more than a BIGINT holds.
        "UInt64" => return decimal(20, 0),
        "Float16" | "Float32" => ("FLOAT", "FLOAT"),
        "Float64" => ("DOUBLE", "DOUBLE"),
        "Date32" | "Date64" => ("DATE", "DATE"),
        "Timestamp" => ("TIMESTAMP", "TIMESTAMP"),
        "Null" => ("NULL", "VOID"),
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => ("BINARY", "BINARY"),
        "List" | "LargeList" | "ListView" | "LargeListView" => return array(inner, depth),
        "FixedSizeList" => return array(inner.split_once(" x ").map_or(inner, |(_, item)| item), depth),
        "Struct" => return structure(inner, depth),
        "Map" => return map(inner, depth),
        "Dictionary" => return parts(inner).get(1).map_or_else(string, |value| within(value, depth)),
        "Interval" | "Duration" => ("INTERVAL", "INTERVAL"),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => {
            return digits(inner).map_or_else(string, |(precision, scale)| decimal(precision, scale));
        }
        _ => return string(),
    };
    Type { name, text: text.to_owned(), decimal: None }
}

fn array(inner: &str, depth: usize) -> Type {
    let item = parts(inner).first().map_or_else(string, |item| within(item, depth));
    nested("ARRAY", format!("ARRAY<{}>", item.text))
}

fn structure(inner: &str, depth: usize) -> Type {
    let fields: Vec<String> = fields(inner).iter().map(|(name, of)| format!("{name}: {}", within(of, depth).text)).collect();
    nested("STRUCT", format!("STRUCT<{}>", fields.join(", ")))
}

/// `"entries": non-null Struct("key": non-null Utf8, "value": Float64), unsorted`
fn map(inner: &str, depth: usize) -> Type {
    let entries = fields(inner).first().map_or("", |(_, entries)| *entries);
    let pair = entries.trim_start_matches("non-null ").strip_prefix("Struct(").and_then(|pair| pair.strip_suffix(')'));
    let texts: Vec<String> = fields(pair.unwrap_or_default()).iter().map(|(_, of)| within(of, depth).text).collect();
    let text = if texts.len() == 2 { texts.join(", ") } else { "STRING, STRING".to_owned() };
    nested("MAP", format!("MAP<{text}>"))
}

fn nested(name: &'static str, text: String) -> Type {
    Type { name, text, decimal: None }
}

/// The fields of `"a": Int64, "b c": Utf8` by name, as SQL writes that; what else stands there, such as metadata, is left out.
fn fields(inner: &str) -> Vec<(String, &str)> {
    let field = |part: &&'_ str| part.starts_with('"');
    let read = |part: &'_ str| {
        let end = quoted(part);
        let name = part[1..end].strip_suffix('"').unwrap_or(&part[1..end]).replace("\\\"", "\"");
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = if plain { name } else { format!("`{}`", name.replace('`', "``")) };
        (name, end)
    };
    let all = parts(inner).into_iter().filter(field);
    all.map(|part| (read(part), part)).map(|((name, end), part)| (name, part[end..].trim_start_matches([':', ' ']))).collect()
}

/// What commas part that stand in no brackets and no quotes.
fn parts(inner: &str) -> Vec<&str> {
    let (mut found, mut begin, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    while let Some(byte) = inner.as_bytes().get(at) {
        match byte {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                at += quoted(&inner[at..]);
                continue;
            }
            b',' if depth == 0 => {
                found.push(inner[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(inner[begin..].trim());
    found
}

/// The bytes of the quoted text that a text begins with, with its quotes; all of it if it does not end.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// A timestamp, given and answered as a JSON string, as the service writes it: with milliseconds and `Z`. What reads otherwise stays.
pub(super) fn timestamp(json: &str) -> String {
    let text = json.trim_matches('"').trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_plain = whole.len() == 19 && whole.as_bytes()[10] == b'T' && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain {
        return json.to_owned();
    }
    format!("\"{whole}.{fraction:0<3}Z\"")
}

fn string() -> Type {
    Type { name: "STRING", text: "STRING".to_owned(), decimal: None }
}

fn decimal(precision: u8, scale: i8) -> Type {
    Type { name: "DECIMAL", text: format!("DECIMAL({precision},{scale})"), decimal: Some((precision, scale)) }
}

/// The numbers of `10, 2`.
fn digits(inner: &str) -> Option<(u8, i8)> {
    let (precision, scale) = inner.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}
