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

/// The type of an engine's name such as `Int64`. One that is not known is shown as text.
pub(super) fn of(engine: &str) -> Type {
    let bare = engine.split('(').next().unwrap_or_default();
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
        "List" | "LargeList" | "FixedSizeList" | "ListView" => ("ARRAY", "ARRAY<STRING>"),
        "Struct" => ("STRUCT", "STRUCT<>"),
        "Map" => ("MAP", "MAP<STRING,STRING>"),
        "Interval" | "Duration" => ("INTERVAL", "INTERVAL"),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => {
            return digits(engine).map_or_else(string, |(precision, scale)| decimal(precision, scale));
        }
        _ => return string(),
    };
    Type { name, text: text.to_owned(), decimal: None }
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

/// The numbers of `Decimal128(10, 2)`.
fn digits(engine: &str) -> Option<(u8, i8)> {
    let (_, rest) = engine.split_once('(')?;
    let (precision, scale) = rest.trim_end_matches(')').split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}
