//! Statements about catalogs, schemas, tables and columns that clients send of themselves, in the engine's SQL. There is one catalog; its schemas are the
//! engine's. All others are left as they are.

use std::fmt::Write;

/// The one catalog, by the name that is answered.
const CATALOG: &str = "pinlake";
/// What else the catalog and its first schema are called: in answers and by clients that were set up for a workspace.
const CATALOGS: [&str; 5] = [CATALOG, "main", "hive_metastore", "spark_catalog", "default"];

/// The engine's name of the column whose values are the engine's types, which is answered as `columnType` with Databricks' types.
pub(super) const ENGINE_TYPES: &str = "pinlake.columnType";

/// A statement in the engine's words, if it is about what there is: `SHOW CATALOGS`, `SHOW SCHEMAS IN c`, `SHOW TABLES IN CATALOG c`, `SHOW COLUMNS IN
/// CATALOG c`, with `LIKE` patterns, and `USE`.
pub(super) fn translated(sql: &str) -> Option<String> {
    let words = words(sql.trim().trim_end_matches(';'))?;
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    match upper[..] {
        ["USE", "CATALOG" | "SCHEMA" | "DATABASE", _] | ["USE", _] => {
            is_ours(words.last()?).then(|| "SELECT 1 WHERE FALSE".to_owned())
        }
        ["SHOW", "CATALOGS", ..] => {
            Some(filtered(&format!("SELECT '{CATALOG}' AS catalog"), &[("catalog", like(&words, &upper, "")?)]))
        }
        ["SHOW", "SCHEMAS" | "DATABASES", ..] => {
            let all = format!(
                "SELECT DISTINCT table_schema AS \"databaseName\", '{CATALOG}' AS catalog FROM information_schema.tables"
            );
            Some(filtered(&all, &[("databaseName", like(&words, &upper, "")?)]))
        }
        ["SHOW", "TABLES", "IN", "CATALOG" | "ALL", ..] => {
            let all = format!(
                "SELECT table_schema AS namespace, table_name AS \"tableName\", FALSE AS \"isTemporary\", CAST(NULL AS VARCHAR) AS information, \
                 '{CATALOG}' AS \"catalogName\", 'TABLE' AS \"tableType\", CAST(NULL AS VARCHAR) AS remarks FROM information_schema.tables"
            );
            let schema = like(&words, &upper, "SCHEMA")?;
            Some(filtered(&all, &[("namespace", schema), ("tableName", like(&words, &upper, "")?)]))
        }
        ["SHOW", "COLUMNS", "IN", "CATALOG", ..] => {
            let all = format!(
                "SELECT column_name AS \"col_name\", '{CATALOG}' AS \"catalogName\", table_schema AS namespace, table_name AS \"tableName\", \
                 data_type AS \"{ENGINE_TYPES}\", CAST(ordinal_position AS INT) AS \"ordinalPosition\", is_nullable AS \"isNullable\" FROM information_schema.columns"
            );
            let (schema, table) = (like(&words, &upper, "SCHEMA")?, like(&words, &upper, "TABLE")?);
            Some(filtered(&all, &[("namespace", schema), ("tableName", table), ("col_name", like(&words, &upper, "")?)]))
        }
        _ => None,
    }
}

/// Whether a catalog or schema of that name is the one that is used anyway.
pub(super) fn is_ours(name: &str) -> bool {
    let name = name.trim_matches(['`', '"']);
    let mut parts = name.split('.').map(|part| part.trim_matches(['`', '"']));
    parts.all(|part| {
        part.is_empty() || part.eq_ignore_ascii_case("public") || CATALOGS.iter().any(|ours| part.eq_ignore_ascii_case(ours))
    })
}

/// What there is, for messages.
pub(super) fn ours() -> String {
    format!("the catalogs {} and the schemas default, public are the same here", CATALOGS[..3].join(", "))
}

/// Words between blanks; a quoted text is one word.
fn words(sql: &str) -> Option<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), sql.trim_start());
    while !rest.is_empty() {
        let end = if let Some(text) = rest.strip_prefix('\'') {
            text.find('\'')? + 2
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        // More words than any of these statements has, or a quote that was not one word's end.
        if words.len() == 12 || rest[end..].starts_with('\'') {
            return None;
        }
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Some(words)
}

/// The pattern behind `WORD LIKE`, or behind a `LIKE` that follows none of the words; empty if there is none. `None` if it is no text.
fn like(words: &[String], upper: &[&str], of: &str) -> Option<String> {
    let is_own = |at: usize| {
        let before = at.checked_sub(1).map_or("", |before| upper[before]);
        if of.is_empty() { !matches!(before, "SCHEMA" | "TABLE") } else { before == of }
    };
    let Some(at) = (0..words.len()).find(|at| upper[*at] == "LIKE" && is_own(*at)) else { return Some(String::new()) };
    let pattern = words.get(at + 1)?.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(pattern.to_owned())
}

/// Only what fits the patterns: `*` and `%` are any text, `|` parts choices.
fn filtered(all: &str, patterns: &[(&str, String)]) -> String {
    let mut sql = format!("SELECT * FROM ({all}) AS found WHERE TRUE");
    for (column, pattern) in patterns.iter().filter(|(_, pattern)| !pattern.is_empty()) {
        let one = |pattern: &str| format!("lower(\"{column}\") LIKE '{}'", pattern.to_lowercase().replace('*', "%"));
        let choices: Vec<String> = pattern.split('|').map(one).collect();
        // Writing to a string can't fail.
        let _ = write!(sql, " AND ({})", choices.join(" OR "));
    }
    sql
}
